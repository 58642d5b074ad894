"""A table's rows as they are shown. A cell is made when somebody looks at it and kept, so that two hundred rows cost what the
twenty in view cost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from app.gui.tones import Tone


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


MakeCell = Callable[[Any], Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `widest`: a text that must fit; numbers stand right."""

    title: str
    widest: str
    right: bool = False
    tip: str = ""
    make: MakeCell | None = None
    """Makes the cell out of a row's facts; None: rows bring their cells ready."""
    fades: bool = False
    """A value that changes is lit for a moment."""


class Row:
    """One row. `source`: what it was made of; actions on it read that."""

    __slots__ = ("_cells", "key", "source")

    def __init__(self, key: str, cells: Sequence[Cell], source: Any) -> None:
        self.key = key
        self.source = source
        self._cells: list[Cell | None] = list(cells)

    def cell(self, place: int) -> Cell:
        """Raises IndexError beyond the last column."""
        return self._cells[place] or Cell("")

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All of them; where only one is looked at, `cell` is cheaper."""
        return tuple(self.cell(place) for place in range(len(self._cells)))

    def holds(self, words: tuple[str, ...]) -> bool:
        """Whether every word stands somewhere in it."""
        text = " ".join(cell.text for cell in self.cells).lower()
        return all(word in text for word in words)


class LazyRow(Row):
    """A row whose cells are made out of its facts by the columns, and its facts when the first cell is asked for."""

    __slots__ = ("_columns", "_facts", "_make_facts", "more")

    def __init__(
        self,
        key: str,
        columns: Sequence[Column],
        make_facts: Callable[..., Any],
        source: Any,
        more: tuple[Hashable, ...],
    ) -> None:
        self.key = key
        self.source = source
        self.more = more
        """What its facts are made of besides the source."""
        self._columns = columns
        self._make_facts = make_facts
        self._cells = []

    def cell(self, place: int) -> Cell:
        if not self._cells:
            self._facts = self._make_facts(self.source, *self.more)
            self._cells = [None] * len(self._columns)
        made = self._cells[place]
        if made is None:
            make = self._columns[place].make
            made = self._cells[place] = Cell("") if make is None else make(self._facts)
        return made

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(self.cell(place) for place in range(len(self._columns)))


class RowMaker:
    """Makes a row anew only when a fact of it is another."""

    def __init__(self, columns: Sequence[Column], facts: Callable[..., Any]) -> None:
        """`facts`: makes out of what a row shows that of which its columns make their cells."""
        self._columns = tuple(columns)
        self._facts = facts
        self._made: dict[str, LazyRow] = {}

    def row(self, key: str, source: Any, *more: Hashable) -> LazyRow:
        """`source` is compared by identity (what is unchanged is the same object), `more` by value."""
        known = self._made.get(key)
        if known is not None and known.source is source and known.more == more:
            return known
        row = self._made[key] = LazyRow(key, self._columns, self._facts, source, more)
        return row

    def keep(self, rows: Sequence[Row]) -> None:
        """Forget what is no longer shown."""
        if len(self._made) > len(rows):
            keys = {row.key for row in rows}
            self._made = {key: made for key, made in self._made.items() if key in keys}
