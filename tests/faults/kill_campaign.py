"""kill -9 of the executor at thirteen named points, counted in the terminal's ledger.

`python -m tests.faults.kill_campaign --cycles 200` is the long form: every point 200 times, two worlds side by side.
Terminal and brain stay alive; after every kill the brain sends again whatever it has no result of, byte for byte.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from app.adapters.journal_reader import JournalReader

from .common_judge import SentBeforeJournal, Verdict, judge
from .common_results import Result, hand_in
from .common_trader import Trader
from .kill_points import Point
from .kill_world import POLL, FaultWorld, Forked, Nursery

NEVER_MORE = 120.0
"""Seconds after which a point that is not reached is a failure of the campaign itself."""


@dataclass
class Kills:
    """One point's part of the campaign."""

    point: str
    seed: int
    kills: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    sent_before_journal: list[str] = field(default_factory=list)
    journal_verified: bool = False
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return self.verdict.clean and not self.sent_before_journal and self.journal_verified

    def complaints(self) -> list[str]:
        return self.verdict.complaints(*self.sent_before_journal, journal_sound=self.journal_verified)


def kill_at(
    points: Sequence[Point],
    *,
    cycles: int,
    seed: int,
    folder: Path,
    weakened: str | None = None,
    nursery: Nursery | None = None,
    seconds: float = math.inf,
) -> Kills:
    """Kill the executor `cycles` times, at `points` in turn, then let everything end and judge.

    After `seconds` there are no more kills, however many there have been.
    """
    begun = time.monotonic()
    rng = random.Random(f"{seed} {points[0]}")
    world = FaultWorld(folder, nursery=nursery)
    done = Kills(str(points[0]), seed)
    try:
        world.begin()
        trader = Trader(world.brain, rng)
        watch = SentBeforeJournal(world.folder / "ledger.jsonl.commands", world.journal_file)
        for cycle in range(cycles):
            if time.monotonic() - begun > seconds:
                break
            point = points[cycle % len(points)]
            nth = rng.randint(1, 2 if "confirmation" in point else 8)
            linger = rng.choice((0.0, 0.0, rng.uniform(0, 0.002)))
            executor = _cycle(world, trader, point, nth=nth, linger=linger, weakened=weakened)
            done.kills += executor.code == -9
            watch.look()
        executor = world.fork(weakened=weakened)
        trader.finish()
        executor.end()
        world.terminal.end()
        watch.look()
        done.sent_before_journal = watch.found
        done.verdict = judge(world.brain, trader.ids, world.ledger(), world.journal())
        with JournalReader(world.journal_file) as reader:
            reader.check_database()
            done.journal_verified = reader.check_chain().sound
    finally:
        world.close()
    done.seconds = time.monotonic() - begun
    return done


def _cycle(
    world: FaultWorld, trader: Trader, point: Point, *, nth: int, linger: float, weakened: str | None
) -> Forked:
    """One life of the executor, up to its kill."""
    executor = world.fork(point=point, nth=nth, linger=linger, weakened=weakened)
    deadline = time.monotonic() + NEVER_MORE
    while not executor.ended.wait(POLL):
        trader.answer_state()
        trader.top_up()
        if time.monotonic() > deadline:
            raise AssertionError(f"{point} was not passed {nth} times\n{executor.words()}")
    return executor


# ------------------------------------------------------------------ the long form


@dataclass(frozen=True)
class Share:
    """What one process of the long form does: its points one after the other, with one nursery."""

    points: tuple[str, ...]
    cycles: int
    seed: int
    folder: Path
    seconds: float
    """For each point."""


def _share(share: Share) -> list[Kills]:
    done = []
    nursery = Nursery(share.folder / f"nursery-{share.points[0]}")
    try:
        for point in share.points:
            kills = kill_at(
                [Point(point)],
                cycles=share.cycles,
                seed=share.seed,
                folder=share.folder / point,
                nursery=nursery,
                seconds=share.seconds,
            )
            told = "; ".join(kills.complaints()[:3]) or "clean"
            print(
                f"{point}: {kills.kills} kills, {kills.verdict.tried} commands, {kills.seconds:.0f} s: {told}",
                flush=True,
            )
            done.append(kills)
    finally:
        nursery.close()
    return done


def campaign(
    points: Sequence[Point], *, cycles: int, seed: int, folder: Path, worlds: int, minutes: float
) -> list[Kills]:
    """All points, shared out among `worlds` processes; in so many minutes at most, the ends not counted."""
    names = [str(point) for point in points]
    most = -(-len(names) // worlds)
    shares = [
        Share(tuple(names[number::worlds]), cycles, seed, folder, minutes * 60 / most)
        for number in range(min(worlds, len(names)))
    ]
    with ProcessPoolExecutor(worlds, mp_context=get_context("spawn")) as pool:
        return [kills for share in pool.map(_share, shares) for kills in share]


def main() -> int:
    options = argparse.ArgumentParser(prog="kill_campaign")
    options.add_argument("--cycles", type=int, default=200)
    options.add_argument("--seed", type=int, default=20261121)
    options.add_argument("--worlds", type=int, default=2)
    options.add_argument(
        "--minutes", type=float, default=math.inf, help="at most; then fewer kills are counted"
    )
    options.add_argument("--point", action="append", choices=[str(point) for point in Point])
    options.add_argument("--results", type=Path, help="folder for kill.json")
    chosen = options.parse_args()
    points = [Point(name) for name in chosen.point] if chosen.point else list(Point)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medulla-kill-") as folder:
        done = campaign(
            points,
            cycles=chosen.cycles,
            seed=chosen.seed,
            folder=Path(folder),
            worlds=chosen.worlds,
            minutes=chosen.minutes,
        )
    total = Verdict()
    for kills in done:
        total.add(kills.verdict)
    found = total.found() | {"sent_before_journal": sum(len(kills.sent_before_journal) for kills in done)}
    result = Result(
        name="kill",
        tried={
            "kills": sum(kills.kills for kills in done),
            "kills_by_point": {kills.point: kills.kills for kills in done},
            "commands": total.tried,
            **total.counted(),
        },
        found=found,
        seconds=round(time.monotonic() - begun, 1),
        seed=chosen.seed,
    )
    hand_in(result, chosen.results)
    return 0 if all(kills.clean for kills in done) else 1


if __name__ == "__main__":
    sys.exit(main())
