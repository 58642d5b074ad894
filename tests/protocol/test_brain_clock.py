"""The estimate of the brain's clock: right on a steady line, unmoved by slow messages, quick to see a real change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.clock_offset import AGREEMENT, SAMPLES, BrainClock

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


def test_a_welcome_that_lay_in_a_frozen_program_makes_nothing_younger() -> None:
    """HELLO at 0, WELCOME written at 0.01 and read at 6: until samples agree the brain is taken to be as late as it can be."""
    clock = BrainClock()
    clock.answered(brain_time(0.01), 0.0, 6.0)
    clock.round_trip(0.002)
    assert error(clock, 6.0) == pytest.approx(0.01, abs=1e-3)
    clock.heard(brain_time(5.0), 6.0)  # it lay there too
    assert error(clock, 6.0) == pytest.approx(0.01, abs=1e-3)
    clock.heard(brain_time(10.0), 10.001)
    assert error(clock, 10.0) == pytest.approx(0.01, abs=1e-3)
    clock.heard(brain_time(15.0), 15.001)
    assert error(clock, 15.0) == pytest.approx(0.0, abs=1e-3)


def test_a_brain_that_thinks_before_its_welcome_is_believed_once_its_heartbeats_agree() -> None:
    clock = BrainClock()
    clock.answered(brain_time(3.0), 0.0, 3.001)
    assert error(clock, 3.0) == pytest.approx(3.0, abs=1e-3)
    clock.heard(brain_time(8.0), 8.001)
    assert error(clock, 8.0) == pytest.approx(0.0, abs=2e-3)


@given(
    waited=st.floats(0, 5),
    delays=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=SAMPLES),
)
def test_a_brain_is_never_taken_for_younger_than_two_agreeing_samples_say(
    waited: float, delays: list[float]
) -> None:
    clock = BrainClock()
    clock.answered(brain_time(waited), 0.0, waited + delays[0])
    for at, delay in enumerate(delays[1:], 20):
        clock.heard(brain_time(float(at)), at + delay)
    agreed = any(
        sorted(delays[:heard])[1] - min(delays[:heard]) <= AGREEMENT + 1e-6
        for heard in range(2, len(delays) + 1)
    )
    assert error(clock, 100.0) >= (-min(delays) if agreed else 0.0) - 1e-3


def test_a_brain_that_sets_its_clock_forward_before_samples_agree_is_followed_at_once() -> None:
    clock = BrainClock()
    clock.answered(brain_time(1.0), 0.5, 2.0)
    clock.heard(brain_time(3.0) + timedelta(seconds=10), 3.0)
    assert error(clock, 3.0) == pytest.approx(10.0, abs=1e-3)
