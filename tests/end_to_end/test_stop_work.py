"""What follows a stop over real processes: a shut market, a terminal and an engine that restart, a broker that refuses.

Counted at the terminal, never from what the executor says of itself.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import MakeWorld
from .harness import World, ask_engine, until
from .scripted_brain import Message, outcome

pytestmark = pytest.mark.processes

BUY: Message = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}
PENDING: Message = {
    "action": "PLACE_ORDER", "symbol": "EURUSD", "type": "BUY_LIMIT", "volume": 0.10, "price": 1.0,
}  # fmt: skip


def stop(world: World, *options: str) -> dict[str, Any]:
    done = world.medulla("stop", "--reason", "end to end", "--json", *options)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def positions(world: World) -> set[str]:
    return {item["ticket"] for item in world.hand("state")["positions"]}


def receipt(world: World) -> dict[str, Any]:
    """As it stands now, without pressing again."""
    code, found = ask_engine(world.folder, "GET", "/stop-receipt")
    return found if code == 200 else {"todo": [], "proofs": [], "steps": []}


def test_a_stop_that_closes_ends_flat_however_the_broker_resists(module_worlds: MakeWorld) -> None:
    world = module_worlds()
    world.start()
    brain = world.brain
    ours = {str(brain.do(BUY)["result"]["ticket"]) for _ in range(2)}
    pending = str(brain.do(PENDING)["result"]["ticket"])
    foreign = str(world.hand("manual_open", symbol="EURUSD", side="BUY", volume="0.30")["position"])
    world.hand("session", symbol="EURUSD", open=False)
    first = stop(world, "--close-positions")
    assert first["latched"]
    assert first["steps"][0]["how"].startswith("latched: end to end")
    assert positions(world) == {*ours, foreign}, "nothing can be closed while the market is shut"
    until(lambda: len(receipt(world)["todo"]) >= 2, "what a person must do by hand")
    told = " ".join(receipt(world)["todo"])
    for ticket in ours:
        assert f"#{ticket}" in told
    assert f"#{foreign}" not in told

    world.hand("restart")
    until(lambda: ask_engine(world.folder, "GET", "/status")[1]["ready"] is True, "the terminal is back")
    world.executor.kill()
    world.start_executor()
    until(
        lambda: any(f"#{ticket}" in " ".join(receipt(world)["todo"]) for ticket in ours), "the story goes on"
    )
    assert receipt(world)["steps"][0]["how"].startswith("latched: ")

    world.hand("add_fault", spec="retcode:code=10019,cmd=close,times=1")
    world.hand("add_fault", spec="requote:cmd=close,times=2")
    world.hand("session", symbol="EURUSD", open=True)
    until(lambda: positions(world) == {foreign}, "flat but for what is not ours", timeout=90)
    until(lambda: receipt(world)["todo"] == [], "everything is proved", timeout=30)
    assert world.hand("state")["orders"] == 0
    assert any(line.startswith("no position of ours is open") for line in receipt(world)["proofs"])
    for ticket in ours:
        closes = [
            line
            for line in world.ledger()
            if line["effect"] == "deal" and line.get("position") == int(ticket)
        ]
        assert len(closes) <= 2, "opened once, closed once"
    cancels = [line for line in world.ledger() if line["effect"] == "order_cancelled"]
    assert [str(line["ticket"]) for line in cancels] == [pending]
    world.release()
    assert outcome(brain.do(BUY)) == "EXECUTED"
