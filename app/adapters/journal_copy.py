"""A whole, synced copy of a SQLite file through SQLite's own backup interface.

Copying a live database with the file system's means loses what stands in its write-ahead log; nothing here does that.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from app.adapters.durable_file import sync_folder


def copy_database(
    source: sqlite3.Connection, target: Path, *, pages: int = -1, between: Callable[[], None] | None = None
) -> None:
    """Copy to `target` (replaced, if it stands there already, in one step at the end); one file, no write-ahead log.

    `between` is called after every `pages` pages; what it writes through `source` gets into the copy.
    Raises sqlite3.Error, OSError.
    """
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    write_copy(source, unfinished, pages=pages, between=between)
    put_in_place(unfinished, target)


def write_copy(
    source: sqlite3.Connection, target: Path, *, pages: int = -1, between: Callable[[], None] | None = None
) -> None:
    """Copy to a file that does not exist yet and sync it."""
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=pages, progress=None if between is None else lambda *_: between())
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()
    handle = os.open(target, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(unfinished: Path, target: Path) -> None:
    """Give the copy its name, durably."""
    unfinished.replace(target)
    sync_folder(target.parent)
