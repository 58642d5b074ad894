"""Who goes next: the queue against a model that is too simple to be wrong."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.command_record import CommandRecord
from app.domain.commands import Action, CancelOrder, CloseAll, ClosePosition, ModifyPosition, TradeCommand
from app.domain.values import CommandId, Priority, Ticket
from app.engine.command_queue import CommandQueue
from app.engine.desk import CommandInHand
from tests.engine.bench import buy
from tests.fakes.clock import START


def item(name: str, action: Action, priority: Priority = Priority.NORMAL) -> CommandInHand:
    command = TradeCommand(
        CommandId(name), action, START, START + timedelta(seconds=5), "print", priority=priority
    )
    return CommandInHand(CommandRecord(command.command_id, "print", command, START, 1), command, 0.0, 5.0)


def close(ticket: int) -> ClosePosition:
    return ClosePosition(Ticket(ticket))


class Model:
    """A list in order of arrival. The best rank wins, and lends its turn to the first of its ticket."""

    def __init__(self) -> None:
        self.waiting: list[CommandInHand] = []

    def pop(self) -> CommandInHand | None:
        if not self.waiting:
            return None
        best = min(
            self.waiting,
            key=lambda one: (one.command.priority, one.command.command_class.value, self.waiting.index(one)),
        )
        ticket = best.command.ticket
        first = best
        if ticket is not None:
            first = next(one for one in self.waiting if one.command.ticket == ticket)
        self.waiting.remove(first)
        return first


actions = st.one_of(
    st.just(buy()),
    st.just(CloseAll()),
    st.integers(1, 3).map(close),
    st.integers(1, 3).map(lambda ticket: CancelOrder(Ticket(ticket))),
    st.integers(1, 3).map(lambda ticket: ModifyPosition(Ticket(ticket), stop_loss=None)),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), actions, st.sampled_from(Priority)),
        st.tuples(st.just("pop")),
        st.tuples(st.just("remove"), st.integers(0, 40)),
        st.tuples(st.just("drain")),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_the_queue_does_what_the_model_does(script: list[tuple[Any, ...]]) -> None:
    queue, model, count = CommandQueue(1000), Model(), 0
    lines: dict[Ticket, deque[str]] = {}
    for step in script:
        if step[0] == "push":
            made = item(f"c{count}", step[1], step[2])
            count += 1
            queue.push(made)
            model.waiting.append(made)
            if made.command.ticket is not None:
                lines.setdefault(made.command.ticket, deque()).append(made.command_id)
        elif step[0] == "pop":
            popped = queue.pop()
            assert popped is model.pop()
            if popped is not None and popped.command.ticket is not None:
                # Never reordered against each other, whatever their priorities.
                assert lines[popped.command.ticket].popleft() == popped.command_id
        elif step[0] == "remove":
            name = CommandId(f"c{step[1]}")
            known = next((one for one in model.waiting if one.command_id == name), None)
            assert (name in queue) == (known is not None)
            assert queue.remove(name) is known
            if known is not None:
                model.waiting.remove(known)
                if known.command.ticket is not None:
                    lines[known.command.ticket].remove(name)
        else:
            assert list(queue.drain()) == model.waiting
            model.waiting.clear()
            lines.clear()
        assert len(queue) == len(model.waiting)
        assert list(queue) == model.waiting


def order_of(*items: CommandInHand) -> list[str]:
    queue = CommandQueue(100)
    for one in items:
        queue.push(one)
    out = []
    while (popped := queue.pop()) is not None:
        out.append(str(popped.command_id))
    return out


def test_by_priority_then_class_then_arrival() -> None:
    assert order_of(
        item("low-exit", close(1), Priority.LOW),
        item("entry-1", buy()),
        item("entry-2", buy()),
        item("amend", ModifyPosition(Ticket(2), stop_loss=None)),
        item("exit", close(3)),
        item("high-entry", buy(), Priority.HIGH),
        item("critical-entry", buy(), Priority.CRITICAL),
    ) == ["critical-entry", "high-entry", "exit", "amend", "entry-1", "entry-2", "low-exit"]


def test_an_urgent_command_lends_its_urgency_to_those_of_its_ticket_before_it() -> None:
    assert order_of(
        item("entry", buy(), Priority.HIGH),
        item("amend-7", ModifyPosition(Ticket(7), stop_loss=None), Priority.LOW),
        item("partial-7", close(7), Priority.LOW),
        item("close-7", close(7), Priority.CRITICAL),
    ) == ["amend-7", "partial-7", "close-7", "entry"]


def test_full_is_a_question_for_the_door_not_for_what_was_accepted_already() -> None:
    queue = CommandQueue(2)
    for number in range(3):
        assert queue.full == (number >= 2)
        queue.push(item(f"c{number}", buy()))
    assert len(queue) == 3
    assert queue.capacity == 2
