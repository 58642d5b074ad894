"""Stopped stays stopped: over restarts, resets and twenty-odd ways of losing the latch file; nothing old ever runs.

The damage is done to a latch that was ACTIVE as well as to one that was HALTED: whoever cannot know whether he was stopped, is.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.adapters.latch_file import FileLatchStore
from app.api.stop_client import ask_status
from app.domain.trading_state import TradingState
from tests.end_to_end.harness import until

from .stop_findings import Findings
from .stop_forge import Forge
from .stop_presses import RATE, running
from .stop_tape import SENT
from .stop_world import StopWorld

RESTARTS, RESETS, DAMAGE = "restarts", "resets", "damaged latch stores"


def restarted(
    folder: Path, forge: Forge, findings: Findings, count: int, seed: int, without: tuple[str, ...] = ()
) -> None:
    """Stop in the flood, end the executor (kill -9 at once, kill -9 later, in good order), start it, reset, resume."""
    with running(folder, forge, "restarts", without=without) as world:
        for number in range(count):
            how = ("kill -9 at the latch", "kill -9", "ended in good order")[number % 3]
            restart_once(world, findings, number, how, seed)


def restart_once(world: StopWorld, findings: Findings, number: int, how: str, seed: int) -> None:
    chance = random.Random(f"{seed} restart {number}")
    prefix, name = world.new_name("r"), f"{number}: {how}"
    world.forget()
    world.brain.ask("load", prefix=prefix, rate=RATE, seed=number)
    threading.Event().wait(chance.uniform(0.05, 0.25))
    pressed = time.monotonic()
    if how == "kill -9 at the latch":
        # Not through the stop client, which waits for an answer: the kill is to come before the queue is drained.
        world.stop_file.write_text(name)
        world.latched_after(pressed)
        threading.Event().wait(chance.uniform(0.0, 0.01))
    else:
        world.press(name)
        threading.Event().wait(chance.uniform(0.0, 0.2))
    sessions = world.brain.ask("sessions")["sessions"]
    if how == "ended in good order":
        world.executor.end()
    else:
        world.executor.kill()
    # The latch alone must hold; killed before it was written, the stop file is all that there is, and nobody takes that away.
    if number % 2 and _latched(world.folder / "latch.json"):
        world.stop_file.unlink(missing_ok=True)
    world.forget()
    waiting = world.brain.ask("stop_flood")["ids"]
    in_journal = _unfinished(world.journal_file)
    alone = number % 3 == 1
    if alone:
        # Without the terminal, which remembers its own stop and would tell: the executor's memory must do.
        world.terminal.freeze()
    world.start_executor(ready=not alone)
    if alone:
        world.executor.said("started")
    state = world.state()
    findings.check(RESTARTS, name, state == "HALTED", f"{state} after the restart")
    world.terminal.thaw()
    world.executor.said("ready")
    world.brain.ask("connected", sessions=sessions)
    first = world.brain.ask("again", count=200)
    world.settle()
    again = world.brain.ask("again", count=200)
    world.take()
    old = [note.cid for note in world.notes if note.kind == SENT and note.cid.startswith(f"{prefix}-")]
    frames = [note.line["cid"] for note in world.frames() if str(note.line["cid"]).startswith(f"{prefix}-")]
    findings.check(
        RESTARTS, name, not old and not frames, f"old commands sent: {old[:5]}, arrived: {frames[:5]}"
    )
    answered = not first["unanswered"] and not again["unanswered"]
    findings.check(RESTARTS, name, answered, f"{first} {again}")
    findings.check(RESETS, name, world.state() == "ACTIVE", "not active after reset and resume")
    total = findings.figures.setdefault(RESTARTS, {"done": 0, "in the brain": 0, "in the journal": 0})
    total["done"] += 1
    total["in the brain"] += waiting
    total["in the journal"] += in_journal
    world.brain.ask("forget")


def _latched(latch: Path) -> bool:
    """Whether the dead executor had written its latch down."""
    status = FileLatchStore(latch).load().status
    return status is not None and status.state is TradingState.HALTED


def _unfinished(journal: Path) -> int:
    """Commands that the dead executor left open in its journal."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM commands WHERE final = 0").fetchone()
        return int(count)


