"""Limits changed in a running engine, and what the next start says of what changed in between."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.events import AlertRaised, LimitChanged, LimitsInForce
from app.domain.execution import Execution, ExecutionState
from app.domain.limit_changes import LimitChange
from app.domain.limits import OnBrainLost, SafetyLimits
from app.domain.results import Outcome
from app.domain.values import Symbol
from app.engine.control import Refused
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import Scripted

DAILY = SafetyLimits(max_daily_loss=Decimal(300))


def changes(bench: Bench) -> list[tuple[str, str, str, str, str]]:
    return [
        (event.limit, event.old, event.new, event.by, event.reason)
        for event in bench.journal.events
        if isinstance(event, LimitChanged)
    ]


def alerts(bench: Bench, code: str) -> list[AlertRaised]:
    return [event for event in bench.journal.events if isinstance(event, AlertRaised) and event.code == code]


async def test_a_change_is_journalled_limit_by_limit_and_judges_the_next_command(tmp_path: Path) -> None:
    async with running(tmp_path, limits=DAILY) as bench:
        operator = bench.engine.operator
        wanted = replace(
            DAILY, max_volume_per_order=Decimal("0.05"), allowed_symbols=frozenset({Symbol("EURUSD")})
        )
        found = await operator.change_limits(wanted, by="ann")
        assert found == (
            LimitChange("allowed_symbols", "all", "EURUSD", False),
            LimitChange("max_volume_per_order", "off", "0.05", False),
        )
        assert operator.limits_in_force == wanted
        assert changes(bench) == [
            ("allowed_symbols", "all", "EURUSD", "ann", ""),
            ("max_volume_per_order", "off", "0.05", "ann", ""),
        ]
        refused = await bench.send(buy("0.06"))
        assert (await bench.result(refused)).code == "VOLUME_TOO_LARGE"
        allowed = await bench.send(buy("0.05"))
        assert (await bench.result(allowed)).outcome is Outcome.EXECUTED


async def test_a_loosening_needs_a_reason_and_without_one_nothing_changes(tmp_path: Path) -> None:
    async with running(tmp_path, limits=DAILY) as bench:
        operator = bench.engine.operator
        wanted = SafetyLimits(max_daily_loss=Decimal(400), max_positions=3)
        with pytest.raises(Refused) as refused:
            await operator.change_limits(wanted, by="ann", reason="  ")
        assert refused.value.code == "REASON_REQUIRED"
        assert "max_daily_loss 300 → 400" in str(refused.value)
        assert "max_positions" not in str(refused.value)
        assert (operator.limits_in_force, changes(bench)) == (DAILY, [])
        await operator.change_limits(wanted, by="ann", reason="more capital since Monday")
        assert operator.limits_in_force == wanted
        assert changes(bench)[-1][-1] == "more capital since Monday"
        await bench.until(lambda: bool(alerts(bench, "LIMITS_CHANGED")))
        assert [alert.severity for alert in alerts(bench, "LIMITS_CHANGED")] == ["warning"]


async def test_nothing_is_in_force_before_it_is_on_disk(tmp_path: Path) -> None:
    async with running(tmp_path, limits=DAILY) as bench:
        bench.journal.hold()
        wanted = SafetyLimits(max_daily_loss=Decimal(900))
        changing = bench.core.keeper.spawn(
            "change", bench.engine.operator.change_limits(wanted, by="ann", reason="x")
        )
        await bench.settle()
        assert bench.core.gate.limits == DAILY
        bench.journal.release()
        await changing
        assert bench.core.gate.limits == wanted


async def test_no_change_leaves_no_trace(tmp_path: Path) -> None:
    async with running(tmp_path, limits=DAILY) as bench:
        before = len(bench.journal.events)
        same = SafetyLimits(max_daily_loss=Decimal("300.00"))
        assert await bench.engine.operator.change_limits(same, by="ann") == ()
        assert len(bench.journal.events) == before


async def test_what_waits_in_the_queue_is_judged_by_the_new_limits(tmp_path: Path) -> None:
    async with running(tmp_path, limits=DAILY) as bench:
        bench.broker.answers.append(Scripted.NEVER)
        first = await bench.send(buy("0.10"))
        await bench.broker.until(lambda: bool(bench.broker.waiting))
        waiting = await bench.send(buy("0.20"))
        await bench.ack(waiting)
        await bench.engine.operator.change_limits(
            replace(DAILY, max_volume_per_order=Decimal("0.1")), by="ann"
        )
        bench.broker.resolve(first.command_id, Execution(ExecutionState.REJECTED, 10006))
        assert (await bench.result(waiting)).code == "VOLUME_TOO_LARGE"


async def test_a_tighter_loss_limit_that_is_passed_already_latches_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        account = bench.broker.account
        bench.broker.account = replace(account, equity=account.equity - 100)
        bench.broker.emit_heartbeat()
        assert not bench.core.gate.tripped
        await bench.engine.operator.change_limits(SafetyLimits(max_daily_loss=Decimal(100)), by="ann")
        assert list(bench.core.gate.tripped) == ["daily_loss"]


async def test_the_rate_and_the_stop_and_the_lost_brain_follow_too(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        wanted = SafetyLimits(
            max_orders_per_minute=1, stop_closes_positions=True, on_brain_lost=OnBrainLost.CLOSE_ALL
        )
        await bench.engine.operator.change_limits(wanted, by="ann")
        await bench.result(await bench.send())
        assert (await bench.ack(await bench.send())).code == "RATE_LIMITED"
        await bench.engine.operator.stop(reason="test", by="me")
        await bench.until(lambda: bool(bench.channel.sent))
        assert bench.channel.sent[0]["close_positions"] is True


async def test_the_first_start_only_notes_the_limits(tmp_path: Path) -> None:
    async with running(tmp_path, limits=DAILY) as bench:
        assert changes(bench) == []
        assert alerts(bench, "LIMITS_LOOSENED") == []
        assert sum(isinstance(event, LimitsInForce) for event in bench.journal.events) == 1


async def test_a_limit_loosened_between_two_runs_is_journalled_and_said_once(tmp_path: Path) -> None:
    async with running(tmp_path, limits=DAILY) as bench:
        journal = bench.journal
        await bench.engine.operator.change_limits(replace(DAILY, max_positions=3), by="ann")
    journal.closed = False
    wider = SafetyLimits(max_daily_loss=None, max_positions=2)
    async with running(tmp_path, limits=wider, journal=journal) as bench:
        assert changes(bench)[1:] == [
            ("max_positions", "3", "2", "configuration file", "differs from the last run"),
            ("max_daily_loss", "300", "off", "configuration file", "differs from the last run"),
        ]
        (alert,) = alerts(bench, "LIMITS_LOOSENED")
        assert "max_daily_loss 300 → off" in alert.message
        assert "max_positions" not in alert.message
    journal.closed = False
    async with running(tmp_path, limits=wider, journal=journal) as bench:
        assert len(alerts(bench, "LIMITS_LOOSENED")) == 1
        assert len(changes(bench)) == 3
