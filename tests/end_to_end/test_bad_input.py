"""What must not get in: each rule of PROTOCOL §1 and §2.1, each code of §6 that comes before the queue, over the real wire.

Nothing malformed reaches a queue or the broker, the process lives, and the answer names the field and the rule.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from .conftest import MakeWorld
from .harness import World
from .scripted_brain import Manners, Message, ScriptedBrain, ago, outcome, stamp

pytestmark = pytest.mark.processes

BUY: Message = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}
MODIFY: Message = {"action": "MODIFY_POSITION", "ticket": 1}


@pytest.fixture(scope="module")
def world(module_worlds: MakeWorld) -> World:
    made = module_worlds()
    made.start(queue={"capacity": 5})
    return made


def refused(brain: ScriptedBrain, frame: str | bytes, *, as_text: bool = True) -> Message:
    with brain.listening() as heard:
        brain.say(frame, as_text=as_text)
        return heard("ERROR").body


GET = '{"type":"GET_STATE","requestId":%s}'
STRICT = {
    "a duplicate key": ('{"type":"GET_STATE","requestId":"a","requestId":"b"}', "duplicate key"),
    "NaN": ('{"type":"HEARTBEAT","seq":NaN}', "NaN"),
    "Infinity": ('{"type":"HEARTBEAT","seq":-Infinity}', "Infinity"),
    "an overflow": ('{"type":"HEARTBEAT","seq":1e999}', "overflows"),
    "a boolean for a number": ('{"type":"HEARTBEAT","seq":true}', "boolean"),
    "nesting deeper than 16": (GET % ("[" * 16 + "]" * 16), "16"),
    "endless nesting": (GET % ("[" * 30_000 + "]" * 30_000), "16"),
    "a lone surrogate": (GET % '"\\ud800"', "surrogate"),
    "a byte order mark": ("\ufeff" + GET % '"x"', "byte order mark"),
    "trailing text": (GET % '"x"' + "{}", "Extra data"),
    "no object": ("[1]", "object"),
    "no JSON": ("BUY EURUSD", ""),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("frame", "rule"), STRICT.values(), ids=STRICT)
def test_json_is_read_strictly(world: World, frame: str, rule: str) -> None:
    error = refused(world.brain, frame)
    assert error["code"] == "INVALID_JSON"
    assert rule in error["message"]
    assert error["ref"] == frame[:64]


def test_invalid_utf_8_and_binary_frames_are_refused(world: World) -> None:
    for frame, as_text in (
        (b'{"type":"GET_STATE","requestId":"\xff"}', True),
        (b'{"type":"GET_STATE"}', False),
    ):
        error = refused(world.brain, frame, as_text=as_text)
        assert error["code"] == "INVALID_JSON"
        assert "UTF-8" in error["message"] or "text frame" in error["message"]


def test_what_a_signature_covers_is_read_strictly_too(world: World) -> None:
    brain = world.brain
    good = json.dumps(brain.envelope(BUY, "strict-signed"))
    for payload in (
        good.replace('"volume": 0.1', '"volume": true'),
        good.replace('"volume": 0.1', '"volume": 0.1, "volume": 10'),
        good.replace('"volume": 0.1', '"volume": 1e400'),
        good + " ,",
    ):
        assert payload != good
        error = refused(brain, json.dumps(brain.sign(payload)))
        assert error["code"] == "INVALID_JSON", payload
    assert brain.acks["strict-signed"] == []


def test_types_and_sizes(world: World) -> None:
    brain = world.brain
    assert refused(brain, '{"type":"MAKE_MONEY"}')["code"] == "UNKNOWN_TYPE"
    assert "type" in refused(brain, '{"type":7}')["message"]
    assert refused(brain, '{"no":"type"}')["code"] == "UNKNOWN_TYPE"
    large = refused(brain, '{"type":"GET_STATE","requestId":"' + "x" * 65_536 + '"}')
    assert (large["code"], "65536" in large["message"]) == ("FRAME_TOO_LARGE", True)


def test_unknown_fields_are_ignored(world: World) -> None:
    assert world.brain.do(BUY | {"mood": "good"}, "unknown-field", colour="blue")["result"]["success"]


def test_signatures(world: World) -> None:
    brain = world.brain
    payload = json.dumps(brain.envelope(BUY, "forged"))
    good = brain.sign(payload)
    other = ScriptedBrain()
    for change, field in (
        ({"payload": payload.replace("0.1", "9.1")}, "signature"),
        ({"signature": other.sign(payload)["signature"]}, "signature"),
        ({"signature": good["signature"] + "=="}, "signature"),
        ({"signature": None}, "signature"),
        ({"keyId": "somebody-else"}, "keyId"),
        ({"alg": "HS256"}, "alg"),
        ({"payload": {"type": "TRADE_SIGNAL"}}, "payload"),
    ):
        error = refused(brain, json.dumps(good | change))
        assert error["code"] == "BAD_SIGNATURE", change
        assert field in error["message"], change
    unsigned = refused(brain, payload)
    assert (unsigned["code"], unsigned["ref"]) == ("SIGNATURE_REQUIRED", "forged")
    cancel = {"type": "CANCEL_COMMAND", "timestamp": stamp(), "commandId": "forged"}
    assert refused(brain, json.dumps(cancel))["code"] == "SIGNATURE_REQUIRED"
    assert brain.acks["forged"] == []


def test_the_audience(world: World) -> None:
    brain = world.brain
    for more in ({"executorId": "exec_other"}, {"executorId": None}, {"account": "99999999"}):
        error = refused(brain, brain.signed(brain.envelope(BUY, "not-ours", **more)))
        assert (error["code"], error["ref"]) == ("WRONG_AUDIENCE", "not-ours")
        assert next(iter(more)) in error["message"]
    assert brain.acks["not-ours"] == []


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "no symbol": ({"command": {**BUY, "symbol": None}}, "command.symbol"),
    "a symbol that is none": ({"command": {**BUY, "symbol": "EUR/USD; drop"}}, "command.symbol"),
    "no volume": ({"command": {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY"}}, "command.volume"),
    "a negative volume": ({"command": {**BUY, "volume": -0.1}}, "command.volume"),
    "a volume of zero": ({"command": {**BUY, "volume": 0}}, "command.volume"),
    "a volume in words": ({"command": {**BUY, "volume": "0.1"}}, "command.volume"),
    "a side that is none": ({"command": {**BUY, "type": "LONG"}}, "command.type"),
    "a negative stop loss": ({"command": {**BUY, "stopLoss": -1}}, "command.stopLoss"),
    "a comment that is too long": ({"command": {**BUY, "comment": "x" * 65}}, "command.comment"),
    "control characters": ({"command": {**BUY, "comment": "a\u0007b"}}, "command.comment"),
    "no ticket": ({"command": {"action": "CLOSE_POSITION"}}, "command.ticket"),
    "a ticket in fractions": ({"command": {"action": "CLOSE_POSITION", "ticket": 1.5}}, "command.ticket"),
    "a null stop": ({"command": {**MODIFY, "stopLoss": None}}, "command.stopLoss"),
    "no price": (
        {"command": {"action": "PLACE_ORDER", "symbol": "EURUSD", "type": "BUY_LIMIT", "volume": 1}}, "command.price",
    ),
    "an expiry that is too long": ({"expiry": 60_001}, "expiry"),
    "an expiry of zero": ({"expiry": 0}, "expiry"),
    "a priority that is none": ({"priority": "URGENT"}, "priority"),
    "a time with an offset": ({"timestamp": "2026-01-01T00:00:00+02:00"}, "timestamp"),
    "no time": ({"timestamp": None}, "timestamp"),
    "no command": ({"command": "BUY"}, "command"),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_command_is_refused_under_its_id(world: World, case: str) -> None:
    changes, field = INVALID[case]
    command_id = f"invalid-{list(INVALID).index(case)}"
    ack = world.brain.end_of(world.brain.order(BUY, command_id, **changes))
    assert (ack["status"], ack["code"]) == ("REJECTED", "INVALID_COMMAND")
    assert ack["message"].startswith(field), ack["message"]
    assert len(ack["message"]) > len(field) + 5
    assert world.brain.results[command_id] == []


def test_a_bad_command_id_is_named_after_its_frame(world: World) -> None:
    with world.brain.listening() as heard:
        world.brain.say(world.brain.signed(world.brain.envelope(BUY, "spaces are not allowed")))
        ack = heard("COMMAND_ACK")
    assert (ack["code"], ack["commandId"][:7]) == ("INVALID_COMMAND", "sha256:")
    assert ack["message"].startswith("commandId")


def test_codes_of_the_acknowledgement(world: World) -> None:
    brain = world.brain
    assert outcome(brain.do({"action": "DANCE"})) == "turned away UNKNOWN_ACTION"
    old = brain.do(BUY, timestamp=ago(12), expiry=10_000)
    assert (old["code"], "expiry" in old["message"]) == ("EXPIRED", True)
    early = brain.do(BUY, timestamp=ago(-30))
    assert (early["code"], "timestamp" in early["message"]) == ("FROM_THE_FUTURE", True)


def test_a_known_id_with_other_content_is_a_conflict_and_an_alert(world: World) -> None:
    brain = world.brain
    brain.do(BUY, "conflict-1")
    with brain.listening() as heard:
        brain.order({**BUY, "volume": 0.2}, "conflict-1")
        assert brain.acked("conflict-1", nth=2)["code"] == "ID_CONFLICT"
        assert heard("ALERT")["code"] == "ID_CONFLICT"
    [deal] = world.ledger("conflict-1")
    assert deal["volume"] == Decimal("0.1")


def test_a_full_queue_is_said(world: World) -> None:
    brain = world.brain
    world.hand("add_fault", spec="slow:ms=1500,cmd=open,times=1")
    ids = [brain.order({**BUY, "symbol": "GBPUSD", "volume": 0.01 * n}) for n in range(1, 10)]
    ends = [outcome(end) for end in brain.ends_of(ids).values()]
    assert ends == ["EXECUTED"] * 6 + ["turned away QUEUE_FULL"] * 3


def test_a_pause_refuses_entries_and_lets_exits_pass(world: World) -> None:
    brain = world.brain
    ticket = brain.do(BUY)["result"]["ticket"]
    assert world.medulla("pause").returncode == 0
    assert outcome(brain.do(BUY)) == "turned away REDUCE_ONLY"
    assert outcome(brain.do({"action": "CLOSE_POSITION", "ticket": ticket})) == "EXECUTED"
    assert world.medulla("resume").returncode == 0
    assert outcome(brain.do(BUY)) == "EXECUTED"


def test_a_clock_that_is_off_refuses_entries_alone(world: World) -> None:
    brain = world.brain
    ticket = brain.do(BUY)["result"]["ticket"]
    try:
        brain.ahead = 30.0
        with brain.reconnection():
            brain.hang_up()
        assert outcome(brain.do(BUY, timestamp=ago(-30))) == "turned away CLOCK_SKEW"
        close = {"action": "CLOSE_POSITION", "ticket": ticket}
        assert outcome(brain.do(close, timestamp=ago(-30))) == "EXECUTED"
    finally:
        brain.ahead = 0.0
        with brain.reconnection():
            brain.hang_up()
    assert outcome(brain.do(BUY)) == "EXECUTED"


def test_after_all_of_this_only_good_commands_are_in_the_books(world: World) -> None:
    """Runs last: what was refused before the journal is in no book, what was turned away is at no broker."""
    assert world.executor.alive
    good = {name for name in world.brain.acks if world.brain.final(name) and world.brain.results[name]}
    assert {line["cid"] for line in world.ledger()} <= good
    journal = world.journal()
    for name in ("strict-signed", "forged", "not-ours"):
        assert name not in journal
        assert world.ledger(name) == []
    for name, acks in world.brain.acks.items():
        if acks and acks[0]["status"] == "REJECTED":
            assert (journal[name]["state"], journal[name]["code"]) == ("TURNED_AWAY", acks[0]["code"])
    assert world.brain.sessions <= 3, "no bad frame costs the connection; the test of the clock takes two"


def test_without_keys_an_account_that_is_not_served_is_unknown(make_world: MakeWorld) -> None:
    world = make_world(Manners())
    world.start(unsigned=True, safety={"max_orders_per_second": 3})
    brain = world.brain
    brain.say(brain.envelope(BUY, "whose", account="99999999"))
    assert brain.end_of("whose")["code"] == "UNKNOWN_ACCOUNT"
    brain.say(brain.envelope(BUY, "ours", account="50012345"))
    assert outcome(brain.end_of("ours")) == "EXECUTED"
    ids = [f"quick-{n}" for n in range(8)]
    for name in ids:
        brain.say(brain.envelope(BUY, name))
    ends = [outcome(end) for end in brain.ends_of(ids).values()]
    assert set(ends) == {"EXECUTED", "turned away RATE_LIMITED"}
    world.executor.end()
    world.terminal.kill()
    with brain.reconnection():
        world.start_executor(ready=False)
    brain.say(brain.envelope(BUY, "too-early"))
    assert brain.end_of("too-early")["code"] == "NOT_READY"
