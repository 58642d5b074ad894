"""What fuzzing has found, frame by frame, so that it stays mended: a right mac on a body that breaks the wire's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from app.adapters.mt5_wire import heartbeat_from_wire
from app.domain.execution import ExecutionState
from app.protocol import ea_frames, ea_messages
from app.protocol.ea_fields import BadFrame, from_ms
from tests.faults.fuzz_api import PORT, TOKENS, ApiTarget, Asked
from tests.faults.fuzz_brain import BrainTarget
from tests.faults.fuzz_executor import ExecutorTarget
from tests.faults.fuzz_frames import BEAT, EXECUTION, FINDING, KEY, SPEC, TRADE
from tests.faults.fuzz_source import dump

REPLY = {
    "v": 1, "from": "terminal", "sid": "s", "re": 1, "cid": "c", "ok": True, "code": None, "message": None, "data": EXECUTION,
}  # fmt: skip


def opened(message: Mapping[str, Any]) -> dict[str, Any]:
    body = dump(message).encode()
    return ea_frames.open_sealed(KEY, body, ea_frames.seal(KEY, body))


@pytest.mark.parametrize(
    ("field", "value"),
    [("code", []), ("code", {"a": 1}), ("code", 20), ("message", False), ("message", 0), ("cid", ["c"])],
)
def test_a_replys_words_are_words(field: str, value: object) -> None:
    """A list as `code` raised TypeError in the middle of the executor; a number went into the journal's columns."""
    with pytest.raises(BadFrame, match=f"{field} must be a string"):
        ea_frames.decode_reply(opened(REPLY | {field: value}))


@pytest.mark.parametrize("version", [True, "1", 2, None])
def test_the_version_is_the_number_one(version: object) -> None:
    with pytest.raises(BadFrame, match="v must be"):
        opened(REPLY | {"v": version})


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**39, True])
def test_whole_numbers_fit_the_experts_long(number: object) -> None:
    with pytest.raises(BadFrame, match="re must be a whole number"):
        ea_frames.decode_reply(opened(REPLY | {"re": number}))


@pytest.mark.parametrize("moment", [2**63 - 1, -(2**63), 17_000_000_000_000_000])
def test_a_moment_outside_the_calendar_is_a_bad_frame(moment: int) -> None:
    """It raised OverflowError through the stream's reader and ended the executor's loop of the terminal."""
    with pytest.raises(BadFrame, match="does not exist"):
        from_ms(moment)


Reader = Callable[[Mapping[str, Any]], object]
UNTYPED: list[tuple[Reader, Mapping[str, Any], str, object]] = [
    (ea_messages.finding_from_wire, FINDING, "connected", "false"),
    (ea_messages.finding_from_wire, FINDING, "synchronised", 1),
    (ea_messages.symbol_from_wire, SPEC, "session_open", "no"),
    (ea_messages.symbol_from_wire, SPEC, "filling", "fok"),
    (ea_messages.symbol_from_wire, SPEC, "filling", [1]),
    (ea_messages.execution_from_wire, EXECUTION, "replayed", "no"),
    (ea_messages.execution_from_wire, EXECUTION, "message", 7),
    (lambda wire: ea_messages.trade_event_from_wire(wire, 1, from_ms(0)), TRADE, "cid", 7),
    (lambda wire: heartbeat_from_wire(wire, None), BEAT, "trade_seq", False),
]


@pytest.mark.parametrize(("read", "good", "field", "value"), UNTYPED)
def test_payloads_are_of_the_types_they_promise(
    read: Reader, good: Mapping[str, Any], field: str, value: object
) -> None:
    """`"connected": "false"` counted as connected, and with it an absence at the broker as proved."""
    read(dict(good))
    with pytest.raises(BadFrame, match=field):
        read({**good, field: value})


async def test_closing_positions_takes_a_plain_true() -> None:
    """1.0 and "yes" counted as true in a stop over the local API."""
    target = ApiTarget(1)
    for value in ("1.0", '"yes"', "1"):
        body = b'{"close_positions":' + value.encode() + b"}"
        status, said = await target.send(
            Asked("POST", "/emergency-stop", "", _headers(len(body)), body, "control")
        )
        assert (status, target.control.asked) == (400, [])
        assert b"close_positions" in said


async def test_an_endless_content_length_is_refused_in_words() -> None:
    """5000 digits raised ValueError in the guard."""
    headers = [(name, b"9" * 5000 if name == b"content-length" else value) for name, value in _headers(0)]
    status, said = await ApiTarget(1).send(Asked("POST", "/pause", "", headers, b"", "control"))
    assert (status, b"BODY_TOO_LARGE" in said) == (413, True)


async def test_a_field_with_an_endless_name_is_named_by_its_beginning() -> None:
    """A name of thousands of characters came back whole."""
    body = b'{"by' + b"9" * 3000 + b'":"me"}'
    status, said = await ApiTarget(1).send(Asked("POST", "/resume", "", _headers(len(body)), body, "control"))
    assert (status, len(said) < 200, b"by999" in said) == (400, True, True)


def _headers(length: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"host", f"127.0.0.1:{PORT}".encode()),
        (b"content-length", str(length).encode()),
        (b"authorization", b"Bearer " + TOKENS.control.encode()),
    ]


async def test_a_trade_that_is_answered_so_stays_open_and_harms_nothing() -> None:
    target = ExecutorTarget(1)
    target.open_session()
    number = target._trade()
    target._say(dump(target._reply(number, EXECUTION) | {"code": []}).encode())
    assert target.answer is not None
    assert not target.answer.done()
    target._say(dump(target._reply(number, EXECUTION)).encode())
    assert (await target.answer).state is ExecutionState.DONE


def test_a_field_that_the_action_does_not_have_is_ignored() -> None:
    """Seed 20261126 of the brain's campaign: the judge, not the decoder, held a symbol in a CLOSE_POSITION for a fault."""
    target = BrainTarget(1)
    command = {"action": "CLOSE_POSITION", "ticket": 7, "volume": 1, "symbol": "#AAPL"}
    body = {"type": "TRADE_SIGNAL", "timestamp": "2026-11-21T12:00:00Z", "commandId": "c", "command": command}
    assert target.check(dump(body), with_keys=False) == "ok"
