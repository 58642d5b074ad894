"""What the SQLite journal promises beyond the port: durability, one owner, honest refusal of a bad file, failure that stops."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.adapters import journal_file, journal_queries, journal_schema, journal_sqlite, journal_thread
from app.adapters.journal_file import refuse_unsafe_place
from app.adapters.journal_reader import JournalReader
from app.adapters.journal_sqlite import SqliteJournal
from app.adapters.journal_thread import JournalThread
from app.domain import events as ev
from app.domain.errors import InvalidValue, JournalDamaged, JournalFailed, JournalInUse, JournalTooNew
from app.domain.values import CommandId
from tests.contract import journal_script as script

ROOT = Path(__file__).parents[2]


def _unwanted(failure: JournalFailed) -> None:
    raise AssertionError(f"the journal failed: {failure}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[SqliteJournal]:
    made = await SqliteJournal.open(path, _unwanted)
    yield made
    await made.close()


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """A hand in the file, as a forger has it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


async def _pragma(journal: SqliteJournal, text: str) -> Any:
    def ask(connection: Connection) -> Any:
        cursor = connection.connection.cursor()
        cursor.execute(f"PRAGMA {text}")
        return cursor.fetchone()

    return (await journal._ask(ask) or [None])[0]


async def _filled(path: Path, lives: int = 3) -> None:
    journal = await SqliteJournal.open(path, _unwanted)
    for number in range(lives):
        await journal.append(*script.life(f"c{number}"))
    await journal.close()


# ------------------------------------------------------------------ durable


async def test_every_commit_is_synced(journal: SqliteJournal) -> None:
    assert await _pragma(journal, "journal_mode") == "wal"
    assert await _pragma(journal, "synchronous") == 2
    assert await _pragma(journal, "foreign_keys") == 1


async def test_the_log_has_its_length_from_the_start_and_keeps_it(journal: SqliteJournal, path: Path) -> None:
    log = path.with_name("journal.db-wal")
    assert log.stat().st_size == journal_file.WAL_BYTES
    for number in range(journal_thread.WAL_COMMITS + 10):
        await journal.append(*script.life(f"c{number}"))
    assert log.stat().st_size == journal_file.WAL_BYTES
    assert (await journal.verify()).sound


