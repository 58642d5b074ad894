"""Frozen processes and jumping clocks: nothing is done after its true expiry, nothing twice.

`python -m tests.faults.pause_campaign --rounds 120` is the long form. Brain, executor and terminal are stopped (SIGSTOP) and
continued at random moments; the executor's wall clock jumps, also while it is dead. The brain lives in this process, which is
frozen by a shell of its own, so run it as a program where the brain is to be frozen.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .common_judge import Verdict, judge
from .common_results import Result, hand_in
from .common_trader import Trader
from .kill_world import POLL, FaultWorld, Forked, Nursery
from .pause_allowance import ROUNDING, allowance, doubts, held_up, journal_rows

PAUSES = (0.1, 0.3, 0.7, 1.2, 1.8, 2.5, 3.5, 6.0)
"""Seconds. 1.2 and more outlive a command's expiry here, 3.5 the silence that ends a session with the terminal."""
LONG_PAUSE = 12.0
"""Seconds: beyond the terminal's own patience (EA_PROTOCOL §3)."""
EXPIRIES = (300, 1000, 2000, 5000)
"""ms"""
JUMPS = (0.5, -0.5, 1.9, -1.9, 5.0, -5.0, 60.0, -60.0, 3600.0, -3600.0, 86_400.0, -86_400.0)
"""Seconds by which the executor's wall clock jumps."""
ROUND_PATIENCE = 90.0
KINDS = (
    "executor",
    "terminal",
    "brain",
    "executor and terminal",
    "clock",
    "clock while dead",
    "frozen and killed",
)


@dataclass
class Pauses:
    """What was done and what came of it."""

    seed: int
    verdict: Verdict = field(default_factory=Verdict)
    kinds: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    journal_sound: bool = False
    held: float = 0.0
    """Seconds for which the terminal lay between its last look at the time and an effect, at most."""
    doubt: float = 0.0
    """Seconds by which the executor took the brain's clock to be behind, at most."""
    seconds: float = 0.0

    def complaints(self) -> list[str]:
        return self.verdict.complaints(*self.stuck, journal_sound=self.journal_sound)


class PausedWorld(FaultWorld):
    """Knows how to freeze each of the three, and how to set the executor's clock."""

    def __init__(self, folder: Path, *, nursery: Nursery | None = None) -> None:
        super().__init__(folder, nursery=nursery)
        self.shifts = {0.0}
        """By how much the executor's clock was ever wrong, seconds."""

    @property
    def wire_log(self) -> Path:
        return self.folder / "wire.jsonl"

    @property
    def clock_file(self) -> Path:
        return self.folder / "clock"

    def fork_with_clock(self, **order: Any) -> Forked:
        return self.fork(quick=True, clock=str(self.clock_file), **order)

    def jump(self, executor: Forked, seconds: float) -> None:
        """The executor's wall clock is off by so many seconds from now on."""
        self.shifts.add(seconds)
        self.clock_file.write_text(str(seconds))
        if executor.alive:
            executor.signal(signal.SIGUSR1)

    def freeze_brain(self, seconds: float) -> None:
        """Stop this process, brain and all; returns when it goes on."""
        before = time.monotonic()
        shell = f"kill -STOP {os.getpid()}; sleep {seconds}; kill -CONT {os.getpid()}"
        subprocess.run(["sh", "-c", shell], check=True)
        if time.monotonic() - before < seconds:
            raise AssertionError("this process was not frozen")


def pauses(
    *,
    rounds: int,
    seed: int,
    folder: Path,
    kinds: tuple[str, ...] = KINDS,
    nursery: Nursery | None = None,
    weakened: str | None = None,
    longest: float = max(PAUSES),
    shortest: float = 0.0,
    expiries: tuple[int, ...] = EXPIRIES,
) -> Pauses:
    """`rounds` times a pause or a jump in the middle of trading, then everything ends and is judged.

    `longest` and `shortest`: bounds of a pause, seconds; `expiries` in ms.
    """
    begun = time.monotonic()
    rng = random.Random(seed)
    world = PausedWorld(folder, nursery=nursery)
    done = Pauses(seed)
    try:
        world.begin(terminal=("--wire-log", str(world.wire_log)), terminal_settings={"answer_timeout": 2.0})
        trader = Trader(world.brain, rng, window=10)
        executor = world.fork_with_clock(weakened=weakened)
        _trade_until(world, trader, lambda: trader.sessions_told > 0, "a first session")
        for number in range(rounds):
            kind = kinds[number % len(kinds)] if rounds <= len(kinds) else rng.choice(kinds)
            done.kinds[kind] += 1
            trader.expiry = rng.choice(expiries)
            executor = _round(world, trader, rng, kind, executor, weakened, (shortest, longest))
            trader.finish(timeout=ROUND_PATIENCE)
            if trader.open:
                done.stuck.append(f"{kind}: {len(trader.open)} commands have no end: {trader.open[:3]}")
            if not executor.alive:
                done.stuck.append(f"{kind}: the executor ended with {executor.code}: {executor.words(5)}")
                break
        done.stuck += world.end_in_order(executor)
        held = held_up(world.wire_log)
        doubted = doubts(journal_rows(world.journal_file), world.shifts)
        done.held, done.doubt = max(held.values(), default=0.0), max(doubted.values(), default=0.0)
        done.verdict = judge(
            world.brain, trader.ids, world.ledger(), world.journal(),
            patience=ROUNDING, allowed=allowance(held, doubted),
        )  # fmt: skip
        done.journal_sound = world.journal_sound()
    finally:
        world.close()
    done.seconds = time.monotonic() - begun
    return done


