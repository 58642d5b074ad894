"""Reading a journal from outside the engine, also while it runs: every question is one short transaction that cannot write.

Never a second writer and never a checkpoint: with SQLite before 3.51.3 two connections that write or checkpoint can damage a
database in WAL mode. docs/journal.md says why a reader is safe.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from app.adapters import journal_queries as queries
from app.adapters.journal_chain import ChainReport, check_chain
from app.adapters.journal_copy import put_in_place, unfinished_name, write_copy
from app.adapters.journal_file import damaged, read_only, revision_of
from app.domain.errors import JournalDamaged, JournalFailed

T = TypeVar("T")

PAGE = 500
"""Rows of one question: some milliseconds, so the engine's checkpoints never wait for a reader."""


class JournalReader:
    """An open journal; use it in a `with`. Raises JournalFailed and its kinds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._raw = read_only(path)
        try:
            revision_of(path, self._raw)
        except JournalFailed:
            self._raw.close()
            raise
        self._engine = create_engine("sqlite+pysqlite://", creator=lambda: self._raw, poolclass=StaticPool)
        event.listen(self._engine, "begin", _begin)
        self._connection = self._engine.connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._engine.dispose()

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Answer one question from one moment of the journal."""
        try:
            return question(self._connection)
        except (SQLAlchemyError, sqlite3.Error) as fault:
            raise damaged(self.path, str(getattr(fault, "orig", None) or fault)) from None
        finally:
            self._connection.rollback()

    def commands(self, wanted: queries.CommandFilter) -> Iterator[dict[str, Any]]:
        """All rows of the command table that match, in the order received."""
        after = 0
        while True:
            page = self.ask(partial(queries.command_rows, wanted=wanted, after=after, limit=PAGE))
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1]["seq"]

    def check_chain(self, *, pause: float = 0.0, rows: int = PAGE) -> ChainReport:
        """Walk the whole hash chain."""
        return check_chain(
            lambda after, limit: self.ask(lambda connection: queries.chain_page(connection, after, limit)),
            rows=rows,
            pause=pause,
        )

    def check_database(self) -> None:
        """SQLite's own full check. Raises JournalDamaged."""
        try:
            verdict = self._raw.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.Error as fault:
            raise damaged(self.path, str(fault)) from None
        if verdict is None or verdict[0] != "ok":
            raise damaged(self.path, f"SQLite's check says: {verdict[0] if verdict else 'nothing'}")

    def backup(self, target: Path) -> ChainReport:
        """Copy to `target`, check the copy, give it its name. Raises JournalFailed; `target` is then as it was."""
        unfinished = unfinished_name(target)
        try:
            write_copy(self._raw, unfinished)
        except (sqlite3.Error, OSError) as fault:
            raise JournalFailed(
                f"The backup {target} could not be written ({fault}). Nothing else changed."
            ) from None
        return finish_backup(unfinished, target)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def finish_backup(unfinished: Path, target: Path, *, pause: float = 0.0, rows: int = PAGE) -> ChainReport:
    """Check a copy whole (SQLite's integrity check, the hash chain), then sync it and give it its name.

    Raises JournalDamaged if the copy is not sound (it is removed), JournalFailed if it cannot be put in place.
    """
    try:
        with JournalReader(unfinished) as copy:
            copy.check_database()
            report = copy.check_chain(pause=pause, rows=rows)
        if not report.sound:
            raise JournalDamaged(
                f"The backup {target} was not kept: {report}. The journal itself has the same fault."
            )
        put_in_place(unfinished, target)
    except OSError as fault:
        raise JournalFailed(f"The backup {target} could not be put in place ({fault}).") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return report
