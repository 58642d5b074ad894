"""Entries that the live picture does not show yet: sent and unanswered, answered and unseen, seen but not yet in the margin.

Until it is shown, each counts as if it were open; counting one twice for a moment is right, counting it not at all never is.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.commands import OpenPosition, PlaceOrder, TradeCommand
from app.domain.execution import Execution
from app.domain.market import TradeEvent
from app.domain.safety_view import InFlight
from app.domain.values import CommandId, Symbol, Ticket


class UnderWay:
    """Kept by the gate."""

    def __init__(self) -> None:
        self._in_flight: dict[CommandId, InFlight] = {}
        self._awaited: dict[Ticket, CommandId] = {}
        self._in_doubt: dict[CommandId, Symbol] = {}
        self._unpictured: list[tuple[int, InFlight]] = []
        """Fills that the account's free margin may not know: number of their trade event, and the fill."""

    @property
    def in_flight(self) -> Mapping[CommandId, InFlight]:
        return self._in_flight

    @property
    def symbols_in_doubt(self) -> frozenset[Symbol]:
        return frozenset(self._in_doubt.values())

    @property
    def unpictured(self) -> tuple[InFlight, ...]:
        """Filled since the account was last reported."""
        return tuple(fill for _, fill in self._unpictured)

    def departs(self, command: TradeCommand) -> None:
        action = command.action
        if isinstance(action, OpenPosition | PlaceOrder):
            self._in_flight[command.command_id] = InFlight(action.symbol, action.volume, command.strategy_id)

    def lands(self, command_id: CommandId) -> None:
        """It has an answer that the picture shows, or was not sent after all."""
        self._in_flight.pop(command_id, None)

    def awaits_event(self, command_id: CommandId, execution: Execution) -> None:
        """Done, but the live picture does not show it yet."""
        tickets = [ticket for ticket in (execution.position, execution.order) if ticket is not None]
        for ticket in tickets:
            self._awaited[ticket] = command_id
        if not tickets:
            self.lands(command_id)  # no event could be known to be its own: it would count for ever

    def seen(self, event: TradeEvent, *, pictured: bool) -> None:
        """The live picture shows what this event tells. `pictured`: the account's margin too."""
        known = [
            self._awaited.pop(ticket, None)
            for ticket in (event.position_ticket, event.order_ticket)
            if ticket
        ]
        for key in (*known, event.command_id):
            if key is None or key in self._in_doubt:
                continue
            entry = self._in_flight.pop(CommandId(key), None)
            if entry is not None and event.kind != "order_placed" and not pictured:
                self._unpictured.append((event.seq, entry))

    def snapshot_taken(self, trade_seq: int) -> None:
        """The live picture was replaced by one that shows everything that has been answered."""
        for command_id in self._awaited.values():
            self._in_flight.pop(command_id, None)
        self._awaited.clear()
        self.pictured(trade_seq)

    def pictured(self, trade_seq: int) -> None:
        """An account that knows every trade event up to this number."""
        self._unpictured = [(seq, fill) for seq, fill in self._unpictured if seq > trade_seq]

    def doubt(self, command_id: CommandId, symbol: Symbol | None) -> None:
        """An outcome is unknown: the entry keeps counting until it is settled."""
        if symbol is not None:
            self._in_doubt[command_id] = symbol

    def settled(self, command_id: CommandId) -> None:
        self._in_doubt.pop(command_id, None)
        self._in_flight.pop(command_id, None)
