"""The settings under `safety`: how they are read and fit each other. What a limit does stands in domain/safety_rules.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.limits import OnBrainLost, SafetyLimits
from app.settings.kinds import (
    Allowed,
    Count,
    CountOrOff,
    Exact,
    Flag,
    Lots,
    MoneyLimit,
    Percent,
    Points,
    Sessions,
    Symbols,
)
from app.settings.strategies import Strategies


class SafetySection(BaseModel):
    """Names and defaults are those of SafetyLimits."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    allowed_symbols: Symbols = Field(frozenset(), description="Symbols that may be traded.")
    max_volume_per_order: Lots = Field(None, description="Most volume of one order.")
    max_volume_per_symbol: Lots = Field(None, description="Most volume open and pending on one symbol.")
    max_volume_total: Lots = Field(None, description="Most volume open and pending in all.")
    max_positions: Count = Field(None, description="Most positions and pending orders in all.")
    max_positions_per_symbol: Count = Field(
        None, description="Most positions and pending orders on one symbol."
    )
    max_orders_per_second: CountOrOff = Field(
        10, description="Most commands sent to the broker within one second."
    )
    max_orders_per_minute: CountOrOff = Field(
        200, description="Most commands sent to the broker within a minute."
    )
    price_collar_percent: Percent = Field(None, description="Most distance of a price from the market.")
    max_spread_points: Points = Field(None, description="Widest spread at which an entry is sent.")
    max_slippage_points: Points = Field(None, description="Most deviation the terminal may accept.")
    margin_cushion: Annotated[
        Decimal,
        Exact,
        Field(ge=0, le=1000),
        Allowed("a number from 0 (off) to 1000, times an entry's own margin"),
    ] = Field(Decimal("1.5"), description="Free margin that an entry needs, in multiples of its own margin.")
    sessions: Sessions = Field((), description="When entries are allowed; none given: always.")
    require_stop_loss: Flag = Field(False, description="Refuse an entry without a stop loss.")
    max_daily_loss: MoneyLimit = Field(
        None, description="Loss of the broker's day, floating included, that latches."
    )
    max_daily_loss_percent: Percent = Field(
        None, description="The same, in percent of the day's first equity."
    )
    max_drawdown_percent: Percent = Field(None, description="Fall of equity from its peak that latches.")
    max_consecutive_failures: Count = Field(None, description="Failed commands in a row that latch.")
    repeat_throttle: CountOrOff = Field(0, description="Most identical entries within 60 s.")
    max_quote_age: Annotated[
        Decimal, Exact, Field(gt=0, le=86400), Allowed("seconds, greater than 0 and at most 86400")
    ] = Field(Decimal(60), description="Age of a quote at which an entry is refused.")
    on_brain_lost: Annotated[OnBrainLost, Allowed("hold, cancel_orders or close_all")] = Field(
        OnBrainLost.HOLD, description="What happens when the brain has been silent for 60 s."
    )
    stop_closes_positions: Flag = Field(
        False, description="Whether an emergency stop also closes our positions."
    )
    strategies: Strategies = Field(
        (), description="Limits of single strategies, beside those of the account; the tighter one holds."
    )
    strategies_only: Flag = Field(
        False, description="Refuse entries of strategies that `safety.strategies` does not name."
    )

    def limits(self) -> SafetyLimits:
        return SafetyLimits(**{name: getattr(self, name) for name in type(self).model_fields})

    def pointless(self) -> list[tuple[str, str]]:
        """(limit, tighter limit that makes it pointless), of those that were set. The tighter one wins: not an error."""
        found = []
        for narrow, wide in (
            ("max_volume_per_order", "max_volume_per_symbol"),
            ("max_volume_per_order", "max_volume_total"),
            ("max_volume_per_symbol", "max_volume_total"),
            ("max_positions_per_symbol", "max_positions"),
            ("max_orders_per_second", "max_orders_per_minute"),
        ):
            if not {narrow, wide} <= self.model_fields_set:
                continue
            low, high = getattr(self, narrow), getattr(self, wide)
            if low and high and low > high:
                found.append((narrow, wide))
        return found
