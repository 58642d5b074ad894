"""What has happened: past tense, frozen, dated. The journal's rows and the state machines' inputs.

An event is written to the journal before the side effect that follows it. Adding a field needs a default, so that old rows can
still be read; renaming or removing one needs a migration.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.commands import TradeCommand
from app.domain.results import CommandResult
from app.domain.trading_state import Actor, TradingState
from app.domain.values import CommandId, Price, Symbol, Ticket


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. `at` is UTC."""

    at: datetime


# ------------------------------------------------------------------ a command's life


@dataclass(frozen=True, slots=True)
class CommandReceived(Event):
    """A command that named itself arrived. `command` is None when it could not be understood."""

    command_id: CommandId
    fingerprint: str
    command: TradeCommand | None
    frame: str
    """The text it came in, verbatim: the evidence."""
    epoch: int
    ahead: float = 0.0
    """Seconds by which the sender's clock was ahead of ours: its expiry is counted on that clock, also after a restart."""


@dataclass(frozen=True, slots=True)
class CommandQueued(Event):
    command_id: CommandId


@dataclass(frozen=True, slots=True)
class CommandTurnedAway(Event):
    """Refused before it was accepted: the brain got COMMAND_ACK REJECTED, and no result follows."""

    command_id: CommandId
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CommandRefused(Event):
    """Refused by the safety gate after it was accepted; certainly nothing was sent."""

    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class CommandExpired(Event):
    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class CommandWithdrawn(Event):
    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class CommandStopped(Event):
    """Drained by an emergency stop; will never run."""

    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class CommandDispatched(Event):
    """Committed before the frame is handed to the terminal: from here on it may have been executed."""

    command_id: CommandId
    tag: str
    """The 8 characters by which the trade can be found in broker comments."""
    session: str
    """Terminal session it was sent in."""
    intended_price: Price | None
    """What slippage is measured from: the brain's price, else the quote at dispatch."""


@dataclass(frozen=True, slots=True)
class CommandExecuted(Event):
    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class CommandPartlyExecuted(Event):
    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class CommandRejected(Event):
    """The broker or the terminal refused; certainly nothing was done."""

    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class OutcomeUnknown(Event):
    """The answer was ambiguous or lost. It is never sent again; reconciliation will settle it."""

    command_id: CommandId
    result: CommandResult


@dataclass(frozen=True, slots=True)
class LeftToOperator(Event):
    """Reconciliation cannot know; a person has to look at the account."""

    command_id: CommandId
    result: CommandResult


CommandEvent = (
    CommandReceived
    | CommandQueued
    | CommandTurnedAway
    | CommandRefused
    | CommandExpired
    | CommandWithdrawn
    | CommandStopped
    | CommandDispatched
    | CommandExecuted
    | CommandPartlyExecuted
    | CommandRejected
    | OutcomeUnknown
    | LeftToOperator
)


# ------------------------------------------------------------------ everything else


@dataclass(frozen=True, slots=True)
class ResultsAcknowledged(Event):
    """The brain has stored these results (numbers of outbox rows)."""

    outbox_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnknownAcknowledged(Event):
    """A person has seen an unsettled outcome and takes it over."""

    command_id: CommandId
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class TradingStateChanged(Event):
    state: TradingState
    epoch: int
    reason: str
    by: Actor


@dataclass(frozen=True, slots=True)
class BrainSessionOpened(Event):
    session_id: str
    plain: bool
    clock_offset: float | None
    """Seconds by which the brain's clock is ahead of ours; None: not measured."""


@dataclass(frozen=True, slots=True)
class BrainSessionClosed(Event):
    session_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class TerminalSessionOpened(Event):
    session_id: str
    boot: str
    login: str
    terminal: str


@dataclass(frozen=True, slots=True)
class TerminalSessionLost(Event):
    session_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class TradeObserved(Event):
    """Something changed at the broker. `command_id` is None when it was not by a command of ours."""

    kind: str
    command_id: CommandId | None
    symbol: Symbol | None
    position: Ticket | None
    order: Ticket | None
    volume: Decimal | None
    price: Price | None
    profit: Decimal | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class EquitySampled(Event):
    """One point of the equity curve, and what daily limits are counted from."""

    account: str
    broker_day: str
    """`2026-11-21`, the broker's date."""
    balance: Decimal
    equity: Decimal
    day_start_equity: Decimal
    peak_equity: Decimal
    deposits: Decimal
    """Sum of deposits and withdrawals since the day began: neither profit nor loss."""


@dataclass(frozen=True, slots=True)
class StopStepTaken(Event):
    """One line of a stop's receipt, dated when it happened."""

    epoch: int
    what: str
    how: str
    ok: bool


@dataclass(frozen=True, slots=True)
class AlertRaised(Event):
    severity: str
    """'info' | 'warning' | 'critical'."""
    code: str
    message: str
    alert_id: str = ""
    """What it is acknowledged by; empty in rows of before there was one."""


@dataclass(frozen=True, slots=True)
class AlertAcknowledged(Event):
    """A person has seen it: it does not come again."""

    alert_id: str
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class LimitTripped(Event):
    """A limit latched; entries stay refused until a person re-enables it."""

    limit: str
    message: str


@dataclass(frozen=True, slots=True)
class LimitReenabled(Event):
    limit: str
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class LimitChanged(Event):
    """A limit has another value than before. Texts as `limit_changes.limit_texts` writes them."""

    limit: str
    old: str
    new: str
    loosens: bool
    by: str
    """Who, or 'configuration file' for what differed at a start."""
    reason: str


@dataclass(frozen=True, slots=True)
class SettingChanged(Event):
    """A setting that is no limit has another value in the configuration file; it counts from the next start. Secrets as `***`."""

    key: str
    old: str
    new: str
    loosens: bool
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class LimitText:
    """One limit by its name under `safety` and its value as text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class LimitsInForce(Event):
    """All limits from here on: written at every start and after every change, so that the next start can see what differs."""

    limits: tuple[LimitText, ...]
