"""Line coverage of the Expert Advisor's MQL5 source: both fronts compiled with gcov, driven by the tests of this folder.

`python -m tests.mql5_host.coverage` prints a table and the lines that nothing ran; `--least 90` fails below that.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from .build import EA_FOLDER, build
from .host import FRONTS

TESTS = ("session", "trading", "ledger", "stop", "safety", "stream", "strangers", "contract")
Counts = dict[Path, dict[int, int]]


def measure() -> Counts:
    """Build, run the tests, and read how often each line ran. Raises BuildFailed, SystemExit when a test fails."""
    folders = [build(EA_FOLDER / f"{front}.mq5", "coverage").folder for front in FRONTS]
    for folder in folders:
        for notes in folder.glob("*.gcda"):
            notes.unlink()
    here = Path(__file__).parent
    tests = [str(here / f"test_{name}.py") for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    finished = subprocess.run(command, env=os.environ | {"MEDULLA_EA_BUILD": "coverage"}, check=False)
    if finished.returncode != 0:
        raise SystemExit("coverage: the tests did not pass")
    counts: Counts = defaultdict(lambda: defaultdict(int))
    for folder in folders:
        _read(folder, counts)
    return counts


def _read(folder: Path, counts: Counts) -> None:
    gcov = shutil.which("gcov")
    if gcov is None:
        raise SystemExit("coverage: gcov is not installed")
    subprocess.run([gcov, "--json-format", "ea.gcda"], cwd=folder, check=True, capture_output=True)
    for report in folder.glob("*.gcov.json.gz"):
        for file in json.loads(gzip.decompress(report.read_bytes()))["files"]:
            path = Path(file["file"])
            if path.suffix in (".mqh", ".mq5"):
                for line in file["lines"]:
                    counts[path][line["line_number"]] += line["count"]


def report(counts: Counts) -> float:
    """Print the table; percent of all lines that ran."""
    ran = total = 0
    for path, lines in sorted(counts.items()):
        missed = sorted(number for number, count in lines.items() if count == 0)
        ran += len(lines) - len(missed)
        total += len(lines)
        percent = 100 * (len(lines) - len(missed)) / len(lines)
        print(f"{path.name:22} {len(lines):5} lines {percent:6.1f} %  {' '.join(map(str, missed))}")
    percent = 100 * ran / total
    print(f"{'in all':22} {total:5} lines {percent:6.1f} %")
    return percent


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--least", type=float, default=0.0, help="percent below which this fails")
    return 0 if report(measure()) >= options.parse_args().least else 1


if __name__ == "__main__":
    sys.exit(main())
