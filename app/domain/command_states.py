"""THE transition table of a command. What is not listed cannot happen.

Everything that can change a command's state is in TRANSITIONS; nothing anywhere else compares states to decide what may follow.
`docs/command-states.md` is generated from this file by `python -m app.domain.command_states`.
"""

from __future__ import annotations

from enum import Enum

from app.domain import events as ev
from app.domain.errors import IllegalTransition


class CommandState(Enum):
    """Stored by name."""

    RECEIVED = "RECEIVED"
    QUEUED = "QUEUED"
    DISPATCHED = "DISPATCHED"
    UNKNOWN = "UNKNOWN"
    TURNED_AWAY = "TURNED_AWAY"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"
    STOPPED = "STOPPED"
    EXECUTED = "EXECUTED"
    PARTIAL = "PARTIAL"
    REJECTED = "REJECTED"
    OPERATOR = "OPERATOR"

    @property
    def final(self) -> bool:
        return not TRANSITIONS[self]


_S = CommandState

_NOT_SENT: dict[type[ev.Event], CommandState] = {
    ev.CommandRefused: _S.REFUSED,
    ev.CommandExpired: _S.EXPIRED,
    ev.CommandWithdrawn: _S.WITHDRAWN,
    ev.CommandStopped: _S.STOPPED,
}

_ANSWERED: dict[type[ev.Event], CommandState] = {
    ev.CommandExecuted: _S.EXECUTED,
    ev.CommandPartlyExecuted: _S.PARTIAL,
    ev.CommandRejected: _S.REJECTED,
}

TRANSITIONS: dict[CommandState, dict[type[ev.Event], CommandState]] = {
    _S.RECEIVED: {ev.CommandTurnedAway: _S.TURNED_AWAY, ev.CommandQueued: _S.QUEUED},
    _S.QUEUED: {**_NOT_SENT, ev.CommandDispatched: _S.DISPATCHED},
    # DISPATCHED is committed before the last look at latch, expiry and limits. When that look says no, or the terminal's socket
    # does not take the frame, it was certainly not sent and ends as if it had never left the queue.
    _S.DISPATCHED: {**_NOT_SENT, **_ANSWERED, ev.OutcomeUnknown: _S.UNKNOWN},
    _S.UNKNOWN: {**_ANSWERED, ev.LeftToOperator: _S.OPERATOR},
    _S.TURNED_AWAY: {},
    _S.REFUSED: {},
    _S.EXPIRED: {},
    _S.WITHDRAWN: {},
    _S.STOPPED: {},
    _S.EXECUTED: {},
    _S.PARTIAL: {},
    _S.REJECTED: {},
    _S.OPERATOR: {},
}


def next_state(state: CommandState, event: type[ev.Event]) -> CommandState:
    """The state after `event`. Raises IllegalTransition, naming both, if the table does not list it."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"a command that is {state.name} cannot take {event.__name__}") from None


def as_markdown() -> str:
    """The table as a page with a Mermaid diagram."""
    lines = [
        "# A command's states",
        "",
        "Generated from `app/domain/command_states.py` by"
        " `python -m app.domain.command_states > docs/command-states.md`; a test compares.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> RECEIVED: CommandReceived",
    ]
    for state, arrows in TRANSITIONS.items():
        for event, target in arrows.items():
            lines.append(f"    {state.name} --> {target.name}: {event.__name__}")
        if not arrows:
            lines.append(f"    {state.name} --> [*]")
    lines += ["```", "", "| in state | event | becomes |", "|---|---|---|"]
    for state, arrows in TRANSITIONS.items():
        for event, target in arrows.items():
            lines.append(f"| {state.name} | {event.__name__} | {target.name} |")
        if not arrows:
            lines.append(f"| {state.name} | — | final |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(as_markdown())
