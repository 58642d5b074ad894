"""When a trouble begins, goes on and is over; how three clocks are held against each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.watchdog_rules import ClockBreak, ClockReading, Episode, Turn, above, clock_break

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
START = ClockReading(NOON, 1000.0, 5000.0)
BEGUN, OVER = Turn.BEGUN, Turn.OVER


def later(wall: float, monotonic: float, uptime: float) -> ClockReading:
    return ClockReading(NOON + timedelta(seconds=wall), 1000.0 + monotonic, 5000.0 + uptime)


# ------------------------------------------------------------------ episodes


def test_an_episode_is_told_when_it_begins_and_when_it_is_over_and_again_the_next_time() -> None:
    episode = Episode()
    readings = [False, True, True, True, False, False, True, False]
    assert [episode.see(bad=bad) for bad in readings] == [None, BEGUN, None, None, OVER, None, BEGUN, OVER]


def test_one_good_reading_in_between_does_not_end_an_episode_that_needs_more() -> None:
    episode = Episode(good_needed=3)
    readings = [True, False, False, True, False, False, False, False]
    assert [episode.see(bad=bad) for bad in readings] == [BEGUN, None, None, None, None, None, OVER, None]


def test_a_reading_that_is_neither_bad_nor_good_only_goes_on() -> None:
    episode = Episode()
    assert episode.see(bad=True) is BEGUN
    assert episode.see(bad=False, good=False) is None
    assert episode.open
    assert episode.see(bad=False, good=True) is OVER


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_beginnings_and_ends_take_turns_whatever_comes(readings: list[bool], needed: int) -> None:
    episode = Episode(needed)
    turns = [turn for bad in readings if (turn := episode.see(bad=bad)) is not None]
    assert turns == [BEGUN, OVER] * (len(turns) // 2) + ([BEGUN] if len(turns) % 2 else [])
    assert episode.open is (len(turns) % 2 == 1)


@pytest.mark.parametrize(
    ("value", "limit", "expected"), [(1001, 1000, True), (1000, 1000, False), (1001, 0, False)]
)
def test_a_limit_of_zero_is_none(value: float, limit: float, expected: bool) -> None:
    assert above(value, limit) is expected


# ------------------------------------------------------------------ clocks


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (later(0.05, 0.05, 0.05), None),
        (later(4.9, 4.9, 4.9), None),
        (later(1.0, 0.05, 0.05), None),  # less than a second apart
        (later(0.9 - 1.0, 0.9, 0.9), None),
        (later(600, 0.05, 600), ClockBreak(stood_still=600, uncounted=599.95)),  # sleep, as on Linux
        (later(600, 600, 600), ClockBreak(stood_still=600)),  # sleep, as on Windows; or frozen
        (later(3, 0.05, 3), ClockBreak(uncounted=2.95)),
        (later(3600.05, 0.05, 0.05), ClockBreak(jumped=3600)),
        (later(-3599.95, 0.05, 0.05), ClockBreak(jumped=-3600)),
        (later(1000, 0.05, 600), ClockBreak(stood_still=600, uncounted=599.95, jumped=400)),
    ],
)
def test_what_happened_between_two_looks(after: ClockReading, expected: ClockBreak | None) -> None:
    found = clock_break(START, after)
    if expected is None or found is None:
        assert found == expected
        return
    assert found.stood_still == pytest.approx(expected.stood_still)
    assert found.uncounted == pytest.approx(expected.uncounted)
    assert found.jumped == pytest.approx(expected.jumped)


def test_an_uptime_in_coarse_steps_is_no_sleep() -> None:
    """Windows counts it in steps of 15.6 ms."""
    assert clock_break(START, later(0.05, 0.05, 0.0)) is None
    assert clock_break(START, later(0.05, 0.05, 0.0156)) is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            ClockBreak(stood_still=600, uncounted=599.95),
            "this machine slept or Medulla stood still for 600 s",
        ),
        (ClockBreak(uncounted=3), "this machine slept for 3 s"),
        (ClockBreak(jumped=-3600), "this machine's clock was set by -3600.0 s"),
    ],
)
def test_a_break_in_words(found: ClockBreak, words: str) -> None:
    assert str(found) == words
