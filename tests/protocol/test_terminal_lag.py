"""How late a terminal's session clock may be: never less than it is, and close to it after one quick answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.terminal_lag import READINGS, TerminalLag


def test_a_session_that_has_not_been_greeted_has_no_lag() -> None:
    assert TerminalLag().most == 0.0


@given(
    late=st.floats(0, 5),
    hello_back=st.floats(0, 5),
    answers=st.lists(st.floats(0, 5), max_size=90),
)
def test_the_bound_holds_and_is_as_close_as_the_quickest_recent_answer(
    late: float, hello_back: float, answers: list[float]
) -> None:
    lag = TerminalLag()
    lag.greeted(late + hello_back)
    for second, back in enumerate(answers):
        at = 1000.0 * second
        lag.told(int(at - late * 1000) if at > late * 1000 else 0, max(at, late * 1000) + back * 1000)
    assert lag.most >= late - 1e-9
    recent = [hello_back, *answers][-READINGS:]
    assert lag.most <= late + min(recent) + 0.0011


def test_clocks_that_drift_apart_are_followed() -> None:
    lag = TerminalLag()
    lag.greeted(0.001)
    for second in range(1, 1001):
        lag.told(int(second * 1001.0), second * 1000.0)
    assert lag.most == pytest.approx(-1.0, abs=0.001)
    for _ in range(READINGS):
        lag.told(0, 500.0)
    assert lag.most == 0.5
