"""One computer in the simulation: an engine that can be killed at any callback and started again, and what a person at it does.

Everything that survives a crash hangs on Machine; everything that does not, on Life. Real engine parts, simulated ports.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from app.domain import events as ev
from app.domain.commands import Action
from app.domain.errors import JournalFailed
from app.domain.limits import SafetyLimits
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId
from app.engine import stop as stop_module
from app.engine.command_processor import ProcessorOptions
from app.engine.control import Refused
from app.engine.core import EngineCore, EngineOptions
from app.engine.latch import Latch, starting_status
from app.engine.ports import LatchReading
from app.engine.stop import StopOrder, StopThread
from app.engine.supervisor import Engine
from app.engine.tasks import TaskKeeper
from tests.faults.sim_brain import SimBrain, SimLink
from tests.faults.sim_journal import Disk, DiskSpeed, SimJournal
from tests.faults.sim_loop import SimClock, SimLoop, World
from tests.faults.sim_oracle import Oracle
from tests.faults.sim_ports import SimBroker, SimStopChannel, Way
from tests.faults.sim_terminal import SimTerminal

LIMITS = SafetyLimits(max_orders_per_second=0, max_orders_per_minute=0)
CALM_STRETCH = 6.0
"""While all heals nothing hangs on the engine's beat of 0.05 s: fewer of them are faster."""
Weakness = Callable[["Life"], None]
"""A control: takes a safeguard out of one life of the engine, in tests only."""


# ------------------------------------------------------------------ the stop thread without a thread


class _Quiet:
    """Stands for sockets, selectors and the thread itself: the world's agenda does their work."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.started = False
        self.port = 0

    def setblocking(self, _flag: bool) -> None:
        """Nothing blocks."""

    def send(self, _data: bytes) -> int:
        self._wake()
        return 1

    def start(self) -> None:
        self.started = True

    def is_alive(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held."""


class _Threading:
    """The names that the stop thread takes of `threading`."""

    Event = threading.Event
    Lock = threading.Lock
    RLock = threading.RLock

    def __init__(self, quiet: _Quiet) -> None:
        self._quiet = quiet

    def Thread(self, **_options: Any) -> _Quiet:
        return self._quiet


class _Socket:
    def __init__(self, quiet: _Quiet) -> None:
        self._quiet = quiet

    def socketpair(self) -> tuple[_Quiet, _Quiet]:
        return self._quiet, self._quiet


class _Selectors:
    EVENT_READ = 1

    def __init__(self, quiet: _Quiet) -> None:
        self._quiet = quiet

    def DefaultSelector(self) -> _Quiet:
        return self._quiet


def quiet_stop_thread(wake: Callable[[], None], **options: Any) -> StopThread:
    """The real StopThread with its thread, sockets and selector taken out; `wake` is told when it has work."""
    quiet = _Quiet(wake)
    real = {name: getattr(stop_module, name) for name in ("threading", "socket", "selectors", "StopSocket")}
    module: Any = stop_module
    try:
        module.threading, module.socket = _Threading(quiet), _Socket(quiet)
        module.selectors, module.StopSocket = _Selectors(quiet), lambda *_arguments: quiet
        return StopThread(**options)
    finally:
        for name, value in real.items():
            setattr(module, name, value)


class SimLatch(Latch):
    """While the loop holds it, another thread's stop waits, as a lock would make it wait."""

    def __init__(self, status: TradingStatus) -> None:
        super().__init__(status)
        self.held = False
        self._waiting: list[Callable[[], None]] = []

    def hold(self) -> AbstractContextManager[object]:
        return _Hold(self)

    def from_thread(self, what: Callable[[], None]) -> None:
        if self.held:
            self._waiting.append(what)
        else:
            what()

    def released(self) -> None:
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            what()


class _Hold:
    def __init__(self, latch: SimLatch) -> None:
        self._latch = latch

    def __enter__(self) -> object:
        self._latch.held = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._latch.held = False
        self._latch.released()


