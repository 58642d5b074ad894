"""A disk that is really full under a trading executor: a small file system in memory with the journal and its latch on it.

The write-ahead log has its length from the start, so a full disk is felt when the log is moved into the database. Until then
trading on is right, and what was confirmed must be there afterwards. POSIX, and only where mounting is allowed.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from app.adapters.journal_queries import CommandFilter
from app.adapters.journal_reader import JournalReader
from app.adapters.journal_thread import WAL_COMMITS
from tests.end_to_end.harness import World, until
from tests.end_to_end.scripted_brain import PATIENCE, Message, ScriptedBrain, outcome

BUY: Message = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.01}
TOGETHER = 4
"""Commands that are sent at once; then their ends are waited for, so that each lot is two commits at least."""
MOST_COMMANDS = WAL_COMMITS // 2 * TOGETHER + 100
"""By then the log has been moved into the database, even if there never was a quiet moment."""
LONG = 6 * PATIENCE
"""Seconds, on a machine on which everything else runs as well."""
SIZE = "24m"
STOPPED = ("TRADING_STATE", "HELLO", "STATE")
"""Messages that tell the brain how trading stands: the first at once, the others if the session broke meanwhile."""


def told_stopped(brain: ScriptedBrain, mark: int) -> bool:
    """Whether any message since `mark` told the brain that trading is stopped."""
    return any(
        heard.body["type"] in STOPPED and heard.body.get("tradingState") == "HALTED"
        for heard in brain.messages[mark:]
    )


class TinyDisk:
    """A file system in memory of some megabytes; needs the right to mount."""

    def __init__(self, place: Path, size: str = SIZE) -> None:
        self.place = place
        place.mkdir(parents=True)
        self.mounted = (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False
            ).returncode
            == 0
        )

    def fill(self) -> None:
        """To the last byte."""
        with suppress(OSError), (self.place / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(bytes(4096)):
                pass

    def drain(self) -> None:
        (self.place / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", str(self.place)], check=True)


class FullDisk:
    """One trial: trade, fill, trade until it is felt, end, look, make room, start, look again."""

    def __init__(self, world: World, tiny: TinyDisk) -> None:
        self.world = world
        self.brain = world.brain
        self.tiny = tiny
        self.journal = tiny.place / "journal.db"
        self.sent: list[str] = []
        self.told_after_full = 0
        """Commands whose result the brain was told of while the disk was full."""
        self.wrong: list[str] = []

    def run(self, *, killed: bool) -> list[str]:
        """What was wrong. `killed`: the executor gets no last word; else it is asked to end."""
        world, brain = self.world, self.brain
        if outcome(brain.do(BUY, "before")) != "EXECUTED":
            return ["nothing was traded before"]
        mark = brain.mark()
        self.tiny.fill()
        if not self._trade_until_it_stops(mark):
            return self.wrong
        self.told_after_full = sum(1 for command_id in self.sent if brain.results[command_id])
        self._says_so()
        late = brain.order(BUY, "late")
        self._has_stopped()
        if killed:
            world.executor.kill()
        else:
            world.executor.end()
        self._latch_says_so()
        self.tiny.drain()
        mark = brain.mark()
        world.start_executor(ready=False)
        if not self._wait(lambda: self._told_stopped(mark)):
            self.wrong.append("after the restart the brain was not told that trading is stopped")
        if world.status()["status"]["state"] != "HALTED":
            self.wrong.append("the stop did not outlive the restart")
        self._nothing_lost()
        world.release()
        if outcome(brain.do(BUY, "after")) != "EXECUTED":
            self.wrong.append("with room on the disk again, trading did not go on after a reset")
        if world.ledger(late):
            self.wrong.append("a command sent after the stop traded")
        world.executor.end()
        with JournalReader(self.journal) as reader:
            if not reader.check_chain().sound:
                self.wrong.append("the journal's chain does not verify")
        return self.wrong

    # ------------------------------------------------------------ until it is felt

    def _trade_until_it_stops(self, mark: int) -> bool:
        """Lot after lot; each ends, or trading stops in it."""
        while len(self.sent) < MOST_COMMANDS:
            lot = [self.brain.order(BUY, f"full-{len(self.sent) + index}") for index in range(TOGETHER)]
            self.sent += lot
            if not self._wait(partial(self._stopped_or_ended, mark, lot)):
                self.wrong.append(
                    f"a command has no end and trading was not stopped\n{self.world.executor.words()}"
                )
                return False
            if self._told_stopped(mark):
                return True
        self.wrong.append(f"a full disk was not felt in {len(self.sent)} commands")
        return False

    def _stopped_or_ended(self, mark: int, ids: list[str]) -> bool:
        return self._told_stopped(mark) or self._ended(ids)

    def _ended(self, ids: list[str]) -> bool:
        return all(self.brain.final(command_id) is not None for command_id in ids)

    def _told_stopped(self, mark: int) -> bool:
        return told_stopped(self.brain, mark)

    def _wait(self, condition: Callable[[], bool]) -> bool:
        try:
            self.brain.wait(condition, "", timeout=LONG)
        except AssertionError:
            return False
        return True

    # ------------------------------------------------------------ looking

    def _says_so(self) -> None:
        told = self.world.status()["status"]
        if told["state"] != "HALTED":
            self.wrong.append("the engine does not say that it is halted")
        if "journal" not in told["reason"]:
            self.wrong.append(f"the reason is {told['reason']!r}")

    def _has_stopped(self) -> None:
        """Whatever was under way at the terminal has come to its ledger."""
        effects: list[int] = []

        def still() -> bool:
            effects.append(len(self.world.ledger()))
            return len(effects) > 5 and len(set(effects[-5:])) == 1

        until(still, "the terminal is still")

    def _latch_says_so(self) -> None:
        """Its own latch, on the full disk: the terminal's stop alone would be one memory less."""
        found: dict[str, Any] = json.loads((self.tiny.place / "latch.json").read_text())
        if found["status"]["state"] != "HALTED" or "journal" not in found["status"]["reason"]:
            self.wrong.append(f"the latch on the full disk says {found['status']}")

    def _nothing_lost(self) -> None:
        """What the brain was told stands in the journal; every accepted command comes to one end, and effects are as told."""
        brain = self.brain
        accepted = [
            command_id
            for command_id in self.sent
            if any(ack["status"] == "ACCEPTED" for ack in brain.acks[command_id])
        ]
        told = {command_id: [*brain.results[command_id]] for command_id in self.sent}
        if not self._wait(lambda: self._ended(accepted)):
            self.wrong.append("an accepted command has no end after the restart")
            return
        with JournalReader(self.journal) as reader:
            journal = {row["id"]: row for row in reader.commands(CommandFilter())}
        for command_id in self.sent:
            effects = len(self.world.ledger(command_id))
            row = journal.get(command_id)
            if row is None:
                if command_id in accepted or effects or told[command_id]:
                    self.wrong.append(
                        f"{command_id} was accepted, traded or told of and is not in the journal"
                    )
                continue
            ends = {result["result"]["outcome"] for result in told[command_id]} - {"UNKNOWN"}
            if ends - {row["outcome"]}:
                self.wrong.append(
                    f"{command_id}: the brain was told {ends}, the journal says {row['outcome']}"
                )
            if effects != int(row["outcome"] in ("EXECUTED", "PARTIAL")):
                self.wrong.append(f"{command_id}: {row['outcome']} with {effects} effects")


def on_a_full_disk(folder: Path) -> tuple[list[FullDisk], float]:
    """Both trials and the seconds they took; none where mounting is not allowed."""
    begun = time.monotonic()
    done: list[FullDisk] = []
    for killed in (True, False):
        place = folder / ("full, killed" if killed else "full, ended")
        tiny = TinyDisk(place / "disk")
        if not tiny.mounted:
            break
        world = World(place / "world")
        trial = FullDisk(world, tiny)
        done.append(trial)
        try:
            world.brain.open()
            world.start_terminal()
            world.configure(journal={"path": str(trial.journal)})
            # What lies beside the journal is where the harness looks for it.
            (world.folder / "engine.json").symlink_to(tiny.place / "engine.json")
            world.start_executor()
            world.brain.heard("STATE", timeout=LONG)
            trial.run(killed=killed)
        finally:
            world.close()
            tiny.close()
    return done, time.monotonic() - begun
