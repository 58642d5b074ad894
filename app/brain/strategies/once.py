"""One small trade, opened at the first price and closed after a while: to show a person that everything works. Then nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from app.brain.signals import Command, Signal
from app.brain.strategies.interface import NOTHING, Strategy
from app.domain.commands import ClosePosition, OpenPosition
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome
from app.domain.values import Magic, Price, Priority, Side, Symbol, Ticket, Volume

_STOP_SHARE = Decimal("0.005")
"""Distance of the stop loss, as a share of the price."""
_MAGIC = Magic(7900)
_PLACES = Decimal("0.00001")


class SingleTrade(Strategy):
    """Buys `volume` lots with a stop loss and closes them `hold` seconds later."""

    pace = 1.0

    def __init__(self, symbol: Symbol, *, volume: Volume, hold: int, strategy_id: str = "once") -> None:
        if not 1 <= hold <= 3600:
            raise ValueError("hold must be 1 to 3600 seconds")
        super().__init__(strategy_id, (symbol,))
        self._volume = volume
        self._hold = hold
        self._asked = False
        self._ticket: Ticket | None = None

    def on_quote(self, quote: Quote) -> Sequence[Signal]:
        if self._asked or quote.symbol != self.symbols[0]:
            return NOTHING
        self._asked = True
        entry = OpenPosition(
            quote.symbol,
            Side.BUY,
            self._volume,
            stop_loss=Price((quote.ask * (1 - _STOP_SHARE)).quantize(_PLACES)),
            price=quote.ask,
            magic=_MAGIC,
            comment=self.strategy_id,
        )
        return (Signal(entry, self.strategy_id),)

    def on_result(self, command: Command, result: CommandResult) -> Sequence[Signal]:
        filled = result.outcome in (Outcome.EXECUTED, Outcome.PARTIAL)
        if filled and isinstance(command.action, OpenPosition):
            self._ticket = result.ticket
        return NOTHING

    def on_clock(self) -> Sequence[Signal]:
        if self._ticket is None:
            return NOTHING
        self._hold -= 1
        if self._hold > 0:
            return NOTHING
        ticket, self._ticket = self._ticket, None
        return (Signal(ClosePosition(ticket), self.strategy_id, Priority.HIGH),)
