"""A table's rows as they are shown: text, tone and sort key made once when the facts change, so that painting only draws."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from app.gui.tones import Tone


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `widest`: a text that must fit; numbers stand right."""

    title: str
    widest: str
    right: bool = False
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    tone: Tone = Tone.PLAIN
    sort: float | str | None = None
    """What sorting goes by; None: the text."""
    pill: bool = False
    """Drawn with an outline."""
    line: tuple[float, ...] = ()
    """A sparkline in place of the text."""

    @property
    def key(self) -> tuple[int, float, str]:
        if isinstance(self.sort, float | int):
            return (0, float(self.sort), "")
        return (1, 0.0, (self.sort or self.text).lower())


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    cells: tuple[Cell, ...]
    source: Any
    """What the row was made of; actions on it read that."""

    def holds(self, words: tuple[str, ...]) -> bool:
        """Whether every word stands somewhere in it."""
        text = " ".join(cell.text for cell in self.cells).lower()
        return all(word in text for word in words)


class RowMaker:
    """Makes a row anew only when what it shows has changed."""

    def __init__(self, make: Callable[..., tuple[Cell, ...]]) -> None:
        self._make = make
        self._made: dict[str, tuple[tuple[Hashable, ...], Row]] = {}

    def row(self, key: str, source: Any, *shown: Hashable) -> Row:
        """`shown`: everything that the cells are made of."""
        known = self._made.get(key)
        if known is not None and known[0] == shown:
            return known[1]
        row = Row(key, self._make(*shown), source)
        self._made[key] = (shown, row)
        return row

    def keep(self, keys: set[str]) -> None:
        """Forget what is no longer shown."""
        for key in [key for key in self._made if key not in keys]:
            del self._made[key]
