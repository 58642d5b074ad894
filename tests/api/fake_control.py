"""An engine that only remembers what it was asked: EngineControl without a market, scripted by the test that owns it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.command_record import CommandRecord
from app.domain.commands import Action
from app.domain.events import EquitySampled
from app.domain.limit_changes import LimitChange, compare
from app.domain.limits import SafetyLimits
from app.domain.market import Account, AccountMode, MarginMode, PendingOrder, Permissions, Position, Quote
from app.domain.results import CommandResult, Outcome
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId, Magic, OrderKind, Price, Side, Symbol, Ticket, Volume
from app.engine.broker import LinkState
from app.engine.control import Refused
from app.engine.ports import JournalRow
from app.engine.snapshots import (
    CommandView,
    Counters,
    EngineSnapshot,
    LatencyView,
    LimitView,
    LinkView,
    StopReceipt,
    TargetView,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BIG_TICKET = 2**63 + 1
WORD = "amber"


def position(ticket: int = 5001, volume: str = "0.10") -> Position:
    return Position(
        Ticket(ticket),
        Ticket(ticket),
        Symbol("EURUSD"),
        Side.BUY,
        Volume(volume),
        Price("1.10500"),
        None,
        Price("1.11000"),
        Decimal("-0.12"),
        Decimal("3.40"),
        Magic(7),
        "tag",
        NOON,
    )


def command_view(command_id: str, state: str = "EXECUTED") -> CommandView:
    result = CommandResult(
        CommandId(command_id),
        Outcome.EXECUTED,
        12,
        Ticket(BIG_TICKET),
        Price("1.10500"),
        volume=Decimal("0.10"),
    )
    return CommandView(
        command_id,
        "OPEN_POSITION",
        "EURUSD",
        None,
        Decimal("0.10"),
        "BUY",
        "HIGH",
        None,
        state,
        NOON,
        0.4,
        9.5,
        10.1,
        result,
    )


def snapshot() -> EngineSnapshot:
    order = PendingOrder(
        Ticket(6001),
        Symbol("EURUSD"),
        OrderKind.BUY_LIMIT,
        Volume("0.20"),
        Price("1.09"),
        None,
        None,
        None,
        None,
        Magic(7),
        "tag",
        NOON,
    )
    money = Decimal("10000.00")
    return EngineSnapshot(
        at=NOON,
        executor_id="exec_001",
        version="0.1.0",
        ready=True,
        status=TradingStatus(TradingState.ACTIVE, 7, "started", Actor.OPERATOR, NOON),
        links=(
            LinkView("terminal", LinkState.UP, "connected", 0.4),
            LinkView("brain", LinkState.DOWN, "no url", None),
        ),
        account=Account(
            "123",
            "Demo",
            "USD",
            AccountMode.DEMO,
            MarginMode.HEDGING,
            100,
            money,
            Decimal(0),
            money,
            Decimal(0),
            money,
        ),
        permissions=Permissions(terminal_trade_allowed=False),
        daily_profit=Decimal("12.30"),
        positions=(position(),),
        orders=(order,),
        quotes=(Quote(Symbol("EURUSD"), Price("1.10500"), Price("1.10510"), NOON),),
        commands=(command_view("c-2"), command_view("c-1")),
        queue_depth=0,
        unknown_commands=(),
        limits=(LimitView("max_daily_loss", Decimal(20), Decimal(100), "ok", "loss of the day"),),
        latencies=(LatencyView("total", 2, 1.0, 2.0, 3.0),),
        counters=Counters(2, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0),
        unsigned_allowed=False,
    )


class HeldJournal:
    """A journal whose readers wait while it is held."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.waiting = asyncio.Event()

    async def _wait(self) -> None:
        self.waiting.set()
        await self.free.wait()

    async def command(self, command_id: CommandId) -> CommandRecord | None:
        await self._wait()
        return CommandRecord(command_id, "f" * 64, None, NOON, 7) if command_id == "c-1" else None

    async def rows(
        self, *, after: int = 0, limit: int = 500, command_id: CommandId | None = None
    ) -> tuple[JournalRow, ...]:
        await self._wait()
        every = [
            JournalRow(seq, NOON, "CommandReceived", "c-1", {"volume": Decimal("0.10"), "seq": seq}, "0" * 64)
            for seq in range(1, 4)
        ]
        return tuple(row for row in every if row.seq > after)[:limit]

    async def equity_since(self, account: str, since: datetime) -> tuple[EquitySampled, ...]:
        await self._wait()
        every = [
            EquitySampled(
                at=NOON - timedelta(hours=ago),
                account=account,
                broker_day="2026-11-20",
                balance=Decimal(10_000),
                equity=Decimal(10_000 - ago),
                day_start_equity=Decimal(10_000),
                peak_equity=Decimal(10_100),
                deposits=Decimal(0),
            )
            for ago in (30, 3, 1)
        ]
        return tuple(sample for sample in every if sample.at >= since)


