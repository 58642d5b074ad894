"""What the engine needs of the outside, beside the broker (broker.py): brain link, journal, clock, latch store.

Ports speak domain types. An adapter is named for the one outside thing it stands for; errors of its library never cross.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from app.domain.command_record import CommandRecord
from app.domain.commands import TradeCommand
from app.domain.events import EquitySampled, Event, StopStepTaken
from app.domain.market import Account, PendingOrder, Position, Quote, TradeEvent
from app.domain.results import CommandResult
from app.domain.trading_state import TradingStatus
from app.domain.values import CommandId, Symbol, Ticket
from app.engine.broker import LinkState
from app.engine.snapshots import TargetView


class Clock(Protocol):
    """Time. `monotonic` decides everything that must not jump; `now` is only for dating and for the brain's clock."""

    def now(self) -> datetime:
        """Wall clock, UTC, aware."""

    def monotonic(self) -> float:
        """Seconds that never jump; `time.perf_counter` where `time.monotonic` is coarse (Windows: 15.6 ms)."""

    async def sleep(self, seconds: float) -> None: ...


# ------------------------------------------------------------------ brain link


@dataclass(frozen=True, slots=True)
class Arrival:
    """When and how a message came."""

    text: str
    """The message verbatim (of a signed frame: the payload)."""
    at: datetime
    """Our wall clock."""
    monotonic: float
    brain_now: datetime
    """The brain's clock at that moment as we estimate it; our own in plain mode."""
    clock_offset: float | None
    """Seconds by which the brain's clock is ahead of ours; None: cannot be measured (plain mode)."""


@dataclass(frozen=True, slots=True)
class UnreadableCommand:
    """A TRADE_SIGNAL that names itself but breaks a rule: it is journalled as refused."""

    command_id: CommandId
    fingerprint: str
    code: str
    """INVALID_COMMAND or UNKNOWN_ACTION."""
    message: str
    """Names the field and the rule."""


class BrainListener(Protocol):
    """What the engine hears of the brain. The link awaits each call before it reads on: that is the back-pressure."""

    async def on_command(self, command: TradeCommand | UnreadableCommand, arrival: Arrival) -> None: ...

    async def on_withdraw(self, command_id: CommandId, arrival: Arrival) -> None: ...

    async def on_emergency_stop(self, reason: str, close_positions: bool, signed: bool) -> None: ...

    async def on_subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> None: ...

    async def on_unsubscribe(self, symbols: Sequence[Symbol]) -> None: ...

    async def on_results_stored(self, command_ids: Sequence[CommandId]) -> None:
        """RESULT_ACK: each id confirms the oldest unconfirmed result sent for it on this connection."""

    async def on_results_delivered(self, outbox_ids: Sequence[int]) -> None:
        """Plain mode: a pong came after these frames."""

    async def on_state_wanted(self, request_id: str | None) -> None: ...

    async def on_brain_up(self, session_id: str, plain: bool, clock_offset: float | None) -> None:
        """A session is open (welcomed, or plain after 5 s). STATE and the outbox are due before new commands are taken."""

    async def on_brain_degraded(self, silent_for: float) -> None:
        """Nothing heard for 15 s."""

    async def on_brain_down(self, session_id: str, reason: str) -> None: ...

    async def on_brain_refused(self, code: str, message: str) -> None:
        """The link will not come back by itself (wrong key) or only slowly (certificate): a person must look."""

    def heartbeat_metrics(self) -> Mapping[str, Any]:
        """What our HEARTBEAT carries (JSON-ready): queue depth, open positions, floating and daily P&L, latencies, links."""


@dataclass(frozen=True, slots=True)
class CommandAck:
    """status: ACCEPTED | DUPLICATE | REJECTED | TOO_LATE."""

    command_id: CommandId
    status: str
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ResultReport:
    """One outbox row on its way to the brain."""

    outbox_id: int
    at: datetime
    result: CommandResult


@dataclass(frozen=True, slots=True)
class MarketReport:
    quote: Quote
    spread_points: Decimal


@dataclass(frozen=True, slots=True)
class AccountReport:
    account: Account
    daily_profit: Decimal


@dataclass(frozen=True, slots=True)
class PositionsReport:
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class TradeEventReport:
    event: TradeEvent


@dataclass(frozen=True, slots=True)
class TradingStateReport:
    status: TradingStatus


@dataclass(frozen=True, slots=True)
class AlertReport:
    severity: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    code: str
    message: str
    ref: str


@dataclass(frozen=True, slots=True)
class CommandBrief:
    """A command in STATE: unresolved or recently finished."""

    command_id: CommandId
    state: str
    result: CommandResult | None


@dataclass(frozen=True, slots=True)
class StateReport:
    """Everything a brain needs after a (re)connection (PROTOCOL §3.4)."""

    request_id: str | None
    status: TradingStatus
    unresolved: tuple[CommandBrief, ...]
    recent: tuple[CommandBrief, ...]
    positions: tuple[Position, ...]
    orders: tuple[PendingOrder, ...]
    account: Account | None


BrainMessage = (
    CommandAck
    | ResultReport
    | MarketReport
    | AccountReport
    | PositionsReport
    | TradeEventReport
    | TradingStateReport
    | AlertReport
    | ErrorReport
    | StateReport
)


