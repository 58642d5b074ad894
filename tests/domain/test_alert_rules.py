"""How many alerts leave the machine: one a code and minute, twenty an hour, a quarter of them for critical ones alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.alert_rules import AlertRules, AlertThrottle, held_words, rank


def test_severities_are_ranked_and_an_unknown_one_is_not_lost() -> None:
    assert rank("info") < rank("warning") < rank("critical") == rank("apocalyptic")


def test_one_code_goes_out_once_a_minute_and_others_beside_it() -> None:
    throttle = AlertThrottle(AlertRules())
    assert [throttle.admit("warning", "A", now) for now in (0, 1, 59.9, 60)] == [True, False, False, True]
    assert throttle.admit("warning", "B", 1)
    assert throttle.take_held() == {"A": 2}
    assert throttle.take_held() == {}


def test_the_hour_has_an_end_and_a_part_kept_for_critical_ones() -> None:
    throttle = AlertThrottle(AlertRules(per_hour=20))
    sent = [throttle.admit("warning", f"W{number}", number) for number in range(20)]
    assert sent.count(True) == 15
    sent = [throttle.admit("critical", f"C{number}", 30 + number) for number in range(10)]
    assert sent.count(True) == 5
    assert not throttle.admit("warning", "LATER", 3599)
    assert throttle.admit("warning", "LATER", 3600 + 14)


def test_no_bound_is_no_bound() -> None:
    throttle = AlertThrottle(AlertRules(per_code_seconds=0, per_hour=0))
    assert all(throttle.admit("info", "A", 0.0) for _ in range(1000))


def test_what_is_held_back_is_told_even_if_nothing_more_happens() -> None:
    throttle = AlertThrottle(AlertRules())
    throttle.admit("warning", "A", 0)
    assert not throttle.summary_due(100)
    throttle.admit("warning", "A", 10)
    assert not throttle.summary_due(69.9)
    assert throttle.summary_due(70)
    assert throttle.take_held() == {"A": 1}
    assert not throttle.summary_due(200)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["info", "warning", "critical"]), st.sampled_from("ABCDE"), st.floats(0, 300)
        ),
        max_size=200,
    ),
    st.integers(1, 30),
)
def test_never_more_than_the_hour_allows_and_nothing_goes_uncounted(
    raised: list[tuple[str, str, float]], per_hour: int
) -> None:
    throttle = AlertThrottle(AlertRules(per_hour=per_hour))
    now, sent = 0.0, []
    for severity, code, pause in raised:
        now += pause
        if throttle.admit(severity, code, now):
            sent.append(now)
    assert all(sum(start <= one < start + 3600 for one in sent) <= per_hour for start in sent)
    assert len(sent) + sum(throttle.take_held().values()) == len(raised)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({}, ""),
        ({"A": 1}, "1 more were not sent one by one: A 1x"),
        ({"A": 1, "B": 3}, "4 more were not sent one by one: B 3x, A 1x"),
        (dict.fromkeys("ABCDEF", 1), "6 more were not sent one by one: A 1x, B 1x, C 1x, D 1x, E 1x, …"),
    ],
)
def test_what_was_held_back_in_words(held: dict[str, int], words: str) -> None:
    assert held_words(held) == words
