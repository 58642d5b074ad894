"""Stops at random moments through every way in, while commands pour in and the world misbehaves: what left after the latch?

A scene is a world in a certain trouble; a cycle in it is load, press, proof, reset, resume. The seed of a press is its number, so
one press can be had again. What counts as *after* is said in stop_report.py.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.control import stop_terminal
from app.settings import load_settings
from tests.end_to_end.harness import Process, clean_environment, until

from .stop_executor import TRADES
from .stop_findings import Findings, Press
from .stop_forge import Forge
from .stop_tape import FREE, LATCHED, RELEASED, SENT, Note
from .stop_world import StopWorld, WireNote

RATE = 500.0
MENU = (
    "reply_lost:p=0.05", "slow:ms=30,p=0.3", "requote:p=0.2", "retcode:code=10006,p=0.2", "late_fill:delay=0.4,p=0.05",
    "duplicate:p=0.3", "partial:p=0.3", "slippage:p=0.3", "ledger_fails:p=0.05", "retcode:code=10012,executed=true,p=0.03",
    "disconnect:seconds=0.3,nth=6", "disconnect:seconds=0.3,nth=6,at=after_effect",
)  # fmt: skip
RARE = ("restart:at=after_effect,nth=5", "restart:at=before_send,nth=5")
"""The terminal begins anew in the middle of a command; finding that out takes the executor seconds, so not too often."""
FLOOD = 1500
IN_FLIGHT = 1
"""Commands that may be at the terminal at once (terminal.max_in_flight)."""
AFTERMATH = "REJECTED TERMINAL_LOST"
"""What an earlier fault has cut is cut until the terminal says otherwise: its heartbeat tells once a second if it can trade."""
FRESH_TRIES, FRESH_STEP = 10, 0.3
WAYS = ("socket", "local API", "stop file", "brain", "brain, signed", "terminal's button")
FAILING_JOURNAL = "journal write failure"
TINY = 1024
"""Most bytes of a file when the disk is made to refuse the journal: the latch fits, a page of the journal does not."""


class Presser:
    """Runs cycles in one world and keeps what they showed."""

    def __init__(self, world: StopWorld, findings: Findings, scene: str, seed: int) -> None:
        self.world = world
        self.findings = findings
        self.scene = scene
        self.latch_patience = 20.0
        self.proof_patience = 20.0
        self._seed = seed
        self._at_broker: set[str] = set()

    def cycle(
        self,
        way: str,
        *,
        rate: float = RATE,
        menu: bool = True,
        before_press: Callable[[random.Random], None] = lambda _chance: None,
        after_rest: Callable[[], None] = lambda: None,
        longest: float = 0.35,
        patience: float = 60.0,
        under_way: int = 0,
    ) -> Press:
        """Load, one stop, its proof, reset and resume; trading is active again when this returns. Raises AssertionError.

        `patience`: seconds for every command to get its end after the stop, but for `under_way` ones that the terminal may have.
        """
        world = self.world
        number = len(self.findings.presses)
        chance = random.Random(f"{self._seed} {number}")
        faults = _faults(chance) if menu else []
        press = Press(number, self.scene, way, faults)
        self.findings.presses.append(press)
        world.forget()
        world.add_faults(spec for spec in faults if spec != "flood")
        prefix = world.new_name("c")
        if rate:
            burst = FLOOD if "flood" in faults else 0
            world.brain.ask("load", prefix=prefix, rate=rate, burst=burst, seed=number)
        threading.Event().wait(chance.uniform(0.03, longest))
        before_press(chance)
        pressed = self._press(way, press)
        latch = world.latched_after(pressed, self.latch_patience)
        if latch is None:
            press.failures.append(f"the engine did not latch within {self.latch_patience:.1f} s")
            world.hand("clear_faults")
            self._recover(way)
            return press
        press.to_latch = latch.after - pressed
        threading.Event().wait(chance.uniform(0.02, 0.12))
        if rate:
            self._rest(press, way, patience, under_way)
        after_rest()
        self._proof(way, press, pressed)
        world.hand("clear_faults")
        world.take()
        judge(press, world.notes, world.wire, latch, _stop_at_terminal(world, pressed), self._at_broker)
        self._recover(way)
        if rate:
            self._old_commands(press, prefix)
        self._fresh_command(press)
        world.brain.ask("forget")
        return press

    # ------------------------------------------------------------ the press

    def _press(self, way: str, press: Press) -> float:
        world, reason = self.world, f"campaign {press.number}"
        if way == "socket":
            pressed, report = world.press(reason)
            if not report.engine_latched or report.attempts[0].way != "stop socket":
                press.failures.append(f"the stop socket did not say that it latched: {report.attempts}")
            if report.terminal_stopped:
                press.to_proof = time.monotonic() - pressed
            return pressed
        pressed = time.monotonic()
        if way == "local API":
            code, answer = world.engine("POST", "/emergency-stop", reason=reason, by="campaign")
            if code != 200 or answer.get("latched") is not True:
                press.failures.append(f"the local API answered {code} {answer}")
        elif way == "stop file":
            world.stop_file.write_text(reason)
        elif way.startswith("brain"):
            told = world.brain.ask("emergency", signed=way != "brain", reason=reason)
            pressed = float(told["pressed"])
        elif way == "terminal's button":
            world.hand("press_stop", reason=reason)
        elif way == FAILING_JOURNAL:
            resource.prlimit(world.executor.pid, resource.RLIMIT_FSIZE, (TINY, resource.RLIM_INFINITY))
        else:
            raise ValueError(way)
        return pressed

    def _proof(self, way: str, press: Press, pressed: float) -> None:
        note = self.world.stopped_after(pressed, self.proof_patience)
        if note is None:
            press.failures.append(f"the terminal did not latch within {self.proof_patience:.1f} s")
        else:
            press.to_terminal = note.at - pressed

    def _rest(self, press: Press, way: str, patience: float, under_way: int) -> None:
        # With a journal that cannot be written nothing is acknowledged: the brain has to ask again.
        failing = way == FAILING_JOURNAL
        waits = {"patience": 0.3, "answers": 0.3} if failing else {"patience": patience}
        rest = self.world.brain.ask("rest", **waits)
        press.offered, press.ends = rest["sent"], rest["ends"]
        if not failing and (rest["unanswered"] or rest["open_count"] > under_way):
            press.failures.append(
                f"{rest['unanswered']} commands without an answer, {rest['open_count']} accepted without an end: {rest['open']}"
            )

    def _recover(self, way: str) -> None:
        world = self.world
        if way == FAILING_JOURNAL:
            self.restart(kill=True)
        world.settle()

    def restart(self, *, kill: bool) -> None:
        """The executor ends and begins again; it must still be halted."""
        world = self.world
        sessions = world.brain.ask("sessions")["sessions"]
        if kill:
            world.executor.kill()
        else:
            world.executor.end()
        world.start_executor()
        if world.state() != "HALTED":
            self.findings.presses[-1].failures.append(f"{world.state()} after a restart")
        world.brain.ask("connected", sessions=sessions)

    def _old_commands(self, press: Press, prefix: str) -> None:
        """Trading is active: the same frames come again, and nothing of before the stop may leave."""
        world = self.world
        again = world.brain.ask("again", count=20)
        if again["unanswered"]:
            press.failures.append(f"{again['unanswered']} repeated commands without an answer")
        released = world.released_at()
        world.take()
        press.old_sent = sum(
            1
            for n in world.notes
            if n.kind == SENT and n.before > released and n.cid.startswith(f"{prefix}-")
        )

    def _fresh_command(self, press: Press) -> None:
        """What is made after the reset is executed: the way back is open."""
        action = {
            "action": "OPEN_POSITION", "symbol": "USDJPY", "type": ("BUY", "SELL")[press.number % 2], "volume": 0.01,
        }  # fmt: skip
        for _ in range(FRESH_TRIES):
            got = self.world.brain.ask("order", action=action, name=self.world.new_name("fresh"))["outcome"]
            if got != AFTERMATH:
                break
            threading.Event().wait(FRESH_STEP)
        if got != "EXECUTED":
            press.failures.append(f"a fresh command after reset and resume: {got}")


def judge(
    press: Press,
    notes: list[Note],
    wire: list[WireNote],
    latch: Note,
    stopped: float | None,
    at_broker: set[str] | None = None,
) -> None:
    """Compare what left with the latch, and what reached the terminal with what left.

    `at_broker`: what the terminal asked the broker for in earlier presses and of which no effect was seen; it may come late.
    Brought up to date here, so that each may come once.
    """
    known = set() if at_broker is None else at_broker
    sent = [note for note in notes if note.kind == SENT]
    departed = {note.cid: note for note in sent if note.after <= latch.before}
    press.sent_before = len(departed)
    press.sent_after = sum(1 for note in sent if note.after > latch.before)
    frames = [note for note in wire if note.what == "frame" and note.line["cmd"] in TRADES]
    twice = [cid for cid, count in Counter(note.line["cid"] for note in frames).items() if count > 1]
    if twice:
        press.failures.append(f"reached the terminal twice: {twice[:5]}")
    strangers = [n.line["cid"] for n in frames if n.at > latch.before and n.line["cid"] not in departed]
    if strangers and not press.sent_after:
        press.failures.append(
            f"reached the terminal after the latch, and nobody saw them leave: {strangers[:5]}"
        )
    press.arrived_after = sum(1 for n in frames if n.at > latch.after and n.line["cid"] in departed)
    if press.arrived_after > IN_FLIGHT:
        press.failures.append(
            f"{press.arrived_after} trades reached the terminal after the latch; {IN_FLIGHT} may be under way"
        )
    done = {n.line["cid"] for n in wire if n.what == "effect"}
    earlier = set(known)
    known |= {n.line["cid"] for n in wire if n.what == "asking"}
    known -= done
    if stopped is None:
        return
    begun = {n.line["cid"] for n in frames if n.at <= stopped}
    late = any(fault.startswith("late_fill") for fault in press.faults)
    finished: set[str] = set()
    for note in wire:
        if note.what == "effect" and note.at > stopped and note.line["reason"] != "stop" and note.line["cid"]:
            cid = note.line["cid"]
            # What was at the broker when the latch fell is the broker's: a slow trade may end after it, one at a time.
            if cid in earlier:
                earlier.discard(cid)
                press.filled_after += 1
            elif cid in begun and (late or len(finished | {cid}) <= IN_FLIGHT):
                finished.add(cid)
                press.filled_after += 1
            else:
                press.failures.append(f"the terminal traded after its own latch: {note.line}")


def _faults(chance: random.Random) -> list[str]:
    chosen = chance.sample(MENU, chance.randint(0, 3))
    if chance.random() < 0.03:
        chosen.append(chance.choice(RARE))
    if chance.random() < 0.12:
        chosen.append("flood")
    return chosen


def _stop_at_terminal(world: StopWorld, pressed: float) -> float | None:
    note = world.stopped_after(pressed, timeout=0)
    return None if note is None else note.at


# ------------------------------------------------------------------ scenes


@contextmanager
def running(folder: Path, forge: Forge, name: str, **options: object) -> Iterator[StopWorld]:
    """A world that is ended whatever happens; what its processes said last goes with the failure."""
    without = options.pop("without", ())
    world = StopWorld(folder / name, forge, without=tuple(without))  # type: ignore[arg-type]
    block = options.pop("block_seconds", None)
    if isinstance(block, float):
        world.block_seconds = block
    terminal = options.pop("terminal", ())
    try:
        world.start_all(*terminal, **options)  # type: ignore[misc, arg-type]
        yield world
    except AssertionError as fault:
        words = world.executor.words() if hasattr(world, "executor") else ""
        raise AssertionError(f"{name}: {fault}\n{words}") from fault
    finally:
        world.close()


def under_load(
    folder: Path, forge: Forge, findings: Findings, count: int, seed: int, *, name: str, capacity: int
) -> None:
    """Every way in, random faults, 500 commands a second; `capacity`: of the executor's queue."""
    chance = random.Random(f"{seed} {name}")
    with running(folder, forge, name, queue={"capacity": capacity}) as world:
        presser = Presser(world, findings, f"load, queue of {capacity}", seed)
        for number in range(count):
            way = WAYS[number % len(WAYS)]
            if chance.random() < 0.04:
                way = FAILING_JOURNAL
            presser.cycle(way)


