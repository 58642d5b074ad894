"""The machine's clocks behind the Clock port: the one place where the wall clock is read.

Nothing may decide by the wall clock what a monotonic reading can decide: it jumps with NTP, sleep and the operator.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

# On Windows CPython 3.11's monotonic() is GetTickCount64, which moves in steps of 15.6 ms; elsewhere it is fine.
_monotonic: Callable[[], float] = time.perf_counter if sys.platform == "win32" else time.monotonic


def _counting_sleep() -> Callable[[], float]:
    """The system's clock that goes on while the machine sleeps; the monotonic one where there is none."""
    if sys.platform == "win32":
        import ctypes

        # GetTickCount64's page: "the number of milliseconds that have elapsed since the system was started", sleep included.
        ticks = ctypes.windll.kernel32.GetTickCount64
        ticks.restype = ctypes.c_ulonglong
        return lambda: float(ticks()) / 1000
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    if boot is not None:
        number: int = boot
        return lambda: time.clock_gettime(number)
    return _monotonic


_uptime = _counting_sleep()


class SystemClock:
    """Clock of this machine."""

    def now(self) -> datetime:
        """Wall clock, UTC, aware."""
        return datetime.now(UTC)  # noqa: TID251 - this is the one place

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never backwards, resolution of a microsecond or better."""
        return _monotonic()

    def uptime(self) -> float:
        """Seconds that count the machine's sleep, where the system has such a clock; on Windows in steps of 15.6 ms."""
        return _uptime()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
