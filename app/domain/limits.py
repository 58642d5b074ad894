"""The limits a trader sets, as plain frozen values. What they mean is in safety_rules.py; how they are read, in app/settings.

None (or 0 for counters) means: no such limit. Volumes in lots, money in account currency, percent of what the name says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from enum import Enum

from app.domain.values import Symbol


class OnBrainLost(Enum):
    """What happens to our orders and positions when the brain has been silent for 60 s."""

    HOLD = "hold"
    CANCEL_ORDERS = "cancel_orders"
    CLOSE_ALL = "close_all"


@dataclass(frozen=True, slots=True)
class Session:
    """A span of the broker's week in which entries are allowed. `days`: 0 Monday … 6 Sunday; end before start: over midnight."""

    days: frozenset[int]
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class StrategyLimits:
    """What one strategy may do, beside the limits of the account: the tighter of the two holds. None or empty: not limited."""

    name: str
    """The `strategyId` of its commands."""
    allowed_symbols: frozenset[Symbol] = field(default_factory=frozenset)
    max_volume_per_order: Decimal | None = None
    max_volume_total: Decimal | None = None
    max_positions: int | None = None
    max_orders_per_minute: int | None = None
    max_daily_loss: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """Names are those of the settings under `safety`."""

    allowed_symbols: frozenset[Symbol] = field(default_factory=frozenset)
    max_volume_per_order: Decimal | None = None
    max_volume_per_symbol: Decimal | None = None
    max_volume_total: Decimal | None = None
    max_positions: int | None = None
    max_positions_per_symbol: int | None = None
    max_orders_per_second: int = 10
    max_orders_per_minute: int = 200
    price_collar_percent: Decimal | None = None
    max_spread_points: int | None = None
    max_slippage_points: int | None = None
    margin_cushion: Decimal = Decimal("1.5")
    """An entry needs free margin of at least this many times its own margin."""
    sessions: tuple[Session, ...] = ()
    require_stop_loss: bool = False
    max_daily_loss: Decimal | None = None
    max_daily_loss_percent: Decimal | None = None
    max_drawdown_percent: Decimal | None = None
    max_consecutive_failures: int | None = None
    repeat_throttle: int = 0
    """Most identical entries within 60 s; 0: off."""
    max_quote_age: Decimal = Decimal(60)
    """Seconds; an entry on an older quote is refused."""
    on_brain_lost: OnBrainLost = OnBrainLost.HOLD
    stop_closes_positions: bool = False
    strategies: tuple[StrategyLimits, ...] = ()
    strategies_only: bool = False
    """Entries of a strategy that is not named in `strategies` are refused."""

    def strategy(self, name: str | None) -> StrategyLimits | None:
        """The limits of one strategy; None: it has none of its own."""
        return next((own for own in self.strategies if own.name == name), None)
