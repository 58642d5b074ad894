"""A simulated web brain and the BrainLink port of one life: verified messages both ways, in order, until the connection breaks.

The brain keeps what it sent and what it heard, for the oracle. Signatures and frames are stubbed: the engine sees read messages.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.commands import TradeCommand
from app.domain.results import CommandResult
from app.domain.values import CommandId
from app.engine.broker import LinkState
from app.engine.ports import (
    Arrival,
    BrainListener,
    BrainMessage,
    CommandAck,
    ResultReport,
    StateReport,
    UnreadableCommand,
)
from app.engine.tasks import TaskKeeper
from tests.faults.sim_loop import APART, MONOTONIC_START, SimClock, SimLoop, World

Command = TradeCommand | UnreadableCommand
RESEND_AFTER = 3.0
MOST_SENDS = 6


@dataclass(slots=True)
class Signal:
    """A command as the brain knows it."""

    make: Callable[[datetime], Command]
    """The frame, dated anew."""
    command_id: CommandId
    sends: int = 0
    acks: list[CommandAck] = field(default_factory=list)
    results: list[CommandResult] = field(default_factory=list)
    """Deduplicated on the outcome, in order of arrival."""

    @property
    def answered(self) -> bool:
        return any(ack.code != "ID_CONFLICT" for ack in self.acks)

    @property
    def accepted(self) -> bool:
        return any(ack.status in ("ACCEPTED", "DUPLICATE") for ack in self.acks)


class Connection:
    """One WebSocket: two ordered directions, cut at one moment and noticed by each end later."""

    def __init__(self, number: int, opened: float) -> None:
        self.number = number
        self.cut = False
        self.up_clear = opened
        """When the last message to the brain arrives."""
        self.down_clear = opened
        self.written: list[int] = []
        """Outbox ids put on the wire since the last ping."""


class SimBrain:
    """Outlives the engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.signals: dict[CommandId, Signal] = {}
        self.offset = 0.0
        """Seconds by which its clock is ahead of true time."""
        self.plain = False
        self.down_until = 0.0
        self.hang_ups = 0
        """So many connections are accepted and closed at once."""
        self.ack_loss = 0.0
        self.silent_since: float | None = None
        self.connection: Connection | None = None
        self.link: SimLink | None = None
        self.connections = 0
        self.first_seen = 0
        """Highest outbox id ever received."""
        self.seen: set[int] = set()

    def clock(self) -> datetime:
        return self.world.wall() + timedelta(seconds=self.offset)

    # -------------------------------------------------------------- connections

    def accept(self, link: SimLink) -> Connection | None:
        """A link knocks; None: nobody answers."""
        world = self.world
        if world.now < self.down_until:
            return None
        self.connections += 1
        self.silent_since = None
        connection = Connection(self.connections, world.now)
        self.connection, self.link = connection, link
        world.trace(f"brain connection {connection.number}")
        if self.hang_ups > 0:
            self.hang_ups -= 1
            world.later(world.between(0, 0.01), lambda: self.hang_up(connection, world.between(0, 0.01)))
        else:
            world.later(world.between(0.01, 0.2), lambda: self._resend(connection))
        return connection

    def hang_up(self, connection: Connection, notice: float) -> None:
        """The connection is cut now: what is under way is lost, the executor notices after `notice` seconds."""
        if connection.cut:
            return
        self.world.trace(f"brain connection {connection.number} cut")
        connection.cut = True
        link = self.link
        if self.connection is connection:
            self.connection = None
        if link is not None:
            self.world.later(notice, lambda: link.broke(connection))

    def cut(self, notice: float, away: float) -> None:
        """From a fault: whatever connection there is breaks, and no new one is taken for `away` seconds."""
        self.down_until = max(self.down_until, self.world.now + away)
        if self.connection is not None:
            self.hang_up(self.connection, notice)

    # -------------------------------------------------------------- speaking

    def order(self, signal: Signal) -> None:
        """Send a new command, or an old one again."""
        self.signals.setdefault(signal.command_id, signal)
        signal.sends += 1
        if self.connection is None:
            return  # kept: it goes out with the next connection
        self.tell("command", signal.make(self.clock()))
        self.world.later(RESEND_AFTER, lambda: self._look_after(signal))

    def _look_after(self, signal: Signal) -> None:
        if not signal.answered and signal.sends < MOST_SENDS and self.connection is not None:
            self.order(signal)

    def _resend(self, connection: Connection) -> None:
        if connection.cut:
            return
        for signal in list(self.signals.values()):
            if not signal.answered and signal.sends < MOST_SENDS:
                self.order(signal)

    def tell(self, kind: str, what: Any) -> None:
        """One message to the executor, if there is a connection."""
        connection, link, world = self.connection, self.link, self.world
        if connection is None or link is None or self.silent_since is not None:
            return
        connection.down_clear = max(connection.down_clear + APART, world.now + world.between(100e-6, 4e-3))

        def arrive() -> None:
            if not connection.cut:
                link.heard(connection, kind, what)

        world.at(connection.down_clear, arrive)

    # -------------------------------------------------------------- hearing

    def hear(self, connection: Connection, message: BrainMessage) -> None:
        world = self.world
        match message:
            case CommandAck():
                signal = self.signals.get(message.command_id)
                if signal is not None:
                    signal.acks.append(message)
                world.trace(f"brain ack {message.command_id} {message.status} {message.code or ''}")
            case ResultReport():
                self._result(connection, message)
            case _:
                return

    def _result(self, connection: Connection, report: ResultReport) -> None:
        world, result = self.world, report.result
        world.trace(f"brain result {report.outbox_id} {result.command_id} {result.outcome.value}")
        signal = self.signals.get(result.command_id)
        if signal is not None and all(known.outcome is not result.outcome for known in signal.results):
            signal.results.append(result)
        if report.outbox_id > 0 and report.outbox_id not in self.seen:
            self.seen.add(report.outbox_id)
            if report.outbox_id < self.first_seen and signal is not None:
                world.violated(
                    "order", f"result {report.outbox_id} of {result.command_id} came after {self.first_seen}"
                )
            if signal is not None:
                self.first_seen = max(self.first_seen, report.outbox_id)
        if not self.plain and not world.chance(self.ack_loss):
            world.later(
                world.between(0, 0.02),
                lambda: self.tell("stored", (result.command_id,)) if not connection.cut else None,
            )


