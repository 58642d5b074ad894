"""What a strategy asks for, and what the brain makes of it: a signal becomes a command with an id, a signed frame and a fate.

Plain values and their clocks; nothing here sends, stores or decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.brain.schema import CommandStatus
from app.domain.commands import Action
from app.domain.results import Outcome
from app.domain.values import Priority

DEFAULT_EXPIRY = 5000
"""Milliseconds (PROTOCOL §4.1)."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One trade that a strategy wants. `expiry`: milliseconds within which it may reach the broker."""

    action: Action
    strategy_id: str
    priority: Priority = Priority.NORMAL
    expiry: int = DEFAULT_EXPIRY
    account: str | None = None
    """None: the executor's default account."""


_FINAL_STATUS = {
    Outcome.EXECUTED: CommandStatus.EXECUTED,
    Outcome.PARTIAL: CommandStatus.EXECUTED,
    Outcome.REJECTED: CommandStatus.FAILED,
    Outcome.EXPIRED: CommandStatus.FAILED,
    Outcome.WITHDRAWN: CommandStatus.FAILED,
    Outcome.STOPPED: CommandStatus.FAILED,
    Outcome.UNKNOWN: CommandStatus.UNKNOWN,
    Outcome.OPERATOR: CommandStatus.OPERATOR,
}


def status_after(outcome: Outcome) -> CommandStatus:
    """What a command's row becomes when this outcome is reported."""
    return _FINAL_STATUS[outcome]


@dataclass(slots=True, eq=False)
class Command:
    """A command on its way. `*_ns` are `perf_counter_ns` readings of this process; 0: not yet."""

    id: str
    executor_id: str
    strategy_id: str
    action_name: str
    priority: Priority
    frame: str
    """The exact text of the signed frame: the same at every sending."""
    created_at: datetime
    expires_at: datetime
    action: Action | None = None
    """None for commands of an earlier run, of which only the frame is kept."""
    status: CommandStatus = CommandStatus.PENDING
    retries: int = 0
    maybe_sent: bool = False
    """False only while it is certain that the frame has never left this brain."""
    in_line: bool = False
    """Whether it waits to be sent (again)."""
    last_sent: float = 0.0
    """Monotonic seconds."""
    sent_ns: int = 0
    """Just before the first sending."""
    acked_ns: int = 0
    answered_ns: int = 0
    """Arrival of the first EXECUTION_RESULT, or of the refusal."""
    settled_ns: int = 0
    """Arrival of the final outcome, or of the refusal."""
    outcomes: list[Outcome] = field(default_factory=list)
    """In the order of arrival; more than one only after UNKNOWN."""
    stored: set[Outcome] = field(default_factory=set)
    """Outcomes that are on this brain's disk: these may be acknowledged."""
    storing: set[Outcome] = field(default_factory=set)
    """Outcomes on their way to the disk."""
    repeated: int = 0
    """Results that came again."""
    code: str | None = None
    """Why it was refused or rejected (PROTOCOL §6)."""

    def give_up_at(self, grace: timedelta) -> datetime:
        """From then on the frame is not sent again."""
        return self.expires_at + grace
