"""What the engine does when the terminal speaks: sessions, epochs, heartbeats, missed events, its own stop."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.commands import ClosePosition, TradeCommand
from app.domain.events import EquitySampled, TerminalSessionLost, TerminalSessionOpened, TradeObserved
from app.domain.market import DealReason, Permissions
from app.domain.results import Outcome
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import Symbol, Ticket
from app.engine.broker import LinkState, TerminalSnapshot
from app.engine.ports import AlertReport, TradeEventReport
from tests.domain.making import deal, order, position
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import ACCOUNT, FakeBroker, Scripted
from tests.fakes.clock import START
from tests.fakes.journal_memory import MemoryJournal

A, R, H = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


def alerts(bench: Bench) -> list[str]:
    return [alert.code for alert in bench.link.of(AlertReport)]


# ------------------------------------------------------------------ sessions


async def test_a_session_is_journalled_and_reconciled_before_it_is_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        assert bench.broker.snapshots_taken == 1
        opened = [event for event in bench.journal.events if isinstance(event, TerminalSessionOpened)]
        assert [event.login for event in opened] == ["5000123"]
        bench.broker.go_down("cable pulled")
        assert not bench.core.ready
        await bench.settle()
        lost = [event for event in bench.journal.events if isinstance(event, TerminalSessionLost)]
        assert (lost[0].session_id, lost[0].reason) == (opened[0].session_id, "cable pulled")
        bench.broker.go_up()
        assert not bench.core.ready
        await bench.until(lambda: bench.core.ready)
        assert bench.broker.snapshots_taken == 2


async def test_a_session_that_is_lost_while_it_is_reconciled_is_never_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.go_down()
        subscribe = bench.broker.subscribe

        async def lost_meanwhile(symbols: object, min_interval: int) -> tuple[Symbol, ...]:
            bench.broker.subscribe = subscribe  # type: ignore[method-assign]
            bench.broker.go_down("again")
            return ()

        bench.broker.subscribe = lost_meanwhile  # type: ignore[method-assign]
        bench.broker.go_up()
        await bench.settle()
        assert not bench.core.ready
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        bench.broker.go_up()
        assert (await bench.result(exit_)).outcome is Outcome.EXECUTED


async def test_what_is_held_watched_and_known_is_streamed(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.positions = [position(4)]
    async with running(tmp_path, broker=broker) as bench:
        assert [set(symbols) for symbols, _ in bench.broker.subscriptions] == [{"EURUSD", "XAUUSD"}]
        assert set(bench.core.book.positions) == {4}


# ------------------------------------------------------------------ stops and epochs


async def test_a_terminal_that_stopped_itself_in_this_epoch_stops_us(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.go_down()
        bench.broker.stopped, bench.broker.stop_reason = True, "button"
        bench.broker.go_up()
        await bench.until(lambda: bench.core.latch.state is H)
        assert "button" in bench.core.latch.status.reason
        assert bench.core.latch.status.by is Actor.SYSTEM
        assert bench.broker.stopped


async def test_a_terminal_stopped_in_an_epoch_before_ours_is_let_go(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.stopped, broker.terminal_epoch = True, 4
    status = TradingStatus(R, 5, "reset", Actor.OPERATOR, START)
    async with running(tmp_path, broker=broker, status=status) as bench:
        assert (bench.core.latch.state, bench.broker.stopped, bench.broker.resumes) == (R, False, 1)


async def test_a_terminal_that_does_not_know_of_our_stop_is_told(tmp_path: Path) -> None:
    status = TradingStatus(H, 1, "an old stop", Actor.OPERATOR, START)
    async with running(tmp_path, status=status) as bench:
        await bench.until(lambda: bool(bench.channel.sent))
        assert bench.channel.sent[0]["reason"] == "an old stop"
        assert bench.channel.sent[0]["close_positions"] is False
        assert bench.broker.resumes == 0


async def test_a_terminal_of_a_later_epoch_stops_us_in_that_epoch(tmp_path: Path) -> None:
    broker = FakeBroker(up=False)
    broker.terminal_epoch = 9
    bench = Bench(tmp_path, broker=broker)
    bench.stop.start()
    await bench.engine.start()
    try:
        await bench.broker.running()
        bench.broker.go_up()
        assert (bench.core.latch.state, bench.core.latch.status.epoch, bench.broker.epoch) == (H, 9, 9)
        assert "epoch 9" in bench.core.latch.status.reason
        await bench.until(lambda: bool(bench.store.saved))
        assert (bench.store.saved[-1].state, bench.store.saved[-1].epoch) == (H, 9)
    finally:
        await bench.close()


async def test_another_refusal_is_an_alert_and_no_stop(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.refuse("SESSION_TAKEN", "another executor", None)
        bench.broker.refuse("EPOCH_TOO_LOW", "not above ours", 1)
        assert alerts(bench) == ["SESSION_TAKEN", "EPOCH_TOO_LOW"]
        assert bench.core.latch.state is A


@pytest.mark.parametrize(("by", "expected"), [("button", H), ("limit", H), ("executor", A)])
async def test_the_terminals_own_stop_is_ours_and_the_echo_of_ours_is_none(
    tmp_path: Path, by: str, expected: TradingState
) -> None:
    async with running(tmp_path) as bench:
        bench.broker.emit_stopped("because", by)
        assert bench.core.latch.state is expected


@pytest.mark.parametrize(("state", "expected"), [(A, H), (R, R), (H, H)])
async def test_a_heartbeat_of_a_stopped_terminal_stops_us_while_we_trade(
    tmp_path: Path, state: TradingState, expected: TradingState
) -> None:
    broker = FakeBroker()
    broker.stopped = state is H
    status = TradingStatus(state, 1, "x", Actor.OPERATOR, START)
    async with running(tmp_path, broker=broker, status=status) as bench:
        bench.broker.stopped = True
        bench.broker.emit_heartbeat()
        assert bench.core.latch.state is expected


# ------------------------------------------------------------------ heartbeats


async def test_an_event_that_is_missing_at_two_heartbeats_is_fetched_by_one_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        taken = bench.broker.snapshots_taken
        bench.broker.trade_seq += 1
        bench.broker.positions = [position(4)]
        bench.broker.emit_heartbeat()
        await bench.settle()
        assert bench.broker.snapshots_taken == taken  # it may only have been overtaken
        bench.broker.emit_heartbeat()
        await bench.settle()
        for _ in range(3):
            bench.broker.emit_heartbeat()
            await bench.settle()
        assert bench.broker.snapshots_taken == taken + 1
        assert set(bench.core.book.positions) == {4}


async def test_an_event_that_was_only_overtaken_costs_no_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        taken = bench.broker.snapshots_taken
        for _ in range(3):
            bench.broker.trade_seq += 1
            bench.broker.emit_heartbeat()
            bench.broker.trade_seq -= 1
            bench.broker.emit_trade_event("order_placed", order_ticket=Ticket(9), order=order(9))
            bench.broker.emit_heartbeat()
            await bench.settle()
        assert bench.broker.snapshots_taken == taken


async def test_a_gap_is_closed_by_a_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.positions = [position(4)]
        bench.broker.emit_gap()
        await bench.until(lambda: set(bench.core.book.positions) == {4})


async def test_each_change_of_permissions_is_told_once(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.permissions = Permissions(terminal_trade_allowed=False)
        for _ in range(3):
            bench.broker.emit_heartbeat()
        assert alerts(bench) == ["PERMISSION_LOST"]
        entry = await bench.send()
        assert (await bench.result(entry)).code == "TERMINAL_LOST"
        bench.broker.permissions = Permissions()
        for _ in range(3):
            bench.broker.emit_heartbeat()
        assert alerts(bench) == ["PERMISSION_LOST", "PERMISSION_BACK"]
        entry = await bench.send()
        assert (await bench.result(entry)).outcome is Outcome.EXECUTED


async def test_the_round_trip_is_that_of_the_last_answered_heartbeat(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.emit_heartbeat(0.004)
        bench.broker.emit_heartbeat(None)
        terminal = bench.engine.operator.snapshot().links[1]
        assert (terminal.name, terminal.state, terminal.latency_ms) == ("terminal", LinkState.UP, 4.0)


# ------------------------------------------------------------------ what happens at the broker


async def test_what_nobody_commanded_is_told_to_the_brain_and_written_down(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.positions = [position(4)]
    async with running(tmp_path, broker=broker) as bench:
        stopped_out = deal(
            31, position=Ticket(4), entry="out", reason=DealReason.STOP_LOSS, profit=Decimal("-12.5")
        )
        bench.broker.emit_trade_event("deal", deal=stopped_out, position_ticket=Ticket(4), position=None)
        bench.broker.emit_trade_event(
            "order_placed", command_id="cmd-9", order_ticket=Ticket(9), order=order(9)
        )
        assert bench.core.book.positions == {}
        assert set(bench.core.book.orders) == {9}
        told = bench.link.of(TradeEventReport)
        assert [report.event.kind for report in told] == ["deal"]
        await bench.pass_time(0.5)
        seen = [event for event in bench.journal.events if isinstance(event, TradeObserved)]
        assert [(event.kind, event.reason, event.profit) for event in seen] == [
            ("deal", "sl", Decimal("-12.5")),
            ("order_placed", None, None),
        ]


async def test_an_event_that_the_snapshot_had_already_is_nothing_new(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.trade_seq = 5
    async with running(tmp_path, broker=broker) as bench:
        bench.broker.trade_seq = 3
        bench.broker.emit_trade_event("order_placed", order_ticket=Ticket(9), order=order(9))
        assert bench.core.book.orders == {}
        assert bench.link.of(TradeEventReport) == []


async def under_way(bench: Bench) -> TradeCommand:
    bench.broker.default = Scripted.NEVER
    command = await bench.send(buy("0.10"))
    await bench.until(lambda: bool(bench.broker.sent))
    return command


async def test_an_answer_that_comes_after_its_events_changes_nothing_they_told(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await under_way(bench)
        execution = bench.broker.done(command)
        ticket = execution.position
        assert ticket is not None
        bench.broker.emit_trade_event("deal", position_ticket=ticket, position=position(int(ticket)))
        bench.broker.emit_trade_event("deal", position_ticket=ticket, position=None)
        bench.broker.resolve(command.command_id, execution)
        await bench.result(command)
        assert bench.core.book.positions == {}
        assert bench.core.gate.view(bench.command()).in_flight == ()


async def test_an_answer_that_comes_before_its_event_counts_as_under_way_until_then(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await under_way(bench)
        execution = bench.broker.done(command)
        bench.broker.resolve(command.command_id, execution)
        await bench.result(command)
        assert [one.volume for one in bench.core.gate.view(bench.command()).in_flight] == [command.volume]
        held = position(int(execution.position or 0))
        bench.broker.emit_trade_event("deal", position_ticket=execution.position, position=held)
        assert bench.core.gate.view(bench.command()).in_flight == ()
        assert set(bench.core.book.positions) == {execution.position}


async def test_an_answer_without_a_ticket_does_not_count_for_ever(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await under_way(bench)
        done = replace(bench.broker.done(command), position=None, order=None)
        bench.broker.resolve(command.command_id, done)
        await bench.result(command)
        assert bench.core.gate.view(bench.command()).in_flight == ()


async def test_a_deposit_moves_the_measure_of_the_day(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        richer = replace(ACCOUNT, equity=Decimal(12000), balance=Decimal(12000))
        bench.broker.account = richer
        bench.broker.emit_trade_event("balance", amount=Decimal(2000), account=richer)
        day = bench.core.gate.day
        assert day is not None
        assert (day.profit(richer), day.deposits, day.peak_equity) == (
            Decimal(0),
            Decimal(2000),
            Decimal(12000),
        )


async def test_a_heartbeat_before_the_reconciliation_does_not_begin_the_day_anew(tmp_path: Path) -> None:
    """Seen between processes: the first heartbeat overtook the journal's answer, and a restart forgave the day's loss."""
    sample = EquitySampled(
        START, ACCOUNT.login, START.date().isoformat(), Decimal(10000), Decimal(9000), Decimal(10000), Decimal(10500), Decimal(0)
    )  # fmt: skip
    journal = MemoryJournal()
    await journal.append(sample)
    bench = Bench(tmp_path, journal=journal)
    look = bench.broker.snapshot

    async def with_a_heartbeat_first() -> TerminalSnapshot:
        bench.broker.emit_heartbeat()
        return await look()

    bench.broker.snapshot = with_a_heartbeat_first  # type: ignore[method-assign]
    await bench.start()
    try:
        day = bench.core.gate.day
        assert day is not None
        assert (day.start_equity, day.peak_equity) == (Decimal(10000), Decimal(10500))
    finally:
        await bench.close()
