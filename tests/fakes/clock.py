"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Implements the Clock port. `advance` moves both clocks and wakes the sleepers whose time has come."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0
        self._uptime = 5000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def uptime(self) -> float:
        return self._uptime

    async def sleep(self, seconds: float) -> None:
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._monotonic + max(0.0, seconds), self._count, waker))
        await waker

    def advance(self, seconds: float) -> None:
        """Move on at once; sleepers run in the next turns of the loop."""
        self._monotonic += seconds
        self._uptime += seconds
        self._now += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            waker = heapq.heappop(self._sleepers)[2]
            if not waker.done():
                waker.set_result(None)

    def jump(self, seconds: float) -> None:
        """The wall clock is set; monotonic time does not notice."""
        self._now += timedelta(seconds=seconds)

    def suspend(self, seconds: float) -> None:
        """The machine sleeps as on Linux: the wall clock goes on, and so does the uptime; monotonic time does not notice."""
        self._now += timedelta(seconds=seconds)
        self._uptime += seconds
