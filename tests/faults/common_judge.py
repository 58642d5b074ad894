"""The books after a campaign held against each other: the terminal's ledger, what the brain heard, the journal.

The judge never asks the executor what it did. Shared by the campaigns of this folder.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from app.cli.demo_audit import duplicates
from app.engine.outcomes import tag_of
from tests.end_to_end.scripted_brain import ScriptedBrain, outcome

Line = Mapping[str, Any]
_TIMES = ("action", "received_at", "dispatched_at", "answered_at")
ONE_EFFECT = frozenset({"OPEN_POSITION", "PLACE_ORDER", "CANCEL_ORDER"})
"""Success is exactly one line of the ledger, failure none."""


@dataclass
class Verdict:
    """What the books say together. Everything but `tried`, `ends` and `unknown` has to be 0 or empty."""

    tried: int = 0
    accepted: int = 0
    duplicates: int = 0
    """Effects beyond what one command may have, or of no command that was ever asked."""
    without_outcome: int = 0
    """Accepted commands that the brain never heard the end of, or heard two different ends of."""
    contradictions: list[str] = field(default_factory=list)
    """What brain, journal and ledger tell differently of one command."""
    late: list[str] = field(default_factory=list)
    """Executed after the command's expiry."""
    overrun: float = 0.0
    """Seconds after its expiry at which the latest of all effects was written, if any was."""
    ends: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    """Commands that were UNKNOWN at some time."""

    @property
    def clean(self) -> bool:
        return not (self.duplicates or self.without_outcome or self.contradictions or self.late)

    def complaints(self, *more: str, journal_sound: bool) -> list[str]:
        """Everything that is wrong, one sentence each; empty: nothing is. `more`: what the campaign itself found, told first."""
        told = [*more, *self.contradictions, *self.late]
        if self.duplicates:
            told.append(f"{self.duplicates} duplicates")
        if self.without_outcome:
            told.append(f"{self.without_outcome} accepted without one outcome")
        if not journal_sound:
            told.append("the journal's chain does not verify")
        return told

    def add(self, other: Verdict) -> None:
        self.tried += other.tried
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.without_outcome += other.without_outcome
        self.contradictions += other.contradictions
        self.late += other.late
        self.ends += other.ends
        self.unknown += other.unknown
        self.overrun = max(self.overrun, other.overrun)

    def found(self) -> dict[str, Any]:
        """For the report: every number here has to be 0."""
        return {
            "duplicates": self.duplicates,
            "accepted_without_outcome": self.without_outcome,
            "contradictions": len(self.contradictions),
            "executed_after_expiry": len(self.late),
        }

    def counted(self) -> dict[str, Any]:
        """What is no fault: how the commands ended."""
        return {
            "accepted": self.accepted,
            "unknown_for_a_time": self.unknown,
            "latest_effect_after_expiry_seconds": round(self.overrun, 3),
            "ends": dict(self.ends.most_common()),
        }


def judge(
    brain: ScriptedBrain,
    ids: Iterable[str],
    ledger: list[dict[str, Any]],
    journal: Mapping[str, Line],
    *,
    patience: float = 0.25,
    allowed: Callable[[str, Line], float] = lambda _command_id, _effect: 0.0,
) -> Verdict:
    """Call it when all is over. `patience`: seconds that an effect may be younger than its command's expiry.

    The expiry bounds when a command may be sent; between the last look and the ledger's line a busy machine may take a process
    its processor away. The most that was seen is reported (`Verdict.overrun`). `allowed`: what was measured of that for one
    effect, seconds on top of `patience`; who measures needs next to no patience.
    """
    asked = list(ids)
    verdict = Verdict(tried=len(asked))
    effects: dict[str, list[Line]] = {}
    for line in ledger:
        if line["cid"] is not None:
            effects.setdefault(line["cid"], []).append(line)
    verdict.duplicates = duplicates(ledger) + len(effects.keys() - set(asked)) + _same_tag_twice(ledger)
    for command_id in asked:
        _judge_one(brain, command_id, effects.get(command_id, []), journal.get(command_id), verdict)
        _look_at_expiry(
            brain,
            command_id,
            effects.get(command_id, []),
            journal.get(command_id),
            patience,
            allowed,
            verdict,
        )
    return verdict


def _same_tag_twice(ledger: list[dict[str, Any]]) -> int:
    """Positions opened by one command under different ids: the tag in the comment is the command's own."""
    opened = Counter(
        line["comment"][:8]
        for line in ledger
        if line["effect"] == "deal"
        and line.get("entry") == "in"
        and line["cid"] is not None
        and line.get("comment")
    )
    by_id = Counter(
        tag_of(line["cid"])
        for line in ledger
        if line["effect"] == "deal" and line.get("entry") == "in" and line["cid"] is not None
    )
    return sum(max(0, times - max(1, by_id[tag])) for tag, times in opened.items())