# ------------------------------------------------------------------ damage

Damage = Callable[[Path, random.Random], None]
"""Does something to the latch file at that path (or to the journal beside it)."""


def _bytes(change: Callable[[bytes, random.Random], bytes]) -> Damage:
    def damage(latch: Path, chance: random.Random) -> None:
        latch.write_bytes(change(latch.read_bytes(), chance))

    return damage


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _fields(change: Callable[[dict[str, Any]], None], *, sealed: bool) -> Damage:
    """Write other values, with or without a checksum that fits (known from docs and source, as anybody may)."""

    def damage(latch: Path, _chance: random.Random) -> None:
        whole = json.loads(latch.read_bytes())
        change(whole)
        if sealed:
            text = json.dumps(whole["status"], ensure_ascii=True, sort_keys=True, separators=(",", ":"))
            whole["checksum"] = sha256(f"1\n{text}".encode("ascii")).hexdigest()
        latch.write_text(json.dumps(whole, ensure_ascii=True, indent=1) + "\n")

    return damage


def _status(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda whole: whole["status"].update(values)


def _active(whole: dict[str, Any]) -> None:
    """A hand that wants to trade, or a bit that fell so: ACTIVE in an epoch that never was."""
    whole["status"] |= {"state": "ACTIVE", "epoch": whole["status"]["epoch"] + 1}


def _gone(latch: Path, _chance: random.Random) -> None:
    latch.unlink()


def _all_gone(latch: Path, _chance: random.Random) -> None:
    for file in (latch, latch.with_name("latch.json.used")):
        file.unlink(missing_ok=True)


def _folder(latch: Path, _chance: random.Random) -> None:
    latch.unlink()
    latch.mkdir()


def _link(target: str) -> Damage:
    def damage(latch: Path, _chance: random.Random) -> None:
        latch.unlink()
        latch.symlink_to(target)

    return damage


def _socket(latch: Path, _chance: random.Random) -> None:
    """Cannot be opened, not even by root, for whom no file is unreadable."""
    latch.unlink()
    here = os.getcwd()
    os.chdir(latch.parent)  # the name of a socket has room for 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(latch.name)
    finally:
        os.chdir(here)


def _pipe(latch: Path, _chance: random.Random) -> None:
    """Whoever opens it to read waits for a writer."""
    latch.unlink()
    os.mkfifo(latch)


def _old_copy(latch: Path, _chance: random.Random) -> None:
    shutil.copyfile(latch.parent / "kept" / "first" / "latch.json", latch)


def _old_journal(latch: Path, _chance: random.Random) -> None:
    for file in latch.parent.glob("journal.db*"):
        file.unlink()
    shutil.copyfile(latch.parent / "kept" / "first" / "journal.db", latch.parent / "journal.db")


def _no_journal(latch: Path, _chance: random.Random) -> None:
    for file in latch.parent.glob("journal.db*"):
        file.unlink()


WAYS: dict[str, Damage] = {
    "empty": _bytes(lambda _content, _chance: b""),
    "one byte": _bytes(lambda content, _chance: content[:1]),
    "cut in the middle": _bytes(lambda content, chance: content[: chance.randrange(2, len(content) - 2)]),
    "last byte missing": _bytes(lambda content, _chance: content[:-1]),
    "zeros": _bytes(lambda content, _chance: bytes(len(content))),
    "noise": _bytes(lambda content, chance: chance.randbytes(len(content))),
    "a bit flipped": _bytes(_flip),
    "another bit flipped": _bytes(_flip),
    "a third bit flipped": _bytes(_flip),
    "two halves swapped": _bytes(
        lambda content, _chance: content[len(content) // 2 :] + content[: len(content) // 2]
    ),
    "twice in a row": _bytes(lambda content, _chance: content * 2),
    "something behind it": _bytes(lambda content, _chance: content + b"\n{}"),
    "Windows line ends": _bytes(lambda content, _chance: content.replace(b"\n", b"\r\n")),
    "byte order mark": _bytes(lambda content, _chance: b"\xef\xbb\xbf" + content),
    "as UTF-16": _bytes(lambda content, _chance: content.decode().encode("utf-16")),
    "far too large": _bytes(lambda content, _chance: content + b" " * 100_000),
    "nested deeply": _bytes(lambda _content, _chance: b"[" * 50_000),
    "wrong checksum": _fields(lambda whole: whole.update(checksum="0" * 64), sealed=False),
    "no checksum": _fields(lambda whole: void(whole.pop("checksum")), sealed=False),
    "other reason, old checksum": _fields(_status(reason="all is well"), sealed=False),
    "ACTIVE by hand, old checksum": _fields(_active, sealed=False),
    "ACTIVE by hand, checksum made to fit": _fields(_active, sealed=True),
    "later format": _fields(lambda whole: whole.update(format=2), sealed=True),
    "unknown state": _fields(_status(state="RUNNING"), sealed=True),
    "epoch below zero": _fields(_status(epoch=-1), sealed=True),
    "epoch true": _fields(_status(epoch=True), sealed=True),
    "no time": _fields(_status(since="yesterday"), sealed=True),
    "missing": _gone,
    "missing with its marker": _all_gone,
    "a folder": _folder,
    "a link to nothing": _link("nowhere"),
    "a link to itself": _link("latch.json"),
    "a link to what cannot be read": _link("/proc/self/mem"),
    "a link to an empty device": _link("/dev/null"),
    "a socket": _socket,
    "a pipe": _pipe,
    "an old copy": _old_copy,
    "journal from an old copy": _old_journal,
    "journal missing": _no_journal,
}


def void(_removed: object) -> None:
    """What was taken out is not needed."""


def damaged(
    folder: Path,
    forge: Forge,
    findings: Findings,
    seed: int,
    *,
    ways: tuple[str, ...] = tuple(WAYS),
    bases: tuple[str, ...] = ("ACTIVE", "HALTED"),
    without: tuple[str, ...] = (),
) -> None:
    """Each damage to a latch that says ACTIVE and to one that says HALTED; the next start must be HALTED."""
    with running(folder, forge, "damage", without=without) as world:
        damage(world, findings, seed, ways=ways, bases=bases)


def damage(
    world: StopWorld, findings: Findings, seed: int, *, ways: tuple[str, ...], bases: tuple[str, ...]
) -> None:
    """In a world that trades; its executor is dead afterwards."""
    kept = world.folder / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    world.executor.end()
    _keep(world.folder, kept / "first")
    world.start_executor()
    world.press("first story")
    world.settle()
    if "ACTIVE" in bases:
        world.executor.end()
        _keep(world.folder, kept / "ACTIVE")
        if "HALTED" in bases:
            world.start_executor()
    if "HALTED" in bases:
        world.press("second story")
        until(lambda: world.state() == "HALTED", "halted")
        world.executor.end()
        _keep(world.folder, kept / "HALTED")
    for base in bases:
        for way in ways:
            _bring_back(kept / base, world.folder)
            WAYS[way](world.folder / "latch.json", random.Random(f"{seed} {way}"))
            findings.check(DAMAGE, f"{base}, {way}", *_starts_halted(world))


def _starts_halted(world: StopWorld) -> tuple[bool, str]:
    world.start_executor(ready=False)
    try:
        world.executor.said("started")
        until(lambda: ask_status(world.paths) is not None, "the stop thread answers")
        told = ask_status(world.paths, timeout=10)
        return told is not None and told.engine_latched, "not HALTED"
    except AssertionError as fault:
        # A start that is refused trades nothing; it is written down as what it is.
        return not world.executor.alive, f"did not start: {str(fault)[-300:]}"
    finally:
        world.executor.kill()


def _keep(folder: Path, kept: Path) -> None:
    kept.mkdir(parents=True)
    for file in (*folder.glob("journal.db*"), *folder.glob("latch.json*")):
        shutil.copyfile(file, kept / file.name)


def _bring_back(kept: Path, folder: Path) -> None:
    for file in (*folder.glob("journal.db*"), *folder.glob("latch.json*")):
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        else:
            file.unlink()
    for file in kept.iterdir():
        shutil.copyfile(file, folder / file.name)
