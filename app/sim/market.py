"""The simulated market: a seeded random walk a symbol, with spreads and sessions. It knows nothing of accounts."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from app.domain.errors import InvalidValue
from app.domain.market import Quote, TradeMode
from app.domain.values import Price, Symbol
from app.sim.instruments import CATALOGUE, Instrument

_PULL = Decimal("0.02")
"""Beyond this distance from the start price (2 %) steps lead back, so that long runs stay realistic."""


class Market:
    """Quotes of all symbols. The same seed gives the same walk."""

    def __init__(
        self, instruments: Iterable[Instrument] = CATALOGUE, *, seed: int = 1, now: datetime
    ) -> None:
        self._random = random.Random(seed)
        self.frozen = False
        self._instruments = {str(instrument.symbol): instrument for instrument in instruments}
        self._quotes = {name: _quote(item, item.start_price, now) for name, item in self._instruments.items()}

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._instruments

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._instruments)

    def instrument(self, symbol: str) -> Instrument:
        """Raises KeyError for an unknown symbol."""
        return self._instruments[symbol]

    def quote(self, symbol: str) -> Quote:
        return self._quotes[symbol]

    def step(self, symbol: str, now: datetime) -> Quote | None:
        """One random step; None while the walk is frozen or the session is closed."""
        item = self._instruments[symbol]
        if self.frozen or not item.session_open:
            return None
        bid = Decimal(self._quotes[symbol].bid)
        ticks = self._random.randint(-item.wander, item.wander)
        if abs(bid - item.start_price) > item.start_price * _PULL:
            ticks = -abs(ticks) if bid > item.start_price else abs(ticks)
        spread = max(1, item.spread + self._random.randint(-item.spread // 5, item.spread // 5))
        bid = max(bid + ticks * item.point, item.tick_size)
        return self._set(item, bid, bid + spread * item.point, now)

    def set_price(self, symbol: str, now: datetime, *, bid: Decimal, ask: Decimal | None = None) -> Quote:
        """Put the market where a test wants it. Raises InvalidValue, KeyError."""
        item = self._instruments[symbol]
        if ask is None:
            ask = bid + item.spread * item.point
        if bid <= 0 or ask < bid:
            raise InvalidValue("ask", "must not be below bid, and bid must be greater than 0")
        return self._set(item, bid, ask, now)

    def set_session(self, symbol: str, *, is_open: bool) -> None:
        self._instruments[symbol] = replace(self._instruments[symbol], session_open=is_open)

    def set_trade_mode(self, symbol: str, mode: TradeMode) -> None:
        self._instruments[symbol] = replace(self._instruments[symbol], trade_mode=mode)

    def _set(self, item: Instrument, bid: Decimal, ask: Decimal, now: datetime) -> Quote:
        previous = self._quotes[str(item.symbol)]
        quote = Quote(
            symbol=item.symbol,
            bid=Price(on_grid(bid, item)),
            ask=Price(max(on_grid(ask, item), on_grid(bid, item))),
            time=now,
            volume=previous.volume + 1,
        )
        self._quotes[str(item.symbol)] = quote
        return quote


def on_grid(price: Decimal, item: Instrument) -> Decimal:
    """The nearest price of the symbol's tick grid, with the symbol's digits."""
    ticks = (price / item.tick_size).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return (ticks * item.tick_size).quantize(item.point)


def _quote(item: Instrument, bid: Decimal, now: datetime) -> Quote:
    ask = bid + item.spread * item.point
    return Quote(Symbol(item.symbol), Price(on_grid(bid, item)), Price(on_grid(ask, item)), now, volume=1)
