"""How a way there and back is measured, the same for every terminal behind it. What is asked belongs to the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

ROUNDS = 500
WARM_UP = 50
GENEROUS = 0.1
"""Seconds: some hundred times what a quiet machine needs."""


@dataclass(frozen=True, slots=True)
class Measured:
    p50: float
    p99: float
    cpu: float
    """Seconds of this process's CPU a round trip, the threads of ZeroMQ included."""

    def line(self, what: str) -> str:
        return f"{what:<34} p50 {self.p50 * 1e3:6.3f} ms  p99 {self.p99 * 1e3:6.3f} ms  cpu {self.cpu * 1e3:6.3f} ms"


async def measure(once: Callable[[int], Awaitable[object]]) -> Measured:
    for number in range(WARM_UP):
        await once(number - WARM_UP)
    times = []
    cpu = time.process_time()
    for number in range(ROUNDS):
        began = time.perf_counter()
        await once(number)
        times.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / ROUNDS
    times.sort()
    return Measured(times[ROUNDS // 2], times[ROUNDS * 99 // 100], cpu)
