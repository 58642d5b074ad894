"""What a strategy is: it is told what happens and answers with the trades it wants.

A strategy runs between two frames, so it must be quick; it never waits, sends or stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.brain.signals import Command, Signal
from app.domain.market import Quote
from app.domain.results import CommandResult
from app.domain.values import Side, Symbol, Ticket

NOTHING: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """An open position as the executor lists it. Volume in lots."""

    ticket: Ticket
    symbol: Symbol
    side: Side
    volume: Decimal
    magic: int


class Strategy:
    """Base of all strategies; override what is needed."""

    strategy_id: str
    symbols: tuple[Symbol, ...]
    """Whose quotes it wants."""
    pace: float | None = None
    """Seconds between two calls of on_clock; None: never."""

    def __init__(self, strategy_id: str, symbols: Sequence[Symbol]) -> None:
        self.strategy_id = strategy_id
        self.symbols = tuple(symbols)

    def on_quote(self, quote: Quote) -> Sequence[Signal]:
        """A new price of one of its symbols."""
        return NOTHING

    def on_result(self, command: Command, result: CommandResult) -> Sequence[Signal]:
        """A result of one of its commands; UNKNOWN is followed by one more."""
        return NOTHING

    def on_ended(self, command: Command) -> Sequence[Signal]:
        """One of its commands ended without a result (refused, unanswered)."""
        return NOTHING

    def on_positions(self, positions: Sequence[HeldPosition]) -> Sequence[Signal]:
        """All positions of the account, its own or not. May be older than the last result."""
        return NOTHING

    def on_clock(self) -> Sequence[Signal]:
        """Every `pace` seconds while the executor takes commands."""
        return NOTHING
