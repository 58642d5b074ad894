"""Faults that the deterministic simulation (tests/faults/sim_*) has found, each as the smallest story that shows it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from app.domain import events as ev
from app.domain.command_record import CommandRecord
from app.domain.command_states import CommandState
from app.domain.commands import ClosePosition, TradeCommand
from app.domain.execution import Finding
from app.domain.reconcile import AskAgain, NobodyKnows, settle
from app.domain.results import Outcome
from app.domain.trading_state import Actor
from app.domain.values import CommandId, Ticket
from app.engine.ports import StateReport
from tests.engine.bench import Bench, running
from tests.fakes.clock import START
from tests.fakes.journal_memory import MemoryJournal

EXIT = ClosePosition(Ticket(4))


def exit_command(expiry: float) -> TradeCommand:
    return TradeCommand(CommandId("left-1"), EXIT, START, START + timedelta(seconds=expiry), "print")


async def _waited(*, expiry: float, received: float = -1.0, ahead: float = 0.0) -> MemoryJournal:
    """A journal in which an earlier run left one exit waiting; `received` in seconds from START."""
    journal, command = MemoryJournal(), exit_command(expiry)
    at = START + timedelta(seconds=received)
    await journal.append(
        ev.CommandReceived(at, command.command_id, "print", command, "{}", 1, ahead),
        ev.CommandQueued(at, command.command_id),
    )
    return journal


async def _outcome(bench: Bench) -> Outcome:
    return (await bench.result(exit_command(1))).outcome


async def test_after_a_restart_expiry_is_still_counted_on_the_brains_clock(tmp_path: Path) -> None:
    journal = await _waited(expiry=1.0, ahead=1.5)
    async with running(tmp_path, journal=journal) as bench:
        assert await _outcome(bench) is Outcome.EXPIRED
        assert bench.broker.sent == []


async def test_a_brain_that_is_behind_gets_its_full_time_over_a_restart(tmp_path: Path) -> None:
    journal = await _waited(expiry=0.2, ahead=-1.5)
    async with running(tmp_path, journal=journal) as bench:
        assert await _outcome(bench) is Outcome.EXECUTED


async def test_a_wall_clock_set_back_during_a_restart_revives_nothing(tmp_path: Path) -> None:
    journal = await _waited(expiry=60.0, received=3600.0)
    async with running(tmp_path, journal=journal) as bench:
        assert await _outcome(bench) is Outcome.EXPIRED
        assert bench.broker.sent == []


async def test_the_brains_clock_at_arrival_is_journalled(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = bench.command()
        await bench.give(command, brain_now=bench.clock.now() + timedelta(seconds=0.5))
        await bench.ack(command)
        record = await bench.journal.command(command.command_id)
        assert record is not None
        assert record.ahead == 0.5


async def test_a_known_command_gets_no_answer_that_a_failed_journal_does_not_hold(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.core.links.terminal_up = False  # it waits in the queue
        command = await bench.send(EXIT)
        await bench.ack(command)
        bench.journal.fail_next()
        await bench.engine.operator.stop(reason="panic", by="test")
        await bench.until(lambda: bench.core.desk.get(command.command_id) is not None)
        await bench.until(lambda: bench.core.processor.depth == 0)
        await bench.settle()
        held = bench.core.desk.get(command.command_id)
        assert held is not None
        assert held.record.state is CommandState.STOPPED
        await bench.give(command)
        await bench.settle()
        assert [ack.status for ack in bench.acks(command)] == ["ACCEPTED"]
        assert bench.results(command) == []


async def test_state_tells_no_result_that_is_not_on_disk(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.core.links.terminal_up = False
        command = await bench.send(EXIT)
        await bench.ack(command)
        bench.journal.fail_next()
        await bench.engine.operator.stop(reason="panic", by="test")
        await bench.until(lambda: bench.core.processor.depth == 0)
        await bench.settle()
        assert bench.link.listener is not None
        await bench.link.listener.on_state_wanted("r1")
        report = bench.link.of(StateReport)[-1]
        assert [brief.result for brief in report.recent] == [None]


async def test_a_stop_also_drains_what_a_person_asked_for_and_the_disk_has_not_taken_yet(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as bench:
        bench.core.links.terminal_up = False
        bench.journal.hold()
        asked = bench.core.keeper.spawn("by hand", bench.engine.operator.operate(EXIT, by="test"))
        await bench.settle()
        assert not bench.core.processor.idle
        bench.core.stop.engage(reason="panic", by=Actor.OPERATOR)
        await bench.until(lambda: bench.core.processor.idle)
        bench.journal.release()
        assert (await asked).outcome is Outcome.STOPPED
        assert bench.broker.sent == []


def _absent(now: float, watched: float) -> object:
    record = CommandRecord(
        CommandId("left-1"), "print", exit_command(1), START, 1, CommandState.UNKNOWN, "mabcdefg", "s", START
    )
    return settle(
        record,
        Finding("sent", None, START, True, True),
        session="s",
        expired=True,
        now=START + timedelta(seconds=now),
        watched=timedelta(seconds=watched),
    )


def test_a_wall_clock_set_back_does_not_keep_an_unknown_outcome_open() -> None:
    assert isinstance(_absent(-3600, 179), AskAgain)
    assert isinstance(_absent(-3600, 180), NobodyKnows)
    assert isinstance(_absent(180, 0), NobodyKnows)
