"""The contract of every terminal, kept by the compiled EA behind the executor's own adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.broker_contract import TerminalContract, ZmqRig, running, zmq_broker
from tests.fakes.broker_listener import RecordingListener

from .contract_terminal import EaTerminal


@pytest.mark.processes
class TestMedulla(TerminalContract):
    @pytest.fixture
    async def terminal(self, tmp_path: Path) -> AsyncIterator[EaTerminal]:
        terminal = EaTerminal(tmp_path)
        try:
            await terminal.start()
            yield terminal
        finally:
            terminal.close()

    @pytest.fixture
    async def rig(self, terminal: EaTerminal) -> AsyncIterator[ZmqRig]:
        rig = ZmqRig(terminal, zmq_broker(terminal), RecordingListener())
        async with running(rig.broker, rig.heard):
            yield rig
