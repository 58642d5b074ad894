"""A working day in a minute: every action and every way a command can end, then three books are held against each other.

What the terminal did, what the journal wrote and what the brain was told must be the same, command by command.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from app.cli.demo_audit import duplicates

from .conftest import MakeWorld
from .harness import World, until
from .scripted_brain import Message, ago, outcome, stamp

pytestmark = pytest.mark.processes

FAR = {"EURUSD": ("0.90000", "1.30000"), "GBPUSD": ("1.00000", "1.60000"), "XAUUSD": ("1500.00", "3500.00")}
"""Prices that the market does not come near: below, above."""


def market(symbol: str, side: str, volume: float, **more: Any) -> Message:
    return {"action": "OPEN_POSITION", "symbol": symbol, "type": side, "volume": volume, **more}


def close(ticket: int, **more: Any) -> Message:
    return {"action": "CLOSE_POSITION", "ticket": ticket, **more}


def test_ledger_journal_and_brain_agree_command_by_command(make_world: MakeWorld) -> None:
    world = make_world()
    world.start(terminal=["--balance", "1000000"], terminal_settings={"answer_timeout": 1.0})
    told: dict[str, Message] = {}
    day = _Day(world, told)
    rng = random.Random(20261121)
    for _ in range(3):
        day.trade_and_change(rng)
    day.pendings()
    day.refusals()
    day.in_the_queue()
    day.at_the_broker()
    day.close_all()
    assert len(told) > 70
    assert world.executor.end() == 0
    world.terminal.end()
    assert set(day.seen) >= {
        "EXECUTED", "PARTIAL", "REJECTED VOLUME_STEP", "REJECTED VOLUME_TOO_LARGE", "REJECTED INVALID_STOPS",
        "REJECTED NOT_FOUND", "REJECTED MARKET_CLOSED", "REJECTED SYMBOL_NOT_ALLOWED", "REJECTED BROKER_REJECTED",
        "EXPIRED EXPIRED", "WITHDRAWN WITHDRAWN", "turned away EXPIRED", "turned away UNKNOWN_ACTION",
        "turned away INVALID_COMMAND",
    }  # fmt: skip
    _hold_the_books_together(world, told)


def _hold_the_books_together(world: World, told: dict[str, Message]) -> None:
    journal, ledger = world.journal(), world.ledger()
    assert duplicates(ledger) == 0
    assert set(journal) == set(told)
    acted = Counter(line["cid"] for line in ledger if line["cid"] is not None)
    assert set(acted) <= set(told)
    for command_id, end in told.items():
        row = journal[command_id]
        where = f"{command_id}: {outcome(end)} / {row['state']} / {world.ledger(command_id)}"
        assert row["final"], where
        if end["type"] == "COMMAND_ACK":
            assert (row["state"], row["code"]) == ("TURNED_AWAY", end["code"]), where
            assert acted[command_id] == 0, where
            continue
        result = end["result"]
        assert row["outcome"] == result["outcome"], where
        assert row["code"] == result["code"], where
        assert row["result_ticket"] == (None if result["ticket"] is None else str(result["ticket"])), where
        assert _number(row["price"]) == _number(result["openPrice"]), where
        if not result["success"]:
            assert acted[command_id] == 0, where
            continue
        _agrees_with_the_ledger(world.ledger(command_id), result, row, where)


def _agrees_with_the_ledger(effects: list[dict[str, Any]], result: Message, row: Any, where: str) -> None:
    match row["action"]:
        case "OPEN_POSITION":
            [deal] = effects
            assert (deal["effect"], deal["entry"], deal["ticket"]) == ("deal", "in", result["ticket"]), where
            assert (deal["volume"], deal["price"]) == (result["volume"], result["openPrice"]), where
        case "CLOSE_POSITION":
            [deal] = effects
            assert (deal["effect"], deal["entry"], deal["ticket"]) == ("deal", "out", result["ticket"]), where
            assert (deal["volume"], deal["price"]) == (result["volume"], result["openPrice"]), where
        case "CLOSE_ALL":
            done = [detail for detail in result.get("details", []) if detail["outcome"] == "EXECUTED"]
            assert {e["ticket"]: e["volume"] for e in effects} == {d["ticket"]: d["volume"] for d in done}, (
                where
            )
        case action:
            effect = {
                "PLACE_ORDER": "order_placed", "CANCEL_ORDER": "order_cancelled",
                "MODIFY_ORDER": "order_modified", "MODIFY_POSITION": "position_modified",
            }[action]  # fmt: skip
            assert [(e["effect"], e["ticket"]) for e in effects] == [(effect, result["ticket"])], where


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


class _Day:
    """What the brain does; every end is kept."""

    def __init__(self, world: World, told: dict[str, Message]) -> None:
        self._world = world
        self._brain = world.brain
        self._told = told

    @property
    def seen(self) -> Counter[str]:
        return Counter(outcome(end) for end in self._told.values())

    def _do(self, action: Message, **more: Any) -> Message:
        return self._end(self._brain.order(action, **more))

    def _end(self, command_id: str) -> Message:
        self._told[command_id] = self._brain.end_of(command_id)
        return self._told[command_id]

    def _open(self, *order: Any, **more: Any) -> int:
        end = self._do(market(*order, **more))
        assert end["result"]["success"], end
        ticket: int = end["result"]["ticket"]
        return ticket

    def trade_and_change(self, rng: random.Random) -> None:
        for symbol, (below, above) in FAR.items():
            side = rng.choice(("BUY", "SELL"))
            stop_loss, take_profit = (below, above) if side == "BUY" else (above, below)
            ticket = self._open(symbol, side, 0.4, stopLoss=float(stop_loss))
            self._do({"action": "MODIFY_POSITION", "ticket": ticket, "takeProfit": float(take_profit)})
            self._do({"action": "MODIFY_POSITION", "ticket": ticket, "stopLoss": 0})
            self._do(close(ticket, volume=0.1), priority="HIGH")
            self._do(close(ticket, volume=0.1))
            if rng.random() < 0.6:
                self._do(close(ticket))
                assert outcome(self._do(close(ticket))) == "REJECTED NOT_FOUND"

    def pendings(self) -> None:
        for kind, price, other in (
            ("BUY_LIMIT", 1.00, 1.01), ("SELL_LIMIT", 1.25, 1.24), ("BUY_STOP", 1.25, 1.26), ("SELL_STOP", 1.00, 0.99),
        ):  # fmt: skip
            placed = self._do({
                "action": "PLACE_ORDER", "symbol": "EURUSD", "type": kind, "volume": 0.03, "price": price,
            })  # fmt: skip
            ticket = placed["result"]["ticket"]
            self._do({"action": "MODIFY_ORDER", "ticket": ticket, "price": other})
            if kind != "BUY_LIMIT":
                self._do({"action": "CANCEL_ORDER", "ticket": ticket})
        assert outcome(self._do({"action": "CANCEL_ORDER", "ticket": 999999999})) == "REJECTED NOT_FOUND"

    def refusals(self) -> None:
        self._do(market("EURUSD", "BUY", 0.015))
        self._do(market("EURUSD", "BUY", 1000))
        self._do(market("EURUSD", "BUY", 0.1, stopLoss=1.5))
        self._do(market("CLOSED.x", "BUY", 1))
        self._do(market("NOBODY", "BUY", 1))
        self._do(market("EURUSD", "BUY", 0.1), timestamp=ago(20), expiry=5000)
        self._do({"action": "GET_RICH", "symbol": "EURUSD"})
        self._do(market("EURUSD", "BUY", -1))

    def in_the_queue(self) -> None:
        """While the terminal is busy with one, others expire or are withdrawn."""
        self._world.hand("add_fault", spec="slow:ms=900,cmd=open,times=1")
        busy = self._brain.order(market("EURUSD", "SELL", 0.05))
        expires = [self._brain.order(market("EURUSD", "BUY", 0.05), expiry=400) for _ in range(3)]
        taken_back = self._brain.order(market("EURUSD", "BUY", 0.06))
        exits_first = self._brain.order(market("EURUSD", "BUY", 0.07))
        self._brain.acked(taken_back)
        self._brain.say(self._brain.signed({
            "type": "CANCEL_COMMAND", "timestamp": stamp(), "commandId": taken_back,
            "executorId": self._brain.executor_id,
        }))  # fmt: skip
        for command_id in (*expires, taken_back, busy, exits_first):
            self._end(command_id)

    def at_the_broker(self) -> None:
        for spec, wanted in (
            ("partial:fraction=0.5,cmd=open,times=1", "PARTIAL"),
            ("retcode:code=10006,cmd=open,times=1", "REJECTED BROKER_REJECTED"),
            ("requote:cmd=open,times=1", "EXECUTED"),
            ("slippage:points=7,cmd=open,times=1", "EXECUTED"),
            ("duplicate:cmd=open,times=1", "EXECUTED"),
            ("reply_lost:cmd=open,times=1", "EXECUTED"),
            ("retcode:code=10012,executed=true,cmd=open,times=1", "EXECUTED"),
        ):
            self._world.hand("add_fault", spec=spec)
            end = self._do(market("GBPUSD", "BUY", 0.20))
            assert outcome(end) == wanted, (spec, end)
            self._world.hand("clear_faults")
        lost = [name for name, results in self._brain.results.items() if len(results) > 1]
        for name in lost:
            assert [r["result"]["outcome"] for r in self._brain.results[name]] == ["UNKNOWN", "EXECUTED"]
            assert self._brain.results[name][1]["result"]["reconciled"] is True
        assert len(lost) == 2

    def close_all(self) -> None:
        self._open("XAUUSD", "BUY", 0.1)
        self._do({"action": "CLOSE_ALL", "symbol": "XAUUSD"})
        self._do({"action": "CLOSE_ALL", "symbol": "XAUUSD"})
        end = self._do({"action": "CLOSE_ALL"})
        assert all(detail["outcome"] == "EXECUTED" for detail in end["result"].get("details", []))
        until(lambda: self._world.hand("state")["positions"] == [], "every position is closed")
