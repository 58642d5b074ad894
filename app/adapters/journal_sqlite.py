"""The Journal port over SQLite, as the loop sees it: what waits for the disk, who is told, and what a failure means for trading.

The thread that writes is journal_thread.py; what is written and asked stands in journal_batch.py and journal_queries.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from app.adapters import journal_queries as queries
from app.adapters.event_codec import encode_event
from app.adapters.journal_chain import ChainCheck, ChainReport
from app.adapters.journal_copy import dated_name, remove_oldest, unfinished_name
from app.adapters.journal_reader import finish_backup
from app.adapters.journal_thread import (
    Append,
    Ask,
    Close,
    Copy,
    Ids,
    Item,
    JournalThread,
    LoopSide,
    failure_words,
)
from app.domain.command_record import CommandRecord
from app.domain.errors import JournalFailed
from app.domain.events import CommandReceived, EquitySampled, Event, StopStepTaken
from app.domain.trading_state import TradingStatus
from app.domain.values import CommandId, Ticket
from app.engine.ports import JournalRow, OutboxItem

T = TypeVar("T")
FailureHandler = Callable[[JournalFailed], None]

BACKLOG = 20_000
"""Most appends that may wait for the disk; more means that it does not keep up, and trading stops."""
VERIFY_ROWS = 50
VERIFY_PAUSE = 0.002
"""Seconds between pages when a copy is checked in a thread beside a trading engine."""


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


class SqliteJournal:
    """Made by `open`, on the event loop that will use it; every method belongs to that loop's thread."""

    def __init__(self, path: Path, on_failure: FailureHandler) -> None:
        self._path = path
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._known: set[int] = set()
        self._backlog = 0
        self._failure: JournalFailed | None = None
        self._closing = False
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = JournalThread(
            path,
            self._queue,
            self._known,
            self._ready,
            LoopSide(
                committed=self._deliver,
                answered=self._deliver_answer,
                failed=self._deliver_failure,
                broken=self._fail,
                over=self._over,
            ),
        )

    @classmethod
    async def open(cls, path: Path, on_failure: FailureHandler) -> Self:
        """Take possession of the journal at `path`, making it if there is none.

        `on_failure` is called once, on the loop, when a write has failed: trading has to stop.
        Raises JournalInUse, JournalDamaged, JournalTooNew, or JournalFailed for a place that cannot be used.
        """
        journal = cls(path, on_failure)
        journal._thread.start()
        try:
            await journal._ready
        except JournalFailed:
            journal._thread.join()
            raise
        return journal

    # -------------------------------------------------------------- the port

    @property
    def path(self) -> Path:
        return self._path

    def append(self, *events: Event) -> asyncio.Future[Ids]:
        """See the port. Encodes here, so that a fault of an event is the caller's and never the thread's."""
        future: asyncio.Future[Ids] = self._loop.create_future()
        failure = self._failure
        if failure is None and self._backlog >= BACKLOG:
            failure = JournalFailed(failure_words(self._path, f"{self._backlog} records wait for the disk"))
            self._fail(failure)
        if failure is None and self._closing:
            failure = JournalFailed(f"The journal {self._path} is closed: nothing can be recorded any more.")
        if failure is not None:
            future.set_exception(failure)
            return future
        rows = [(event, encode_event(event)) for event in events]
        for event in events:
            if isinstance(event, CommandReceived):
                self._known.add(hash(event.command_id))
        self._backlog += 1
        self._queue.put(Append(rows, future))
        return future

    def may_know(self, command_id: CommandId) -> bool:
        return hash(command_id) in self._known

    async def command(self, command_id: CommandId) -> CommandRecord | None:
        return await self._ask(lambda connection: queries.command(connection, command_id))

    async def unfinished(self) -> tuple[CommandRecord, ...]:
        return await self._ask(queries.unfinished)

    async def recent(self, limit: int) -> tuple[CommandRecord, ...]:
        return await self._ask(lambda connection: queries.recent(connection, limit))

    async def unacknowledged(self, after: int, limit: int) -> tuple[OutboxItem, ...]:
        return await self._ask(lambda connection: queries.unacknowledged(connection, after, limit))

    async def last_equity(self, account: str) -> EquitySampled | None:
        return await self._ask(lambda connection: queries.last_equity(connection, account))

    async def equity_since(self, account: str, since: datetime) -> tuple[EquitySampled, ...]:
        return await self._ask(lambda connection: queries.equity_since(connection, account, since))

    async def last_status(self) -> TradingStatus | None:
        return await self._ask(queries.last_status)

    async def last_login(self) -> str | None:
        return await self._ask(queries.last_login)

    async def recent_alerts(self, limit: int) -> tuple[Event, ...]:
        return await self._ask(lambda connection: queries.recent_alerts(connection, limit))

    async def tripped_limits(self) -> Mapping[str, str]:
        return await self._ask(queries.tripped_limits)

    async def limits_in_force(self) -> Mapping[str, str] | None:
        return await self._ask(queries.limits_in_force)

    async def taken_over(self) -> frozenset[CommandId]:
        return await self._ask(queries.taken_over)

    async def stop_steps(self) -> tuple[StopStepTaken, ...]:
        return await self._ask(queries.stop_steps)

    async def entries(
        self, tags: Collection[str], tickets: Collection[Ticket]
    ) -> tuple[Mapping[str, str | None], Mapping[Ticket, str | None]]:
        return await self._ask(lambda connection: queries.entries(connection, tags, tickets))

    async def rows(
        self, *, after: int = 0, limit: int = 500, command_id: CommandId | None = None
    ) -> tuple[JournalRow, ...]:
        return await self._ask(
            lambda connection: queries.rows(connection, after=after, limit=limit, command_id=command_id)
        )

    @property
    def backlog(self) -> int:
        return self._backlog

    @property
    def commit_latency(self) -> float | None:
        return self._thread.commit_latency

    async def close(self) -> None:
        """See the port. May be called twice."""
        if not self._closing:
            self._closing = True
            self._queue.put(Close())
        await asyncio.shield(self._ended)
        self._thread.join()

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        """Ask in the journal's thread, after everything that was appended before. Raises JournalFailed."""
        if self._closing:
            raise JournalFailed(f"The journal {self._path} is closed: nothing can be read from it any more.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Ask(question, future))
        return await future

    # -------------------------------------------------------------- beside the port

    async def verify(self) -> ChainReport:
        """Walk the hash chain of the whole journal while it is in use, a little at a time. Raises JournalFailed."""
        check = ChainCheck()
        while True:
            found, head = await self._ask(
                lambda connection: queries.chain_page(connection, check.last, VERIFY_ROWS)
            )
            if not check.feed(found) or len(found) < VERIFY_ROWS:
                return check.finish(head)

    async def backup(self, target: Path) -> ChainReport:
        """Copy the journal to `target` while it is in use, and check the copy: integrity and hash chain.

        Appends go on between the copy's pages. Raises JournalFailed, JournalDamaged; `target` is then as it was.
        """
        if self._closing:
            raise JournalFailed(f"The journal {self._path} is closed: no backup can be made.")
        if _same(target, self._path):
            raise JournalFailed(f"A backup of {self._path} must not replace it.")
        unfinished = unfinished_name(target)
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(Copy(unfinished, future))
        await future
        return await asyncio.to_thread(
            finish_backup, unfinished, target, pause=VERIFY_PAUSE, rows=VERIFY_ROWS
        )

    async def backup_into(self, folder: Path, *, at: datetime, keep: int) -> Path:
        """A backup named for its time; when it is good, all but the newest `keep` are removed. Raises as `backup`."""
        target = folder / dated_name(at)
        await self.backup(target)
        try:
            await asyncio.to_thread(remove_oldest, folder, keep)
        except OSError as fault:
            raise JournalFailed(
                f"The backup {target} is good, but old ones could not be removed ({fault})."
            ) from None
        return target

    # -------------------------------------------------------------- on the loop, for the thread

    def _fail(self, failure: JournalFailed) -> None:
        if self._failure is None:
            self._failure = failure
            self._on_failure(failure)

    def _deliver(self, group: list[tuple[asyncio.Future[Ids], Ids]]) -> None:
        self._backlog -= len(group)
        for future, ids in group:
            if not future.done():
                future.set_result(ids)

    def _deliver_failure(
        self, futures: list[asyncio.Future[Any]], failure: JournalFailed, appends: int
    ) -> None:
        self._backlog -= appends
        # First the stop, then the callers: nobody may act on the failure before trading has stopped.
        if appends:
            self._fail(failure)
        for future in futures:
            if not future.done():
                future.set_exception(failure)

    def _over(self) -> None:
        """The thread has ended: whatever still waits is told so."""
        if not self._closing and self._ready.done() and self._ready.exception() is None:
            self._fail(JournalFailed(failure_words(self._path, "its thread ended")))
        self._closing = True
        failure = self._failure or JournalFailed(f"The journal {self._path} is closed.")
        for future in self._under_way():
            if not future.done():
                future.set_exception(failure)
        self._ended.set_result(None)

    def _under_way(self) -> list[asyncio.Future[Any]]:
        waiting: list[asyncio.Future[Any]] = [self._ready, *self._thread.in_hand()]
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return waiting
            if not isinstance(item, Close):
                waiting.append(item.future)

    @staticmethod
    def _deliver_answer(future: asyncio.Future[Any], answer: Any) -> None:
        if not future.done():
            future.set_result(answer)
