"""Campaigns against an executor played by hand: every command is counted once, and time is measured from sending to result."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from app.brain.campaign import Campaign, CampaignReport, Latency, report_of
from app.brain.clock import MachineClock
from app.brain.signals import Command, Signal
from app.brain.strategies.load import LoadStrategy
from app.domain.commands import OpenPosition
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome
from app.domain.values import Side, Symbol, Ticket, Volume
from tests.brain.conftest import Brain
from tests.brain.hand_executor import EXECUTOR, HandExecutor, Player, executor, outcome_of

EURUSD = Symbol("EURUSD")


class Openings:
    """A source of nothing but small openings."""

    def __init__(self, expiry: int = 30_000) -> None:
        self.expiry = expiry
        self.results: list[Outcome] = []

    def has_prices(self) -> bool:
        return True

    def next_signal(self) -> Signal | None:
        return Signal(OpenPosition(EURUSD, Side.BUY, Volume("0.01")), "openings", expiry=self.expiry)

    def on_quote(self, quote: Quote) -> None: ...

    def on_result(self, command: Command, result: CommandResult) -> None:
        self.results.append(result.outcome)

    def on_ended(self, command: Command) -> None: ...


def campaign(brain: Brain, source: Openings | LoadStrategy, commands: int, **options: float) -> Campaign:
    return Campaign(
        brain.server,
        EXECUTOR,
        source,
        MachineClock(),
        commands=commands,
        rate=options.get("rate"),
        window=int(options.get("window", 16)),
        timeout=options.get("timeout", 10.0),
    )


def fates(report: CampaignReport) -> dict[str, int]:
    wire = report.to_wire()
    names = "executed partial rejected expired withdrawn stopped operator unknown refused unanswered not_sent unsettled"
    return {name: wire[name] for name in names.split() if wire[name]}


async def test_every_fate_is_counted_once_and_unknown_until_it_is_settled(brain: Brain) -> None:
    source = Openings()
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(campaign(brain, source, 7, window=7).run())
            ids = [(await hand.until("TRADE_SIGNAL")).command_id for _ in range(7)]
            await hand.ack(ids[0], "REJECTED", "RATE_LIMITED")
            for command_id in ids[1:]:
                await hand.ack(command_id)
            await hand.result(outcome_of(ids[1], ticket=Ticket(1)))
            await hand.result(outcome_of(ids[2], Outcome.PARTIAL, ticket=Ticket(2), volume=Decimal("0.01")))
            await hand.result(outcome_of(ids[3], Outcome.REJECTED, code="MAX_EXPOSURE"))
            await hand.result(outcome_of(ids[4], Outcome.EXPIRED, code="EXPIRED"))
            await hand.result(outcome_of(ids[5], Outcome.UNKNOWN, code="OUTCOME_UNKNOWN"))
            await hand.result(outcome_of(ids[6], Outcome.UNKNOWN, code="OUTCOME_UNKNOWN"))
            await hand.result(outcome_of(ids[1], ticket=Ticket(1)))  # repeated
            await hand.result(outcome_of(ids[5], ticket=Ticket(5), reconciled=True))
            await brain.watcher.until(lambda: len(brain.watcher.results) == 7)
            assert not running.done()
            await hand.result(outcome_of(ids[6], Outcome.OPERATOR, reconciled=True))
            report = await running
    assert fates(report) == {
        "refused": 1,
        "executed": 2,
        "partial": 1,
        "rejected": 1,
        "expired": 1,
        "operator": 1,
    }
    assert (report.commands, report.accepted, report.reconciled, report.repeated_results) == (7, 6, 2, 1)
    assert report.complete
    assert report.codes == {"RATE_LIMITED": 1, "MAX_EXPOSURE": 1, "EXPIRED": 1}
    assert source.results.count(Outcome.UNKNOWN) == 2


async def test_a_run_that_stands_still_ends_and_says_what_is_missing(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(campaign(brain, Openings(), 3, timeout=0.3).run())
            ids = [(await hand.until("TRADE_SIGNAL")).command_id for _ in range(3)]
            await hand.ack(ids[0])
            await hand.ack(ids[1])
            await hand.ack(ids[2])
            await hand.result(outcome_of(ids[0]))
            await hand.result(outcome_of(ids[1], Outcome.UNKNOWN))
            report = await running
    assert fates(report) == {"executed": 1, "unknown": 1, "unsettled": 1}
    assert not report.complete


async def test_the_window_bounds_what_is_unanswered(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        async with asyncio.TaskGroup() as tasks:
            run = campaign(brain, Openings(), 6, window=2)
            running = tasks.create_task(run.run())
            for _ in range(3):
                pair = [(await hand.until("TRADE_SIGNAL")).command_id for _ in range(2)]
                assert len([c for c in run.commands if not c.outcomes]) == 2
                for command_id in pair:
                    await hand.result(outcome_of(command_id))
            report = await running
    assert fates(report) == {"executed": 6}


async def test_the_load_mix_runs_to_its_end_and_is_measured(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        await hand.quote("EURUSD", "1.10000", "1.10002")
        player = Player(hand)
        load = LoadStrategy([EURUSD], seed=5)
        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(player.run(120))
            running = tasks.create_task(campaign(brain, load, 120, rate=400).run())
            await hand.quote("EURUSD", "1.10000", "1.10002")
            await playing
            report = await running
    assert fates(report) == {"executed": 120}
    assert (report.accepted, report.resent) == (120, 0)
    assert report.result.p50 is not None
    assert report.ack.p50 is not None
    assert report.ack.p50 > 0
    assert 0 < report.result.p50 <= (report.result.p99 or 0) <= (report.result.largest or 0)
    assert sum(report.actions.values()) == 120
    assert 0 < report.commands_per_s <= 1000
    assert await brain.store.counts(EXECUTOR) == {"executed": 120}


async def test_a_run_goes_on_over_a_lost_connection(brain: Brain) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(campaign(brain, Openings(), 6, window=3).run())
        async with executor(brain.port, brain.keys) as hand:
            await hand.ready()
            lost = [await hand.until("TRADE_SIGNAL") for _ in range(3)]
        async with executor(brain.port, brain.keys) as hand:
            await hand.ready()
            answered: set[str] = set()
            while len(answered) < 6:
                answered.add(await answer_one(hand))
            report = await running
    assert {each.command_id for each in lost} < answered
    assert fates(report) == {"executed": 6}
    assert report.resent >= 3


async def answer_one(hand: HandExecutor) -> str:
    received = await hand.until("TRADE_SIGNAL")
    await hand.ack(received.command_id)
    await hand.result(outcome_of(received.command_id, ticket=Ticket(3)))
    return received.command_id


def test_percentiles_are_nearest_ranks() -> None:
    latency = Latency.of(n * 1_000_000 for n in range(100, 0, -1))
    assert (latency.p50, latency.p95, latency.p99, latency.largest) == (50.0, 95.0, 99.0, 100.0)
    assert Latency.of([]) == Latency(None, None, None, None)
    assert Latency.of([2_000_000]).p99 == 2.0


def test_an_empty_run_is_a_report_of_nothing() -> None:
    report = report_of([])
    assert (report.commands, report.seconds, report.commands_per_s) == (0, 0.0, 0.0)


@pytest.mark.parametrize("wrong", [{"commands": 0}, {"window": 0}, {"rate": 0.0}])
async def test_a_run_needs_sense(brain: Brain, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        campaign(brain, Openings(), int(wrong.pop("commands", 1)), **wrong)
