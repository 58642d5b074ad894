"""A measured run: N commands at a given rate, each one's fate, and the time from its sending to its result.

Sending is timed just before the frame is given to the WebSocket, the result when its frame has come out of it, both on this
process's `perf_counter_ns`. What is asked comes from a source; nothing is chosen here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.brain.clock import BrainClock
from app.brain.errors import QueueFull
from app.brain.executors import Executor
from app.brain.observers import Observer
from app.brain.schema import CommandStatus
from app.brain.server import BrainServer
from app.brain.signals import Command, Signal
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome

_PRICES_SECONDS = 5.0
_LARGEST_BURST_SECONDS = 0.05
"""How much of a delay is caught up with a burst; more is not, or a pause would end in a flood."""


class CommandSource(Protocol):
    """Where the commands come from: LoadStrategy, or a script of a test."""

    def has_prices(self) -> bool: ...

    def next_signal(self) -> Signal | None:
        """None: nothing sensible to ask before more results are in."""

    def on_quote(self, quote: Quote) -> object: ...

    def on_result(self, command: Command, result: CommandResult) -> object: ...

    def on_ended(self, command: Command) -> object: ...


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds, by nearest rank; None when nothing was measured."""

    p50: float | None
    p95: float | None
    p99: float | None
    largest: float | None

    @classmethod
    def of(cls, nanoseconds: Iterable[int]) -> Latency:
        ordered = sorted(nanoseconds)
        if not ordered:
            return cls(None, None, None, None)

        def rank(percent: int) -> float:
            return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] / 1e6

        return cls(rank(50), rank(95), rank(99), ordered[-1] / 1e6)


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """Every command is counted in exactly one of the fields from `executed` to `unsettled`."""

    commands: int
    accepted: int
    executed: int
    partial: int
    rejected: int
    expired: int
    withdrawn: int
    stopped: int
    operator: int
    unknown: int
    """Answered UNKNOWN and not settled when the run ended."""
    refused: int
    """Turned away with COMMAND_ACK REJECTED."""
    unanswered: int
    """No acknowledgement until the expiry."""
    not_sent: int
    """Not stored, or expired before it could be sent."""
    unsettled: int
    """Accepted, or still on its way, without any outcome when the run ended."""
    reconciled: int
    """Were UNKNOWN first and got their final outcome later."""
    resent: int
    """Sendings beyond the first."""
    repeated_results: int
    result: Latency
    """From sending to the first EXECUTION_RESULT."""
    ack: Latency
    """From sending to COMMAND_ACK."""
    seconds: float
    """From the first sending to the last answer."""
    codes: dict[str, int] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)

    @property
    def commands_per_s(self) -> float:
        return self.commands / self.seconds if self.seconds > 0 else 0.0

    @property
    def complete(self) -> bool:
        """Whether every command has its final outcome."""
        return not (self.unknown or self.unsettled or self.unanswered)

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON values; times in milliseconds, rounded to microseconds."""
        flat: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "commands",
                "accepted",
                "executed",
                "partial",
                "rejected",
                "expired",
                "withdrawn",
                "stopped",
                "operator",
                "unknown",
                "refused",
                "unanswered",
                "not_sent",
                "unsettled",
                "reconciled",
                "resent",
                "repeated_results",
                "complete",
            )
        }
        for prefix, latency in (("", self.result), ("ack_", self.ack)):
            flat[f"{prefix}p50_ms"] = _rounded(latency.p50)
            flat[f"{prefix}p95_ms"] = _rounded(latency.p95)
            flat[f"{prefix}p99_ms"] = _rounded(latency.p99)
            flat[f"{prefix}max_ms"] = _rounded(latency.largest)
        return {
            **flat,
            "seconds": round(self.seconds, 3),
            "commands_per_s": round(self.commands_per_s, 1),
            "codes": self.codes,
            "actions": self.actions,
        }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


class Campaign(Observer):
    """One run against one executor."""

    def __init__(
        self,
        server: BrainServer,
        executor_id: str,
        source: CommandSource,
        clock: BrainClock,
        *,
        commands: int,
        rate: float | None = None,
        window: int = 64,
        timeout: float = 60.0,
    ) -> None:
        """`rate`: commands a second; None: as fast as at most `window` unanswered ones allow (the window holds for both).

        `timeout`: seconds without any progress after which the run ends.
        """
        if commands < 1 or window < 1 or (rate is not None and rate <= 0):
            raise ValueError("commands and window must be at least 1, rate above 0")
        self._server = server
        self._executor_id = executor_id
        self._source = source
        self._clock = clock
        self._count = commands
        self._rate = rate
        self._window = window
        self._timeout = timeout
        self._commands: dict[str, Command] = {}
        self._unanswered: set[str] = set()
        self._unsettled: set[str] = set()
        self._progress = asyncio.Event()

    async def run(self) -> CampaignReport:
        """Send everything, wait until everything has its final outcome or nothing moves any more, and report."""
        self._server.observe(self)
        try:
            if await self._until(self._is_ready, self._timeout):
                await self._until(self._source.has_prices, _PRICES_SECONDS)
                await self._send_all()
                await self._until_quiet()
        finally:
            self._server.forget(self)
        return report_of(self._commands.values())

    @property
    def commands(self) -> tuple[Command, ...]:
        """In the order of their making."""
        return tuple(self._commands.values())

    async def _send_all(self) -> None:
        due = self._clock.monotonic()
        while len(self._commands) < self._count:
            if not await self._until(self._has_room, self._timeout):
                return
            if self._rate is not None:
                now = self._clock.monotonic()
                due = max(due, now - _LARGEST_BURST_SECONDS)
                if due > now:
                    await asyncio.sleep(due - now)
                due += 1.0 / self._rate
            signal = self._source.next_signal()
            while signal is None:
                if not await self._moved(self._timeout):
                    return
                signal = self._source.next_signal()
            try:
                command = self._server.submit(signal, self._executor_id)
            except QueueFull:
                return
            self._commands[command.id] = command
            self._unanswered.add(command.id)
            self._unsettled.add(command.id)

    async def _until_quiet(self) -> None:
        while self._unsettled:
            if not await self._moved(self._timeout):
                return

    def _is_ready(self) -> bool:
        return self._server.executor(self._executor_id).ready

    def _has_room(self) -> bool:
        return len(self._unanswered) < self._window and self._is_ready()

    async def _until(self, condition: Callable[[], bool], timeout: float) -> bool:
        end = self._clock.monotonic() + timeout
        while not condition():
            left = end - self._clock.monotonic()
            if left <= 0 or not await self._moved(left):
                return condition()
        return True

    async def _moved(self, timeout: float) -> bool:
        """Wait for anything to happen. False: nothing did."""
        self._progress.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._progress.wait()
        except TimeoutError:
            return False
        return True

    # -------------------------------------------------------------- what happens

    def on_ready(self, executor: Executor) -> None:
        self._progress.set()

    def on_quote(self, executor: Executor, quote: Quote) -> None:
        if executor.executor_id == self._executor_id:
            self._source.on_quote(quote)
            if not self._commands:
                self._progress.set()

    def on_result(self, command: Command, result: CommandResult) -> None:
        if command.id in self._commands:
            self._source.on_result(command, result)
            self._unanswered.discard(command.id)
            if result.outcome is not Outcome.UNKNOWN:
                self._unsettled.discard(command.id)
            self._progress.set()

    def on_ended(self, command: Command) -> None:
        if command.id in self._commands:
            self._source.on_ended(command)
            self._unanswered.discard(command.id)
            self._unsettled.discard(command.id)
            self._progress.set()


_BY_OUTCOME = {
    Outcome.EXECUTED: "executed",
    Outcome.PARTIAL: "partial",
    Outcome.REJECTED: "rejected",
    Outcome.EXPIRED: "expired",
    Outcome.WITHDRAWN: "withdrawn",
    Outcome.STOPPED: "stopped",
    Outcome.OPERATOR: "operator",
    Outcome.UNKNOWN: "unknown",
}


def report_of(commands: Iterable[Command]) -> CampaignReport:
    """Count the fates of commands. Pure."""
    every = list(commands)
    fates = Counter(_fate(command) for command in every)
    last = max((max(c.answered_ns, c.settled_ns) for c in every), default=0)
    first = min((c.sent_ns for c in every if c.sent_ns), default=0)
    return CampaignReport(
        commands=len(every),
        accepted=sum(
            1 for c in every if c.outcomes or (c.acked_ns and c.status is not CommandStatus.REFUSED)
        ),
        **{
            name: fates[name]
            for name in (*_BY_OUTCOME.values(), "refused", "unanswered", "not_sent", "unsettled")
        },
        reconciled=sum(1 for c in every if len(c.outcomes) > 1 and c.outcomes[0] is Outcome.UNKNOWN),
        resent=sum(c.retries for c in every),
        repeated_results=sum(c.repeated for c in every),
        result=Latency.of(c.answered_ns - c.sent_ns for c in every if c.outcomes and c.answered_ns),
        ack=Latency.of(c.acked_ns - c.sent_ns for c in every if c.acked_ns),
        seconds=(last - first) / 1e9 if last > first > 0 else 0.0,
        codes=dict(Counter(c.code for c in every if c.code)),
        actions=dict(Counter(c.action_name for c in every)),
    )


def _fate(command: Command) -> str:
    if command.outcomes:
        final = [outcome for outcome in command.outcomes if outcome is not Outcome.UNKNOWN]
        return _BY_OUTCOME[final[0] if final else Outcome.UNKNOWN]
    if command.status is CommandStatus.REFUSED:
        return "refused"
    if command.status is CommandStatus.UNANSWERED:
        return "unanswered"
    return "not_sent" if command.status is CommandStatus.FAILED else "unsettled"
