"""One command as it stands now: the sum of its events.

apply() checks ids, moves the machine, then fields, history last; if it raises, nothing was changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.domain import events as ev
from app.domain.command_states import CommandState, next_state
from app.domain.commands import TradeCommand
from app.domain.errors import IllegalTransition
from app.domain.results import CommandResult
from app.domain.values import CommandId, Price


@dataclass(slots=True)
class CommandRecord:
    """Made from a CommandReceived, changed by apply() alone."""

    command_id: CommandId
    fingerprint: str
    command: TradeCommand | None
    received_at: datetime
    epoch: int
    state: CommandState = CommandState.RECEIVED
    tag: str | None = None
    session: str | None = None
    dispatched_at: datetime | None = None
    intended_price: Price | None = None
    turned_away: ev.CommandTurnedAway | None = None
    results: list[CommandResult] = field(default_factory=list)
    """In the order they happened; at most two (UNKNOWN, then what settled it)."""
    ahead: float = 0.0
    """Seconds by which the sender's clock was ahead of ours when it came."""

    @classmethod
    def received(cls, event: ev.CommandReceived) -> CommandRecord:
        return cls(
            event.command_id, event.fingerprint, event.command, event.at, event.epoch, ahead=event.ahead
        )

    @property
    def final(self) -> bool:
        return self.state.final

    def apply(self, event: ev.CommandEvent) -> None:
        """Raises IllegalTransition if the event is another command's or not possible in this state."""
        if event.command_id != self.command_id:
            raise IllegalTransition(f"event of {event.command_id} applied to {self.command_id}")
        self.state = next_state(self.state, type(event))
        match event:
            case ev.CommandDispatched():
                self.tag = event.tag
                self.session = event.session
                self.dispatched_at = event.at
                self.intended_price = event.intended_price
            case ev.CommandTurnedAway():
                self.turned_away = event
            case ev.CommandReceived() | ev.CommandQueued():
                pass
            case _:
                self.results.append(event.result)
