"""Results on their way to the brain: at least once, in order, and not again once they are confirmed."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from app.domain import events as ev
from app.domain.commands import TradeCommand
from app.domain.results import CommandResult, Outcome
from app.domain.values import CommandId
from app.engine.outbox import Outbox
from app.engine.ports import ResultReport
from tests.engine.bench import buy
from tests.fakes.brain_link import FakeBrainLink
from tests.fakes.clock import START, FakeClock
from tests.fakes.journal_memory import MemoryJournal


class Desk:
    """An outbox, its journal and its link; `finish` does what the processor does."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal()
        self.link = FakeBrainLink()
        self.link.connected = True
        self.outbox = Outbox(self.journal, self.clock)
        self.outbox.attach(self.link)
        self._numbers = itertools.count(1)

    async def finish(self, name: str | None = None, *outcomes: Outcome) -> str:
        """Journal a command with its results, each posted once it is on disk."""
        command_id = CommandId(name or f"c{next(self._numbers)}")
        if not self.journal.may_know(command_id):
            command = TradeCommand(command_id, buy(), START, START + timedelta(seconds=5), "print")
            await self.journal.append(
                ev.CommandReceived(START, command_id, "print", command, "{}", 1),
                ev.CommandQueued(START, command_id),
                ev.CommandDispatched(START, command_id, "tag", "session", None),
            )
        for outcome in outcomes or (Outcome.EXECUTED,):
            result = CommandResult(command_id, outcome, 1)
            kind: Any = ev.OutcomeUnknown if outcome is Outcome.UNKNOWN else ev.CommandExecuted
            (number,) = await self.journal.append(kind(START, command_id, result))
            self.outbox.post(number, START, result)
        return str(command_id)

    def sent(self) -> list[tuple[str, str]]:
        reports = self.link.of(ResultReport)
        return [(str(report.result.command_id), report.result.outcome.value) for report in reports]

    def ids(self) -> list[str]:
        return [name for name, _ in self.sent()]

    async def reconnect(self) -> None:
        self.outbox.disconnected()
        self.link.sent.clear()
        self.link.connected = True
        await self.outbox.catch_up()


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_nothing_goes_out_before_what_is_older_has_gone(desk: Desk) -> None:
    old = [await desk.finish() for _ in range(3)]
    assert desk.sent() == []
    await desk.outbox.catch_up()
    new = [await desk.finish() for _ in range(2)]
    assert desk.ids() == [*old, *new]


async def test_more_than_a_page_is_caught_up_with_in_order(desk: Desk) -> None:
    old = [await desk.finish() for _ in range(401)]
    await desk.outbox.catch_up()
    assert desk.ids() == old


async def test_what_finishes_while_catching_up_is_sent_once_and_in_its_place(desk: Desk) -> None:
    old = [await desk.finish() for _ in range(3)]
    desk.journal.hold()
    catching_up = desk.outbox.catch_up()
    step = catching_up.__await__()
    next(step)  # it waits for the journal now
    desk.journal.release()
    late = await desk.finish()
    for _ in step:
        pass
    await desk.finish("after")
    assert desk.ids() == [*old, late, "after"]


async def test_confirmed_results_are_not_sent_again(desk: Desk) -> None:
    await desk.outbox.catch_up()
    names = [await desk.finish() for _ in range(3)]
    desk.outbox.stored([CommandId(names[0]), CommandId(names[2])])
    await desk.outbox.housekeeping()
    await desk.reconnect()
    assert desk.ids() == [names[1]]


async def test_a_confirmation_counts_before_it_is_written(desk: Desk) -> None:
    await desk.outbox.catch_up()
    names = [await desk.finish() for _ in range(2)]
    desk.outbox.stored([CommandId(names[0])])
    await desk.reconnect()
    assert desk.ids() == [names[1]]
    await desk.outbox.housekeeping()
    acknowledged = [event for event in desk.journal.events if isinstance(event, ev.ResultsAcknowledged)]
    assert [event.outbox_ids for event in acknowledged] == [(1,)]


