"""Terminals and executors for the tests of the Expert Advisor: processes that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .build import EA_FOLDER, build
from .executor import Executor, Link
from .host import FRONTS, HostTerminal, default_flavour


@dataclass(slots=True)
class Rig:
    """A running EA with an executor that has a session."""

    terminal: HostTerminal
    link: Link
    executor: Executor

    def stop_session(self, name: str = "stop") -> Executor:
        return Executor(self.link, "stop", name=name, epoch=self.executor.epoch).connect()

    def fresh_session(self, **options: Any) -> Executor:
        """The same executor greets again."""
        self.executor = Executor(self.link, instance=self.executor.instance, **options).connect()
        return self.executor

    def restart(self) -> Executor:
        """The process begins again after it ended or crashed."""
        self.terminal.kill()
        self.link.forget_peers()
        self.terminal.start()
        return self.fresh_session(epoch=self.executor.epoch)


RigMaker = Callable[..., Rig]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile before the first test and outside its time limit; nothing to do when the sources are as they were."""
    here = Path(__file__).parent
    wanted = any(
        item.path.is_relative_to(here) and item.get_closest_marker("processes") for item in session.items
    )
    if wanted and not session.config.option.collectonly:
        for name in FRONTS:
            build(EA_FOLDER / f"{name}.mq5", default_flavour())


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[RigMaker]:
    """Make a terminal with the inputs given; `front` may be named, a session is opened unless `connect=False`."""
    with ExitStack() as stack:
        count = 0

        def make(front: str = "Medulla", *, connect: bool = True, epoch: int = 0, **inputs: object) -> Rig:
            nonlocal count
            count += 1
            terminal = HostTerminal(tmp_path / f"terminal{count}", front, inputs=inputs)
            stack.callback(terminal.close)
            terminal.start()
            link = stack.enter_context(Link(terminal))
            executor = Executor(link, epoch=epoch)
            if connect:
                executor.connect()
            return Rig(terminal, link, executor)

        yield make


@pytest.fixture
def rig(make_rig: RigMaker, front: str) -> Rig:
    """Both fronts, one after the other."""
    return make_rig(front)


@pytest.fixture
def zmq_rig(make_rig: RigMaker) -> Rig:
    """The front with libzmq alone: for what does not depend on the transport."""
    return make_rig("Medulla")
