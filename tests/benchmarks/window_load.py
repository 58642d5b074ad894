"""The window under its heaviest load: 200 positions, 50 symbols at 20 prices a second each, a real engine, a simulated terminal.

Prints frame times and CPU of the window's process, and writes its memory to a CSV; with `--minutes` above the warm-up also the
slope of the memory in MB an hour. Run: python -m tests.benchmarks.window_load [--minutes N] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.wide_terminal import wide
from tests.end_to_end.harness import Process, World

POSITIONS = 200
RATE = 20
"""Prices a second and symbol."""
_LOTS = 0.1
_WIDE = {"max_orders_per_second": 100_000, "max_orders_per_minute": 1_000_000}
FIGURES = (
    "cpu_share", "frames_per_s", "cpu_per_frame", "frame_cpu_p50", "frame_cpu_p95", "frame_p50", "frame_p95", "frame_p99",
    "turn_p95", "turn_p99", "turn_max",
)  # fmt: skip


class LoadedWorld(World):
    """A world whose terminal offers fifty symbols."""

    def start_terminal(self, *options: str) -> Process:
        self.terminal = self.process(
            "terminal", "--command-port", "0", "--stream-port", "0", "--control-port", "0",
            "--ledger", str(self.folder / "ledger.jsonl"), "--key-file", str(self.folder / "terminal.key"),
            "--balance", "5000000", "--tick-rate", "0.5", "--leverage", "5000", "--exit-with-parent", *options,
            module="tests.benchmarks.wide_terminal",
        )  # fmt: skip
        self._ports = self.terminal.said("ready", timeout=60)
        return self.terminal


class Window:
    """The window's process: told lines, asked for figures."""

    def __init__(self, world: World, *options: str) -> None:
        self.process = world.process(
            "window", "--config", str(world.config), *options, module="tests.gui.window_process"
        )
        self.process.said("state", where=lambda line: bool(line["ready"]))
        self._asked: dict[str, int] = {}

    def tell(self, do: str, **more: Any) -> None:
        stdin = self.process.process.stdin
        assert stdin is not None
        stdin.write((json.dumps({"do": do, **more}) + "\n").encode())
        stdin.flush()

    def ask(self, do: str, answer: str, **more: Any) -> dict[str, Any]:
        self.tell(do, **more)
        self._asked[answer] = self._asked.get(answer, 0) + 1
        return self.process.said(answer, nth=self._asked[answer], timeout=60)


@contextmanager
def loaded_world(folder: Path, positions: int = POSITIONS, rate: float = RATE) -> Iterator[LoadedWorld]:
    """Engine and terminal with that many positions; prices come at `rate` a second and symbol."""
    world = LoadedWorld(folder)
    try:
        world.start(terminal=["--tick-rate", str(rate)], safety=_WIDE)
        open_positions(world, positions)
        yield world
    finally:
        world.close()


def open_positions(world: World, number: int) -> None:
    symbols = [str(item.symbol) for item in wide()]
    ids = [
        world.brain.order(
            {
                "action": "OPEN_POSITION",
                "symbol": symbols[place % len(symbols)],
                "type": "SELL" if place % 3 == 0 else "BUY",
                "volume": _LOTS,
            },
            f"load-{place}",
            strategyId=f"strategy_{place % 7}",
        )
        for place in range(number)
    ]
    world.brain.ends_of(ids, timeout=120)


def slope(points: list[tuple[float, float]]) -> float:
    """Least squares, units of the second an hour of the first (which is in seconds)."""
    number = len(points)
    if number < 3:
        return 0.0
    mean_x = sum(x for x, _ in points) / number
    mean_y = sum(y for _, y in points) / number
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread * 3600 if spread else 0.0


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def measure(window: Window, minutes: float, every: float, tell: Callable[[dict[str, Any]], None]) -> None:
    """Ask for figures every so often, for so long."""
    window.ask("clear", "cleared")
    for _ in range(max(1, round(minutes * 60 / every))):
        wait(every)
        tell(window.ask("figures", "figures"))


class Diary:
    """The figures as they come: kept, and written at once, so that a run that is broken off has its rows."""

    def __init__(self, file: Path | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._file = file
        self._passed = 0.0

    def write(self, line: dict[str, Any]) -> None:
        self._passed += line["seconds"]
        row = {
            "at": round(self._passed, 1),
            **{name: value for name, value in line.items() if name != "event"},
        }
        self.rows.append(row)
        if self._file is not None:
            with self._file.open("a" if len(self.rows) > 1 else "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if len(self.rows) == 1:
                    writer.writerow(row)
                writer.writerow(row.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--warm-up", type=float, default=5.0, help="minutes that do not count for the slope")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two rows")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--positions", type=int, default=POSITIONS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--size", default="1440x900")
    parser.add_argument("--profile", type=Path, help="profile of the window's process into this file")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="medulla-load-") as folder,
        loaded_world(Path(folder) / "world", given.positions, given.rate) as world,
    ):
        profile = ["--profile", str(given.profile)] if given.profile else []
        window = Window(world, "--size", given.size, *profile)
        wait(3)
        diary = Diary(given.csv)
        measure(window, given.minutes, given.every, diary.write)
        window.tell("end")
        window.process.exit_code()
    report(diary.rows, given.warm_up * 60)
    return 0


def report(rows: list[dict[str, Any]], warm_up: float) -> None:
    for name in FIGURES:
        values = sorted(row[name] for row in rows)
        print(f"{name:13} median {values[len(values) // 2]:10.3f}   worst {values[-1]:10.3f}")
    after = [row for row in rows if row["at"] >= warm_up]
    for name in ("rss_mb", "heap_mb", "objects"):
        print(f"{name:13} first {rows[0][name]:10.2f}   last {rows[-1][name]:10.2f}")
        if after:
            print(
                f"{name:13} slope after warm-up {slope([(row['at'], row[name]) for row in after]):10.3f} an hour"
            )


if __name__ == "__main__":
    sys.exit(main())
