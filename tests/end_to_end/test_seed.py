"""The very first message that was ever written down for this system works as it stands, with a brain that knows nothing else.

No id, no signature, no WELCOME, no acknowledgements: the plain mode of PROTOCOL §3 with `brain.allow_unsigned`.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal

import pytest

from .conftest import MakeWorld
from .harness import World, until
from .scripted_brain import Manners, stamp

pytestmark = pytest.mark.processes

SEED = """{
  "type": "TRADE_SIGNAL",
  "timestamp": "2024-01-01T00:00:00Z",
  "command": {
    "action": "OPEN_POSITION",
    "symbol": "EURUSD",
    "type": "BUY",
    "volume": 0.01,
    "stopLoss": 1.0950,
    "takeProfit": 1.1050,
    "magicNumber": 123456,
    "comment": "AI_Strategy_001"
  },
  "priority": "HIGH",
  "expiry": 5000,
  "strategyId": "str_abc123"
}"""
"""The first document's own text; only the time is made fresh."""


def fresh_seed() -> str:
    return SEED.replace("2024-01-01T00:00:00Z", stamp())


def id_of(frame: str) -> str:
    """PROTOCOL §4.1: a command without an id is named after its frame."""
    return "sha256:" + hashlib.sha256(frame.encode()).hexdigest()[:40]


@pytest.fixture(scope="module")
def world(module_worlds: MakeWorld) -> World:
    made = module_worlds(Manners(welcome=False, acknowledge_results=False))
    made.start(unsigned=True, terminal=("--tick-rate", "0"))
    # The seed's prices are of 2024: its market lies between its stop loss and its take profit.
    made.hand("set_price", symbol="EURUSD", bid="1.10010", ask="1.10018")
    return made


def test_without_a_welcome_the_executor_goes_on_and_sends_its_state(world: World) -> None:
    kinds = [heard["type"] for heard in world.brain.messages]
    assert kinds[:2] == ["HELLO", "STATE"]
    assert "HEARTBEAT" not in kinds


def test_the_seeds_signal_is_traded_and_answered_with_the_seeds_fields(world: World) -> None:
    frame = fresh_seed()
    world.brain.say(frame)
    end = world.brain.end_of(id_of(frame))
    assert {"type", "timestamp", "result", "commandId", "executorId"} <= set(end)
    result = end["result"]
    assert (result["success"], result["openPrice"]) == (True, Decimal("1.10018"))
    assert isinstance(result["ticket"], int)
    assert isinstance(result["executionTime"], int)
    assert isinstance(result["slippage"], int | Decimal)
    assert (end["strategyId"], end["executorId"]) == ("str_abc123", "exec_e2e")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,}Z", end["timestamp"])
    [deal] = world.ledger(id_of(frame))
    assert (deal["side"], deal["volume"], deal["magic"]) == ("BUY", Decimal("0.01"), "123456")
    [position] = [p for p in world.hand("state")["positions"] if p["ticket"] == str(result["ticket"])]
    assert (Decimal(position["sl"]), Decimal(position["tp"])) == (Decimal("1.0950"), Decimal("1.1050"))


def test_the_identical_frame_is_the_same_command_and_another_moment_is_another(world: World) -> None:
    brain, frame = world.brain, fresh_seed()
    brain.say(frame)
    brain.end_of(id_of(frame))
    brain.say(frame)
    brain.wait(lambda: len(brain.results[id_of(frame)]) == 2, "the stored result again")
    assert [ack["status"] for ack in brain.acks[id_of(frame)]] == ["ACCEPTED", "DUPLICATE"]
    assert len(world.ledger(id_of(frame))) == 1
    before = len(world.ledger())
    other = frame.replace('"HIGH"', '"LOW"')
    brain.say(other)
    assert brain.end_of(id_of(other))["result"]["success"] is True
    assert len(world.ledger()) == before + 1


def test_the_seeds_signal_as_it_stands_has_expired_long_ago(world: World) -> None:
    world.brain.say(SEED)
    assert world.brain.end_of(id_of(SEED))["code"] == "EXPIRED"
    assert world.ledger(id_of(SEED)) == []


def test_a_pong_counts_as_receipt_so_nothing_is_sent_twice(world: World) -> None:
    brain, frame = world.brain, fresh_seed()
    brain.say(frame)
    brain.end_of(id_of(frame))
    until(lambda: world.waiting_results() == 0, "the pong after the result confirms it")
    after, session = brain.mark(), brain.sessions
    brain.hang_up()
    brain.heard("HELLO", lambda m: m.session > session, after=after)
    # A question ends the wait for a WELCOME; what is owed is sent before its answer.
    brain.say({"type": "GET_STATE", "timestamp": stamp(), "requestId": "after"})
    brain.heard("STATE", lambda m: m["requestId"] == "after")
    assert [m for m in brain.messages[after:] if m["type"] == "EXECUTION_RESULT"] == []
