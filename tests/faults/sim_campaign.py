"""The long form of the simulation: random programs by seed over processes, until enough commands were tried.

    python -m tests.faults.sim_campaign --commands 300000 --seed 1 [--json FILE]   the campaign and its negative controls
    python -m tests.faults.sim_campaign --seed S --replay                          one program, with its trace

A failing seed ends the campaign with status 1 and prints the replay command. Nothing is decided here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.sim_controls import CONTROLS, Caught, catch
from tests.faults.sim_program import Report, run_program

PROGRAM = 600
"""Commands in one program of the campaign."""
CONTROL_PROGRAMS = 60
CONTROL_COMMANDS = 60


@dataclass
class Sum:
    """What all programs came to."""

    programs: int = 0
    commands: int = 0
    faulted: int = 0
    lives: int = 0
    sends: int = 0
    effects: int = 0
    duplicates: int = 0
    without_outcome: int = 0
    presses: int = 0
    resets: int = 0
    virtual_seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.programs += 1
        for name in (
            "commands", "faulted", "lives", "sends", "effects", "duplicates", "without_outcome", "presses", "resets",
            "virtual_seconds",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(report, name))
        self.outcomes.update(report.outcomes)
        self.faults.update(report.faults)
        if report.violations:
            first = report.violations[0]
            self.failed.append({"seed": report.seed, "rule": first.rule, "detail": first.detail})


def replay_command(seed: int, commands: int) -> str:
    return f"python -m tests.faults.sim_campaign --seed {seed} --program {commands} --replay"


def campaign(
    commands: int, seed: int, program: int, processes: int, minutes: float, keep: Callable[[Sum, float], None]
) -> Sum:
    """Programs `seed`, `seed` + 1, … until `commands` of them were touched by a fault, or the time is over.

    `keep` is told now and then how far it has come.
    """
    total, started = Sum(), time.monotonic()
    said = started
    with ProcessPoolExecutor(processes) as pool:
        running: dict[Future[Report], int] = {}
        coming = _seeds(seed)
        while total.faulted < commands and time.monotonic() - started < minutes * 60:
            while len(running) < 2 * processes:
                chosen = next(coming)
                running[pool.submit(run_program, chosen, program)] = chosen
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                running.pop(future)
                report = future.result()
                total.add(report)
                if report.violations:
                    print(
                        f"seed {report.seed}: {report.violations[0]}\n  {replay_command(report.seed, program)}"
                    )
            if time.monotonic() - said > 10:
                said = time.monotonic()
                keep(total, said - started)
                rate = total.commands / (said - started)
                print(
                    f"{total.programs} programs, {total.commands} commands, {total.faulted} touched by a fault,"
                    f" {len(total.failed)} failed, {rate:.0f}/s",
                    flush=True,
                )
        for future in running:
            future.cancel()
    return total


def _seeds(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def controls(processes: int) -> list[Caught | None]:
    """Every weakened engine, over its bounded number of programs."""
    with ProcessPoolExecutor(processes) as pool:
        jobs = [
            pool.submit(catch, control, programs=CONTROL_PROGRAMS, commands=CONTROL_COMMANDS)
            for control in CONTROLS
        ]
        return [job.result() for job in jobs]


def show(seed: int, program: int) -> int:
    """One program with its trace."""
    report = run_program(seed, program, lines=True)
    print("\n".join(report.lines))
    print(
        f"\nseed {seed}: {report.commands} commands, {report.lives} lives, {report.sends} sent, {report.effects} effects,"
        f" {dict(report.outcomes)}, trace {report.trace_hash}"
    )
    for violation in report.violations:
        print(f"  {violation}")
    return 1 if report.violations else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sim_campaign", description=__doc__)
    parser.add_argument("--commands", type=int, default=300_000, help="commands touched by a fault to reach")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", type=int, default=PROGRAM, help="commands in one program")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--replay", action="store_true", help="run the one program of --seed and show its trace"
    )
    parser.add_argument("--minutes", type=float, default=24 * 60, help="most time to take")
    parser.add_argument("--no-controls", action="store_true")
    parser.add_argument("--json", type=Path, help="where the results go")
    asked = parser.parse_args()
    if asked.replay:
        return show(asked.seed, asked.program)
    caught = [] if asked.no_controls else controls(asked.processes)
    for control, found in zip(CONTROLS, caught, strict=False):
        print(
            f"{control.name}: {'MISSED' if found is None else f'{found.caught_by}, seed {found.seed}'}",
            flush=True,
        )

    def keep(total: Sum, seconds: float) -> None:
        if asked.json is not None:
            asked.json.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(results(total, caught, asked.seed, asked.program, seconds), indent=1)
            asked.json.write_text(text + "\n", encoding="utf-8")

    started = time.monotonic()
    total = campaign(asked.commands, asked.seed, asked.program, asked.processes, asked.minutes, keep)
    seconds = time.monotonic() - started
    keep(total, seconds)
    print(notes(total, asked.program, seconds))
    return 1 if total.failed or None in caught else 0


def results(
    total: Sum, caught: list[Caught | None], seed: int, program: int, seconds: float
) -> dict[str, Any]:
    """What the reliability report is made from."""
    return {
        "name": "deterministic simulation",
        "tried": total.faulted,
        "found": total.duplicates + total.without_outcome + len(total.failed),
        "seconds": round(seconds, 1),
        "seed": seed,
        "negative_controls": [
            {
                "name": control.name,
                "caught_by": None if found is None else found.caught_by,
                "seed": None if found is None else found.seed,
            }
            for control, found in zip(CONTROLS, caught, strict=False)
        ],
        "notes": notes(total, program, seconds),
        "detail": asdict(total) | {"program": program, "control_commands": CONTROL_COMMANDS},
    }


def notes(total: Sum, program: int, seconds: float) -> str:
    """One paragraph for the reliability report. The bound is the rule of three: 95 %, if the faults were drawn as in life."""
    crashes = total.lives - total.programs
    return (
        f"{total.programs} programs of {program} commands; {total.commands} commands, of which {total.faulted} were touched"
        f" by a fault; {total.lives} lives of the engine ({crashes} crashes and restarts), {total.presses} stops pressed,"
        f" {total.resets} resets, {total.virtual_seconds / 86400:.1f} simulated days in {seconds / 60:.0f} minutes."
        f" {total.sends} frames sent, {total.effects} effects at the broker, {total.duplicates} duplicates,"
        f" {total.without_outcome} accepted commands without an outcome: at most {3 / max(1, total.faulted):.1e}"
        " a faulted command (95 %, rule of three, for the faults as they are drawn here). Terminal, broker, brain and"
        " disk are simulated; wires, SQLite and MetaTrader are tried elsewhere."
    )


if __name__ == "__main__":
    sys.exit(main())
