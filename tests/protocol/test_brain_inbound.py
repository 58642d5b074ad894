"""What the brain may say: the seed's message alone works, every broken rule is named, nothing unsafe is read as a command."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.commands import (
    OpenPosition,
    TradeCommand,
)
from app.domain.values import Magic, Price, Priority, Side, Symbol, Volume
from app.protocol import brain_inbound as inbound
from app.protocol import brain_messages as brain
from app.protocol.signing import SigningKeys
from tests.fakes.brain_frames import (
    NOW,
    OPEN_RULES,
    SEED,
    SIGNED_RULES,
    command,
    message,
    read,
    refusal,
    signed,
)

# ------------------------------------------------------------------ the seed


def test_the_seeds_message_alone_is_a_command() -> None:
    found = command(SEED)
    assert found == TradeCommand(
        command_id="sha256:" + hashlib.sha256(SEED.encode()).hexdigest()[:40],  # type: ignore[arg-type]
        action=OpenPosition(
            Symbol("EURUSD"),
            Side.BUY,
            Volume("0.01"),
            stop_loss=Price("1.0950"),
            take_profit=Price("1.1050"),
            magic=Magic(123456),
            comment="AI_Strategy_001",
        ),
        issued_at=NOW,
        expires_at=NOW + timedelta(seconds=5),
        fingerprint=found.fingerprint,
        priority=Priority.HIGH,
        strategy_id="str_abc123",
    )
    assert len(found.fingerprint) == 64


def test_an_identical_frame_is_the_same_command_and_any_other_is_not() -> None:
    assert command(SEED).command_id == command(SEED).command_id
    assert command(SEED + " ").command_id != command(SEED).command_id


def test_defaults() -> None:
    found = command(message(priority=..., expiry=..., strategyId=..., account=...))
    assert found.priority is Priority.NORMAL
    assert found.expires_at - found.issued_at == timedelta(milliseconds=5000)
    assert found.strategy_id is None
    assert found.account is None
    assert found.signed_by is None


# ------------------------------------------------------------------ identity


def test_a_command_sent_again_with_a_fresh_timestamp_is_the_same_command() -> None:
    first = command(message())
    again = command(message(timestamp="2024-01-01T00:00:09Z", priority="LOW", expiry=9000))
    assert again.fingerprint == first.fingerprint


def test_numbers_count_by_value() -> None:
    text = json.dumps(message())
    for spelling in ("0.010", "1e-2", "0.01000000", "1E-2", "10e-3"):
        assert command(text.replace("0.01,", spelling + ",")).fingerprint == command(text).fingerprint
    whole = json.dumps(message(command__volume=100))
    for spelling in ("100.0", "1e2", "1.00E+2"):
        assert command(whole.replace(": 100,", f": {spelling},")).fingerprint == command(whole).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"command__volume": 0.1},
        {"command__symbol": "GBPUSD"},
        {"command__type": "SELL"},
        {"command__stopLoss": ...},
        {"command__magicNumber": 12345},
        {"account": "87654321"},
        {"account": ...},
        {"strategyId": "str_2"},
    ],
    ids=str,
)
def test_other_content_is_another_command(changes: dict[str, Any]) -> None:
    assert command(message(**changes)).fingerprint != command(message()).fingerprint


def test_numbers_and_texts_are_never_mistaken_for_each_other() -> None:
    def mark(**changes: Any) -> str:
        found = read(message(**changes))
        return str(
            found.fingerprint if isinstance(found, inbound.UnreadableSignal) else found.command.fingerprint
        )

    marks = [mark(command__x=value) for value in (1, "1", "1e0", None, "null", [1], {"1": 1}, 10, -1, 0)]
    assert len(set(marks)) == len(marks)


# ------------------------------------------------------------------ refused before the journal

NOT_JSON = [
    "",
    "hello",
    "[]",
    '{"type":"TRADE_SIGNAL","type":"TRADE_SIGNAL"}',
    '{"type":"TRADE_SIGNAL","volume":NaN}',
    '{"type":"TRADE_SIGNAL","volume":1e999}',
    "\ufeff{}",
    "{} {}",
]


@pytest.mark.parametrize("text", NOT_JSON)
def test_invalid_json(text: str) -> None:
    found = refusal(text)
    assert found.code == "INVALID_JSON"
    assert found.ref == text[:64]


@pytest.mark.parametrize(
    "kind", ["TRADE", "trade_signal", "", "HELLO", "EXECUTION_RESULT", "\x1b[2J", None, 7, ["X"]]
)
def test_unknown_type(kind: Any) -> None:
    found = refusal({"type": kind, "commandId": "c9"})
    assert found.code == "UNKNOWN_TYPE"
    assert found.ref == "c9"
    assert str(found).isprintable()


def test_a_message_without_a_type_is_of_unknown_type() -> None:
    text = '{"padding":"' + "x" * 100 + '"}'
    found = refusal(text)
    assert found.code == "UNKNOWN_TYPE"
    assert found.ref == text[:64]


@pytest.mark.parametrize("kind", ["TRADE_SIGNAL", "CANCEL_COMMAND"])
def test_unsigned_commands_are_refused_while_a_key_is_configured(kind: str) -> None:
    for rules in (
        SIGNED_RULES,
        inbound.ReadingRules("exec_001", SIGNED_RULES.keys, allow_unsigned=True),
        inbound.ReadingRules("exec_001", SigningKeys({})),
    ):
        found = refusal(message(type=kind), rules)
        assert found.code == "SIGNATURE_REQUIRED"
        assert found.ref == "cmd_1"


def test_a_signed_command_is_read_and_says_who_signed() -> None:
    reading = inbound.read_frame(signed(message()), SIGNED_RULES, {"12345678"})
    assert isinstance(reading.message, inbound.Signal)
    assert reading.message.command.signed_by == reading.signed_by == "k1"
    assert reading.text == json.dumps(message())


def test_a_forged_command_is_not_even_parsed() -> None:
    frame = signed(message()).replace("EURUSD", "GBPUSD")
    assert refusal(frame, SIGNED_RULES).code == "BAD_SIGNATURE"
    broken = json.dumps({**json.loads(signed("{")), "payload": "{{{"})
    assert refusal(broken, SIGNED_RULES).code == "BAD_SIGNATURE"


def test_a_signed_frame_without_any_key_configured_is_refused() -> None:
    assert refusal(signed(message()), OPEN_RULES).code == "BAD_SIGNATURE"


def test_a_signed_text_that_is_not_json_is_refused_as_such() -> None:
    assert refusal(signed("{"), SIGNED_RULES).code == "INVALID_JSON"
    assert refusal(signed(message(command__volume=True)), SIGNED_RULES).code == "INVALID_JSON"


def test_signatures_do_not_nest() -> None:
    assert refusal(signed(signed(message())), SIGNED_RULES).code == "UNKNOWN_TYPE"


@pytest.mark.parametrize(
    "changes",
    [
        {"executorId": "exec_002"},
        {"executorId": ...},
        {"executorId": None},
        {"executorId": ["exec_001"]},
        {"account": "999"},
        {"account": 12345678},
        {"account": ["12345678"]},
        {"account": {}},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["TRADE_SIGNAL", "CANCEL_COMMAND", "EMERGENCY_STOP"])
def test_a_signed_message_for_somebody_else_is_refused(kind: str, changes: dict[str, Any]) -> None:
    assert refusal(signed(message(type=kind, **changes)), SIGNED_RULES).code == "WRONG_AUDIENCE"


def test_while_no_account_is_known_the_engine_judges_it() -> None:
    reading = inbound.read_frame(signed(message(account="999")), SIGNED_RULES, ())
    assert isinstance(reading.message, inbound.Signal)
    assert reading.message.command.account == "999"


def test_an_unsigned_message_for_another_executor_is_refused() -> None:
    assert refusal(message(executorId="exec_002")).code == "WRONG_AUDIENCE"
    assert command(message(executorId=...)).command_id == "cmd_1"
    assert command(message(account="999")).account == "999"


@pytest.mark.parametrize("name", ["commandId", "timestamp"])
def test_a_signed_command_must_name_and_date_itself(name: str) -> None:
    found = read(signed(message(**{name: ...})), SIGNED_RULES)
    assert isinstance(found, inbound.UnreadableSignal)
    assert found.message.startswith(f"{name}: ")


def test_a_signed_withdrawal_must_be_dated() -> None:
    assert (
        refusal(signed(message(type="CANCEL_COMMAND", timestamp=...)), SIGNED_RULES).code == "INVALID_MESSAGE"
    )


# ------------------------------------------------------------------ the stop


@pytest.mark.parametrize(
    "rules", [SIGNED_RULES, OPEN_RULES, inbound.ReadingRules("exec_001", SigningKeys({}))]
)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"reason": "news", "closePositions": False},
        {"reason": 7, "closePositions": "yes"},
        {"reason": "", "closePositions": 1},
        {"executorId": "exec_002", "timestamp": "yesterday"},
    ],
    ids=str,
)
def test_an_unsigned_stop_is_always_obeyed(rules: inbound.ReadingRules, fields: dict[str, Any]) -> None:
    found = read({"type": "EMERGENCY_STOP", **fields}, rules)
    assert isinstance(found, inbound.EmergencyStop)
    assert found.reason
    assert found.close_positions is False


def test_positions_are_closed_on_a_plain_true_only() -> None:
    found = read(brain.emergency_stop("news", at=NOW, close_positions=True))
    assert found == inbound.EmergencyStop("news", True)


def test_a_stops_reason_is_made_showable() -> None:
    found = read({"type": "EMERGENCY_STOP", "reason": "a\x1b[2J\n" + "b" * 500})
    assert found.reason.isprintable()
    assert len(found.reason) <= 200


# ------------------------------------------------------------------ everything else


def test_other_messages_are_read() -> None:
    assert read(brain.cancel_command("c1", at=NOW)) == inbound.Withdraw("c1")  # type: ignore[arg-type]
    assert read(brain.subscribe(["EURUSD", "EURUSD"], at=NOW, min_interval=250)) == inbound.Subscribe(
        (Symbol("EURUSD"),), 250
    )
    assert read({"type": "SUBSCRIBE", "symbols": ["EURUSD"]}) == inbound.Subscribe((Symbol("EURUSD"),), 100)
    assert read(brain.unsubscribe(["EURUSD"], at=NOW)) == inbound.Unsubscribe((Symbol("EURUSD"),))
    assert read(brain.result_ack(["c1", "c2"], at=NOW)).command_ids == ("c1", "c2")
    assert read(brain.get_state("r1", at=NOW)) == inbound.GetState("r1")
    assert read({"type": "GET_STATE"}) == inbound.GetState(None)
    assert read(brain.heartbeat(NOW, 17)) == inbound.Heartbeat(NOW, 17)
    assert read({"type": "HEARTBEAT"}) == inbound.Heartbeat(None, None)
    assert read(brain.welcome("s_1", at=NOW, heartbeat_interval=1000)) == inbound.Welcome(
        "s_1", NOW, 1000, frozenset({"signed", "result_ack"})
    )
    assert read({"type": "WELCOME", "sessionId": "s"}) == inbound.Welcome("s", None, 5000, frozenset())


@pytest.mark.parametrize(
    "body",
    [
        {"type": "CANCEL_COMMAND"},
        {"type": "CANCEL_COMMAND", "commandId": "a b"},
        {"type": "SUBSCRIBE"},
        {"type": "SUBSCRIBE", "symbols": "EURUSD"},
        {"type": "SUBSCRIBE", "symbols": []},
        {"type": "SUBSCRIBE", "symbols": ["EURUSD"] * 1000},
        {"type": "SUBSCRIBE", "symbols": [7]},
        {"type": "SUBSCRIBE", "symbols": ["EURUSD"], "minInterval": -1},
        {"type": "UNSUBSCRIBE", "symbols": [None]},
        {"type": "RESULT_ACK", "commandIds": "c1"},
        {"type": "RESULT_ACK", "commandIds": ["a b"]},
        {"type": "GET_STATE", "requestId": 7},
        {"type": "HEARTBEAT", "timestamp": "now"},
        {"type": "HEARTBEAT", "seq": -1},
        {"type": "WELCOME"},
        {"type": "WELCOME", "sessionId": "s", "heartbeatInterval": 0},
        {"type": "WELCOME", "sessionId": "s", "capabilities": "signed"},
    ],
    ids=str,
)
def test_a_message_that_breaks_a_rule_is_refused_by_name(body: dict[str, Any]) -> None:
    assert refusal(body).code == "INVALID_MESSAGE"


def test_a_boolean_interval_is_invalid_json() -> None:
    body = {"type": "SUBSCRIBE", "symbols": ["EURUSD"], "minInterval": True}
    assert refusal(body).code == "INVALID_JSON"


def test_signing_what_needs_no_signature_does_no_harm() -> None:
    assert read(signed(brain.get_state("r1", at=NOW)), SIGNED_RULES) == inbound.GetState("r1")


_json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_fields = st.sampled_from(
    [
        "timestamp", "command", "commandId", "executorId", "account", "expiry", "priority", "strategyId", "symbols",
        "commandIds", "requestId", "reason", "closePositions", "keyId", "alg", "payload", "signature", "sessionId",
        "serverTime", "heartbeatInterval", "capabilities", "minInterval", "seq",
    ]
)  # fmt: skip
_kinds = st.sampled_from(
    [
        "TRADE_SIGNAL", "CANCEL_COMMAND", "EMERGENCY_STOP", "SUBSCRIBE", "UNSUBSCRIBE", "RESULT_ACK", "GET_STATE",
        "HEARTBEAT", "WELCOME", "SIGNED", "HELLO",
    ]
)  # fmt: skip


@given(_kinds, st.dictionaries(_fields, _json_values, max_size=6), st.booleans())
def test_any_message_is_read_or_refused_and_nothing_else(
    kind: str, fields: dict[str, Any], with_keys: bool
) -> None:
    text = json.dumps({"type": kind, **fields})
    rules = SIGNED_RULES if with_keys else OPEN_RULES
    refused = None
    try:
        reading = inbound.read_frame(text, rules, {"12345678"})
    except inbound.FrameRefused as fault:
        refused = fault
    if refused is not None:
        assert kind != "EMERGENCY_STOP" or refused.code == "INVALID_JSON"
        assert 0 < len(refused.ref) <= 64
    else:
        assert not (with_keys and isinstance(reading.message, inbound.Signal | inbound.Withdraw))


@given(st.integers(0, 2000), st.characters(exclude_categories=["Cs"]))
def test_no_change_to_a_signed_frame_makes_another_command(place: int, character: str) -> None:
    frame = signed(message())
    place %= len(frame)
    try:
        found = inbound.read_frame(frame[:place] + character + frame[place + 1 :], SIGNED_RULES, ())
    except inbound.FrameRefused:
        return
    assert found == inbound.read_frame(frame, SIGNED_RULES, ())
