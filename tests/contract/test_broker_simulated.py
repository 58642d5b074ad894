"""The executor's way to a terminal, against the simulated terminal in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.broker_contract import TerminalContract
from tests.contract.terminals import SimulatedTerminalProcess, started


@pytest.mark.processes
class TestSimulatedTerminal(TerminalContract):
    @pytest.fixture
    async def terminal(self, tmp_path: Path) -> AsyncIterator[SimulatedTerminalProcess]:
        async with started(SimulatedTerminalProcess(tmp_path)) as terminal:
            yield terminal
