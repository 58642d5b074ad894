"""The trading state's table: what a stop, a reset and a resume lead to, and what is impossible."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.errors import IllegalTransition
from app.domain.trading_state import Actor, StateAct, TradingState, TradingStatus
from tests.domain.making import NOW

A, R, H = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
TABLE = {
    (A, StateAct.PAUSE): R,
    (A, StateAct.STOP): H,
    (R, StateAct.PAUSE): R,
    (R, StateAct.STOP): H,
    (R, StateAct.RESUME): A,
    (H, StateAct.STOP): H,
    (H, StateAct.RESET): R,
}
LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize("state", list(TradingState))
@pytest.mark.parametrize("act", list(StateAct))
def test_the_table(state: TradingState, act: StateAct) -> None:
    before = TradingStatus(state, 7, "before", Actor.BRAIN, NOW)
    expected = TABLE.get((state, act))
    if expected is None:
        with pytest.raises(IllegalTransition, match=act.value):
            before.after(act, reason="now", by=Actor.OPERATOR, at=LATER)
        return
    after = before.after(act, reason="now", by=Actor.OPERATOR, at=LATER)
    assert after.state is expected
    assert after.epoch == (8 if act is StateAct.RESET else 7)
    if expected is state:
        assert after is before  # who did it first stays on record
    else:
        assert (after.reason, after.by, after.since) == ("now", Actor.OPERATOR, LATER)


def test_from_a_stop_the_only_way_to_trading_is_reset_then_resume() -> None:
    assert TABLE[(H, StateAct.RESET)] is R
    assert [to for (state, _), to in TABLE.items() if state is H and to is A] == []
