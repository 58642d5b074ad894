"""One thread that owns the brain's only database connection and commits what has gathered in groups.

So the event loop never waits for a disk. What is written is the store's business; no table is known here.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, MetaData, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from app.brain.errors import StoreFailed

T = TypeVar("T")
Done = Callable[[StoreFailed | None], None]
"""Called on the event loop with None once it is on disk, or with what went wrong."""

_MOST_A_GROUP = 512
_LAZY_SECONDS = 0.1
"""Marks that nothing waits for (sent, acknowledged, heartbeats) may lie this long before they are written."""
_PAUSE_SECONDS = 0.004
"""From one commit to the next: under load more gathers for each, and the thread leaves the processor to the event loop."""
_CLOSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do in a transaction: changes by the names of their statements, or a call."""

    changes: tuple[tuple[str, dict[str, Any]], ...]
    done: Done | None = None
    call: Callable[[Connection], None] | None = None


class GroupWriter:
    """Made on the event loop that its callbacks are to run on."""

    def __init__(self, path: Path, tables: MetaData, statements: Mapping[str, Executable]) -> None:
        """Statements of one group run in the order of `statements`, whatever the order their work came in."""
        self._path = path
        self._tables = tables
        self._statements = statements
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lazy: list[Work] = []
        self._lazy_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.split_groups = 0
        """Groups that had to be committed piece by piece, because one piece was refused."""

    async def open(self) -> None:
        """Create what is missing and start the writer. Raises StoreFailed."""
        loop = self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="brain-store", daemon=True)
        self._thread.start()
        await opened

    async def close(self) -> None:
        """Write everything that waits, then let go of the file."""
        if self._thread is None or self._closed:
            return
        self._closed = True
        self._work.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of the writer thread, after all that was asked before. Raises StoreFailed."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        found: list[T] = []

        def done(fault: StoreFailed | None) -> None:
            if answer.done():
                return
            if fault is not None:
                answer.set_exception(fault)
            else:
                answer.set_result(found[0])

        def run(connection: Connection) -> None:
            found.clear()
            found.append(work(connection))

        self.put(Work((), done, run))
        return await answer

    async def flush(self) -> None:
        """Until everything asked so far is on disk."""
        await self.call(lambda _connection: None)

    def put(self, work: Work) -> None:
        """Have it written soon."""
        if self._closed:
            if work.done is not None:
                work.done(StoreFailed("the brain's database is closed"))
            return
        self._work.put(work)

    def put_lazy(self, work: Work) -> None:
        """Have it written with the next group, or after a tenth of a second: nothing waits for it."""
        if not self._closed:
            with self._lazy_lock:
                self._lazy.append(work)

    # -------------------------------------------------------------- the thread's side

    def _run(self, opened: asyncio.Future[None]) -> None:
        try:
            engine = _engine(self._path)
            connection = engine.connect()
            with connection.begin():
                self._tables.create_all(connection)
        except (SQLAlchemyError, OSError) as fault:
            self._on_loop(_Opened(opened, StoreFailed(f"database {self._path}: {_reason(fault)}")))
            return
        self._on_loop(_Opened(opened, None))
        ended = False
        committed = 0.0
        while not ended:
            group, ended = self._gather(committed + _PAUSE_SECONDS)
            if group:
                self._settle(connection, group)
                committed = time.monotonic()
        connection.close()
        engine.dispose()

    def _gather(self, not_before: float) -> tuple[list[Work], bool]:
        """What has come by the monotonic time `not_before`, at least one piece unless nothing comes; and whether to end."""
        group: list[Work] = []
        ended = False
        try:
            work = self._work.get(timeout=_LAZY_SECONDS)
            if work is not None:
                time.sleep(max(0.0, not_before - time.monotonic()))
            while work is not None:
                group.append(work)
                if len(group) >= _MOST_A_GROUP:
                    break
                work = self._work.get_nowait()
            ended = work is None
        except queue.Empty:
            pass
        with self._lazy_lock:
            lazy, self._lazy = self._lazy, []
        return lazy + group, ended

    def _settle(self, connection: Connection, group: Sequence[Work]) -> None:
        """Commit a group; if it fails, each piece alone, so that one bad row costs nobody else their write."""
        fault = _commit(connection, self._statements, group)
        if fault is not None and len(group) > 1:
            self.split_groups += 1
            outcomes = [(work, _commit(connection, self._statements, [work])) for work in group]
        else:
            outcomes = [(work, fault) for work in group]
        calls = [(work.done, failed) for work, failed in outcomes if work.done is not None]
        if calls:
            self._on_loop(lambda: _tell(calls))

    def _on_loop(self, call: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(call)


@dataclass(frozen=True, slots=True)
class _Opened:
    """Tells the loop how opening went."""

    future: asyncio.Future[None]
    fault: StoreFailed | None

    def __call__(self) -> None:
        if self.future.done():
            return
        if self.fault is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(self.fault)


def _tell(calls: Sequence[tuple[Done, StoreFailed | None]]) -> None:
    for done, failed in calls:
        done(failed)


def _commit(
    connection: Connection, statements: Mapping[str, Executable], group: Sequence[Work]
) -> StoreFailed | None:
    together: dict[str, list[dict[str, Any]]] = {}
    for work in group:
        for name, values in work.changes:
            together.setdefault(name, []).append(values)
    try:
        with connection.begin():
            for name, statement in statements.items():
                if name in together:
                    connection.execute(statement, together[name])
            for work in group:
                if work.call is not None:
                    work.call(connection)
    except (SQLAlchemyError, ValueError, LookupError) as fault:
        return StoreFailed(f"the brain's database refused a write: {_reason(fault)}")
    return None


def _reason(fault: Exception) -> str:
    """The driver's own words, without the statement and its values."""
    return str(getattr(fault, "orig", None) or fault)


def _engine(path: Path) -> Engine:
    # SQLite gives the file the process's default mode; it holds every trade and the hashes of keys.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(f"sqlite:///{path}", poolclass=StaticPool)

    def connected(raw: Any, _record: object) -> None:
        # The driver's own transactions would begin as readers and fail when they turn into writers.
        raw.isolation_level = None
        cursor = raw.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begins(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begins)
    return engine
