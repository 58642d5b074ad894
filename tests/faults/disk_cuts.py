"""Power cuts under the real journal: record one life of it, cut the power anywhere, open what is left with the real adapter.

Why by recording below the C library: the process that is recorded is the adapter as it runs (its thread, SQLAlchemy, the
standard library's sqlite3 and the SQLite that module is linked with), and one record gives thousands of cuts. A VFS of another
SQLite binding would have tried another SQLite through another driver.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.adapters.journal_reader import JournalReader
from app.adapters.journal_sqlite import SqliteJournal
from app.adapters.latch_file import FileLatchStore
from app.domain.errors import JournalFailed
from tests.contract import journal_script as script
from tests.faults.disk_model import Disk, Operation, Survival, marks, read_record, save_image
from tests.faults.disk_shim import environment
from tests.faults.disk_writer import KEPT_BACKUPS, Job
from tests.mql5_host.build import ROOT


def memory_folder() -> Path | None:
    """Where thousands of images are written without wearing a disk; the cut is in the model, not in the medium."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() else None


@dataclass(frozen=True, slots=True)
class Span:
    """One commit in the record: its power may be cut after any operation from `begin` to `end`."""

    kind: str
    begin: int
    end: int


@dataclass(slots=True)
class Promises:
    """What had been confirmed by some moment."""

    rows: int = 0
    backups: dict[str, int] = field(default_factory=dict)
    """File name -> rows it must hold at least."""
    latch: str | None = None
    """Reason of the last status whose saving was confirmed."""
    latch_begun: str | None = None


@dataclass(slots=True)
class Life:
    """A recorded life of the journal."""

    root: Path
    seed: int
    operations: list[Operation]
    before: Path | None = None
    control: str = ""
    hashes: list[str] = field(default_factory=list)
    """Of every row that was ever written, by number less one."""

    def spans(self) -> list[Span]:
        found, begun = [], 0
        for number, word in marks(self.operations):
            if word["mark"] == "begin":
                begun = number
            elif word["mark"] == "ack":
                found.append(Span(word["kind"], begun, number + 1))
        return found


def record(jobs: Mapping[Path, tuple[int, int, str]], before: Path | None = None) -> list[Life]:
    """Let the writer live once for each (rounds, seed, control), from what `before` holds; the keys are folders to be made."""
    asked: list[Job] = []
    for folder, (rounds, seed, control) in jobs.items():
        root = folder / "life"
        root.mkdir(parents=True)
        if before is not None:
            shutil.copytree(before, root, dirs_exist_ok=True)
        asked.append(
            {
                "root": str(root),
                "log": str(folder / "record"),
                "rounds": rounds,
                "seed": seed,
                "control": control,
            }
        )
    subprocess.run(
        [sys.executable, "-m", "tests.faults.disk_writer", json.dumps(asked)],
        env={**os.environ, **environment()},
        cwd=ROOT,
        check=True,
    )
    return [
        Life(Path(job["root"]), job["seed"], read_record(Path(job["log"])), before, job["control"])
        for job in asked
    ]


def promised(life: Life, upto: int) -> Promises:
    """What had been confirmed before operation number `upto`."""
    found = Promises()
    if life.before is not None:
        inherited = FileLatchStore(life.before / "data" / "latch.json").load().status
        found.latch = found.latch_begun = None if inherited is None else inherited.reason
    for number, word in marks(life.operations):
        if number >= upto:
            break
        _hear(found, word)
    return found


def _hear(promises: Promises, word: dict[str, Any]) -> None:
    if word["kind"] == "latch":
        if word["mark"] == "ack":
            promises.latch = word["reason"]
        promises.latch_begun = word["reason"]
        return
    if word["mark"] == "ack":
        promises.rows = max(promises.rows, word["rows"])
        if word["kind"] == "backup":
            promises.backups[word["file"]] = word["least"]
            for old in sorted(promises.backups)[:-KEPT_BACKUPS]:
                del promises.backups[old]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where and how; with the life's seed it can be made again."""

    kind: str
    after: int
    survival: Survival
    seed: int


@dataclass(slots=True)
class Tally:
    """How many cuts of each kind, and what was wrong after them."""

    tried: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: list[tuple[Cut, str]] = field(default_factory=list)
    rows_checked: int = 0


def choose(life: Life, each: int, seed: int, ways: Sequence[Survival] = tuple(Survival)) -> list[Cut]:
    """`each` cuts for every kind of commit, spread over the ways; a third falls right behind the confirmation."""
    chance = random.Random(seed)
    by_kind: dict[str, list[Span]] = defaultdict(list)
    for span in life.spans():
        by_kind[span.kind].append(span)
    found = []
    for kind in sorted(by_kind):
        for number in range(each):
            span = chance.choice(by_kind[kind])
            after = span.end if chance.random() < 1 / 3 else chance.randint(span.begin, span.end)
            found.append(Cut(kind, after, ways[number % len(ways)], chance.randrange(2**31)))
    return sorted(found, key=lambda cut: cut.after)


class _Refusal(Exception):
    """What is left after a cut breaks a promise."""


def images(life: Life, cuts: list[Cut]) -> Iterator[tuple[Cut, dict[str, Any]]]:
    """What each cut leaves; the cuts in the order of the record."""
    disk = Disk(life.root, life.before)
    fed = 0
    for cut in cuts:
        for operation in life.operations[fed : cut.after]:
            disk.feed(operation)
        fed = max(fed, cut.after)
        yield cut, disk.image(cut.survival, random.Random(cut.seed))


