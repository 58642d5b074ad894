"""One quiet line below the figures: the answer to what was asked, or how the window stands with the engine."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from app.gui.theme import Theme
from app.gui.tones import Tone

_STAYS_MS = 8000
_KINDS = {
    "good": ("✓", Tone.UP),
    "bad": ("✕", Tone.DOWN),
    "info": ("●", Tone.PLAIN),
    "warning": ("▲", Tone.WARN),
}


class NoticeLine(QWidget):
    """Good news leaves by itself; bad news stays until it is put away."""

    def __init__(self, theme: Theme, act: str = "") -> None:
        super().__init__()
        self.setObjectName("notice")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._tone = Tone.PLAIN
        line = QHBoxLayout(self)
        line.setContentsMargins(14, 5, 8, 5)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton(act)
        self.button.setVisible(bool(act))
        self.away = QToolButton()
        self.away.setObjectName("flat")
        self.away.setText("✕")
        self.away.setAccessibleName("Put the message away")
        self.away.clicked.connect(self.hide)
        line.addWidget(self.label, 1)
        line.addWidget(self.button)
        line.addWidget(self.away)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        theme.changed.connect(self._colour)
        self.hide()

    def say(self, kind: str, text: str, *, stays: bool | None = None) -> None:
        sign, self._tone = _KINDS[kind]
        self.label.setText(f"{sign}  {text}")
        self.setAccessibleName(text)
        self._colour()
        self.show()
        self._timer.stop()
        if not (kind != "good" if stays is None else stays):
            self._timer.start(_STAYS_MS)

    def _colour(self) -> None:
        self.label.setStyleSheet(f"color: {self._theme.tones.of(self._tone)}")
