"""Builds the picture that the API, the command line and the window show. Reads everything, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from app.domain.commands import ACTION_NAMES
from app.domain.entry_rules import CODES_OF_LATCHES, daily_loss_limit, drawdown_percent
from app.domain.market import PendingOrder, Position
from app.domain.values import CommandId
from app.engine.book import Book
from app.engine.desk import CommandInHand, last_result
from app.engine.safety import SafetyGate
from app.engine.snapshots import CommandView, LimitView

_WARN_FROM = Decimal("0.8")


class CommandViews:
    """Rows of the pipeline, made anew only when their command has changed: the stream compares them by identity."""

    def __init__(self) -> None:
        self._drawn: dict[CommandId, tuple[int, CommandView]] = {}

    def of(self, items: Sequence[CommandInHand]) -> tuple[CommandView, ...]:
        drawn = {}
        for item in items:
            known = self._drawn.get(item.command_id)
            fresh = known is not None and known[0] == item.version
            drawn[item.command_id] = (
                known if known is not None and fresh else (item.version, command_view(item))
            )
        self._drawn = drawn
        return tuple(view for _, view in drawn.values())


def command_view(item: CommandInHand) -> CommandView:
    command = item.command
    side = getattr(command.action, "side", None) or getattr(command.action, "kind", None)
    symbol = item.symbol or command.symbol
    return CommandView(
        command_id=item.command_id,
        action=ACTION_NAMES[type(command.action)],
        symbol=str(symbol) if symbol is not None else None,
        ticket=str(command.ticket) if command.ticket is not None else None,
        volume=command.volume,
        side=side.value if side is not None else None,
        priority=command.priority.name,
        strategy_id=command.strategy_id,
        state=item.record.state.name,
        received_at=item.record.received_at,
        queue_ms=_ms(item.arrived, item.begun),
        broker_ms=_ms(item.begun, item.answered),
        total_ms=_ms(item.arrived, item.answered),
        result=last_result(item.record),
    )


def _ms(start: float | None, end: float | None) -> float | None:
    return round((end - start) * 1000, 3) if start is not None and end is not None else None


def limit_views(gate: SafetyGate, book: Book, now: float) -> tuple[LimitView, ...]:
    """Each limit as a gauge: present value, limit, state."""
    limits, account = gate.limits, book.account
    profit = gate.day.profit(account) if gate.day is not None and account is not None else None
    loss = max(Decimal(0), -profit) if profit is not None else Decimal(0)
    start = gate.day.start_equity if gate.day is not None else None
    peak = gate.day.peak_equity if gate.day is not None else None
    items: tuple[Position | PendingOrder, ...] = (*book.positions.values(), *book.orders.values())
    lots = sum((item.volume for item in items), Decimal(0))
    rows: list[tuple[str, Decimal, Decimal | None, str]] = [
        ("daily_loss", loss, daily_loss_limit(limits, start), "floating loss of the broker's day"),
        (
            "drawdown",
            drawdown_percent(account, peak) or Decimal(0),
            limits.max_drawdown_percent,
            "percent below the peak",
        ),
        ("positions", Decimal(len(items)), _whole(limits.max_positions), "open positions and pending orders"),
        ("exposure", lots, limits.max_volume_total, "lots open and pending"),
        (
            "orders_per_second",
            Decimal(gate.per_second.count(now)),
            _whole(limits.max_orders_per_second),
            "commands",
        ),
        (
            "orders_per_minute",
            Decimal(gate.per_minute.count(now)),
            _whole(limits.max_orders_per_minute),
            "commands",
        ),
        (
            "consecutive_failures",
            Decimal(gate.consecutive_failures),
            _whole(limits.max_consecutive_failures),
            "executions that failed in a row",
        ),
    ]
    views = [
        LimitView(name, value, cap, _state(name, value, cap, gate), text) for name, value, cap, text in rows
    ]
    if limits.repeat_throttle:
        cap = Decimal(limits.repeat_throttle)
        views.append(
            LimitView(
                "repeat_throttle",
                Decimal(0),
                cap,
                _state("repeat_throttle", Decimal(0), cap, gate),
                "identical entries",
            )
        )
    return tuple(views)


def _whole(limit: int | None) -> Decimal | None:
    return Decimal(limit) if limit else None


def _state(name: str, value: Decimal, cap: Decimal | None, gate: SafetyGate) -> str:
    if name in gate.tripped and name in CODES_OF_LATCHES:
        return "latched"
    if cap is None:
        return "ok"
    if value >= cap:
        return "reached"
    return "warning" if value >= cap * _WARN_FROM else "ok"
