"""Every doubt over real processes: `python -m tests.faults.ambiguity_campaign`, `--real` adds the cases with the true windows.

Runs the cases of ambiguity_cases.py on the simulated terminal and those of ambiguity_ea.py on the compiled Expert Advisor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.mql5_host.host import FRONTS

from .ambiguity_cases import (
    ALONE,
    HEDGING,
    LEFT,
    NETTING,
    Case,
    Report,
    Stand,
    Windows,
    a_fill_beyond_patience,
    late_fills,
)
from .ambiguity_ea import EA_CASES, EA_NETTING, NETTING_ACCOUNT, ea_stand
from .common_results import Result, hand_in
from .kill_world import Nursery

SCALED = Windows(absence=9.0)
"""A twentieth of the engine's 180 s."""


def run(stand: Callable[[], Stand], cases: Iterable[Case]) -> Report:
    """All cases on one stand, one after the other; a case that breaks down is a wrong one, and the rest go on."""
    made = stand()
    try:
        for case in cases:
            try:
                case(made)
            except AssertionError as fault:
                made.report.wrong.append(f"{case.__name__}: {str(fault)[:500]}")
    finally:
        made.close()
    return made.report


def simulated(
    folder: Path,
    nursery: Nursery,
    windows: Windows,
    *,
    cases: Iterable[Case] = HEDGING,
    terminal: tuple[str, ...] = (),
    weakened: str | None = None,
) -> Report:
    return run(lambda: Stand(folder, windows, nursery=nursery, terminal=terminal, weakened=weakened), cases)


def real_windows(stand: Stand) -> None:
    """Nothing shortened: fills after 8, 90 and 170 s are found; what never came is a person's after 180 s."""
    stand.fault("retcode:code=10012,executed=false,times=1,cmd=open,symbol=BTCUSD")
    stand.buy("real-never", "BTCUSD")
    late_fills(stand)
    stand.expect("real windows: 10012 and nothing done", "real-never", LEFT, 0)


def main() -> int:
    options = argparse.ArgumentParser(prog="ambiguity_campaign")
    options.add_argument("--real", action="store_true", help="also with the engine's own 180 s")
    options.add_argument("--no-ea", action="store_true", help="leave the Expert Advisor out")
    options.add_argument("--results", type=Path, help="folder for ambiguity.json")
    chosen = options.parse_args()
    begun = time.monotonic()
    tried: list[str] = []
    wrong: list[str] = []

    def take(report: Report) -> None:
        tried.extend(report.tried)
        wrong.extend(report.wrong)
        print(f"{len(report.tried)} cases: " + ("; ".join(report.wrong) or "all as they must be"), flush=True)

    with tempfile.TemporaryDirectory(prefix="medulla-ambiguity-") as name:
        folder = Path(name)
        nursery = Nursery(folder / "nursery")
        try:
            take(simulated(folder / "hedging", nursery, SCALED, cases=(*HEDGING, a_fill_beyond_patience)))
            for case in ALONE:
                take(simulated(folder / case.__name__, nursery, SCALED, cases=[case]))
            take(
                simulated(
                    folder / "netting", nursery, SCALED, cases=NETTING, terminal=("--account", "netting")
                )
            )
            for front in () if chosen.no_ea else FRONTS:
                make = partial(ea_stand, folder / f"ea-{front}", SCALED, front, nursery=nursery)
                take(run(make, EA_CASES))
                make = partial(
                    ea_stand,
                    folder / f"ea-netting-{front}",
                    SCALED,
                    front,
                    nursery=nursery,
                    more=NETTING_ACCOUNT,
                )
                take(run(make, EA_NETTING))
            if chosen.real:
                take(simulated(folder / "real", nursery, Windows(), cases=[real_windows]))
        finally:
            nursery.close()
    result = Result(
        name="ambiguity",
        tried={"cases": len(tried), "names": sorted(set(tried))},
        found={"wrong": len(wrong), "what": wrong},
        seconds=round(time.monotonic() - begun, 1),
        seed=0,
    )
    hand_in(result, chosen.results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
