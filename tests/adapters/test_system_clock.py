"""The machine's clocks are what the Clock port says."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise

from app.adapters.system_clock import SystemClock


def test_the_wall_clock_is_utc_and_right() -> None:
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now.timestamp() - time.time()) < 5  # noqa: TID251 - the yardstick


def test_the_monotonic_clock_is_fine_and_never_falls() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(10_000)]
    assert readings == sorted(readings)
    steps = [later - earlier for earlier, later in pairwise(readings) if later > earlier]
    assert min(steps) < 0.001


async def test_the_uptime_goes_on_beside_the_monotonic_clock() -> None:
    clock = SystemClock()
    before = clock.uptime(), clock.monotonic()
    await clock.sleep(0.05)
    after = clock.uptime(), clock.monotonic()
    assert after[0] > before[0]
    # Nobody puts this machine to sleep meanwhile; Windows counts in steps of 15.6 ms.
    assert abs((after[0] - before[0]) - (after[1] - before[1])) < 1


async def test_sleep_is_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    began = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - began >= 0.009
