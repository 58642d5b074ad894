"""How long the way to the terminal and back takes, through real sockets to the simulated terminal in another process.

The numbers are printed (`pytest -s`); what is asserted is only what no machine may miss by a wide margin.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.commands import ModifyPosition
from app.domain.execution import ExecutionState
from app.domain.values import Price
from tests.benchmarks.round_trip import GENEROUS, ROUNDS, measure
from tests.contract.broker_contract import EURUSD, TERMS, ZmqRig, command, open_, rig_at, ticket_of
from tests.contract.terminals import SimulatedTerminalProcess, started

pytestmark = pytest.mark.processes


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ZmqRig]:
    terminal = SimulatedTerminalProcess(tmp_path, ["--balance", "100000000"])
    async with started(terminal), rig_at(terminal) as rig:
        await rig.up()
        yield rig


async def test_a_question(rig: ZmqRig) -> None:
    measured = await measure(lambda _: rig.broker.symbol(EURUSD))
    print("\n" + measured.line("question (symbol)"))
    assert measured.p50 < GENEROUS


async def test_a_trade_with_its_ledger(rig: ZmqRig) -> None:
    async def trade(number: int) -> None:
        execution = await rig.broker.send(command(f"t{number}", open_("0.01")), TERMS)
        assert execution.state is ExecutionState.DONE

    measured = await measure(trade)
    print("\n" + measured.line("trade (open, ledger and event)"))
    assert measured.p50 < GENEROUS


async def test_an_amendment(rig: ZmqRig) -> None:
    ticket = ticket_of(await rig.do("c1", open_()))
    prices = (Price("1.01"), Price("1.02"))

    async def amend(number: int) -> None:
        execution = await rig.do(f"m{number}", ModifyPosition(ticket, stop_loss=prices[number % 2]))
        assert execution.state is ExecutionState.DONE

    measured = await measure(amend)
    print("\n" + measured.line("amendment (stop loss)"))
    assert measured.p50 < GENEROUS


async def test_trades_in_flight_together(rig: ZmqRig) -> None:
    began = time.perf_counter()
    answers = [rig.broker.send(command(f"b{number}", open_("0.01")), TERMS) for number in range(ROUNDS)]
    for answer in answers:
        assert (await answer).state is ExecutionState.DONE
    took = time.perf_counter() - began
    print(f"\n{ROUNDS} trades handed over at once: {ROUNDS / took:.0f} a second")
    assert took < ROUNDS * GENEROUS
