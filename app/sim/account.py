"""Money of the simulated account: margin, floating profit, equity. Everything exact; cents are rounded half up.

The account's currency is USD. Sums are kept a symbol and side, so that a quote costs the same with one position
as with ten thousand.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from app.domain.market import Account, AccountMode, MarginMode, Position, SymbolSpec
from app.domain.values import Price, Side
from app.sim.book import Book
from app.sim.instruments import Instrument
from app.sim.market import Market

CENT = Decimal("0.01")
CURRENCY = "USD"
LOGIN = "50012345"
SERVER = "Medulla-Demo"
COMPANY = "Medulla simulated broker"


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


class Money:
    """Values the books at the market's prices."""

    def __init__(self, book: Book, market: Market, margin_mode: MarginMode, leverage: int) -> None:
        self.book = book
        self.market = market
        self.margin_mode = margin_mode
        self.leverage = leverage

    def rate(self, item: Instrument) -> Decimal:
        """Account currency for one unit of the symbol's profit currency."""
        if item.currency_profit == CURRENCY:
            return Decimal(1)
        return 1 / self.market.quote(CURRENCY + item.currency_profit).bid

    def profit(
        self, item: Instrument, side: Side, volume: Decimal, opened: Decimal, closed: Decimal
    ) -> Decimal:
        """Realised profit in the account's currency, cents."""
        return cents(side.sign * (closed - opened) * volume * item.contract_size * self.rate(item))

    def margin(self, item: Instrument, volume: Decimal, cost: Decimal) -> Decimal:
        """Margin of `volume` lots that cost `cost` (lots times open price), not rounded."""
        units = volume if item.margin_in_base else cost * self.rate(item)
        return units * item.contract_size * item.margin_factor / self.leverage

    def used_margin(self, extra: tuple[str, Side, Decimal, Decimal] | None = None) -> Decimal:
        """Margin of everything open; of both sides of a hedged symbol the larger counts.

        `extra` is a trade in mind: symbol, side, lots, price.
        """
        total = Decimal(0)
        for symbol in self._exposed(extra):
            item = self.market.instrument(symbol)
            sides = []
            for side in Side:
                exposure = self.book.exposures[symbol, side]
                volume, cost = exposure.volume, exposure.cost
                if extra is not None and extra[0] == symbol and extra[1] is side:
                    volume, cost = volume + extra[2], cost + extra[2] * extra[3]
                sides.append(self.margin(item, volume, cost))
            total += max(sides)
        return cents(total)

    def floating(self) -> Decimal:
        """Profit and swap of everything open."""
        total = Decimal(0)
        for (symbol, side), exposure in self.book.exposures.items():
            if exposure.volume <= 0:
                continue
            item = self.market.instrument(symbol)
            quote = self.market.quote(symbol)
            price = quote.bid if side is Side.BUY else quote.ask
            points = side.sign * (price * exposure.volume - exposure.cost)
            total += points * item.contract_size * self.rate(item) + exposure.swap
        return cents(total)

    def equity(self) -> Decimal:
        return self.book.balance + self.floating()

    def account(self) -> Account:
        equity, margin = self.equity(), self.used_margin()
        return Account(
            login=LOGIN,
            server=SERVER,
            company=COMPANY,
            currency=CURRENCY,
            mode=AccountMode.DEMO,
            margin_mode=self.margin_mode,
            leverage=self.leverage,
            balance=self.book.balance,
            credit=Decimal(0),
            equity=equity,
            margin=margin,
            free_margin=equity - margin,
        )

    def valued(self, position: Position) -> Position:
        """The position with its profit at the market's price."""
        item = self.market.instrument(position.symbol)
        quote = self.market.quote(position.symbol)
        price = Price(quote.bid if position.side is Side.BUY else quote.ask)
        profit = self.profit(item, position.side, position.volume, position.open_price, price)
        return replace(position, profit=profit, current_price=price)

    def spec(self, symbol: str) -> SymbolSpec:
        """The symbol as the terminal reports it now."""
        item = self.market.instrument(symbol)
        quote = self.market.quote(symbol)
        return SymbolSpec(
            symbol=item.symbol,
            digits=item.digits,
            point=item.point,
            tick_size=item.tick_size,
            tick_value=(item.tick_size * item.contract_size * self.rate(item)).quantize(Decimal("0.00001")),
            contract_size=item.contract_size,
            volume_min=item.volume_min,
            volume_max=item.volume_max,
            volume_step=item.volume_step,
            volume_limit=item.volume_limit,
            stops_level=item.stops_level,
            freeze_level=item.freeze_level,
            trade_mode=item.trade_mode,
            filling=item.filling,
            execution=item.execution,
            margin_per_lot=cents(self.margin(item, Decimal(1), quote.ask)),
            currency_profit=item.currency_profit,
            session_open=item.session_open,
        )

    def _exposed(self, extra: tuple[str, Side, Decimal, Decimal] | None) -> set[str]:
        symbols = {symbol for (symbol, _), exposure in self.book.exposures.items() if exposure.volume > 0}
        if extra is not None:
            symbols.add(extra[0])
        return symbols
