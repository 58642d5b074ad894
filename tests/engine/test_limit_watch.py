"""One warning before a limit, none after it, and gauges that count what the rules count."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from app.domain.events import AlertRaised
from app.domain.limits import SafetyLimits
from app.domain.market import Account
from tests.domain.making import position
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import ACCOUNT, FakeBroker, Scripted


def near(bench: Bench) -> list[str]:
    return [
        event.message
        for event in bench.journal.events
        if isinstance(event, AlertRaised) and event.code == "LIMIT_NEAR"
    ]


def equity(bench: Bench, amount: str) -> None:
    bench.broker.account = replace(ACCOUNT, equity=Decimal(amount), free_margin=Decimal(amount))
    bench.broker.emit_heartbeat()


async def test_a_loss_near_its_limit_is_said_once_until_it_was_away_for_a_minute(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_daily_loss=Decimal(100))) as bench:
        equity(bench, "9920.01")
        await bench.pass_time(1.0)
        assert near(bench) == []
        for amount in ("9920.00", "9921", "9915", "9925", "9919"):
            equity(bench, amount)
            await bench.pass_time(1.0)
        (message,) = near(bench)
        assert "80.00 USD of 100.00 USD: 80 % of safety.max_daily_loss" in message
        equity(bench, "9950")
        await bench.pass_time(61.0, step=1.0)
        equity(bench, "9915")
        await bench.pass_time(1.0)
        assert len(near(bench)) == 2


async def test_a_jump_over_the_limit_latches_and_is_not_said_twice(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_daily_loss=Decimal(100))) as bench:
        equity(bench, "9890")
        await bench.pass_time(1.0)
        assert list(bench.core.gate.tripped) == ["daily_loss"]
        assert near(bench) == []


async def test_lots_under_way_count_and_are_warned_of(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.positions = [position(4, "0.70")]
    broker.default = Scripted.NEVER
    limits = SafetyLimits(max_volume_total=Decimal(1), max_volume_per_symbol=Decimal(2))
    async with running(tmp_path, broker=broker, limits=limits) as bench:
        await bench.pass_time(1.0)
        assert near(bench) == []
        await bench.send(buy("0.10"))
        await bench.until(lambda: bool(bench.broker.sent))
        await bench.pass_time(1.0)
        (message,) = near(bench)
        assert "0.80 lots of 1.00 lots" in message
        views = {view.name: view for view in bench.engine.operator.snapshot().limits}
        assert (views["exposure"].now, views["exposure"].state) == (Decimal("0.80"), "warning")
        assert (views["exposure_per_symbol"].now, views["exposure_per_symbol"].state) == (
            Decimal("0.80"),
            "ok",
        )
        assert "EURUSD" in views["exposure_per_symbol"].explanation


async def test_orders_per_minute_are_warned_of_before_they_are_refused(tmp_path: Path) -> None:
    async with running(
        tmp_path, limits=SafetyLimits(max_orders_per_second=0, max_orders_per_minute=5)
    ) as bench:
        for _ in range(3):
            await bench.result(await bench.send())
        await bench.pass_time(0.5)
        assert near(bench) == []
        await bench.result(await bench.send())
        await bench.pass_time(0.5)
        assert len(near(bench)) == 1
        await bench.result(await bench.send())
        assert (await bench.ack(await bench.send())).code == "RATE_LIMITED"
        await bench.pass_time(0.5)
        assert len(near(bench)) == 1


async def test_margin_near_equity_is_warned_of(tmp_path: Path) -> None:
    def used(margin: str) -> Account:
        return replace(ACCOUNT, margin=Decimal(margin), free_margin=ACCOUNT.equity - Decimal(margin))

    async with running(tmp_path) as bench:
        for margin, warned in (("7999.99", 0), ("8000.00", 1)):
            bench.broker.account = used(margin)
            bench.broker.emit_heartbeat()
            await bench.pass_time(1.0)
            assert len(near(bench)) == warned
        (message,) = near(bench)
        assert "margin" in message
        assert "stop out" in message
