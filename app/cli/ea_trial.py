"""What an acceptance asks, hears and finds: the listener beside the terminal, a clock that can lag, the shape of the result. The
conversation itself is in ea_accept.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from app.adapters.system_clock import SystemClock
from app.domain.market import Quote, TradeEvent
from app.domain.values import Magic, Symbol
from app.engine.broker import TerminalHeartbeat, TerminalHello

T = TypeVar("T")
_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asked for. `patience` in seconds."""

    symbol: Symbol
    magic: Magic
    patience: float = 20.0
    round_trips: int = 200
    with_stop: bool = True
    any_account: bool = False
    """Trade although it is not a demo account."""


class Status(Enum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_TESTED = "not tested"
    LEFT_OUT = "left out"
    """The person wanted it so."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    status: Status
    detail: str


@dataclass(slots=True)
class Acceptance:
    """The result. Times in ms, volumes in lots."""

    version: str
    symbol: Symbol
    magic: Magic
    began: datetime
    terminal: str = ""
    server: str = ""
    company: str = ""
    login: str = ""
    """All but its last three digits hidden: reports are handed around."""
    account_mode: str = ""
    margin_mode: str = ""
    ea_mode: str = ""
    volume: Decimal | None = None
    checks: list[Check] = field(default_factory=list)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    """What was timed -> milliseconds, in order."""
    notes: list[str] = field(default_factory=list)
    refused: str = ""
    """Why nothing was traded at all; empty if it was allowed."""

    @property
    def passed(self) -> bool:
        wanted = [check for check in self.checks if check.status is not Status.LEFT_OUT]
        return not self.refused and bool(wanted) and all(check.status is Status.PASSED for check in wanted)

    @property
    def verdict(self) -> str:
        if self.refused:
            return f"REFUSED: {self.refused}"
        passed = sum(check.status is Status.PASSED for check in self.checks)
        if self.passed:
            return f"ACCEPTED: all {passed} checks passed"
        failed = [check.name for check in self.checks if check.status is Status.FAILED]
        open_ = [check.name for check in self.checks if check.status is Status.NOT_TESTED]
        parts = [f"failed: {', '.join(failed)}"] if failed else []
        parts += [f"not tested: {', '.join(open_)}"] if open_ else []
        return f"NOT ACCEPTED: {passed} of {len(self.checks)} checks passed; {'; '.join(parts)}"


class Failed(Exception):
    """The terminal did not do what the contract says."""


class NotTested(Exception):
    """This cannot be tried now; the message says why."""


class GivenUp(Exception):
    """Nothing further can be tried."""


class LaggingClock(SystemClock):
    """The machine's clock, which can be set back for the length of one frame: so a frame is sent that is too old."""

    def __init__(self) -> None:
        self._lag = 0.0

    def monotonic(self) -> float:
        return super().monotonic() - self._lag

    @contextmanager
    def behind(self, seconds: float) -> Iterator[None]:
        self._lag = seconds
        try:
            yield
        finally:
            self._lag = 0.0


class Ears:
    """The BrokerListener of the trial: keeps what it heard and lets a step wait for it."""

    def __init__(self) -> None:
        self.ups: list[TerminalHello] = []
        self.refusals: list[tuple[str, str, int | None]] = []
        self.quotes: list[Quote] = []
        self.events: list[TradeEvent] = []
        self.gaps = 0
        self.stream_beats = 0
        self.stops = 0
        self.open = False
        self._news = asyncio.Event()

    def on_terminal_up(self, hello: TerminalHello) -> None:
        self.open = True
        self._keep(self.ups, hello)

    def on_terminal_down(self, reason: str) -> None:
        self.open = False
        self._news.set()

    def on_terminal_refused(self, code: str, message: str, epoch: int | None) -> None:
        self._keep(self.refusals, (code, message, epoch))

    def on_quote(self, quote: Quote) -> None:
        self._keep(self.quotes, quote)

    def on_trade_event(self, event: TradeEvent) -> None:
        self._keep(self.events, event)

    def on_trade_gap(self) -> None:
        self.gaps += 1

    def on_heartbeat(self, heartbeat: TerminalHeartbeat) -> None:
        self.stream_beats += heartbeat.round_trip is None
        self._news.set()

    def on_terminal_stopped(self, reason: str, by: str) -> None:
        self.stops += 1
        self._news.set()

    def _keep(self, heard: list[T], what: T) -> None:
        if len(heard) < _MOST_KEPT:
            heard.append(what)
        self._news.set()

    async def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until `condition` is truthy; False if it is not within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True
