"""What the brain is told of market, account and positions, no oftener than it can use (PROTOCOL §4.2, §5.3, §5.4).

Latest wins everywhere: nothing here is a queue, so a slow brain never delays a command or a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from app.domain.errors import TerminalUnavailable
from app.domain.market import Quote
from app.domain.values import Symbol
from app.engine.book import Book
from app.engine.broker import Broker
from app.engine.ports import AccountReport, BrainMessage, Clock, MarketReport, PositionsReport

_ACCOUNT_EVERY = 1.0
_POSITIONS_EVERY = 0.5
_DEFAULT_INTERVAL = 100


class MarketData:
    """Subscriptions of the brain, which survive its reconnections, and the reports that follow from them."""

    def __init__(
        self, broker: Broker, book: Book, clock: Clock, send: Callable[[BrainMessage], bool]
    ) -> None:
        self._broker = broker
        self._book = book
        self._clock = clock
        self._send = send
        self._intervals: dict[Symbol, float] = {}
        self._last_sent: dict[Symbol, float] = {}
        self._held: dict[Symbol, Quote] = {}
        self._account_sent = 0.0
        self._account_last: tuple[Decimal, Decimal, Decimal] | None = None
        self._positions_sent = 0.0
        self._positions_version = -1

    @property
    def subscribed(self) -> tuple[Symbol, ...]:
        return tuple(self._intervals)

    async def subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> tuple[Symbol, ...]:
        """`min_interval` in ms. Returns the symbols that the terminal does not know; they are remembered for a later one."""
        interval = (min_interval or _DEFAULT_INTERVAL) / 1000
        for symbol in symbols:
            self._intervals[symbol] = interval
        try:
            known = await self._broker.subscribe(symbols, 0)
            for symbol in symbols:
                if symbol not in self._book.specs and (spec := await self._broker.symbol(symbol)) is not None:
                    self._book.specs[symbol] = spec
        except TerminalUnavailable:
            return ()
        for symbol in known:
            quote = self._book.quotes.get(symbol)
            if quote is not None:
                self._report(quote)
        return tuple(symbol for symbol in symbols if symbol not in known)

    def unsubscribe(self, symbols: Sequence[Symbol]) -> None:
        """The terminal keeps streaming: the gate and the window use the quotes too."""
        for symbol in symbols:
            self._intervals.pop(symbol, None)
            self._held.pop(symbol, None)

    def quote(self, quote: Quote) -> None:
        """A new quote: report it now, or hold the latest until its interval is over."""
        interval = self._intervals.get(quote.symbol)
        if interval is None:
            return
        if self._clock.monotonic() - self._last_sent.get(quote.symbol, 0.0) >= interval:
            self._report(quote)
        else:
            self._held[quote.symbol] = quote

    def tick(self, daily_profit: Decimal | None) -> None:
        """Every few hundredths of a second: what was held, and account and positions when they changed."""
        now = self._clock.monotonic()
        for symbol, quote in tuple(self._held.items()):
            if now - self._last_sent.get(symbol, 0.0) >= self._intervals.get(symbol, 0.0):
                self._report(quote)
        if now - self._account_sent >= _ACCOUNT_EVERY:
            self._report_account(now, daily_profit)
        if self._book.version != self._positions_version and now - self._positions_sent >= _POSITIONS_EVERY:
            if self._send(PositionsReport(self._book.live_positions())):
                self._positions_version = self._book.version
            self._positions_sent = now

    def reconnected(self) -> None:
        """A fresh brain knows nothing."""
        self._account_last = None
        self._positions_version = -1

    def _report(self, quote: Quote) -> None:
        spec = self._book.specs.get(quote.symbol)
        points = (quote.ask - quote.bid) / spec.point if spec is not None else Decimal(0)
        self._held.pop(quote.symbol, None)
        self._last_sent[quote.symbol] = self._clock.monotonic()
        self._send(MarketReport(quote, points.quantize(Decimal(1))))

    def _report_account(self, now: float, daily_profit: Decimal | None) -> None:
        account = self._book.account
        self._account_sent = now
        if account is None:
            return
        figures = (account.balance, account.equity, account.margin)
        if figures != self._account_last and self._send(AccountReport(account, daily_profit or Decimal(0))):
            self._account_last = figures
