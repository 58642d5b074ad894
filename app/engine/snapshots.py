"""What the engine shows of itself: one frozen picture, read by the API, the command line and the window.

Built by the engine, never changed by its readers. Everything here is a fact with its unit; words for people are made elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.market import Account, PendingOrder, Permissions, Position, Quote
from app.domain.results import CommandResult
from app.domain.trading_state import TradingStatus
from app.engine.broker import LinkState


@dataclass(frozen=True, slots=True)
class LinkView:
    """A chip of the status bar."""

    name: str
    """'brain' | 'terminal' | 'broker' | 'journal'."""
    state: LinkState
    detail: str
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class CommandView:
    """A row of the pipeline."""

    command_id: str
    action: str
    symbol: str | None
    ticket: str | None
    volume: Decimal | None
    side: str | None
    priority: str
    strategy_id: str | None
    state: str
    received_at: datetime
    queue_ms: float | None
    """Arrival to dispatch."""
    broker_ms: float | None
    """Dispatch to answer."""
    total_ms: float | None
    result: CommandResult | None


@dataclass(frozen=True, slots=True)
class LimitView:
    """A gauge of the safety pane."""

    name: str
    now: Decimal
    limit: Decimal | None
    """None: no such limit is set."""
    state: str
    """'ok' | 'warning' (from 80 %) | 'reached' | 'latched'."""
    explanation: str
    """What happened, what it means, what to do."""
    setting: str = ""
    """The key under `safety`."""
    unit: str = ""
    """'lots', '%', the account's currency, or nothing for what is counted."""


@dataclass(frozen=True, slots=True)
class AlertView:
    """A row of the alerts pane."""

    alert_id: str
    """Unique in this journal."""
    at: datetime
    severity: str
    """'info' | 'warning' | 'critical'."""
    code: str
    message: str
    over_at: datetime | None = None
    """Since when the trouble is over; None: it stands, or is of a kind that has no end."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None


@dataclass(frozen=True, slots=True)
class TargetView:
    """A place where alerts are sent to. Its address is a secret and never shown."""

    name: str
    """`1 Telegram`: its place in the list and the kind of service."""
    sent: int
    dropped: int
    """Not even tried: too many waited."""
    fault: str | None
    """Why the last message did not get there; None: it did, or none was sent yet."""


@dataclass(frozen=True, slots=True)
class HotkeyView:
    """The key that stops everything, whatever window has the keyboard."""

    combination: str
    state: str
    """'waiting' | 'registered' | 'taken' | 'failed' | 'unsupported' | 'off'."""
    detail: str


@dataclass(frozen=True, slots=True)
class LatencyView:
    """Percentiles of one hop over the last 1000 commands, milliseconds."""

    hop: str
    """'queue' | 'journal' | 'broker' | 'total'."""
    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Counters:
    """Since the engine started."""

    received: int
    accepted: int
    turned_away: int
    duplicates: int
    executed: int
    partial: int
    rejected: int
    refused: int
    expired: int
    withdrawn: int
    stopped: int
    unknown: int
    operator: int


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """All of it at one moment."""

    at: datetime
    executor_id: str
    version: str
    ready: bool
    """Reconciled and connected to the terminal."""
    status: TradingStatus
    links: tuple[LinkView, ...]
    account: Account | None
    permissions: Permissions | None
    daily_profit: Decimal | None
    positions: tuple[Position, ...]
    orders: tuple[PendingOrder, ...]
    quotes: tuple[Quote, ...]
    commands: tuple[CommandView, ...]
    """Newest first, at most 200."""
    queue_depth: int
    unknown_commands: tuple[str, ...]
    limits: tuple[LimitView, ...]
    latencies: tuple[LatencyView, ...]
    counters: Counters
    unsigned_allowed: bool
    """A warning: commands need no signature."""
    server_utc_offset: int | None = None
    """Seconds that the broker's wall clock is ahead of UTC; None: no terminal has said so yet."""
    alerts: tuple[AlertView, ...] = ()
    """Newest first, at most 200."""
    alert_targets: tuple[TargetView, ...] = ()
    hotkey: HotkeyView | None = None
    brain_clock_offset: float | None = None
    """Seconds by which the brain's clock is ahead of ours; None: not measured."""


@dataclass(frozen=True, slots=True)
class StopStep:
    """One thing that a stop did or found, when it did."""

    at: datetime
    what: str
    """'latch' | 'terminal' | 'disk' | 'queue' | 'orders' | 'positions' | a ticket's own: 'order 123', 'position 77'."""
    how: str
    ok: bool
    """False: refused, not answered or not proved."""


@dataclass(frozen=True, slots=True)
class StopReceipt:
    """What a stop has proved so far, line by line; `todo` is what a person must do by hand."""

    latched: bool
    epoch: int
    reason: str
    by: str
    at: datetime
    proofs: tuple[str, ...]
    """E.g. 'latched', 'terminal acknowledged', 'latch on disk', 'orders cancelled 3/4: #123 refused 10018'."""
    todo: tuple[str, ...]
    steps: tuple[StopStep, ...] = ()
    """All of it in order; kept in the journal, so that a restart still shows it."""
