"""What of a balance's change no trade explains: deposits, withdrawals and the broker's bookings. Neither profit nor loss.

Pure arithmetic over the terminal's deals; when to look and what to do about it is the engine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.market import Deal, TradeEvent

DOUBT = timedelta(seconds=10)
"""By so much the clocks of machine and broker may differ: whether a deal this near to the last look was in it is not known."""
LONGEST = timedelta(days=31)
"""Further back the history is not asked for."""
_CENT = Decimal("0.01")


def paid_in(before: Decimal, since: datetime, now: Decimal, deals: Sequence[Deal]) -> Decimal:
    """Deposits less withdrawals, account currency; 0 for what rounding explains.

    `before`: the balance as it was at `since`; `deals`: all deals since `since` less DOUBT, oldest first. Of the deals around
    `since` a first part was in `before` already. Which, shows where the balance is explained by trades alone; if nowhere, the
    clock decides.
    """
    change = now - before
    by_clock = next((index for index, deal in enumerate(deals) if deal.time > since), len(deals))
    doubtful = [
        index for index in range(len(deals) + 1) if index == 0 or deals[index - 1].time <= since + DOUBT
    ]
    for start in (by_clock, *doubtful):
        if same_money(change, made_by(deals[start:]), len(deals) - start):
            return Decimal(0)
    return change - made_by(deals[by_clock:])


def made_by(deals: Sequence[Deal]) -> Decimal:
    """What deals did to the balance: profit, swap, commission and fees."""
    return sum((deal.profit + deal.swap + deal.commission for deal in deals), Decimal(0))


def booked_by(event: TradeEvent) -> Decimal:
    """What one trade event did to the balance."""
    return (event.amount or Decimal(0)) + (made_by((event.deal,)) if event.deal is not None else Decimal(0))


def same_money(one: Decimal, other: Decimal, deals: int) -> bool:
    """Equal but for the cents that brokers and terminals round differently, one for each deal."""
    return abs(one - other) <= _CENT * deals
