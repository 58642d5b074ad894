"""Counts what really happened at the broker, from the terminal's own ledger, and holds it against what the brain was told.

The judge never asks the executor.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.protocol import strict_json

_ALWAYS_AN_EFFECT = frozenset({"OPEN_POSITION", "PLACE_ORDER", "CLOSE_POSITION", "CANCEL_ORDER"})
"""Executed without a line in the ledger would be a lie. (A close-all may find nothing; a change may change nothing.)"""


@dataclass(frozen=True, slots=True)
class Audit:
    """What ledger and brain say together."""

    effects: int
    """Lines of the ledger that a command caused."""
    duplicates: int
    """Effects beyond what one command may have."""
    lost: int
    """The brain was told EXECUTED, and the ledger shows nothing."""
    unasked: int
    """The ledger shows an effect of a command that the brain was told was not executed, or never asked for."""


def audit(ledger: Path, brain_db: Path) -> Audit:
    lines = read_ledger(ledger)
    told = _told(brain_db)
    effects = [line for line in lines if line.get("cid") is not None]
    acted = {line["cid"] for line in effects}
    executed = {cid: action for cid, (status, action) in told.items() if status == "executed"}
    settled = {cid for cid, (status, _) in told.items() if status in ("failed", "refused")}
    return Audit(
        effects=len(effects),
        duplicates=duplicates(lines),
        lost=sum(1 for cid, action in executed.items() if action in _ALWAYS_AN_EFFECT and cid not in acted),
        unasked=len((acted & settled) | (acted - told.keys())),
    )


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Every whole line. A torn last line (the terminal was killed while it wrote) is not there yet."""
    content = path.read_bytes() if path.exists() else b""
    return [strict_json.loads(line) for line in content.split(b"\n")[:-1] if line]


def duplicates(lines: list[dict[str, Any]]) -> int:
    """A command may open one position or place one order, and may close, change or cancel each thing once."""
    seen = Counter(_key(line) for line in lines if line.get("cid") is not None)
    return sum(times - 1 for times in seen.values())


def _key(line: dict[str, Any]) -> tuple[object, ...]:
    cid = line["cid"]
    if line["effect"] == "deal":
        # What opens is counted by command, what closes by command and position: a close-all closes many.
        return (cid, "in") if line.get("entry") == "in" else (cid, "out", line.get("position"))
    if line["effect"] == "order_placed":
        return (cid, "placed")
    return (cid, line["effect"], line.get("ticket"))


def _told(brain_db: Path) -> dict[str, tuple[str, str]]:
    """Command id -> (what the brain knows of it, what it asked for). Read after the brain has ended."""
    with closing(sqlite3.connect(brain_db)) as connection:
        rows = connection.execute("SELECT id, status, payload FROM commands").fetchall()
    return {command_id: (status, _action(payload)) for command_id, status, payload in rows}


def _action(payload: str) -> str:
    frame = strict_json.loads(payload)
    if frame.get("type") == "SIGNED":
        frame = strict_json.loads(frame["payload"])
    return str(frame["command"]["action"])
