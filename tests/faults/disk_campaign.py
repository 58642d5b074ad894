"""The long form of power cuts and failing disks: `python -m tests.faults.disk_campaign --cuts 200 [--results DIR]`.

Writes what was tried and found to DIR/power.json and DIR/disk.json; docs/reliability.md is made of such files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.common_results import Control, Result, hand_in, write_result
from tests.faults.disk_cuts import Cut, Life, Tally, choose, images, memory_folder, record, try_cuts
from tests.faults.disk_model import save_image
from tests.faults.disk_shim import environment
from tests.faults.disk_writer import CONTROLS
from tests.mql5_host.build import ROOT

SHORT_ROUNDS, LONG_ROUNDS = 2, 6
EACH = 8
"""Cuts of every kind in one round with one life."""
FRESH = 4
BEGINNINGS = 4
"""How many cut disks another life is begun and recorded on."""


def told(cut: Cut, life: Life, fault: str) -> str:
    """One line by which the cut can be made again."""
    return f"life {life.seed}, {cut.kind}, after operation {cut.after}, {cut.survival.value} survives, seed {cut.seed}: {fault}"


@dataclass(slots=True)
class Sum:
    """All cuts so far."""

    tried: Counter[str] = field(default_factory=Counter)
    on_cut_disks: int = 0
    faults: list[str] = field(default_factory=list)
    rows: int = 0

    async def cut(self, life: Life, each: int, seed: int, scratch: Path) -> None:
        """`each` cuts of every kind that this life has."""
        tally = await try_cuts(life, choose(life, each, seed), scratch)
        self.tried.update(tally.tried)
        self.faults += [told(cut, life, fault) for cut, fault in tally.faults]
        self.rows += tally.rows_checked
        if life.before is not None:
            self.on_cut_disks += sum(tally.tried.values())


def from_cut_disks(life: Life, folder: Path, number: int, seed: int) -> list[Life]:
    """Lives that begin on what a power cut left."""
    chance = random.Random(seed)
    spans = [span for span in life.spans() if span.kind not in ("open", "end")]
    cuts = choose(life, 4, seed)
    cuts = sorted(
        chance.sample([cut for cut in cuts if cut.after > spans[0].end], number), key=lambda cut: cut.after
    )
    found = []
    for index, (_, image) in enumerate(images(life, cuts)):
        before = folder / f"before{index}"
        save_image(image, before)
        found += record({folder / f"life{index}": (LONG_ROUNDS, seed + 1000 + index, "")}, before)
    return found


def caught(tally: Tally) -> str:
    """What of the check saw it."""
    [(cut, fault), *_] = tally.faults
    return f"cut of {cut.kind}: {fault}"


def power(cuts: int, seed: int, minutes: float, results: Path | None) -> Result:
    """Cuts in fresh lives, in lives that begin on a cut disk, and in worse ones; the result is written after every round."""
    begun = time.monotonic()
    total = Sum()
    with tempfile.TemporaryDirectory(prefix="medulla-cuts-", dir=memory_folder()) as temporary:
        folder, scratch = Path(temporary), Path(temporary) / "scratch"
        controls: list[Control] = []
        lives = record({folder / f"first{n}": (LONG_ROUNDS, seed + n, "") for n in range(FRESH)})
        turn = 0
        while True:
            asyncio.run(total.cut(lives[turn % len(lives)], EACH, seed + turn, scratch))
            turn += 1
            if turn == 2:
                controls = made_worse(folder, seed)
            elif turn == FRESH:
                lives += from_cut_disks(lives[0], folder, BEGINNINGS, seed)
            result = _power_result(total, controls, seed, time.monotonic() - begun, cuts)
            if results is not None:
                write_result(results, result)
            over = time.monotonic() - begun > minutes * 60 and turn > 1
            if over or (turn > FRESH and min(total.tried.values()) >= cuts):
                return result


def made_worse(folder: Path, seed: int) -> list[Control]:
    """Each way to be worse, and what noticed it."""
    controls = []
    for life in record({folder / name: (SHORT_ROUNDS, seed, name) for name in CONTROLS}):
        tally = asyncio.run(try_cuts(life, choose(life, 20, seed), folder / "scratch", enough=1))
        controls.append(Control(CONTROLS[life.control], caught(tally) if tally.faults else "", seed))
    return controls


def _power_result(total: Sum, controls: list[Control], seed: int, seconds: float, cuts: int) -> Result:
    kinds, violations = total.tried, total.faults
    return Result(
        name="power",
        tried={"power cuts": sum(kinds.values()), "rows compared by hash": total.rows}
        | {"cuts in lives that began on the disk of an earlier cut": total.on_cut_disks}
        | {f"cuts of {kind}": number for kind, number in sorted(kinds.items())},
        found={"violations": len(violations)}
        | {f"violation {n}": text for n, text in enumerate(violations, 1)},
        seconds=round(seconds, 1),
        seed=seed,
        negative_controls=controls,
        notes="Recorded below the C library, under the adapter as it runs, on Linux; opened again by the same adapter. "
        "Of what was not synced a cut keeps nothing, all but a torn last write, any sectors in any order, or everything, "
        "a quarter each.",
        again=f"python -m tests.faults.disk_campaign --only power --cuts {cuts} --seed {seed}",
    )


def disk(seconds: int, seed: int) -> Result:
    """Failing calls and files changed by others, for so long."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medulla-disk-", dir=memory_folder()) as temporary:
        folder = Path(temporary)
        (folder / "files").mkdir()
        (folder / "rules").write_text("")
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.disk_faults", str(folder), str(seconds), str(seed)],
            env={**os.environ, **environment(folder / "files", faults=folder / "rules")},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        trials = [json.loads(line.replace(temporary, "")) for line in done.stdout.splitlines()]
    wrong = [f"{trial['name']}: {'; '.join(trial['wrong'])}" for trial in trials if trial["wrong"]]
    told = sum(1 for trial in trials if trial["told"])
    return Result(
        name="disk",
        tried={"trials": len(trials), "trials in which something failed and was told": told}
        | {"rows confirmed": sum(trial["confirmed"] for trial in trials)},
        found={"violations": len(wrong)} | {f"violation {n}": text for n, text in enumerate(wrong, 1)},
        seconds=round(time.monotonic() - begun, 1),
        seed=seed,
        notes="Full disks, I/O errors, quotas and read-only file systems by failing calls of the C library at any place "
        "in a commit, a checkpoint or a start; files removed, replaced, cut, locked or spoiled by others. After each the "
        "journal is opened again, "
        "once as it was closed and once as a killed process leaves it.",
        again=f"python -m tests.faults.disk_campaign --only disk --seconds {seconds} --seed {seed}",
    )


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=("power", "disk"))
    options.add_argument("--cuts", type=int, default=200, help="for each kind of commit")
    options.add_argument(
        "--minutes", type=float, default=600.0, help="of power cuts; the result says how far it came"
    )
    options.add_argument("--seconds", type=int, default=300, help="of failing disks")
    options.add_argument("--seed", type=int, default=20261121)
    options.add_argument("--results", type=Path)
    given = options.parse_args(arguments)
    clean = True
    for name in ("power", "disk"):
        if given.only in (None, name):
            result = (
                power(given.cuts, given.seed, given.minutes, given.results)
                if name == "power"
                else disk(given.seconds, given.seed)
            )
            hand_in(result, given.results)
            blind = [control.name for control in result.negative_controls if not control.caught_by]
            clean = clean and not result.found["violations"] and not blind
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
