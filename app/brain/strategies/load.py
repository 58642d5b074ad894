"""A seeded mix of all commands, for demonstrations, measurements and soaks: valid most of the time, exposure bounded.

It learns its tickets from results and keeps one command in flight on each, so a refusal is the executor's doing, not its own.
Not a way to trade.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.brain.schema import CommandStatus
from app.brain.signals import Command, Signal
from app.brain.strategies.book import Book, Order, Position
from app.brain.strategies.interface import NOTHING, Strategy
from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
)
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome
from app.domain.values import Magic, OrderKind, Price, Priority, Side, Symbol, Volume

_LOT_STEP = Decimal("0.01")
_NEAR, _FAR = 20_000, 40_000
"""Millionths of the price between the market and stops or pending orders: far enough not to be hit during a run."""
_KINDS = (OrderKind.BUY_LIMIT, OrderKind.SELL_LIMIT, OrderKind.BUY_STOP, OrderKind.SELL_STOP)
_PRIORITIES = (
    Priority.NORMAL,
    Priority.NORMAL,
    Priority.NORMAL,
    Priority.HIGH,
    Priority.LOW,
    Priority.CRITICAL,
)


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Volumes in lots."""

    most_positions: int = 24
    most_orders: int = 12
    most_net_volume: Decimal = Decimal("0.30")
    """For each symbol, bought less sold."""
    most_steps: int = 5
    """Largest opening in steps of 0.01 lot."""


