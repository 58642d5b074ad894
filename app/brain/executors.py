"""Who is connected: the brain's register of executors, with what each last said of itself.

Facts only; sending is the session's work and deciding the strategies'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.brain.queue import CommandQueue


class Link(Protocol):
    """A live connection to an executor."""

    session_id: str

    def say(self, frame: str) -> bool:
        """Send a frame ahead of all waiting commands. False: the connection is over or does not take more."""

    def acknowledge_result(self, command_id: str) -> None:
        """Tell the executor that a result is stored."""

    def wake(self) -> None:
        """Look for commands to send."""


@dataclass(slots=True)
class Executor:
    """One executor: its queue, its connection if there is one, and its own last words."""

    executor_id: str
    queue: CommandQueue
    link: Link | None = None
    app_version: str = ""
    trading_state: str = ""
    epoch: int = 0
    accounts: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    connected_at: datetime | None = None
    last_heard: datetime | None = None
    sessions: int = 0
    ready: bool = False
    """Whether it takes new commands: it has sent its STATE since it connected."""

    @property
    def online(self) -> bool:
        return self.link is not None


@dataclass(frozen=True, slots=True)
class ExecutorStatus:
    """What a person asks about an executor. Times are UTC; `queued` are commands that it has not acknowledged."""

    executor_id: str
    online: bool
    ready: bool
    session_id: str | None
    connected_at: datetime | None
    last_heard: datetime | None
    trading_state: str
    epoch: int
    app_version: str
    queued: int


class ExecutorRegistry:
    """The executors that this brain knows, by id."""

    def __init__(self) -> None:
        self._executors: dict[str, Executor] = {}

    def add(self, executor: Executor) -> None:
        self._executors[executor.executor_id] = executor

    def find(self, executor_id: str) -> Executor | None:
        return self._executors.get(executor_id)

    def __iter__(self) -> Iterator[Executor]:
        return iter(self._executors.values())

    def connected(self, executor: Executor, link: Link, at: datetime) -> Link | None:
        """Register a new connection; returns the one that it replaces (the newest wins)."""
        replaced = executor.link
        executor.link = link
        executor.connected_at = executor.last_heard = at
        executor.sessions += 1
        executor.ready = False
        executor.queue.wake = link.wake
        return replaced

    def disconnected(self, executor: Executor, link: Link) -> bool:
        """Forget a connection. False: a newer one has taken its place already."""
        if executor.link is not link:
            return False
        executor.link = None
        executor.ready = False
        executor.queue.wake = _nobody
        return True

    def status(self, executor_id: str) -> ExecutorStatus | None:
        executor = self._executors.get(executor_id)
        if executor is None:
            return None
        link = executor.link
        return ExecutorStatus(
            executor_id=executor_id,
            online=link is not None,
            ready=executor.ready,
            session_id=None if link is None else link.session_id,
            connected_at=executor.connected_at,
            last_heard=executor.last_heard,
            trading_state=executor.trading_state,
            epoch=executor.epoch,
            app_version=executor.app_version,
            queued=executor.queue.depth,
        )


def _nobody() -> None:
    """Nobody is connected who could send."""
