"""The estimate of the brain's clock: right on a steady line, unmoved by slow messages, quick to see a real change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.clock_offset import SAMPLES, BrainClock

BRAIN_START = datetime(2026, 1, 1, tzinfo=UTC)


def brain_time(monotonic: float) -> datetime:
    return BRAIN_START + timedelta(seconds=monotonic)


def error(clock: BrainClock, monotonic: float) -> float:
    now = clock.now(monotonic)
    assert now is not None
    return (now - brain_time(monotonic)).total_seconds()


def test_nothing_heard_is_nothing_known() -> None:
    clock = BrainClock()
    assert clock.now(5.0) is None
    assert not clock.known
    clock.round_trip(0.1)
    assert clock.now(5.0) is None


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=30), st.floats(0.0, 0.2))
def test_the_estimate_is_behind_by_the_least_delay_at_most(delays: list[float], round_trip: float) -> None:
    clock = BrainClock()
    at = 0.0
    for delay in delays:
        at += 5.0
        clock.heard(brain_time(at), at + delay)
    clock.round_trip(round_trip)
    recent = min(delays[-SAMPLES:])
    assert error(clock, at) == pytest.approx(round_trip / 2 - recent, abs=1e-3)


def test_a_symmetric_line_is_measured_exactly() -> None:
    clock = BrainClock()
    clock.heard(brain_time(1.0), 1.05)
    clock.round_trip(0.1)
    assert error(clock, 2.0) == pytest.approx(0.0, abs=1e-3)


def test_a_brain_that_sets_its_clock_forward_is_followed_at_once() -> None:
    clock = BrainClock()
    clock.heard(brain_time(1.0), 1.0)
    clock.heard(brain_time(2.0) + timedelta(seconds=10), 2.0)
    assert error(clock, 3.0) == pytest.approx(10.0, abs=1e-3)


def test_a_brain_that_sets_its_clock_back_is_followed_after_the_window() -> None:
    clock = BrainClock()
    clock.heard(brain_time(1.0), 1.0)
    for beat in range(SAMPLES):
        clock.heard(brain_time(2.0 + beat) - timedelta(seconds=10), 2.0 + beat)
    assert error(clock, 30.0) == pytest.approx(-10.0, abs=1e-3)


def test_a_time_beyond_all_calendars_is_not_known() -> None:
    clock = BrainClock()
    clock.heard(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 0.0)
    assert clock.now(10.0) is None
