"""Paints a table's rows: all cells of a dirty part in one go. A delegate would be called, and handed wrapped objects, for each of
the sixty cells that change in a picture, which costs more than the painting. What a cell says is made elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QPainter, QPen

from app.gui.row_fade import STEPS, Fades
from app.gui.row_model import RowModel
from app.gui.rows import Cell
from app.gui.theme import Theme, number_font
from app.gui.tones import Tone

PADDING = 7
_MOST_WIDTHS = 2048
_NOUGHTS = {ord(digit): "0" for digit in "123456789"}


@dataclass(frozen=True, slots=True)
class Span:
    """Where a column stands in the viewport."""

    column: int
    left: int
    width: int


class RowPainter:
    """Cells from rows that were prepared for it: no question to the model, no formatting, cached colours and widths."""

    def __init__(self, model: RowModel, theme: Theme, fades: Fades) -> None:
        self._model = model
        self._fades = fades
        self._theme = theme
        self._font = number_font()
        self._strong = number_font(bold=True)
        self._metrics = QFontMetrics(self._font)
        self._strong_metrics = QFontMetrics(self._strong)
        # Figures of equal width, where the font has them: then a width is known for every number of as many digits.
        self._even = len({self._metrics.horizontalAdvance(digit) for digit in "0123456789"}) == 1
        self._widths: dict[str, int] = {}
        self._strong_widths: dict[str, int] = {}
        self._pens: dict[Tone, QPen] = {}
        self._grounds: dict[str, QBrush] = {}
        self._lit: dict[tuple[str, bool, int], QBrush] = {}
        self._line = QPen()
        self._spark = QPen()
        theme.changed.connect(self._colours)
        self._colours()

    def _colours(self) -> None:
        tones = self._theme.tones
        self._pens = {tone: QPen(QColor(tones.of(tone))) for tone in Tone}
        self._grounds = {
            name: QBrush(QColor(colour))
            for name, colour in (("row", tones.row), ("panel", tones.panel), ("chosen", tones.chosen))
        }
        self._lit = {
            (name, rises, step): QBrush(QColor(tones.lit(ground, rises=rises, share=1 - step / STEPS)))
            for name, ground in (("row", tones.row), ("panel", tones.panel))
            for rises in (True, False)
            for step in range(STEPS)
        }
        # One pixel of the screen at every scale: at 150 % a line of one point would be one pixel here and two there.
        self._line = QPen(QColor(tones.line), 0)
        self._spark = QPen(QColor(tones.accent), 1.2)

    # ------------------------------------------------------------ measures

    @property
    def row_height(self) -> int:
        return self._metrics.height() + 10

    def width_of(self, text: str, *, strong: bool = False) -> int:
        """Kept, since a table shows the same texts, or numbers of the same length, again and again."""
        widths = self._strong_widths if strong else self._widths
        key = text.translate(_NOUGHTS) if self._even else text
        width = widths.get(key)
        if width is None:
            if len(widths) >= _MOST_WIDTHS:
                widths.clear()
            metrics = self._strong_metrics if strong else self._metrics
            width = widths[key] = metrics.horizontalAdvance(text)
        return width

    # ------------------------------------------------------------ painting

    def paint(
        self,
        painter: QPainter,
        dirty: Iterable[QRect],
        spans: Sequence[Span],
        first_top: int,
        chosen: set[int],
    ) -> None:
        """`dirty`: parts of the viewport; `first_top`: where row 0 begins, scrolled; `chosen`: rows that are selected."""
        tall = self.row_height
        for part in dirty:
            first = max(0, (part.top() - first_top) // tall)
            last = min(len(self._model.shown) - 1, (part.bottom() - first_top) // tall)
            left, right = part.left(), part.right()
            touched = [span for span in spans if span.left <= right and span.left + span.width > left]
            for place in range(first, last + 1):
                self._paint_row(painter, place, first_top + place * tall, touched, place in chosen)

    def _paint_row(
        self, painter: QPainter, place: int, top: int, spans: Sequence[Span], chosen: bool
    ) -> None:
        if not spans:
            return
        row, tall = self._model.shown[place], self.row_height
        name = "chosen" if chosen else ("row" if place % 2 else "panel")
        ground = self._grounds[name]
        left, right = spans[0].left, spans[-1].left + spans[-1].width
        painter.fillRect(left, top, right - left, tall, ground)
        if self._fades and not chosen:
            for span in spans:
                lit = self._fades.of(row.key, span.column)
                if lit is not None:
                    painter.fillRect(span.left, top, span.width, tall, self._lit[name, *lit])
        painter.setPen(self._line)
        painter.drawLine(left, top + tall - 1, right - 1, top + tall - 1)
        for span in spans:
            self._paint_cell(painter, row.cell(span.column), span, top, chosen)

    def _paint_cell(self, painter: QPainter, cell: Cell, span: Span, top: int, chosen: bool) -> None:
        room = span.width - 2 * PADDING
        if cell.line:
            self._draw_line(painter, QRectF(span.left + PADDING, top + 5, room, self.row_height - 10), cell)
            return
        text, tone = cell.text, cell.tone
        if not text or room <= 0:
            return
        painter.setPen(self._pens[Tone.PLAIN if chosen and tone is Tone.DIM else tone])
        if cell.pill:
            painter.setFont(self._font)
            self._draw_pill(painter, QRectF(span.left + PADDING, top, room, self.row_height), text)
            return
        strong = tone is Tone.STRONG
        font: QFont = self._strong if strong else self._font
        metrics = self._strong_metrics if strong else self._metrics
        width = self.width_of(text, strong=strong)
        if width > room:
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)
            width = self.width_of(text, strong=strong)
        left = span.left + PADDING
        if self._model.columns[span.column].right:
            left += room - width
        painter.setFont(font)
        painter.drawText(left, top + (self.row_height - metrics.height()) // 2 + metrics.ascent(), text)

    def _draw_pill(self, painter: QPainter, rect: QRectF, text: str) -> None:
        if self.width_of(text) > rect.width() - 16:
            text = self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(rect.width()) - 16)
        width = self.width_of(text) + 16
        height = self._metrics.height() + 2
        outline = QRectF(rect.left(), rect.center().y() - height / 2, width, height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.drawRoundedRect(outline, height / 2, height / 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.drawText(outline, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_line(self, painter: QPainter, rect: QRectF, cell: Cell) -> None:
        low, high = min(cell.line), max(cell.line)
        tall = (high - low) or 1.0
        wide = rect.width() / max(1, len(cell.line) - 1)
        points = [
            QPointF(rect.left() + step * wide, rect.bottom() - (value - low) / tall * rect.height())
            for step, value in enumerate(cell.line)
        ]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(self._spark)
        painter.drawPolyline(points)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
