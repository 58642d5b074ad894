"""Money paid in and trades closed while the engine is off, at a terminal that goes on: told apart at the next start."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .conftest import MakeWorld
from .harness import World, ask_engine, until
from .scripted_brain import Message

pytestmark = pytest.mark.processes

BUY: Message = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}


def status(world: World) -> dict[str, Any]:
    return ask_engine(world.folder, "GET", "/status")[1]


def told(world: World) -> list[str]:
    alerts = ask_engine(world.folder, "GET", "/alerts")[1]["alerts"]
    return [alert["message"] for alert in alerts if alert["code"] == "BALANCE_CHANGED"]


def test_a_deposit_while_the_engine_is_off_is_no_profit_and_a_loss_is_one(module_worlds: MakeWorld) -> None:
    world = module_worlds()
    world.start(safety={"max_daily_loss": 400})
    ticket = str(world.brain.do(BUY)["result"]["ticket"])
    world.sees_position(ticket)
    world.executor.end()
    world.hand("deposit", amount="-500.00")
    with world.still():
        world.hand("manual_close", ticket=ticket)
        world.start_executor()
        until(lambda: bool(told(world)), "the withdrawal is said")
        (message,) = told(world)
        assert "-500.00 USD" in message
        found = status(world)
        assert found["daily_profit"] is not None
        # The trade's own result and the spread, not the money that was taken out.
        assert abs(Decimal(found["daily_profit"])) < 100
        assert [row["state"] for row in found["limits"] if row["name"] == "daily_loss"] == ["ok"]
    world.executor.end()
    world.start_executor()
    assert len(told(world)) <= 1, "it is found once"
    assert abs(Decimal(status(world)["daily_profit"])) < 100
