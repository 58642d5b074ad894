"""Limits per strategy in the engine: what belongs to whom, over answers, events and a restart; each strategy's own latch."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.domain.commands import ClosePosition, PlaceOrder, TradeCommand
from app.domain.events import LimitTripped
from app.domain.execution import Execution, ExecutionState
from app.domain.limits import SafetyLimits, StrategyLimits
from app.domain.results import Outcome
from app.domain.values import OrderKind, Price, Symbol, Ticket, Volume
from app.engine.outcomes import tag_of
from tests.domain.making import deal, position
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import FakeBroker, Scripted, quote

deal_tickets = itertools.count(20_001)


def limits(**own: Any) -> SafetyLimits:
    return SafetyLimits(strategies=(StrategyLimits("alpha", **own),))


async def opened(
    bench: Bench, strategy: str | None = "alpha", volume: str = "0.10"
) -> tuple[TradeCommand, Ticket]:
    """An entry whose position the live picture shows."""
    command = await bench.send(buy(volume), strategy_id=strategy)
    result = await bench.result(command)
    assert result.outcome is Outcome.EXECUTED
    assert result.ticket is not None
    held = position(
        int(result.ticket), volume, comment=f"{tag_of(command.command_id)}-x", opened_at=bench.broker.time
    )
    bench.broker.positions.append(held)
    bench.broker.emit_trade_event(
        "deal",
        command_id=command.command_id,
        position_ticket=held.ticket,
        position=held,
        deal=deal(int(held.ticket) + 900, volume, position=held.ticket, entry="in", time=bench.broker.time),
    )
    return command, held.ticket


def closed(bench: Bench, ticket: Ticket, profit: str) -> None:
    """Its stop loss was hit: no command of ours."""
    bench.broker.positions = [held for held in bench.broker.positions if held.ticket != ticket]
    made = deal(
        next(deal_tickets),
        position=ticket,
        profit=Decimal(profit),
        entry="out",
        comment="[sl]",
        time=bench.broker.time,
    )
    bench.broker.deals.append(made)
    bench.broker.emit_trade_event("deal", position_ticket=ticket, position=None, deal=made)


async def code(bench: Bench, strategy: str | None = "alpha", volume: str = "0.10") -> str | None:
    return (await bench.result(await bench.send(buy(volume), strategy_id=strategy))).code


async def test_what_a_strategy_opened_counts_for_it_alone(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_positions=2, max_volume_total=Decimal("0.35"))) as bench:
        await opened(bench, "beta", "5.00")
        await opened(bench, "alpha", "0.20")
        assert await code(bench, "alpha", "0.16") == "MAX_EXPOSURE"
        await opened(bench, "alpha", "0.15")
        assert await code(bench, "alpha", "0.01") == "MAX_EXPOSURE"
        assert await code(bench, "beta", "0.10") is None
        assert await code(bench, None, "0.10") is None


async def test_an_entry_under_way_and_one_answered_but_not_shown_count(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_positions=1)) as bench:
        first = await bench.send(buy(), strategy_id="alpha")
        assert (await bench.result(first)).outcome is Outcome.EXECUTED  # the picture does not show it yet
        assert await code(bench) == "MAX_POSITIONS"


async def test_a_pending_order_and_the_position_it_becomes_stay_the_strategys(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_positions=1)) as bench:
        action = PlaceOrder(Symbol("EURUSD"), OrderKind.BUY_LIMIT, Volume("0.10"), Price("1.09000"))
        placed = await bench.result(await bench.send(action, strategy_id="alpha"))
        ticket = placed.ticket
        assert ticket is not None
        held = position(8123)
        bench.broker.positions = [held]
        bench.broker.emit_trade_event(
            "order_triggered", order_ticket=ticket, order=None, position_ticket=held.ticket, position=held
        )
        assert bench.core.gate.strategies.owners[held.ticket] == "alpha"
        await bench.engine.terminal.refresh()
        assert await code(bench) == "MAX_POSITIONS"


async def test_after_a_restart_the_journal_knows_whose_they_are(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_positions=2)) as bench:
        _, by_ticket = await opened(bench)
        await opened(bench)
        journal, broker = bench.journal, FakeBroker()
        broker.positions = [
            replace(bench.broker.positions[0], comment="the broker's own words"),
            # On a broker that numbers positions anew only the comment tells.
            replace(bench.broker.positions[1], ticket=Ticket(99999), identifier=Ticket(99999)),
        ]
    journal.closed = False
    async with running(tmp_path, limits=limits(max_positions=2), journal=journal, broker=broker) as bench:
        assert bench.core.gate.strategies.owners == {by_ticket: "alpha", Ticket(99999): "alpha"}
        assert await code(bench) == "MAX_POSITIONS"
        assert await code(bench, "beta") is None


async def test_its_own_daily_loss_latches_and_leaves_the_others_alone(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_daily_loss=Decimal(50))) as bench:
        _, ticket = await opened(bench)
        closed(bench, ticket, "-49.99")
        assert await code(bench) is None
        _, ticket = await opened(bench)
        closed(bench, ticket, "-0.01")
        assert list(bench.core.gate.tripped) == ["daily_loss:alpha"]
        assert await code(bench) == "DAILY_LOSS_LIMIT"
        assert await code(bench, "beta") is None
        assert [event.limit for event in bench.journal.events if isinstance(event, LimitTripped)] == [
            "daily_loss:alpha"
        ]
        view = next(row for row in bench.engine.operator.snapshot().limits if row.name == "daily_loss:alpha")
        assert (view.state, view.now, view.limit) == ("latched", Decimal("50.00"), Decimal(50))
        assert view.explanation.startswith("strategy alpha: ")


async def test_a_floating_loss_of_the_strategy_trips_without_any_command(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_daily_loss=Decimal(50))) as bench:
        await opened(bench, "alpha", "1.00")
        bench.broker.emit_quote(
            quote(
                "EURUSD",
                "1.09951",
                "1.09961",
                at=bench.broker.time + timedelta(seconds=1),
                received=bench.clock.monotonic(),
            )
        )
        bench.broker.emit_heartbeat()
        assert not bench.core.gate.tripped
        bench.broker.emit_quote(
            quote(
                "EURUSD",
                "1.09950",
                "1.09960",
                at=bench.broker.time + timedelta(seconds=2),
                received=bench.clock.monotonic(),
            )
        )
        bench.broker.emit_heartbeat()
        assert list(bench.core.gate.tripped) == ["daily_loss:alpha"]


async def test_todays_losses_are_counted_again_after_a_restart(tmp_path: Path) -> None:
    own = limits(max_daily_loss=Decimal(50))
    async with running(tmp_path, limits=own) as bench:
        _, ticket = await opened(bench)
        closed(bench, ticket, "-40")
        journal, deals = bench.journal, bench.broker.deals
    journal.closed = False
    broker = FakeBroker()
    yesterday = replace(
        deals[0], ticket=Ticket(3), profit=Decimal(-999), time=deals[0].time - timedelta(days=1)
    )
    broker.deals = [yesterday, *deals]
    async with running(tmp_path, limits=own, journal=journal, broker=broker) as bench:
        assert bench.core.gate.strategy_profit("alpha") == Decimal(-40)
        _, ticket = await opened(bench)
        closed(bench, ticket, "-10")
        assert list(bench.core.gate.tripped) == ["daily_loss:alpha"]


async def test_a_new_day_of_the_broker_begins_at_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_daily_loss=Decimal(50))) as bench:
        _, ticket = await opened(bench)
        closed(bench, ticket, "-40")
        bench.clock.jump(86_400)
        assert bench.core.gate.strategy_profit("alpha") == 0


async def test_its_commands_per_minute_are_refused_at_the_door_and_exits_pass(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_orders_per_minute=2)) as bench:
        for _ in range(2):
            await bench.result(await bench.send(strategy_id="alpha"))
        assert (await bench.ack(await bench.send(strategy_id="alpha"))).code == "RATE_LIMITED"
        assert (await bench.ack(await bench.send(strategy_id="beta"))).status == "ACCEPTED"
        exit_ = await bench.send(ClosePosition(Ticket(5001)), strategy_id="alpha")
        assert (await bench.ack(exit_)).status == "ACCEPTED"


async def test_strangers_are_turned_away_at_the_door_if_so_wanted(tmp_path: Path) -> None:
    own = replace(limits(max_positions=9), strategies_only=True)
    async with running(tmp_path, limits=own) as bench:
        away = await bench.ack(await bench.send(strategy_id="beta"))
        assert (away.status, away.code) == ("REJECTED", "INVALID_COMMAND")
        assert away.message is not None
        assert away.message.startswith("strategyId: beta")
        assert (await bench.ack(await bench.send(strategy_id="alpha"))).status == "ACCEPTED"
        exit_ = await bench.send(ClosePosition(Ticket(5001)), strategy_id="beta")
        assert (await bench.ack(exit_)).status == "ACCEPTED"


async def test_limits_set_while_running_know_what_is_open_already(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        _, ticket = await opened(bench)
        closed(bench, ticket, "-30")
        await opened(bench)
        await bench.engine.operator.change_limits(
            limits(max_positions=1, max_daily_loss=Decimal(90)), by="ann"
        )
        await bench.until(lambda: bench.core.gate.strategy_profit("alpha") == Decimal(-30))
        assert await code(bench) == "MAX_POSITIONS"


async def test_an_unknown_outcome_keeps_counting_for_its_strategy(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(max_positions=1)) as bench:
        bench.broker.answers.append(Scripted.NEVER)
        doubtful = await bench.send(buy(symbol="XAUUSD"), strategy_id="alpha")
        await bench.until(lambda: bool(bench.broker.sent))
        bench.broker.resolve(doubtful.command_id, Execution(ExecutionState.UNKNOWN, 10012))
        assert (await bench.result(doubtful)).outcome is Outcome.UNKNOWN
        assert await code(bench) == "MAX_POSITIONS"
