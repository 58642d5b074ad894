"""How long the way executor -> Expert Advisor -> executor takes, with the terminal's 15 ms timer, and what the EA costs idle.

The EA is the real source compiled for this machine, with libzmq and without. The numbers are printed (`pytest -s`) and kept in
docs/ea-bench.md; what is asserted is only what no machine may miss by a wide margin.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.commands import ClosePosition, OpenPosition
from app.domain.execution import ExecutionState
from app.domain.values import Ticket
from tests.benchmarks.round_trip import GENEROUS, measure
from tests.contract.broker_contract import EURUSD, TERMS, ZmqRig, command, open_, rig_at, ticket_of
from tests.contract.terminals import started
from tests.mql5_host.contract_terminal import EaTerminal
from tests.mql5_host.host import FRONTS

IDLE = 5.0
BEHIND = 500

pytestmark = pytest.mark.processes


@pytest.fixture(params=FRONTS)
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[ZmqRig]:
    terminal = EaTerminal(tmp_path, str(request.param), {"InpMaxOrdersPerMinute": 0}, remembers=False)
    async with started(terminal), rig_at(terminal) as rig:
        await rig.up()
        yield rig


def front(rig: ZmqRig) -> str:
    return "Medulla" if rig.terminal.transport == "connect" else "MedullaNoDll"


async def test_a_question(rig: ZmqRig) -> None:
    measured = await measure(lambda _: rig.broker.symbol(EURUSD))
    print("\n" + measured.line(f"{front(rig)}: question (symbol)"))
    assert measured.p50 < GENEROUS


async def test_a_trade_with_its_ledger(rig: ZmqRig) -> None:
    """An opening and a closing by turns, so that the account stays small."""
    held: list[Ticket] = []

    async def trade(number: int) -> None:
        action = ClosePosition(held.pop()) if held else open_("0.01")
        execution = await rig.broker.send(command(f"t{number}", action), TERMS)
        assert execution.state is ExecutionState.DONE
        if isinstance(action, OpenPosition):
            held.append(ticket_of(execution))

    measured = await measure(trade)
    print("\n" + measured.line(f"{front(rig)}: trade (with its ledger)"))
    assert measured.p50 < GENEROUS


async def test_a_stop_behind_waiting_commands(rig: ZmqRig) -> None:
    """Each command takes the broker 20 ms; the stop's connection is warm, as the executor's stop thread keeps it."""
    with rig.stop_channel() as channel:
        while not await asyncio.to_thread(channel.keep_warm, 1.0):
            pass
        await rig.terminal.slow_down(20)
        answers = [rig.broker.send(command(f"c{number}", open_("0.01")), TERMS) for number in range(BEHIND)]
        await answers[0]
        began = time.perf_counter()
        acknowledged, detail = await rig.stop(channel)
        took = time.perf_counter() - began
    assert acknowledged, detail
    print(f"\n{front(rig)}: stop acknowledged behind {BEHIND} commands of 20 ms: {took * 1e3:.0f} ms")
    assert took < 2.5
    await asyncio.gather(*answers)


async def test_idle(rig: ZmqRig) -> None:
    """With a session, its heartbeats, and nothing to do."""
    before, beats = _cpu(rig), len(rig.heard.heartbeats)
    began = time.perf_counter()
    await rig.heard.until(lambda: len(rig.heard.heartbeats) >= beats + 2 * IDLE, timeout=60)
    share = (_cpu(rig) - before) / (time.perf_counter() - began)
    print(f"\n{front(rig)}: CPU of the EA with an idle session: {share * 100:.1f} %")
    assert share < 0.5


def _cpu(rig: ZmqRig) -> float:
    """Seconds of CPU that the EA's process has used, from the system's own book (Linux)."""
    assert isinstance(rig.terminal, EaTerminal)
    fields = Path(f"/proc/{rig.terminal.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
