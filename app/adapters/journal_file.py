"""Taking possession of a journal's file: is the place safe, is it ours alone, is it sound, is its schema ours.

Everything that can be wrong is found before the first write, and a file that is refused is left as it was. No events here.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from app.adapters.durable_file import make_folder, sync_folder
from app.adapters.journal_copy import put_in_place, unfinished_name, write_copy
from app.adapters.journal_schema import KNOWN_REVISIONS, REVISION
from app.domain.errors import JournalDamaged, JournalFailed, JournalInUse, JournalTooNew

_SYNCED = ("onedrive", "dropbox", "google drive", "googledrive", "icloud drive", "iclouddrive", "nextcloud")
_MIGRATIONS = Path(__file__).parent / "migrations"
_ALEMBIC = threading.Lock()
"""Alembic keeps its context in module globals: one migration at a time in a process."""
_LOCK_BYTE = 1 << 30
"""Windows locks are mandatory: a byte far behind the text leaves the owner's number readable."""

WAL_BYTES = 16 * 2**20
"""Length of the write-ahead log from the start on. It is begun again from the front before it would have to grow."""
_ZEROS = 2**20
RESTORE = "Restore a backup (docs/journal.md, 'Restoring a backup') or ask for help before trading goes on."


# ------------------------------------------------------------------ the place


def checked_place(path: Path) -> Path:
    """The absolute path, links followed. Raises JournalFailed if it, or where it leads, is no place for a journal."""
    refuse_unsafe_place(path)
    real = path.resolve()
    refuse_unsafe_place(real)
    return real


def refuse_unsafe_place(path: Path) -> None:
    """Raises JournalFailed for a network path or a folder that a sync program copies: SQLite's locks and syncs fail there."""
    text = str(path)
    network = text.startswith(("\\\\", "//")) and not text.startswith(("\\\\?\\", "\\\\.\\"))
    if network or text.upper().startswith("\\\\?\\UNC\\") or _is_remote_drive(path):
        raise JournalFailed(
            f"The journal {text} lies on a network drive, where a confirmed write can be lost: Medulla does not trade on that. "
            "Set journal.path to a folder on a disk of this machine."
        )
    for part in path.parts:
        name = part.lower()
        if any(
            name == synced or name.startswith((f"{synced} ", f"{synced}-", f"{synced}("))
            for synced in _SYNCED
        ):
            raise JournalFailed(
                f"The journal {text} lies in {part}, a folder that a sync program copies and replaces while it is written: "
                "orders could be forgotten or damaged. Set journal.path to a folder that is not synced."
            )


if sys.platform == "win32":

    def _is_remote_drive(path: Path) -> bool:
        import ctypes

        drive_remote = 4  # GetDriveTypeW, fileapi.h
        return bool(path.drive) and ctypes.windll.kernel32.GetDriveTypeW(path.drive + "\\") == drive_remote

else:

    def _is_remote_drive(path: Path) -> bool:
        return False


# ------------------------------------------------------------------ ours alone


