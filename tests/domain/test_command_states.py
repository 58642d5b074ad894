"""The table of a command's states: every listed arrow works, no other does, and the page about it is the table."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from app.domain import events as ev
from app.domain.command_record import CommandRecord
from app.domain.command_states import TRANSITIONS, CommandState, as_markdown, next_state
from app.domain.errors import IllegalTransition
from app.domain.results import CommandResult, Outcome
from app.domain.values import CommandId, Price
from tests.domain.making import NOW, command

EVENTS: tuple[type[ev.Event], ...] = get_args(ev.CommandEvent)
ID = CommandId("cmd-1")
RESULT = CommandResult(ID, Outcome.EXECUTED, 12)
S = CommandState

ARROWS = {
    (S.RECEIVED, ev.CommandTurnedAway): S.TURNED_AWAY,
    (S.RECEIVED, ev.CommandQueued): S.QUEUED,
    (S.QUEUED, ev.CommandRefused): S.REFUSED,
    (S.QUEUED, ev.CommandExpired): S.EXPIRED,
    (S.QUEUED, ev.CommandWithdrawn): S.WITHDRAWN,
    (S.QUEUED, ev.CommandStopped): S.STOPPED,
    (S.QUEUED, ev.CommandDispatched): S.DISPATCHED,
    (S.DISPATCHED, ev.CommandRefused): S.REFUSED,
    (S.DISPATCHED, ev.CommandExpired): S.EXPIRED,
    (S.DISPATCHED, ev.CommandWithdrawn): S.WITHDRAWN,
    (S.DISPATCHED, ev.CommandStopped): S.STOPPED,
    (S.DISPATCHED, ev.CommandExecuted): S.EXECUTED,
    (S.DISPATCHED, ev.CommandPartlyExecuted): S.PARTIAL,
    (S.DISPATCHED, ev.CommandRejected): S.REJECTED,
    (S.DISPATCHED, ev.OutcomeUnknown): S.UNKNOWN,
    (S.UNKNOWN, ev.CommandExecuted): S.EXECUTED,
    (S.UNKNOWN, ev.CommandPartlyExecuted): S.PARTIAL,
    (S.UNKNOWN, ev.CommandRejected): S.REJECTED,
    (S.UNKNOWN, ev.LeftToOperator): S.OPERATOR,
}
"""Written out a second time on purpose: a change of the table must be meant."""


def make(kind: type[ev.Event], command_id: CommandId = ID) -> ev.CommandEvent:
    if kind is ev.CommandReceived:
        return ev.CommandReceived(NOW, command_id, "print", command(), "{}", 1)
    if kind is ev.CommandQueued:
        return ev.CommandQueued(NOW, command_id)
    if kind is ev.CommandTurnedAway:
        return ev.CommandTurnedAway(NOW, command_id, "EXPIRED", "too late")
    if kind is ev.CommandDispatched:
        return ev.CommandDispatched(NOW, command_id, "mabcdefg", "session", Price("1.1"))
    return kind(NOW, command_id, RESULT)  # type: ignore[call-arg,return-value]


def record_in(state: CommandState) -> CommandRecord:
    return CommandRecord(ID, "print", command(), NOW, 1, state)


def fields_of(record: CommandRecord) -> tuple[object, ...]:
    return tuple(
        list(value) if isinstance(value, list) else value
        for value in (getattr(record, name) for name in CommandRecord.__slots__)
    )


@pytest.mark.parametrize("state", list(CommandState))
@pytest.mark.parametrize("kind", EVENTS)
def test_listed_arrows_work_and_all_others_raise_and_change_nothing(
    state: CommandState, kind: type[ev.Event]
) -> None:
    record = record_in(state)
    expected = ARROWS.get((state, kind))
    if expected is not None:
        assert next_state(state, kind) is expected
        record.apply(make(kind))
        assert record.state is expected
        return
    before = fields_of(record)
    with pytest.raises(IllegalTransition) as refused:
        record.apply(make(kind))
    assert state.name in str(refused.value)
    assert kind.__name__ in str(refused.value)
    assert fields_of(record) == before


def test_the_table_has_no_arrow_more_and_none_less() -> None:
    listed = {(state, event): to for state, row in TRANSITIONS.items() for event, to in row.items()}
    assert listed == ARROWS
    assert set(TRANSITIONS) == set(CommandState)


def test_final_states_have_no_way_out_and_every_other_state_has_a_way_to_one() -> None:
    final = {state for state in CommandState if state.final}
    assert final == {
        S.TURNED_AWAY, S.REFUSED, S.EXPIRED, S.WITHDRAWN, S.STOPPED, S.EXECUTED, S.PARTIAL, S.REJECTED, S.OPERATOR
    }  # fmt: skip
    for state in set(CommandState) - final:
        reached, left = {state}, [state]
        while left:
            for target in TRANSITIONS[left.pop()].values():
                if target not in reached:
                    reached.add(target)
                    left.append(target)
        assert reached & final


def test_nothing_leads_back_to_a_state_from_which_it_could_be_sent_again() -> None:
    for state in (S.DISPATCHED, S.UNKNOWN):
        assert not {S.RECEIVED, S.QUEUED, S.DISPATCHED} & set(TRANSITIONS[state].values())


def test_a_record_refuses_the_event_of_another_command() -> None:
    record = record_in(S.QUEUED)
    before = fields_of(record)
    with pytest.raises(IllegalTransition, match="cmd-2"):
        record.apply(make(ev.CommandDispatched, CommandId("cmd-2")))
    assert fields_of(record) == before


def test_a_record_is_the_sum_of_its_events() -> None:
    received = make(ev.CommandReceived)
    assert isinstance(received, ev.CommandReceived)
    record = CommandRecord.received(received)
    assert (record.state, record.epoch, record.received_at, record.final) == (S.RECEIVED, 1, NOW, False)
    record.apply(make(ev.CommandQueued))
    record.apply(make(ev.CommandDispatched))
    assert (record.tag, record.session, record.dispatched_at, record.intended_price) == (
        "mabcdefg",
        "session",
        NOW,
        Price("1.1"),
    )
    unknown = CommandResult(ID, Outcome.UNKNOWN, 1)
    record.apply(ev.OutcomeUnknown(NOW, ID, unknown))
    record.apply(make(ev.CommandExecuted))
    assert record.results == [unknown, RESULT]
    assert record.final


def test_a_command_that_was_turned_away_keeps_why_and_has_no_result() -> None:
    record = record_in(S.RECEIVED)
    record.apply(make(ev.CommandTurnedAway))
    assert record.turned_away is not None
    assert record.turned_away.code == "EXPIRED"
    assert record.results == []


def test_the_page_is_generated_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "command-states.md"
    assert page.read_text(encoding="utf-8") == as_markdown(), (
        "run: python -m app.domain.command_states > docs/command-states.md"
    )
