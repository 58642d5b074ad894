"""A disk that fails, fills, or is changed by others under the running journal adapter: what is told, and what is left.

Runs over the shim (disk_shim.py), by which single calls fail with an errno of choice: `python -m tests.faults.disk_faults FOLDER
SECONDS SEED [--quick]` prints one JSON line a trial and ends after SECONDS or when each was made once, whichever is later.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.adapters import journal_thread
from app.adapters.journal_sqlite import SqliteJournal
from app.domain.errors import JournalFailed
from app.domain.values import CommandId
from tests.contract import journal_script as script

MOST = 30
"""Appends after the strike; a fault that has not shown by then struck nothing."""
SLOW = ("the database is locked by another program",)
"""Trials that wait for SQLite's patience of five seconds."""
ERRNOS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)


@dataclass(slots=True)
class Trial:
    """What happened. `after`: the state on disk when the program is ended (`closed`) and when it is killed (`killed`)."""

    name: str
    told: str = ""
    """What the first failure said; empty: there was none."""
    confirmed: int = 0
    opened: bool = True
    closed: str = ""
    killed: str = ""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing that befalls the files. `survives`: whether what was confirmed before must be there whatever happens."""

    name: str
    do: Callable[[Path], None]
    at_start: bool = False
    survives: bool = True
    silent: bool = False
    """Whether it may go unnoticed as long as nothing is lost."""


class Bench:
    """The folder in which trials are made, one after the other, and the shim's rules."""

    def __init__(self, folder: Path, rules: Path) -> None:
        self.folder = folder
        self.rules = rules
        self.count = 0

    def clear(self) -> None:
        self.rules.write_text("")

    async def trial(self, strike: Strike) -> Trial:
        """Live, strike, live on, end; then look with a fresh adapter."""
        begun = time.monotonic()
        self.count += 1
        home = self.folder / f"t{self.count}"
        found = Trial(strike.name)
        self.clear()
        confirmed: list[str] = []
        failures: list[JournalFailed] = []
        if strike.at_start:
            await self._fill(home / "journal.db", confirmed)
            strike.do(home / "journal.db")
        try:
            journal = await SqliteJournal.open(home / "journal.db", failures.append)
        except JournalFailed as fault:
            found.told, found.opened = str(fault), False
        else:
            await self._live(journal, strike, found, confirmed, failures)
            self.clear()
            _let_go()
            shutil.copytree(home, home.with_name(home.name + "k"))
            await journal.close()
        self.clear()
        found.confirmed = len(confirmed)
        found.closed = await self._look(home, confirmed)
        if found.opened:
            found.killed = await self._look(home.with_name(home.name + "k"), confirmed)
        self._judge(strike, found)
        found.seconds = round(time.monotonic() - begun, 3)
        for folder in self.folder.glob(f"t{self.count}*"):
            shutil.rmtree(folder)
        return found

    @staticmethod
    async def _fill(path: Path, confirmed: list[str]) -> None:
        journal = await SqliteJournal.open(path, _ignore)
        for number in range(3):
            await journal.append(*script.life(f"a{number}"))
            confirmed.append(f"a{number}")
        await journal.close()

    async def _live(
        self,
        journal: SqliteJournal,
        strike: Strike,
        found: Trial,
        confirmed: list[str],
        failures: list[JournalFailed],
    ) -> None:
        for number in range(MOST):
            if number == 4 and not strike.at_start:
                strike.do(journal.path)
            try:
                await journal.append(*script.life(f"b{number}"))
            except JournalFailed as fault:
                found.told = str(fault)
                break
            confirmed.append(f"b{number}")
            if number % 4 == 3:
                await asyncio.sleep(0.012)  # long enough for the journal to move its log into the database
        if not found.told and not failures:
            return
        found.told = found.told or str(failures[0])
        self.clear()
        for number in range(3):
            try:
                await journal.append(*script.life(f"c{number}"))
            except JournalFailed:
                continue
            found.wrong.append("it went on writing after a failure")
            confirmed.append(f"c{number}")
        if len(failures) != 1:
            found.wrong.append(f"trading was told to stop {len(failures)} times")

    @staticmethod
    async def _look(home: Path, confirmed: list[str]) -> str:
        """`kept`, `refused: …` or `lost N`."""
        try:
            journal = await SqliteJournal.open(home / "journal.db", _ignore)
        except JournalFailed as fault:
            return f"refused: {fault}"
        try:
            report = await journal.verify()
            lost = [name for name in confirmed if await journal.command(CommandId(name)) is None]
            await journal.append(*script.life("again"))
        except JournalFailed as fault:
            return f"refused: {fault}"
        finally:
            await journal.close()
        if not report.sound:
            return f"refused by the chain: {report}"
        return f"lost {len(lost)}" if lost else "kept"

    @staticmethod
    def _judge(strike: Strike, found: Trial) -> None:
        ends = {found.closed, found.killed} - {""}
        if found.told and "trad" not in found.told.lower():
            found.wrong.append(f"the failure does not say what it means: {found.told}")
        for end in sorted(ends):
            if end.startswith("lost") and not found.told:
                found.wrong.append(f"{end} of {found.confirmed} confirmed and nobody was told")
            elif end != "kept" and strike.survives:
                found.wrong.append(f"{end} of {found.confirmed} confirmed, told: {found.told!r}")
        if not found.told and not strike.silent and ends == {"kept"}:
            found.wrong.append("it struck nothing")