class OwnerLock:
    """A lock file beside the journal, held by the operating system for this process and freed when it dies."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._path = journal.with_name(journal.name + ".lock")
        self._file: int | None = None

    def take(self) -> None:
        """Raises JournalInUse naming the owner's process, JournalFailed if the folder cannot be written."""
        try:
            make_folder(self._journal.parent)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as fault:
            raise JournalFailed(
                f"The journal's folder {self._journal.parent} cannot be written ({fault.strerror}): nothing can be recorded, so "
                "Medulla does not trade. Give this user the right to write there, or set journal.path to another folder."
            ) from None
        if not _lock(handle):
            owner = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            raise JournalInUse(
                f"The journal {self._journal} is in use by another Medulla (process {owner or 'unknown'}): two at once could "
                "trade twice. Use that one, or end it first."
            )
        try:
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode("ascii"))
        except OSError as fault:
            os.close(handle)
            raise JournalFailed(
                f"The lock of the journal {self._journal} cannot be written ({fault.strerror}): nothing can be recorded, so "
                "Medulla does not trade. Make room or repair the disk, then start Medulla again."
            ) from None
        self._file = handle

    def release(self) -> None:
        """The file stays: removing it would race with the next owner."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


if sys.platform == "win32":

    def _lock(handle: int) -> bool:
        import msvcrt

        os.lseek(handle, _LOCK_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:

    def _lock(handle: int) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class NameWatch:
    """Whether the open database and its write-ahead log are still what stands under their names.

    SQLite goes on writing into files that another program has removed or replaced (sqlite.org/howtocorrupt.html, section 4.1):
    every commit succeeds, and with the process all of it is gone. Windows lets nobody remove a file that SQLite has open.
    """

    def __init__(self, journal: Path) -> None:
        """Both must be open."""
        names = (journal, journal.with_name(journal.name + "-wal"))
        self._known = [(str(name), _identity(str(name))) for name in names if sys.platform != "win32"]

    def moved(self) -> list[str]:
        """Names under which something else stands now, or nothing; the database first. Two system calls."""
        return [name for name, known in self._known if known is not None and _identity(name) != known]


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


# ------------------------------------------------------------------ sound, and of a known schema


def read_only(path: Path, *, ours_alone: bool = False) -> sqlite3.Connection:
    """A connection that can only read. `ours_alone` (the caller holds the lock): it leaves no files beside it either.

    Raises JournalFailed if there is no such file or it cannot be opened."""
    if not path.is_file():
        raise JournalFailed(
            f"There is no journal at {path}. Give its path with --journal, or journal.path in the settings."
        )
    wal = path.with_name(path.name + "-wal")
    # SQLite makes an empty -wal and a -shm for a reader, unless it is told that nobody writes.
    quiet = "&immutable=1" if ours_alone and not (wal.exists() and wal.stat().st_size) else ""
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro{quiet}", uri=True, isolation_level=None
        )
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA query_only = 1")
    except sqlite3.Error as fault:
        raise JournalFailed(
            f"The journal {path} cannot be opened ({fault}): it can neither be read nor traded on."
        ) from None
    return connection


def revision_of(path: Path, connection: sqlite3.Connection) -> str:
    """The schema's revision. Raises JournalDamaged, JournalTooNew."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as fault:
        raise damaged(path, str(fault)) from None
    if row is None:
        raise damaged(path, "it does not say of which version it is")
    revision = str(row[0])
    if revision not in KNOWN_REVISIONS:
        raise JournalTooNew(
            f"The journal {path} was written by a newer Medulla (its schema is {revision}, this program knows up to {REVISION}). "
            "It was not touched. Install the newer version again; an older one could misread what was traded."
        )
    return revision


def damaged(path: Path, why: str) -> JournalDamaged:
    """The error for a file that is no sound journal."""
    one_line = " ".join(why.split())  # SQLite's own check answers in several
    return JournalDamaged(
        f"The journal {path} is damaged ({one_line}). Medulla does not trade on it, because it could not tell which orders "
        "were sent. "
        f"The file was not touched. {RESTORE}"
    )


def _inspect(path: Path) -> str | None:
    """Look at the file without being able to write. The revision, or None if there is no journal yet."""
    if not path.exists():
        wal = path.with_name(path.name + "-wal")
        if wal.exists() and wal.stat().st_size:
            raise damaged(path, f"it is gone, but {wal.name}, the end of it, is still there")
        return None
    if not path.is_file():
        raise damaged(path, "it is no file")
    if path.stat().st_size == 0:
        raise damaged(path, "the file is empty")
    connection = read_only(path, ours_alone=True)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict is None or verdict[0] != "ok":
            raise damaged(path, f"SQLite's check says: {verdict[0] if verdict else 'nothing'}")
        return revision_of(path, connection)
    except sqlite3.DatabaseError as fault:
        raise damaged(path, str(fault)) from None
    finally:
        connection.close()


