"""Builds without one safeguard, run against the campaigns' own checks: `python -m tests.faults.kill_controls`.

A campaign that would not notice a broken build proves nothing; what noticed is written beside each campaign's numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from .ambiguity_campaign import simulated
from .ambiguity_cases import Windows, reply_lost, second_executor, two_on_one_journal
from .common_results import Control, add_controls
from .kill_campaign import kill_at
from .kill_points import Point
from .kill_world import Nursery
from .pause_campaign import pauses

SEED = 7
PAUSE_SEED = 5
WINDOWS = Windows(absence=6.0)
Check = Callable[[Path, Nursery], Control]


def _first(lines: list[str], word: str = "") -> str:
    """The first line with `word`, else the first."""
    return next((line for line in lines if word in line), lines[0] if lines else "")[:200]


def no_journal_before_send(folder: Path, nursery: Nursery) -> Control:
    points = [Point.AFTER_SEND, Point.BEFORE_RECEIPT_COMMIT]
    done = kill_at(
        points, cycles=6, seed=SEED, folder=folder, nursery=nursery, weakened="no_journal_before_send"
    )
    return Control("no journal before the send", _first(done.complaints()), SEED)


def ids_in_memory(folder: Path, nursery: Nursery) -> Control:
    points = [Point.AFTER_RESULT_COMMIT, Point.AFTER_SEND]
    done = kill_at(points, cycles=6, seed=SEED, folder=folder, nursery=nursery, weakened="ids_in_memory")
    return Control("ids only in memory", _first(done.complaints()), SEED)


def resend_on_timeout(folder: Path, nursery: Nursery) -> Control:
    report = simulated(folder, nursery, WINDOWS, cases=[reply_lost], weakened="resend_on_timeout")
    return Control("resend on time-out", _first(report.wrong, "unasked"), 0)


def no_fencing(folder: Path, nursery: Nursery) -> Control:
    report = simulated(
        folder, nursery, WINDOWS, cases=[second_executor, two_on_one_journal], weakened="no_fencing"
    )
    return Control("no fencing", _first(report.wrong), 0)


def no_expiry_check(folder: Path, nursery: Nursery) -> Control:
    done = pauses(
        rounds=3, seed=PAUSE_SEED, folder=folder, kinds=("terminal",), nursery=nursery, longest=1.8,
        weakened="no_expiry_check",
    )  # fmt: skip
    return Control("no second look at the expiry", _first(done.verdict.late), PAUSE_SEED)


CONTROLS: dict[str, tuple[Check, ...]] = {
    "kill": (no_journal_before_send, ids_in_memory),
    "ambiguity": (resend_on_timeout, no_fencing),
    "pause": (no_expiry_check,),
}
"""Campaign -> the builds that it has to notice."""


def main() -> int:
    options = argparse.ArgumentParser(prog="kill_controls")
    options.add_argument("--results", type=Path, help="folder of the campaigns' JSON files, to add to them")
    chosen = options.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="medulla-controls-") as name:
        folder = Path(name)
        nursery = Nursery(folder / "nursery")
        try:
            for campaign, checks in CONTROLS.items():
                found = [check(folder / check.__name__, nursery) for check in checks]
                missed += sum(not control.caught_by for control in found)
                print(json.dumps({campaign: [asdict(control) for control in found]}, indent=1), flush=True)
                if chosen.results:
                    add_controls(chosen.results, campaign, found)
        finally:
            nursery.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
