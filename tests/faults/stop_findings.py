"""What the stop campaign counted, press by press, and the sums that report and tests look at. No process is touched here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .common_results import write_whole

Line = dict[str, Any]


def percentile(values: Sequence[float], percent: int) -> float:
    """Nearest rank: the smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[rank - 1]


def spread(seconds: Iterable[float | None]) -> Line:
    """Milliseconds of those that are known: how many, p50, p95, p99, the largest."""
    known = [value for value in seconds if value is not None]
    if not known:
        return {"n": 0}
    return {
        "n": len(known),
        **{f"p{percent}": round(percentile(known, percent) * 1000, 1) for percent in (50, 95, 99)},
        "max": round(max(known) * 1000, 1),
    }


@dataclass(slots=True)
class Press:
    """One stop. Durations in seconds; None: not measured or never happened (then it stands among the failures)."""

    number: int
    scene: str
    way: str
    faults: list[str]
    to_latch: float | None = None
    """From the press to the end of the engine's own latching."""
    to_terminal: float | None = None
    """From the press to the terminal's latch on its disk."""
    to_proof: float | None = None
    """From the press until the presser holds the terminal's acknowledgement."""
    sent_before: int = 0
    """Trades handed to ZeroMQ since the last release, before the latch."""
    sent_after: int = 0
    """Trades handed over after it: must be 0."""
    arrived_after: int = 0
    """Trades that left before the latch and reached the terminal after it."""
    filled_after: int = 0
    """Effects after the terminal's own latch, of trades that it had begun before (late fills)."""
    old_sent: int = 0
    """Trades from before the stop that were handed over after the reset: must be 0."""
    offered: int = 0
    """Commands that the brain sent in this cycle."""
    ends: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Check:
    """One thing that was tried outside the presses: a restart, a damaged store, a limit, the terminal alone."""

    part: str
    name: str
    passed: bool
    detail: str = ""


@dataclass(slots=True)
class Findings:
    """Everything of one run."""

    presses: list[Press] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def check(self, part: str, name: str, passed: bool, detail: object = "") -> bool:
        self.checks.append(Check(part, name, passed, str(detail)[:500]))
        return passed

    def failures(self) -> list[str]:
        """Every broken promise in words; empty: none was broken. Speed is not judged here."""
        found = []
        for press in self.presses:
            place = f"press {press.number} ({press.scene}, {press.way})"
            if press.sent_after:
                found.append(f"{place}: {press.sent_after} trades sent after the latch")
            if press.old_sent:
                found.append(f"{place}: {press.old_sent} old commands sent after the reset")
            found += [f"{place}: {failure}" for failure in press.failures]
        found += [f"{one.part}, {one.name}: {one.detail}" for one in self.checks if not one.passed]
        return found

    def of(self, part: str) -> list[Check]:
        return [one for one in self.checks if one.part == part]

    def ends(self) -> Counter[str]:
        ends: Counter[str] = Counter()
        for press in self.presses:
            ends.update(press.ends)
        return ends

    def keep(self, path: Path) -> None:
        """The raw figures as JSON, at once and whole."""
        content = {
            "presses": [asdict(press) for press in self.presses],
            "checks": [asdict(one) for one in self.checks],
            "figures": self.figures,
        }
        write_whole(path, json.dumps(content, indent=1, default=str) + "\n")


def kept(path: Path) -> Findings:
    """What `keep` has written. Raises OSError, ValueError, KeyError, TypeError."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Findings(
        [Press(**press) for press in content["presses"]],
        [Check(**one) for one in content["checks"]],
        content["figures"],
    )
