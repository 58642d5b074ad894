"""The journal's tables and the SQL of its hot path, compiled once.

`events` is the truth; every other table is a view of it, kept in the same transaction. A change of a table here comes with a
migration under `migrations/versions` (a test compares the two).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    REAL,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    text,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.expression import ClauseElement

REVISION = "0001"
"""The schema this version writes."""
KNOWN_REVISIONS = ("0001",)
"""Every schema this version can read or upgrade, oldest first."""

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("command_id", Text),
    Column("payload", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
Index("events_of_command", events.c.command_id, sqlite_where=events.c.command_id.is_not(None))
Index("events_of_state", events.c.seq, sqlite_where=events.c.kind == text("'TradingStateChanged'"))

chain_head = Table(
    "chain_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", Text, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("seq", Integer, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("fingerprint", Text, nullable=False),
    Column("action", Text),
    Column("symbol", Text),
    Column("side", Text),
    Column("volume", Text),
    Column("ticket", Text),
    Column("magic", Text),
    Column("strategy_id", Text),
    Column("account", Text),
    Column("priority", Text),
    Column("origin", Text),
    Column("state", Text, nullable=False),
    Column("final", Integer, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("issued_at", Text),
    Column("expires_at", Text),
    Column("dispatched_at", Text),
    Column("tag", Text),
    Column("answered_at", Text),
    Column("finished_at", Text),
    Column("finished_seq", Integer),
    Column("outcome", Text),
    Column("code", Text),
    Column("retcode", Integer),
    Column("result_ticket", Text),
    Column("price", Text),
    Column("slippage", Text),
    Column("done_volume", Text),
    Column("execution_time", Integer),
    Column("message", Text),
)
Index("commands_unfinished", commands.c.seq, sqlite_where=commands.c.final == text("0"))
Index("commands_finished", commands.c.finished_seq, sqlite_where=commands.c.finished_seq.is_not(None))

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("command_id", Text, ForeignKey("commands.id"), nullable=False),
    Column("event_seq", Integer, ForeignKey("events.seq"), nullable=False),
    Column("result", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("acknowledged_at", Text),
)
Index("outbox_unacknowledged", outbox.c.id, sqlite_where=outbox.c.acknowledged_at.is_(None))

sessions = Table(
    "sessions",
    metadata,
    Column("seq", Integer, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("peer", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("plain", Integer),
    Column("clock_offset", REAL),
    Column("boot", Text),
    Column("login", Text),
    Column("terminal", Text),
    Column("closed_at", Text),
    Column("reason", Text),
)
Index("sessions_open", sessions.c.session_id, sqlite_where=sessions.c.closed_at.is_(None))

equity_samples = Table(
    "equity_samples",
    metadata,
    Column("seq", Integer, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("broker_day", Text, nullable=False),
    Column("balance", Text, nullable=False),
    Column("equity", Text, nullable=False),
    Column("day_start_equity", Text, nullable=False),
    Column("peak_equity", Text, nullable=False),
    Column("deposits", Text, nullable=False),
)
Index("equity_of_account", equity_samples.c.account, equity_samples.c.seq)

limits = Table(
    "limits",
    metadata,
    Column("name", Text, primary_key=True),
    Column("message", Text, nullable=False),
    Column("tripped_at", Text, nullable=False),
    Column("seq", Integer, ForeignKey("events.seq"), nullable=False),
)


class Statement:
    """SQL compiled to the driver's own text; its rows are tuples in the order of `names`."""

    def __init__(self, clause: ClauseElement, names: Sequence[str]) -> None:
        compiled: Any = clause.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        self._sql = str(compiled)
        if list(compiled.positiontup or ()) != list(names):
            raise TypeError(f"the statement takes {compiled.positiontup}, not {list(names)}")

    def run(self, cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]]) -> int:
        """Execute once for every row, in order; the number of rows touched.

        On the driver's cursor of the engine's connection: SQLAlchemy's execution costs some 30 µs a statement, half a commit.
        """
        if len(rows) == 1:
            return cursor.execute(self._sql, rows[0]).rowcount
        return cursor.executemany(self._sql, rows).rowcount


class _Insert(Statement):
    """One statement for a few rows: each step gives the interpreter up and has to win it back."""

    def __init__(self, table: Table) -> None:
        names = [column.name for column in table.columns]
        super().__init__(insert(table), names)
        row = f"({', '.join('?' * len(names))})"
        self._several = {count: f"{self._sql}{f', {row}' * (count - 1)}" for count in range(2, _ROWS + 1)}

    def run(self, cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]]) -> int:
        several = self._several.get(len(rows))
        if several is None:
            return super().run(cursor, rows)
        return cursor.execute(several, [value for row in rows for value in row]).rowcount


_ROWS = 8
"""Most rows that one INSERT takes at once."""


def _insert(table: Table) -> Statement:
    return _Insert(table)


def _set(table: Table, *names: str) -> Any:
    return update(table).values({table.c[name]: bindparam(name) for name in names})


RESULT_COLUMNS = (
    "state", "final", "answered_at", "finished_at", "finished_seq", "outcome", "code", "retcode", "result_ticket",
    "price", "slippage", "done_volume", "execution_time", "message",
)  # fmt: skip
DISPATCH_COLUMNS = ("state", "dispatched_at", "tag")
_NOT_FINISHED = commands.c.final == text("0")

INSERT_EVENT = _insert(events)
INSERT_COMMAND = _insert(commands)
INSERT_OUTBOX = _insert(outbox)
INSERT_SESSION = _insert(sessions)
INSERT_EQUITY = _insert(equity_samples)
QUEUE_COMMAND = Statement(
    _set(commands, "state").where(commands.c.id == bindparam("which"), _NOT_FINISHED), ("state", "which")
)
DISPATCH_COMMAND = Statement(
    _set(commands, *DISPATCH_COLUMNS).where(commands.c.id == bindparam("which"), _NOT_FINISHED),
    (*DISPATCH_COLUMNS, "which"),
)
FINISH_COMMAND = Statement(
    _set(commands, *RESULT_COLUMNS).where(commands.c.id == bindparam("which"), _NOT_FINISHED),
    (*RESULT_COLUMNS, "which"),
)
ACKNOWLEDGE = Statement(
    _set(outbox, "acknowledged_at").where(
        outbox.c.id == bindparam("which"), outbox.c.acknowledged_at.is_(None)
    ),
    ("acknowledged_at", "which"),
)
CLOSE_SESSION = Statement(
    _set(sessions, "closed_at", "reason").where(
        sessions.c.session_id == bindparam("which"),
        sessions.c.peer == bindparam("whose"),
        sessions.c.closed_at.is_(None),
    ),
    ("closed_at", "reason", "which", "whose"),
)
TRIP_LIMIT = Statement(
    sqlite.insert(limits).on_conflict_do_update(
        index_elements=["name"],
        set_={
            "message": text("excluded.message"),
            "tripped_at": text("excluded.tripped_at"),
            "seq": text("excluded.seq"),
        },
    ),
    ("name", "message", "tripped_at", "seq"),
)
REENABLE_LIMIT = Statement(delete(limits).where(limits.c.name == bindparam("which")), ("which",))
MOVE_HEAD = Statement(_set(chain_head, "seq", "hash").where(chain_head.c.id == text("1")), ("seq", "hash"))
