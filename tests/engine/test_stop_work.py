"""After a stop: our orders cancelled, our positions closed if ordered, both proved; refusals, a lost link, a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.commands import CancelOrder, ClosePosition, PlaceOrder, TradeCommand
from app.domain.events import StopStepTaken
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import OrderKind, Price, Symbol, Ticket, Volume
from app.engine.broker import DispatchTerms
from app.engine.snapshots import StopReceipt
from tests.domain.making import order, position
from tests.engine.bench import Bench, running
from tests.fakes.broker import FakeBroker, Scripted

DONE = Execution(ExecutionState.DONE, 10009)
NO_MONEY = Execution(ExecutionState.REJECTED, 10019, message="no money")
REQUOTE = Execution(ExecutionState.REJECTED, 10004, message="requote")
SHUT = Execution(ExecutionState.REJECTED, 10018, message="market closed")
Reply = Callable[[Ticket, int], Execution]


class Market:
    """What the broker does with cancels and closes; `reply` says how it takes the n-th request for a ticket."""

    def __init__(self, broker: FakeBroker, reply: Reply | None = None) -> None:
        self.broker = broker
        self.reply = reply or (lambda _ticket, _number: DONE)
        self.asked: list[tuple[str, Ticket]] = []
        broker.default = self._answer

    def _answer(self, command: TradeCommand, _terms: DispatchTerms) -> Execution:
        action = command.action
        if not isinstance(action, CancelOrder | ClosePosition):
            return self.broker.done(command)
        kind = "cancel" if isinstance(action, CancelOrder) else "close"
        self.asked.append((kind, action.ticket))
        answer = self.reply(action.ticket, self.asked.count((kind, action.ticket)))
        if answer.state is ExecutionState.DONE:
            self.take(action.ticket)
        return answer

    def take(self, ticket: Ticket) -> None:
        self.broker.orders = [item for item in self.broker.orders if item.ticket != ticket]
        self.broker.positions = [item for item in self.broker.positions if item.ticket != ticket]


def holding(bench: Bench, *, ours: tuple[int, ...], foreign: tuple[int, ...] = ()) -> None:
    """Tickets below 100 are pending orders, the others positions."""
    tickets = (*ours, *foreign)
    bench.broker.orders = [order(ticket) for ticket in tickets if ticket < 100]
    bench.broker.positions = [position(ticket) for ticket in tickets if ticket >= 100]
    bench.core.gate.strategies.own(None, *(Ticket(ticket) for ticket in ours))


async def press(bench: Bench, seconds: float = 1.0) -> StopReceipt:
    await bench.engine.operator.stop(reason="test", by="me")
    await bench.until(lambda: any(name == "stopped" for name, _ in bench.logged))
    return await later(bench, seconds)


async def later(bench: Bench, seconds: float) -> StopReceipt:
    await bench.pass_time(seconds, step=0.05 if seconds < 20 else 1.0)
    receipt = bench.stop.receipt()
    assert receipt is not None
    return receipt


def proof(receipt: StopReceipt, word: str) -> str:
    return next(line for line in receipt.proofs if word in line)


async def test_our_orders_are_cancelled_and_everything_else_is_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        market = Market(bench.broker)
        holding(bench, ours=(9, 10, 107), foreign=(11, 108))
        receipt = await press(bench)
        assert sorted(market.asked) == [("cancel", 9), ("cancel", 10)]
        assert [item.ticket for item in bench.broker.orders] == [11]
        assert len(bench.broker.positions) == 2
        assert "orders cancelled 2/2 (1 of others left alone)" in receipt.proofs
        assert "open positions: 2" in receipt.proofs
        assert (await later(bench, 3.0)).todo == ()


async def test_positions_are_closed_if_so_ordered_and_only_after_the_orders(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.stop.close_by_default(closing=True)
        market = Market(bench.broker)
        holding(bench, ours=(9, 107, 108), foreign=(109,))
        receipt = await press(bench, 3.0)
        assert market.asked[0] == ("cancel", 9)
        assert sorted(market.asked[1:]) == [("close", 107), ("close", 108)]
        assert [item.ticket for item in bench.broker.positions] == [109]
        assert proof(receipt, "no position of ours").endswith("(1 of others left alone)")
        assert receipt.todo == ()


async def test_flat_is_said_only_when_the_terminals_own_list_shows_it(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.stop.close_by_default(closing=True)
        market = Market(bench.broker)
        market.take = lambda _ticket: None  # type: ignore[method-assign]
        holding(bench, ours=(107,))
        receipt = await press(bench, 3.0)
        assert "done; the terminal does not show it yet" in proof(receipt, "positions closed 0/1")
        assert (
            "close position #107 (BUY 0.10 EURUSD) in the terminal or by your broker's phone"
            in receipt.todo[0]
        )
        bench.broker.positions = []
        receipt = await later(bench, 61.0)
        assert proof(receipt, "no position of ours")
        assert receipt.todo == ()


async def test_a_refused_cancel_is_tried_a_bounded_number_of_times_and_then_a_persons(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        market = Market(bench.broker, lambda ticket, _number: DONE if ticket == 9 else SHUT)
        holding(bench, ours=(9, 10))
        receipt = await press(bench, 2.5)
        assert proof(receipt, "orders cancelled 1/2") == (
            "orders cancelled 1/2; pending orders left: #10 refused 10018 TRADE_RETCODE_MARKET_CLOSED: market closed"
        )
        assert receipt.todo == (
            "cancel order #10 (BUY_LIMIT 0.10 EURUSD) in the terminal or by your broker's phone: "
            "refused 10018 TRADE_RETCODE_MARKET_CLOSED: market closed",
        )
        refused = next(step for step in receipt.steps if step.what == "order 10")
        assert (refused.ok, "10018" in refused.how) == (False, True)
        assert not any(line.startswith("order #") for line in receipt.proofs), "a refusal proves nothing"
        await bench.pass_time(400.0, step=1.0)
        assert market.asked.count(("cancel", Ticket(10))) == 8


@pytest.mark.parametrize("first", [REQUOTE, NO_MONEY])
async def test_a_close_that_is_refused_is_repeated_until_it_is_done(tmp_path: Path, first: Execution) -> None:
    async with running(tmp_path) as bench:
        bench.stop.close_by_default(closing=True)
        market = Market(bench.broker, lambda _ticket, number: first if number < 12 else DONE)
        holding(bench, ours=(107,))
        receipt = await press(bench, 2.5)
        assert receipt.todo
        receipt = await later(bench, 500.0)
        assert market.asked == [("close", Ticket(107))] * 12
        assert (bench.broker.positions, receipt.todo) == ([], ())


async def test_a_shut_market_is_waited_for_and_not_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.stop.close_by_default(closing=True)
        market = Market(bench.broker)
        holding(bench, ours=(107,))
        spec = bench.broker.specs[position().symbol]
        bench.broker.specs[spec.symbol] = replace(spec, session_open=False)
        receipt = await press(bench, 30.0)
        assert market.asked == []
        assert "the market is closed; it is tried again when it opens" in receipt.todo[0]
        bench.broker.specs[spec.symbol] = spec
        receipt = await later(bench, 90.0)
        assert (market.asked, receipt.todo) == ([("close", Ticket(107))], ())


async def test_a_link_lost_in_the_middle_is_waited_for_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.stop.close_by_default(closing=True)
        market = Market(bench.broker)
        holding(bench, ours=(107, 108))
        bench.broker.answers.append(Scripted.NEVER)
        await bench.engine.operator.stop(reason="test", by="me")
        await bench.until(lambda: any(name == "stopped" for name, _ in bench.logged))
        await bench.pass_time(0.4)
        await bench.until(lambda: bool(bench.broker.sent))
        doubtful = bench.broker.sent[0].command
        bench.broker.go_down()
        receipt = await later(bench, 3.0)
        assert any("close" in item for item in receipt.todo)
        bench.broker.findings[doubtful.command_id] = Finding("sent", None, None, True, True)
        bench.broker.go_up()
        receipt = await later(bench, 10.0)
        # The other one is closed; the doubtful one is only asked about.
        assert [ticket for _, ticket in market.asked] == [
            Ticket(107) if doubtful.ticket == 108 else Ticket(108)
        ]
        assert "not known yet" in receipt.todo[0]
        del bench.broker.findings[doubtful.command_id]
        assert doubtful.ticket is not None
        market.take(doubtful.ticket)
        bench.broker._known[doubtful.command_id] = DONE
        receipt = await later(bench, 90.0)
        assert (len(market.asked), receipt.todo) == (1, ())


async def test_without_a_terminal_everything_is_a_persons(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.stop.close_by_default(closing=True)
        holding(bench, ours=(9, 107))
        bench.channel.answer = replace(bench.channel.answer, acknowledged=False, detail="no answer")
        bench.broker.go_down()
        receipt = await press(bench, 2.1)
        assert len(receipt.todo) == 4
        assert "Algo Trading" in receipt.todo[0]
        assert bench.stop.story.unproved == ("terminal", "orders", "positions")


async def test_a_second_press_may_order_to_close_what_the_first_left_open(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        market = Market(bench.broker)
        holding(bench, ours=(107,))
        await press(bench, 2.0)
        assert market.asked == []
        await bench.engine.operator.stop(reason="now flat", by="me", close_positions=True)
        await bench.until(lambda: sum(name == "stopped" for name, _ in bench.logged) == 2)
        await later(bench, 2.0)
        assert market.asked == [("close", Ticket(107))]


async def test_a_stop_after_a_reset_begins_anew(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        market = Market(bench.broker)
        holding(bench, ours=(9,))
        await press(bench)
        await bench.engine.operator.reset_challenge()
        await bench.engine.operator.reset(word="harbor", by="me", note="")
        await bench.until(lambda: bench.core.ready)
        assert bench.stop.receipt() is None
        holding(bench, ours=(10,))
        await bench.engine.operator.stop(reason="again", by="me")
        await bench.until(lambda: sum(name == "stopped" for name, _ in bench.logged) == 2)
        receipt = await later(bench, 2.0)
        assert market.asked == [("cancel", Ticket(9)), ("cancel", Ticket(10))]
        assert "orders cancelled 1/1" in receipt.proofs
        assert receipt.steps[0].how.startswith("latched: me: again")


async def test_the_receipt_is_journalled_and_survives_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.stop.close_by_default(closing=True)
        Market(bench.broker, lambda _ticket, _number: NO_MONEY)
        holding(bench, ours=(9, 107))
        before = await press(bench, 3.0)
        await bench.pass_time(0.2)
        kept = [event for event in bench.journal.events if isinstance(event, StopStepTaken)]
        assert [step.how for step in kept] == [step.how for step in before.steps]
        assert [step.at for step in kept] == sorted(step.at for step in kept)
        journal, status = bench.journal, bench.core.latch.status
        broker = FakeBroker()
        broker.orders, broker.positions = bench.broker.orders, bench.broker.positions
    journal.closed = False
    bench_again = Bench(tmp_path, journal=journal, broker=broker, status=status)
    bench_again.core.gate.strategies.own(None, Ticket(9), Ticket(107))
    market = Market(broker)
    await bench_again.start()
    try:
        receipt = await later(bench_again, 5.0)
        assert receipt.steps[: len(before.steps)] == before.steps
        # What was ordered goes on: the order first, then the position.
        assert market.asked == [("cancel", Ticket(9)), ("close", Ticket(107))]
        assert receipt.todo == ()
    finally:
        await bench_again.close()


async def test_a_stop_of_an_earlier_run_that_was_reset_is_not_shown_again(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        Market(bench.broker)
        await press(bench)
        await bench.engine.operator.reset_challenge()
        await bench.engine.operator.reset(word="harbor", by="me", note="")
        await bench.pass_time(0.3)
        journal = bench.journal
        assert await journal.stop_steps() == ()
    journal.closed = False
    halted = TradingStatus(TradingState.HALTED, 2, "damaged", Actor.SYSTEM, bench.clock.now())
    async with running(tmp_path, journal=journal, status=halted) as bench:
        receipt = bench.stop.receipt()
        assert receipt is not None
        assert all("test" not in step.how for step in receipt.steps)


async def test_a_journal_that_fails_leaves_the_rest_to_a_person(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        market = Market(bench.broker)
        holding(bench, ours=(9,))
        bench.journal.fail_next()
        receipt = await press(bench, 3.0)
        assert market.asked == []
        assert "the journal cannot be written" in receipt.todo[0]


async def test_a_stop_file_from_before_the_start_is_carried_out_whole(tmp_path: Path) -> None:
    (tmp_path / "STOP").write_text('{"reason": "flat, please", "close_positions": true}', encoding="utf-8")
    broker = FakeBroker()
    broker.orders, broker.positions = [order(9)], [position(107)]
    bench = Bench(tmp_path, broker=broker)
    bench.core.gate.strategies.own(None, Ticket(9), Ticket(107))
    market = Market(broker)
    bench.stop.start()
    while bench.core.latch.state is not TradingState.HALTED:
        await asyncio.wrap_future(bench.stop.save())
    await asyncio.wrap_future(bench.stop.save())
    await bench.engine.start()
    try:
        await bench.until(lambda: bench.core.ready)
        receipt = await later(bench, 3.0)
        assert market.asked == [("cancel", Ticket(9)), ("close", Ticket(107))]
        assert receipt.todo == ()
        assert not any("loop" in line for line in receipt.proofs)
        assert "queue drained: 0" in receipt.proofs
    finally:
        await bench.close()


async def test_an_order_that_was_under_way_at_the_press_is_found_when_it_lands(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        market = Market(bench.broker)
        bench.broker.answers.append(Scripted.NEVER)
        action = PlaceOrder(Symbol("EURUSD"), OrderKind.BUY_LIMIT, Volume("0.10"), Price("1.09000"))
        late = await bench.send(action)
        await bench.until(lambda: bool(bench.broker.sent))
        receipt = await press(bench, 3.0)
        assert "no pending orders left" in receipt.proofs
        done = bench.broker.done(late)
        bench.broker.resolve(late.command_id, done)
        assert done.order is not None
        bench.broker.orders = [order(int(done.order))]
        receipt = await later(bench, 5.0)
        assert market.asked == [("cancel", done.order)]
        assert "orders cancelled 1/1" in receipt.proofs
