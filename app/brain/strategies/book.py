"""What the load strategy believes to hold: positions and pending orders by ticket, and which of them have a command in flight.

Learned from results alone. No choice is made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.brain.signals import Command
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
from app.domain.results import CommandResult, Outcome
from app.domain.values import Magic, OrderKind, Side, Symbol, Ticket


@dataclass(slots=True)
class Position:
    """Volume in lots. `busy`: a command on this ticket has no final outcome yet."""

    ticket: Ticket
    symbol: Symbol
    side: Side
    volume: Decimal
    magic: Magic
    busy: bool = False


@dataclass(slots=True)
class Order:
    """A pending order."""

    ticket: Ticket
    symbol: Symbol
    kind: OrderKind
    magic: Magic
    price: Decimal
    busy: bool = False


_DONE = (Outcome.EXECUTED, Outcome.PARTIAL)


class Book:
    """Positions, orders, and how many commands are in flight for each magic number."""

    def __init__(self) -> None:
        self.positions: dict[Ticket, Position] = {}
        self.orders: dict[Ticket, Order] = {}
        self.opening: dict[Symbol, Decimal] = {}
        """Signed lots of openings in flight."""
        self.openings = 0
        self.placements = 0
        self.in_flight: dict[Magic, int] = {}
        self.closing_all: set[Magic] = set()

    def net(self, symbol: Symbol) -> Decimal:
        """Lots, bought less sold, with what is being opened."""
        held = sum(
            (p.side.sign * p.volume for p in self.positions.values() if p.symbol == symbol), Decimal(0)
        )
        return held + self.opening.get(symbol, Decimal(0))

    def requested(self, action: Action) -> None:
        """An action is on its way: its ticket is busy and its volume counts."""
        self._count(action, +1)
        self._mark(action, busy=True)

    def settled(self, command: Command, result: CommandResult) -> None:
        """A final outcome; UNKNOWN must not be given: the ticket stays busy until it is known."""
        action = command.action
        if action is None:
            return
        self._count(action, -1)
        self._mark(action, busy=False)
        done = result.outcome in _DONE
        match action:
            case OpenPosition() if done and result.ticket is not None:
                volume = action.volume if result.volume is None else result.volume
                self.positions[result.ticket] = Position(
                    result.ticket, action.symbol, action.side, volume, action.magic
                )
            case PlaceOrder() if done and result.ticket is not None:
                self.orders[result.ticket] = Order(
                    result.ticket, action.symbol, action.kind, action.magic, action.price
                )
            case ClosePosition():
                self._closed(action, result, done=done)
            case CancelOrder() if done or result.code == "NOT_FOUND":
                self.orders.pop(action.ticket, None)
            case ModifyOrder():
                self._order_modified(action, result, done=done)
            case ModifyPosition() if result.code == "NOT_FOUND":
                self.positions.pop(action.ticket, None)
            case CloseAll():
                self._all_closed(action, result)
            case _:
                pass

    def dropped(self, command: Command) -> None:
        """It ended without a result: as if it had never been asked for."""
        if command.action is not None:
            self._count(command.action, -1)
            self._mark(command.action, busy=False)

    def magic_of(self, action: Action) -> Magic | None:
        match action:
            case OpenPosition() | PlaceOrder():
                return action.magic
            case ClosePosition() | ModifyPosition():
                position = self.positions.get(action.ticket)
                return None if position is None else position.magic
            case CloseAll():
                return action.magic
            case _:
                return None

    def _closed(self, action: ClosePosition, result: CommandResult, *, done: bool) -> None:
        position = self.positions.get(action.ticket)
        if position is None:
            return
        if result.code == "NOT_FOUND":
            del self.positions[action.ticket]
        elif done:
            volume = result.volume if result.volume is not None else action.volume or position.volume
            position.volume -= volume
            if position.volume <= 0:
                del self.positions[action.ticket]

    def _order_modified(self, action: ModifyOrder, result: CommandResult, *, done: bool) -> None:
        order = self.orders.get(action.ticket)
        if order is not None and result.code == "NOT_FOUND":
            del self.orders[action.ticket]
        elif order is not None and done and isinstance(action.price, Decimal):
            order.price = action.price

    def _all_closed(self, action: CloseAll, result: CommandResult) -> None:
        if result.details:
            for detail in result.details:
                if detail.outcome is Outcome.EXECUTED:
                    self.positions.pop(detail.ticket, None)
        elif result.outcome is Outcome.EXECUTED:
            for ticket in [t for t, p in self.positions.items() if p.magic == action.magic]:
                del self.positions[ticket]

    def _count(self, action: Action, by: int) -> None:
        magic = self.magic_of(action)
        if magic is not None:
            self.in_flight[magic] = max(0, self.in_flight.get(magic, 0) + by)
        match action:
            case OpenPosition():
                self.openings += by
                volume = by * action.side.sign * action.volume
                self.opening[action.symbol] = self.opening.get(action.symbol, Decimal(0)) + volume
            case PlaceOrder():
                self.placements += by
            case CloseAll() if action.magic is not None:
                if by > 0:
                    self.closing_all.add(action.magic)
                else:
                    self.closing_all.discard(action.magic)
            case _:
                pass

    def _mark(self, action: Action, *, busy: bool) -> None:
        match action:
            case ClosePosition() | ModifyPosition():
                position = self.positions.get(action.ticket)
                if position is not None:
                    position.busy = busy
            case CancelOrder() | ModifyOrder():
                order = self.orders.get(action.ticket)
                if order is not None:
                    order.busy = busy
            case _:
                pass
