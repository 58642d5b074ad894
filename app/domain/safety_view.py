"""What the safety gate may know and what it may answer. The rules are in safety_rules.py and entry_rules.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.domain.commands import Origin
from app.domain.market import Account, PendingOrder, Permissions, Position, Quote, SymbolSpec
from app.domain.trading_state import TradingState
from app.domain.values import Symbol, Ticket

ORIGINS_THAT_PASS_A_STOP = frozenset({Origin.OPERATOR, Origin.SYSTEM})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: a code of PROTOCOL §6 and a sentence that names the rule, its number and the present one."""

    code: str
    message: str
    latch: str | None = None
    """Name of a limit that this refusal trips: it stays tripped until a person re-enables it."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """An entry that was handed to the terminal and has no answer yet: it counts as if it were open."""

    symbol: Symbol
    volume: Decimal
    strategy: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All that the rules may know, read in one go right before the decision."""

    state: TradingState
    terminal_up: bool
    brain_lost: bool
    permissions: Permissions | None
    account: Account | None
    positions: Mapping[Ticket, Position]
    orders: Mapping[Ticket, PendingOrder]
    specs: Mapping[Symbol, SymbolSpec]
    quotes: Mapping[Symbol, Quote]
    in_flight: tuple[InFlight, ...]
    symbols_in_doubt: frozenset[Symbol]
    monotonic: float
    """Same clock as Quote.received."""
    broker_time: datetime
    """The broker's wall clock (naive meaning: its own zone), for sessions."""
    daily_profit: Decimal | None
    """Equity now less equity at the start of the broker's day, deposits not counted; None: not known yet."""
    day_start_equity: Decimal | None
    peak_equity: Decimal | None
    consecutive_failures: int
    identical_entries: int
    """Entries with the same symbol, side, kind and volume within the last 60 s, this one not counted."""
    tripped: Mapping[str, str]
    """Limits that latched -> why."""
    unpictured: tuple[InFlight, ...] = ()
    """Entries that were filled since the account was last reported: its free margin does not know them."""
    owners: Mapping[Ticket, str | None] = field(default_factory=dict)
    """Positions and pending orders of ours -> the strategy that opened them."""
    strategy_profit: Decimal | None = None
    """Result of the broker's day of the command's own strategy; None: not known, or it has no limit for it."""
