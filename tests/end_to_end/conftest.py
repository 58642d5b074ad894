"""Fixtures of the end-to-end tests, and the processes' words beside every failure."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .harness import World
from .scripted_brain import Manners


class MakeWorld:
    """Call it for a new world; all of them end with the fixture."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[World] = []

    def __call__(self, manners: Manners | None = None) -> World:
        world = World(self._folder / f"world{len(self.made)}", manners=manners)
        self.made.append(world)
        return world

    def close(self) -> None:
        for world in self.made:
            world.close()


@pytest.fixture(scope="module")
def module_worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorld]:
    """Makes worlds that several tests of a file share."""
    worlds = MakeWorld(tmp_path_factory.mktemp("shared"))
    yield worlds
    worlds.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes worlds for one test."""
    worlds = MakeWorld(tmp_path)
    yield worlds
    worlds.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for fixture in item.funcargs.values():
            worlds = fixture.made if isinstance(fixture, MakeWorld) else [fixture]
            for world in worlds:
                if isinstance(world, World):
                    report.sections.extend(world.words())
    return report
