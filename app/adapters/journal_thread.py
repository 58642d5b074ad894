"""The journal's one thread: it owns the only connection, and whatever waits in its queue is committed together.

What may be asked, and what a failure means for trading, is the loop's half (journal_sqlite.py); what is written and read stands
in journal_batch.py and journal_queries.py.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.adapters import journal_queries as queries
from app.adapters.event_codec import EncodedEvent
from app.adapters.journal_batch import Batch, Position
from app.adapters.journal_copy import write_copy
from app.adapters.journal_file import NameWatch, OwnerLock, checked_place, open_for_writing
from app.domain.errors import JournalFailed
from app.domain.events import Event

Ids = tuple[int, ...]

GROUP = 64
"""Most appends in one transaction: bounds how long the first of them waits for the last."""
QUIET = 0.25
"""Seconds without work after which the write-ahead log is moved into the database."""
WAL_COMMITS = 400
"""Commits (of 8 to 10 pages of 4 KiB) after which that happens even in the thick of it: they fit into WAL_BYTES."""
COPY_PAGES = 128
"""Pages (4 KiB) that a backup copies between two looks at the queue: well under a millisecond."""


@dataclass(slots=True)
class Append:
    """Events of one transaction."""

    rows: list[tuple[Event, EncodedEvent]]
    future: asyncio.Future[Ids]


@dataclass(slots=True)
class Ask:
    """A question that is answered after everything that was appended before."""

    question: Callable[[Connection], Any]
    future: asyncio.Future[Any]


@dataclass(slots=True)
class Copy:
    """A backup, made while appends go on."""

    target: Path
    future: asyncio.Future[None]


class Close:
    """The last thing in the queue."""


Item = Append | Ask | Copy | Close


def failure_words(path: Path, fault: object) -> str:
    """What a failed write means, for a person."""
    return (
        f"The journal {path} could not be written ({fault}). What was not recorded is not sent: trading has stopped. "
        "Make room or repair the disk, then start Medulla again."
    )


@dataclass(frozen=True, slots=True)
class LoopSide:
    """What the thread has the loop do; called there, never in the thread."""

    committed: Callable[[list[tuple[asyncio.Future[Ids], Ids]]], None]
    answered: Callable[[asyncio.Future[Any], Any], None]
    failed: Callable[[list[asyncio.Future[Any]], JournalFailed, int], None]
    """Futures, reason, and how many of them were appends."""
    broken: Callable[[JournalFailed], None]
    """Nothing may be written any more, and nobody waits to be told so."""
    over: Callable[[], None]
    """The thread has ended."""


class JournalThread:
    """Begins with `start`, ends with `Close` in its queue."""

    def __init__(
        self,
        path: Path,
        queue: SimpleQueue[Item],
        known: set[int],
        ready: asyncio.Future[None],
        loop_side: LoopSide,
    ) -> None:
        """`known`: takes the hashes of all command ids before `ready` is set. Made on the loop that is told."""
        self._path = path
        self._queue = queue
        self._known = known
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._loop_side = loop_side
        self._position = Position(0, "", 0)
        self._broken = False
        self._commits = 0
        self._serving: list[asyncio.Future[Any]] = []
        self._copying: list[asyncio.Future[Any]] = []
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.commit_latency: float | None = None
        """Seconds that the last commit took."""

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def in_hand(self) -> list[asyncio.Future[Any]]:
        """What it was busy with; to be asked when it has ended."""
        return [*self._serving, *self._copying]

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
            self._call(self._loop_side.failed, [self._ready], failure, 0)
        finally:
            # Also if a fault of ours ended the thread: nobody may wait for it for ever, and trading has to stop.
            self._call(self._loop_side.over)

    def _serve(self) -> None:
        engine, connection = open_for_writing(self._path)
        try:
            self._load(connection)
            self._names = NameWatch(self._path)
            self._call(self._loop_side.answered, self._ready, None)
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
        item: Item | None = None
        while True:
            if item is None:
                try:
                    item = self._queue.get(timeout=QUIET if self._commits else None)
                except Empty:
                    self._checkpoint(cursor)
                    continue
            if isinstance(item, Close):
                return
            item = self._turn(connection, cursor, item)
            if self._commits >= WAL_COMMITS:
                self._checkpoint(cursor)

    def _turn(self, connection: Connection, cursor: sqlite3.Cursor, item: Append | Ask | Copy) -> Item | None:
        """Do this, and commit what else waits; gives the item taken from the queue that is still to be done."""
        if isinstance(item, Copy):
            return self._copy(connection, cursor, item)
        if isinstance(item, Ask):
            self._serving = [item.future]
            self._answer(connection, item)
            return None
        group, following = [item], None
        while len(group) < GROUP:
            try:
                following = self._queue.get_nowait()
            except Empty:
                break
            if not isinstance(following, Append):
                break
            group.append(following)
            following = None
        self._serving = [append.future for append in group]
        self._commit(cursor, group)
        return following

    def _copy(self, connection: Connection, cursor: sqlite3.Cursor, copy: Copy) -> Item | None:
        """Copy page by page and serve what waits in between; gives the item that is still to be done."""
        aside: Item | None = None
        self._copying = [copy.future]

        def between() -> None:
            nonlocal aside
            if aside is None:
                try:
                    aside = self._queue.get_nowait()
                except Empty:
                    return
            while isinstance(aside, Append | Ask):
                aside = self._turn(connection, cursor, aside)

        try:
            write_copy(cursor.connection, copy.target, pages=COPY_PAGES, between=between)
        except (sqlite3.Error, OSError) as fault:
            failure = JournalFailed(
                f"A backup of {self._path} could not be written ({fault}). Trading goes on."
            )
            self._call(self._loop_side.failed, [copy.future], failure, 0)
        else:
            self._call(self._loop_side.answered, copy.future, None)
        return aside

    def _commit(self, cursor: sqlite3.Cursor, group: list[Append]) -> None:
        if self._broken:
            failure = JournalFailed(failure_words(self._path, "an earlier write failed"))
            self._call(self._loop_side.failed, [item.future for item in group], failure, len(group))
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
            self._call(self._loop_side.failed, [item.future for item in group], failure, len(group))
            return
        self._position = position
        self._commits += 1
        self.commit_latency = perf_counter() - started
        self._call(self._loop_side.committed, answers)

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

    def _answer(self, connection: Connection, item: Ask) -> None:
        try:
            answer = item.question(connection)
        except JournalFailed as fault:
            self._call(self._loop_side.failed, [item.future], fault, 0)
        except (SQLAlchemyError, sqlite3.Error, ValueError) as fault:
            unread = JournalFailed(f"The journal {self._path} cannot be read: {fault}")
            self._call(self._loop_side.failed, [item.future], unread, 0)
        else:
            self._call(self._loop_side.answered, item.future, answer)
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
            self._call(self._loop_side.broken, JournalFailed(failure_words(self._path, fault)))