class SimLink:
    """The BrainLink port of one life."""

    def __init__(
        self,
        world: World,
        loop: SimLoop,
        clock: SimClock,
        brain: SimBrain,
        on_send: Callable[[BrainMessage], None],
    ) -> None:
        self._world = world
        self._loop = loop
        self._clock = clock
        self._brain = brain
        self._on_send = on_send
        self._listener: BrainListener | None = None
        self._connection: Connection | None = None
        self._open = False
        self._inbound: deque[tuple[str, Any, float]] = deque()
        self._news = asyncio.Event()
        self._last_heard: float | None = None
        self._keeper = TaskKeeper("sim.brain")

    # -------------------------------------------------------------- the port

    @property
    def state(self) -> LinkState:
        return LinkState.UP if self._open else LinkState.CONNECTING

    @property
    def last_heard(self) -> float | None:
        if self._connection is not None and not self._connection.cut:
            silent = self._brain.silent_since
            self._last_heard = MONOTONIC_START + (self._world.now if silent is None else silent)
        return self._last_heard

    def send(self, message: BrainMessage) -> bool:
        connection = self._connection
        if not self._open or connection is None:
            return False
        if isinstance(message, StateReport):
            self._on_send(message)
        elif isinstance(message, CommandAck | ResultReport):
            self._on_send(message)
            if isinstance(message, ResultReport):
                connection.written.append(message.outbox_id)
            world = self._world
            connection.up_clear = max(connection.up_clear + APART, world.now + world.between(100e-6, 4e-3))
            brain = self._brain
            world.at(
                connection.up_clear,
                lambda: None if connection.cut else brain.hear(connection, message),
            )
        return True

    def retry_now(self) -> None:
        """It never gives up here."""

    def renew(self, reason: str) -> None:
        if self._connection is not None:
            self._brain.hang_up(self._connection, 0.0)

    async def run(self, listener: BrainListener) -> None:
        self._listener = listener
        try:
            while True:
                connection = await self._connect()
                await self._session(connection, listener)
                await self._clock.sleep(self._world.between(0, 0.5))
        finally:
            if not self._loop.dead:
                await self._keeper.close()

    # -------------------------------------------------------------- one session

    async def _connect(self) -> Connection:
        while True:
            await self._clock.sleep(self._world.between(0.001, 0.05))
            connection = self._brain.accept(self)
            if connection is not None:
                return connection
            await self._clock.sleep(self._world.between(0.2, 1.0))

    async def _session(self, connection: Connection, listener: BrainListener) -> None:
        world, brain = self._world, self._brain
        self._connection = connection
        self._inbound.clear()
        self._open = True
        name = f"s_{connection.number}"
        pings = self._keeper.spawn("ping", self._ping(connection, listener)) if brain.plain else None
        try:
            if not (connection.cut and world.chance(0.5)):
                await listener.on_brain_up(name, brain.plain, None if brain.plain else self._offset())
                await listener.on_state_wanted(None)
            while True:
                while self._inbound:
                    kind, what, monotonic = self._inbound.popleft()
                    if kind == "broke":
                        return
                    await self._take(listener, kind, what, monotonic)
                self._news.clear()
                await self._news.wait()
        finally:
            self._open = False
            self._connection = None
            if pings is not None:
                pings.cancel()
            if not self._loop.dead:
                connection.cut = True
                await listener.on_brain_down(name, "the connection to the brain was lost")

    async def _take(self, listener: BrainListener, kind: str, what: Any, monotonic: float) -> None:
        match kind:
            case "command":
                await listener.on_command(what, self._arrival(monotonic))
            case "withdraw":
                await listener.on_withdraw(what, self._arrival(monotonic))
            case "stored":
                await listener.on_results_stored(what)
            case "state":
                await listener.on_state_wanted(what)

    def _offset(self) -> float:
        return self._brain.offset - self._clock.wall_error

    def _arrival(self, monotonic: float) -> Arrival:
        """The brain's clock is carried over to this machine's as the real link does: exactly, or not at all (plain)."""
        at = self._clock.now()
        if self._brain.plain:
            return Arrival("{}", at, monotonic, at, None)
        brain_now = self._brain.clock() - timedelta(seconds=MONOTONIC_START + self._world.now - monotonic)
        return Arrival("{}", at, monotonic, brain_now, self._offset())

    async def _ping(self, connection: Connection, listener: BrainListener) -> None:
        """Plain mode: what was written before a ping has arrived when its pong is back."""
        while True:
            written, connection.written = connection.written, []
            await self._clock.sleep(max(0.005, connection.up_clear - self._world.now + 0.001))
            if connection.cut:
                return
            if written:
                await listener.on_results_delivered(written)
            await self._clock.sleep(5.0)

    # -------------------------------------------------------------- from the world

    def heard(self, connection: Connection, kind: str, what: Any) -> None:
        if self._loop.dead or self._loop.is_closed():
            return

        def arrive() -> None:
            if self._connection is not connection or self._listener is None:
                return
            if kind == "stop":
                # A stop overtakes whatever the engine still works on.
                reason, closing, signed = what
                self._keeper.spawn("stop", self._listener.on_emergency_stop(reason, closing, signed))
                return
            self._inbound.append((kind, what, self._clock.monotonic()))
            self._news.set()

        self._loop.call_soon_threadsafe(arrive)

    def broke(self, connection: Connection) -> None:
        if self._loop.dead or self._loop.is_closed():
            return

        def end() -> None:
            if self._connection is connection:
                self._inbound.append(("broke", None, 0.0))
                self._news.set()

        self._loop.call_soon_threadsafe(end)
