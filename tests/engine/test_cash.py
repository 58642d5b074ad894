"""Deposits and withdrawals are neither profit nor loss: told by an event, overtaken by a heartbeat, or found after a time off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.equity import EquityDay
from app.domain.events import AlertRaised, EquitySampled, TradeObserved
from app.domain.limits import SafetyLimits
from app.domain.market import Account
from app.domain.values import Ticket
from tests.domain.making import deal
from tests.engine.bench import Bench, running
from tests.fakes.broker import ACCOUNT, FakeBroker
from tests.fakes.journal_memory import MemoryJournal

D = Decimal
STRICT = SafetyLimits(max_daily_loss=D(50), max_drawdown_percent=D(2))


def worth(amount: str) -> Account:
    return replace(ACCOUNT, balance=D(amount), equity=D(amount), free_margin=D(amount))


def day(bench: Bench) -> EquityDay:
    found = bench.core.gate.day
    assert found is not None
    return found


def told(bench: Bench) -> list[str]:
    return [
        event.message
        for event in bench.journal.events
        if isinstance(event, AlertRaised) and event.code == "BALANCE_CHANGED"
    ]


def standing(bench: Bench) -> tuple[Decimal | None, Decimal, list[str]]:
    """(today's result, peak, latches)."""
    return bench.core.gate.profit(), day(bench).peak_equity, list(bench.core.gate.tripped)


@pytest.mark.parametrize("amount", ["500", "-500"])
async def test_an_event_before_the_heartbeat(tmp_path: Path, amount: str) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.broker.account = worth(str(10000 + D(amount)))
        bench.broker.emit_trade_event("balance", amount=D(amount), account=bench.broker.account)
        bench.broker.emit_heartbeat()
        assert standing(bench) == (0, 10000 + D(amount), [])
        assert told(bench) == []


@pytest.mark.parametrize("amount", ["500", "-500"])
async def test_a_heartbeat_before_its_event_raises_nothing_twice(tmp_path: Path, amount: str) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.broker.account = worth(str(10000 + D(amount)))
        bench.broker.trade_seq += 1
        bench.broker.emit_heartbeat()
        assert standing(bench) == (0, 10000, [])
        bench.broker.trade_seq -= 1
        bench.broker.emit_trade_event("balance", amount=D(amount), account=bench.broker.account)
        bench.broker.emit_heartbeat()
        assert standing(bench) == (0, 10000 + D(amount), [])


async def test_two_events_with_the_account_of_the_later_one(tmp_path: Path) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.broker.account = worth("9510")
        lost = deal(900, profit=D(10), entry="out", position=Ticket(77), time=bench.broker.time)
        bench.broker.emit_trade_event("deal", deal=lost, account=bench.broker.account)
        bench.broker.emit_trade_event("balance", amount=D(-500), account=bench.broker.account)
        bench.broker.emit_heartbeat()
        assert standing(bench) == (10, 9510, [])


async def test_an_event_that_carries_no_account_waits_for_the_heartbeat(tmp_path: Path) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.broker.emit_trade_event("balance", amount=D(500))
        assert bench.core.gate.tripped == {}
        bench.broker.account = worth("10500")
        bench.broker.emit_heartbeat()
        assert standing(bench) == (0, 10500, [])


async def test_a_lost_event_is_found_by_comparing_balances(tmp_path: Path) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.broker.account = worth("9500")
        bench.broker.trade_seq += 1
        for _ in range(2):
            bench.broker.emit_heartbeat()
        await bench.until(lambda: bool(told(bench)))
        assert standing(bench) == (0, 9500, [])
        assert "-500.00 USD" in told(bench)[0]


async def test_a_lost_deal_is_not_taken_for_a_withdrawal(tmp_path: Path) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.broker.account = worth("9960")
        bench.broker.deals = [deal(900, profit=D(-40), entry="out", time=bench.clock.now())]
        bench.broker.trade_seq += 1
        for _ in range(2):
            bench.broker.emit_heartbeat()
        await bench.until(lambda: bench.core.gate.profit() == -40)
        assert (day(bench).peak_equity, told(bench)) == (10000, [])


def sampled(bench: Bench, ago: timedelta, balance: str = "10000", peak: str = "10400") -> EquitySampled:
    at = bench.clock.now() - ago
    return EquitySampled(
        at, ACCOUNT.login, at.date().isoformat(), D(balance), D(balance), D(balance), D(peak), D(0)
    )


@pytest.mark.parametrize(
    ("now", "made", "profit", "peak", "alerts"),
    [
        ("10000", None, "0", "10400", 0),
        ("10500", None, "0", "10900", 1),
        ("9000", None, "0", "9400", 1),
        ("9960", "-40", "-40", "10400", 0),
        ("10460", "-40", "-40", "10900", 1),
    ],
)
async def test_what_was_paid_while_medulla_was_off(
    tmp_path: Path, now: str, made: str | None, profit: str, peak: str, alerts: int
) -> None:
    journal, broker = MemoryJournal(), FakeBroker()
    limits = SafetyLimits(max_daily_loss=D(50))
    bench = Bench(tmp_path, journal=journal, broker=broker, limits=limits)
    await journal.append(sampled(bench, timedelta(hours=2)))
    broker.account = worth(now)
    if made is not None:
        broker.deals = [deal(900, profit=D(made), entry="out", time=bench.clock.now() - timedelta(hours=1))]
    await bench.start()
    try:
        assert standing(bench) == (D(profit), D(peak), [])
        assert len(told(bench)) == alerts
        await bench.pass_time(1.0)
        moved = [
            event for event in journal.events if isinstance(event, TradeObserved) and event.kind == "balance"
        ]
        assert len(moved) == alerts
    finally:
        await bench.close()
    # The next start does not find it again.
    journal.closed = False
    async with running(tmp_path, journal=journal, broker=broker, limits=limits) as again:
        assert standing(again) == (D(profit), D(peak), [])
        assert len(told(again)) == alerts


async def test_on_another_day_only_the_peak_is_moved(tmp_path: Path) -> None:
    journal, broker = MemoryJournal(), FakeBroker()
    bench = Bench(tmp_path, journal=journal, broker=broker, limits=STRICT)
    await journal.append(sampled(bench, timedelta(days=3), peak="10100"))
    broker.account = worth("9000")
    await bench.start()
    try:
        assert standing(bench) == (0, 9100, [])
        assert day(bench).start_equity == 9000
    finally:
        await bench.close()


async def test_after_a_very_long_time_it_is_said_that_nobody_can_tell(tmp_path: Path) -> None:
    journal, broker = MemoryJournal(), FakeBroker()
    bench = Bench(tmp_path, journal=journal, broker=broker)
    await journal.append(sampled(bench, timedelta(days=40)))
    broker.account = worth("10700")
    await bench.start()
    try:
        (message,) = told(bench)
        assert "+700.00 USD" in message
        assert "cannot" in message or "too long ago" in message
        assert standing(bench) == (0, 10700, [])
    finally:
        await bench.close()


async def test_a_reconnection_looks_too(tmp_path: Path) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.broker.emit_heartbeat()
        bench.broker.go_down()
        bench.broker.account = worth("9400")
        bench.broker.go_up()
        await bench.until(lambda: bench.core.ready)
        assert standing(bench) == (0, 9400, [])
        await bench.until(lambda: len(told(bench)) == 1)


async def test_while_it_is_looked_into_nobody_judges_by_the_account(tmp_path: Path) -> None:
    async with running(tmp_path, limits=STRICT) as bench:
        bench.core.gate.cash_open = True
        bench.broker.account = worth("5000")
        bench.broker.emit_heartbeat()
        assert bench.core.gate.tripped == {}
        refused = await bench.result(await bench.send())
        assert refused.code == "DAILY_LOSS_LIMIT"
        assert refused.message is not None
        assert "not known yet" in refused.message
        assert bench.core.gate.tripped == {}
