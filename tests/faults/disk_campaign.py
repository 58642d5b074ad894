"""The long form of the power cuts: `python -m tests.faults.disk_campaign --cuts 200 [--seed N] [--results DIR]`.

Writes what was tried and found to DIR/power.json; docs/reliability.md is made of such files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.common_results import Control, Result, write_result
from tests.faults.disk_cuts import Cut, Life, Tally, choose, images, memory_folder, record, try_cuts
from tests.faults.disk_model import save_image
from tests.faults.disk_writer import CONTROLS

SHORT_ROUNDS, LONG_ROUNDS = 2, 6
BEGINNINGS = 4
"""How many cut disks another life is begun and recorded on."""


def told(cut: Cut, life: Life, fault: str) -> str:
    """One line by which the cut can be made again."""
    return f"life {life.seed}, {cut.kind}, after operation {cut.after}, {cut.survival.value} survives, seed {cut.seed}: {fault}"


async def cut_all(
    lives: list[Life], each: int, seed: int, scratch: Path
) -> tuple[Counter[str], list[str], int]:
    """`each` cuts of every kind over all lives together; kinds and their numbers, faults, rows looked at."""
    chance = random.Random(seed)
    tried: Counter[str] = Counter()
    faults: list[str] = []
    rows = 0
    for life in lives:
        cuts = choose(life, -(-each // len(lives)), chance.randrange(2**31))
        tally = await try_cuts(life, cuts, scratch)
        tried.update(tally.tried)
        faults += [told(cut, life, fault) for cut, fault in tally.faults]
        rows += tally.rows_checked
    return tried, faults, rows


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
        found += record({folder / f"life{index}": (LONG_ROUNDS, seed + index, "")}, before)
    return found


def caught(tally: Tally) -> str:
    """What of the check saw it."""
    [(cut, fault), *_] = tally.faults
    return f"cut of {cut.kind}: {fault}"


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cuts", type=int, default=200, help="for each kind of commit")
    options.add_argument("--seed", type=int, default=20261121)
    options.add_argument("--results", type=Path, help="folder for power.json")
    given = options.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medulla-cuts-", dir=memory_folder()) as temporary:
        folder, scratch = Path(temporary), Path(temporary) / "scratch"
        seeds = [given.seed + number for number in range(4)]
        first = record({folder / f"first{seed}": (LONG_ROUNDS, seed, "") for seed in seeds})
        tried, faults, rows = asyncio.run(cut_all(first, given.cuts, given.seed, scratch))
        later = from_cut_disks(first[0], folder, BEGINNINGS, given.seed)
        again, more, more_rows = asyncio.run(cut_all(later, given.cuts // 2, given.seed, scratch))
        controls = []
        worse = record({folder / name: (SHORT_ROUNDS, given.seed, name) for name in CONTROLS})
        for life in worse:
            tally = asyncio.run(try_cuts(life, choose(life, 20, given.seed), scratch, enough=1))
            controls.append(
                Control(CONTROLS[life.control], caught(tally) if tally.faults else "", given.seed)
            )
    kinds = tried + again
    violations = faults + more
    result = Result(
        name="power",
        tried={"power cuts": sum(kinds.values()), "rows compared by hash": rows + more_rows}
        | {f"cuts of {kind}": number for kind, number in sorted(kinds.items())},
        found={"violations": len(violations)}
        | {f"violation {n}": text for n, text in enumerate(violations, 1)},
        seconds=round(time.monotonic() - begun, 1),
        seed=given.seed,
        negative_controls=controls,
        notes=f"{sum(again.values())} of the cuts in {len(later)} lives that began on the disk of an earlier cut. "
        "Recorded below the C library, under the adapter as it runs, on Linux; opened again by the same adapter. "
        f"Again: python -m tests.faults.disk_campaign --cuts {given.cuts} --seed {given.seed}",
    )
    print(json.dumps(result.as_json(), indent=1))
    if given.results is not None:
        write_result(given.results, result)
    return 1 if violations or not all(control.caught_by for control in controls) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