def _judge_one(
    brain: ScriptedBrain, command_id: str, effects: list[Line], row: Line | None, verdict: Verdict
) -> None:
    end = brain.final(command_id)
    accepted = any(ack["status"] in ("ACCEPTED", "DUPLICATE") for ack in brain.acks[command_id])
    verdict.accepted += accepted
    told = {result["result"]["outcome"] for result in brain.results[command_id]}
    verdict.unknown += "UNKNOWN" in told
    finals = {
        json.dumps(result["result"], default=str, sort_keys=True)
        for result in brain.results[command_id]
        if result["result"]["outcome"] != "UNKNOWN"
    }
    if end is None:
        # Never acknowledged, never executed, never journalled: the brain still holds it, nothing is lost.
        if accepted or effects or row is not None:
            verdict.without_outcome += 1
        else:
            verdict.ends["never taken in"] += 1
        return
    verdict.ends[outcome(end)] += 1
    if len(finals) > 1:
        verdict.without_outcome += 1
        verdict.contradictions.append(f"{command_id}: {len(finals)} different ends: {sorted(finals)}")
    if row is None:
        verdict.contradictions.append(
            f"{command_id}: the brain was told {outcome(end)}, the journal does not know it"
        )
        return
    if not row["final"]:
        verdict.contradictions.append(
            f"{command_id}: {outcome(end)} at the brain, {row['state']} in the journal"
        )
    if end["type"] == "COMMAND_ACK":
        if effects or row["state"] != "TURNED_AWAY":
            verdict.contradictions.append(
                f"{command_id}: turned away, yet {row['state']} with {len(effects)} effects"
            )
        return
    told_outcome = end["result"]["outcome"]
    if row["outcome"] != told_outcome:
        verdict.contradictions.append(
            f"{command_id}: {told_outcome} at the brain, {row['outcome']} in the journal"
        )
    if told_outcome == "OPERATOR":
        return
    success = bool(end["result"]["success"])
    if (row["action"] in ONE_EFFECT and len(effects) != int(success)) or (effects and not success):
        verdict.contradictions.append(
            f"{command_id}: {row['action']} {outcome(end)} with {len(effects)} effects"
        )
    if row["action"] == "CLOSE_POSITION" and success and not effects:
        verdict.contradictions.append(f"{command_id}: CLOSE_POSITION {outcome(end)} without an effect")


def _look_at_expiry(
    brain: ScriptedBrain,
    command_id: str,
    effects: list[Line],
    row: Line | None,
    patience: float,
    allowed: Callable[[str, Line], float],
    verdict: Verdict,
) -> None:
    frame = brain.frames.get(command_id)
    if frame is None or not effects:
        return
    message = json.loads(json.loads(frame).get("payload", frame))
    until = _seconds(message["timestamp"]) + message["expiry"] / 1000
    for line in effects:
        over = _seconds(line["time"]) - until
        verdict.overrun = max(verdict.overrun, over)
        if over > patience + allowed(command_id, line):
            times = {} if row is None else {name: row[name] for name in _TIMES}
            verdict.late.append(
                f"{command_id}: issued {message['timestamp']} for {message['expiry']} ms, executed {line['time']}, "
                f"{over:.3f} s after its expiry; {times}"
            )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# ------------------------------------------------------------------ while a campaign runs


class SentBeforeJournal:
    """Watches that the terminal never hears of a command that is not DISPATCHED on disk; look while no executor lives."""

    def __init__(self, terminal_memory: Path, journal: Path) -> None:
        """`terminal_memory`: the simulated terminal's INTENTs, one JSON line each."""
        self._memory = terminal_memory
        self._journal = journal
        self._read = 0
        self._seen: set[str] = set()
        self.found: list[str] = []

    def look(self) -> None:
        """What came to the terminal since the last look."""
        if not self._memory.exists():
            return
        with self._memory.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content.rfind(b"\n") + 1
        self._read += whole
        fresh = {
            line["cid"] for line in map(json.loads, content[:whole].splitlines()) if line["what"] == "INTENT"
        }
        self._seen |= fresh
        for command_id in sorted(fresh - self._dispatched(fresh)):
            self.found.append(
                f"{command_id}: at the terminal, and the journal does not know that it was sent"
            )

    def _dispatched(self, ids: Iterable[str]) -> set[str]:
        wanted = list(ids)
        if not wanted or not self._journal.exists():
            return set()
        with closing(sqlite3.connect(self._journal, timeout=10)) as connection:
            marks = ",".join("?" * len(wanted))
            try:
                rows = connection.execute(
                    f"SELECT id FROM commands WHERE dispatched_at IS NOT NULL AND id IN ({marks})", wanted
                ).fetchall()
            except sqlite3.OperationalError:
                return set()
        return {row[0] for row in rows}
