"""The reconnection policy as a rule: never more than ten attempts a minute, full jitter, and the waits of PROTOCOL §7."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.reconnect import Ending, ReconnectPolicy, ReconnectRules, retry_after_seconds

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def longest(_low: float, high: float) -> float:
    return high


def shortest(low: float, _high: float) -> float:
    return low


def test_delays_double_from_half_a_second_to_thirty() -> None:
    policy = ReconnectPolicy(ReconnectRules(attempts=1000), longest)
    delays = [policy.delay(Ending.LOST, 0.0) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_the_jitter_is_full() -> None:
    asked: list[tuple[float, float]] = []

    def record(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    policy = ReconnectPolicy(ReconnectRules(), record)
    for _ in range(3):
        policy.delay(Ending.LOST, 0.0)
    assert asked == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0)]


@pytest.mark.parametrize(
    ("welcomed_for", "following"), [(None, 4.0), (0.0, 4.0), (29.9, 4.0), (30.0, 0.5), (3600.0, 0.5)]
)
def test_only_a_stable_welcomed_session_resets_the_counter(
    welcomed_for: float | None, following: float
) -> None:
    policy = ReconnectPolicy(ReconnectRules(attempts=1000), longest)
    for _ in range(3):
        policy.delay(Ending.LOST, 0.0)
    assert policy.delay(Ending.LOST, 0.0, welcomed_for=welcomed_for) == following


def test_a_wrong_key_is_not_tried_again() -> None:
    assert ReconnectPolicy(ReconnectRules(), shortest).delay(Ending.REFUSED, 0.0) is None


@pytest.mark.parametrize("ending", [Ending.CERTIFICATE, Ending.PROTOCOL])
def test_a_bad_certificate_or_a_protocol_error_waits_a_minute(ending: Ending) -> None:
    assert ReconnectPolicy(ReconnectRules(), shortest).delay(ending, 0.0) == 60.0


def test_retry_after_is_honoured_and_never_shortens() -> None:
    policy = ReconnectPolicy(ReconnectRules(), longest)
    assert policy.delay(Ending.BUSY, 0.0, retry_after=120.0) == 120.0
    assert policy.delay(Ending.BUSY, 0.0, retry_after=0.0) == 1.0
    assert policy.delay(Ending.BUSY, 0.0) == 2.0


def test_an_endless_outage_computes_no_endless_power() -> None:
    policy = ReconnectPolicy(ReconnectRules(), longest)
    for _ in range(5000):
        assert (policy.delay(Ending.LOST, 0.0) or 0.0) <= 30.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Ending.LOST, Ending.BUSY, Ending.PROTOCOL, Ending.REFUSED]),
            st.floats(0, 120),
            st.sampled_from([None, 0.0, 1.0, 31.0]),
            st.sampled_from([None, 0.0, 5.0]),
            st.booleans(),
        ),
        min_size=12,
        max_size=60,
    ),
    st.floats(0, 1),
)
def test_never_more_than_ten_attempts_in_any_minute(
    story: list[tuple[Ending, float, float | None, float | None, bool]], luck: float
) -> None:
    """Whatever the server does, however lucky the draw, and however often a person presses Retry."""
    policy = ReconnectPolicy(ReconnectRules(), lambda low, high: low + (high - low) * luck)
    now = 1000.0
    starts: list[float] = []
    for ending, lasted, welcomed_for, retry_after, retry in story:
        policy.starting(now)
        starts.append(now)
        # The worst servers end a session at once; the others after a while.
        now += lasted if welcomed_for else 0.0
        delay = policy.delay(ending, now, welcomed_for=welcomed_for, retry_after=retry_after)
        if delay is None or retry:
            earliest = policy.earliest()
            now = now if earliest is None else max(now, earliest)
        else:
            assert delay >= 0
            now += delay
    for first, eleventh in zip(starts, starts[10:], strict=False):
        assert eleventh - first >= 60.0 - 1e-6


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u0667", None),
        ("99999999999999999999", 3600.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("Fri, 02 Jan 2099 03:00:00 GMT", 3600.0),
        ("Fri, 99 Jan 2026 03:00:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds
