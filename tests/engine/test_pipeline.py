"""A command's way: what is on disk before what, and that nothing is sent twice, late or after a stop."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.commands import CancelOrder, ClosePosition, TradeCommand
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.results import Outcome
from app.domain.safety_view import Refusal
from app.domain.trading_state import Actor, TradingState
from app.domain.values import CommandId, Priority, Symbol, Ticket
from app.engine.ports import CommandAck, UnreadableCommand
from tests.engine.bench import buy, running
from tests.fakes.broker import Scripted

UNKNOWN = Execution(ExecutionState.UNKNOWN, 10012)


async def test_a_command_becomes_a_trade_and_the_brain_hears_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await bench.send(buy("0.10"))
        assert (await bench.ack(command)).status == "ACCEPTED"
        result = await bench.result(command)
        assert result.outcome is Outcome.EXECUTED
        assert result.volume == command.volume
        assert result.ticket is not None
        assert bench.broker.sent_ids == [command.command_id]


async def test_nothing_is_acknowledged_or_sent_before_it_is_on_disk(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.hold()
        command = await bench.send()
        await bench.settle()
        assert bench.acks(command) == []
        assert bench.broker.sent == []
        bench.journal.release()
        await bench.result(command)
        assert bench.broker.sent_ids == [command.command_id]


async def test_a_result_is_on_disk_before_it_is_reported(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        command = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        bench.journal.hold()
        bench.broker.resolve(command.command_id, bench.broker.done(command))
        await bench.settle()
        assert bench.results(command) == []
        bench.journal.release()
        assert (await bench.result(command)).outcome is Outcome.EXECUTED


async def test_what_expires_while_the_disk_is_slow_is_not_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.hold()
        command = await bench.send(expiry=1.0)
        bench.clock.advance(1.5)
        bench.journal.release()
        result = await bench.result(command)
        assert (result.outcome, result.code) == (Outcome.EXPIRED, "EXPIRED")
        assert bench.broker.sent == []


async def test_time_lost_between_the_last_look_and_the_frame_is_not_given_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is frozen there hands the frame over as if nothing had been: the terminal must be able to tell."""
    async with running(tmp_path) as bench:
        check = bench.core.gate.check

        def frozen(command: TradeCommand) -> Refusal | None:
            bench.clock.advance(1.0)
            return check(command)

        until = bench.clock.monotonic() + 1.5
        monkeypatch.setattr(bench.core.gate, "check", frozen)
        await bench.send(expiry=1.5)
        await bench.until(lambda: bool(bench.broker.sent))
        (sent,) = bench.broker.sent
        assert bench.clock.monotonic() > until
        assert sent.terms.counted_from is not None
        assert sent.terms.counted_from + sent.terms.ttl / 1000 == pytest.approx(until)


