"""The latch in memory, and what the program starts with when store and journal agree, disagree, or one is lost."""

from __future__ import annotations

import threading

import pytest

from app.domain.errors import IllegalTransition
from app.domain.trading_state import Actor, StateAct, TradingState, TradingStatus
from app.engine.latch import Latch, starting_status
from app.engine.ports import LatchReading
from tests.fakes.clock import START

A, R, H = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


def status(state: TradingState, epoch: int = 3, reason: str = "before") -> TradingStatus:
    return TradingStatus(state, epoch, reason, Actor.OPERATOR, START)


def start(stored: TradingStatus | LatchReading | None, journalled: TradingStatus | None) -> TradingStatus:
    reading = stored if isinstance(stored, LatchReading) else LatchReading(stored, None)
    return starting_status(reading, journalled, START)


@pytest.mark.parametrize("state", [A, R, H])
def test_what_both_agree_on_is_taken_up_as_it_was(state: TradingState) -> None:
    assert start(status(state), status(state)) == status(state)


def test_the_very_first_start_is_active_in_epoch_1() -> None:
    first = start(LatchReading(None, None, first_use=True), None)
    assert (first.state, first.epoch, first.by) == (A, 1, Actor.SYSTEM)


@pytest.mark.parametrize("stored", [A, R])
@pytest.mark.parametrize("journalled", [A, R, H])
@pytest.mark.parametrize("epochs", [(3, 3), (3, 4), (4, 3)])
def test_whatever_they_disagree_on_starts_stopped_in_the_later_epoch(
    stored: TradingState, journalled: TradingState, epochs: tuple[int, int]
) -> None:
    began = start(status(stored, epochs[0]), status(journalled, epochs[1]))
    if stored is journalled and epochs[0] == epochs[1]:
        assert began.state is stored
        return
    assert (began.state, began.epoch, began.by) == (H, max(epochs), Actor.SYSTEM)
    assert stored.value in began.reason
    assert journalled.value in began.reason


@pytest.mark.parametrize("journalled", [None, status(A), status(R, 2), status(H, 3)])
def test_a_stored_stop_stands_whatever_the_journal_says(journalled: TradingStatus | None) -> None:
    assert start(status(H, 3, "the stop"), journalled) == status(H, 3, "the stop")


def test_a_stored_stop_of_an_older_store_does_not_use_an_epoch_again() -> None:
    began = start(status(H, 3, "the stop"), status(R, 5))
    assert (began.state, began.epoch, began.reason) == (H, 5, "the stop")


@pytest.mark.parametrize("state", [A, R])
def test_a_store_without_its_journal_starts_stopped(state: TradingState) -> None:
    began = start(status(state), None)
    assert (began.state, began.epoch) == (H, 3)
    assert "journal says nothing" in began.reason


@pytest.mark.parametrize("journalled", [None, status(A, 5), status(R, 5), status(H, 5)])
def test_a_damaged_or_missing_store_starts_stopped(journalled: TradingStatus | None) -> None:
    began = start(LatchReading(None, "the latch file is damaged (checksum)"), journalled)
    assert (began.state, began.epoch) == (H, 5 if journalled is not None else 1)
    assert "checksum" in began.reason


@pytest.mark.parametrize("state", [A, R, H])
def test_a_store_that_never_was_beside_a_journal_that_knows_better_starts_stopped(
    state: TradingState,
) -> None:
    began = start(LatchReading(None, None, first_use=True), status(state, 5))
    assert (began.state, began.epoch) == (H, 5)
    assert "missing" in began.reason


# ------------------------------------------------------------------ in memory


def test_a_stop_between_planning_and_adopting_wins() -> None:
    latch = Latch(status(H))
    planned = latch.planned(StateAct.RESET, reason="r", by=Actor.OPERATOR, at=START)
    assert (planned.state, planned.epoch) == (R, 4)
    before = latch.stops
    latch.engage(reason="meanwhile", by=Actor.BRAIN, at=START)
    assert not latch.adopt(planned, unless_stopped_since=before)
    assert latch.status == status(H)
    assert latch.adopt(planned, unless_stopped_since=latch.stops)
    assert latch.state is R


def test_what_the_table_does_not_list_cannot_be_planned() -> None:
    with pytest.raises(IllegalTransition):
        Latch(status(H)).planned(StateAct.RESUME, reason="r", by=Actor.OPERATOR, at=START)


def test_an_epoch_only_rises() -> None:
    latch = Latch(status(A, 3))
    latch.raise_epoch(2)
    assert latch.status.epoch == 3
    latch.raise_epoch(9)
    assert (latch.status.epoch, latch.state) == (9, A)


def test_a_stop_waits_for_a_frame_that_is_being_handed_over_and_for_nothing_else() -> None:
    latch = Latch(status(A))
    began, ended = threading.Event(), threading.Event()

    def press() -> None:
        began.set()
        latch.engage(reason="x", by=Actor.OPERATOR, at=START)
        ended.set()

    with latch.hold():
        presser = threading.Thread(target=press)
        presser.start()
        assert began.wait(10)
        assert latch.state is A  # reading needs no lock
        assert not ended.is_set()
    assert ended.wait(10)
    presser.join(10)
    assert latch.state is H
