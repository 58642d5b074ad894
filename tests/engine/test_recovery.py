"""After a crash: what an earlier run left in each state, what becomes of it, and that nothing is ever sent again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from app.domain import events as ev
from app.domain.commands import Action, CancelOrder, ClosePosition, TradeCommand
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.results import CommandResult, Outcome
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId, Symbol, Ticket
from app.engine.outcomes import tag_of
from tests.domain.making import position
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import FakeBroker
from tests.fakes.clock import START
from tests.fakes.journal_memory import MemoryJournal

EXIT = ClosePosition(Ticket(4))
ID = CommandId("left-1")
HALTED = TradingStatus(TradingState.HALTED, 1, "stopped", Actor.OPERATOR, START)
LATER = TradingStatus(TradingState.ACTIVE, 2, "resumed", Actor.OPERATOR, START)
DONE = Execution(ExecutionState.DONE, 10009, position=Ticket(77), volume=Decimal("0.10"))


def left(action: Action, expiry: float = 60.0, command_id: CommandId = ID) -> TradeCommand:
    return TradeCommand(command_id, action, START, START + timedelta(seconds=expiry), "print")


async def journal_with(command: TradeCommand, state: str, *, epoch: int = 1) -> MemoryJournal:
    """What an earlier run wrote of `command` before it died."""
    journal = MemoryJournal()
    at = START - timedelta(seconds=1)
    name = command.command_id
    await journal.append(ev.CommandReceived(at, name, "print", command, "{}", epoch))
    if state != "RECEIVED":
        await journal.append(ev.CommandQueued(at, name))
    if state in ("DISPATCHED", "UNKNOWN"):
        await journal.append(ev.CommandDispatched(at, name, tag_of(name), "an old session", None))
    if state == "UNKNOWN":
        await journal.append(ev.OutcomeUnknown(at, name, CommandResult(name, Outcome.UNKNOWN, 5)))
    return journal


async def outcomes(bench: Bench, count: int = 1, name: CommandId = ID) -> list[Outcome]:
    wanted = replace(left(EXIT), command_id=name)
    await bench.result(wanted, count)
    return [result.outcome for result in bench.results(wanted)]


# ------------------------------------------------------------------ what never left


@pytest.mark.parametrize("state", ["RECEIVED", "QUEUED"])
async def test_an_exit_that_waited_runs_while_there_is_time(tmp_path: Path, state: str) -> None:
    journal = await journal_with(left(EXIT), state)
    async with running(tmp_path, journal=journal) as bench:
        assert await outcomes(bench) == [Outcome.EXECUTED]
        assert bench.broker.sent_ids == [ID]


@pytest.mark.parametrize("state", ["RECEIVED", "QUEUED"])
@pytest.mark.parametrize("action", [EXIT, buy()])
async def test_what_expired_meanwhile_is_said_to_be_expired(
    tmp_path: Path, state: str, action: Action
) -> None:
    journal = await journal_with(left(action, expiry=0.0), state)
    async with running(tmp_path, journal=journal) as bench:
        assert await outcomes(bench) == [Outcome.EXPIRED]
        assert bench.broker.sent == []


@pytest.mark.parametrize("state", ["RECEIVED", "QUEUED"])
async def test_an_entry_that_waited_runs_while_there_is_time(tmp_path: Path, state: str) -> None:
    journal = await journal_with(left(buy()), state)
    async with running(tmp_path, journal=journal) as bench:
        assert await outcomes(bench) == [Outcome.EXECUTED]
        assert bench.broker.sent_ids == [ID]


@pytest.mark.parametrize("state", ["RECEIVED", "QUEUED"])
@pytest.mark.parametrize("action", [EXIT, buy()])
@pytest.mark.parametrize("plain", [False, True])
async def test_a_clock_that_was_set_back_while_nothing_ran_gives_no_time(
    tmp_path: Path, state: str, action: Action, plain: bool
) -> None:
    """Found by tests/faults/pause_campaign.py, seed 77: queued, killed, clock set back, run seconds after its expiry."""
    bench = Bench(tmp_path, journal=await journal_with(left(action, expiry=3.0), state))
    bench.clock.jump(-3600.0)
    # Ten seconds have gone by for the brain, whose clock was not touched.
    bench.link.connect = partial(bench.link.connect, plain=plain, offset=3610.0)  # type: ignore[method-assign]
    await bench.start()
    try:
        assert await outcomes(bench) == [Outcome.EXPIRED]
        assert bench.broker.sent == []
    finally:
        await bench.close()


async def test_what_waited_waits_for_the_brains_clock_and_a_stop_still_drains_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, journal=await journal_with(left(EXIT), "QUEUED"))
    bench.stop.start()
    await bench.engine.start()
    try:
        await bench.until(lambda: bench.core.ready)
        assert (bench.core.processor.depth, bench.core.processor.idle) == (1, False)
        assert bench.broker.sent == []
        assert bench.core.processor.drain() == 1
        await bench.pass_time(0.1)
        await bench.link.connect()
        assert await outcomes(bench) == [Outcome.STOPPED]
        assert bench.core.processor.depth == 0
    finally:
        await bench.close()


@pytest.mark.parametrize("status", [HALTED, LATER], ids=["halted", "later epoch"])
@pytest.mark.parametrize("state", ["RECEIVED", "QUEUED"])
@pytest.mark.parametrize("action", [EXIT, buy()])
async def test_what_waited_before_a_stop_never_runs(
    tmp_path: Path, state: str, action: Action, status: TradingStatus
) -> None:
    journal = await journal_with(left(action), state)
    broker = FakeBroker()
    broker.stopped = status is HALTED
    async with running(tmp_path, journal=journal, status=status, broker=broker) as bench:
        result = await bench.result(left(EXIT))
        assert (result.outcome, result.code) == (Outcome.STOPPED, "STOPPED")
        assert bench.broker.sent == []


# ------------------------------------------------------------------ what may have been executed


@pytest.mark.parametrize("expiry", [60.0, 0.0])
@pytest.mark.parametrize("status", [None, HALTED, LATER], ids=["same", "halted", "later epoch"])
async def test_what_was_under_way_is_unknown_then_settled_and_never_sent_again(
    tmp_path: Path, expiry: float, status: TradingStatus | None
) -> None:
    journal = await journal_with(left(buy(), expiry), "DISPATCHED")
    broker = FakeBroker()
    broker.stopped = status is HALTED
    broker.findings[ID] = Finding("result", DONE, START, True, True)
    more = {"status": status} if status is not None else {}
    async with running(tmp_path, journal=journal, broker=broker, **more) as bench:
        assert await outcomes(bench, 2) == [Outcome.UNKNOWN, Outcome.EXECUTED]
        assert bench.results(left(EXIT))[1].reconciled
        assert bench.broker.sent == []
        assert bench.core.reconciliation.unknown == ()
        asked, hints = bench.broker.finds[0]
        assert (asked, hints.tag, hints.symbol) == (ID, tag_of(ID), Symbol("EURUSD"))


async def test_what_was_unknown_already_is_asked_again_and_reported_once_more(tmp_path: Path) -> None:
    journal = await journal_with(left(buy()), "UNKNOWN")
    broker = FakeBroker()
    broker.findings[ID] = Finding(
        "result", replace(DONE, state=ExecutionState.REJECTED, retcode=10019), START, True, True
    )
    async with running(tmp_path, journal=journal, broker=broker) as bench:
        # The first one was never confirmed, so it goes out again before the second.
        assert await outcomes(bench, 2) == [Outcome.UNKNOWN, Outcome.REJECTED]
        assert bench.broker.sent == []


@pytest.mark.parametrize("state", ["DISPATCHED", "UNKNOWN"])
async def test_until_it_is_settled_its_symbol_waits_and_its_lots_count(tmp_path: Path, state: str) -> None:
    journal = await journal_with(left(buy("0.40")), state)
    broker = FakeBroker()
    broker.findings[ID] = Finding("sent", None, START, True, True)
    async with running(tmp_path, journal=journal, broker=broker) as bench:
        entry = await bench.send()
        assert (await bench.result(entry)).code == "SYMBOL_IN_DOUBT"
        assert [one.volume for one in bench.core.gate.view(entry).in_flight] == [Decimal("0.40")]
        exit_ = await bench.send(CancelOrder(Ticket(9)))
        assert (await bench.result(exit_)).outcome is Outcome.EXECUTED
        bench.broker.findings[ID] = Finding("result", DONE, START, True, True)
        await bench.pass_time(6)
        assert (await outcomes(bench, 2))[-1] is Outcome.EXECUTED
        bench.price("EURUSD", "1.10000", "1.10010")
        after = await bench.send()
        assert (await bench.result(after)).outcome is Outcome.EXECUTED
        assert ID not in bench.broker.sent_ids


async def test_an_exit_of_unknown_outcome_puts_its_positions_symbol_in_doubt(tmp_path: Path) -> None:
    journal = await journal_with(left(EXIT), "DISPATCHED")
    broker = FakeBroker()
    broker.positions = [position(4)]
    broker.findings[ID] = Finding("sent", None, START, True, True)
    async with running(tmp_path, journal=journal, broker=broker) as bench:
        entry = await bench.send()
        assert (await bench.result(entry)).code == "SYMBOL_IN_DOUBT"


async def test_what_nobody_can_know_after_180_seconds_is_left_to_a_person(tmp_path: Path) -> None:
    journal = await journal_with(left(buy()), "DISPATCHED")
    broker = FakeBroker()
    broker.findings[ID] = Finding("sent", None, START, True, True)
    async with running(tmp_path, journal=journal, broker=broker) as bench:
        assert await outcomes(bench) == [Outcome.UNKNOWN]
        bench.core.outbox.stored([ID])
        asked = len(bench.broker.finds)
        await bench.pass_time(170, step=0.5)
        assert await outcomes(bench) == [Outcome.UNKNOWN]
        assert len(bench.broker.finds) - asked < 60  # asked with patience
        await bench.pass_time(20, step=0.5)
        assert await outcomes(bench, 2) == [Outcome.UNKNOWN, Outcome.OPERATOR]
        record = await bench.journal.command(ID)
        assert record is not None
        assert record.final
        assert bench.broker.sent == []


async def test_finished_commands_are_left_alone(tmp_path: Path) -> None:
    journal = await journal_with(left(buy()), "DISPATCHED")
    await journal.append(ev.CommandExecuted(START, ID, CommandResult(ID, Outcome.EXECUTED, 5)))
    async with running(tmp_path, journal=journal) as bench:
        assert await outcomes(bench) == [Outcome.EXECUTED]  # from the outbox
        assert (bench.broker.sent, bench.broker.finds) == ([], [])
