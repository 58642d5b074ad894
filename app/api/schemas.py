"""What the local API says, as pydantic models: all that the desktop and the command line know of the engine.

Decimals, tickets and magics travel as strings, times as RFC 3339 in UTC. What it takes stands in asks.py, how a stream tells of
changes in stream_schemas.py. No behaviour of the engine belongs here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _name(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _digits(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_name)]
"""An enum's value: `ACTIVE`, `up`, `BUY`, `EXECUTED`."""
Digits = Annotated[str, BeforeValidator(_digits)]
"""A ticket or magic number: up to 20 digits, as text."""


class Model(BaseModel):
    """Read from the engine's dataclasses by attribute; frozen; later versions may add fields."""

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="ignore")


class TradingStatusModel(Model):
    state: Name
    """`ACTIVE` | `REDUCING` (paused) | `HALTED` (emergency stop)."""
    epoch: int
    reason: str
    by: Name
    """`operator` | `brain` | `limit` | `system`."""
    since: datetime


class LinkModel(Model):
    name: str
    state: Name
    """`down` | `connecting` | `up` | `degraded`."""
    detail: str
    latency_ms: float | None


class AccountModel(Model):
    login: str
    server: str
    currency: str
    mode: Name
    margin_mode: Name
    leverage: int
    balance: Decimal
    credit: Decimal
    equity: Decimal
    margin: Decimal
    free_margin: Decimal
    company: str
    floating: Decimal
    margin_level: Decimal | None


class PermissionsModel(Model):
    connected: bool
    synchronised: bool
    terminal_trade_allowed: bool
    ea_trade_allowed: bool
    account_trade_allowed: bool
    account_expert_allowed: bool
    investor_login: bool
    missing: Annotated[tuple[str, ...], BeforeValidator(lambda v: v() if callable(v) else v)]
    """What is missing for trading, in words; empty when trading is possible."""


class PositionModel(Model):
    ticket: Digits
    identifier: Digits
    symbol: str
    side: Name
    volume: Decimal
    open_price: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None
    swap: Decimal
    profit: Decimal
    magic: Digits
    comment: str
    opened_at: datetime
    current_price: Decimal | None


class OrderModel(Model):
    ticket: Digits
    symbol: str
    kind: Name
    volume: Decimal
    price: Decimal
    stop_limit_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    expiration: datetime | None
    magic: Digits
    comment: str
    placed_at: datetime


class QuoteModel(Model):
    symbol: str
    bid: Decimal
    ask: Decimal
    time: datetime
    volume: int


class CloseDetailModel(Model):
    ticket: Digits
    outcome: Name
    volume: Decimal
    price: Decimal | None
    retcode: int | None
    message: str | None


class ResultModel(Model):
    command_id: str
    outcome: Name
    execution_time: int
    """Milliseconds."""
    ticket: Digits | None
    price: Decimal | None
    slippage: Decimal | None
    volume: Decimal | None
    requested_volume: Decimal | None
    code: str | None
    retcode: int | None
    message: str | None
    attempts: int
    reconciled: bool
    details: tuple[CloseDetailModel, ...] | None


class CommandModel(Model):
    command_id: str
    action: str
    symbol: str | None
    ticket: Digits | None
    volume: Decimal | None
    side: str | None
    priority: str
    strategy_id: str | None
    state: str
    received_at: datetime
    queue_ms: float | None
    broker_ms: float | None
    total_ms: float | None
    result: ResultModel | None


class LimitModel(Model):
    name: str
    now: Decimal
    limit: Decimal | None
    state: str
    """`ok` | `warning` | `reached` | `latched`."""
    explanation: str
    """What happened, what it means, what to do."""
    setting: str = ""
    """The key under `safety`."""
    unit: str = ""
    """`lots`, `%`, the account's currency, or nothing for what is counted."""


class AlertModel(Model):
    alert_id: str
    at: datetime
    severity: str
    """`info` | `warning` | `critical`."""
    code: str
    message: str
    over_at: datetime | None
    """Since when the trouble is over."""
    acknowledged_at: datetime | None
    acknowledged_by: str | None


