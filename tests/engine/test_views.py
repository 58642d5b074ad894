"""What the engine shows of itself: rows, gauges, percentiles, counters, Prometheus' text."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.commands import ClosePosition
from app.domain.errors import JournalFailed
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.limits import SafetyLimits
from app.domain.market import Permissions
from app.domain.values import Ticket
from app.engine.broker import LinkState
from app.engine.metrics import percentile
from app.engine.snapshots import LimitView
from tests.domain.making import order, position
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import ACCOUNT, FakeBroker, Scripted


def gauge(bench: Bench, name: str) -> LimitView:
    (view,) = [view for view in bench.engine.operator.snapshot().limits if view.name == name]
    return view


def samples(bench: Bench) -> dict[str, float]:
    lines = bench.engine.operator.metrics().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


# ------------------------------------------------------------------ percentiles


@pytest.mark.parametrize(
    ("count", "share", "rank"),
    [
        (1, 0.5, 1),
        (2, 0.5, 1),
        (3, 0.5, 2),
        (100, 0.5, 50),
        (100, 0.95, 95),
        (100, 0.99, 99),
        (1000, 0.99, 990),
        (10, 0.99, 10),
    ],
)
def test_nearest_rank(count: int, share: float, rank: int) -> None:
    assert percentile([float(number) for number in range(1, count + 1)], share) == rank


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


# ------------------------------------------------------------------ rows of the pipeline


async def test_a_row_tells_a_commands_story(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.default = Scripted.NEVER
        command = await bench.send(buy("0.10"))
        await bench.until(lambda: bool(bench.broker.sent))
        (row,) = bench.engine.operator.snapshot().commands
        assert (row.state, row.symbol, row.side, row.volume, row.broker_ms, row.result) == (
            "DISPATCHED",
            "EURUSD",
            "BUY",
            Decimal("0.10"),
            None,
            None,
        )
        bench.clock.advance(0.25)
        bench.broker.resolve(command.command_id, bench.broker.done(command))
        result = await bench.result(command)
        (row,) = bench.engine.operator.snapshot().commands
        assert (row.state, row.queue_ms, row.broker_ms, row.total_ms, row.result) == (
            "EXECUTED",
            0.0,
            250.0,
            250.0,
            result,
        )


async def test_rows_are_newest_first_and_drawn_anew_only_when_changed(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        first = await bench.send()
        await bench.result(first)
        before = bench.engine.operator.snapshot().commands
        second = await bench.send(ClosePosition(Ticket(4)))
        await bench.result(second)
        after = bench.engine.operator.snapshot().commands
        assert [row.command_id for row in after] == [second.command_id, first.command_id]
        assert after[1] is before[0]
        assert (after[0].ticket, after[0].side, after[0].symbol) == ("4", None, None)


# ------------------------------------------------------------------ gauges


@pytest.mark.parametrize(
    ("equity", "state"), [("10000", "ok"), ("9920.01", "ok"), ("9920.00", "warning"), ("9900.01", "warning")]
)
async def test_a_gauge_warns_from_80_percent(tmp_path: Path, equity: str, state: str) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_daily_loss=Decimal(100))) as bench:
        bench.broker.account = replace(ACCOUNT, equity=Decimal(equity))
        bench.broker.emit_heartbeat()
        view = gauge(bench, "daily_loss")
        assert (view.state, view.now, view.limit) == (state, 10000 - Decimal(equity), Decimal(100))


async def test_a_latched_gauge_stays_latched(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_daily_loss=Decimal(100))) as bench:
        for equity in ("9900", "10000"):
            bench.broker.account = replace(ACCOUNT, equity=Decimal(equity))
            bench.broker.emit_heartbeat()
        assert gauge(bench, "daily_loss").state == "latched"


async def test_gauges_of_positions_lots_and_rate(tmp_path: Path) -> None:
    limits = SafetyLimits(max_positions=2, max_volume_total=Decimal("0.25"), repeat_throttle=5)
    broker = FakeBroker()
    broker.positions, broker.orders = [position(4)], [order(9)]
    async with running(tmp_path, broker=broker, limits=limits) as bench:
        assert [(gauge(bench, name).now, gauge(bench, name).state) for name in ("positions", "exposure")] == [
            (2, "reached"),
            (Decimal("0.20"), "warning"),
        ]
        await bench.ack(await bench.send())
        assert (gauge(bench, "orders_per_second").now, gauge(bench, "orders_per_second").limit) == (
            Decimal(1),
            Decimal(10),
        )
        assert gauge(bench, "drawdown").limit is None
        assert gauge(bench, "repeat_throttle").limit == 5


# ------------------------------------------------------------------ links


async def test_links_tell_what_is_wrong(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        links = {link.name: link for link in bench.engine.operator.snapshot().links}
        assert {name: link.state for name, link in links.items()} == dict.fromkeys(
            ("brain", "terminal", "broker", "journal"), LinkState.UP
        )
        bench.broker.permissions = Permissions(connected=False)
        bench.broker.emit_heartbeat()
        broker = bench.engine.operator.snapshot().links[2]
        assert (broker.state, broker.detail) == (LinkState.DEGRADED, "missing: broker connection")
        bench.broker.go_down()
        await bench.link.disconnect()
        links = {link.name: link for link in bench.engine.operator.snapshot().links}
        assert [links[name].state for name in ("brain", "broker")] == [LinkState.DOWN, LinkState.DOWN]
        assert links["terminal"].detail == "not connected"
        assert not bench.engine.operator.snapshot().ready


async def test_positions_are_valued_at_the_latest_quote(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.positions = [position(4, "0.50")]
    async with running(tmp_path, broker=broker) as bench:
        bench.price("EURUSD", "1.10123", "1.10130")
        (held,) = bench.engine.operator.snapshot().positions
        assert (held.profit, held.current_price) == (Decimal("61.50"), Decimal("1.10123"))


# ------------------------------------------------------------------ counters and Prometheus


async def test_every_outcome_is_counted_once(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_volume_per_order=Decimal(1))) as bench:
        bench.broker.answers.extend(
            [
                bench.broker.done(bench.command()),
                Execution(ExecutionState.REJECTED, 10019),
                Execution(ExecutionState.UNKNOWN, 10012),
            ]
        )
        done = await bench.send()
        await bench.result(done)
        await bench.give(done)
        await bench.result(await bench.send())
        unknown = await bench.send()
        await bench.result(unknown)
        bench.broker.findings[unknown.command_id] = Finding("sent", None, None, True, True)
        await bench.result(await bench.send(buy("2.00", "XAUUSD")))
        away = bench.command(issued_at=bench.clock.now().replace(year=2020))
        await bench.give(away)
        await bench.ack(away)
        counted = bench.engine.operator.snapshot().counters
        assert (counted.received, counted.accepted, counted.turned_away, counted.duplicates) == (6, 4, 1, 1)
        assert (counted.executed, counted.rejected, counted.unknown, counted.refused) == (1, 1, 1, 1)
        told = samples(bench)
        assert told['medulla_commands_total{what="received"}'] == 6
        assert told['medulla_commands_total{what="unknown"}'] == 1
        assert told["medulla_unknown_outcomes"] == 1
        assert told["medulla_queue_depth"] == 0
        assert told['medulla_latency_ms{hop="total",quantile="0.99"}'] >= 0


async def test_a_journal_that_failed_is_a_link_that_is_down(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.engine.core.journal_failed(JournalFailed("The disk is full."))
        journal = rig.engine.operator.snapshot().links[3]
        assert (journal.name, journal.state, journal.detail) == (
            "journal",
            LinkState.DOWN,
            "The disk is full.",
        )


async def test_prometheus_tells_state_links_and_money(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.engine.operator.stop(reason="x", by="me")
        told = samples(bench)
        assert [
            told[f'medulla_trading_state{{state="{name}"}}'] for name in ("ACTIVE", "REDUCING", "HALTED")
        ] == [0, 0, 1]
        assert (told['medulla_link_up{link="terminal"}'], told["medulla_ready"], told["medulla_epoch"]) == (
            1,
            1,
            1,
        )
        assert (told["medulla_equity"], told["medulla_daily_profit"]) == (10000, 0)
        assert told["medulla_open_positions"] == 0
