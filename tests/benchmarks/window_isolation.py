"""What a window costs the commands: their p99 beside none, a busy one, one that hangs for five seconds, and one that is killed.

One engine, one terminal, one run; the ways take turns, so that the machine's moods fall on all of them. Prints each way's p99
divided by the headless one; 1.1 is the bound. Run: python -m tests.benchmarks.window_isolation [--commands N] [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.benchmarks.window_load import Window, loaded_world, wait
from tests.end_to_end.harness import World

BOUND = 1.1
_BETWEEN = 0.02
"""Seconds from one command to the next."""
_BLOCK = 5.0


class Way(Enum):
    HEADLESS = "no window"
    BUSY = "busy window"
    BLOCKED = "window hangs"
    KILLED = "window killed"


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the brain's send to the result that it hears."""

    sent: int
    executed: int
    times: tuple[float, ...]

    def share(self, part: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]

    @property
    def p50(self) -> float:
        return self.share(0.5)

    @property
    def p99(self) -> float:
        return self.share(0.99)

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms of {self.executed}/{self.sent}"


def measure(world: World, way: Way, *, commands: int) -> Latency:
    """Entries one after the other, `_BETWEEN` apart, closed again at the end; meanwhile the window does what `way` says."""
    window = None if way is Way.HEADLESS else Window(world)
    if window is not None and way is Way.BLOCKED:
        window.tell("block", seconds=_BLOCK)
        window.process.said("blocking")
    taken, tickets, executed = [], [], 0
    tick = threading.Event()
    for place in range(commands):
        if window is not None and way is Way.KILLED and place == commands // 3:
            window.process.kill()
        start = time.perf_counter()
        ended = world.brain.do({"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.01})
        taken.append((time.perf_counter() - start) * 1000)
        if ended["type"] == "EXECUTION_RESULT" and ended["result"]["success"]:
            executed += 1
            tickets.append(ended["result"]["ticket"])
        tick.wait(_BETWEEN)
    for ticket in tickets:
        world.brain.do({"action": "CLOSE_POSITION", "ticket": ticket})
    if window is not None and window.process.alive:
        window.tell("end")
        window.process.end()
    return Latency(commands, executed, tuple(taken))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=150, help="a round and way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--positions", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20)
    given = parser.parse_args()
    found: dict[Way, list[float]] = {way: [] for way in Way}
    with (
        tempfile.TemporaryDirectory(prefix="medulla-isolation-") as folder,
        loaded_world(Path(folder) / "world", given.positions, given.rate) as world,
    ):
        wait(2)
        for _ in range(given.rounds):
            for way in Way:
                found[way] += measure(world, way, commands=given.commands).times
    alone = Latency(len(found[Way.HEADLESS]), len(found[Way.HEADLESS]), tuple(found[Way.HEADLESS]))
    worst = 0.0
    for way, times in found.items():
        latency = Latency(len(times), len(times), tuple(times))
        ratio = latency.p99 / alone.p99
        worst = max(worst, ratio)
        print(
            f"{way.value:15} p50 {latency.p50:8.2f} ms   p99 {latency.p99:8.2f} ms   p99 / headless {ratio:5.2f}"
        )
    print(f"bound {BOUND}: {'held' if worst <= BOUND else 'NOT held'}")
    return 0 if worst <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
