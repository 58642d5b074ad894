"""What the gate counts and latches while the engine runs, and how a person lets it go again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.commands import ClosePosition
from app.domain.events import EquitySampled, LimitReenabled, LimitTripped
from app.domain.execution import Execution, ExecutionState
from app.domain.limits import SafetyLimits
from app.domain.results import Outcome
from app.domain.values import Price, Ticket
from app.engine.control import Refused
from app.engine.ports import AlertReport
from app.engine.safety import RateWindow
from tests.engine.bench import Bench, buy, running
from tests.engine.test_inbox import _stay_open
from tests.fakes.broker import ACCOUNT, FakeBroker, Scripted

REJECTED = Execution(ExecutionState.REJECTED, 10019)


async def outcome(bench: Bench, volume: str = "0.10") -> str:
    """What became of an entry: its outcome, or the code that refused it."""
    result = await bench.result(await bench.send(buy(volume)))
    return result.code or result.outcome.value


def equity(bench: Bench, value: str) -> None:
    bench.broker.account = replace(ACCOUNT, equity=Decimal(value))
    bench.broker.emit_heartbeat()


def alerts(bench: Bench) -> list[str]:
    return [alert.code for alert in bench.link.of(AlertReport)]


async def test_identical_entries_trip_the_throttle_until_a_person_re_enables_it(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(repeat_throttle=2)) as bench:
        assert [await outcome(bench) for _ in range(3)] == ["EXECUTED", "EXECUTED", "REPEAT_THROTTLE"]
        assert await outcome(bench, "0.20") == "REPEAT_THROTTLE"  # latched: other entries too
        bench.clock.advance(3600)
        bench.price("EURUSD", "1.10000", "1.10010")
        assert await outcome(bench) == "REPEAT_THROTTLE"
        assert alerts(bench).count("REPEAT_THROTTLE") == 1
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        assert (await bench.result(exit_)).outcome is Outcome.EXECUTED
        await bench.engine.operator.reenable_limit("repeat_throttle", by="me", note="was meant")
        assert await outcome(bench) == "EXECUTED"
        kinds = [type(event) for event in bench.journal.events]
        assert kinds.count(LimitTripped) == kinds.count(LimitReenabled) == 1


async def test_identical_means_symbol_side_and_volume_within_60_seconds(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(repeat_throttle=1)) as bench:
        assert [await outcome(bench), await outcome(bench, "0.20")] == ["EXECUTED", "EXECUTED"]
        bench.clock.advance(59.9)
        bench.price("EURUSD", "1.10000", "1.10010")
        assert bench.core.gate.view(bench.command(buy("0.10"))).identical_entries == 1
        assert bench.core.gate.view(bench.command(buy("0.30"))).identical_entries == 0
        assert bench.core.gate.view(bench.command(buy("0.10", "XAUUSD"))).identical_entries == 0
        bench.clock.advance(0.2)
        assert await outcome(bench) == "EXECUTED"


async def test_failures_in_a_row_trip_and_a_success_clears_the_count(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_consecutive_failures=2)) as bench:
        bench.broker.answers.extend([REJECTED, bench.broker.done(bench.command()), REJECTED, REJECTED])
        assert [await outcome(bench) for _ in range(5)] == [
            "BROKER_REJECTED",
            "EXECUTED",
            "BROKER_REJECTED",
            "BROKER_REJECTED",
            "REPEAT_THROTTLE",
        ]
        assert "consecutive_failures" in bench.core.gate.tripped
        await bench.engine.operator.reenable_limit("consecutive_failures", by="me", note="")
        assert await outcome(bench) == "EXECUTED"


async def test_what_the_terminal_refuses_and_failed_exits_are_no_failures_of_entries(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_consecutive_failures=1)) as bench:
        bench.broker.answers.append(Execution(ExecutionState.REFUSED, code="STOPS_INVALID"))
        assert await outcome(bench) == "INVALID_STOPS"
        bench.broker.answers.append(REJECTED)
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        assert (await bench.result(exit_)).outcome is Outcome.REJECTED
        assert await outcome(bench) == "EXECUTED"


async def test_a_daily_loss_trips_while_nobody_trades(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_daily_loss=Decimal(100))) as bench:
        equity(bench, "9900.01")
        assert bench.core.gate.tripped == {}
        equity(bench, "9900.00")
        assert list(bench.core.gate.tripped) == ["daily_loss"]
        assert alerts(bench) == ["DAILY_LOSS"]
        equity(bench, "10000.00")
        assert await outcome(bench) == "DAILY_LOSS_LIMIT"
        await bench.engine.operator.reenable_limit("daily_loss", by="me", note="recovered")
        assert await outcome(bench) == "EXECUTED"


async def test_a_loss_that_still_stands_trips_again(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_daily_loss=Decimal(100))) as bench:
        equity(bench, "9000")
        await bench.engine.operator.reenable_limit("daily_loss", by="me", note="hope")
        assert await outcome(bench) == "DAILY_LOSS_LIMIT"
        assert "daily_loss" in bench.core.gate.tripped


async def test_a_drawdown_from_the_peak_trips(tmp_path: Path) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_drawdown_percent=Decimal(10))) as bench:
        equity(bench, "20000")
        equity(bench, "18000.01")
        assert bench.core.gate.tripped == {}
        equity(bench, "18000.00")
        assert list(bench.core.gate.tripped) == ["drawdown"]
        assert await outcome(bench) == "DRAWDOWN_LIMIT"


async def test_a_withdrawal_is_no_loss(tmp_path: Path) -> None:
    limits = SafetyLimits(max_daily_loss=Decimal(100), max_drawdown_percent=Decimal(1))
    async with running(tmp_path, limits=limits) as bench:
        after = replace(ACCOUNT, equity=Decimal(5000), balance=Decimal(5000))
        bench.broker.account = after
        bench.broker.emit_trade_event("balance", amount=Decimal(-5000), account=after)
        bench.broker.emit_heartbeat()
        assert bench.core.gate.tripped == {}


async def test_the_brokers_midnight_begins_a_new_day(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.server_utc_offset = 2 * 3600
    async with running(tmp_path, broker=broker, limits=SafetyLimits(max_daily_loss=Decimal(100))) as bench:
        equity(bench, "9950")
        bench.clock.advance(9 * 3600 + 59 * 60)  # 21:59 UTC, 23:59 at the broker
        equity(bench, "9940")
        assert bench.core.gate.day is not None
        assert bench.core.gate.day.start_equity == 10000
        bench.clock.advance(61)
        equity(bench, "9940")
        assert bench.core.gate.day.start_equity == 9940
        equity(bench, "9841")
        assert bench.core.gate.tripped == {}


async def test_a_restart_forgives_neither_the_days_loss_nor_a_latch(tmp_path: Path) -> None:
    limits = SafetyLimits(max_daily_loss=Decimal(100), max_drawdown_percent=Decimal(50))
    async with running(tmp_path, limits=limits) as first:
        await first.pass_time(0.2)
        assert any(isinstance(event, EquitySampled) for event in first.journal.events)
        first.core.gate.trip("drawdown", "by hand")
        await first.settle()
        journal = first.journal
        journal.close = _stay_open  # type: ignore[method-assign]
    broker = FakeBroker()
    broker.account = replace(ACCOUNT, equity=Decimal("9900"))
    async with running(tmp_path, limits=limits, journal=journal, broker=broker) as second:
        assert set(second.core.gate.tripped) == {"drawdown", "daily_loss"}
        assert second.core.gate.day is not None
        assert second.core.gate.day.start_equity == 10000


async def test_only_what_is_latched_can_be_re_enabled(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        with pytest.raises(Refused) as refused:
            await bench.engine.operator.reenable_limit("daily_loss", by="me", note="")
        assert refused.value.code == "NOT_LATCHED"


async def test_what_is_under_way_counts_as_exposure_until_it_is_answered(tmp_path: Path) -> None:
    limits = SafetyLimits(max_volume_total=Decimal("0.50"))
    async with running(tmp_path, limits=limits) as bench:
        bench.broker.default = Scripted.NEVER
        first = await bench.send(buy("0.30"))
        await bench.until(lambda: bool(bench.broker.sent))
        view = bench.core.gate.view(bench.command())
        assert [entry.volume for entry in view.in_flight] == [Decimal("0.30")]
        assert bench.core.gate.view(first).in_flight == ()  # itself is not counted
        bench.broker.resolve(first.command_id, replace(REJECTED, retcode=10006))
        await bench.result(first)
        assert bench.core.gate.view(bench.command()).in_flight == ()


async def test_an_executed_entry_counts_at_once_and_an_unknown_one_keeps_counting(tmp_path: Path) -> None:
    limits = SafetyLimits(max_volume_total=Decimal("0.50"))
    async with running(tmp_path, limits=limits) as bench:
        assert await outcome(bench, "0.30") == "EXECUTED"
        assert await outcome(bench, "0.30") == "MAX_EXPOSURE"
        bench.broker.answers.append(Execution(ExecutionState.UNKNOWN, 10012))
        assert await outcome(bench, "0.20") == "OUTCOME_UNKNOWN"
        elsewhere = await bench.send(buy("0.10", "XAUUSD"))
        assert (await bench.result(elsewhere)).code == "MAX_EXPOSURE"


async def test_the_last_look_is_right_before_the_send(tmp_path: Path) -> None:
    """The quote went bad while DISPATCHED was being written."""
    async with running(tmp_path, limits=SafetyLimits(max_spread_points=20)) as bench:
        bench.journal.hold()
        command = await bench.send()
        await bench.settle()
        bench.price("EURUSD", "1.10000", "1.20000")
        bench.journal.release()
        assert (await bench.result(command)).code == "SPREAD_TOO_WIDE"
        assert bench.broker.sent == []
        assert bench.core.book.quotes[command.symbol].ask == Price("1.2")  # type: ignore[index]


def test_a_rate_window_slides() -> None:
    window = RateWindow(2, 1.0)
    window.add(10.0)
    window.add(10.5)
    assert [window.full(now) for now in (10.5, 10.999, 11.0)] == [True, True, False]
    assert [window.count(now) for now in (11.0, 11.5)] == [1, 0]
    assert not RateWindow(0, 1.0).full(5.0)
