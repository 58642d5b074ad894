"""The long form of the simulation: random programs by seed over processes, until enough commands were tried.

    python -m tests.faults.sim_campaign --commands 300000 --seed 1 [--results DIR]  the campaign and its negative controls
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.common_results import Control as CaughtControl
from tests.faults.common_results import Result, write_result
from tests.faults.sim_controls import CONTROLS, Caught, catch
from tests.faults.sim_program import Report, run_program

PROGRAM = 600
"""Commands in one program of the campaign."""
CONTROL_PROGRAMS = 120
CONTROL_COMMANDS = 60

NOTES = (
    "The terminal of these programs never recognises a command that comes again: what is handed over twice is done twice. "
    "Checked at every send, word, commit and effect, and when all is quiet again: journal, ledger, brain and picture agree, the "
    "hash chain holds. Terminal, broker, brain and disk are simulated; wires, SQLite and MetaTrader are tried elsewhere."
)


@dataclass
class Sum:
    """What all programs came to."""

    first: int = 1
    """Seed of the first program."""
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
    total, started = Sum(seed), time.monotonic()
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
    parser.add_argument("--results", type=Path, help="folder where sim.json goes")
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
        if asked.results is not None:
            write_result(asked.results, result_of(total, caught, asked.seed, asked.program, seconds))

    started = time.monotonic()
    total = campaign(asked.commands, asked.seed, asked.program, asked.processes, asked.minutes, keep)
    seconds = time.monotonic() - started
    keep(total, seconds)
    print(json.dumps(result_of(total, caught, asked.seed, asked.program, seconds).as_json(), indent=1))
    return 1 if total.failed or None in caught else 0


def result_of(total: Sum, caught: list[Caught | None], seed: int, program: int, seconds: float) -> Result:
    """What the reliability report is made from; the bound there speaks of the first number tried."""
    return Result(
        name="sim",
        tried={
            "commands touched by a fault": total.faulted,
            "commands": total.commands,
            "frames handed to the terminal": total.sends,
            "effects at the broker": total.effects,
            "crashes and restarts": total.lives - total.programs,
            "stops": total.presses,
            "programs": total.programs,
            "resets after stops": total.resets,
            "simulated minutes": round(total.virtual_seconds / 60),
            "outcomes": dict(total.outcomes.most_common()),
        },
        found={
            "duplicates": total.duplicates,
            "accepted commands without an outcome": total.without_outcome,
            "programs with any violation": len(total.failed),
            **{f"seed {failed['seed']}": f"{failed['rule']}: {failed['detail']}" for failed in total.failed},
        },
        seconds=round(seconds, 1),
        seed=seed,
        negative_controls=[
            CaughtControl(control.name, found.caught_by if found else "", found.seed if found else 0)
            for control, found in zip(CONTROLS, caught, strict=False)
        ],
        notes=NOTES,
        again=f"python -m tests.faults.sim_campaign --commands {total.faulted} --seed {total.first} --program {program}; "
        f"one program with its trace: --seed S --program {program} --replay",
    )


if __name__ == "__main__":
    sys.exit(main())