# ------------------------------------------------------------------ opening


def open_for_writing(path: Path) -> tuple[Engine, Connection]:
    """The one connection, ready to write: checked, in WAL mode, synced on every commit, schema up to date.

    The caller holds the OwnerLock and stays on this thread. Raises JournalDamaged, JournalTooNew, JournalFailed.
    """
    try:
        revision = _inspect(path)
        if revision is None:
            _create(path)
        elif revision != REVISION:
            _keep_before_migration(path)
        engine, connection_ = _connect(path)
        try:
            if revision is not None and revision != REVISION:
                _migrate(connection_)
            _check_settings(path, connection_)
            _make_room(path.with_name(path.name + "-wal"))
        except (JournalFailed, SQLAlchemyError, sqlite3.Error, OSError):
            connection_.close()
            engine.dispose()
            raise
        return engine, connection_
    except (SQLAlchemyError, sqlite3.Error, OSError) as fault:
        reason = getattr(fault, "orig", None) or fault
        raise JournalFailed(
            f"The journal {path} cannot be opened ({reason}): nothing can be recorded, so Medulla does not trade. "
            "Make room or repair the disk, end programs that have the file open, then start Medulla again."
        ) from fault


def _make_room(wal: Path) -> None:
    """Bring the write-ahead log to its length, in zeros that SQLite takes for its end and writes over.

    A commit that makes the file longer has the file system record that too before it is on disk: half its time again, and
    now and then many times that.
    """
    try:
        handle = os.open(wal, os.O_WRONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return  # only the commits are slower for it
    try:
        length = os.fstat(handle).st_size
        try:
            os.lseek(handle, 0, os.SEEK_END)
            for start in range(length, WAL_BYTES, _ZEROS):
                os.write(handle, bytes(min(_ZEROS, WAL_BYTES - start)))
            os.fsync(handle)
        except OSError:
            # The disk is nearly full: what is left of it is for records.
            os.ftruncate(handle, length)
    finally:
        os.close(handle)


def _keep_before_migration(path: Path) -> None:
    target = path.with_name(f"{path.name}.before-{REVISION}")
    connection = read_only(path)
    try:
        write_copy(connection, unfinished_name(target))
    finally:
        connection.close()
    put_in_place(unfinished_name(target), target)


def _create(path: Path) -> None:
    # Built under another name, so that a journal under its own name is always a whole one.
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, unfinished.with_name(unfinished.name + "-journal")):
        leftover.unlink(missing_ok=True)
    engine, connection = _connect(unfinished, wal=False)
    try:
        _migrate(connection)
    finally:
        connection.close()
        engine.dispose()
    unfinished.replace(path)
    sync_folder(path.parent)


def _connect(path: Path, wal: bool = True) -> tuple[Engine, Connection]:
    def creator() -> sqlite3.Connection:
        # isolation_level None: the driver begins nothing by itself; the listener below says BEGIN IMMEDIATE.
        raw = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        try:
            raw.execute("PRAGMA busy_timeout = 5000")
            if wal:
                raw.execute("PRAGMA journal_mode = WAL")
                raw.execute("PRAGMA wal_autocheckpoint = 0")
            raw.execute("PRAGMA synchronous = FULL")
            raw.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    engine = create_engine("sqlite+pysqlite://", creator=creator, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine, engine.connect()


def _check_settings(path: Path, connection: Connection) -> None:
    def value(name: str) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

    found = (value("journal_mode"), value("synchronous"), value("foreign_keys"))
    connection.rollback()
    if found != ("wal", 2, 1):
        raise JournalFailed(
            f"The journal {path} cannot be kept safely on this disk (journal_mode, synchronous, foreign_keys are {found} instead "
            "of wal, 2, 1): a confirmed write could be lost. Set journal.path to a local disk."
        )


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with _ALEMBIC, connection.begin():
        command.upgrade(config, "head")
