"""The kill tests again, with the Expert Advisor compiled for this machine in place of the simulated terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mql5_host.host import FRONTS

from .conftest import MakeWorld
from .ea_world import EaWorld
from .scripted_brain import Manners
from .test_kill import (
    test_the_brain_is_killed,
    test_the_executor_is_killed,
    test_the_terminal_is_killed,
)

__all__ = ["test_the_brain_is_killed", "test_the_executor_is_killed", "test_the_terminal_is_killed"]

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


class MakeEaWorld(MakeWorld):
    """Worlds with an Expert Advisor."""

    def __init__(self, folder: Path, front: str) -> None:
        super().__init__(folder)
        self._front = front

    def __call__(self, manners: Manners | None = None) -> EaWorld:
        world = EaWorld(self._folder / f"world{len(self.made)}", self._front, manners=manners)
        world.executor_module = "tests.end_to_end.impatient"
        self.made.append(world)
        return world


@pytest.fixture(params=FRONTS)
def make_world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeEaWorld]:
    worlds = MakeEaWorld(tmp_path, str(request.param))
    yield worlds
    worlds.close()
