"""The door: every code of COMMAND_ACK REJECTED at its exact bound, and that each is on disk and has no result."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.commands import Action, CancelOrder, ClosePosition, ModifyPosition, TradeCommand
from app.domain.errors import JournalFailed
from app.domain.execution import Execution
from app.domain.limits import SafetyLimits
from app.domain.values import Ticket
from app.engine.broker import DispatchTerms
from app.engine.command_processor import ProcessorOptions
from app.engine.core import EngineCore
from app.engine.ports import AlertReport, CommandAck
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import FakeBroker, Scripted

EXIT = ClosePosition(Ticket(4))
AMENDMENT = ModifyPosition(Ticket(4), stop_loss=None)


async def ack_of(bench: Bench, action: Action | None = None, **fields: float | None) -> CommandAck:
    """The answer to a command; `ahead`, `age` (s) move its timestamp, `offset` is the measured skew."""
    shift = timedelta(seconds=(fields.get("ahead") or 0.0) - (fields.get("age") or 0.0))
    command = bench.command(action, issued_at=bench.clock.now() + shift)
    await bench.give(command, clock_offset=fields.get("offset", 0.0))
    return await bench.ack(command)


@pytest.mark.parametrize(
    ("ahead", "code"), [(0.9, None), (1.0, None), (1.001, "FROM_THE_FUTURE"), (1.1, "FROM_THE_FUTURE")]
)
async def test_from_the_future(tmp_path: Path, ahead: float, code: str | None) -> None:
    async with running(tmp_path) as bench:
        assert (await ack_of(bench, ahead=ahead)).code == code
        assert (await ack_of(bench, EXIT, ahead=ahead)).code == code


@pytest.mark.parametrize(("age", "code"), [(4.999, None), (5.0, "EXPIRED"), (5.001, "EXPIRED")])
async def test_expired(tmp_path: Path, age: float, code: str | None) -> None:
    async with running(tmp_path) as bench:
        assert (await ack_of(bench, age=age)).code == code
        assert (await ack_of(bench, EXIT, age=age)).code == code


async def test_freshness_is_judged_on_the_brains_clock(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        brain_now = bench.clock.now() + timedelta(seconds=100)
        command = bench.command(issued_at=brain_now)
        await bench.give(command, brain_now=brain_now)
        assert (await bench.ack(command)).status == "ACCEPTED"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("skew", "code"), [(1.9, None), (2.0, None), (2.1, "CLOCK_SKEW")])
async def test_clock_skew_refuses_entries_alone(
    tmp_path: Path, sign: int, skew: float, code: str | None
) -> None:
    async with running(tmp_path) as bench:
        assert (await ack_of(bench, offset=sign * skew)).code == code
        assert (await ack_of(bench, EXIT, offset=sign * skew)).code is None
        assert (await ack_of(bench, AMENDMENT, offset=sign * skew)).code is None


async def test_in_plain_mode_no_skew_is_known(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        assert (await ack_of(bench, offset=None)).status == "ACCEPTED"


async def test_queue_full_at_exactly_its_capacity(tmp_path: Path) -> None:
    options = ProcessorOptions(capacity=3)
    async with running(tmp_path, processor=options) as bench:
        bench.broker.default = Scripted.NEVER
        await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        acks = [await ack_of(bench) for _ in range(4)]
        assert [ack.code for ack in acks] == [None, None, None, "QUEUE_FULL"]
        assert (await ack_of(bench, EXIT)).code == "QUEUE_FULL"
        bench.broker.resolve(bench.broker.sent[0].command.command_id, bench.broker.done(bench.command()))
        await bench.until(lambda: len(bench.broker.sent) == 2)
        assert (await ack_of(bench)).status == "ACCEPTED"


async def test_orders_per_second_slide(tmp_path: Path) -> None:
    limits = SafetyLimits(max_orders_per_second=3, max_orders_per_minute=0)
    async with running(tmp_path, limits=limits) as bench:
        bench.clock.advance(10)
        assert (await ack_of(bench)).code is None
        bench.clock.advance(0.5)
        assert [(await ack_of(bench)).code for _ in range(3)] == [None, None, "RATE_LIMITED"]
        bench.clock.advance(0.49)
        assert (await ack_of(bench)).code == "RATE_LIMITED"
        bench.clock.advance(0.02)  # the first one is a second old
        assert [(await ack_of(bench)).code for _ in range(2)] == [None, "RATE_LIMITED"]


async def test_orders_per_minute_slide(tmp_path: Path) -> None:
    limits = SafetyLimits(max_orders_per_second=0, max_orders_per_minute=2)
    async with running(tmp_path, limits=limits) as bench:
        assert (await ack_of(bench)).code is None
        bench.clock.advance(30)
        assert [(await ack_of(bench)).code for _ in range(2)] == [None, "RATE_LIMITED"]
        bench.clock.advance(29.9)
        ack = await ack_of(bench)
        assert ack.code == "RATE_LIMITED"
        assert "max_orders_per_minute" in (ack.message or "")
        bench.clock.advance(0.2)
        assert [(await ack_of(bench)).code for _ in range(2)] == [None, "RATE_LIMITED"]


async def test_exits_are_counted_but_never_refused_for_the_rate(tmp_path: Path) -> None:
    limits = SafetyLimits(max_orders_per_second=2, max_orders_per_minute=2)
    async with running(tmp_path, limits=limits) as bench:
        assert [(await ack_of(bench, EXIT)).code for _ in range(5)] == [None] * 5
        assert (await ack_of(bench)).code == "RATE_LIMITED"
        assert (await ack_of(bench, AMENDMENT)).code == "RATE_LIMITED"


async def test_what_is_turned_away_costs_no_rate(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_orders_per_second=1)) as bench:
        assert [(await ack_of(bench, age=9)).code for _ in range(5)] == ["EXPIRED"] * 5
        assert (await ack_of(bench)).status == "ACCEPTED"


async def test_halted_and_reduce_only(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.engine.operator.pause(reason="t", by="t")
        assert (await ack_of(bench)).code == "REDUCE_ONLY"
        assert (await ack_of(bench, EXIT)).code is None
        assert (await ack_of(bench, AMENDMENT)).code is None
        await bench.engine.operator.stop(reason="t", by="t")
        for action in (None, EXIT, AMENDMENT, CancelOrder(Ticket(5))):
            assert (await ack_of(bench, action)).code == "HALTED"


async def test_unknown_account(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        served = await bench.send(account="5000123")
        other = await bench.send(account="5000124")
        assert (await bench.ack(served)).status == "ACCEPTED"
        ack = await bench.ack(other)
        assert ack.code == "UNKNOWN_ACCOUNT"
        assert "account" in (ack.message or "")


async def test_not_ready_until_reconciled_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, broker=FakeBroker(up=False))
    bench.stop.start()
    await bench.engine.start()
    try:
        await bench.pass_time(3.2)
        await bench.link.connect()
        assert (await ack_of(bench)).code == "NOT_READY"
        assert (await ack_of(bench, EXIT)).code == "NOT_READY"
        assert bench.broker.sent == []
    finally:
        await bench.close()


async def test_each_refusal_is_on_disk_has_no_result_and_is_repeated_word_for_word(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = bench.command(issued_at=bench.clock.now() - timedelta(seconds=60))
        await bench.give(command)
        first = await bench.ack(command)
        await bench.give(command)
        await bench.until(lambda: len(bench.acks(command)) == 2)
        assert bench.acks(command) == [first, first]
        assert (first.status, first.code) == ("REJECTED", "EXPIRED")
        record = await bench.journal.command(command.command_id)
        assert record is not None
        assert record.turned_away is not None
        assert record.turned_away.code == "EXPIRED"
        assert (record.final, record.results, bench.results(command)) == (True, [], [])


async def test_a_refusal_is_not_told_before_it_is_on_disk(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.hold()
        command = bench.command(issued_at=bench.clock.now() - timedelta(seconds=60))
        await bench.give(command)
        await bench.settle()
        assert bench.acks(command) == []
        bench.journal.release()
        assert (await bench.ack(command)).code == "EXPIRED"


async def test_a_conflict_is_an_alert_and_the_first_one_stands(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await bench.send()
        await bench.result(command)
        await bench.give(replace(command, fingerprint="other"))
        await bench.until(lambda: len(bench.acks(command)) == 2)
        assert bench.acks(command)[1].code == "ID_CONFLICT"
        assert "ID_CONFLICT" in [alert.code for alert in bench.link.of(AlertReport)]
        assert len(bench.results(command)) == 1


async def test_an_old_command_of_an_earlier_run_is_a_duplicate_too(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        command = await first.send()
        result = await first.result(command)
        journal = first.journal
        journal.close = _stay_open  # type: ignore[method-assign]
    async with running(tmp_path, journal=journal) as second:
        await second.give(command)
        assert (await second.ack(command)).status == "DUPLICATE"
        await second.until(lambda: second.results(command)[-1:] == [result])
        assert second.broker.sent == []


async def _stay_open() -> None:
    """The journal outlives the engine, as a file would."""


async def test_a_journal_that_fails_stops_all_and_says_nothing_to_the_brain(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        wire_failure(bench.core, bench)
        bench.journal.fail_next()
        command = await bench.send(buy())
        await bench.until(lambda: bench.core.latch.state.value == "HALTED")
        assert "journal" in bench.core.latch.status.reason
        assert (bench.acks(command), bench.broker.sent) == ([], [])


def wire_failure(core: EngineCore, bench: Bench) -> None:
    """As the composition root does it."""

    def failed(fault: JournalFailed) -> None:
        core.journal_failed(fault)

    bench.journal._on_failure = failed


async def test_the_terminal_trades_while_the_brain_is_told_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as bench:
        heard_before: list[list[CommandAck]] = []
        send = bench.broker.send

        def noted(command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
            heard_before.append(bench.acks(command))
            return send(command, terms)

        monkeypatch.setattr(bench.broker, "send", noted)
        command = await bench.send()
        await bench.result(command)
        assert heard_before == [[]]
        assert [ack.status for ack in bench.acks(command)] == ["ACCEPTED"]
