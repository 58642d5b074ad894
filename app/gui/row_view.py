"""The table that a trader sees: draws prepared rows, sorts, filters, copies, and says what will stand there while it is empty."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QElapsedTimer,
    QKeyCombination,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QGuiApplication, QKeyEvent, QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app.gui.row_fade import STEP_MS, Fades
from app.gui.row_model import RowModel
from app.gui.row_painter import PADDING, RowPainter, Span
from app.gui.rows import Cell, Column, Row
from app.gui.theme import Theme, number_font
from app.gui.tones import Tone

_COPY_CELL = QKeyCombination(
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier, Qt.Key.Key_C
)


class RowSizes(QStyledItemDelegate):
    """How much room a cell would like, for fitting a column to its content; painting is the view's own."""

    def __init__(self, model: RowModel, paint: RowPainter, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._paint = paint

    def sizeHint(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        cell = self._model.shown[index.row()].cell(index.column())
        width = self._paint.width_of(cell.text, strong=cell.tone is Tone.STRONG)
        return QSize(width + (16 if cell.pill else 0) + 2 * PADDING, self._paint.row_height)


class RowView(QTableView):
    """A table over a RowModel. `activated_row` on Enter or double click, `delete_pressed` on Del, `change_pressed` on F2;
    `menu_wanted` with the chosen rows.
    """

    activated_row = Signal(object)
    delete_pressed = Signal()
    change_pressed = Signal()
    menu_wanted = Signal(object, object)

    def __init__(self, columns: Sequence[Column], theme: Theme, name: str) -> None:
        super().__init__()
        self.rows = RowModel(columns, self)
        self.setModel(self.rows)
        self._since = QElapsedTimer()
        self._since.start()
        self.fades = Fades(self._since.elapsed)
        self._turns = QTimer(self)
        self._turns.setInterval(STEP_MS // 2)
        self._turns.timeout.connect(self._fade)
        self._fading = any(column.fades for column in columns)
        self.rows.in_view = self._seen
        if self._fading:
            self.rows.on_change = self._changed
        self._paint = RowPainter(self.rows, theme, self.fades)
        self.setItemDelegate(RowSizes(self.rows, self._paint, self))
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setTabKeyNavigation(False)
        self.customContextMenuRequested.connect(
            lambda where: self.menu_wanted.emit(self.chosen(), self.viewport().mapToGlobal(where))
        )
        self.activated.connect(self._activate)
        self._shape(columns)
        theme.changed.connect(self.viewport().update)

    def _shape(self, columns: Sequence[Column]) -> None:
        vertical, header = self.verticalHeader(), self.horizontalHeader()
        vertical.hide()
        vertical.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        vertical.setDefaultSectionSize(self._paint.row_height)
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(36)
        header.setStretchLastSection(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSectionsClickable(True)
        header.sortIndicatorChanged.connect(self.rows.sort)
        metrics = QFontMetrics(number_font())
        for place, column in enumerate(columns):
            width = max(metrics.horizontalAdvance(column.widest), metrics.horizontalAdvance(column.title) + 4)
            header.resizeSection(place, width + 2 * PADDING)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """All rows in the dirty part, and nothing else of a table view: it has no grid, no editors and no focus frame."""
        header = self.horizontalHeader()
        spans = [
            Span(column, header.sectionViewportPosition(column), header.sectionSize(column))
            for column in range(header.count())
            if not header.isSectionHidden(column)
        ]
        spans.sort(key=lambda span: span.left)
        chosen: set[int] = set()
        if self.selectionModel().hasSelection():
            chosen = {index.row() for index in self.selectionModel().selectedRows()}
        painter = QPainter(self.viewport())
        self._paint.paint(painter, event.region(), spans, -self.verticalHeader().offset(), chosen)  # type: ignore[arg-type]  # a region is iterable, its stub does not say so
        painter.end()

    def set_fading(self, wanted: bool) -> None:
        """Whether a value that changes is lit for a moment."""
        self._fading = wanted and any(column.fades for column in self.rows.columns)
        self.rows.on_change = self._changed if self._fading else None
        self.fades.clear()
        self.viewport().update()

    def _seen(self) -> range:
        """The rows in view, the halves at both ends too."""
        if not self.isVisible() or not self.rows.shown:
            return range(0)
        last = self.rowAt(self.viewport().height() - 1)
        return range(max(0, self.rowAt(0)), (len(self.rows.shown) if last < 0 else last + 1))

    def _changed(self, key: str, column: int, before: Cell, after: Cell) -> None:
        if self.rows.columns[column].fades:
            self.fades.light(key, column, before, after)
            if not self._turns.isActive():
                self._turns.start()

    def _fade(self) -> None:
        """Paint again what has faded by a step, and of that only what is in view."""
        different = self.fades.turn()
        if not self.fades:
            self._turns.stop()
        if not different:
            return
        seen = {self.rows.shown[place].key: place for place in self._seen() if place < len(self.rows.shown)}
        columns: dict[int, list[int]] = {}
        for key, column in different:
            if key in seen:
                columns.setdefault(column, []).append(seen[key])
        for column, places in columns.items():
            top = self.visualRect(self.rows.index(min(places), column))
            self.viewport().update(top.united(self.visualRect(self.rows.index(max(places), column))))

    def chosen(self) -> list[Row]:
        """The selected rows, from the top."""
        places = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self.rows.shown[place] for place in places]

    def choose_key(self, key: str) -> None:
        """Select the row of that key, if it is shown."""
        for place, row in enumerate(self.rows.shown):
            if row.key == key:
                self.selectRow(place)
                return

    def copy(self) -> None:
        """Selected rows to the clipboard, tabs between cells; without a selection all of them."""
        rows = self.chosen() or self.rows.shown
        lines = ["\t".join(column.title for column in self.rows.columns)]
        lines += ["\t".join(cell.text for cell in row.cells) for row in rows]
        QGuiApplication.clipboard().setText("\n".join(lines))

    def copy_cell(self) -> None:
        """The one cell that the keyboard or the mouse was on last."""
        index = self.currentIndex()
        if index.isValid():
            QGuiApplication.clipboard().setText(self.rows.shown[index.row()].cell(index.column()).text)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        if event.keyCombination() == _COPY_CELL:
            self.copy_cell()
            return
        keys = {Qt.Key.Key_Delete: self.delete_pressed, Qt.Key.Key_F2: self.change_pressed}
        pressed = keys.get(Qt.Key(event.key()))
        if pressed is not None:
            pressed.emit()
            return
        super().keyPressEvent(event)

    def _activate(self, index: QModelIndex) -> None:
        self.activated_row.emit(self.rows.shown[index.row()])
