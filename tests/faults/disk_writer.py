"""The process whose disk is recorded: the real journal adapter and the real latch file, doing every kind of commit there is.

It says in the record when it begins a commit and when it was told that the commit is on disk; it knows nothing of power cuts.
`python -m tests.faults.disk_writer JOBS`: JSON, a list of Job; one life after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

from sqlalchemy import Connection

from app.adapters import durable_file, journal_copy, journal_file, journal_reader, journal_thread
from app.adapters.journal_sqlite import SqliteJournal
from app.adapters.journal_thread import JournalThread
from app.adapters.latch_file import FileLatchStore
from app.domain import events as ev
from app.domain.errors import JournalFailed
from app.domain.results import Outcome
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId
from tests.contract import journal_script as script
from tests.faults.disk_shim import begin, mark

CONTROLS = {
    "normal": "synchronous=NORMAL instead of FULL",
    "off": "synchronous=OFF instead of FULL",
    "early_ack": "a commit is confirmed when it is asked for, not when it is on disk",
    "unsynced_backup": "a backup gets its name without a sync of its content",
    "unsynced_names": "no folder is synced after a name in it has changed",
    "unsynced_folder": "the journal's own folder is made without a sync of the folder above it",
}
"""Ways to make the writer worse than it is; each of them has to be caught."""
KEPT_BACKUPS = 2
"""The newest, which every new backup leaves."""


class Job(TypedDict):
    """One life."""

    root: str
    log: str
    rounds: int
    seed: int
    control: str


def _failed(failure: JournalFailed) -> None:
    raise SystemExit(str(failure))


class Writer:
    """One life of the journal: what is appended is numbered as the journal numbers it."""

    def __init__(self, folder: Path, seed: int, control: str) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.control = control
        self.rows = 0
        self.name = f"s{seed}"
        self.commands = 0
        self.results: list[int] = []
        self.latch = FileLatchStore(folder / "latch.json")

    async def open(self) -> None:
        mark("begin", kind="open")
        self.journal = await SqliteJournal.open(self.folder / "journal.db", _failed)
        self.rows = len(await self._all_rows())
        if self.control in ("normal", "off"):
            await self._pragma(f"synchronous = {self.control.upper()}")
        mark("ack", kind="open", rows=self.rows)

    async def _all_rows(self) -> list[Any]:
        found: list[Any] = []
        while page := await self.journal.rows(after=len(found), limit=1000):
            found += page
        return found

    async def _pragma(self, text: str) -> None:
        def ask(connection: Connection) -> None:
            connection.connection.cursor().execute(f"PRAGMA {text}")

        await self.journal._ask(ask)

    async def commit(self, kind: str, *groups: Sequence[ev.Event]) -> list[tuple[int, ...]]:
        """Append each group by one call, all at once, and say when each is confirmed."""
        mark("begin", kind=kind)
        futures = [self.journal.append(*group) for group in groups]
        if self.control == "early_ack":
            mark("ack", kind=kind, rows=self.rows + sum(map(len, groups)))
        answers = []
        for group, future in zip(groups, futures, strict=True):
            answers.append(await future)
            self.rows += len(group)
            mark("ack", kind=kind, rows=self.rows)
        return answers

    def fresh(self) -> str:
        self.commands += 1
        return f"{self.name}-{self.commands}"

    async def received(self) -> str:
        name = self.fresh()
        await self.commit("received", [script.received(name), script.queued(name)])
        return name

    async def turned_away(self) -> None:
        name = self.fresh()
        await self.commit("turned_away", [script.received(name), script.turned_away(name)])

    async def whole_life(self) -> None:
        name = await self.received()
        await self.commit("dispatched", [script.dispatched(name)])
        if self.random.random() < 0.5:
            [ids] = await self.commit("result", [script.executed(name)])
        else:
            [first] = await self.commit("unknown", [script.unknown(name)])
            [ids] = await self.commit("reconciled", [script.executed(name)])
            ids = first + ids
        self.results += ids

    async def refused(self) -> None:
        name = await self.received()
        kind, event, outcome = self.random.choice(
            [
                ("refused", ev.CommandRefused, Outcome.REJECTED),
                ("expired", ev.CommandExpired, Outcome.EXPIRED),
                ("withdrawn", ev.CommandWithdrawn, Outcome.WITHDRAWN),
                ("stopped", ev.CommandStopped, Outcome.STOPPED),
            ]
        )
        ended = event(script.at(1), CommandId(name), script.result(name, outcome, "MAX_VOLUME"))
        [ids] = await self.commit(kind, [ended])
        self.results += ids

    async def acknowledged(self) -> None:
        if not self.results:
            await self.whole_life()
        stored, self.results = tuple(self.results), []
        await self.commit("outbox_ack", [ev.ResultsAcknowledged(script.at(2), stored)])

    async def alert(self) -> None:
        # Of very different lengths: some commits take overflow pages.
        text = "x" * self.random.choice([20, 300, 9000])
        await self.commit("alert", [ev.AlertRaised(script.at(3), "critical", "TEST", text)])

    async def equity(self) -> None:
        await self.commit("equity", [script.equity("12345678", "10000.12")])

    async def sessions(self) -> None:
        name = self.fresh()
        await self.commit(
            "session",
            [ev.BrainSessionOpened(script.at(4), name, False, 0.25)],
            [ev.BrainSessionClosed(script.at(5), name, "gone")],
        )

    async def limits(self) -> None:
        await self.commit(
            "limit",
            [ev.LimitTripped(script.at(4), "max_daily_loss", "too much")],
            [ev.LimitReenabled(script.at(5), "max_daily_loss", "me", "seen")],
        )

    async def group(self) -> None:
        """Some commands at once: the journal commits them together."""
        await self.commit("group", *[script.life(self.fresh()) for _ in range(self.random.randint(2, 12))])

    async def stopped(self) -> None:
        """As the engine does it: latch file first, journal behind it."""
        status = TradingStatus(
            self.random.choice(list(TradingState)),
            self.rows,
            f"row {self.rows}",
            Actor.OPERATOR,
            script.at(6),
        )
        mark("begin", kind="latch", reason=status.reason)
        self.latch.save(status)
        mark("ack", kind="latch", reason=status.reason)
        await self.commit(
            "state",
            [ev.TradingStateChanged(script.at(6), status.state, status.epoch, status.reason, status.by)],
        )

    async def checkpoint(self) -> None:
        """Wait until the journal has moved its log into the database by itself, for want of work."""
        moved = asyncio.Event()
        loop = asyncio.get_running_loop()
        checkpoint = JournalThread._checkpoint

        def watched(self: JournalThread, cursor: sqlite3.Cursor) -> None:
            checkpoint(self, cursor)
            loop.call_soon_threadsafe(moved.set)

        JournalThread._checkpoint = watched  # type: ignore[method-assign]
        try:
            await self.equity()
            mark("begin", kind="checkpoint")
            await asyncio.wait_for(moved.wait(), 10)
        finally:
            JournalThread._checkpoint = checkpoint  # type: ignore[method-assign]
        mark("ack", kind="checkpoint", rows=self.rows)

    async def backup(self) -> None:
        least = self.rows
        moment = script.START + timedelta(seconds=self.rows)
        mark("begin", kind="backup")
        copying = asyncio.ensure_future(  # noqa: TID251 - a test's own process, awaited below
            self.journal.backup_into(self.folder / "backups", at=moment, keep=KEPT_BACKUPS)
        )
        await self.alert()
        made = await copying
        mark("ack", kind="backup", rows=self.rows, least=least, file=made.name)

    async def close(self) -> None:
        mark("begin", kind="close")
        await self.journal.close()
        mark("ack", kind="close", rows=self.rows)

    def next_life(self) -> None:
        """Nothing that was not read from the journal is known any more, but names are not used twice."""
        self.rows, self.results = 0, []

    def steps(self) -> list[Callable[[], Any]]:
        """One round: every kind at least once, in an order of its own."""
        steps = [
            self.whole_life, self.whole_life, self.turned_away, self.refused, self.refused, self.acknowledged, self.alert,
            self.equity, self.sessions, self.limits, self.group, self.stopped, self.checkpoint, self.backup,
        ]  # fmt: skip
        self.random.shuffle(steps)
        return steps


@contextmanager
def _worsened(control: str) -> Iterator[None]:
    """Forget what `control` says for the time of one life."""
    forgotten: dict[str, list[tuple[ModuleType, str, Any]]] = {
        "unsynced_backup": [(journal_reader, "put_in_place", _only_named)],
        "unsynced_names": [
            (module, "sync_folder", _nothing) for module in (durable_file, journal_copy, journal_file)
        ],
        "unsynced_folder": [
            (module, "make_folder", _plain_folder) for module in (journal_file, journal_copy)
        ],
    }
    with ExitStack() as stack:
        for module, name, instead in forgotten.get(control, []):
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, instead)
        yield


def _nothing(_: object) -> None:
    """A sync that was forgotten."""


def _only_named(unfinished: Path, target: Path) -> None:
    os.replace(unfinished, target)
    durable_file.sync_folder(target.parent)


def _plain_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


async def live(folder: Path, rounds: int, seed: int, control: str) -> None:
    """`rounds` rounds; every third ends with a close and a new opening, the last life may end without."""
    writer = Writer(folder, seed, control)
    await writer.open()
    for number in range(rounds):
        for step in writer.steps():
            await step()
        if number % 3 == 2:
            await writer.close()
            writer.next_life()
            await writer.open()
    if writer.random.random() < 0.5:
        await writer.close()
    mark("end", kind="end", rows=writer.rows)


async def main(jobs: Sequence[Job]) -> None:
    journal_thread.WAL_COMMITS = 25  # so that a short life sees the log begin again from the front
    journal_thread.COPY_PAGES = 16
    journal_thread.QUIET = 0.02
    for job in jobs:
        begin(Path(job["root"]), Path(job["log"]))
        with _worsened(job["control"]):
            await live(Path(job["root"]) / "data", job["rounds"], job["seed"], job["control"])
    os._exit(0)  # no tidy end: what the last life leaves is as a killed process leaves it


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
