"""Whole copies of a journal through SQLite's own backup interface, checked before they are called backups.

Copying a live database with the file system's means loses what stands in its write-ahead log; nothing here does that.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from app.adapters.durable_file import make_folder, sync_folder

_NAME = re.compile(r"journal-\d{8}T\d{6}Z\.db\Z")


def unfinished_name(target: Path) -> Path:
    """Where a copy is made until it is known to be good."""
    return target.with_name(target.name + ".part")


def write_copy(
    source: sqlite3.Connection, target: Path, *, pages: int = -1, between: Callable[[], None] | None = None
) -> None:
    """Copy to `target` anew: one file without a write-ahead log, not synced yet (`put_in_place` does that).

    `between` is called after every `pages` pages; what it writes through `source` gets into the copy.
    Raises sqlite3.Error, OSError.
    """
    make_folder(target.parent)
    for leftover in (target, target.with_name(target.name + "-journal")):
        leftover.unlink(missing_ok=True)
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=pages, progress=None if between is None else lambda *_: between())
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


def put_in_place(unfinished: Path, target: Path) -> None:
    """Sync the copy and give it its name, replacing what stands there. Raises OSError."""
    handle = os.open(unfinished, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    unfinished.replace(target)
    sync_folder(target.parent)


def dated_name(at: datetime) -> str:
    """File name of the backup of a moment (UTC); names sort by time."""
    return f"journal-{at:%Y%m%dT%H%M%SZ}.db"


def remove_oldest(folder: Path, keep: int) -> list[Path]:
    """Remove all dated backups but the newest `keep`; other files are not touched. Gives those removed. Raises OSError."""
    dated = sorted(entry for entry in folder.iterdir() if _NAME.match(entry.name))
    removed = dated[: max(0, len(dated) - max(1, keep))]
    for old in removed:
        old.unlink(missing_ok=True)
    return removed