async def test_what_waits_too_long_in_the_queue_expires_in_time(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        first = await bench.send(expiry=60)
        await bench.until(lambda: bool(bench.broker.sent))
        second = await bench.send(expiry=1.0)
        await bench.pass_time(1.2)
        assert (await bench.result(second)).outcome is Outcome.EXPIRED
        assert bench.broker.sent_ids == [first.command_id]


async def test_a_stop_between_disk_and_send_holds_the_frame_back(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.hold()
        command = await bench.send()
        bench.stop.engage(reason="test", by=Actor.OPERATOR)
        bench.journal.release()
        assert (await bench.result(command)).outcome is Outcome.STOPPED
        assert bench.broker.sent == []


async def test_a_stop_drains_the_queue_and_leaves_what_is_under_way(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        under_way = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        waiting = [await bench.send() for _ in range(5)]
        await bench.engine.operator.stop(reason="test", by="somebody")
        for command in waiting:
            assert (await bench.result(command)).code == "STOPPED"
        assert bench.results(under_way) == []
        bench.broker.resolve(under_way.command_id, bench.broker.done(under_way))
        assert (await bench.result(under_way)).outcome is Outcome.EXECUTED
        assert bench.broker.sent_ids == [under_way.command_id]


async def test_the_same_command_again_gets_the_stored_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await bench.send()
        first = await bench.result(command)
        for _ in range(3):
            await bench.give(command)
        await bench.until(lambda: len(bench.acks(command)) == 4)
        assert [ack.status for ack in bench.acks(command)] == ["ACCEPTED", *["DUPLICATE"] * 3]
        assert bench.results(command) == [first] * 4
        assert bench.broker.sent_ids == [command.command_id]


async def test_the_same_id_with_other_content_is_a_conflict(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await bench.send()
        await bench.result(command)
        await bench.send(buy("0.90"), command_id=command.command_id, fingerprint="another")
        await bench.until(lambda: len(bench.acks(command)) == 2)
        assert bench.acks(command)[1].code == "ID_CONFLICT"
        assert bench.broker.sent_ids == [command.command_id]


async def test_a_duplicate_that_comes_before_the_first_is_on_disk_waits_for_it(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.hold()
        command = await bench.send()
        repeated = bench.core.keeper.spawn("repeat", bench.give(command))
        await bench.settle()
        assert bench.acks(command) == []
        bench.journal.release()
        await repeated
        await bench.until(lambda: len(bench.acks(command)) == 2)
        assert bench.broker.sent_ids == [command.command_id]


async def test_an_unknown_outcome_is_said_then_settled_and_never_sent_again(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = UNKNOWN
        command = await bench.send()
        assert (await bench.result(command)).outcome is Outcome.UNKNOWN
        done = Execution(ExecutionState.DONE, 10009, position=Ticket(77), volume=command.volume or Decimal(0))
        bench.broker.findings[command.command_id] = Finding("result", done, None, True, True)
        await bench.pass_time(0.4)
        final = await bench.result(command, 2)
        assert (final.outcome, final.reconciled, final.ticket) == (Outcome.EXECUTED, True, 77)
        assert bench.broker.sent_ids == [command.command_id]


async def test_entries_wait_on_a_symbol_in_doubt_and_exits_pass(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.answers.append(UNKNOWN)
        doubtful = await bench.send()
        await bench.result(doubtful)
        bench.broker.findings[doubtful.command_id] = Finding("sent", None, None, True, True)
        refused = await bench.send(buy("0.20"))
        assert (await bench.result(refused)).code == "SYMBOL_IN_DOUBT"
        elsewhere = await bench.send(buy("0.10", "XAUUSD"))
        assert (await bench.result(elsewhere)).outcome is Outcome.EXECUTED
        exit_ = await bench.send(CancelOrder(Ticket(5)))
        assert (await bench.result(exit_)).outcome is Outcome.EXECUTED


async def test_a_command_that_waits_can_be_withdrawn_and_one_under_way_cannot(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        under_way = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        waiting = await bench.send()
        listener = bench.link.listener
        assert listener is not None
        await listener.on_withdraw(waiting.command_id, bench.arrival())
        assert (await bench.result(waiting)).outcome is Outcome.WITHDRAWN
        await listener.on_withdraw(under_way.command_id, bench.arrival())
        await bench.until(lambda: bench.acks(under_way)[-1].status == "TOO_LATE")
        await listener.on_withdraw(CommandId("never-heard-of"), bench.arrival())
        assert bench.link.of(CommandAck)[-1].status == "TOO_LATE"


async def test_urgent_commands_overtake_but_never_on_the_same_ticket(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        blocker = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        entry = await bench.send(buy("0.11"))
        slow_cancel = await bench.send(CancelOrder(Ticket(9)), priority=Priority.LOW)
        urgent_cancel = await bench.send(CancelOrder(Ticket(9)), priority=Priority.CRITICAL)
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        for _ in range(5):
            waiting = bench.broker.waiting[0]
            bench.broker.resolve(waiting.command.command_id, bench.broker.done(waiting.command))
            await bench.settle()
        expected = [blocker, slow_cancel, urgent_cancel, exit_, entry]
        assert bench.broker.sent_ids == [command.command_id for command in expected]


async def test_a_lost_terminal_refuses_entries_and_keeps_exits_until_they_expire(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.go_down()
        entry = await bench.send()
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        await bench.pass_time(3.1)
        assert (await bench.result(entry)).code == "TERMINAL_LOST"
        assert bench.results(exit_) == []
        late = await bench.send()
        assert (await bench.result(late)).code == "TERMINAL_LOST"
        bench.broker.go_up()
        assert (await bench.result(exit_)).outcome is Outcome.EXECUTED


async def test_a_terminal_that_is_away_for_a_moment_costs_no_entry(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.go_down()
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        entry = await bench.send()
        short = await bench.send(expiry=0.5)
        await bench.pass_time(0.9)
        assert (await bench.result(short)).outcome is Outcome.EXPIRED
        assert bench.results(entry) == bench.results(exit_) == []
        bench.broker.go_up()
        assert (await bench.result(entry)).outcome is Outcome.EXECUTED
        assert bench.broker.sent_ids == [exit_.command_id, entry.command_id]


async def test_a_session_lost_in_mid_flight_is_unknown_then_settled_by_asking(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        command = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        bench.broker.go_down()
        assert (await bench.result(command)).outcome is Outcome.UNKNOWN
        bench.broker.findings[command.command_id] = Finding("never_seen", None, None, True, True)
        bench.broker.go_up()
        final = await bench.result(command, 2)
        assert (final.outcome, final.reconciled) == (Outcome.REJECTED, True)
        assert bench.broker.sent_ids == [command.command_id]


async def test_a_failed_journal_stops_trading_and_nothing_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.fail_next()
        command = await bench.send()
        await bench.settle()
        assert bench.broker.sent == []
        assert bench.acks(command) == []


async def test_unreadable_commands_are_journalled_and_turned_away(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        message = UnreadableCommand(
            CommandId("bad-1"), "f", "INVALID_COMMAND", "command.volume: must be greater than 0"
        )
        assert bench.link.listener is not None
        await bench.link.listener.on_command(message, bench.arrival())
        await bench.until(lambda: bool(bench.link.of(CommandAck)))
        ack = bench.link.of(CommandAck)[0]
        assert (ack.status, ack.code) == ("REJECTED", "INVALID_COMMAND")
        assert "command.volume" in (ack.message or "")
        record = await bench.journal.command(CommandId("bad-1"))
        assert record is not None
        assert record.final


async def test_the_first_command_on_a_symbol_learns_it(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.core.book.specs.pop(Symbol("XAUUSD"))
        command = await bench.send(buy("0.10", "XAUUSD"))
        assert (await bench.result(command)).outcome is Outcome.EXECUTED
        unknown = await bench.send(buy("0.10", "NOSUCH"))
        assert (await bench.result(unknown)).code == "SYMBOL_NOT_ALLOWED"


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
async def test_the_latch_holds_over_what_the_brain_asks(tmp_path: Path, state: TradingState) -> None:
    async with running(tmp_path) as bench:
        if state is TradingState.HALTED:
            await bench.engine.operator.stop(reason="t", by="t")
        else:
            await bench.engine.operator.pause(reason="t", by="t")
        entry = await bench.send()
        code = "HALTED" if state is TradingState.HALTED else "REDUCE_ONLY"
        assert (await bench.ack(entry)).code == code
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        expected = "REJECTED" if state is TradingState.HALTED else "ACCEPTED"
        assert (await bench.ack(exit_)).status == expected