class FakeControl:
    """`asked` is every request with its arguments, in order; `now` is what it shows."""

    def __init__(self) -> None:
        self.now = snapshot()
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.refusal: Refused | Exception | None = None
        self.receipt: StopReceipt | None = None
        self.limits = SafetyLimits()
        self.held = HeldJournal()
        self._changes: set[asyncio.Queue[frozenset[str] | None]] = set()
        self.followed = asyncio.Event()

    @property
    def journal(self) -> Any:
        return self.held

    def snapshot(self) -> EngineSnapshot:
        return self.now

    def change(self, **fields: Any) -> None:
        """The picture changes, a second later."""
        self.now = replace(self.now, at=self.now.at + timedelta(seconds=1), **fields)
        for queue in self._changes:
            queue.put_nowait(frozenset(fields))

    def end(self) -> None:
        for queue in self._changes:
            queue.put_nowait(None)

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        queue: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
        self._changes.add(queue)
        self.followed.set()
        try:
            while (names := await queue.get()) is not None:
                yield names
        finally:
            self._changes.discard(queue)

    def _note(self, name: str, **arguments: Any) -> None:
        self.asked.append((name, arguments))
        if self.refusal is not None:
            raise self.refusal

    async def stop(self, *, reason: str, by: str, close_positions: bool | None = None) -> StopReceipt:
        self._note("stop", reason=reason, by=by, close_positions=close_positions)
        self.receipt = StopReceipt(True, 7, reason, by, NOON, ("latched", "terminal acknowledged"), ())
        self.change(status=TradingStatus(TradingState.HALTED, 7, reason, Actor.OPERATOR, NOON))
        return self.receipt

    def stop_receipt(self) -> StopReceipt | None:
        return self.receipt

    async def pause(self, *, reason: str, by: str) -> None:
        self._note("pause", reason=reason, by=by)

    async def reset_challenge(self) -> Mapping[str, Any]:
        self._note("reset_challenge")
        return {"word": WORD, "unknown": list(self.now.unknown_commands), "expires_in": 120}

    async def reset(self, *, word: str, by: str, note: str) -> None:
        self._note("reset", word=word, by=by, note=note)
        if word != WORD:
            raise Refused("WRONG_WORD", "That is not the word; ask for a new one.")

    async def resume(self, *, by: str) -> None:
        self._note("resume", by=by)

    async def acknowledge_unknown(self, command_id: CommandId, *, by: str, note: str) -> None:
        self._note("acknowledge_unknown", command_id=command_id, by=by, note=note)

    async def reenable_limit(self, limit: str, *, by: str, note: str) -> None:
        self._note("reenable_limit", limit=limit, by=by, note=note)

    @property
    def limits_in_force(self) -> SafetyLimits:
        return self.limits

    async def change_limits(
        self, limits: SafetyLimits, *, by: str, reason: str = ""
    ) -> tuple[LimitChange, ...]:
        self._note("change_limits", limits=limits, by=by, reason=reason)
        changes = compare(self.limits, limits)
        self.limits = limits
        return changes

    async def operate(self, action: Action, *, by: str) -> CommandResult:
        self._note("operate", action=action, by=by)
        return CommandResult(CommandId("op-1"), Outcome.EXECUTED, 9, volume=Decimal("0.10"))

    async def acknowledge_alert(self, alert_id: str, *, by: str, note: str) -> int:
        self._note("acknowledge_alert", alert_id=alert_id, by=by, note=note)
        return 1

    async def test_alerts(self, *, by: str) -> tuple[TargetView, ...]:
        self._note("test_alerts", by=by)
        return (TargetView("1 json", 3, 0, None), TargetView("2 tgram", 0, 1, "no answer"))

    def retry_brain(self) -> None:
        self._note("retry_brain")

    def metrics(self) -> bytes:
        return b"medulla_queue_depth 0\n"