class LoadStrategy(Strategy):
    """`next_signal` gives one command of the mix at a time, for whoever sets the pace."""

    def __init__(
        self,
        symbols: Sequence[Symbol],
        *,
        seed: int = 1,
        limits: LoadLimits | None = None,
        expiry: int = 5000,
        first_magic: int = 7100,
        groups: int = 4,
        strategy_id: str = "load",
    ) -> None:
        super().__init__(strategy_id, symbols)
        self._random = random.Random(seed)
        self._limits = limits or LoadLimits()
        self._expiry = expiry
        self._magics = [Magic(first_magic + number) for number in range(groups)]
        self._quotes: dict[Symbol, Quote] = {}
        self.book = Book()
        self._mix: tuple[tuple[int, Callable[[], Action | None]], ...] = (
            (40, self._open),
            (12, self._close_part),
            (18, self._close),
            (10, self._modify),
            (8, self._place),
            (4, self._modify_order),
            (6, self._cancel),
            (2, self._close_all),
        )

    def has_prices(self) -> bool:
        """Whether every symbol has a quote; until then it asks for nothing that needs one."""
        return all(symbol in self._quotes for symbol in self.symbols)

    def on_quote(self, quote: Quote) -> Sequence[Signal]:
        self._quotes[quote.symbol] = quote
        return NOTHING

    def on_result(self, command: Command, result: CommandResult) -> Sequence[Signal]:
        if result.outcome is not Outcome.UNKNOWN:
            self.book.settled(command, result)
        return NOTHING

    def on_ended(self, command: Command) -> Sequence[Signal]:
        # An unanswered command may have been executed: its ticket stays busy.
        if command.status is not CommandStatus.UNANSWERED:
            self.book.dropped(command)
        return NOTHING

    def next_signal(self) -> Signal | None:
        """One command of the mix, or None when nothing sensible can be asked before more results are in."""
        choices = list(self._mix)
        while choices:
            weights = [weight for weight, _ in choices]
            index = self._random.choices(range(len(choices)), weights)[0]
            action = choices.pop(index)[1]()
            if action is not None:
                self.book.requested(action)
                return Signal(action, self.strategy_id, self._random.choice(_PRIORITIES), expiry=self._expiry)
        return None

    # -------------------------------------------------------------- the mix

    def _open(self) -> Action | None:
        book, limits = self.book, self._limits
        magic = self._free_magic()
        if magic is None or len(book.positions) + book.openings >= limits.most_positions:
            return None
        symbol = self._random.choice(self.symbols)
        volume = _LOT_STEP * self._random.randint(1, limits.most_steps)
        side = self._random.choice((Side.BUY, Side.SELL))
        if abs(book.net(symbol) + side.sign * volume) > limits.most_net_volume:
            side = side.opposite
        return OpenPosition(symbol, side, Volume(volume), magic=magic, comment=f"{self.strategy_id}-{magic}")

    def _close_part(self) -> Action | None:
        position = self._idle_position(at_least=2 * _LOT_STEP)
        if position is None:
            return None
        steps = int(position.volume / _LOT_STEP)
        return ClosePosition(position.ticket, Volume(_LOT_STEP * self._random.randint(1, steps - 1)))

    def _close(self) -> Action | None:
        position = self._idle_position()
        return None if position is None else ClosePosition(position.ticket)

    def _modify(self) -> Action | None:
        position = self._idle_position()
        quote = None if position is None else self._quotes.get(position.symbol)
        if position is None or quote is None:
            return None
        sign = position.side.sign
        stop, profit = self._away(quote, -sign), self._away(quote, sign)
        return ModifyPosition(
            position.ticket, stop_loss=stop, take_profit=profit if self._random.random() < 0.8 else None
        )

    def _place(self) -> Action | None:
        book = self.book
        magic = self._free_magic()
        if magic is None or len(book.orders) + book.placements >= self._limits.most_orders:
            return None
        quote = self._quotes.get(self._random.choice(self.symbols))
        if quote is None:
            return None
        kind = self._random.choice(_KINDS)
        return PlaceOrder(
            quote.symbol,
            kind,
            Volume(_LOT_STEP),
            self._away(quote, _direction(kind)),
            magic=magic,
            comment=f"{self.strategy_id}-{magic}",
        )

    def _modify_order(self) -> Action | None:
        order = self._idle_order()
        quote = None if order is None else self._quotes.get(order.symbol)
        if order is None or quote is None:
            return None
        price = self._away(quote, _direction(order.kind))
        # A broker refuses a change that changes nothing (TRADE_RETCODE_NO_CHANGES, 10025).
        return None if price == order.price else ModifyOrder(order.ticket, price=price)

    def _cancel(self) -> Action | None:
        order = self._idle_order()
        return None if order is None else CancelOrder(order.ticket)

    def _close_all(self) -> Action | None:
        """Of one magic number, and only while nothing of it is in flight: else two commands would want one position."""
        held = {position.magic for position in self.book.positions.values() if not position.busy}
        idle = [magic for magic in self._magics if magic in held and not self.book.in_flight.get(magic)]
        return CloseAll(magic=self._random.choice(idle)) if idle else None

    # -------------------------------------------------------------- choices

    def _free_magic(self) -> Magic | None:
        free = [magic for magic in self._magics if magic not in self.book.closing_all]
        return self._random.choice(free) if free else None

    def _idle_position(self, at_least: Decimal = _LOT_STEP) -> Position | None:
        idle = [
            position
            for position in self.book.positions.values()
            if not position.busy
            and position.volume >= at_least
            and position.magic not in self.book.closing_all
        ]
        return self._random.choice(idle) if idle else None

    def _idle_order(self) -> Order | None:
        idle = [order for order in self.book.orders.values() if not order.busy]
        return self._random.choice(idle) if idle else None

    def _away(self, quote: Quote, direction: int) -> Price:
        """A price 2 to 4 % above (+1) or below (-1) the market, with the quote's own digits."""
        step = quote.ask if direction > 0 else quote.bid
        price = step * (1_000_000 + direction * self._random.randint(_NEAR, _FAR)) / 1_000_000
        return Price(price.quantize(step))


def _direction(kind: OrderKind) -> int:
    """+1: the order waits above the market; -1: below."""
    return 1 if kind in (OrderKind.SELL_LIMIT, OrderKind.BUY_STOP) else -1


class SoakStrategy(LoadStrategy):
    """The same mix at its own quiet pace, for hours."""

    def __init__(self, symbols: Sequence[Symbol], *, rate: float = 2.0, seed: int = 1) -> None:
        """`rate`: commands a second."""
        if not 0 < rate <= 100:
            raise ValueError("rate must be above 0 and at most 100 commands a second")
        super().__init__(symbols, seed=seed, first_magic=7200, strategy_id="soak")
        self.pace = 1.0 / rate

    def on_clock(self) -> Sequence[Signal]:
        if not self.has_prices():
            return NOTHING
        signal = self.next_signal()
        return NOTHING if signal is None else (signal,)
