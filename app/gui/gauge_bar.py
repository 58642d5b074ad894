"""A bar that shows how much of a limit is used, in the tone of its state. What the share means is its owner's business."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.gui.theme import Theme
from app.gui.tones import Tone


class GaugeBar(QWidget):
    """`height` and `least_width` in device-independent pixels; its ends are round."""

    def __init__(self, theme: Theme, *, height: int, least_width: int) -> None:
        super().__init__()
        self._theme = theme
        self._share = 0.0
        self._tone = Tone.UP
        self.setMinimumWidth(least_width)
        self.setFixedHeight(height)
        theme.changed.connect(self.update)

    def show_share(self, share: float, tone: Tone) -> None:
        """`share`: 0 to 1."""
        if (share, tone) != (self._share, self._tone):
            self._share, self._tone = share, tone
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.tones.line))
        radius = self.height() / 2
        painter.drawRoundedRect(QRectF(self.rect()), radius, radius)
        if self._share > 0:
            painter.setBrush(QColor(self._theme.tones.of(self._tone)))
            filled = max(float(self.height()), self.width() * self._share)
            painter.drawRoundedRect(QRectF(0, 0, filled, self.height()), radius, radius)
