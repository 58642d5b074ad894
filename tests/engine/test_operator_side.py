"""What a person at the machine may do: stop, pause, the two steps of a reset, resume, settle, trade by hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.commands import CancelOrder, CloseAll, ClosePosition
from app.domain.events import TradingStateChanged, UnknownAcknowledged
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.results import Outcome
from app.domain.trading_state import Actor, TradingState
from app.domain.values import CommandId, Ticket
from app.engine.control import Refused
from app.engine.ports import TradingStateReport
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import FakeBroker, Scripted

A, R, H = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
UNKNOWN = Execution(ExecutionState.UNKNOWN, 10012)
SENT = Finding("sent", None, None, True, True)


async def stopped(bench: Bench) -> None:
    await bench.engine.operator.stop(reason="test", by="me")
    await bench.until(lambda: any(name == "stopped" for name, _ in bench.logged))


async def reset(bench: Bench, word: str = "harbor") -> None:
    await bench.engine.operator.reset_challenge()
    await bench.engine.operator.reset(word=word, by="me", note="looked")


async def refusal(doing: Any) -> str:
    with pytest.raises(Refused) as refused:
        await doing
    assert str(refused.value)
    return refused.value.code


async def test_stop_reset_resume_is_the_whole_way_round(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        receipt = await bench.engine.operator.stop(reason="test", by="me")
        assert (receipt.latched, receipt.epoch, receipt.reason, receipt.by) == (
            True,
            1,
            "me: test",
            "operator",
        )
        await bench.until(lambda: any(name == "stopped" for name, _ in bench.logged))
        assert bench.broker.stopped
        assert await refusal(bench.engine.operator.resume(by="me")) == "HALTED"
        await reset(bench)
        assert (bench.core.latch.state, bench.core.latch.status.epoch) == (R, 2)
        await bench.until(lambda: bench.core.ready)
        assert (bench.broker.stopped, bench.broker.resumes, bench.broker.epoch) == (False, 1, 2)
        paused = await bench.send()
        assert (await bench.ack(paused)).code == "REDUCE_ONLY"
        await bench.engine.operator.resume(by="me")
        assert bench.core.latch.state is A
        again = await bench.send()
        assert (await bench.result(again)).outcome is Outcome.EXECUTED
        assert [report.status.state for report in bench.link.of(TradingStateReport)] == [H, R, A]
        assert [status.state for status in bench.store.saved][-2:] == [R, A]
        assert bench.engine.operator.stop_receipt() is None


async def test_each_change_is_on_disk_before_it_is_in_force(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.hold()
        pausing = bench.core.keeper.spawn("pause", bench.engine.operator.pause(reason="x", by="me"))
        await bench.settle()
        assert bench.core.latch.state is A
        bench.journal.release()
        await pausing
        assert bench.core.latch.state is R
        assert bench.store.saved[-1].state is R
        last = [event for event in bench.journal.events if isinstance(event, TradingStateChanged)][-1]
        assert (last.state, last.reason, last.by) == (R, "me: x", Actor.OPERATOR)


async def test_pause_and_resume(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        operator = bench.engine.operator
        await operator.resume(by="me")
        assert bench.core.latch.state is A
        await operator.pause(reason="x", by="me")
        await operator.pause(reason="again", by="me")
        assert (bench.core.latch.state, bench.core.latch.status.reason) == (R, "me: x")
        bench.broker.go_down()
        assert await refusal(operator.resume(by="me")) == "NOT_READY"
        bench.broker.go_up()
        await bench.until(lambda: bench.core.ready)
        await operator.resume(by="me")
        assert bench.core.latch.state is A
        await stopped(bench)
        assert await refusal(operator.pause(reason="x", by="me")) == "HALTED"


# ------------------------------------------------------------------ reset


async def test_nothing_to_reset(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        assert await refusal(bench.engine.operator.reset_challenge()) == "NOT_HALTED"
        assert await refusal(bench.engine.operator.reset(word="harbor", by="me", note="")) == "NOT_HALTED"


async def test_the_word_must_be_asked_for_and_typed_back_in_time(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        operator = bench.engine.operator
        await stopped(bench)
        assert await refusal(operator.reset(word="harbor", by="me", note="")) == "WRONG_WORD"
        challenge = await operator.reset_challenge()
        assert challenge == {"word": "harbor", "unknown": [], "expires_in": 120}
        for word in ("", "harbour", "harbor x"):
            assert await refusal(operator.reset(word=word, by="me", note="")) == "WRONG_WORD"
        bench.clock.advance(120.1)
        assert await refusal(operator.reset(word="harbor", by="me", note="")) == "WRONG_WORD"
        assert bench.core.latch.state is H
        await operator.reset_challenge()
        bench.clock.advance(120.0)
        await operator.reset(word=" HARBOR ", by="me", note="")
        assert bench.core.latch.state is R
        await stopped(bench)
        assert await refusal(operator.reset(word="harbor", by="me", note="")) == "WRONG_WORD"  # used up


async def test_unknown_outcomes_must_be_acknowledged_one_by_one(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        operator = bench.engine.operator
        bench.broker.answers.extend([UNKNOWN, UNKNOWN])
        first, second = await bench.send(), await bench.send(buy("0.10", "XAUUSD"))
        for command in (first, second):
            bench.broker.findings[command.command_id] = SENT
            await bench.result(command)
        await stopped(bench)
        challenge = await operator.reset_challenge()
        assert challenge["unknown"] == [first.command_id, second.command_id]
        assert await refusal(operator.reset(word="harbor", by="me", note="")) == "UNKNOWN_OUTCOMES"
        await operator.acknowledge_unknown(first.command_id, by="me", note="looked")
        assert await refusal(operator.reset(word="harbor", by="me", note="")) == "UNKNOWN_OUTCOMES"
        await operator.acknowledge_unknown(second.command_id, by="me", note="looked")
        await operator.reset(word="harbor", by="me", note="")
        assert bench.core.latch.state is R
        noted = [event for event in bench.journal.events if isinstance(event, UnknownAcknowledged)]
        assert [event.command_id for event in noted] == [first.command_id, second.command_id]
        assert await refusal(operator.acknowledge_unknown(CommandId("no"), by="me", note="")) == "NOT_UNKNOWN"


async def test_nothing_may_be_under_way_and_no_stop_file_may_lie_there(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        command = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        await stopped(bench)
        await bench.engine.operator.reset_challenge()
        assert await refusal(bench.engine.operator.reset(word="harbor", by="me", note="")) == "NOT_READY"
        bench.broker.resolve(command.command_id, bench.broker.done(command))
        await bench.result(command)
        (tmp_path / "STOP").write_text("x", encoding="utf-8")
        assert await refusal(bench.engine.operator.reset(word="harbor", by="me", note="")) == "NOT_READY"
        (tmp_path / "STOP").unlink()
        await bench.engine.operator.reset(word="harbor", by="me", note="")
        assert bench.core.latch.state is R


async def test_a_stop_while_the_reset_is_being_written_wins(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await stopped(bench)
        await bench.engine.operator.reset_challenge()
        bench.journal.hold()
        resetting = bench.core.keeper.spawn(
            "reset", refusal(bench.engine.operator.reset(word="harbor", by="me", note=""))
        )
        await bench.settle()
        bench.stop.engage(reason="again", by=Actor.OPERATOR)
        bench.journal.release()
        assert await resetting == "HALTED"
        assert (bench.core.latch.state, bench.core.latch.status.epoch) == (H, 1)
        assert bench.broker.stopped


async def test_a_stop_while_the_reset_is_being_stored_wins_and_is_proved(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await stopped(bench)
        save = bench.store.save
        pressed: list[Any] = []

        def save_and_press(status: Any) -> None:
            if status.state is R and not pressed:
                pressed.append(bench.stop.engage(reason="again", by=Actor.OPERATOR))
            save(status)

        bench.store.save = save_and_press  # type: ignore[method-assign]
        assert await refusal(reset(bench)) == "HALTED"
        assert (bench.core.latch.state, bench.core.latch.status.reason) == (H, "again")
        await bench.settle(200)
        assert bench.broker.resumes == 0
        receipt = bench.engine.operator.stop_receipt()
        assert receipt is not None
        assert "terminal acknowledged" in receipt.proofs


async def test_a_store_that_cannot_be_written_keeps_trading_stopped(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await stopped(bench)
        bench.store.broken = True
        assert await refusal(reset(bench)) == "HALTED"
        assert bench.core.latch.state is H
        assert "latch store" in bench.core.latch.status.reason


async def test_nothing_from_before_a_stop_runs_after_it(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        under_way = await bench.send(expiry=60)
        await bench.until(lambda: bool(bench.broker.sent))
        waiting = [await bench.send(expiry=60) for _ in range(3)]
        await stopped(bench)
        bench.broker.resolve(under_way.command_id, bench.broker.done(under_way))
        await bench.result(under_way)
        await reset(bench)
        await bench.until(lambda: bench.core.ready)
        await bench.engine.operator.resume(by="me")
        for command in waiting:
            assert (await bench.result(command)).outcome is Outcome.STOPPED
            await bench.give(command)  # the brain asks again: the stored answer
        await bench.pass_time(1)
        assert bench.broker.sent_ids == [under_way.command_id]


# ------------------------------------------------------------------ trading by hand


async def test_by_hand_goes_the_same_way_and_the_brain_gets_no_result(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        result = await bench.engine.operator.operate(ClosePosition(Ticket(4)), by="me")
        assert result.outcome is Outcome.EXECUTED
        record = await bench.journal.command(result.command_id)
        assert record is not None
        assert record.final
        await bench.pass_time(0.5)
        assert await bench.journal.unacknowledged(0, 10) == ()
        assert all(report.command_id != result.command_id for report in _results(bench))


def _results(bench: Bench) -> list[Any]:
    return [message for message in bench.link.sent if hasattr(message, "command_id")]


async def test_while_stopped_only_exits_by_hand_pass(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await stopped(bench)
        for action in (CancelOrder(Ticket(5)), ClosePosition(Ticket(4)), CloseAll()):
            result = await bench.engine.operator.operate(action, by="me")
            assert result.outcome is Outcome.EXECUTED
        entry = await bench.engine.operator.operate(buy(), by="me")
        assert (entry.outcome, entry.code) == (Outcome.STOPPED, "STOPPED")
        assert len(bench.broker.sent) == 3


async def test_by_hand_goes_ahead_of_the_brains(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        first = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        await bench.send(ClosePosition(Ticket(4)))
        by_hand = bench.core.keeper.spawn("hand", bench.engine.operator.operate(CloseAll(), by="me"))
        await bench.settle()
        bench.broker.default = None
        bench.broker.resolve(first.command_id, bench.broker.done(first))
        await by_hand
        assert isinstance(bench.broker.sent[1].command.action, CloseAll)


async def test_retry_is_handed_to_the_link(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.engine.operator.retry_brain()
        assert bench.link.retries == 1


@pytest.mark.parametrize(
    ("seconds", "status"), [(-1.2, "REJECTED"), (-0.2, "REJECTED"), (0.0, "ACCEPTED"), (0.2, "ACCEPTED")]
)
async def test_what_was_made_before_the_reset_does_not_run_after_it(
    tmp_path: Path, seconds: float, status: str
) -> None:
    """It waited in the brain, or its first acknowledgement never came: to this engine it is new, to the trader it is old."""
    async with running(tmp_path) as bench:
        bench.stop.engage(reason="enough", by=Actor.OPERATOR)
        await bench.until(lambda: any(name == "stopped" for name, _ in bench.logged))
        await bench.pass_time(3.05)
        released = bench.clock.now()
        await reset(bench)
        await bench.until(lambda: bench.core.ready)
        await bench.pass_time(1.0)
        await bench.engine.operator.resume(by="me")
        ack = await bench.ack(await bench.send(issued_at=released + timedelta(seconds=seconds)))
        assert (ack.status, ack.code) == (status, "HALTED" if status == "REJECTED" else None)


async def test_a_timestamp_without_a_fraction_may_be_of_any_moment_of_its_second(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.stop.engage(reason="enough", by=Actor.OPERATOR)
        await bench.until(lambda: any(name == "stopped" for name, _ in bench.logged))
        await bench.pass_time(3.05)
        second = bench.clock.now().replace(microsecond=0)
        await reset(bench)
        await bench.until(lambda: bench.core.ready)
        await bench.engine.operator.resume(by="me")
        assert (await bench.ack(await bench.send(issued_at=second))).status == "ACCEPTED"
        before = second - timedelta(seconds=1)
        assert (await bench.ack(await bench.send(issued_at=before))).code == "HALTED"


async def test_an_acknowledgement_is_not_asked_for_again_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.answers.extend([UNKNOWN, UNKNOWN])
        first, second = await bench.send(), await bench.send(buy(symbol="XAUUSD"))
        for command in (first, second):
            bench.broker.findings[command.command_id] = SENT
            await bench.result(command)
        await stopped(bench)
        await bench.engine.operator.acknowledge_unknown(first.command_id, by="me", note="it is not there")
        journal, status = bench.journal, bench.core.latch.status
        findings = bench.broker.findings
    journal.closed = False
    broker = FakeBroker()
    broker.findings = findings
    async with running(tmp_path, journal=journal, status=status, broker=broker) as bench:
        operator = bench.engine.operator
        assert set(bench.core.reconciliation.unknown) == {first.command_id, second.command_id}
        assert (await operator.reset_challenge())["unknown"] == [second.command_id]
        assert await refusal(operator.reset(word="harbor", by="me", note="")) == "UNKNOWN_OUTCOMES"
        await operator.acknowledge_unknown(second.command_id, by="me", note="closed by hand")
        await reset(bench)
        assert bench.core.latch.state is R


async def test_an_acknowledgement_that_is_not_on_disk_does_not_count(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.answers.append(UNKNOWN)
        command = await bench.send()
        bench.broker.findings[command.command_id] = SENT
        await bench.result(command)
        await stopped(bench)
        bench.journal.hold()
        asking = bench.core.keeper.spawn(
            "ack", bench.engine.operator.acknowledge_unknown(command.command_id, by="me", note="")
        )
        await bench.settle()
        assert bench.core.reconciliation.unacknowledged_unknown == (command.command_id,)
        bench.journal.release()
        await asking
        assert bench.core.reconciliation.unacknowledged_unknown == ()
