"""A real brain server on a free port with a real database, for the tests of this room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.brain.clock import MachineClock
from app.brain.executors import Executor
from app.brain.keys import SigningKey, signing_key_of
from app.brain.observers import Observer
from app.brain.server import BrainServer, ServerSettings
from app.brain.signals import Command
from app.brain.store import BrainStore
from app.domain.market import Quote
from app.domain.results import CommandResult
from app.protocol.signing import SigningKeys
from tests.brain.hand_executor import API_KEY, EXECUTOR, WAIT

KEY = signing_key_of(bytes(range(32)))
TRUSTED = SigningKeys({KEY.key_id: KEY.public_key})


class Watcher(Observer):
    """Remembers what it was told and lets a test wait for it."""

    def __init__(self) -> None:
        self.results: list[tuple[Command, CommandResult]] = []
        self.acknowledged: list[Command] = []
        self.ended: list[Command] = []
        self.quotes: list[Quote] = []
        self.positions: list[Sequence[Mapping[str, Any]]] = []
        self.ready: list[Executor] = []
        self.lost: list[Executor] = []
        self.notices: list[tuple[str, Mapping[str, Any]]] = []
        self._news = asyncio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def events(self, name: str) -> list[Mapping[str, Any]]:
        return [fields for event, fields in self.notices if event == name]

    def on_ready(self, executor: Executor) -> None:
        self.ready.append(executor)
        self._news.set()

    def on_lost(self, executor: Executor) -> None:
        self.lost.append(executor)
        self._news.set()

    def on_quote(self, executor: Executor, quote: Quote) -> None:
        self.quotes.append(quote)
        self._news.set()

    def on_positions(self, executor: Executor, positions: Sequence[Mapping[str, Any]]) -> None:
        self.positions.append(positions)
        self._news.set()

    def on_acknowledged(self, command: Command) -> None:
        self.acknowledged.append(command)
        self._news.set()

    def on_result(self, command: Command, result: CommandResult) -> None:
        self.results.append((command, result))
        self._news.set()

    def on_ended(self, command: Command) -> None:
        self.ended.append(command)
        self._news.set()

    def on_notice(self, event: str, fields: Mapping[str, Any]) -> None:
        self.notices.append((event, fields))
        self._news.set()


@dataclass
class Brain:
    server: BrainServer
    store: BrainStore
    watcher: Watcher
    path: Path
    keys: SigningKeys = field(default_factory=lambda: TRUSTED)

    @property
    def port(self) -> int:
        return self.server.port


def settings(**changes: Any) -> ServerSettings:
    return ServerSettings(**{"ack_timeout": 0.2, "grace": 0.2, "state_wait": 5.0, **changes})


@asynccontextmanager
async def running_brain(
    path: Path, options: ServerSettings, key: SigningKey = KEY, symbols: Sequence[str] = ()
) -> AsyncIterator[Brain]:
    store = BrainStore(path / "brain.db")
    await store.open()
    watcher = Watcher()
    server = BrainServer(options, store, key, MachineClock(), symbols=symbols, observers=[watcher])
    try:
        async with server:
            await server.allow(API_KEY, EXECUTOR)
            yield Brain(server, store, watcher, path)
    finally:
        await store.close()


@pytest.fixture
async def brain(tmp_path: Path) -> AsyncIterator[Brain]:
    async with running_brain(tmp_path, settings(), symbols=("EURUSD",)) as running:
        yield running
