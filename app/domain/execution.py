"""What a terminal says became of a trade: the answer to sending it, and to asking for it again later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from app.domain.market import Deal, PendingOrder, Position
from app.domain.values import Price, Ticket


class ExecutionState(Enum):
    """What the terminal says became of a trade (§4)."""

    DONE = "done"
    PARTIAL = "partial"
    REJECTED = "rejected"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Execution:
    """A trade's result. Volumes in lots, prices in quote units, tickets 0 when there is none."""

    state: ExecutionState
    retcode: int | None = None
    code: str | None = None
    """Why the terminal itself refused (EA_PROTOCOL §7)."""
    order: Ticket | None = None
    deal: Ticket | None = None
    position: Ticket | None = None
    volume: Decimal = Decimal(0)
    requested: Decimal | None = None
    price: Price | None = None
    quote: Price | None = None
    attempts: int = 0
    replayed: bool = False
    message: str | None = None
    details: tuple[Execution, ...] = ()
    ticket: Ticket | None = None
    """Only inside `details` of a close_all: the position that was to be closed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Reply of `find`: what the ledger and the broker know of a command id."""

    ledger: str
    """'never_seen' | 'claimed' | 'sent' | 'result'."""
    execution: Execution | None
    sent_at: datetime | None
    connected: bool
    synchronised: bool
    positions: tuple[Position, ...] = ()
    orders: tuple[PendingOrder, ...] = ()
    deals: tuple[Deal, ...] = ()
