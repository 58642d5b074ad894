"""Fixtures of the end-to-end tests, and the processes' words beside every failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness import World
from .scripted_brain import Manners

MakeWorld = Callable[..., World]


@pytest.fixture(scope="module")
def module_worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorld]:
    """Makes worlds that several tests of a file share."""
    yield from _worlds(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes worlds for one test."""
    yield from _worlds(tmp_path)


def _worlds(folder: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(manners: Manners | None = None) -> World:
        world = World(folder / f"world{len(made)}", manners=manners)
        made.append(world)
        return world

    try:
        yield make
    finally:
        for world in made:
            world.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Iterator[None]:  # type: ignore[misc]
    report = yield
    if report.failed:
        for fixture in item.funcargs.values():
            if isinstance(fixture, World):
                report.sections.extend(fixture.words())
    return report
