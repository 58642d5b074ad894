"""The model of every table: takes whole lists of rows and tells the view only what changed, and of that only what is in view.
Never resets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.gui.rows import Cell, Column, Row

Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()


class RowModel(QAbstractTableModel):
    """Rows by key, filtered and sorted here, in one place and without a proxy."""

    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.shown: list[Row] = []
        self._all: list[Row] = []
        self._words: tuple[str, ...] = ()
        self._sort: tuple[int, bool] | None = None
        self.in_view: Callable[[], range] | None = None
        """Which rows can be seen; without it all of them are told of. What scrolls into view is read anew anyway."""
        self.on_change: Callable[[str, int, Cell, Cell], None] | None = None
        """Told of each cell in view that is another: the row's key, the column, before, now."""

    # ------------------------------------------------------------ what goes in

    def put(self, rows: Sequence[Row]) -> None:
        """All rows as they are now, in their natural order."""
        self._all = list(rows)
        self._settle()

    def set_filter(self, text: str) -> None:
        self._words = tuple(text.lower().split())
        self._settle()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Qt's own call; a negative column restores the natural order."""
        self._sort = (column, order == Qt.SortOrder.DescendingOrder) if column >= 0 else None
        self._settle()

    @property
    def total(self) -> int:
        """Rows there are, shown or filtered away."""
        return len(self._all)

    def _wanted(self) -> list[Row]:
        rows = [row for row in self._all if row.holds(self._words)] if self._words else list(self._all)
        if self._sort is not None:
            column, down = self._sort
            rows.sort(key=lambda row: row.cell(column).key, reverse=down)
        return rows

    # ------------------------------------------------------------ what comes out

    def _settle(self) -> None:
        wanted = self._wanted()
        if not self._same_order(wanted):
            self._drop({row.key for row in wanted})
            known = {row.key for row in self.shown}
            self._add([row for row in wanted if row.key not in known])
            self._arrange(wanted)
        self._renew(wanted)

    def _same_order(self, wanted: list[Row]) -> bool:
        """Most times: nothing came, went or moved."""
        return len(wanted) == len(self.shown) and all(
            before is now or before.key == now.key for before, now in zip(self.shown, wanted, strict=True)
        )

    def _drop(self, kept: set[str]) -> None:
        place = len(self.shown) - 1
        while place >= 0:
            if self.shown[place].key in kept:
                place -= 1
                continue
            last = place
            while place > 0 and self.shown[place - 1].key not in kept:
                place -= 1
            self.beginRemoveRows(_NOWHERE, place, last)
            del self.shown[place : last + 1]
            self.endRemoveRows()
            place -= 1

    def _add(self, fresh: list[Row]) -> None:
        if fresh:
            start = len(self.shown)
            self.beginInsertRows(_NOWHERE, start, start + len(fresh) - 1)
            self.shown.extend(fresh)
            self.endInsertRows()

    def _arrange(self, wanted: list[Row]) -> None:
        if self._same_order(wanted):
            return
        self.layoutAboutToBeChanged.emit()
        places = {row.key: place for place, row in enumerate(wanted)}
        before = self.persistentIndexList()
        after = [self.index(places[self.shown[item.row()].key], item.column()) for item in before]
        present = {row.key: row for row in self.shown}
        self.shown = [present[row.key] for row in wanted]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _renew(self, wanted: list[Row]) -> None:
        before, self.shown = self.shown, wanted
        seen = range(len(wanted)) if self.in_view is None else self.in_view()
        changed: list[list[int]] = [[] for _ in self.columns]
        for place in seen:
            if place >= len(wanted):
                break
            old, new = before[place], wanted[place]
            if old is not new:
                self._compare(place, old, new, changed)
        for column, places in enumerate(changed):
            self._tell(column, places)

    def _compare(self, place: int, old: Row, new: Row, changed: list[list[int]]) -> None:
        for column in range(len(self.columns)):
            was, now = old.cell(column), new.cell(column)
            if was is not now and was != now:
                changed[column].append(place)
                if self.on_change is not None:
                    self.on_change(new.key, column, was, now)

    def _tell(self, column: int, places: list[int]) -> None:
        """One word a run of rows: the view then paints that column of those rows, and nothing else."""
        start = 0
        for step in range(1, len(places) + 1):
            if step == len(places) or places[step] != places[step - 1] + 1:
                self.dataChanged.emit(self.index(places[start], column), self.index(places[step - 1], column))
                start = step

    # ------------------------------------------------------------ what Qt asks

    def rowCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        return 0 if parent.isValid() else len(self.shown)

    def columnCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """For copying, search by typing and screen readers; the delegate draws from `shown` itself."""
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}:
            return self.shown[index.row()].cell(index.column()).text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            column = self.columns[index.column()]
            return f"{column.title}: {self.shown[index.row()].cell(index.column()).text}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(self.columns[index.column()])
        return None

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Vertical or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.tip or None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
