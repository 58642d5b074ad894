"""Every campaign in its long form, by one command: `python -m tests.faults.campaign --results DIR`. Broken off, the same command
goes on where it was.

The work is cut into parts of minutes. A part that has ended leaves a note in DIR/parts and is not done again while its command is
the same; one that was broken off begins anew, from its seed. What the parts counted is put together (common_merge.py) into
DIR/NAME.json, of which `python -m tests.faults.report --results DIR` makes docs/reliability.md. Nothing is judged here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .common_merge import merged
from .common_results import write_whole
from .kill_ea import STEPS
from .kill_points import Point
from .report import BESIDE

ROOT = Path(__file__).resolve().parents[2]
AGAIN = "python -m tests.faults.campaign --results DIR"


@dataclass(frozen=True, slots=True)
class Part:
    """One command of minutes. `{folder}` in its words is the part's own folder, which a second try finds as the first left it."""

    name: str
    words: tuple[str, ...]
    """Module under tests.faults and its options; --results is added."""

    def folder(self, results: Path) -> Path:
        return results / "parts" / self.name.replace(" ", "-")

    def command(self, folder: Path) -> list[str]:
        words = [word.replace("{folder}", str(folder)) for word in self.words]
        return [sys.executable, "-m", f"tests.faults.{words[0]}", *words[1:], "--results", str(folder)]


def _parts(name: str, module: str, number: int, options: Callable[[int], Iterable[object]]) -> Iterator[Part]:
    for place in range(number):
        yield Part(f"{name} {place + 1} of {number}", (module, *map(str, options(place))))


def plan(scale: float = 1.0) -> list[Part]:
    """All parts; `scale` makes each of them smaller, for a look at the whole."""

    def some(count: float) -> int:
        return max(1, round(count * scale))

    points = [str(point) for point in Point]
    pairs = [points[start : start + 2] for start in range(0, len(points), 2)]
    return [
        *_parts("sim", "sim_campaign", 30, lambda n: (
            "--commands", some(10_000), "--seed", 1 + 1000 * n, *(["--no-controls"] if n else []),
        )),
        *_parts("kill", "kill_campaign", len(pairs), lambda n: (
            "--cycles", some(200), *(word for point in pairs[n] for word in ("--point", point)),
        )),
        *_parts("kill of the EA", "kill_ea", len(STEPS), lambda n: ("--crashes", some(200), "--step", STEPS[n])),
        Part("controls of kill, ambiguity and pause", ("kill_controls",)),
        *_parts("proxy", "proxy_campaign", 5, lambda n: (
            "--commands", some(2000), "--parts", 2, "--seed", 31 + 2 * n, "--minutes", 30,
        )),
        *_parts("pause", "pause_campaign", 3, lambda n: ("--rounds", some(40), "--seed", 77 + n)),
        Part("ambiguity", ("ambiguity_campaign", "--real")),
        *_parts("power", "disk_campaign", 4, lambda n: (
            "--only", "power", "--cuts", some(50), "--seed", 20261121 + 10_000 * n,
        )),
        *_parts("disk", "disk_campaign", 4, lambda n: (
            "--only", "disk", "--seconds", some(300), "--seed", 20261121 + n,
        )),
        *_parts("fuzz brain", "fuzz_campaign", 10, _fuzz("brain", some(100_000))),
        *_parts("fuzz executor", "fuzz_campaign", 5, _fuzz("executor", some(100_000))),
        *_parts("fuzz terminal", "fuzz_campaign", 5, _fuzz("terminal", some(100_000))),
        *_parts("fuzz api", "fuzz_campaign", 10, _fuzz("api", some(100_000))),
        Part("live", ("fuzz_live", "--frames", str(some(20_000)))),
        Part("stop", (
            "stop_campaign", "--presses", str(some(1000)), "--restarts", str(some(200)), "--storm", str(some(10_000)),
            "--raw", "{folder}", "--report", "{folder}/stop-campaign.md",
        )),
        Part("soak", ("soak", "--minutes", str(120 * scale))),
    ]  # fmt: skip


def _fuzz(target: str, frames: int) -> Callable[[int], tuple[object, ...]]:
    return lambda n: ("--only", target, "--frames", frames, "--seed", 20261121 + 1000 * n)


# ------------------------------------------------------------------ going on


def run(command: Sequence[str]) -> int:
    """One part to its end; what it says is seen."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def revision() -> str:
    """Of the code that runs; empty where no git tells it."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return told.stdout.strip()


def go_on(
    parts: Sequence[Part], results: Path, *, run: Callable[[Sequence[str]], int] = run, code: str = ""
) -> list[str]:
    """Do what is not done yet, put everything together, and name the parts that were not clean.

    `code`: the revision that is noted with each part. Raises OSError when a note cannot be written.
    """
    for number, part in enumerate(parts, 1):
        folder = part.folder(results)
        if _note(folder, part) is not None:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        print(f"--- {number} of {len(parts)}: {part.name}", flush=True)
        begun = time.monotonic()
        status = run(part.command(folder))
        note = {
            "words": part.words,
            "status": status,
            "seconds": round(time.monotonic() - begun, 1),
            "code": code,
        }
        write_whole(folder / "ended.json", json.dumps(note, indent=1) + "\n")
    return put_together(parts, results)


def _note(folder: Path, part: Part) -> dict[str, Any] | None:
    """How the part ended; None: it has to be done."""
    try:
        note: dict[str, Any] = json.loads((folder / "ended.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return note if tuple(note["words"]) == part.words else None


def put_together(parts: Sequence[Part], results: Path) -> list[str]:
    """One file for each campaign from the parts that are done; the names of those that are not, or were not clean."""
    found: dict[str, list[dict[str, Any]]] = {}
    codes: dict[str, set[str]] = {}
    missing = []
    for part in parts:
        folder = part.folder(results)
        note = _note(folder, part)
        if note is None or note["status"]:
            missing.append(part.name if note is None else f"{part.name} (status {note['status']})")
        if note is None:
            continue
        for file in sorted(folder.glob("*.json")):
            content = json.loads(file.read_text("utf-8"))
            if isinstance(content, dict) and "name" in content:
                for beside in BESIDE.get(content["name"], ()):
                    if (folder / beside).exists():
                        shutil.copyfile(folder / beside, results / beside)
                found.setdefault(content["name"], []).append(content)
                codes.setdefault(content["name"], set()).add(note["code"])
    for name, contents in found.items():
        whole = merged(contents)
        whole["again"] = AGAIN
        whole["code"] = sorted(codes[name] - {""})
        write_whole(results / f"{name}.json", json.dumps(whole, indent=1) + "\n")
    return missing


def main(arguments: list[str]) -> int:
    """0: every part is done and was clean."""
    options = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    options.add_argument("--results", type=Path, required=True, help="the same folder again goes on")
    options.add_argument("--only", action="append", default=[], help="parts whose names begin so")
    options.add_argument("--scale", type=float, default=1.0, help="a tenth of everything: 0.1")
    options.add_argument("--list", action="store_true", help="name the parts and what is done")
    chosen = options.parse_args(arguments)
    parts = [
        part for part in plan(chosen.scale) if not chosen.only or part.name.startswith(tuple(chosen.only))
    ]
    if chosen.list:
        for part in parts:
            done = _note(part.folder(chosen.results), part)
            state = "open" if done is None else f"status {done['status']}"
            print(f"{state:10} {part.name}")
        return 0
    missing = go_on(parts, chosen.results.resolve(), code=revision())
    for name in missing:
        print(f"NOT CLEAN: {name}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