def at_rest(folder: Path, forge: Forge, findings: Findings, count: int, seed: int) -> None:
    """Nothing else goes on: how long until the terminal has acknowledged?"""
    with running(folder, forge, "idle") as world:
        presser = Presser(world, findings, "idle", seed)
        for number in range(count):
            presser.cycle(WAYS[number % len(WAYS)], rate=0, menu=False, longest=0.1)


def loop_blocked(
    folder: Path, forge: Forge, findings: Findings, count: int, seed: int, *, seconds: float = 5.0
) -> None:
    """The engine's event loop stands still for `seconds`: asleep, or computing without a pause."""
    with running(folder, forge, "blocked loop", block_seconds=seconds) as world:
        block_loop(world, findings, count, seed)


def block_loop(world: StopWorld, findings: Findings, count: int, seed: int) -> None:
    """By the socket and the stop file in turn: the ways that do not need the loop."""
    seconds = world.block_seconds
    presser = Presser(world, findings, f"loop blocked for {seconds:.0f} s", seed)

    def block(chance: random.Random) -> None:
        world.executor.signal(chance.choice((signal.SIGUSR1, signal.SIGUSR2)))
        threading.Event().wait(chance.uniform(0.05, seconds / 3))

    for number in range(count):
        press = presser.cycle(("socket", "stop file")[number % 2], menu=False, before_press=block)
        if not any(note.kind == FREE for note in world.notes):
            press.failures.append("the loop was not blocked")


