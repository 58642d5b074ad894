"""The program's sign, drawn: a ring for the pulse, and in it the shape of the trading state. Sharp at every size."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

_GROUND, _PULSE = "#16202c", "#63aeff"
_COLOURS = {"ACTIVE": "#3ecb95", "REDUCING": "#f2b84b", "HALTED": "#ff5a50"}


def state_icon(state: str = "") -> QIcon:
    """`ACTIVE` a disc, `REDUCING` two bars, `HALTED` a square; anything else the pulse alone."""
    icon = QIcon()
    for size in (16, 20, 24, 32, 48, 64, 128, 256):
        icon.addPixmap(_draw(size, state))
    return icon


def _draw(size: int, state: str) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / 64, size / 64)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(_GROUND))
    painter.drawRoundedRect(QRectF(2, 2, 60, 60), 14, 14)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(
        QPen(QColor(_PULSE), 5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    )
    painter.drawPolyline(
        QPolygonF([QPointF(x, y) for x, y in ((9, 34), (20, 34), (27, 15), (36, 50), (43, 34), (55, 34))])
    )
    colour = _COLOURS.get(state)
    if colour is not None:
        painter.setPen(QPen(QColor(_GROUND), 3))
        painter.setBrush(QColor(colour))
        if state == "ACTIVE":
            painter.drawEllipse(QRectF(36, 36, 24, 24))
        elif state == "REDUCING":
            painter.drawRect(QRectF(38, 37, 9, 23))
            painter.drawRect(QRectF(50, 37, 9, 23))
        else:
            painter.drawRect(QRectF(37, 37, 23, 23))
    painter.end()
    return pixmap
