"""What every Journal promises (app/engine/ports.py), checked on the SQLite journal and on the fake in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.journal_sqlite import SqliteJournal
from app.domain import events as ev
from app.domain.command_record import CommandRecord
from app.domain.command_states import CommandState
from app.domain.errors import JournalFailed
from app.domain.results import Outcome
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId, Ticket
from app.engine.ports import Journal
from tests.contract import journal_script as script
from tests.fakes.journal_memory import MemoryJournal


@pytest.fixture(params=["sqlite", "memory"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    failures: list[JournalFailed] = []
    made: Journal
    if request.param == "sqlite":
        made = await SqliteJournal.open(tmp_path / "journal.db", failures.append)
    else:
        made = MemoryJournal(failures.append)
    yield made
    await made.close()


async def test_a_new_journal_knows_nothing(journal: Journal) -> None:
    assert not journal.may_know(CommandId("a"))
    assert await journal.command(CommandId("a")) is None
    assert await journal.unfinished() == ()
    assert await journal.recent(10) == ()
    assert await journal.unacknowledged(0, 10) == ()
    assert await journal.last_equity("12345678") is None
    assert await journal.last_status() is None
    assert await journal.tripped_limits() == {}
    assert await journal.rows() == ()
    assert journal.backlog == 0
    assert journal.commit_latency is None


async def test_a_command_comes_back_as_its_events_made_it(journal: Journal) -> None:
    events = script.life("a", 3)
    expected = CommandRecord.received(events[0])  # type: ignore[arg-type]
    for event in events:
        await journal.append(event)
        if not isinstance(event, ev.CommandReceived):
            expected.apply(event)  # type: ignore[arg-type]
    found = await journal.command(CommandId("a"))
    assert found == expected
    assert found is not None
    assert found.state is CommandState.EXECUTED
    assert journal.commit_latency is not None


async def test_an_id_is_known_from_the_moment_of_the_call(journal: Journal) -> None:
    future = journal.append(script.received("a"))
    assert journal.may_know(CommandId("a"))
    assert not journal.may_know(CommandId("b"))
    await future
    assert journal.may_know(CommandId("a"))


async def test_a_question_sees_everything_appended_before_it(journal: Journal) -> None:
    futures = [journal.append(*script.life(f"c{number}")) for number in range(200)]
    assert journal.backlog > 0
    assert len(await journal.recent(500)) == 200
    assert all(future.done() for future in futures)
    assert journal.backlog == 0


async def test_outbox_ids_follow_the_events_that_carry_results(journal: Journal) -> None:
    assert await journal.append(script.received("a"), script.queued("a")) == ()
    assert await journal.append(script.dispatched("a")) == ()
    (first,) = await journal.append(script.unknown("a"))
    (second,) = await journal.append(script.executed("a"))
    both = await journal.append(
        script.received("b"), script.queued("b"), script.refused("b"), *script.life("c")
    )
    assert len(both) == 2
    assert first < second < both[0] < both[1]
    items = await journal.unacknowledged(0, 10)
    assert [(item.outbox_id, item.result.command_id, item.result.outcome) for item in items] == [
        (first, "a", Outcome.UNKNOWN),
        (second, "a", Outcome.EXECUTED),
        (both[0], "b", Outcome.REJECTED),
        (both[1], "c", Outcome.EXECUTED),
    ]
    assert items[0].result == script.unknown("a").result


async def test_confirmed_results_leave_the_outbox(journal: Journal) -> None:
    ids = [(await journal.append(*script.life(name)))[0] for name in "abcd"]
    await journal.append(ev.ResultsAcknowledged(script.at(9), (ids[0], ids[2])))
    assert [item.outbox_id for item in await journal.unacknowledged(0, 10)] == [ids[1], ids[3]]
    assert [item.outbox_id for item in await journal.unacknowledged(ids[1], 10)] == [ids[3]]
    assert [item.outbox_id for item in await journal.unacknowledged(0, 1)] == [ids[1]]
    # A second confirmation and one for a row that never was change nothing.
    await journal.append(ev.ResultsAcknowledged(script.at(9), (ids[0], 10**6)))
    assert [item.outbox_id for item in await journal.unacknowledged(0, 10)] == [ids[1], ids[3]]


async def test_unfinished_are_oldest_first_and_recent_newest_first(journal: Journal) -> None:
    for name in ("a", "b", "c", "d"):
        await journal.append(script.received(name), script.queued(name))
    await journal.append(script.dispatched("c"), script.executed("c"))
    await journal.append(script.dispatched("a"), script.executed("a"))
    await journal.append(script.dispatched("d"), script.unknown("d"))
    await journal.append(script.received("e"), script.turned_away("e"))
    unfinished = await journal.unfinished()
    assert [(record.command_id, record.state) for record in unfinished] == [
        ("b", CommandState.QUEUED),
        ("d", CommandState.UNKNOWN),
    ]
    assert [record.command_id for record in await journal.recent(10)] == ["e", "a", "c"]
    assert [record.command_id for record in await journal.recent(2)] == ["e", "a"]
    away = await journal.command(CommandId("e"))
    assert away is not None
    assert away.turned_away == script.turned_away("e")


async def test_a_command_that_nobody_could_read_is_kept_with_its_frame(journal: Journal) -> None:
    unreadable = ev.CommandReceived(
        script.at(0), CommandId("x"), "0" * 64, None, '{"volume":\u0000 "\U0001f600', 4
    )
    await journal.append(unreadable, script.turned_away("x"))
    record = await journal.command(CommandId("x"))
    assert record is not None
    assert (record.command, record.epoch, record.state) == (None, 4, CommandState.TURNED_AWAY)
    rows = await journal.rows(command_id=CommandId("x"))
    assert rows[0].payload["frame"] == unreadable.frame


async def test_the_last_trading_state_and_equity_and_limits(journal: Journal) -> None:
    for epoch, state in enumerate((TradingState.ACTIVE, TradingState.HALTED, TradingState.REDUCING), 1):
        await journal.append(
            ev.TradingStateChanged(script.at(epoch), state, epoch, f"because {epoch}", Actor.OPERATOR)
        )
    assert await journal.last_status() == TradingStatus(
        TradingState.REDUCING, 3, "because 3", Actor.OPERATOR, script.at(3)
    )
    await journal.append(
        script.equity("1", "1000.10", 1), script.equity("2", "5", 2), script.equity("1", "999.90", 3)
    )
    assert await journal.last_equity("1") == script.equity("1", "999.90", 3)
    assert await journal.last_equity("2") == script.equity("2", "5", 2)
    assert await journal.equity_since("1", script.at(0)) == (
        script.equity("1", "1000.10", 1),
        script.equity("1", "999.90", 3),
    )
    assert await journal.equity_since("1", script.at(2)) == (script.equity("1", "999.90", 3),)
    assert await journal.equity_since("3", script.at(0)) == ()
    await journal.append(
        ev.LimitTripped(script.at(4), "daily_loss", "lost 501"),
        ev.LimitTripped(script.at(4), "rate", "11 in a second"),
        ev.LimitReenabled(script.at(5), "daily_loss", "operator", "seen"),
        ev.LimitTripped(script.at(6), "daily_loss", "lost 600"),
        ev.LimitReenabled(script.at(7), "never tripped", "operator", ""),
    )
    assert dict(await journal.tripped_limits()) == {"rate": "11 in a second", "daily_loss": "lost 600"}


async def test_the_last_account_and_recent_alerts_are_found_again(journal: Journal) -> None:
    assert await journal.last_login() is None
    assert await journal.recent_alerts(10) == ()
    for number, login in enumerate(("111", "222")):
        await journal.append(
            ev.TerminalSessionOpened(script.at(number), f"s{number}", "b" * 32, login, "sim")
        )
    await journal.append(ev.BrainSessionOpened(script.at(3), "s_1", False, 0.5))
    assert await journal.last_login() == "222"
    told = [
        ev.AlertRaised(script.at(number), "critical", "CODE", "what", f"a-{number}") for number in range(4)
    ]
    seen = ev.AlertAcknowledged(script.at(5), "a-1", "ann", "on it")
    await journal.append(*told, seen)
    assert await journal.recent_alerts(10) == (*told, seen)
    assert await journal.recent_alerts(2) == (told[3], seen)


async def test_the_limits_in_force_are_those_of_the_last_record(journal: Journal) -> None:
    assert await journal.limits_in_force() is None
    for number, value in enumerate(("300", "off")):
        await journal.append(
            ev.LimitsInForce(
                script.at(number), (ev.LimitText("max_daily_loss", value), ev.LimitText("sessions", "always"))
            )
        )
    await journal.append(
        ev.LimitChanged(script.at(3), "max_daily_loss", "off", "200", False, "ann", "back to normal")
    )
    assert await journal.limits_in_force() == {"max_daily_loss": "off", "sessions": "always"}


async def test_an_acknowledged_outcome_is_remembered_until_it_is_settled(journal: Journal) -> None:
    for name in "abc":
        await journal.append(script.received(name), script.queued(name))
        await journal.append(script.dispatched(name), script.unknown(name))
    for name in "ac":
        await journal.append(ev.UnknownAcknowledged(script.at(1), CommandId(name), "ann", "looked"))
    assert await journal.taken_over() == {"a", "c"}
    await journal.append(script.executed("a"))
    assert await journal.taken_over() == {"c"}


async def test_the_receipt_of_the_stop_in_force_is_kept(journal: Journal) -> None:
    def state(state: TradingState) -> ev.TradingStateChanged:
        return ev.TradingStateChanged(script.at(0), state, 1, "x", Actor.OPERATOR)

    def step(how: str) -> ev.StopStepTaken:
        return ev.StopStepTaken(script.at(1), 1, "orders", how, False)

    assert await journal.stop_steps() == ()
    await journal.append(state(TradingState.HALTED), step("of an old stop"), state(TradingState.REDUCING))
    assert await journal.stop_steps() == ()
    await journal.append(step("latched"), state(TradingState.HALTED), step("one"))
    await journal.append(state(TradingState.HALTED), step("two"))  # a restart into the stop says it again
    assert [taken.how for taken in await journal.stop_steps()] == ["latched", "one", "two"]


async def test_whose_a_trade_was_is_known_by_tag_and_by_ticket(journal: Journal) -> None:
    for number, (name, strategy) in enumerate((("a", "alpha"), ("b", ""), ("c", "gamma"))):
        received = script.received(name, strategy=strategy)
        if received.command is not None and not strategy:
            received = replace(received, command=replace(received.command, strategy_id=None))
        done = script.executed(name)
        await journal.append(received, script.queued(name))
        await journal.append(
            replace(script.dispatched(name), tag=f"mtag{name}222"),
            replace(done, result=replace(done.result, ticket=Ticket(100 + number))),
        )
    by_tag, by_ticket = await journal.entries(
        {"mtaga222", "mtagb222", "mnothing"}, {Ticket(101), Ticket(102), Ticket(999)}
    )
    assert (by_tag["mtaga222"], by_ticket[Ticket(102)]) == ("alpha", "gamma")
    assert (by_tag["mtagb222"], by_ticket[Ticket(101)]) == (None, None)
    assert "mnothing" not in by_tag
    assert Ticket(999) not in by_ticket
    assert await journal.entries(set(), set()) == ({}, {})


async def test_rows_are_numbered_chained_and_paged(journal: Journal) -> None:
    await journal.append(*script.life("a"), *script.life("b"))
    rows = await journal.rows()
    assert [row.seq for row in rows] == list(range(1, 9))
    assert [row.kind for row in rows[:4]] == [type(event).__name__ for event in script.life("a")]
    assert len({row.hash for row in rows}) == 8
    assert all(len(row.hash) == 64 for row in rows)
    assert await journal.rows(after=3, limit=2) == rows[3:5]
    assert await journal.rows(command_id=CommandId("b")) == rows[4:]
    assert await journal.rows(after=6, command_id=CommandId("b")) == rows[6:]


async def test_futures_resolve_in_the_order_of_the_calls(journal: Journal) -> None:
    order: list[int] = []
    futures = []
    for number in range(100):
        future = journal.append(script.received(f"c{number}"))
        future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
        futures.append(future)
    await asyncio.gather(*futures)
    assert order == list(range(100))


async def test_a_caller_that_gave_up_takes_nothing_with_it(journal: Journal) -> None:
    journal.append(script.received("a")).cancel()
    await journal.append(script.received("b"))
    assert await journal.command(CommandId("a")) is not None


@pytest.mark.parametrize(
    "events",
    [
        (script.received("a"),),
        (script.queued("nobody"),),
        (script.executed("a"), script.executed("a")),
    ],
    ids=["received twice", "of no command", "finished already"],
)
async def test_what_cannot_follow_stops_the_journal(journal: Journal, events: tuple[ev.Event, ...]) -> None:
    await journal.append(script.received("a"), script.queued("a"), script.dispatched("a"))
    await journal.append(script.executed("a"))
    before = await journal.rows()
    with pytest.raises(JournalFailed):
        await journal.append(*events)
    with pytest.raises(JournalFailed):
        await journal.append(script.received("z"))
    assert await journal.rows() == before


async def test_a_closed_journal_takes_and_answers_nothing(journal: Journal) -> None:
    await journal.append(script.received("a"))
    await journal.close()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.append(script.received("b"))
    with pytest.raises(JournalFailed, match="closed"):
        await journal.rows()
    await journal.close()
