"""The table that a trader sees: draws prepared rows, sorts, filters, copies, and says what will stand there while it is empty."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QElapsedTimer,
    QKeyCombination,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app.gui.row_fade import STEP_MS, STEPS, Fades
from app.gui.row_model import RowModel
from app.gui.rows import Cell, Column, Row
from app.gui.theme import Theme, number_font
from app.gui.tones import Tone

_PADDING = 7
_MOST_WIDTHS = 2048
_COPY_CELL = QKeyCombination(
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier, Qt.Key.Key_C
)


class RowDelegate(QStyledItemDelegate):
    """Draws a cell from the row that was prepared for it: no question to the model, no formatting, cached colours."""

    def __init__(self, model: RowModel, theme: Theme, fades: Fades, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._fades = fades
        self._theme = theme
        self._font = number_font()
        self._strong = number_font(bold=True)
        self._metrics = QFontMetrics(self._font)
        self._pens: dict[Tone, QPen] = {}
        self._brushes: dict[str, QBrush] = {}
        self._lit: dict[tuple[str, bool, int], QBrush] = {}
        self._widths: dict[str, int] = {}
        self._line = QPen()
        theme.changed.connect(self._colours)
        self._colours()

    def _colours(self) -> None:
        tones = self._theme.tones
        self._pens = {tone: QPen(QColor(tones.of(tone))) for tone in Tone}
        self._brushes = {
            name: QBrush(QColor(colour))
            for name, colour in (("row", tones.row), ("panel", tones.panel), ("chosen", tones.chosen))
        }
        self._lit = {
            (name, rises, step): QBrush(QColor(tones.lit(ground, rises=rises, share=1 - step / STEPS)))
            for name, ground in (("row", tones.row), ("panel", tones.panel))
            for rises in (True, False)
            for step in range(STEPS)
        }
        self._line = QPen(QColor(tones.line))

    def width_of(self, text: str) -> int:
        """Of the table's own font; kept, since a table shows the same texts again and again."""
        width = self._widths.get(text)
        if width is None:
            if len(self._widths) >= _MOST_WIDTHS:
                self._widths.clear()
            width = self._widths[text] = self._metrics.horizontalAdvance(text)
        return width

    @property
    def row_height(self) -> int:
        return self._metrics.height() + 10

    def sizeHint(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        cell = self._model.shown[index.row()].cell(index.column())
        return QSize(self.width_of(cell.text) + 2 * _PADDING, self.row_height)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        place, section = index.row(), index.column()
        if place >= len(self._model.shown):
            return
        row = self._model.shown[place]
        cell = row.cell(section)
        rect = option.rect
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        name = "chosen" if chosen else ("row" if place % 2 else "panel")
        lit = self._fades.of(row.key, section) if self._fades and not chosen else None
        painter.fillRect(rect, self._brushes[name] if lit is None else self._lit[name, *lit])
        painter.setPen(self._line)
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if cell.line:
            self._draw_line(painter, QRectF(rect).adjusted(_PADDING, 5, -_PADDING, -5), cell)
            return
        inner = rect.adjusted(_PADDING, 0, -_PADDING, 0)
        painter.setFont(self._strong if cell.tone is Tone.STRONG else self._font)
        pen = self._pens[Tone.PLAIN if chosen and cell.tone is Tone.DIM else cell.tone]
        painter.setPen(pen)
        if cell.pill:
            self._draw_pill(painter, QRectF(inner), cell)
            return
        right = self._model.columns[section].right
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        text = cell.text
        if self.width_of(text) > inner.width():
            text = self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(inner, side | Qt.AlignmentFlag.AlignVCenter, text)

    def _draw_pill(self, painter: QPainter, rect: QRectF, cell: Cell) -> None:
        text = cell.text
        if self.width_of(text) > rect.width() - 16:
            text = self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(rect.width()) - 16)
        width = self.width_of(text) + 16
        height = self._metrics.height() + 2
        outline = QRectF(rect.left(), rect.center().y() - height / 2, width, height)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawRoundedRect(outline, height / 2, height / 2)
        painter.restore()
        painter.drawText(outline, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_line(self, painter: QPainter, rect: QRectF, cell: Cell) -> None:
        low, high = min(cell.line), max(cell.line)
        tall = (high - low) or 1.0
        wide = rect.width() / max(1, len(cell.line) - 1)
        points = [
            QPointF(rect.left() + step * wide, rect.bottom() - (value - low) / tall * rect.height())
            for step, value in enumerate(cell.line)
        ]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.tones.accent), 1.2))
        painter.drawPolyline(points)
        painter.restore()


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
        self._delegate = RowDelegate(self.rows, theme, self.fades, self)
        self.setItemDelegate(self._delegate)
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
        vertical.setDefaultSectionSize(self._delegate.row_height)
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
            header.resizeSection(place, width + 2 * _PADDING)

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
