"""The brain's memory on disk: commands, results, sessions and API keys in one SQLite file.

What is written and read, and which change may follow which; the thread is in writer.py. No rule of the protocol belongs here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    and_,
    bindparam,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.brain.schema import (
    CommandStatus,
    api_keys,
    command_results,
    commands,
    executor_sessions,
    metadata,
)
from app.brain.writer import Done, GroupWriter, Work

T = TypeVar("T")
_S = CommandStatus


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


_OPEN = (_S.PENDING, _S.SENT)
_UNSETTLED = (*_OPEN, _S.ACKNOWLEDGED, _S.UNANSWERED)


def _where(*statuses: CommandStatus) -> ColumnElement[bool]:
    """One command, if it stands in one of these. (IN would be expanded at every call and forbids executemany.)"""
    return and_(
        commands.c.id == bindparam("key"), or_(*(commands.c.status == status.value for status in statuses))
    )


_STATEMENTS: dict[str, Executable] = {
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
        self._writer = GroupWriter(path, metadata, _STATEMENTS)

    async def open(self) -> None:
        """Create what is missing and start the writer. Raises StoreFailed."""
        await self._writer.open()

    async def close(self) -> None:
        """Write everything that waits, then let go of the file."""
        await self._writer.close()

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction, after all that was asked before. Raises StoreFailed."""
        return await self._writer.call(work)

    async def flush(self) -> None:
        """Until everything asked so far is on disk."""
        await self._writer.flush()

    @property
    def split_groups(self) -> int:
        """Groups that had to be committed piece by piece, because one piece was refused."""
        return self._writer.split_groups

    # -------------------------------------------------------------- commands

    def push(self, row: CommandRow, done: Done) -> None:
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
        self._writer.put(Work((("insert_command", values),), done))

    def mark_sent(self, command_id: str, at: datetime, retries: int) -> None:
        self._writer.put_lazy(Work((("sent", {"key": command_id, "at": at, "retries": retries}),)))

    def mark_acknowledged(self, command_id: str, at: datetime) -> None:
        self._writer.put_lazy(Work((("acknowledged", {"key": command_id, "at": at}),)))

    def mark_settled(self, command_id: str, status: CommandStatus, text: str | None) -> None:
        """A command that ends without a result: REFUSED or UNANSWERED, with the JSON text that says why."""
        change = {"key": command_id, "new_status": status.value, "text": text}
        self._writer.put(Work((("settled", change),)))

    def record_result(self, row: ResultRow, done: Done) -> None:
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
        self._writer.put(Work((("insert_result", values), move), done))

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
        self._writer.put(Work((("insert_session", values),)))

    def heartbeat(self, session_id: str, at: datetime) -> None:
        self._writer.put_lazy(Work((("heartbeat", {"key": session_id, "at": at}),)))

    def session_ends(self, session_id: str, at: datetime) -> None:
        self._writer.put(Work((("session_end", {"key": session_id, "at": at}),)))

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


def _command_row(row: Any) -> CommandRow:
    values = dict(row._mapping)
    values["status"] = CommandStatus(values["status"])
    return CommandRow(**values)
