"""The brain's memory on disk: commands, results, sessions and API keys in one SQLite file.

One thread owns the only connection and commits what has gathered in groups, so the event loop never waits for a disk and a
command's row is on disk before its first send. No rule of the protocol belongs here.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    bindparam,
    create_engine,
    event,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from app.brain.errors import StoreFailed
from app.brain.schema import (
    CommandStatus,
    api_keys,
    command_results,
    commands,
    executor_sessions,
    metadata,
)

T = TypeVar("T")
_S = CommandStatus

_MOST_A_GROUP = 512
_LAZY_SECONDS = 0.1
"""Marks that nothing waits for (sent, acknowledged, heartbeats) may lie this long before they are written."""
_PAUSE_SECONDS = 0.004
"""From one commit to the next: under load more gathers for each, and the thread leaves the processor to the event loop."""
_CLOSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command as it is stored. `payload` is the exact text of the frame; times are UTC."""

    id: str
    strategy_id: str
    executor_id: str
    type: str
    """The action's name, as OPEN_POSITION."""
    payload: str
    priority: str
    created_at: datetime
    status: CommandStatus = CommandStatus.PENDING
    retry_count: int = 0
    result: str | None = None
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    executed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A result as it is stored; (command_id, outcome) is its identity."""

    command_id: str
    outcome: str
    status: CommandStatus
    """What the command's row becomes by it."""
    executor_id: str
    payload: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A connection of an executor, from its handshake to its end."""

    id: str
    executor_id: str
    api_key_hash: str
    ip_address: str | None
    connected_at: datetime
    last_heartbeat: datetime | None = None
    disconnected_at: datetime | None = None
    status: str = "online"


@dataclass(frozen=True, slots=True)
class _Work:
    """Something to do in a transaction. `done` is called on the event loop with None, or with what went wrong."""

    changes: tuple[tuple[str, dict[str, Any]], ...]
    done: Callable[[StoreFailed | None], None] | None = None
    call: Callable[[Connection], None] | None = None


_OPEN = (_S.PENDING, _S.SENT)
_UNSETTLED = (*_OPEN, _S.ACKNOWLEDGED, _S.UNANSWERED)


def _where(*statuses: CommandStatus) -> ColumnElement[bool]:
    """One command, if it stands in one of these. (IN would be expanded at every call and forbids executemany.)"""
    return and_(
        commands.c.id == bindparam("key"), or_(*(commands.c.status == status.value for status in statuses))
    )


_STATEMENTS = {
    # In the order of a command's life: statements of one group run in this order, whatever the order they came in.
    "insert_command": insert(commands),
    "sent": update(commands)
    .where(_where(*_OPEN))
    .values(status=_S.SENT.value, sent_at=bindparam("at"), retry_count=bindparam("retries")),
    "acknowledged": update(commands)
    .where(_where(*_OPEN, _S.UNANSWERED))
    .values(status=_S.ACKNOWLEDGED.value, acknowledged_at=bindparam("at")),
    "settled": update(commands)
    .where(_where(*_UNSETTLED))
    .values(status=bindparam("new_status"), result=bindparam("text")),
    "insert_result": sqlite_insert(command_results).on_conflict_do_nothing(),
    "unknown": update(commands)
    .where(_where(*_UNSETTLED))
    .values(status=_S.UNKNOWN.value, result=bindparam("text")),
    "final": update(commands)
    .where(_where(*_UNSETTLED, _S.UNKNOWN))
    .values(status=bindparam("new_status"), result=bindparam("text"), executed_at=bindparam("at")),
    "insert_session": insert(executor_sessions),
    "heartbeat": update(executor_sessions)
    .where(executor_sessions.c.id == bindparam("key"))
    .values(last_heartbeat=bindparam("at")),
    "session_end": update(executor_sessions)
    .where(executor_sessions.c.id == bindparam("key"))
    .values(disconnected_at=bindparam("at"), status="offline"),
}


class BrainStore:
    """The one door to the brain's database. Made on the event loop that its callbacks are to run on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._lazy: list[_Work] = []
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

    # -------------------------------------------------------------- commands

    def push(self, row: CommandRow, done: Callable[[StoreFailed | None], None]) -> None:
        """Store a new command; `done` runs on the loop once it is on disk, or with what went wrong."""
        values = {
            "id": row.id,
            "strategy_id": row.strategy_id,
            "executor_id": row.executor_id,
            "type": row.type,
            "payload": row.payload,
            "priority": row.priority,
            "created_at": row.created_at,
            "status": row.status.value,
        }
        self._put(_Work((("insert_command", values),), done))

    def mark_sent(self, command_id: str, at: datetime, retries: int) -> None:
        self._put_lazy(_Work((("sent", {"key": command_id, "at": at, "retries": retries}),)))

    def mark_acknowledged(self, command_id: str, at: datetime) -> None:
        self._put_lazy(_Work((("acknowledged", {"key": command_id, "at": at}),)))

    def mark_settled(self, command_id: str, status: CommandStatus, text: str | None) -> None:
        """A command that ends without a result: REFUSED or UNANSWERED, with the JSON text that says why."""
        change = {"key": command_id, "new_status": status.value, "text": text}
        self._put(_Work((("settled", change),)))

    def record_result(self, row: ResultRow, done: Callable[[StoreFailed | None], None]) -> None:
        """Store a result once for each (command, outcome) and move the command's row; `done` as in push.

        A final status is never changed by a later result.
        """
        values = {
            "command_id": row.command_id,
            "outcome": row.outcome,
            "executor_id": row.executor_id,
            "payload": row.payload,
            "received_at": row.received_at,
        }
        change: dict[str, Any] = {"key": row.command_id, "text": row.payload}
        if row.status is CommandStatus.UNKNOWN:
            move = ("unknown", change)
        else:
            move = ("final", {**change, "new_status": row.status.value, "at": row.received_at})
        self._put(_Work((("insert_result", values), move), done))

    async def unfinished(self, executor_id: str) -> list[CommandRow]:
        """Commands that may still be sent, or whose answer is still to come, oldest first."""
        waiting = [status.value for status in CommandStatus if not status.final]
        query = (
            select(commands)
            .where(commands.c.executor_id == executor_id, commands.c.status.in_(waiting))
            # Many are made in one millisecond; SQLite's rowid keeps the order in which they were stored.
            .order_by(commands.c.created_at, literal_column("rowid"))
        )
        return await self.call(lambda connection: [_command_row(row) for row in connection.execute(query)])

    async def command(self, command_id: str) -> CommandRow | None:
        query = select(commands).where(commands.c.id == command_id)

        def read(connection: Connection) -> CommandRow | None:
            row = connection.execute(query).first()
            return None if row is None else _command_row(row)

        return await self.call(read)

    async def outcomes(self, command_id: str) -> list[str]:
        """The outcomes stored for a command, in the order of their arrival."""
        query = (
            select(command_results.c.outcome)
            .where(command_results.c.command_id == command_id)
            .order_by(command_results.c.received_at)
        )
        return await self.call(lambda connection: list(connection.execute(query).scalars()))

    async def counts(self, executor_id: str) -> dict[str, int]:
        """How many commands stand in each status."""
        query = select(commands.c.status).where(commands.c.executor_id == executor_id)

        def read(connection: Connection) -> dict[str, int]:
            found: dict[str, int] = {}
            for status in connection.execute(query).scalars():
                found[status] = found.get(status, 0) + 1
            return found

        return await self.call(read)

    # -------------------------------------------------------------- sessions and keys

    def session_begins(self, row: SessionRow) -> None:
        values = {
            "id": row.id,
            "executor_id": row.executor_id,
            "api_key_hash": row.api_key_hash,
            "ip_address": row.ip_address,
            "connected_at": row.connected_at,
            "status": row.status,
        }
        self._put(_Work((("insert_session", values),)))

    def heartbeat(self, session_id: str, at: datetime) -> None:
        self._put_lazy(_Work((("heartbeat", {"key": session_id, "at": at}),)))

    def session_ends(self, session_id: str, at: datetime) -> None:
        self._put(_Work((("session_end", {"key": session_id, "at": at}),)))

    async def sessions(self, executor_id: str) -> list[SessionRow]:
        query = (
            select(executor_sessions)
            .where(executor_sessions.c.executor_id == executor_id)
            .order_by(executor_sessions.c.connected_at)
        )
        return await self.call(
            lambda connection: [SessionRow(**row._mapping) for row in connection.execute(query)]
        )

    async def end_forgotten_sessions(self, at: datetime) -> None:
        """Close the rows that a brain which was killed left open."""
        change = (
            update(executor_sessions)
            .where(executor_sessions.c.status == "online")
            .values(status="lost", disconnected_at=at)
        )
        await self.call(lambda connection: connection.execute(change) and None)

    async def add_api_key(self, key_hash: str, executor_id: str, at: datetime) -> None:
        """Let `executor_id` in with this key; a key that is there already is kept as it is."""
        change = (
            sqlite_insert(api_keys)
            .values(key_hash=key_hash, executor_id=executor_id, created_at=at)
            .on_conflict_do_nothing()
        )
        await self.call(lambda connection: connection.execute(change) and None)

    async def revoke_api_key(self, key_hash: str, at: datetime) -> None:
        change = update(api_keys).where(api_keys.c.key_hash == key_hash).values(revoked_at=at)
        await self.call(lambda connection: connection.execute(change) and None)

    async def api_keys(self) -> dict[str, str]:
        """Hash of every valid key -> the executor that it belongs to."""
        query = select(api_keys.c.key_hash, api_keys.c.executor_id).where(api_keys.c.revoked_at.is_(None))
        return await self.call(
            lambda connection: {row.key_hash: row.executor_id for row in connection.execute(query)}
        )

    # -------------------------------------------------------------- the loop's side

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

        self._put(_Work((), done, run))
        return await answer

    async def flush(self) -> None:
        """Until everything asked so far is on disk."""
        await self.call(lambda _connection: None)

    def _put(self, work: _Work) -> None:
        if self._closed:
            if work.done is not None:
                work.done(StoreFailed("the brain's database is closed"))
            return
        self._work.put(work)

    def _put_lazy(self, work: _Work) -> None:
        if not self._closed:
            with self._lazy_lock:
                self._lazy.append(work)

    # -------------------------------------------------------------- the thread's side

    def _run(self, opened: asyncio.Future[None]) -> None:
        try:
            engine = _engine(self._path)
            connection = engine.connect()
            with connection.begin():
                metadata.create_all(connection)
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

    def _gather(self, not_before: float) -> tuple[list[_Work], bool]:
        """What has come by the monotonic time `not_before`, at least one piece unless nothing comes; and whether to end."""
        group: list[_Work] = []
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

    def _settle(self, connection: Connection, group: Sequence[_Work]) -> None:
        """Commit a group; if it fails, each piece alone, so that one bad row costs nobody else their write."""
        fault = _commit(connection, group)
        if fault is not None and len(group) > 1:
            self.split_groups += 1
            outcomes = [(work, _commit(connection, [work])) for work in group]
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


def _tell(calls: Sequence[tuple[Callable[[StoreFailed | None], None], StoreFailed | None]]) -> None:
    for done, failed in calls:
        done(failed)


def _commit(connection: Connection, group: Sequence[_Work]) -> StoreFailed | None:
    together: dict[str, list[dict[str, Any]]] = {}
    for work in group:
        for name, values in work.changes:
            together.setdefault(name, []).append(values)
    try:
        with connection.begin():
            for name, statement in _STATEMENTS.items():
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


def _command_row(row: Any) -> CommandRow:
    values = dict(row._mapping)
    values["status"] = CommandStatus(values["status"])
    return CommandRow(**values)
