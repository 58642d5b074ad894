"""What the engine does when the brain speaks or falls silent: sessions, STATE, stops from afar, silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.commands import CancelOrder, ClosePosition
from app.domain.events import BrainSessionClosed, BrainSessionOpened
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.limits import OnBrainLost, SafetyLimits
from app.domain.results import Outcome
from app.domain.trading_state import Actor, TradingState
from app.domain.values import Symbol, Ticket
from app.engine.ports import AlertReport, BrainListener, ResultReport, StateReport
from tests.domain.making import order, position
from tests.engine.bench import Bench, running
from tests.fakes.broker import FakeBroker


def alerts(bench: Bench) -> list[str]:
    return [alert.code for alert in bench.link.of(AlertReport)]


def brain(bench: Bench) -> BrainListener:
    assert bench.link.listener is not None
    return bench.link.listener


# ------------------------------------------------------------------ sessions


async def test_sessions_are_written_down(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.link.disconnect("gone")
        await bench.link.connect("s_2", plain=True)
        await bench.settle()
        opened = [event for event in bench.journal.events if isinstance(event, BrainSessionOpened)]
        closed = [event for event in bench.journal.events if isinstance(event, BrainSessionClosed)]
        assert [(event.session_id, event.plain, event.clock_offset) for event in opened] == [
            ("s_1", False, 0.0),
            ("s_2", True, None),
        ]
        assert [(event.session_id, event.reason) for event in closed] == [("s_1", "gone")]


async def test_the_outbox_goes_first_then_state_on_every_connection(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        command = await bench.send()
        await bench.result(command)
        await bench.link.disconnect()
        bench.link.sent.clear()
        await bench.link.connect("s_2")
        kinds = [
            type(message) for message in bench.link.sent if isinstance(message, ResultReport | StateReport)
        ]
        assert kinds == [ResultReport, StateReport]


async def test_what_finished_while_the_brain_was_away_waits_for_it(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.link.disconnect()
        command = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        await bench.settle()
        assert bench.results(command) == []
        await bench.link.connect("s_2")
        assert (await bench.result(command)).outcome is Outcome.EXECUTED
        await brain(bench).on_results_stored([command.command_id])
        await bench.pass_time(0.3)
        await bench.link.disconnect()
        bench.link.sent.clear()
        await bench.link.connect("s_3")
        assert bench.results(command) == []


async def test_a_skewed_clock_is_said(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.link.disconnect()
        await bench.link.connect("s_2", offset=2.0)
        assert "CLOCK_SKEW" not in alerts(bench)
        await bench.link.disconnect()
        await bench.link.connect("s_3", offset=-2.1)
        assert alerts(bench).count("CLOCK_SKEW") == 1


async def test_a_refused_link_is_a_critical_alert(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await brain(bench).on_brain_refused("KEY_REFUSED", "the brain refuses this key")
        assert [(alert.severity, alert.code) for alert in bench.core.alerts.views] == [
            ("critical", "KEY_REFUSED")
        ]


# ------------------------------------------------------------------ state


async def test_state_tells_what_is_open_what_finished_and_what_is_held(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.positions, broker.orders = [position(4)], [order(9)]
    async with running(tmp_path, broker=broker) as bench:
        bench.broker.answers.append(Execution(ExecutionState.UNKNOWN, 10012))
        doubtful = await bench.send()
        await bench.result(doubtful)
        bench.broker.findings[doubtful.command_id] = Finding("sent", None, None, True, True)
        done = await bench.send(ClosePosition(Ticket(4)))
        await bench.result(done)
        await brain(bench).on_state_wanted("r-1")
        state = bench.link.of(StateReport)[-1]
        assert state.request_id == "r-1"
        assert [(brief.command_id, brief.state) for brief in state.unresolved] == [
            (doubtful.command_id, "UNKNOWN")
        ]
        assert [(brief.command_id, brief.state) for brief in state.recent] == [(done.command_id, "EXECUTED")]
        assert {one.ticket for one in state.positions} == {4}
        assert {one.ticket for one in state.orders} == {9}
        assert (state.status, state.account) == (bench.core.latch.status, bench.core.book.account)


# ------------------------------------------------------------------ stops from afar


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("closing", [True, False])
@pytest.mark.parametrize("unsigned_allowed", [True, False])
async def test_every_stop_is_obeyed_and_closing_positions_needs_a_signature(
    tmp_path: Path, signed: bool, closing: bool, unsigned_allowed: bool
) -> None:
    async with running(tmp_path) as bench:
        bench.core.options = replace(bench.core.options, unsigned_allowed=unsigned_allowed)
        await brain(bench).on_emergency_stop("from afar", closing, signed)
        status = bench.core.latch.status
        assert (status.state, status.reason, status.by) == (
            TradingState.HALTED,
            "brain: from afar",
            Actor.BRAIN,
        )
        await bench.until(lambda: bool(bench.channel.sent))
        expected = closing and (signed or unsigned_allowed)
        assert bench.channel.sent[0]["close_positions"] is expected


# ------------------------------------------------------------------ silence


async def test_60_seconds_of_silence_lose_the_brain_until_a_fresh_session(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.link.heard = bench.clock.monotonic()
        await bench.pass_time(59.9, step=1)
        assert not bench.core.links.brain_lost
        await bench.pass_time(0.2)
        assert bench.core.links.brain_lost
        assert alerts(bench).count("BRAIN_LOST") == 1
        bench.price("EURUSD", "1.10000", "1.10010")
        entry = await bench.send()
        assert (await bench.result(entry)).code == "BRAIN_LOST"
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        assert (await bench.result(exit_)).outcome is Outcome.EXECUTED
        bench.link.heard = bench.clock.monotonic()
        await bench.pass_time(1)
        assert bench.core.links.brain_lost  # a sign of life is no fresh session
        await bench.link.disconnect()
        await bench.link.connect("s_2")
        entry = await bench.send()
        assert (await bench.result(entry)).outcome is Outcome.EXECUTED


async def test_a_brain_that_was_never_heard_is_not_lost(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.pass_time(100, step=1)
        assert not bench.core.links.brain_lost


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (OnBrainLost.HOLD, []),
        (OnBrainLost.CANCEL_ORDERS, [CancelOrder(Ticket(9))]),
        (OnBrainLost.CLOSE_ALL, [CancelOrder(Ticket(9)), ClosePosition(Ticket(7))]),
    ],
)
async def test_what_the_operator_chose_for_a_lost_brain(
    tmp_path: Path, choice: OnBrainLost, expected: list[object]
) -> None:
    broker = FakeBroker()
    broker.orders, broker.positions = [order(9), order(10)], [position(7), position(8)]
    async with running(tmp_path, broker=broker, limits=SafetyLimits(on_brain_lost=choice)) as bench:
        # 10 and 8 are of a person or another program.
        bench.core.gate.strategies.own(None, Ticket(9), Ticket(7))
        bench.link.heard = bench.clock.monotonic()
        await bench.pass_time(62, step=1)
        assert [sent.command.action for sent in bench.broker.sent] == expected


async def test_silence_is_said_once_a_session(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        for _ in range(3):
            await brain(bench).on_brain_degraded(16.0)
        assert alerts(bench) == ["BRAIN_SILENT"]
        await bench.link.disconnect()
        await bench.link.connect("s_2")
        await brain(bench).on_brain_degraded(16.0)
        assert alerts(bench) == ["BRAIN_SILENT", "BRAIN_BACK", "BRAIN_SILENT"]


async def test_what_a_heartbeat_carries(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.positions = [position(4)]
    async with running(tmp_path, broker=broker) as bench:
        await bench.result(await bench.send())
        metrics = brain(bench).heartbeat_metrics()
        assert (metrics["queueDepth"], metrics["openPositions"], metrics["floating"]) == (0, 1, 0)
        assert metrics["dailyProfit"] == 0
        assert set(metrics["latencyMs"]) == {"queue", "broker", "total"}
        assert metrics["links"] == {"terminal": "up", "ready": True}


async def test_a_symbol_that_is_not_known_is_said(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await brain(bench).on_subscribe([Symbol("EURUSD"), Symbol("NOSUCH")], 100)
        assert alerts(bench) == ["SYMBOL_UNKNOWN"]
        assert list(bench.core.market.subscribed) == ["EURUSD", "NOSUCH"]
        await brain(bench).on_unsubscribe([Symbol("NOSUCH")])
        assert list(bench.core.market.subscribed) == ["EURUSD"]


async def test_an_order_that_cannot_be_cancelled_keeps_none_of_the_others(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.orders, broker.positions = [order(9), order(10)], [position(7)]
    limits = SafetyLimits(on_brain_lost=OnBrainLost.CLOSE_ALL)
    async with running(tmp_path, broker=broker, limits=limits) as bench:
        bench.core.gate.strategies.own(None, Ticket(9), Ticket(10), Ticket(7))
        bench.broker.answers.append(Execution(ExecutionState.REJECTED, 10018, message="market closed"))
        bench.link.heard = bench.clock.monotonic()
        await bench.pass_time(62, step=1)
        acts = [sent.command.action for sent in bench.broker.sent]
        assert acts == [CancelOrder(Ticket(9)), CancelOrder(Ticket(10)), ClosePosition(Ticket(7))]
        assert alerts(bench).count("BRAIN_LOST") == 1
        [undone] = [alert for alert in bench.core.alerts.views if alert.code == "BRAIN_LOST_UNDONE"]
        assert "1 of 3" in undone.message
