"""Looks at every limit that is a quantity, several times a second: the gauges shown, and one warning before one is reached.

Refusing and latching are the gate's; this only looks and speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from app.domain.entry_rules import daily_loss_limit, drawdown_percent
from app.domain.limit_gauges import Gauge, Level, WarningBell, explanation, level
from app.domain.limits import StrategyLimits
from app.domain.market import PendingOrder, Position
from app.domain.safety_view import InFlight
from app.domain.strategy_rules import held_by
from app.domain.values import Symbol
from app.engine.book import Book
from app.engine.safety import SafetyGate
from app.engine.snapshots import LimitView

NONE = Decimal(0)


def gauges(gate: SafetyGate, book: Book, now: float) -> tuple[Gauge, ...]:
    """Every quantity that has, or could have, a limit. What is under way counts as in the rules."""
    money = book.account.currency if book.account is not None else ""
    found = [
        *_loss_gauges(gate, book, money),
        *_holding_gauges(gate, book),
        *_conduct_gauges(gate, now),
        *_margin_gauge(gate, book, money),
    ]
    for own in gate.limits.strategies:
        found += _strategy_gauges(own, gate, book, now, money)
    return tuple(found)


def _loss_gauges(gate: SafetyGate, book: Book, money: str) -> list[Gauge]:
    limits, day, profit = gate.limits, gate.day, gate.profit()
    return [
        Gauge(
            "daily_loss",
            "max_daily_loss" if limits.max_daily_loss is not None else "max_daily_loss_percent",
            max(NONE, -profit) if profit is not None else NONE,
            daily_loss_limit(limits, day.start_equity if day is not None else None),
            money,
        ),
        Gauge(
            "drawdown",
            "max_drawdown_percent",
            drawdown_percent(book.account, day.peak_equity if day is not None else None) or NONE,
            limits.max_drawdown_percent,
            "%",
        ),
    ]


def _holding_gauges(gate: SafetyGate, book: Book) -> list[Gauge]:
    """Positions and volume, in all and of the symbol that has the most."""
    limits = gate.limits
    lots: dict[Symbol, Decimal] = {}
    counts: dict[Symbol, int] = {}
    items: tuple[Position | PendingOrder | InFlight, ...] = (
        *book.positions.values(),
        *book.orders.values(),
        *gate.in_flight,
    )
    for item in items:
        lots[item.symbol] = lots.get(item.symbol, NONE) + item.volume
        counts[item.symbol] = counts.get(item.symbol, 0) + 1
    found = [
        _count("positions", "max_positions", sum(counts.values()), limits.max_positions),
        Gauge("exposure", "max_volume_total", sum(lots.values(), NONE), limits.max_volume_total, "lots"),
    ]
    if limits.max_positions_per_symbol is not None:
        most = max(counts, key=lambda symbol: counts[symbol], default=None)
        found.append(
            _count(
                "positions_per_symbol",
                "max_positions_per_symbol",
                counts[most] if most is not None else 0,
                limits.max_positions_per_symbol,
                of=most or "",
            )
        )
    if limits.max_volume_per_symbol is not None:
        largest = max(lots, key=lambda symbol: lots[symbol], default=None)
        found.append(
            Gauge(
                "exposure_per_symbol",
                "max_volume_per_symbol",
                lots[largest] if largest is not None else NONE,
                limits.max_volume_per_symbol,
                "lots",
                of=largest or "",
            )
        )
    return found


def _conduct_gauges(gate: SafetyGate, now: float) -> list[Gauge]:
    """How often the brain orders, fails and repeats itself."""
    limits = gate.limits
    found = [
        _count(name, f"max_{name}", window.count(now), window.limit)
        for name, window in (("orders_per_second", gate.per_second), ("orders_per_minute", gate.per_minute))
    ]
    found.append(
        _count(
            "consecutive_failures",
            "max_consecutive_failures",
            gate.consecutive_failures,
            limits.max_consecutive_failures,
        )
    )
    if limits.repeat_throttle:
        found.append(
            _count("repeat_throttle", "repeat_throttle", gate.most_identical(now), limits.repeat_throttle)
        )
    return found


def _margin_gauge(gate: SafetyGate, book: Book, money: str) -> list[Gauge]:
    account = book.account
    if gate.limits.margin_cushion <= 0 or account is None:
        return []
    used = account.margin + gate.margin_under_way()
    return [Gauge("margin", "margin_cushion", used, max(NONE, account.equity), money)]


def _strategy_gauges(
    own: StrategyLimits, gate: SafetyGate, book: Book, now: float, money: str
) -> list[Gauge]:
    """Only what is limited for this strategy; `setting` is that of the whole group."""
    found = []
    key = f"strategies.{own.name}"
    lots, count = held_by(own.name, book.positions, book.orders, gate.in_flight, gate.strategies.owners)
    if own.max_daily_loss is not None:
        profit = gate.strategy_profit(own.name)
        loss = max(NONE, -profit) if profit is not None else NONE
        found.append(
            Gauge(f"daily_loss:{own.name}", f"{key}.max_daily_loss", loss, own.max_daily_loss, money)
        )
    if own.max_positions is not None:
        found.append(_count(f"positions:{own.name}", f"{key}.max_positions", count, own.max_positions))
    if own.max_volume_total is not None:
        found.append(
            Gauge(f"exposure:{own.name}", f"{key}.max_volume_total", lots, own.max_volume_total, "lots")
        )
    if own.max_orders_per_minute is not None:
        found.append(
            _count(
                f"orders_per_minute:{own.name}",
                f"{key}.max_orders_per_minute",
                gate.strategy_orders(own.name, now),
                own.max_orders_per_minute,
            )
        )
    return found


def _count(name: str, setting: str, now: int, limit: int | None, of: str = "") -> Gauge:
    """A limit of 0 means none."""
    return Gauge(name, setting, Decimal(now), Decimal(limit) if limit else None, of=of, whole=True)


def limit_views(gate: SafetyGate, book: Book, now: float) -> tuple[LimitView, ...]:
    """Each gauge with its state and what that means."""
    views = []
    for gauge in gauges(gate, book, now):
        at = level(gauge, gate.tripped)
        words = explanation(gauge, at, gate.tripped.get(gauge.name, ""))
        views.append(
            LimitView(gauge.name, gauge.now, gauge.limit, at.value, words, gauge.setting, gauge.unit)
        )
    return tuple(views)


class LimitWatch:
    """Called from the housekeeping; raises one alert each time a limit comes near."""

    def __init__(self, gate: SafetyGate, book: Book, alarm: Callable[[str, str, str], None]) -> None:
        self._gate = gate
        self._book = book
        self._alarm = alarm
        self._bell = WarningBell()

    def look(self, now: float) -> None:
        for gauge in gauges(self._gate, self._book, now):
            at = level(gauge, self._gate.tripped)
            if self._bell.rings(gauge, now) and at is not Level.LATCHED:
                self._alarm("warning", "LIMIT_NEAR", explanation(gauge, at))
