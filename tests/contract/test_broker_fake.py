"""The scripted broker keeps the port's promises, so that engine tests prove something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.contract.broker_contract import PortContract, running
from tests.fakes.broker import FakeBroker, Scripted
from tests.fakes.broker_listener import RecordingListener


@dataclass(slots=True)
class FakeRig:
    broker: FakeBroker
    heard: RecordingListener

    async def up(self) -> None:
        await self.heard.until(lambda: self.heard.ups)

    async def take_terminal_away(self) -> None:
        self.broker.go_down()

    async def hold_answers(self) -> None:
        self.broker.answers.append(Scripted.NEVER)


class TestFakeBroker(PortContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[FakeRig]:
        rig = FakeRig(FakeBroker(), RecordingListener())
        async with running(rig.broker, rig.heard):
            yield rig
