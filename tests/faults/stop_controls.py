"""Negative controls: with one safeguard left out, does the campaign notice? Each control runs the shortest part that should.

The same parts find nothing in the executor as it is; `slow_hand_over` shows that a control's own pause is not what is noticed.
"""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.harness import until

from .stop_findings import Findings
from .stop_forge import Forge
from .stop_limits import storm_in
from .stop_presses import FAILING_JOURNAL, Presser, running
from .stop_restarts import damage, restart_once
from .stop_weakened import SOUND, WEAKENINGS
from .stop_world import StopWorld

SLOWEST = 0.5
"""Seconds from a press to the latch that no sound executor needs on any machine: ten times the bound."""
Part = Callable[["Bench", Findings], None]


@dataclass(slots=True)
class Bench:
    """A terminal and a brain that all controls share; the executor is started anew for each."""

    world: StopWorld
    seed: int


def _presser(bench: Bench, findings: Findings) -> Presser:
    presser = Presser(bench.world, findings, "control", bench.seed)
    presser.latch_patience, presser.proof_patience = 2.0, 6.0
    return presser


def _presses(*ways: str, rate: float = 500.0) -> Part:
    def part(bench: Bench, findings: Findings) -> None:
        presser = _presser(bench, findings)
        for way in ways:
            presser.cycle(way, rate=rate, menu=False, longest=0.15)
            if findings.failures():
                return

    return part


def _blocked(bench: Bench, findings: Findings) -> None:
    presser = _presser(bench, findings)

    def block(_chance: random.Random) -> None:
        bench.world.executor.signal(signal.SIGUSR1)
        threading.Event().wait(0.05)

    press = presser.cycle("socket", rate=0, menu=False, before_press=block, longest=0.05)
    if press.to_latch is None or press.to_latch > SLOWEST:
        press.failures.append(f"the latch came after {press.to_latch} s")


def _slow_terminal(bench: Bench, findings: Findings) -> None:
    """The terminal does not come back from a trade; what waits behind it must hear STOPPED all the same."""
    world = bench.world

    def some_wait(_chance: random.Random) -> None:
        world.terminal.freeze()
        until(lambda: world.brain.ask("progress")["answered"] >= 10, "ten commands wait")

    _presser(bench, findings).cycle(
        "socket",
        menu=False,
        longest=0.04,
        before_press=some_wait,
        after_rest=world.terminal.thaw,
        patience=1.2,
        under_way=1,
    )


def _restarts(bench: Bench, findings: Findings) -> None:
    restart_once(bench.world, findings, 1, "kill -9", bench.seed)


def _damage(base: str, *ways: str) -> Part:
    def part(bench: Bench, findings: Findings) -> None:
        damage(bench.world, findings, bench.seed, ways=ways, bases=(base,))

    return part


def _storm(same: bool) -> Part:
    def part(bench: Bench, findings: Findings) -> None:
        storm_in(bench.world, findings, 300, same=same, bounds=100)

    return part


SOCKET_TIMES = ("socket",) * 8
CONTROLS: dict[str, tuple[str, Part]] = {
    "slow_hand_over": ("presses under load", _presses(*SOCKET_TIMES)),
    "latch_check_before_send": ("presses under load", _presses(*SOCKET_TIMES, *SOCKET_TIMES)),
    "latch_lock": ("presses under load", _presses(*SOCKET_TIMES, *SOCKET_TIMES)),
    "stop_thread": ("a press while the loop is blocked", _blocked),
    "stop_file": ("the stop file", _presses("stop file")),
    "stop_frame": ("the terminal's own record", _presses("socket")),
    "terminal_button": ("the terminal's button", _presses("terminal's button")),
    "journal_failure": ("a journal that cannot be written", _presses(FAILING_JOURNAL)),
    "slow_terminal": ("what waits behind a trade that takes long", _slow_terminal),
    "drain": ("what waits behind a trade that takes long", _slow_terminal),
    "epoch": ("reset and resume", _presses("socket")),
    "memory_of_ids": ("old commands once more", _presses("socket", "socket", "socket")),
    "old_timestamps": ("old commands once more", _presses(FAILING_JOURNAL, FAILING_JOURNAL)),
    "durable_latch": ("restarts", _restarts),
    "journal_agreement": ("damaged stores", _damage("ACTIVE", "an old copy", "journal missing")),
    "damaged_is_halted": ("damaged stores", _damage("ACTIVE", "empty", "missing")),
    "checksum": ("damaged stores", _damage("ACTIVE", "other reason, old checksum", "a bit flipped")),
    "throttle": ("a storm", _storm(same=False)),
    "throttle_latch": ("a storm", _storm(same=True)),
}


def controls(folder: Path, forge: Forge, findings: Findings, seed: int) -> None:
    """All of them, in one world."""
    missing = set(WEAKENINGS) - set(CONTROLS)
    findings.check("controls", "every safeguard has a control", not missing, missing)
    with running(folder, forge, "controls", block_seconds=1.2) as world:
        for name in CONTROLS:
            control(world, findings, name, seed)


def control(world: StopWorld, findings: Findings, name: str, seed: int) -> None:
    """What was noticed goes into the figures; what went unnoticed is a failed check."""
    where, part = CONTROLS[name]
    noticed = _run(Bench(world, seed), name, part)
    findings.figures.setdefault("controls", []).append([name, WEAKENINGS[name].says, where, noticed])
    findings.check("controls", name, bool(noticed) is (name not in SOUND), noticed or "nothing was noticed")
    world.without = ()


def _run(bench: Bench, name: str, part: Part) -> str:
    """What was noticed first, in words; empty: nothing."""
    world = bench.world
    found = Findings()
    world.without = (name,)
    try:
        _fresh(world)
        part(bench, found)
    except AssertionError as fault:
        return str(fault).splitlines()[0][:200]
    failures = found.failures()
    return failures[0][:200] if failures else ""


def _fresh(world: StopWorld) -> None:
    """A new executor with what is left out now, trading; whatever state the last control has left is mended by a sound one."""
    left_out, world.without = world.without, ()
    world.brain.ask("stop_flood")
    world.hand("clear_faults")
    world.terminal.thaw()
    if world.state() != "ACTIVE" or world.hand("state")["stopped"]:
        _start(world)
        world.settle()
    world.without = left_out
    world.configure(terminal_settings={"answer_timeout": 10.0})
    world.brain.ask("forget")
    _start(world)
    world.settle()


def _start(world: StopWorld) -> None:
    sessions = world.brain.ask("sessions")["sessions"]
    world.executor.kill()
    world.stop_file.unlink(missing_ok=True)
    world.start_executor()
    world.brain.ask("connected", sessions=sessions)
