"""A deterministic event loop and the virtual world around it: time jumps to whatever comes next, and a seed decides the rest.

One World outlives many lives of the engine. Everything outside the engine (terminal, brain, disk, person, stop thread) is a
callback in the world's own agenda; a life has a loop of its own, which dies with it. No sockets, threads or real clocks here.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import random
from asyncio import events as asyncio_events
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVarTuple, Unpack

START = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
MONOTONIC_START = 1000.0
_STEP = 20e-6
"""Most seconds that one callback of the engine is taken to last: other ends of the machine act in between."""
_Ts = TypeVarTuple("_Ts")
_SHUFFLE = 1e-6
"""Seconds within which the seed settles what comes first."""
APART = 2 * _SHUFFLE
"""What must stay in its order, as on one connection, lies at least so far apart."""


class Violation(AssertionError):
    """An invariant does not hold. `rule` is its short name, `detail` says what was seen."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


class World:
    """Virtual time, the agenda of everything outside the engine, the seed, and the trace of what happened."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        """Seconds since the world began."""
        self.violations: list[Violation] = []
        self.keep_lines = False
        self.lines: list[str] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self.steps = 0

    # -------------------------------------------------------------- agenda

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Something happens outside the engine at `when`; ties and near ties are settled by the seed."""
        self._count += 1
        heapq.heappush(self._agenda, (when + self.random.random() * _SHUFFLE, self._count, what))

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    @property
    def next_due(self) -> float:
        return self._agenda[0][0] if self._agenda else float("inf")

    def pump(self) -> None:
        """Let everything happen that is due now."""
        while self._agenda and self._agenda[0][0] <= self.now:
            heapq.heappop(self._agenda)[2]()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random.random()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # -------------------------------------------------------------- what is seen

    def trace(self, what: str) -> None:
        """One line of what happened; the hash of all lines is what two runs of one seed must share."""
        line = f"{self.now:.7f} {what}"
        self._hash.update(line.encode())
        if self.keep_lines:
            self.lines.append(line)

    @property
    def trace_hash(self) -> str:
        return self._hash.hexdigest()

    def violated(self, rule: str, detail: str) -> None:
        """Note it; the run goes on to its next quiet point, so that a callback of the engine never swallows it."""
        self.violations.append(Violation(rule, f"{detail} (at {self.now:.6f} s)"))
        self.trace(f"VIOLATION {rule} {detail}")

    # -------------------------------------------------------------- time for others

    def wall(self) -> datetime:
        """True time, UTC."""
        return START + timedelta(seconds=self.now)


class SimLoop(asyncio.BaseEventLoop):
    """An asyncio loop on the world's time. `crash_in`: so many callbacks from now it stops for ever."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.dead = False
        self.crash_in: int | None = None
        self.faults: list[dict[str, Any]] = []

    # -------------------------------------------------------------- what BaseEventLoop asks for

    def time(self) -> float:
        return self.world.now

    def _write_to_self(self) -> None:
        """Nothing sleeps in here that had to be woken."""

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when + self.world.random.random() * _SHUFFLE, callback, *args, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.faults.append(context)

    # -------------------------------------------------------------- turns

    def run_until(self, when: float, condition: Callable[[], bool] | None = None) -> bool:
        """Let the world and this life go on until `when`; True as soon as `condition` holds, False at the end or at a crash."""
        world = self.world
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        asyncio_events._set_running_loop(self)
        try:
            while not self.dead:
                if condition is not None and condition():
                    return True
                if not ready:
                    while scheduled and scheduled[0]._cancelled:
                        handle = heapq.heappop(scheduled)
                        handle._scheduled = False
                    due = min(scheduled[0]._when if scheduled else float("inf"), world.next_due)
                    if due > when:
                        world.now = max(world.now, when)
                        return False
                    world.now = max(world.now, due)
                world.pump()
                while scheduled and scheduled[0]._when <= world.now:
                    handle = heapq.heappop(scheduled)
                    handle._scheduled = False
                    ready.append(handle)
                for _ in range(len(ready)):
                    self._one(ready.popleft())
                    if self.dead:
                        return False
                if world.now >= when:
                    return False
            return False
        finally:
            asyncio_events._set_running_loop(None)

    def _one(self, handle: asyncio.Handle) -> None:
        world = self.world
        if handle._cancelled:
            return
        handle._run()
        world.steps += 1
        world.now += world.random.random() * _STEP
        if world.next_due <= world.now:
            # What comes from outside may come between any two callbacks.
            world.pump()
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in <= 0:
                self.dead = True

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is thrown away when its time comes."""

    def die(self) -> None:
        """The process is gone: no callback of this life ever runs again."""
        self.dead = True
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            try:
                coroutine.close()
            except (RuntimeError, ValueError):
                continue  # it would not end in order, and need not: a killed process ends nothing in order
        self._ready.clear()  # type: ignore[attr-defined]
        if not self.is_closed():
            self.close()


class SimClock:
    """The Clock port on the world's time. `wall_error` is how far this machine's wall clock is off, seconds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.wall_error = 0.0
        self.interrupt: Callable[[], None] | None = None
        """What another thread does when this one looks at a clock."""
        self.stretch = 1.0
        """So many times longer the engine's own pauses last, as on a busy machine."""
        self.looks = 0
        """So many looks go by before it does."""

    def _interrupted(self) -> None:
        if self.looks > 0:
            self.looks -= 1
            return
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()

    def now(self) -> datetime:
        if self.interrupt is not None:
            self._interrupted()
        return START + timedelta(seconds=self._world.now + self.wall_error)

    def monotonic(self) -> float:
        if self.interrupt is not None:
            self._interrupted()
        return MONOTONIC_START + self._world.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.stretch)