class TargetModel(Model):
    """A place where alerts are sent to; its address is never shown."""

    name: str
    sent: int
    dropped: int
    fault: str | None
    """Why the last message did not get there."""


class HotkeyModel(Model):
    combination: str
    state: str
    """`waiting` | `registered` | `taken` | `failed` | `unsupported` | `off`."""
    detail: str


class LatencyModel(Model):
    hop: str
    count: int
    p50: float
    p95: float
    p99: float


class CountersModel(Model):
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


class StatusModel(Model):
    """The engine at one moment, without its lists."""

    at: datetime
    executor_id: str
    version: str
    ready: bool
    status: TradingStatusModel
    links: tuple[LinkModel, ...]
    account: AccountModel | None
    permissions: PermissionsModel | None
    daily_profit: Decimal | None
    queue_depth: int
    unknown_commands: tuple[str, ...]
    limits: tuple[LimitModel, ...]
    latencies: tuple[LatencyModel, ...]
    counters: CountersModel
    unsigned_allowed: bool
    server_utc_offset: int | None = None
    """Seconds that the broker's wall clock is ahead of UTC; None: not known yet."""
    alert_targets: tuple[TargetModel, ...] = ()
    hotkey: HotkeyModel | None = None
    brain_clock_offset: float | None = None
    """Seconds by which the brain's clock is ahead of this machine's; null: not measured."""
    warnings: tuple[str, ...] = ()
    """What is wrong with the configuration, one line each."""


class SnapshotModel(StatusModel):
    """All of it."""

    alerts: tuple[AlertModel, ...] = ()
    """Newest first."""

    positions: tuple[PositionModel, ...]
    orders: tuple[OrderModel, ...]
    quotes: tuple[QuoteModel, ...]
    commands: tuple[CommandModel, ...]


class PositionsModel(Model):
    positions: tuple[PositionModel, ...]


class OrdersModel(Model):
    orders: tuple[OrderModel, ...]


class QuotesModel(Model):
    quotes: tuple[QuoteModel, ...]


class CommandsModel(Model):
    commands: tuple[CommandModel, ...]


class AlertsModel(Model):
    alerts: tuple[AlertModel, ...]
    targets: tuple[TargetModel, ...]


class AcknowledgedModel(Model):
    acknowledged: int
    """How many were open until now."""


class TargetsModel(Model):
    targets: tuple[TargetModel, ...]


class JournalRowModel(Model):
    seq: int
    at: datetime
    kind: str
    command_id: str | None
    payload: Mapping[str, Any]
    hash: str


class JournalRowsModel(Model):
    rows: tuple[JournalRowModel, ...]
    next_after: int
    """Give it as `after` for the rows that follow."""


class CommandHistoryModel(Model):
    """One command's whole story out of the journal."""

    command_id: str
    state: Name
    received_at: datetime
    dispatched_at: datetime | None
    tag: str | None
    results: tuple[ResultModel, ...]
    rows: tuple[JournalRowModel, ...]


class StopStepModel(Model):
    at: datetime
    what: str
    how: str
    ok: bool
    """False: refused, not answered or not proved."""


class StopReceiptModel(Model):
    latched: bool
    epoch: int
    reason: str
    by: str
    at: datetime
    proofs: tuple[str, ...]
    todo: tuple[str, ...]
    steps: tuple[StopStepModel, ...] = ()
    """Everything the stop did, in order."""


class ResetChallengeModel(Model):
    word: str
    unknown: tuple[str, ...]
    expires_in: float
    """Seconds."""


class EquityPointModel(Model):
    """One of the journal's samples, about one a minute. Account currency."""

    at: datetime
    balance: Decimal
    equity: Decimal
    peak: Decimal
    """The highest equity so far, deposits taken out."""


class EquityModel(Model):
    account: str | None
    """None: no account is known yet, and there are no samples."""
    samples: tuple[EquityPointModel, ...]
    """Oldest first."""


class HealthModel(Model):
    alive: bool
    ready: bool


class DoneModel(Model):
    done: bool = True


class FaultModel(Model):
    """Every answer that is not 2xx."""

    code: str
    message: str
