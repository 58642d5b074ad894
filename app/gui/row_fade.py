"""The short fade of a value that has changed: which cells are lit, how far on they are, and which must be painted again.

It knows places and times, not Qt's painting; without anything lit it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.gui.rows import Cell

STEPS = 3
STEP_MS = 250
"""Three steps: enough for an eye to see it fade, few enough to paint."""
_MOST = 2000


@dataclass(slots=True)
class _Lit:
    since: int
    rises: bool
    step: int = 0


class Fades:
    """Cells by (row key, column)."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._lit: dict[tuple[str, int], _Lit] = {}

    def __bool__(self) -> bool:
        return bool(self._lit)

    def light(self, key: str, column: int, before: Cell, after: Cell) -> None:
        """From its first step again, if it is a number that moved; a first value is no change."""
        old, new = before.sort, after.sort
        if not isinstance(old, float | int) or not isinstance(new, float | int) or old == new:
            return
        if len(self._lit) < _MOST:
            self._lit[key, column] = _Lit(self._now_ms(), new > old)

    def of(self, key: str, column: int) -> tuple[bool, int] | None:
        """(rises, step from 0); None: it is not lit."""
        lit = self._lit.get((key, column))
        return None if lit is None else (lit.rises, lit.step)

    def turn(self) -> list[tuple[str, int]]:
        """Go on with the time; returns the cells that look different now."""
        now, different = self._now_ms(), []
        for place, lit in list(self._lit.items()):
            step = (now - lit.since) // STEP_MS
            if step == lit.step:
                continue
            different.append(place)
            if step >= STEPS:
                del self._lit[place]
            else:
                lit.step = step
        return different

    def clear(self) -> None:
        self._lit.clear()