def window_blocked(folder: Path, forge: Forge, findings: Findings, count: int, seed: int) -> None:
    """The window hangs while it holds its stream open; the press comes by the socket, as a hotkey's or a command line's does."""
    with running(folder, forge, "blocked window") as world:
        window = Process(
            "window",
            ["desktop", "--config", str(world.config)],
            world.folder,
            {"QT_QPA_PLATFORM": "offscreen"},
        )
        try:
            port = _api_port(world)
            until(lambda: _talks_to(window.process.pid, port), "the window talks to the engine", timeout=60)
            presser = Presser(world, findings, "window blocked", seed)
            for _ in range(count):
                window.freeze()
                presser.cycle("socket", menu=False)
                window.thaw()
        finally:
            window.thaw()
            window.kill()


def engine_frozen(folder: Path, forge: Forge, findings: Findings, count: int, seed: int) -> None:
    """SIGSTOP: no thread of the engine runs. The press goes to the terminal by itself, and into the stop file."""
    with running(folder, forge, "frozen engine") as world:
        freeze_engine(world, findings, count, seed)


def freeze_engine(world: StopWorld, findings: Findings, count: int, seed: int) -> None:
    """Freeze, press, look at the terminal, thaw, look at the engine."""
    settings = load_settings(world.config, {}, clean_environment(world.folder))
    for _ in range(count):
        number = len(findings.presses)
        chance = random.Random(f"{seed} {number}")
        press = Press(number, "engine frozen", "stop client", [])
        findings.presses.append(press)
        world.forget()
        world.brain.ask("load", prefix=world.new_name("c"), rate=RATE, seed=number)
        threading.Event().wait(chance.uniform(0.03, 0.3))
        world.executor.freeze()
        pressed, report = world.press(
            f"campaign {number}", lambda why, closing, wait: stop_terminal(settings, why, closing, wait)
        )
        if not (report.terminal_stopped and report.stop_file_written) or report.engine_latched:
            press.failures.append(f"proved: {report.proofs}")
        stopped = world.stopped_after(pressed, 20)
        press.to_terminal = None if stopped is None else stopped.at - pressed
        press.to_proof = time.monotonic() - pressed if report.terminal_stopped else None
        thawed = time.monotonic()
        world.executor.thaw()
        latch = world.latched_after(thawed, 20)
        if latch is None or stopped is None:
            told = [
                (round(note.after - thawed, 3), note.cid, note.words)
                for note in world.notes
                if note.kind in (LATCHED, RELEASED)
            ]
            press.failures.append(
                f"not latched after the thaw, {told}" if stopped else "not stopped at the terminal"
            )
        rest = world.brain.ask("rest", patience=60)
        press.offered, press.ends = rest["sent"], rest["ends"]
        if latch is not None and stopped is not None:
            findings.figures.setdefault("thaw_to_latch", []).append(latch.after - thawed)
            world.take()
            judge(press, world.notes, world.wire, latch, stopped.at)
        if world.state() != "HALTED":
            press.failures.append(f"{world.state()} after the thaw")
        world.settle()
        world.brain.ask("forget")


