"""The Broker port: one account at one terminal, as the engine needs it.

A Broker never decides and never re-sends. What it cannot know it calls UNKNOWN; what it certainly did not send it raises as
TerminalUnavailable. The same contract suite (tests/contract/) runs over every implementation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from app.domain.commands import NO_MAGIC, TradeCommand
from app.domain.execution import Execution, Finding
from app.domain.market import Account, Deal, Permissions, Quote, SymbolSpec, TerminalSnapshot, TradeEvent
from app.domain.values import CommandId, Magic, Symbol, Ticket


@dataclass(frozen=True, slots=True)
class DispatchTerms:
    """How one command is to be sent, beside what it asks."""

    ttl: int
    """Milliseconds from `counted_from` within which the terminal may begin to execute it."""
    tag: str
    """8 characters `[A-Za-z0-9]` at the head of the broker comment."""
    comment: str
    """Whole broker comment, tag included; at most 27 characters of `[A-Za-z0-9_#-]`."""
    deviation: int
    """Most price deviation the terminal may accept, points."""
    max_attempts: int
    """1 to 3: how often transient refusals (10004, 10020, 10021, 10024) may be retried inside the terminal."""
    magic: Magic = NO_MAGIC
    """Of a position or order whose command names none: with 0 the Expert Advisor would later take it for somebody else's."""
    counted_from: float | None = None
    """Monotonic second of the engine's clock; None: the moment of sending. A process that is frozen between the last look at
    the expiry and the frame gives the command no time by it."""


@dataclass(frozen=True, slots=True)
class FindHints:
    """What helps a terminal to find a trade whose answer was lost."""

    since: datetime
    tag: str | None = None
    symbol: Symbol | None = None
    magic: Magic | None = None
    ticket: Ticket | None = None


class LinkState(Enum):
    """How a link to the outside stands; each has a word for the window."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class TerminalHello:
    """What a terminal said when a session opened."""

    session_id: str
    boot: str
    terminal: str
    login: str
    mode: str
    """'read_only' | 'demo_only' | 'full'."""
    epoch: int
    """Highest epoch the terminal has seen."""
    stopped: bool
    stop_reason: str | None


@dataclass(frozen=True, slots=True)
class TerminalHeartbeat:
    """What the terminal says once a second."""

    permissions: Permissions
    account: Account
    stopped: bool
    trade_seq: int
    round_trip: float | None
    """Seconds from our heartbeat to its reply; None for one that came on the stream."""


class BrokerListener(Protocol):
    """What the engine hears. Called on the engine's loop, in order; must not block, must not raise."""

    def on_terminal_up(self, hello: TerminalHello) -> None:
        """A session is open. Nothing may be sent on it before reconciliation is done."""

    def on_terminal_down(self, reason: str) -> None:
        """The session ended: requests under way resolve as UNKNOWN."""

    def on_terminal_refused(self, code: str, message: str, epoch: int | None) -> None:
        """The terminal will not open a session (SESSION_TAKEN, EPOCH_TOO_LOW with its epoch, wrong key: no answer)."""

    def on_quote(self, quote: Quote) -> None: ...

    def on_trade_event(self, event: TradeEvent) -> None: ...

    def on_trade_gap(self) -> None:
        """Trade events were missed: a snapshot is needed."""

    def on_heartbeat(self, heartbeat: TerminalHeartbeat) -> None: ...

    def on_terminal_stopped(self, reason: str, by: str) -> None:
        """The terminal latched its own stop (button, file, limit, silence) or confirms ours."""


class Broker(Protocol):
    """One account at one terminal."""

    @property
    def state(self) -> LinkState: ...

    @property
    def session_id(self) -> str:
        """The open session, or "" while there is none."""

    async def run(self, listener: BrokerListener) -> None:
        """Keep a session open until cancelled; reconnects by itself. Raises nothing for a terminal that is away."""

    def set_epoch(self, epoch: int) -> None:
        """Fencing number for all further frames; a session opened with a lower one is opened anew."""

    def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
        """Hand one trade to the terminal, now, without awaiting anything.

        Raises TerminalUnavailable if it was certainly not sent. The future always resolves with an Execution: state UNKNOWN when
        the answer is ambiguous, late (`terminal.answer_timeout`) or lost with the session. It never raises.
        """

    async def find(self, command_id: CommandId, hints: FindHints) -> Finding:
        """Ask the terminal what became of a command. Raises TerminalUnavailable."""

    async def snapshot(self) -> TerminalSnapshot:
        """Everything open, at one moment. Raises TerminalUnavailable."""

    async def symbol(self, symbol: Symbol) -> SymbolSpec | None:
        """A symbol's contract; None: the terminal does not know it. Raises TerminalUnavailable."""

    async def quotes(self, symbols: Sequence[Symbol]) -> tuple[Quote, ...]:
        """Latest quotes. Raises TerminalUnavailable."""

    async def history(self, since: datetime, until: datetime) -> tuple[Deal, ...]:
        """Deals done between two moments, oldest first. Raises TerminalUnavailable."""

    async def subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> tuple[Symbol, ...]:
        """Stream quotes of `symbols`, at most one each `min_interval` ms a symbol; remembered over reconnections.

        Returns those that the terminal knows. Raises TerminalUnavailable.
        """

    async def resume(self) -> bool:
        """Clear the terminal's stop latch with our (higher) epoch; False if it refused. Raises TerminalUnavailable."""


class StopChannel(Protocol):
    """A way to the terminal that is the stop thread's alone: blocking, thread-confined, behind nobody's queue."""

    def send_stop(
        self, *, reason: str, epoch: int, cancel_orders: bool, close_positions: bool, timeout: float
    ) -> StopAnswer:
        """Latch the terminal. Never raises: what went wrong is in the answer. `timeout` in seconds."""

    def keep_warm(self) -> bool:
        """Called about once a second: keep the connection greeted, so that a stop pays for nothing. Never raises.

        False: the terminal does not answer just now.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StopAnswer:
    """What the terminal answered to a stop frame."""

    acknowledged: bool
    detail: str
    """For a person: 'acknowledged', or why there is no acknowledgement."""