async def test_a_disk_without_room_for_the_whole_log_keeps_what_is_left_for_records(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def full(handle: int) -> None:
        if os.fstat(handle).st_size >= journal_file.WAL_BYTES:
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    journal = await SqliteJournal.open(path, _unwanted)
    assert path.with_name("journal.db-wal").stat().st_size == 0
    await journal.append(*script.life("c0"))
    assert (await journal.verify()).sound
    await journal.close()


async def test_a_second_end_in_the_same_group_is_refused_as_in_a_later_one(path: Path) -> None:
    failures: list[JournalFailed] = []
    journal = await SqliteJournal.open(path, failures.append)
    first, *rest = script.life("c0")
    with pytest.raises(JournalFailed, match="finished already"):
        await journal.append(first, *rest, rest[-1])
    assert len(failures) == 1
    await journal.close()


async def test_everything_is_there_after_a_restart(path: Path) -> None:
    await _filled(path)
    journal = await SqliteJournal.open(path, _unwanted)
    assert journal.may_know(CommandId("c2"))
    assert not journal.may_know(CommandId("c3"))
    assert len(await journal.recent(10)) == 3
    (fourth,) = await journal.append(*script.life("c3"))
    assert fourth == 4
    assert [row.seq for row in await journal.rows()] == list(range(1, 17))
    assert (await journal.verify()).sound
    await journal.close()
    assert not path.with_name("journal.db-wal").exists()


async def test_what_waits_is_committed_together_and_in_bounded_groups(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    commit = JournalThread._commit

    def counted(self: JournalThread, cursor: sqlite3.Cursor, group: list[Any]) -> None:
        sizes.append(len(group))
        commit(self, cursor, group)

    monkeypatch.setattr(JournalThread, "_commit", counted)
    await asyncio.gather(*[journal.append(*script.life(f"c{number}")) for number in range(400)])
    assert sum(sizes) == 400
    assert max(sizes) <= journal_thread.GROUP
    assert len(sizes) < 100


@contextmanager
def _writer(path: Path, first: int) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process of its own, and what it says, that owns the journal and writes; killed without mercy at the end."""
    command = [sys.executable, "-m", "tests.adapters.journal_writer", str(path), str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process, process.stdout
        finally:
            process.kill()


@pytest.mark.processes
def test_a_killed_writer_loses_nothing_that_was_confirmed(path: Path) -> None:
    confirmed: list[str] = []
    for life in range(3):
        with _writer(path, life * 100_000) as (process, said):
            confirmed += [said.readline().strip() for _ in range(40 + life * 7)]
            process.kill()
            confirmed += [line.strip() for line in said if line.endswith("\n")]
    with JournalReader(path) as reader:
        reader.check_database()
        report = reader.check_chain()
        stored = reader.ask(lambda connection: set(journal_queries.known_ids(connection)))
    assert report.sound
    assert len(confirmed) > 140
    assert set(confirmed) <= stored


# ------------------------------------------------------------------ failure


async def test_a_full_disk_stops_the_journal_for_good(path: Path) -> None:
    failures: list[JournalFailed] = []
    journal = await SqliteJournal.open(path, failures.append)
    await journal.append(script.received("a"), script.queued("a"))
    pages = await _pragma(journal, "page_count")
    await _pragma(journal, f"max_page_count = {pages + 1}")
    long = ev.AlertRaised(script.at(1), "info", "LONG", "x" * 50_000)
    heard: list[int] = []
    first, second = journal.append(long), journal.append(script.dispatched("a"))
    first.add_done_callback(lambda _: heard.append(len(failures)))
    with pytest.raises(JournalFailed, match=r"full.*trading has stopped"):
        await first
    with pytest.raises(JournalFailed):
        await second
    assert heard == [1]
    # Room again: what failed once is not tried again in this life.
    await _pragma(journal, "max_page_count = 100000")
    with pytest.raises(JournalFailed):
        await journal.append(script.dispatched("a"))
    assert len(failures) == 1
    assert [row.kind for row in await journal.rows()] == ["CommandReceived", "CommandQueued"]
    assert journal.backlog == 0
    await journal.close()
    again = await SqliteJournal.open(path, _unwanted)
    assert len(await again.unfinished()) == 1
    await again.append(script.dispatched("a"))
    await again.close()


async def test_a_lock_held_by_another_program_is_a_failure_not_a_wait_for_ever(path: Path) -> None:
    failures: list[JournalFailed] = []
    journal = await SqliteJournal.open(path, failures.append)
    await _pragma(journal, "busy_timeout = 10")
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalFailed, match="locked"):
            await journal.append(script.received("a"))
        other.execute("ROLLBACK")
    assert len(failures) == 1
    await journal.close()


async def test_a_disk_that_does_not_keep_up_stops_trading(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_sqlite, "BACKLOG", 10)
    failures: list[JournalFailed] = []
    journal = await SqliteJournal.open(path, failures.append)
    futures = [journal.append(script.received(f"c{number}")) for number in range(11)]
    with pytest.raises(JournalFailed, match="wait for the disk"):
        await futures.pop()
    assert len(failures) == 1
    await asyncio.gather(*futures)
    await journal.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_fault_of_ours_in_the_thread_leaves_nobody_waiting(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[JournalFailed] = []
    journal = await SqliteJournal.open(path, failures.append)

    def bug(_: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(JournalFailed):
        await asyncio.wait_for(journal._ask(bug), 10)
    assert len(failures) == 1
    with pytest.raises(JournalFailed):
        await journal.append(script.received("a"))
    await journal.close()


async def test_an_event_that_has_no_form_is_the_callers_fault(journal: SqliteJournal) -> None:
    with pytest.raises(InvalidValue, match="time zone"):
        journal.append(ev.CommandQueued(script.START.replace(tzinfo=None), CommandId("a")))
    await journal.append(script.received("a"))


# ------------------------------------------------------------------ one owner


async def test_a_second_instance_is_told_who_owns_it(journal: SqliteJournal, path: Path) -> None:
    with pytest.raises(JournalInUse, match=f"process {os.getpid()}\\b.*trade twice"):
        await SqliteJournal.open(path, _unwanted)
    await journal.append(script.received("a"))


@pytest.mark.processes
async def test_the_ownership_ends_with_its_process(path: Path) -> None:
    with _writer(path, 0) as (process, _), pytest.raises(JournalInUse, match=f"process {process.pid}\\b"):
        await SqliteJournal.open(path, _unwanted)
    journal = await SqliteJournal.open(path, _unwanted)
    await journal.close()


# ------------------------------------------------------------------ files that are refused, untouched


def _bytes(path: Path) -> dict[str, bytes]:
    return {
        entry.name: entry.read_bytes()
        for entry in sorted(path.parent.iterdir())
        if not entry.name.endswith((".lock", "-shm"))
    }


async def _refused(path: Path, kind: type[JournalFailed], says: str) -> None:
    before = _bytes(path)
    with pytest.raises(kind, match=says) as caught:
        await SqliteJournal.open(path, _unwanted)
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)
    assert _bytes(path) == before


@pytest.mark.parametrize("damage", ["empty", "garbage", "zeros", "half", "hole", "other program"])
async def test_a_damaged_file_is_refused_and_left_as_it_is(path: Path, damage: str) -> None:
    await _filled(path, 50)
    _spoil(path, damage)
    await _refused(path, JournalDamaged, "Restore a backup")


def _spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "other program":
        path.unlink()
        with raw(path) as connection:
            connection.execute("CREATE TABLE songs (name TEXT)")
    else:
        made = {
            "empty": b"",
            "garbage": os.urandom(len(content)),
            "zeros": bytes(len(content)),
            "half": content[: len(content) // 2],
            "hole": content[:8192] + bytes(8192) + content[16384:],
        }
        path.write_bytes(made[damage])


async def test_a_newer_journal_is_refused_and_left_as_it_is(path: Path) -> None:
    await _filled(path)
    with raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await _refused(path, JournalTooNew, "newer Medulla")


async def test_a_newer_journal_with_a_crash_behind_it_is_left_as_it_is(path: Path) -> None:
    await _filled(path)
    with raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("INSERT INTO limits SELECT 'x', 'y', 'z', 1")
        # As a crash leaves it: the newest row only in the write-ahead log.
        crashed = path.with_name("crashed") / "journal.db"
        crashed.parent.mkdir()
        for name in ("journal.db", "journal.db-wal"):
            shutil.copy(path.with_name(name), crashed.with_name(name))
    assert crashed.with_name("journal.db-wal").stat().st_size
    await _refused(crashed, JournalTooNew, "newer Medulla")


async def test_an_end_without_its_beginning_is_refused(path: Path) -> None:
    await _filled(path)
    os.replace(path, f"{path}-wal")
    await _refused(path, JournalDamaged, "it is gone")


async def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFailed, match="cannot be written"):
        await SqliteJournal.open(tmp_path / "file" / "journal.db", _unwanted)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("app.adapters.journal_file.os.open", denied)
    with pytest.raises(JournalFailed, match=r"Permission denied.*Give this user"):
        await SqliteJournal.open(tmp_path / "journal.db", _unwanted)


@pytest.mark.parametrize(
    "place",
    [
        r"\\server\share\journal.db",
        "//server/share/journal.db",
        r"\\?\UNC\server\share\journal.db",
        "/home/me/OneDrive/medulla/journal.db",
        "/home/me/OneDrive - Company/journal.db",
        "/home/me/Dropbox (Personal)/journal.db",
        "/Users/me/Google Drive/journal.db",
    ],
)
def test_network_and_synced_places_are_refused(place: str) -> None:
    with pytest.raises(JournalFailed, match=r"journal\.path"):
        refuse_unsafe_place(Path(place))


@pytest.mark.parametrize(
    "place", ["/home/me/.local/share/medulla/journal.db", "/srv/onedriver/dropboxes/journal.db"]
)
def test_local_places_are_taken(place: str) -> None:
    refuse_unsafe_place(Path(place))


async def test_a_link_into_a_synced_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Dropbox").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "Dropbox")
    with pytest.raises(JournalFailed, match="Dropbox"):
        await SqliteJournal.open(tmp_path / "data" / "journal.db", _unwanted)
    assert list((tmp_path / "Dropbox").iterdir()) == []


# ------------------------------------------------------------------ schema


async def test_migrations_make_the_schema_of_the_code(journal: SqliteJournal) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), journal_schema.metadata))

    assert await journal._ask(differences) == []
    config = Config()
    config.set_main_option("script_location", str(ROOT / "app" / "adapters" / "migrations"))
    script_folder = ScriptDirectory.from_config(config)
    assert script_folder.get_heads() == [journal_schema.REVISION]
    assert {revision.revision for revision in script_folder.walk_revisions()} == set(
        journal_schema.KNOWN_REVISIONS
    )


async def test_an_older_schema_is_copied_before_it_is_upgraded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _filled(path)
    later = path.parent.parent / "migrations"
    shutil.copytree(
        ROOT / "app" / "adapters" / "migrations", later, ignore=shutil.ignore_patterns("__pycache__")
    )
    (later / "versions" / "r0002_note.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = '0002', '0001', None, None\n"
        "def upgrade():\n    op.add_column('limits', sa.Column('note', sa.Text()))\n"
    )
    monkeypatch.setattr("app.adapters.journal_file._MIGRATIONS", later)
    monkeypatch.setattr("app.adapters.journal_file.REVISION", "0002")
    monkeypatch.setattr("app.adapters.journal_file.KNOWN_REVISIONS", ("0001", "0002"))
    journal = await SqliteJournal.open(path, _unwanted)
    assert await _pragma(journal, "table_info(limits)") is not None
    assert len(await journal.recent(10)) == 3
    await journal.close()
    with raw(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
    with raw(path.with_name("journal.db.before-0002")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (12,)


# ------------------------------------------------------------------ the chain

TAMPERING = {
    "payload changed": ("UPDATE events SET payload = replace(payload, '0.10', '9.99') WHERE seq = 5", 5),
    "time changed": ("UPDATE events SET at = '2026-11-20T09:00:01.000000Z' WHERE seq = 7", 7),
    "kind changed": ("UPDATE events SET kind = 'CommandRejected' WHERE seq = 8", 8),
    "command changed": ("UPDATE events SET command_id = 'c9' WHERE seq = 6", 6),
    "hash changed": ("UPDATE events SET hash = lower(hex(zeroblob(32))) WHERE seq = 2", 2),
    "link changed": ("UPDATE events SET prev_hash = lower(hex(zeroblob(32))) WHERE seq = 3", 3),
    "first row gone": ("DELETE FROM events WHERE seq = 1", 1),
    "row gone": ("DELETE FROM events WHERE seq = 6", 6),
    "last row gone": ("DELETE FROM events WHERE seq = 12", 12),
    "all rows gone": ("DELETE FROM events", 1),
    "row put at the end": (
        "INSERT INTO events SELECT 13, at, kind, command_id, payload, hash, hash FROM events WHERE seq = 12",
        13,
    ),
    "row put before": (
        "INSERT INTO events SELECT 0, at, kind, command_id, payload, hash, hash FROM events WHERE seq = 12",
        0,
    ),
    "head moved back": (
        "UPDATE chain_head SET seq = 11, hash = (SELECT hash FROM events WHERE seq = 11)",
        12,
    ),
    "head gone": ("DELETE FROM chain_head", 12),
    "head's hash changed": ("UPDATE chain_head SET hash = 'x'", 12),
}


@pytest.mark.parametrize(("change", "bad"), TAMPERING.values(), ids=TAMPERING.keys())
async def test_a_forged_row_is_found_and_named(path: Path, change: str, bad: int) -> None:
    await _filled(path)
    with raw(path) as connection:
        if change.startswith(("UPDATE events", "DELETE FROM events")):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(change)
        connection.execute("DROP TRIGGER events_no_update")
        connection.execute("DROP TRIGGER events_no_delete")
        connection.execute(change)
    with JournalReader(path) as reader:
        report = reader.check_chain(rows=5)
        with pytest.raises(JournalFailed):
            reader.backup(path.with_name("copy.db"))
    assert (report.sound, report.bad_seq) == (False, bad)
    assert not path.with_name("copy.db").exists()


async def test_a_journal_whose_end_was_cut_off_is_refused(path: Path) -> None:
    await _filled(path)
    with raw(path) as connection:
        connection.execute("DROP TRIGGER events_no_delete")
        connection.execute("DELETE FROM events WHERE seq = 12")
    with pytest.raises(JournalDamaged, match="not the one that was written last"):
        await SqliteJournal.open(path, _unwanted)


# ------------------------------------------------------------------ backups


async def test_a_backup_is_whole_and_taken_while_appends_go_on(
    journal: SqliteJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_thread, "COPY_PAGES", 1)
    await asyncio.gather(*[journal.append(*script.life(f"c{number}")) for number in range(200)])
    target = path.with_name("backups") / "copy.db"
    copying = asyncio.gather(journal.backup(target))
    during = [journal.append(*script.life(f"d{number}")) for number in range(100)]
    await during[0]
    assert not copying.done()
    assert (await journal.rows(limit=1))[0].seq == 1
    (report,) = await copying
    await asyncio.gather(*during)
    assert report.sound
    assert report.rows >= 800
    assert [entry.name for entry in target.parent.iterdir()] == ["copy.db"]
    assert (await journal.verify()).rows == 1200
    again = await SqliteJournal.open(target, _unwanted)
    assert again.may_know(CommandId("c199"))
    await again.close()


async def test_old_backups_go_only_when_a_new_one_is_good(journal: SqliteJournal, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    await journal.append(*script.life("a"))
    for hour in range(5):
        made = await journal.backup_into(folder, at=script.at(hour * 3600), keep=3)
        (folder / "note.txt").write_text("mine")
    assert made.name == "journal-20261120T130000Z.db"
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "journal-20261120T110000Z.db",
        "journal-20261120T120000Z.db",
        "journal-20261120T130000Z.db",
        "note.txt",
    ]


async def test_a_backup_that_cannot_be_written_leaves_trading_alone(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFailed, match="Trading goes on"):
        await journal.backup(tmp_path / "file" / "copy.db")
    with pytest.raises(JournalFailed, match="must not replace"):
        await journal.backup(journal.path)
    await journal.append(script.received("a"))


async def test_a_reader_beside_a_busy_writer_sees_whole_commits(journal: SqliteJournal, path: Path) -> None:
    await journal.append(*script.life("first"))

    def look() -> list[int]:
        with JournalReader(path) as reader:
            return [reader.check_chain(rows=20).rows for _ in range(5)]

    looking = asyncio.gather(asyncio.to_thread(look))
    number = 0
    while not looking.done():
        await journal.append(*script.life(f"c{number}"))
        number += 1
    (counts,) = await looking
    assert all(count % 4 == 0 for count in counts)
    assert counts == sorted(counts)
    assert (await journal.verify()).rows == 4 * (number + 1)
