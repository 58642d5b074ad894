"""Labels for figures that change many times a second. A plain label asks for a new layout with every text, up through all panes
of the window; these ask only when a text needs other room than they have. What they say is their owner's business.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

_MUCH_SMALLER = 0.75
"""A text that needs less than this share of the room gives the rest back; until then the label stays as wide as it was."""


class StillLabel(QLabel):
    """One line, of a fixed size: Qt asks for no layout when such a label changes. It grows at once and shrinks seldom."""

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        if text != self.text():
            super().setText(text)
            self._fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._fit(exactly=event.type() == QEvent.Type.FontChange)

    def _fit(self, *, exactly: bool = False) -> None:
        # Not the size hint: a label never hints at less than the minimum that was set here before.
        needed, room = self.fontMetrics().size(0, self.text()), self.minimumSize()
        enough = room.width() * _MUCH_SMALLER <= needed.width() <= room.width()
        if exactly or not enough or needed.height() != room.height():
            self.setFixedSize(needed)


class FootLine(QWidget):
    """The words below a pane, wrapped to its width. The label lies in here without a layout, so what it asks for ends here."""

    def __init__(self) -> None:
        super().__init__()
        self.label = QLabel(self)
        self.label.setObjectName("paneFoot")
        self.label.setTextFormat(Qt.TextFormat.RichText)
        self.label.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        return self.label.text()

    def setText(self, text: str) -> None:  # noqa: N802 - as a label's
        if text != self.label.text():
            self.label.setText(text)
            self._fit()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(0, self.minimumHeight())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().event(event)

    def _fit(self) -> None:
        tall = max(0, self.label.heightForWidth(self.width()))
        if tall != self.minimumHeight():
            self.setFixedHeight(tall)
        self.label.setGeometry(0, 0, self.width(), tall)