def limit_tripped(folder: Path, forge: Forge, findings: Findings, count: int, seed: int) -> None:
    """A limit trips in the flood: once the brain has heard of it, not one entry leaves until a person re-enables it."""
    safety = {"max_consecutive_failures": 3}
    with running(folder, forge, "tripped limit", safety=safety) as world:
        for _ in range(count):
            number = len(findings.presses)
            press = Press(number, "load", "tripped limit", ["retcode:code=10006,cmd=open"])
            findings.presses.append(press)
            world.forget()
            world.brain.ask("load", prefix=world.new_name("c"), rate=RATE, seed=number)
            threading.Event().wait(random.Random(f"{seed} {number}").uniform(0.03, 0.2))
            world.add_faults(press.faults)
            heard = float(world.brain.ask("alert", code="CONSECUTIVE_FAILURES", patience=60)["heard"])
            threading.Event().wait(0.1)
            rest = world.brain.ask("rest", patience=60)
            press.offered, press.ends = rest["sent"], rest["ends"]
            if rest["unanswered"] or rest["open_count"]:
                press.failures.append(f"{rest['unanswered']} unanswered, {rest['open_count']} without an end")
            world.take()
            entries = [n for n in world.notes if n.kind == SENT and n.words in ("open", "place")]
            press.sent_before = sum(1 for n in entries if n.after <= heard)
            press.sent_after = sum(1 for n in entries if n.after > heard)
            late = [n for n in world.wire if n.what == "frame" and n.line["cmd"] == "open" and n.at > heard]
            departed = {n.cid for n in entries if n.after <= heard}
            press.arrived_after = sum(1 for n in late if n.line["cid"] in departed)
            world.hand("clear_faults")
            if world.state() == "HALTED":
                world.settle()
            world.engine("POST", "/limits/consecutive_failures/reenable", note="campaign", by="campaign")
            world.settle()
            world.forget()
            world.brain.ask("again", count=20)
            world.take()
            press.old_sent = sum(1 for n in world.notes if n.kind == SENT)
            world.brain.ask("forget")


def _api_port(world: StopWorld) -> int:
    return int(json.loads((world.folder / "engine.json").read_text())["api_port"])


def _talks_to(pid: int, port: int) -> bool:
    """Whether that process has an established connection to a port of this machine (/proc, Linux)."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    wanted = f"0100007F:{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2] == wanted and fields[3] == "01" and fields[9] in inodes:
            return True
    return False