async def test_an_acknowledgement_confirms_the_oldest_result_of_its_command_only(desk: Desk) -> None:
    await desk.outbox.catch_up()
    name = await desk.finish(None, Outcome.UNKNOWN, Outcome.EXECUTED)
    desk.outbox.stored([CommandId(name)])
    await desk.outbox.housekeeping()
    await desk.reconnect()
    assert desk.sent() == [(name, "EXECUTED")]
    desk.outbox.stored([CommandId(name)])
    await desk.outbox.housekeeping()
    await desk.reconnect()
    assert desk.sent() == []


async def test_the_word_for_a_repeated_result_does_not_confirm_a_later_one(desk: Desk) -> None:
    await desk.outbox.catch_up()
    name = await desk.finish("c", Outcome.UNKNOWN)
    desk.outbox.repeat(CommandResult(CommandId(name), Outcome.UNKNOWN, 1))
    desk.outbox.stored([CommandId(name)])
    await desk.finish("c", Outcome.EXECUTED)
    desk.outbox.stored([CommandId(name)])  # the brain's word for the repetition
    await desk.outbox.housekeeping()
    await desk.reconnect()
    assert desk.sent() == [(name, "EXECUTED")]


async def test_words_for_what_was_never_sent_here_confirm_nothing(desk: Desk) -> None:
    name = await desk.finish()
    desk.outbox.stored([CommandId(name), CommandId("never")])
    desk.outbox.delivered([1, 2, 99, 0, -1])
    await desk.outbox.housekeeping()
    await desk.reconnect()
    assert desk.ids() == [name]


async def test_in_plain_mode_a_delivered_frame_is_confirmed(desk: Desk) -> None:
    await desk.outbox.catch_up()
    names = [await desk.finish() for _ in range(3)]
    desk.outbox.delivered([report.outbox_id for report in desk.link.of(ResultReport)[:2]])
    await desk.outbox.housekeeping()
    await desk.reconnect()
    assert desk.ids() == names[2:]


async def test_after_30_seconds_without_a_word_all_that_is_open_goes_out_again(desk: Desk) -> None:
    await desk.outbox.catch_up()
    names = [await desk.finish() for _ in range(3)]
    desk.outbox.stored([CommandId(names[1])])
    desk.clock.advance(30.0)
    await desk.outbox.housekeeping()
    assert desk.ids() == names
    desk.clock.advance(0.1)
    await desk.outbox.housekeeping()
    assert desk.ids() == [*names, names[0], names[2]]
    await desk.outbox.housekeeping()
    assert len(desk.ids()) == 5


async def test_a_link_that_takes_nothing_more_ends_the_catching_up(desk: Desk) -> None:
    names = [await desk.finish() for _ in range(3)]
    desk.link.connected = False
    await desk.outbox.catch_up()
    desk.link.connected = True
    await desk.finish("later")
    assert desk.sent() == []  # a later one must not overtake those
    await desk.reconnect()
    assert desk.ids() == [*names, "later"]


async def test_an_operators_own_result_is_nobodys_business_at_the_brain(desk: Desk) -> None:
    await desk.finish()
    desk.outbox.nobody_waits(1)
    await desk.reconnect()
    assert desk.sent() == []


async def test_the_end_writes_the_last_confirmations_and_survives_a_dead_journal(desk: Desk) -> None:
    await desk.outbox.catch_up()
    name = await desk.finish()
    desk.outbox.stored([CommandId(name)])
    await desk.outbox.flush()
    assert isinstance(desk.journal.events[-1], ev.ResultsAcknowledged)
    other = await desk.finish()
    desk.outbox.stored([CommandId(other)])
    desk.journal.fail_next()
    await desk.outbox.flush()
    assert not isinstance(desk.journal.events[-1], ev.ResultsAcknowledged)
