"""Deposits and withdrawals: told by an event, or found by comparing balances where an event is missing.

After Medulla or the terminal was off, and whenever a snapshot shows more than the events told, the balance is compared with the
last one that was understood and with the terminal's deals in between. The reckoning is domain/cash_flow.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.cash_flow import DOUBT, LONGEST, booked_by, paid_in, same_money
from app.domain.events import EquitySampled, TradeObserved
from app.domain.market import Account, TradeEvent
from app.engine.core import EngineCore

_MARGIN = timedelta(minutes=1)
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Look:
    """A balance that is explained."""

    login: str
    balance: Decimal
    at: datetime


class CashWatch:
    """Runs on the engine's loop. While something is unexplained the gate judges no result of the day (`gate.cash_open`)."""

    def __init__(self, core: EngineCore, changed: Callable[[], None]) -> None:
        """`changed`: called once the day has been corrected, to write it down."""
        self._core = core
        self._changed = changed
        self._last: _Look | None = None

    def restored(self, sample: EquitySampled) -> None:
        """What an earlier run saw last."""
        self._last = _Look(sample.account, sample.balance, sample.at)

    def suspect(self) -> None:
        """Something may have happened unseen: nobody judges by the account until `settle` is through."""
        self._core.gate.cash_open = True

    def looked(self, account: Account) -> None:
        """The balance at a moment at which every trade event up to now is known."""
        if not self._core.gate.cash_open:
            self._last = _Look(account.login, account.balance, self._core.clock.now())

    def heard(self, event: TradeEvent) -> bool:
        """A trade event. False: the account shown does not fit it: it knows of a later one already, or not yet of this."""
        last, account = self._last, event.account
        if last is None:
            return event.amount is None
        self._last = last = _Look(last.login, last.balance + booked_by(event), self._core.clock.now())
        if account is None:
            return event.amount is None
        return account.login == last.login and same_money(account.balance, last.balance, 1)

    async def settle(self) -> None:
        """After a snapshot that may hold more than the events told. Raises TerminalUnavailable: then it stays open."""
        core, last = self._core, self._last
        account = core.book.account
        if account is None:
            return
        if last is not None and last.login == account.login and last.balance != account.balance:
            core.gate.cash_open = True
            if core.clock.now() - last.at > LONGEST:
                self._say_unknown(account, last)
            else:
                account, amount = await self._unexplained(account, last)
                if amount:
                    self._take(account, last, amount)
        core.gate.cash_open = False
        self.looked(account)

    async def _unexplained(self, account: Account, last: _Look) -> tuple[Account, Decimal]:
        """(account, what no deal explains). Asked again if a trade came in between: balance and deals must be of one moment."""
        core = self._core
        amount = Decimal(0)
        for _ in range(_ATTEMPTS):
            account, seq = core.book.account or account, core.book.trade_seq
            deals = await core.broker.history(last.at - DOUBT, core.clock.now() + _MARGIN)
            amount = paid_in(last.balance, last.at, account.balance, deals)
            if not amount or seq == core.book.trade_seq:
                break
        return account, amount

    def _take(self, account: Account, last: _Look, amount: Decimal) -> None:
        core = self._core
        if core.gate.day is not None:
            core.gate.day = core.gate.day.deposited(amount)
        core.note(
            TradeObserved(
                at=core.clock.now(),
                kind="balance",
                command_id=None,
                symbol=None,
                position=None,
                order=None,
                volume=None,
                price=None,
                profit=amount,
                reason="found by comparing balances",
            )
        )
        core.alarm(
            "warning",
            "BALANCE_CHANGED",
            f"since {last.at:%Y-%m-%d %H:%M:%S} UTC the balance of {account.login} changed by {amount:+.2f} {account.currency} "
            "beyond what its deals made, and no event told of a deposit. It is taken as paid in or out: today's result and the "
            "drawdown do not count it. If it was neither, ask your broker what it was",
        )
        self._changed()

    def _say_unknown(self, account: Account, last: _Look) -> None:
        self._core.alarm(
            "warning",
            "BALANCE_CHANGED",
            f"the balance of {account.login} differs by {account.balance - last.balance:+.2f} {account.currency} from that of "
            f"{last.at:%Y-%m-%d}, too long ago to tell deposits from trades. The peak that the drawdown is counted from was "
            "kept; look whether it still fits before you rely on that limit",
        )