@dataclass
class SimLatchStore:
    """The latch's file. It outlives the engine."""

    oracle: Oracle
    status: TradingStatus | None = None
    broken: bool = False

    def load(self) -> LatchReading:
        return LatchReading(self.status, None, first_use=self.status is None)

    def save(self, status: TradingStatus) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.status = status
        self.oracle.latched_on_disk = status.state is TradingState.HALTED
        self.oracle.world.trace(f"latch on disk {status.state.value} {status.epoch}")


class _Ordered(dict[Any, None]):
    """A set that is walked in the order of arrival: which task is cancelled first must not hang on addresses."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)


# ------------------------------------------------------------------ lives


_NO_FILE = Path("no such folder") / "STOP"


@dataclass
class Life:
    """One run of the engine's process."""

    loop: SimLoop
    clock: SimClock
    journal: SimJournal
    broker: SimBroker
    link: SimLink
    latch: SimLatch
    stop: StopThread
    core: EngineCore
    engine: Engine
    keeper: TaskKeeper
    """What the person at the machine is doing."""
    ending: TaskKeeper = field(default_factory=lambda: TaskKeeper("end"))
    began: float = 0.0
    logged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    started: bool = False
    closing: bool = False
    turn_due: bool = False


class Machine:
    """The computer, the terminal on it, the brain far away, and a person."""

    def __init__(
        self,
        world: World,
        *,
        limits: SafetyLimits = LIMITS,
        in_flight: int = 1,
        weakness: Weakness | None = None,
    ) -> None:
        self.world = world
        self.disk = Disk()
        self.oracle = Oracle(world, self.disk)
        self.store = SimLatchStore(self.oracle)
        self.terminal = SimTerminal(world, self.oracle)
        self.way = Way()
        self.brain = SimBrain(world)
        self.oracle.brain_clock = self.brain.clock
        self.oracle.machine_clock = lambda: world.wall() + timedelta(seconds=self.wall_error)
        self.speed = DiskSpeed()
        self.stop_file = False
        self.limits = limits
        self.in_flight = in_flight
        self.weakness = weakness
        self.life: Life | None = None
        self.lives = 0
        self.presses = 0
        self.resets = 0
        self.wall_error = 0.0
        self.stretch = 1.0
        self.operator_resets = True
        self.takes_over_after = 300.0
        """Seconds a stop lasts before the person acknowledges unknown outcomes by hand."""
        self._stopped_at: float | None = None
        self._operator_busy = False
        self._ids = 0

    # -------------------------------------------------------------- start and end

    def start(self) -> Life:
        """A new process on what the disk holds."""
        world = self.world
        self.lives += 1
        world.trace(f"life {self.lives}")
        loop = SimLoop(world)
        asyncio.events._set_running_loop(loop)
        try:
            self.life = life = self._build(loop)
        finally:
            asyncio.events._set_running_loop(None)
        self.oracle.life_begins(life.latch)
        if self.weakness is not None:
            self.weakness(life)
        number = self.lives

        async def begin() -> None:
            try:
                await life.engine.start()
            except JournalFailed as fault:
                world.trace(f"start failed: {fault}")
                return
            life.started = True

        loop.call_soon(lambda: life.keeper.spawn("start", begin()))
        world.later(0.5, lambda: self._operator_looks(number))
        return life

    def _build(self, loop: SimLoop) -> Life:
        world = self.world
        clock = SimClock(world)
        clock.wall_error, clock.stretch = self.wall_error, self.stretch
        holder: list[Life] = []

        def journal_failed(fault: JournalFailed) -> None:
            if holder:
                holder[0].core.journal_failed(fault)

        def stopped(order: StopOrder) -> None:
            if loop.dead or loop.is_closed():
                raise RuntimeError("the loop is gone")
            holder[0].engine.stopped(order)

        def wake() -> None:
            if holder:
                self._stop_thread_wakes(holder[0])

        journal = SimJournal(self.disk, world, loop, self.speed, journal_failed)
        journal.appended = self.oracle.appended
        status = starting_status(self.store.load(), self.disk.status, clock.now())
        if self.store.broken:
            status = TradingStatus(TradingState.HALTED, status.epoch, "store", Actor.SYSTEM, clock.now())
        else:
            self.store.save(status)
        latch = SimLatch(status)
        stop = quiet_stop_thread(
            wake,
            latch=latch,
            store=self.store,
            channel=SimStopChannel(world, self.terminal, self.way),
            clock=clock,
            stop_file=_NO_FILE,
            token="t" * 32,
            close_positions=False,
            on_stopped=stopped,
        )
        stop.stop_file_exists = lambda: self.stop_file  # type: ignore[method-assign]
        stop.start()
        broker = SimBroker(world, loop, clock, self.terminal, self.way, self.oracle.sent)
        link = SimLink(world, loop, clock, self.brain, self.oracle.told)
        logged: list[tuple[str, dict[str, Any]]] = []

        def log(event: str, **fields: Any) -> None:
            logged.append((event, fields))
            if event == "internal_error":
                world.violated("internal error", f"{fields.get('task')}: {fields.get('fault')!r}")

        core = EngineCore(
            options=EngineOptions(
                executor_id="exec_001",
                version="0.1.0",
                limits=self.limits,
                processor=ProcessorOptions(max_in_flight=self.in_flight),
                unsigned_allowed=True,
            ),
            journal=journal,
            broker=broker,
            link=link,
            clock=clock,
            stop=stop,
            log=log,
        )
        core.keeper._tasks = _Ordered()  # type: ignore[assignment]

        def new_id() -> str:
            self._ids += 1
            return f"{self._ids:06d}"

        engine = Engine(core, new_word=lambda: "harbor", new_id=new_id)
        life = Life(
            loop,
            clock,
            journal,
            broker,
            link,
            latch,
            stop,
            core,
            engine,
            TaskKeeper("person"),
            began=world.now,
            logged=logged,
        )
        life.keeper._tasks = _Ordered()  # type: ignore[assignment]
        holder.append(life)
        return life

    def crash(self) -> None:
        """Everything volatile is gone, at this very callback."""
        life, self.life = self.life, None
        if life is None:
            return
        self.world.trace("crash")
        self._operator_busy = False
        life.loop.die()
        connection = self.brain.connection
        if connection is not None:
            self.brain.hang_up(connection, 0.0)
        self._check_faults(life)

    def end_in_order(self) -> None:
        """Close down; what has not ended within 20 s is killed, as a service manager would."""
        life, world = self.life, self.world
        if life is None or life.closing or not life.started or life.loop.dead:
            return
        world.trace("close")
        life.closing = True

        async def end() -> None:
            await life.keeper.close()
            await life.engine.close()
            life.loop.crash_in = 1

        # Kept by the life itself: the keeper of the person's tasks is being closed.
        life.loop.call_soon_threadsafe(lambda: life.ending.spawn("close", end()))

        def kill() -> None:
            if not life.loop.dead:
                life.loop.crash_in = 1

        world.later(20, kill)

    def _check_faults(self, life: Life) -> None:
        for context in life.loop.faults:
            fault = context.get("exception")
            if not isinstance(fault, JournalFailed):
                self.world.violated("exception", f"{context.get('message')}: {fault!r}")

    # -------------------------------------------------------------- time

    def run(self, seconds: float, condition: Callable[[], bool] | None = None) -> bool:
        """Let time pass. A life that reached its crash point ends within; True as soon as `condition` holds."""
        until = self.world.now + seconds
        while self.world.now < until:
            life = self.life
            if life is None:
                # No process: the world goes on alone.
                due = self.world.next_due
                if condition is not None and condition():
                    return True
                self.world.now = min(until, max(self.world.now, due))
                self.world.pump()
                continue
            if life.loop.run_until(until, condition):
                return True
            if life.loop.dead:
                self.crash()
        return condition is not None and condition()

    # -------------------------------------------------------------- stops

    def _stop_thread_wakes(self, life: Life) -> None:
        if life.turn_due or life.loop.dead:
            return
        life.turn_due = True
        self.world.later(self.world.between(20e-6, 2e-3), lambda: self._stop_thread_turns(life))

    def _stop_thread_turns(self, life: Life) -> None:
        life.turn_due = False
        if life.loop.dead:
            return
        stop = life.stop
        stop._look_for_stop_file()
        stop._serve()
        if stop._unproved is not None:
            life.turn_due = True
            self.world.later(0.05, lambda: self._stop_thread_turns(life))

    def press(self, how: str) -> None:
        """Stop. `how`: brain | operator | socket | file | terminal, or `send`: through the socket around the next send."""
        life, world = self.life, self.world
        self.presses += 1
        world.trace(f"press {how}")
        closing = world.chance(0.2)
        if how == "terminal":
            self.terminal.stop(
                "button", self.terminal.epoch, "button", cancel_orders=False, close_positions=False
            )
            return
        if how == "brain":
            self.brain.tell("stop", ("strategy gone mad", closing, world.chance(0.7)))
            return
        if life is None or life.loop.dead:
            return
        if how == "file":
            self.stop_file = True
            world.later(world.between(0, 0.05), lambda: self._stop_thread_turns(life))
            return
        if how == "operator":
            life.loop.call_soon_threadsafe(
                lambda: life.keeper.spawn("stop", self._stop_by_api(life, closing))
            )
            return

        def engage() -> None:
            life.stop.engage(reason=how, by=Actor.OPERATOR, close_positions=closing)

        # Another thread does it, wherever the loop just is.
        if how == "socket":
            life.clock.interrupt = lambda: life.latch.from_thread(engage)
            return

        def arm(events: tuple[ev.Event, ...]) -> None:
            if any(isinstance(event, ev.CommandDispatched) for event in events):
                life.journal.delivering = lambda _events: None
                gate: Any = life.core.gate
                view = gate.view

                def looked_at(command: Any) -> Any:
                    gate.view = view
                    life.clock.looks = world.random.randint(0, 3)
                    life.clock.interrupt = lambda: life.latch.from_thread(engage)
                    return view(command)

                gate.view = looked_at

        life.journal.delivering = arm

    async def _stop_by_api(self, life: Life, closing: bool) -> None:
        await life.engine.operator.stop(reason="panic", by="window", close_positions=closing)

    # -------------------------------------------------------------- the person at the machine

    def _operator_looks(self, number: int) -> None:
        life, world = self.life, self.world
        if life is None or number != self.lives or life.loop.dead:
            return
        world.later(world.between(0.1, 1.0), lambda: self._operator_looks(number))
        state = life.latch.state
        if state is TradingState.ACTIVE:
            self._stopped_at = None
            return
        if self._stopped_at is None:
            self._stopped_at = world.now
        if not self.operator_resets or self._operator_busy or not life.started or life.closing:
            return
        self._operator_busy = True
        life.loop.call_soon_threadsafe(lambda: life.keeper.spawn("reset", self._reset(life)))

    async def _reset(self, life: Life) -> None:
        operator = life.engine.operator
        since = self.world.now - (self._stopped_at or self.world.now)
        self.stop_file = False
        life.stop._look_for_stop_file()  # the thread looks every 0.05 s: it has seen that the file is gone
        try:
            if life.latch.state is TradingState.HALTED:
                challenge = await operator.reset_challenge()
                if since > self.takes_over_after:
                    for cid in challenge["unknown"]:
                        await operator.acknowledge_unknown(CommandId(cid), by="anna", note="looked")
                await operator.reset(word=challenge["word"], by="anna", note="all clear")
                self.resets += 1
                self.world.trace("reset")
            if life.latch.state is TradingState.REDUCING and not self.terminal_waits(life):
                await operator.resume(by="anna")
                self.world.trace("resumed")
        except (Refused, JournalFailed) as fault:
            self.world.trace(f"not reset: {fault}")
        finally:
            if not life.loop.dead:
                self._operator_busy = False

    @staticmethod
    def terminal_waits(life: Life) -> bool:
        return not life.core.ready

    def operate(self, action: Action) -> None:
        """A trade by hand."""
        life = self.life
        if life is None or life.loop.dead or not life.started or life.closing:
            return

        async def ask() -> None:
            try:
                result = await life.engine.operator.operate(action, by="anna")
                self.world.trace(f"by hand {result.outcome.value}")
            except (Refused, JournalFailed, TimeoutError) as fault:
                self.world.trace(f"by hand: {fault}")

        life.loop.call_soon_threadsafe(lambda: life.keeper.spawn("by hand", ask()))

    def pause(self) -> None:
        life = self.life
        if life is None or life.loop.dead or not life.started or life.closing:
            return

        async def ask() -> None:
            try:
                await life.engine.operator.pause(reason="lunch", by="anna")
            except (Refused, JournalFailed) as fault:
                self.world.trace(f"not paused: {fault}")

        life.loop.call_soon_threadsafe(lambda: life.keeper.spawn("pause", ask()))

    # -------------------------------------------------------------- quiet

    def heal(self) -> None:
        """No more faults: everything outside works from now on."""
        world = self.world
        self.way.scramble = 0.0
        self.way.broken_until = min(self.way.broken_until, world.now + 1)
        self.way.stop_frames_lost = 0
        self.speed.low, self.speed.high, self.speed.fail_next = 0.0003, 0.003, False
        self.brain.down_until = min(self.brain.down_until, world.now)
        self.brain.hang_ups, self.brain.ack_loss, self.brain.silent_since = 0, 0.0, None
        self.store.broken = False
        self.terminal.permissions = type(self.terminal.permissions)()
        self.stretch = CALM_STRETCH
        if self.life is not None:
            self.life.clock.stretch = CALM_STRETCH
            if not self.life.closing:
                self.life.loop.crash_in = None
        self.operator_resets = True
        self.takes_over_after = 300.0

    def settled(self) -> bool:
        """Nothing is open any more, and everybody has heard everything."""
        life = self.life
        if life is None or not life.core.ready or life.latch.state is not TradingState.ACTIVE:
            return False
        if self.disk.open or self.disk.unacknowledged or life.journal.backlog:
            return False
        return life.core.processor.idle and not life.core.reconciliation.unknown

    def settle(self, patience: float = 420.0) -> None:
        """Heal everything, wait until all is quiet, and compare. What is not quiet by then is a violation."""
        self.heal()
        until = self.world.now + patience
        while self.world.now < until:
            if self.life is None:
                self.start()
            life = self.life
            if life is not None and (
                life.journal._broken or (not life.started and self.world.now > life.began + 60)
            ):
                self.crash()
                continue
            if self.run(min(30.0, until - self.world.now), self.settled):
                # Two heartbeats more: an event that was lost is noticed by them, and a snapshot asked for.
                self.run(2.5)
                if self.settled():
                    break
        if not self.settled():
            self.world.violated("quiet", f"it does not settle: {self._open()}")
        self.oracle.quiet(self)
        if self.life is not None:
            self._check_faults(self.life)

    def _open(self) -> str:
        life = self.life
        if life is None:
            return "no engine"
        waiting = [f"{key} {record.state.name}" for key, record in list(self.disk.open.items())[:5]]
        return (
            f"ready {life.core.ready}, {life.latch.state.value} ({life.latch.status.reason}), open {waiting},"
            f" unacknowledged {list(self.disk.unacknowledged)[:5]}, brain {life.link.state.value},"
            f" unknown {life.core.reconciliation.unknown[:5]}, started {life.started},"
            f" under way {sorted(life.core.processor._under_way)}"
        )