async def try_cuts(life: Life, cuts: list[Cut], scratch: Path, *, enough: int | None = None) -> Tally:
    """Cut, open, look; nothing is raised, all faults are in the tally. `enough`: faults after which no more is tried."""
    await _learn(life, scratch)
    tally = Tally()
    sound: set[bytes] = set()
    for cut, image in images(life, cuts):
        if enough is not None and len(tally.faults) >= enough:
            break
        shutil.rmtree(scratch, ignore_errors=True)
        save_image(image, scratch)
        tally.tried[cut.kind] += 1
        try:
            tally.rows_checked += await _look(life, promised(life, cut.after), scratch / "data", sound)
        except (_Refusal, JournalFailed, OSError) as fault:
            tally.faults.append((cut, str(fault)))
    shutil.rmtree(scratch, ignore_errors=True)
    return tally


async def _learn(life: Life, scratch: Path) -> None:
    """All rows that were ever written, from what the whole record leaves when nothing is lost."""
    end = Cut("end", len(life.operations), Survival.EVERYTHING, 0)
    [(_, image)] = images(life, [end])
    shutil.rmtree(scratch, ignore_errors=True)
    save_image(image, scratch)
    journal = await SqliteJournal.open(scratch / "data" / "journal.db", _ignore)
    life.hashes = [row.hash for row in await _rows(journal)]
    await journal.close()
    written = promised(life, end.after).rows
    if len(life.hashes) != written:
        raise AssertionError(
            f"the record knows of {written} rows, the journal it leaves of {len(life.hashes)}"
        )


def _ignore(_: JournalFailed) -> None:
    """A failure reaches the caller of what failed as well."""


async def _rows(journal: SqliteJournal) -> list[Any]:
    found: list[Any] = []
    while page := await journal.rows(after=len(found), limit=1000):
        found += page
    return found


async def _look(life: Life, promises: Promises, data: Path, sound: set[bytes]) -> int:
    path = data / "journal.db"
    journal = await SqliteJournal.open(path, _ignore)
    try:
        rows = await _rows(journal)
        if len(rows) < promises.rows:
            raise _Refusal(f"{promises.rows - len(rows)} of {promises.rows} confirmed rows are lost")
        if [row.hash for row in rows] != life.hashes[: len(rows)]:
            raise _Refusal("a row is another than the one that was written")
        report = await journal.verify()
        if not report.sound:
            raise _Refusal(f"hash chain: {report}")
        verdict = await journal._ask(_whole_check)
        if verdict != "ok":
            raise _Refusal(f"integrity: {verdict}")
        await _same_books(journal)
        # It goes on from here, and what it then confirms is there as well.
        await journal.append(*script.life(f"after-{len(rows)}"))
    finally:
        await journal.close()
    with JournalReader(path) as reader:
        reader.check_database()
        if reader.check_chain().rows != len(rows) + 4:
            raise _Refusal("what was written after the cut is not there")
    _backups(promises, data / "backups", sound)
    _latch(promises, data)
    return len(rows)


def _whole_check(connection: Connection) -> str:
    return str(connection.exec_driver_sql("PRAGMA integrity_check").scalar())


async def _same_books(journal: SqliteJournal) -> None:
    """The tables beside the events say what the events say."""

    def differences(connection: Connection) -> list[str]:
        def number(text: str) -> int:
            return int(connection.exec_driver_sql(text).scalar_one())

        counted = {
            "commands": (
                "SELECT count(*) FROM commands",
                "SELECT count(*) FROM events WHERE kind = 'CommandReceived'",
            ),
            "results": (
                "SELECT count(*) FROM outbox",
                "SELECT count(*) FROM events WHERE json_extract(payload, '$.result') IS NOT NULL",
            ),
            "equity": (
                "SELECT count(*) FROM equity_samples",
                "SELECT count(*) FROM events WHERE kind = 'EquitySampled'",
            ),
        }
        return [name for name, (table, events) in counted.items() if number(table) != number(events)]

    wrong = await journal._ask(differences)
    if wrong:
        raise _Refusal(f"tables that differ from the events: {', '.join(wrong)}")
    for record_ in await journal.unfinished():
        if record_.state.final:
            raise _Refusal(f"{record_.command_id} is finished by its events, unfinished by its row")


def _backups(promises: Promises, folder: Path, sound: set[bytes]) -> None:
    """Whatever bears the name of a backup is one, and the confirmed ones are there. `sound`: contents looked through before.

    One may be gone because a newer one, which nobody was told of yet, is in place: so many are kept, and all are looked through.
    """
    named = {path.name: path for path in folder.glob("journal-*.db")} if folder.is_dir() else {}
    newest = sorted(named)[-KEPT_BACKUPS:]
    for name in promises.backups:
        if name not in named and not (len(newest) == KEPT_BACKUPS and name < newest[0]):
            raise _Refusal(f"the confirmed backup {name} is not there")
    for name, path in named.items():
        digest = sha256(path.read_bytes()).digest()
        if digest in sound:
            continue
        with JournalReader(path) as reader:
            reader.check_database()
            report = reader.check_chain()
        if not report.sound:
            raise _Refusal(f"{name} is called a backup and is none")
        if report.rows < promises.backups.get(name, 0):
            raise _Refusal(f"the backup {name} lacks rows that were confirmed before it was begun")
        sound.add(digest)


def _latch(promises: Promises, data: Path) -> None:
    reading = FileLatchStore(data / "latch.json", used_before=promises.latch is not None).load()
    if reading.fault is not None and promises.latch is not None:
        raise _Refusal(f"latch: {reading.fault}")
    if reading.fault is not None and not reading.fault.endswith("was there before"):
        raise _Refusal(f"latch: {reading.fault}")
    said = None if reading.status is None else reading.status.reason
    if said not in (promises.latch, promises.latch_begun):
        raise _Refusal(f"the latch says {said!r} instead of {promises.latch!r}")
