"""The Journal port over SQLite: one thread owns the only connection; whatever waits is committed together.

Here is the thread, its queue and its failure; what is written and asked stands in journal_batch.py and journal_queries.py.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.adapters import journal_queries as queries
from app.adapters.event_codec import EncodedEvent, encode_event
from app.adapters.journal_batch import Batch, Position
from app.adapters.journal_chain import ChainCheck, ChainReport
from app.adapters.journal_copy import dated_name, remove_oldest, unfinished_name, write_copy
from app.adapters.journal_file import NameWatch, OwnerLock, checked_place, open_for_writing
from app.adapters.journal_reader import finish_backup
from app.domain.command_record import CommandRecord
from app.domain.errors import JournalFailed
from app.domain.events import CommandReceived, EquitySampled, Event, StopStepTaken
from app.domain.trading_state import TradingStatus
from app.domain.values import CommandId, Ticket
from app.engine.ports import JournalRow, OutboxItem

T = TypeVar("T")
Ids = tuple[int, ...]
FailureHandler = Callable[[JournalFailed], None]

GROUP = 64
"""Most appends in one transaction: bounds how long the first of them waits for the last."""
BACKLOG = 20_000
"""Most appends that may wait for the disk; more means that it does not keep up, and trading stops."""
QUIET = 0.25
"""Seconds without work after which the write-ahead log is moved into the database."""
WAL_COMMITS = 400
"""Commits (of 8 to 10 pages of 4 KiB) after which that happens even in the thick of it: they fit into WAL_BYTES."""
COPY_PAGES = 128
"""Pages (4 KiB) that a backup copies between two looks at the queue: well under a millisecond."""
VERIFY_ROWS = 50
VERIFY_PAUSE = 0.002
"""Seconds between pages when a copy is checked in a thread beside a trading engine."""


@dataclass(slots=True)
class _Append:
    rows: list[tuple[Event, EncodedEvent]]
    future: asyncio.Future[Ids]


@dataclass(slots=True)
class _Ask:
    question: Callable[[Connection], Any]
    future: asyncio.Future[Any]


@dataclass(slots=True)
class _Copy:
    target: Path
    future: asyncio.Future[None]


class _Close:
    """The last thing in the queue."""


_Item = _Append | _Ask | _Copy | _Close


def failure_words(path: Path, fault: object) -> str:
    """What a failed write means, for a person."""
    return (
        f"The journal {path} could not be written ({fault}). What was not recorded is not sent: trading has stopped. "
        "Make room or repair the disk, then start Medulla again."
    )


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


class SqliteJournal:
    """Made by `open`, on the event loop that will use it; every method belongs to that loop's thread."""

    def __init__(self, path: Path, on_failure: FailureHandler) -> None:
        self._path = path
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._known: set[int] = set()
        self._backlog = 0
        self._failure: JournalFailed | None = None
        self._closing = False
        self._commit_latency: float | None = None
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        # The rest is the journal thread's alone.
        self._position = Position(0, "", 0)
        self._broken = False
        self._commits = 0
        self._serving: list[asyncio.Future[Any]] = []
        self._copying: list[asyncio.Future[Any]] = []
        """What the thread has in its hands."""

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
        self._queue.put(_Append(rows, future))
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
        return self._commit_latency

    async def close(self) -> None:
        """See the port. May be called twice."""
        if not self._closing:
            self._closing = True
            self._queue.put(_Close())
        await asyncio.shield(self._ended)
        self._thread.join()

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        """Ask in the journal's thread, after everything that was appended before. Raises JournalFailed."""
        if self._closing:
            raise JournalFailed(f"The journal {self._path} is closed: nothing can be read from it any more.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Ask(question, future))
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
        self._queue.put(_Copy(unfinished, future))
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
        waiting: list[asyncio.Future[Any]] = [self._ready, *self._serving, *self._copying]
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return waiting
            if not isinstance(item, _Close):
                waiting.append(item.future)

    @staticmethod
    def _deliver_answer(future: asyncio.Future[Any], answer: Any) -> None:
        if not future.done():
            future.set_result(answer)

    # -------------------------------------------------------------- the thread

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop is closed: there is nobody left to be told. The rows are on disk all the same.
            return

    def _run(self) -> None:
        try:
            lock = OwnerLock(checked_place(self._path))
            lock.take()
            try:
                self._serve()
            finally:
                lock.release()
        except JournalFailed as failure:
            self._call(self._deliver_failure, [self._ready], failure, 0)
        finally:
            # Also if a fault of ours ended the thread: nobody may wait for it for ever, and trading has to stop.
            self._call(self._over)

    def _serve(self) -> None:
        engine, connection = open_for_writing(self._path)
        try:
            self._load(connection)
            self._names = NameWatch(self._path)
            self._call(self._deliver_answer, self._ready, None)
            self._work(connection)
        finally:
            # Closing the only connection moves the rest of the write-ahead log into the database.
            connection.close()
            engine.dispose()

    def _load(self, connection: Connection) -> None:
        try:
            self._position = queries.position(connection)
            self._known.update(hash(command_id) for command_id in queries.known_ids(connection))
            connection.rollback()
        except (SQLAlchemyError, sqlite3.Error) as fault:
            raise JournalFailed(f"The journal {self._path} cannot be read: {fault}") from None

    def _work(self, connection: Connection) -> None:
        raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
        cursor = raw.cursor()
        item: _Item | None = None
        while True:
            if item is None:
                try:
                    item = self._queue.get(timeout=QUIET if self._commits else None)
                except Empty:
                    self._checkpoint(cursor)
                    continue
            if isinstance(item, _Close):
                return
            item = self._turn(connection, cursor, item)
            if self._commits >= WAL_COMMITS:
                self._checkpoint(cursor)

    def _turn(
        self, connection: Connection, cursor: sqlite3.Cursor, item: _Append | _Ask | _Copy
    ) -> _Item | None:
        """Do this, and commit what else waits; gives the item taken from the queue that is still to be done."""
        if isinstance(item, _Copy):
            return self._copy(connection, cursor, item)
        if isinstance(item, _Ask):
            self._serving = [item.future]
            self._answer(connection, item)
            return None
        group, following = [item], None
        while len(group) < GROUP:
            try:
                following = self._queue.get_nowait()
            except Empty:
                break
            if not isinstance(following, _Append):
                break
            group.append(following)
            following = None
        self._serving = [append.future for append in group]
        self._commit(cursor, group)
        return following

    def _copy(self, connection: Connection, cursor: sqlite3.Cursor, copy: _Copy) -> _Item | None:
        """Copy page by page and serve what waits in between; gives the item that is still to be done."""
        aside: _Item | None = None
        self._copying = [copy.future]

        def between() -> None:
            nonlocal aside
            if aside is None:
                try:
                    aside = self._queue.get_nowait()
                except Empty:
                    return
            while isinstance(aside, _Append | _Ask):
                aside = self._turn(connection, cursor, aside)

        try:
            write_copy(cursor.connection, copy.target, pages=COPY_PAGES, between=between)
        except (sqlite3.Error, OSError) as fault:
            failure = JournalFailed(
                f"A backup of {self._path} could not be written ({fault}). Trading goes on."
            )
            self._call(self._deliver_failure, [copy.future], failure, 0)
        else:
            self._call(self._deliver_answer, copy.future, None)
        return aside

    def _commit(self, cursor: sqlite3.Cursor, group: list[_Append]) -> None:
        if self._broken:
            failure = JournalFailed(failure_words(self._path, "an earlier write failed"))
            self._call(self._deliver_failure, [item.future for item in group], failure, len(group))
            return
        started = perf_counter()
        batch = Batch(self._position)
        answers: list[tuple[asyncio.Future[Ids], Ids]] = []
        for item in group:
            ids = [batch.add(event, row) for event, row in item.rows]
            answers.append((item.future, tuple([outbox_id for outbox_id in ids if outbox_id is not None])))
        try:
            cursor.execute("BEGIN IMMEDIATE")
            position = batch.write(cursor)
            cursor.execute("COMMIT")
            moved = self._names.moved()
            if moved:
                self._rescue(cursor, moved)
                raise JournalFailed(f"another program has removed or replaced {moved[0]}")
        except (sqlite3.Error, ValueError, OverflowError, JournalFailed) as fault:
            # Never again: after a failed sync the system may call pages clean that are not on disk.
            self._broken = True
            failure = JournalFailed(failure_words(self._path, fault))
            failure.__cause__ = fault
            self._roll_back(cursor)
            self._call(self._deliver_failure, [item.future for item in group], failure, len(group))
            return
        self._position = position
        self._commits += 1
        self._commit_latency = perf_counter() - started
        self._call(self._deliver, answers)

    def _rescue(self, cursor: sqlite3.Cursor, moved: list[str]) -> None:
        """Only the log has lost its name: what it holds goes into the database while this connection can still read it.

        A log that somebody put in its place would be read into the database at the next start, so this ends the use of logs.
        """
        if str(self._path) not in moved:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            cursor.execute("PRAGMA journal_mode = DELETE").fetchall()

    @staticmethod
    def _roll_back(cursor: sqlite3.Cursor) -> None:
        try:
            if cursor.connection.in_transaction:
                cursor.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has rolled back by itself, or will when the file is opened again.
            return

    def _answer(self, connection: Connection, item: _Ask) -> None:
        try:
            answer = item.question(connection)
        except JournalFailed as fault:
            self._call(self._deliver_failure, [item.future], fault, 0)
        except (SQLAlchemyError, sqlite3.Error, ValueError) as fault:
            unread = JournalFailed(f"The journal {self._path} cannot be read: {fault}")
            self._call(self._deliver_failure, [item.future], unread, 0)
        else:
            self._call(self._deliver_answer, item.future, answer)
        finally:
            connection.rollback()

    def _checkpoint(self, cursor: sqlite3.Cursor) -> None:
        self._commits = 0
        if self._broken:
            return
        try:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as fault:
            # Everything is safe in the write-ahead log still, but the disk is not: the next write must not be tried.
            self._broken = True
            self._call(self._fail, JournalFailed(failure_words(self._path, fault)))
