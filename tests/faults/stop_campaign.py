"""The stop campaign: `python -m tests.faults.stop_campaign --presses 1000` writes docs/stop-campaign.md and raw figures.

Parts run one after the other; one that breaks is written down as broken and does not keep the others from running. With the
folder of raw figures of a run that was broken off (`--raw`) its steps are not done again.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.domain.errors import MedullaError

from . import stop_controls, stop_ea, stop_limits, stop_presses, stop_report, stop_restarts
from .common_results import write_result, write_whole
from .stop_findings import Findings, kept
from .stop_forge import Forge

PARTS = ("presses", "restarts", "damage", "limits", "storms", "ea", "controls")
STEPS = "steps"
"""In the figures: seconds that each finished step took."""
CHUNK = 100
"""Presses in one world; then come fresh processes and a fresh journal."""
Step = tuple[str, Callable[[Path], None]]


def shares(presses: int) -> dict[str, int]:
    """How many of the presses each scene gets; what is left goes to the load."""
    small = {"idle": 10, "loop": 50, "window": 25, "frozen": 50, "limit": 25, "ea": 25}
    shared = {scene: max(1, presses // part) for scene, part in small.items()}
    return shared | {"load": max(2, presses - sum(shared.values()))}


def steps(options: argparse.Namespace, findings: Findings, forge: Forge) -> Iterator[Step]:
    """Every step of the run, in order, each with the folder it gets."""
    seed, share = options.seed, shares(options.presses)
    if "presses" in options.parts:
        left, number = share["load"], 0
        while left > 0:
            count, capacity = min(CHUNK, left), (1000, 100)[number % 2]
            left, number = left - count, number + 1
            yield (
                f"load {number}, {count} presses",
                lambda folder, count=count, capacity=capacity, number=number: stop_presses.under_load(  # type: ignore[misc]
                    folder, forge, findings, count, seed, name=f"load {number}", capacity=capacity
                ),
            )
        for name, scene in (
            ("idle", stop_presses.at_rest),
            ("loop", stop_presses.loop_blocked),
            ("window", stop_presses.window_blocked),
            ("frozen", stop_presses.engine_frozen),
            ("limit", stop_presses.limit_tripped),
        ):
            yield (
                f"{name}, {share[name]} presses",
                lambda folder, name=name, scene=scene: scene(folder, forge, findings, share[name], seed),  # type: ignore[misc]
            )
    if "ea" in options.parts:
        count = max(1, share["ea"] // 2)
        yield "EA under load", lambda folder: stop_ea.pressed(folder, forge, findings, count, seed)
        yield "EA alone", lambda folder: stop_ea.alone(folder, findings)
        yield "EA and a killed executor", lambda folder: stop_ea.killed_executor(folder, forge, findings)
    if "restarts" in options.parts:
        yield (
            "restarts",
            lambda folder: stop_restarts.restarted(folder, forge, findings, options.restarts, seed),
        )
    if "damage" in options.parts:
        yield "damage", lambda folder: stop_restarts.damaged(folder, forge, findings, seed)
    if "limits" in options.parts:
        yield "limits", lambda folder: stop_limits.edges(folder, forge, findings)
    if "storms" in options.parts:
        for same in (True, False):
            yield (
                f"storm, {'alike' if same else 'unlike'}",
                lambda folder, same=same: stop_limits.storm(
                    folder, forge, findings, options.storm, same=same
                ),  # type: ignore[misc]
            )
    if "controls" in options.parts:
        yield "controls", lambda folder: stop_controls.controls(folder, forge, findings, seed)


def run(options: argparse.Namespace, say: Callable[[str], None]) -> Findings:
    """All steps that are not done yet in the folder of raw figures; what all of them found."""
    raw = options.raw / "stop-campaign.json"
    findings = kept(raw) if raw.exists() else Findings()
    done = findings.figures.setdefault(STEPS, {})
    forge = Forge(options.raw)
    try:
        for number, (name, step) in enumerate(steps(options, findings, forge)):
            if name in done:
                continue
            begun = time.monotonic()
            folder = options.raw / f"step {number}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                step(folder)
            except (AssertionError, OSError, MedullaError, TimeoutError, KeyError, ValueError) as fault:
                findings.check("campaign", name, False, f"broke: {type(fault).__name__}: {fault}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
            done[name] = round(time.monotonic() - begun, 1)
            findings.keep(raw)
            say(f"{name}: {time.monotonic() - begun:.0f} s, {len(findings.failures())} failures so far")
    finally:
        forge.close()
    return findings


def machine() -> str:
    """What a reader must know of the machine."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{os.cpu_count()} cores, {model or platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def main(arguments: list[str]) -> int:
    """0: nothing was broken and the bounds were kept; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="stop_campaign")
    parser.add_argument("--presses", type=int, default=1000)
    parser.add_argument("--restarts", type=int, default=200)
    parser.add_argument("--storm", type=int, default=10_000, help="commands in each storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--bounds", type=float, default=1.0, help="factor on the time bounds, for a busy machine"
    )
    parser.add_argument(
        "--report", type=Path, default=Path(__file__).parents[2] / "docs" / "stop-campaign.md"
    )
    parser.add_argument(
        "--raw",
        type=Path,
        default=None,
        help="folder for raw figures and the broken steps' files; the same again goes on, and adds other parts",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=None,
        help="folder for stop.json, of which docs/reliability.md is made",
    )
    options = parser.parse_args(arguments)
    options.raw = options.raw or Path(tempfile.mkdtemp(prefix="stop-campaign-"))
    options.raw.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    findings = run(options, say)
    command = "python -m tests.faults.stop_campaign " + " ".join(
        word
        for word in (
            f"--presses {options.presses}",
            f"--restarts {options.restarts}",
            f"--seed {options.seed}",
        )
    )
    if tuple(options.parts) != PARTS:
        command += " --parts " + " ".join(options.parts)
    took = sum(findings.figures[STEPS].values())
    report = stop_report.compose(
        findings, command=command, machine=machine(), took=took, bounds=options.bounds
    )
    write_whole(options.report, report)
    if options.results is not None:
        write_result(options.results, stop_report.as_result(findings, seed=options.seed, took=took))
    failures = [*findings.failures(), *stop_report.too_slow(findings, options.bounds)]
    for failure in failures[:50]:
        say(f"NOT HELD: {failure}")
    say(f"report: {options.report}; raw figures: {options.raw}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
