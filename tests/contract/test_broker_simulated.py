"""The executor's way to a terminal, against the simulated terminal in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.broker_contract import TerminalContract, ZmqRig, running, zmq_broker
from tests.contract.terminals import SimulatedTerminalProcess
from tests.fakes.broker_listener import RecordingListener


@pytest.mark.processes
class TestSimulatedTerminal(TerminalContract):
    @pytest.fixture
    async def terminal(self, tmp_path: Path) -> AsyncIterator[SimulatedTerminalProcess]:
        terminal = SimulatedTerminalProcess(tmp_path)
        try:
            await terminal.start()
            yield terminal
        finally:
            terminal.close()

    @pytest.fixture
    async def rig(self, terminal: SimulatedTerminalProcess) -> AsyncIterator[ZmqRig]:
        rig = ZmqRig(terminal, zmq_broker(terminal), RecordingListener())
        async with running(rig.broker, rig.heard):
            yield rig
