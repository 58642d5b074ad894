"""It always stops: from every place there is, with parts of the system frozen or dead, and it stays stopped over a restart.

Each test begins with trading active and a pending order, and ends with the two-step reset. Nothing from before a stop ever runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import MakeWorld
from .harness import World, trading_state, until
from .scripted_brain import Message, outcome, stamp

pytestmark = pytest.mark.processes

BUY: Message = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}
PENDING: Message = {
    "action": "PLACE_ORDER", "symbol": "EURUSD", "type": "BUY_LIMIT", "volume": 0.10, "price": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def running(module_worlds: MakeWorld) -> World:
    made = module_worlds()
    made.start()
    return made


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """Active before and after the test."""
    assert trading_state(running.folder) == "ACTIVE"
    yield running
    running.hand("clear_faults")
    running.release()
    assert outcome(running.brain.do(BUY)) == "EXECUTED", "trading goes on after reset and resume"


def stop(world: World, *options: str) -> tuple[int, dict[str, Any]]:
    done = world.medulla("stop", "--reason", "end to end", "--json", *options)
    return done.returncode, json.loads(done.stdout)


def is_cancelled(world: World, ticket: int) -> bool:
    return any(line["effect"] == "order_cancelled" and line["ticket"] == ticket for line in world.ledger())


def queue_behind_a_slow_trade(world: World) -> list[str]:
    """One command at the terminal, three behind it, all acknowledged."""
    world.hand("add_fault", spec="slow:ms=4000,cmd=open,times=1")
    ids = [world.brain.order({**BUY, "volume": 0.01 * n}) for n in range(1, 5)]
    for name in ids:
        world.brain.acked(name)
    return ids[1:]


def test_the_command_line_stops_a_living_engine_and_proves_it(world: World) -> None:
    brain = world.brain
    pending = brain.do(PENDING)["result"]["ticket"]
    position = brain.do(BUY)["result"]["ticket"]
    waiting = queue_behind_a_slow_trade(world)
    with brain.listening() as heard:
        code, receipt = stop(world)
        assert (code, receipt["latched"], receipt["stop_file"]) == (0, True, False)
        halted = heard("TRADING_STATE", lambda m: m["tradingState"] == "HALTED")
        assert (halted["by"], "end to end" in halted["reason"]) == ("operator", True)
    for name in waiting:
        assert outcome(brain.end_of(name)) == "STOPPED STOPPED"
        assert world.ledger(name) == []
    until(lambda: is_cancelled(world, pending), "the pending order is cancelled")
    positions = [p["ticket"] for p in world.hand("state")["positions"]]
    assert str(position) in positions, "positions are left alone unless configured otherwise"
    until(lambda: "terminal acknowledged" in stop(world)[1]["proofs"], "the proof of the terminal")
    assert outcome(brain.do(BUY)) == "turned away HALTED"
    assert outcome(brain.do({"action": "CLOSE_POSITION", "ticket": position})) == "turned away HALTED"
    _still_halted_after_a_restart(world)
    world.reset_and_resume()
    brain.send_again(waiting)
    for name in waiting:
        assert brain.acked(name, nth=2)["status"] == "DUPLICATE"
    assert outcome(brain.do(BUY)) == "EXECUTED"
    for name in waiting:
        assert world.ledger(name) == []
    assert stop(world)[0] == 0


def _still_halted_after_a_restart(world: World) -> None:
    world.executor.kill()
    with world.brain.listening() as heard, world.brain.reconnection():
        world.start_executor()
        hello = heard("HELLO")
    assert hello["tradingState"] == "HALTED"
    assert trading_state(world.folder) == "HALTED"
    assert outcome(world.brain.do(BUY)) == "turned away HALTED"


def test_a_frozen_engine_is_stopped_behind_its_back(world: World) -> None:
    """SIGSTOP: not even the engine's stop thread runs. The stop goes to the terminal and lies in a file."""
    pending = world.brain.do(PENDING)["result"]["ticket"]
    world.executor.freeze()
    try:
        code, receipt = stop(world)
        assert (code, receipt["latched"]) == (0, False), "nobody claims what the engine did not say"
        assert (receipt["terminal_acknowledged"], receipt["stop_file"]) == (True, True)
        assert world.stop_file.exists()
        assert world.hand("state")["stopped"] is True
        assert is_cancelled(world, pending)
    finally:
        world.executor.thaw()
    until(lambda: trading_state(world.folder) == "HALTED", "the thawed engine sees the stop file")
    assert outcome(world.brain.do(BUY)) == "turned away HALTED"


def test_with_engine_and_terminal_frozen_the_receipt_says_what_is_not_proved(world: World) -> None:
    world.executor.freeze()
    world.terminal.freeze()
    try:
        code, receipt = stop(world)
        assert code == 1, "not proved is not done"
        assert (receipt["latched"], receipt["terminal_acknowledged"], receipt["stop_file"]) == (
            False,
            False,
            True,
        )
        assert any("Algo Trading" in line for line in receipt["todo"])
    finally:
        world.terminal.thaw()
        world.executor.thaw()
    until(lambda: trading_state(world.folder) == "HALTED", "the thawed engine sees the stop file")
    until(lambda: world.hand("state")["stopped"] is True, "the thawed terminal is told")


def test_a_stop_file_made_by_hand_stops_and_holds(world: World) -> None:
    world.stop_file.write_text("the accountant says so")
    halted = world.executor.said("stopped", where=lambda line: "accountant" in line["reason"])
    assert halted["by"] == "operator"
    assert trading_state(world.folder) == "HALTED"
    assert world.hand("state")["stopped"] is True


def test_the_button_at_the_terminal_stops_the_engine(world: World) -> None:
    with world.brain.listening() as heard:
        world.hand("press_stop", reason="the trader pressed it")
        state = heard("TRADING_STATE", lambda m: m["tradingState"] == "HALTED")
    assert "the trader pressed it" in state["reason"]
    assert outcome(world.brain.do(BUY)) == "turned away HALTED"


def test_an_engine_that_starts_after_a_stop_is_halted(world: World) -> None:
    """No engine runs: the stop lies in a file and at the terminal until one does."""
    assert world.executor.end() == 0
    code, receipt = stop(world)
    assert (code, receipt["latched"], receipt["stop_file"]) == (0, False, True)
    assert receipt["terminal_acknowledged"] is True
    with world.brain.reconnection():
        world.start_executor()
    until(lambda: trading_state(world.folder) == "HALTED", "halted by the stop file")


def test_a_stop_is_heard_through_a_flood_of_the_brain(world: World) -> None:
    brain = world.brain
    with brain.listening() as heard:
        ids = [brain.order(BUY) for _ in range(300)]
        brain.say(
            {"type": "EMERGENCY_STOP", "timestamp": stamp(), "reason": "in the flood", "closePositions": True}
        )
        ids += [brain.order(BUY) for _ in range(100)]
        heard("TRADING_STATE", lambda m: m["tradingState"] == "HALTED")
    ends = brain.ends_of(ids)
    stopped = [name for name, end in ends.items() if outcome(end) != "EXECUTED"]
    assert set(ids[300:]) <= set(stopped)
    assert {outcome(ends[name]) for name in stopped} <= {"STOPPED STOPPED", "turned away HALTED"}
    for name in stopped:
        assert world.ledger(name) == []
    # Unsigned, it stops but closes nothing: to close positions is to trade.
    assert world.hand("state")["positions"] != []
