"""What the live picture does not show yet counts: in exposure at once, in margin until an account picture knows of the fill."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from app.domain.commands import TradeCommand
from app.domain.limits import SafetyLimits
from app.domain.market import Account
from app.domain.results import Outcome
from app.domain.values import Ticket
from app.engine.command_processor import ProcessorOptions
from tests.domain.making import deal, position
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import ACCOUNT, FakeBroker, Scripted

D = Decimal
FREE = D(380)
"""The margin of 0.10 lots is 110: with the cushion of 1.5 two such entries have room (110 + 165), a third (220 + 165) has not."""


def poor(margin: str = "0") -> Account:
    return replace(ACCOUNT, equity=FREE, free_margin=FREE - D(margin), margin=D(margin))


async def entered(bench: Bench, account: Account | None) -> TradeCommand:
    """An entry that is done and shown, with the account that came with its event."""
    command = await bench.send(buy("0.10"))
    result = await bench.result(command)
    assert result.outcome is Outcome.EXECUTED
    assert result.ticket is not None
    bench.broker.emit_trade_event(
        "deal",
        command_id=command.command_id,
        position_ticket=result.ticket,
        position=position(int(result.ticket)),
        deal=deal(int(result.ticket) + 900, position=Ticket(int(result.ticket)), entry="in"),
        account=account,
    )
    return command


async def code(bench: Bench) -> str | None:
    return (await bench.result(await bench.send(buy("0.10")))).code


async def world(bench: Bench) -> None:
    bench.broker.account = poor()
    bench.broker.emit_heartbeat()


async def test_two_quick_entries_count_though_the_account_has_not_been_reported_since(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await world(bench)
        await entered(bench, None)
        await entered(bench, None)
        assert await code(bench) == "INSUFFICIENT_MARGIN"


async def test_an_account_that_came_with_the_event_but_knows_nothing_of_it_does_not_count(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as bench:
        await world(bench)
        for _ in range(2):
            await entered(bench, poor())
        assert await code(bench) == "INSUFFICIENT_MARGIN"


async def test_margin_is_not_counted_twice_once_the_account_knows(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await world(bench)
        await entered(bench, poor("110"))
        assert bench.core.gate.margin_under_way() == 0
        assert await code(bench) is None


async def test_a_heartbeat_after_the_fill_knows_of_it_and_one_before_it_does_not(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await world(bench)
        await entered(bench, None)
        assert bench.core.gate.margin_under_way() == 110
        bench.broker.trade_seq -= 1
        bench.broker.emit_heartbeat()  # was on its way before the fill
        assert bench.core.gate.margin_under_way() == 110
        bench.broker.trade_seq += 1
        bench.broker.account = poor("110")
        bench.broker.emit_heartbeat()
        assert bench.core.gate.margin_under_way() == 0


async def test_a_snapshot_knows_of_every_fill_before_it(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await world(bench)
        await entered(bench, None)
        await bench.engine.terminal.refresh()
        assert bench.core.gate.margin_under_way() == 0


async def test_two_entries_at_once_are_judged_one_after_the_other(tmp_path: Path) -> None:
    """Handed in together, both under way at the terminal: the second is judged with the first counted."""
    broker = FakeBroker()
    broker.default = Scripted.NEVER
    limits = SafetyLimits(max_volume_total=D("0.15"))
    async with running(
        tmp_path, broker=broker, limits=limits, processor=ProcessorOptions(max_in_flight=8)
    ) as bench:
        first, second = bench.command(buy("0.10")), bench.command(buy("0.10"))
        await bench.give(first)
        await bench.give(second)
        assert (await bench.result(second)).code == "MAX_EXPOSURE"
        await bench.until(lambda: bench.broker.sent_ids == [first.command_id])


async def test_two_entries_at_once_share_the_free_margin(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.default = Scripted.NEVER
    async with running(tmp_path, broker=broker, processor=ProcessorOptions(max_in_flight=8)) as bench:
        bench.broker.account = replace(
            ACCOUNT, free_margin=D(274)
        )  # room for one with its cushion, and 109 more
        bench.broker.emit_heartbeat()
        first, second = bench.command(buy("0.10")), bench.command(buy("0.10"))
        await bench.give(first)
        await bench.give(second)
        assert (await bench.result(second)).code == "INSUFFICIENT_MARGIN"
        await bench.until(lambda: bench.broker.sent_ids == [first.command_id])
