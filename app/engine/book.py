"""The live picture of the terminal: account, positions, orders, quotes, contracts.

A snapshot replaces everything; events keep it current in between. It shows, it never decides: what is in doubt is asked of the
terminal.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from app.domain.commands import ClosePosition, TradeCommand
from app.domain.execution import Execution
from app.domain.market import (
    Account,
    MarginMode,
    PendingOrder,
    Permissions,
    Position,
    Quote,
    SymbolSpec,
    TerminalSnapshot,
    TradeEvent,
)
from app.domain.values import CommandId, Side, Symbol, Ticket

T = TypeVar("T")
_SEEN_KEPT = 1000
"""Commands and tickets of the last events: an answer that comes after its event is known by them."""


class Book:
    """Filled by the broker's listener; read by the gate, the reports and the window."""

    def __init__(self) -> None:
        self.account: Account | None = None
        self.permissions: Permissions | None = None
        self.positions: dict[Ticket, Position] = {}
        self.orders: dict[Ticket, PendingOrder] = {}
        self.specs: dict[Symbol, SymbolSpec] = {}
        self.quotes: dict[Symbol, Quote] = {}
        self.server_utc_offset = 0
        self.trade_seq = 0
        self._seen: OrderedDict[str | Ticket, None] = OrderedDict()
        self.version = 0
        """Raised by every change of positions or orders."""

    def take_snapshot(self, snapshot: TerminalSnapshot) -> None:
        self.account = snapshot.account
        self.permissions = snapshot.permissions
        self.positions = {position.ticket: position for position in snapshot.positions}
        self.orders = {order.ticket: order for order in snapshot.orders}
        self.specs.update((spec.symbol, spec) for spec in snapshot.symbols)
        for quote in snapshot.quotes:
            self.take_quote(quote)
        self.server_utc_offset = snapshot.server_utc_offset
        self.trade_seq = snapshot.trade_seq
        self.version += 1

    def take_quote(self, quote: Quote) -> None:
        known = self.quotes.get(quote.symbol)
        if known is None or quote.time >= known.time:
            self.quotes[quote.symbol] = quote

    def take_event(self, event: TradeEvent) -> None:
        """An event older than the last snapshot is already in it."""
        if event.seq <= self.trade_seq:
            return
        self.trade_seq = event.seq
        self._remember(event.command_id, event.position_ticket, event.order_ticket)
        if event.position_ticket is not None:
            _put(self.positions, event.position_ticket, event.position)
        if event.order_ticket is not None:
            _put(self.orders, event.order_ticket, event.order)
        if event.account is not None:
            self.account = event.account
        self.version += 1

    def shows(self, command_id: CommandId, execution: Execution) -> bool:
        """Whether this picture already holds what our own answer says: event and answer come by different ways."""
        if command_id in self._seen:
            return True
        if self.account is None or self.account.margin_mode is not MarginMode.HEDGING:
            return False  # the position may have been there before
        tickets = (execution.position, execution.order)
        return any(
            ticket in self._seen or ticket in self.positions or ticket in self.orders for ticket in tickets
        )

    def _remember(self, *keys: str | Ticket | None) -> None:
        for key in keys:
            if key is not None:
                self._seen[key] = None
        while len(self._seen) > _SEEN_KEPT:
            self._seen.popitem(last=False)

    def broker_time(self, now: datetime) -> datetime:
        """The broker's wall clock: its day and its sessions are counted on it."""
        return now + timedelta(seconds=self.server_utc_offset)

    def live_positions(self) -> tuple[Position, ...]:
        """Positions with profit and price at the latest quotes."""
        return tuple(self._valued(position) for position in self.positions.values())

    def _valued(self, position: Position) -> Position:
        quote, spec = self.quotes.get(position.symbol), self.specs.get(position.symbol)
        if quote is None or spec is None or spec.tick_size <= 0:
            return position
        price = quote.bid if position.side is Side.BUY else quote.ask
        ticks = (price - position.open_price) * position.side.sign / spec.tick_size
        profit = (ticks * spec.tick_value * position.volume).quantize(Decimal("0.01"))
        return replace(position, current_price=price, profit=profit)

    def symbol_of(self, command: TradeCommand) -> Symbol | None:
        """The symbol a command acts on, also where it only names a ticket."""
        if command.symbol is not None:
            return command.symbol
        if command.ticket is None:
            return None
        holder = self.positions.get(command.ticket) or self.orders.get(command.ticket)
        return holder.symbol if holder is not None else None

    def closing_side(self, command: TradeCommand) -> Side | None:
        if not isinstance(command.action, ClosePosition):
            return None
        position = self.positions.get(command.action.ticket)
        return position.side if position is not None else None


def _put(table: dict[Ticket, T], ticket: Ticket, item: T | None) -> None:
    if item is None:
        table.pop(ticket, None)
    else:
        table[ticket] = item