def _ignore(_: JournalFailed) -> None:
    """A failure reaches the caller of what failed as well."""


# ------------------------------------------------------------------ strikes


def rule(bench: Bench, call: str, part: str, error: int, skip: int, *, at_start: bool = False) -> Strike:
    """From the call number `skip` on files named so, every such call fails."""

    def do(_: Path) -> None:
        bench.rules.write_text(f"{call} {part} {error} {skip}\n")

    when = "at the start" if at_start else "while it runs"
    name = f"{errno.errorcode[error]} on {call} of {part}, after {skip}, {when}"
    return Strike(name, do, at_start, silent=True)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _overwrite(path: Path, content: bytes, at: int = 0) -> None:
    handle = os.open(path, os.O_WRONLY)
    os.pwrite(handle, content, at)
    os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name("aside")
    aside.write_bytes(content)
    aside.replace(path)


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _swap_for_copy(path: Path) -> None:
    content = path.read_bytes()
    _replace(path, content)


def _hold_lock(path: Path) -> None:
    """Another program in the middle of a write of its own."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    _HELD.append(other)


_HELD: list[sqlite3.Connection] = []


def _let_go() -> None:
    while _HELD:
        _HELD.pop().close()


def by_others(seed: int) -> list[Strike]:
    """What other programs and people do to the files."""
    rubbish = random.Random(seed).randbytes(300_000)
    return [
        Strike("the write-ahead log is removed", lambda path: _wal(path).unlink()),
        Strike("the write-ahead log is replaced by rubbish", lambda path: _replace(_wal(path), rubbish)),
        Strike("the write-ahead log is replaced by a copy of itself", lambda path: _swap_for_copy(_wal(path))),
        Strike("the database is removed", lambda path: path.unlink(), survives=False),
        Strike("the database is replaced by rubbish", lambda path: _replace(path, rubbish), survives=False),
        Strike("the database is replaced by a copy of itself", _swap_for_copy, survives=False),
        Strike("the database is overwritten with rubbish", lambda path: _overwrite(path, rubbish), survives=False,
        silent=True),
        Strike("the database is cut to nothing", lambda path: os.truncate(path, 0), survives=False, silent=True),
        Strike("the write-ahead log is cut to nothing", lambda path: os.truncate(_wal(path), 0), survives=False,
        silent=True),
        Strike("the folder is moved away", lambda path: _move(path.parent), survives=False),
        Strike("the database is locked by another program", _hold_lock),
        Strike("the write-ahead index is removed", lambda path: path.with_name("journal.db-shm").unlink(),
        silent=True),
        Strike("the file was empty at the start", lambda path: os.truncate(path, 0), at_start=True, survives=False),
        Strike("the file was rubbish at the start", lambda path: _replace(path, rubbish), at_start=True,
        survives=False),
        Strike("the file had a page of rubbish at the start", lambda path: _overwrite(path, rubbish[:4096], 4096),
        at_start=True, survives=False),
        Strike("the log was rubbish at the start", lambda path: _put(_wal(path), rubbish),
        at_start=True, silent=True),
        Strike("there was a folder in its place at the start", _folder_instead, at_start=True, survives=False),
    ]  # fmt: skip


def _move(folder: Path) -> None:
    folder.rename(folder.with_name(folder.name + "-moved"))
    folder.mkdir()


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_the_disk(bench: Bench, seed: int) -> Iterator[Strike]:
    """What the disk itself does: every call that matters, at every place in a commit or a start; without end."""
    chance = random.Random(seed)
    running = [
        ("write", "journal.db-wal"),
        ("sync", "journal.db-wal"),
        ("write", "journal.db"),
        ("sync", "journal.db"),
        ("read", "journal.db-wal"),
    ]
    starting = [
        *running,
        ("open", "journal.db"),
        ("open", "journal.db-wal"),
        ("open", "journal.db.lock"),
        ("truncate", "journal.db"),
        ("read", "journal.db"),
    ]
    number = 0
    while True:
        call, part = running[number % len(running)]
        yield rule(bench, call, part, chance.choice(ERRNOS), chance.randint(0, 12))
        call, part = starting[number % len(starting)]
        yield rule(
            bench, call, part, chance.choice((*ERRNOS, errno.EACCES)), chance.randint(0, 6), at_start=True
        )
        number += 1


async def main(folder: Path, seconds: float, seed: int, quick: bool) -> None:
    journal_thread.QUIET = 0.005
    journal_thread.WAL_COMMITS = 10
    bench = Bench(folder / "files", Path(os.environ["DISK_SHIM_FAULTS"]))
    ends = time.monotonic() + seconds
    endless = of_the_disk(bench, seed)
    strikes = [strike for strike in by_others(seed) if not (quick and strike.name in SLOW)]
    strikes += [next(endless) for _ in range(12 if quick else 40)]
    while strikes or time.monotonic() < ends:
        strike = strikes.pop(0) if strikes else next(endless)
        print(json.dumps(asdict(await bench.trial(strike))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), "--quick" in sys.argv))