def _trade_until(world: FaultWorld, trader: Trader, condition: Any, what: str) -> None:
    deadline = time.monotonic() + ROUND_PATIENCE
    while not condition():
        trader.answer_state()
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {ROUND_PATIENCE:.0f} s\n{world.forked[-1].words()}")
        world.forked[-1].ended.wait(POLL)


def _round(
    world: PausedWorld,
    trader: Trader,
    rng: random.Random,
    kind: str,
    executor: Forked,
    weakened: str | None,
    bounds: tuple[float, float],
) -> Forked:
    """Trade a little, strike, trade on. Returns the executor that lives now."""
    terminal: Any = world.terminal
    if not kind.startswith("clock") and rng.random() < 0.7:
        world.jump(executor, 0.0)
    before = len(trader.ids)
    _trade(world, trader, before + rng.randint(5, 25))
    shortest, longest = bounds
    seconds = max(shortest, min(longest, rng.choice(PAUSES) if rng.random() < 0.93 else LONG_PAUSE))
    match kind:
        case "executor" | "terminal" | "executor and terminal":
            frozen = (
                [executor]
                if kind == "executor"
                else [terminal]
                if kind == "terminal"
                else [executor, terminal]
            )
            for one in frozen:
                one.freeze()
            trader.top_up()
            _wait(seconds)
            rng.shuffle(frozen)
            for one in frozen:
                one.thaw()
        case "brain":
            world.freeze_brain(seconds)
        case "clock":
            world.jump(executor, rng.choice(JUMPS))
        case "clock while dead":
            # The terminal stands still, so that commands wait in the queue when the executor dies.
            terminal.freeze()
            waiting = len(trader.ids) + trader.window
            while len(trader.ids) < waiting and rng.random() < 0.9:
                _trade(world, trader, len(trader.ids) + 1, patience=0.2)
            executor.kill()
            world.jump(executor, rng.choice(JUMPS))
            _wait(seconds)
            terminal.thaw()
            executor = world.fork_with_clock(weakened=weakened)
        case "frozen and killed":
            executor.freeze()
            trader.top_up()
            _wait(seconds)
            executor.kill()
            executor = world.fork_with_clock(weakened=weakened)
    _trade(world, trader, len(trader.ids) + rng.randint(3, 10))
    return executor


def _trade(world: FaultWorld, trader: Trader, most: int, *, patience: float = ROUND_PATIENCE) -> None:
    """Until so many commands have been asked in all, or `patience` seconds are over."""
    deadline = time.monotonic() + patience
    while len(trader.ids) < most and time.monotonic() < deadline and world.forked[-1].alive:
        trader.answer_state()
        trader.top_up(most)
        world.forked[-1].ended.wait(POLL)


def _wait(seconds: float) -> None:
    """The length of a pause: nothing else can end it."""
    threading.Event().wait(seconds)


# ------------------------------------------------------------------ the long form


def main() -> int:
    options = argparse.ArgumentParser(prog="pause_campaign")
    options.add_argument("--rounds", type=int, default=120)
    options.add_argument("--seed", type=int, default=77)
    options.add_argument("--kind", action="append", choices=KINDS)
    options.add_argument("--results", type=Path, help="folder for pause.json")
    chosen = options.parse_args()
    kinds = tuple(chosen.kind or KINDS)
    with tempfile.TemporaryDirectory(prefix="medulla-pause-") as folder:
        done = pauses(
            rounds=chosen.rounds, seed=chosen.seed, folder=Path(folder), kinds=kinds, longest=LONG_PAUSE
        )
    for line in done.complaints()[:20]:
        print(line)
    result = Result(
        name="pause",
        tried={
            "rounds": sum(done.kinds.values()),
            "kinds": dict(done.kinds),
            "commands": done.verdict.tried,
            **done.verdict.counted(),
            "longest_from_last_look_to_effect_seconds": round(done.held, 4),
            "brain_clock_taken_behind_seconds": round(done.doubt, 4),
        },
        found=done.verdict.found() | {"stuck": len(done.stuck)},
        seconds=round(done.seconds, 1),
        seed=chosen.seed,
        notes="An effect after its expiry is allowed what was measured for it alone: the error of the executor's estimate of "
        "the brain's clock (at most 0.1 s), the time between the terminal's last look and the effect, and 5 ms of rounding.",
        again=f"python -m tests.faults.pause_campaign --rounds {chosen.rounds} --seed {chosen.seed}",
    )
    hand_in(result, chosen.results)
    return 1 if done.complaints() else 0


if __name__ == "__main__":
    sys.exit(main())
