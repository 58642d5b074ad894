"""The contract of every terminal, kept by the compiled EA behind the executor's own adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.broker_contract import TerminalContract
from tests.contract.terminals import started

from .contract_terminal import EaTerminal


@pytest.mark.processes
class TestMedulla(TerminalContract):
    @pytest.fixture
    async def terminal(self, tmp_path: Path) -> AsyncIterator[EaTerminal]:
        async with started(EaTerminal(tmp_path)) as terminal:
            yield terminal
