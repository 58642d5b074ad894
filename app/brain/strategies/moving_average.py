"""Moving-average crossover: long while the fast average of the mid price is above the slow one, short below.

An example of a strategy that keeps to one position and one command in flight. Not advice: nobody should trade this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from app.brain.signals import Command, Signal
from app.brain.strategies.interface import NOTHING, HeldPosition, Strategy
from app.domain.commands import ClosePosition, OpenPosition
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome
from app.domain.values import Magic, Price, Priority, Side, Symbol, Ticket, Volume

_DONE = (Outcome.EXECUTED, Outcome.PARTIAL)


class MovingAverageCross(Strategy):
    """`fast` and `slow` are numbers of market updates; `stop_distance` in price units (None: no stop loss)."""

    def __init__(
        self,
        symbol: Symbol,
        *,
        fast: int = 10,
        slow: int = 40,
        volume: Volume,
        magic: Magic,
        stop_distance: Decimal | None = None,
        strategy_id: str = "ma_cross",
    ) -> None:
        if not 1 <= fast < slow:
            raise ValueError("fast must be at least 1 and less than slow")
        super().__init__(strategy_id, (symbol,))
        self._symbol = symbol
        self._fast = fast
        self._mids: deque[Decimal] = deque(maxlen=slow)
        self._volume = volume
        self._magic = magic
        self._stop_distance = stop_distance
        self._above: bool | None = None
        self._wanted: Side | None = None
        self._ticket: Ticket | None = None
        self._side: Side | None = None
        self._in_flight = False
        self._rest = 0
        """Quotes to let pass after a failure, so that a refusal is not answered with a storm."""
        self._disagreements = 0
        self._quote: Quote | None = None

    @property
    def position(self) -> tuple[Ticket, Side] | None:
        """What it believes to hold."""
        return None if self._ticket is None or self._side is None else (self._ticket, self._side)

    def on_quote(self, quote: Quote) -> Sequence[Signal]:
        self._quote = quote
        self._mids.append((quote.bid + quote.ask) / 2)
        if len(self._mids) < (self._mids.maxlen or 0):
            return NOTHING
        slow = sum(self._mids, Decimal(0)) / len(self._mids)
        newest = list(self._mids)[-self._fast :]
        fast = sum(newest, Decimal(0)) / len(newest)
        if fast != slow:
            above = fast > slow
            if self._above is not None and above is not self._above:
                self._wanted = Side.BUY if above else Side.SELL
            self._above = above
        if self._rest:
            self._rest -= 1
            return NOTHING
        return self._act()

    def on_result(self, command: Command, result: CommandResult) -> Sequence[Signal]:
        if result.outcome is Outcome.UNKNOWN:
            return NOTHING  # still in flight: acting on a guess could double the position
        self._in_flight = False
        action = command.action
        if isinstance(action, OpenPosition):
            if result.outcome in _DONE and result.ticket is not None:
                self._ticket, self._side = result.ticket, action.side
            else:
                self._wanted = None  # not again before the next crossing
        elif isinstance(action, ClosePosition):
            if result.outcome is Outcome.EXECUTED or result.code == "NOT_FOUND":
                self._ticket = self._side = None
            else:
                self._rest = self._mids.maxlen or 0
                return NOTHING
        return self._act()

    def on_ended(self, command: Command) -> Sequence[Signal]:
        self._in_flight = False
        self._rest = self._mids.maxlen or 0
        if isinstance(command.action, OpenPosition):
            self._wanted = None
        return NOTHING

    def on_positions(self, positions: Sequence[HeldPosition]) -> Sequence[Signal]:
        """Take up what an earlier run left, and let go of what a stop loss has closed; believed at the second telling only."""
        if self._in_flight:
            self._disagreements = 0
            return NOTHING
        mine = [held for held in positions if held.symbol == self._symbol and held.magic == self._magic]
        if self._ticket in {held.ticket for held in mine} or (self._ticket is None and not mine):
            self._disagreements = 0
            return NOTHING
        self._disagreements += 1
        if self._disagreements >= 2:
            self._disagreements = 0
            self._ticket, self._side = (mine[0].ticket, mine[0].side) if mine else (None, None)
            if self._ticket is None:
                self._wanted = None
        return NOTHING

    def _act(self) -> Sequence[Signal]:
        if self._in_flight or self._wanted is None or self._side is self._wanted:
            return NOTHING
        if self._ticket is not None:
            self._in_flight = True
            return (Signal(ClosePosition(self._ticket), self.strategy_id, Priority.HIGH),)
        if self._quote is None:
            return NOTHING
        self._in_flight = True
        return (Signal(self._entry(self._wanted, self._quote), self.strategy_id),)

    def _entry(self, side: Side, quote: Quote) -> OpenPosition:
        price = quote.ask if side is Side.BUY else quote.bid
        stop = None if self._stop_distance is None else Price(price - side.sign * self._stop_distance)
        return OpenPosition(
            self._symbol,
            side,
            self._volume,
            stop_loss=stop,
            price=price,
            magic=self._magic,
            comment=self.strategy_id[:24],
        )
