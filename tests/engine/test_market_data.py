"""Reports to the brain: conflated, latest wins, no oftener than it asked for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from app.domain.values import Price, Symbol
from app.engine.ports import AccountReport, MarketReport, PositionsReport
from tests.domain.making import position
from tests.engine.bench import Bench, running
from tests.fakes.broker import ACCOUNT

EURUSD = Symbol("EURUSD")


def asks(bench: Bench) -> list[str]:
    return [str(report.quote.ask) for report in bench.link.of(MarketReport)]


async def subscribed(bench: Bench, interval: int = 100) -> None:
    assert bench.link.listener is not None
    await bench.link.listener.on_subscribe([EURUSD], interval)


async def test_nothing_is_told_that_was_not_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.price("EURUSD", "1.1", "1.2")
        await bench.pass_time(1)
        assert asks(bench) == []


async def test_a_subscription_begins_with_the_present_quote_in_points(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await subscribed(bench)
        (report,) = bench.link.of(MarketReport)
        assert (report.quote.bid, report.quote.ask, report.spread_points) == (
            Price("1.10000"),
            Price("1.10010"),
            Decimal(10),
        )


async def test_within_an_interval_only_the_latest_survives(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await subscribed(bench)
        bench.link.sent.clear()
        for ask in ("1.2", "1.3", "1.4"):
            bench.price("EURUSD", "1.1", ask)
        assert asks(bench) == []
        await bench.pass_time(0.15)
        assert asks(bench) == ["1.4"]
        await bench.pass_time(1)
        assert asks(bench) == ["1.4"]
        bench.price("EURUSD", "1.1", "1.5")
        assert asks(bench) == ["1.4", "1.5"]  # its interval was over


async def test_a_hundred_quotes_a_second_become_ten(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await subscribed(bench)
        bench.link.sent.clear()
        for tick in range(100):
            bench.price("EURUSD", "1.1", str(Decimal("1.2") + tick))
            await bench.pass_time(0.01, step=0.01)
        assert 7 <= len(asks(bench)) <= 11


async def test_a_held_quote_of_an_unsubscribed_symbol_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await subscribed(bench)
        bench.link.sent.clear()
        bench.price("EURUSD", "1.1", "1.2")
        bench.core.market.unsubscribe([EURUSD])
        await bench.pass_time(1)
        bench.price("EURUSD", "1.1", "1.3")
        assert asks(bench) == []


async def test_subscriptions_outlive_the_brains_and_the_terminals_connection(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await subscribed(bench)
        await bench.link.disconnect()
        bench.broker.go_down()
        bench.broker.go_up()
        await bench.until(lambda: bench.core.ready)
        await bench.link.connect("s_2")
        await bench.pass_time(0.2)
        bench.price("EURUSD", "1.1", "1.7")
        assert asks(bench)[-1] == "1.7"


async def test_a_subscription_without_a_terminal_is_remembered(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.go_down()
        await subscribed(bench)
        assert bench.core.market.subscribed == (EURUSD,)
        bench.broker.go_up()
        await bench.until(lambda: bench.core.ready)
        bench.price("EURUSD", "1.1", "1.7")
        assert asks(bench) == ["1.7"]


async def test_the_account_is_told_on_change_at_most_once_a_second(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.pass_time(1.1)
        bench.link.sent.clear()
        for cents in range(20):
            bench.broker.account = replace(ACCOUNT, equity=Decimal(10000) + cents)
            bench.broker.emit_heartbeat()
            await bench.pass_time(0.1)
        reports = bench.link.of(AccountReport)
        assert 2 <= len(reports) <= 3
        await bench.pass_time(2)
        assert bench.link.of(AccountReport)[-1].account.equity == 10019
        assert bench.link.of(AccountReport)[-1].daily_profit == 19
        count = len(bench.link.of(AccountReport))
        await bench.pass_time(3)
        assert len(bench.link.of(AccountReport)) == count


async def test_positions_are_told_whole_on_change_at_most_twice_a_second(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.pass_time(1)
        bench.link.sent.clear()
        for ticket, volume in enumerate(("0.11", "0.12", "0.13", "0.14"), start=1):
            held = position(ticket, volume)
            bench.broker.emit_trade_event("deal", position_ticket=held.ticket, position=held)
            await bench.pass_time(0.05)
        await bench.pass_time(0.6)
        reports = bench.link.of(PositionsReport)
        assert len(reports) <= 2
        assert sorted(str(one.volume) for one in reports[-1].positions) == ["0.11", "0.12", "0.13", "0.14"]


async def test_a_fresh_brain_is_told_all_again(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.pass_time(2)
        await bench.link.disconnect()
        bench.link.sent.clear()
        await bench.link.connect("s_2")
        await bench.pass_time(2)
        assert len(bench.link.of(AccountReport)) == 1
        assert len(bench.link.of(PositionsReport)) == 1