class BrainLink(Protocol):
    """The connection to the web brain: transport, signatures, session, heartbeat, reconnection (PROTOCOL §1–§3, §7)."""

    @property
    def state(self) -> LinkState: ...

    @property
    def last_heard(self) -> float | None:
        """Monotonic moment at which the brain last gave a sign of life; None: never since the start."""

    async def run(self, listener: BrainListener) -> None:
        """Stay connected until cancelled. Raises nothing for a brain that is away or refuses."""

    def send(self, message: BrainMessage) -> bool:
        """Queue a message on the open session, in order; never blocks. False: no session (results stay in the outbox).

        Market, account and positions reports are conflated (latest wins) so that a slow brain never delays an ack or a result.
        """

    def retry_now(self) -> None:
        """The operator pressed *Retry* after a refusal."""

    def renew(self, reason: str) -> None:
        """End the open session, if there is one, and connect afresh: what is known of the brain's clock is no longer true."""


# ------------------------------------------------------------------ journal


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A result not yet confirmed by the brain; `outbox_id` rises in the order results happened."""

    outbox_id: int
    at: datetime
    result: CommandResult


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One row of the append-only event log, for people and exports."""

    seq: int
    at: datetime
    kind: str
    command_id: str | None
    payload: Mapping[str, Any]
    hash: str


class Journal(Protocol):
    """The durable memory. One writer, one connection; rows are appended in the order of the calls."""

    def append(self, *events: Event) -> asyncio.Future[tuple[int, ...]]:
        """Write events in one transaction. The future resolves once they are on disk (synced), in order of the calls.

        It resolves with the outbox id of each event that carries a `result`, in order of the events (empty without any). It
        raises JournalFailed; after the first failure every later call fails too: trading has to stop.
        """

    def may_know(self, command_id: CommandId) -> bool:
        """False: certainly never seen (also counts appends that are not on disk yet). True: look."""

    async def command(self, command_id: CommandId) -> CommandRecord | None:
        """The whole record with its results and its command, replayed from its events."""

    async def unfinished(self) -> tuple[CommandRecord, ...]:
        """Every command that is not in a final state, oldest first."""

    async def recent(self, limit: int) -> tuple[CommandRecord, ...]:
        """Commands that finished last, newest first."""

    async def unacknowledged(self, after: int, limit: int) -> tuple[OutboxItem, ...]:
        """Results that the brain has not confirmed, by rising outbox id, above `after`."""

    async def last_equity(self, account: str) -> EquitySampled | None: ...

    async def equity_since(self, account: str, since: datetime) -> tuple[EquitySampled, ...]:
        """The account's samples from `since` on, oldest first."""

    async def last_status(self) -> TradingStatus | None:
        """The trading state as last journalled; None in a new journal."""

    async def last_login(self) -> str | None:
        """The account of the terminal's last session; None in a new journal."""

    async def recent_alerts(self, limit: int) -> tuple[Event, ...]:
        """AlertRaised and AlertAcknowledged of late, at most `limit`, oldest first."""

    async def tripped_limits(self) -> Mapping[str, str]:
        """Limits that latched and were not re-enabled: name -> message."""

    async def limits_in_force(self) -> Mapping[str, str] | None:
        """All limits as last journalled, name -> text; None: never."""

    async def taken_over(self) -> frozenset[CommandId]:
        """Unfinished commands whose unknown outcome a person has acknowledged."""

    async def stop_steps(self) -> tuple[StopStepTaken, ...]:
        """The receipt of the stop that was in force last, oldest first; empty if trading was let go since."""

    async def entries(
        self, tags: Collection[str], tickets: Collection[Ticket]
    ) -> tuple[Mapping[str, str | None], Mapping[Ticket, str | None]]:
        """Which of these an entry of ours made: its strategy (None: it named none) by broker-comment tag and by result ticket."""

    async def rows(
        self, *, after: int = 0, limit: int = 500, command_id: CommandId | None = None
    ) -> tuple[JournalRow, ...]: ...

    @property
    def backlog(self) -> int:
        """Appends not on disk yet."""

    @property
    def commit_latency(self) -> float | None:
        """Seconds the last commit took, sync included."""

    async def backup_into(self, folder: Path, *, at: datetime, keep: int) -> Path:
        """A copy in `folder`, named for its time and verified; all but the newest `keep` are removed. Raises JournalFailed."""

    async def close(self) -> None:
        """Write what was appended, checkpoint, release the file."""


# ------------------------------------------------------------------ alerts and keys


@dataclass(frozen=True, slots=True)
class OutgoingAlert:
    """A message to a person elsewhere."""

    severity: str
    title: str
    body: str


class AlertSender(Protocol):
    """Carries alerts out of this machine. It has threads and queues of its own: nothing here waits, nothing here raises."""

    def send(self, alert: OutgoingAlert) -> None:
        """Hand over to every target; what a full queue cannot take is counted there and dropped."""

    def targets(self) -> tuple[TargetView, ...]: ...

    async def test(self, alert: OutgoingAlert, timeout: float) -> tuple[TargetView, ...]:
        """Send one now and wait for each target's answer, `timeout` seconds at most; how each stands after it."""

    def close(self) -> None:
        """Give what waits a moment, then end. Blocking, a few seconds at most."""


# ------------------------------------------------------------------ the latch on disk


@dataclass(frozen=True, slots=True)
class LatchReading:
    """What the latch store holds. `status` is None when it cannot be trusted; `fault` says why in words."""

    status: TradingStatus | None
    fault: str | None
    first_use: bool = False
    """True: there never was a store in this data folder."""


class LatchStore(Protocol):
    """A small file of its own, checksummed and synced, that keeps the trading state over anything (blocking calls)."""

    def load(self) -> LatchReading: ...

    def save(self, status: TradingStatus) -> None:
        """Raises OSError if it could not be made durable; the latch in memory holds all the same."""
