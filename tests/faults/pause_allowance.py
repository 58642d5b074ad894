"""What the machine itself may add to a command's life, measured effect by effect, so that the judge need not be patient.

Two things: the terminal's processor taken away between its last look at the time and the broker (its wire log knows both
moments), and the error of the executor's estimate of the brain's clock (all processes read one clock: the journal shows it).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from app.adapters.journal_queries import rows
from app.adapters.journal_reader import JournalReader
from app.engine.ports import JournalRow

ROUNDING = 0.005
"""Seconds: stamps in whole milliseconds at four places."""
MOST_DOUBT = 0.1
"""Seconds of error that an estimate may have; more is no estimate."""
PAGE = 500


def held_up(wire_log: Path) -> dict[int, float]:
    """Seconds from the terminal's last look at a command's time to the effect, by the effect's number in the ledger."""
    looked: dict[str, float] = {}
    held: dict[int, float] = {}
    for line in map(json.loads, wire_log.read_text().splitlines()):
        if line["what"] == "asking":
            looked[line["cid"]] = float(line["looked"])
        elif line["what"] == "effect" and line["cid"] in looked:
            held[line["seq"]] = float(line["mono"]) - looked[line["cid"]]
    return held


def journal_rows(journal: Path) -> list[JournalRow]:
    """All of them."""
    found: list[JournalRow] = []
    with JournalReader(journal) as reader:
        while True:
            after = found[-1].seq if found else 0
            page = reader.ask(partial(rows, after=after, limit=PAGE))
            if not page:
                return found
            found += page


def doubts(journal: Iterable[JournalRow], shifts: Iterable[float]) -> dict[str, float]:
    """Seconds by which the brain's clock was taken to be behind when a command's life was reckoned, by command id.

    `shifts`: by how much the executor's wall clock was set wrong at one time or another; one of them explains each reading.
    """
    told = tuple(shifts)
    found: dict[str, float] = defaultdict(float)
    waiting: set[str] = set()
    for row in journal:
        payload = row.payload
        if row.kind == "CommandReceived" and row.command_id is not None:
            waiting.add(row.command_id)
            found[row.command_id] = _behind(payload.get("ahead", 0.0), told)
        elif row.kind == "BrainSessionOpened" and payload.get("clock_offset") is not None:
            # What an earlier run left waiting is reckoned anew by this.
            behind = _behind(payload["clock_offset"], told)
            for command_id in waiting:
                found[command_id] = max(found[command_id], behind)
        elif row.command_id is not None and row.kind != "CommandQueued":
            waiting.discard(row.command_id)
    return dict(found)


def _behind(ahead: float, shifts: tuple[float, ...]) -> float:
    """Brain and executor read the same clock, the executor's one wrong by a shift: -shift would be right."""
    error = min((-shift - ahead for shift in shifts), key=abs, default=0.0)
    return max(0.0, error)


def allowance(
    held: Mapping[int, float], doubted: Mapping[str, float]
) -> Callable[[str, Mapping[str, Any]], float]:
    """For `judge`: seconds that this effect of this command may be late by."""

    def allowed(command_id: str, effect: Mapping[str, Any]) -> float:
        return held.get(effect["seq"], 0.0) + min(MOST_DOUBT, doubted.get(command_id, 0.0))

    return allowed
