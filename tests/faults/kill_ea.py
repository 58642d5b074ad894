"""kill -9's counterpart in the Expert Advisor: crashes around its ledger and `OrderSend`, by the hundred, as a campaign.

The crashes themselves are a test of the bench (tests/mql5_host/test_campaigns.py); here they are repeated and counted.
`python -m tests.faults.kill_ea --crashes 200 [--step open-before_send] [--results DIR]`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from .common_results import Result, hand_in

ROOT = Path(__file__).resolve().parents[2]
TEST = "tests/mql5_host/test_campaigns.py::test_a_crash_at_any_step_duplicates_nothing"
STEPS = tuple(
    f"{cmd}-{moment}"
    for cmd in ("open", "place", "modify", "close", "cancel", "close_all")
    for moment in ("before_send", "after_send")
)
"""A command, and whether the crash comes before or after the broker was asked."""


def crashes(step: str, number: int) -> str:
    """What went wrong in so many crashes at one step; empty: nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{TEST}[{step}]"],
        cwd=ROOT,
        env={**os.environ, "MEDULLA_CRASHES": str(number)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout[-2000:]


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="kill_ea")
    options.add_argument("--crashes", type=int, default=200, help="at each step")
    options.add_argument("--step", action="append", choices=STEPS)
    options.add_argument("--results", type=Path, help="folder for kill.json")
    chosen = options.parse_args(arguments)
    begun = time.monotonic()
    steps = chosen.step or STEPS
    wrong = {step: words for step in steps if (words := crashes(step, chosen.crashes))}
    result = Result(
        name="kill",
        tried={"kills_of_the_expert_advisor": len(steps) * chosen.crashes},
        found={"steps of the Expert Advisor gone wrong": len(wrong), **wrong},
        seconds=round(time.monotonic() - begun, 1),
        seed=0,
    )
    hand_in(result, chosen.results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
