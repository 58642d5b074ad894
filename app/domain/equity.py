"""Today's result and the drawdown, counted on the broker's day and free of deposits. Pure bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from app.domain.events import EquitySampled
from app.domain.market import Account


@dataclass(frozen=True, slots=True)
class EquityDay:
    """The broker's day as far as it is known. Money in account currency."""

    account: str
    day: date
    start_equity: Decimal
    peak_equity: Decimal
    deposits: Decimal
    """Deposits less withdrawals since the day began: neither profit nor loss."""

    @classmethod
    def begin(cls, account: Account, day: date) -> EquityDay:
        return cls(account.login, day, account.equity, account.equity, Decimal(0))

    @classmethod
    def restored(cls, sample: EquitySampled) -> EquityDay:
        return cls(
            sample.account,
            date.fromisoformat(sample.broker_day),
            sample.day_start_equity,
            sample.peak_equity,
            sample.deposits,
        )

    def profit(self, account: Account) -> Decimal:
        """Floating result of the day: what is open now counts as if it were closed now."""
        return account.equity - self.start_equity - self.deposits

    def seen(self, account: Account, day: date) -> EquityDay:
        """After a look at the account. Another login or another broker day begins anew; the peak outlives the day."""
        if account.login != self.account:
            return EquityDay.begin(account, day)
        peak = max(self.peak_equity, account.equity)
        if day > self.day:
            return EquityDay(self.account, day, account.equity, peak, Decimal(0))
        return self if peak == self.peak_equity else replace(self, peak_equity=peak)

    def deposited(self, amount: Decimal) -> EquityDay:
        """A deposit (+) or withdrawal (-) moves the measure, not the result."""
        return replace(self, deposits=self.deposits + amount, peak_equity=self.peak_equity + amount)

    def sample(self, account: Account, at: datetime) -> EquitySampled:
        return EquitySampled(
            at=at,
            account=self.account,
            broker_day=self.day.isoformat(),
            balance=account.balance,
            equity=account.equity,
            day_start_equity=self.start_equity,
            peak_equity=self.peak_equity,
            deposits=self.deposits,
        )
