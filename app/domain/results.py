"""What a command came to, as the brain, the journal and the window are told (PROTOCOL §5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from app.domain.values import CommandId, Price, Ticket


class Outcome(Enum):
    EXECUTED = "EXECUTED"
    PARTIAL = "PARTIAL"
    REJECTED = "REJECTED"
    """By us or by the broker; nothing was done."""
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"
    OPERATOR = "OPERATOR"
    """The machine cannot know; a person has to look at the account."""

    @property
    def success(self) -> bool:
        return self in (Outcome.EXECUTED, Outcome.PARTIAL)


@dataclass(frozen=True, slots=True)
class CloseDetail:
    """One position of a CLOSE_ALL."""

    ticket: Ticket
    outcome: Outcome
    volume: Decimal
    price: Price | None = None
    retcode: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """One answer to one command. At most two are ever sent: UNKNOWN, then what settled it."""

    command_id: CommandId
    outcome: Outcome
    execution_time: int
    """Milliseconds from the frame's arrival to the broker's answer (or to our decision)."""
    ticket: Ticket | None = None
    price: Price | None = None
    slippage: Decimal | None = None
    """Price units; positive: worse than intended."""
    volume: Decimal | None = None
    requested_volume: Decimal | None = None
    code: str | None = None
    """PROTOCOL §6; None when all went as asked."""
    retcode: int | None = None
    message: str | None = None
    attempts: int = 0
    reconciled: bool = False
    details: tuple[CloseDetail, ...] | None = None
    """One for each position of a CLOSE_ALL that was tried; None for every other command."""
    strategy_id: str | None = None
    account: str | None = None
