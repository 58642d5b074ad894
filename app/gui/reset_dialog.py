"""The way out of a stop, in two deliberate steps: look at what is open and type the word, then hold the button. Leads to paused.

Whether a reset is allowed is the engine's to say; this only asks, and shows the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QElapsedTimer, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.api.schemas import ResetChallengeModel
from app.gui.formats import count
from app.gui.session import EngineSession
from app.gui.tones import STOP_RED

HOLD_MS = 1200


class HoldButton(QPushButton):
    """Acts only when it was held down long enough; with the mouse or the space bar."""

    held = Signal()

    def __init__(self, text: str, hold_ms: int = HOLD_MS) -> None:
        super().__init__(text)
        self._hold_ms = hold_ms
        self._since = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setInterval(30)
        self._timer.timeout.connect(self._tick)
        self.pressed.connect(self._begin)
        self.released.connect(self._leave_off)

    def _begin(self) -> None:
        self._since.start()
        self._timer.start()

    def _leave_off(self) -> None:
        self._timer.stop()
        self._since.invalidate()
        self.update()

    def _tick(self) -> None:
        self.update()
        if self._since.isValid() and self._since.elapsed() >= self._hold_ms:
            self._leave_off()
            self.held.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.isAutoRepeat():
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.isAutoRepeat():
            return
        super().keyReleaseEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        super().paintEvent(event)
        if self._since.isValid():
            share = min(1.0, self._since.elapsed() / self._hold_ms)
            painter = QPainter(self)
            painter.fillRect(2, self.height() - 5, int((self.width() - 4) * share), 3, QColor(STOP_RED))


class ResetDialog(QDialog):
    """Open it with `open()`; it asks the engine for the word itself and closes when the reset is done."""

    done_well = Signal()

    def __init__(
        self, session: EngineSession, stop_file: Path, parent: QWidget, hold_ms: int = HOLD_MS
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Reset the emergency stop")
        self.setMinimumWidth(480)
        self._session = session
        self._stop_file = stop_file
        self._word = ""
        self.found = QLabel("Asking the engine what is still open …")
        self.unknown = QVBoxLayout()
        self.word = QLineEdit()
        self.note = QLineEdit()
        self.note.setMaxLength(500)
        self.note.setPlaceholderText("What did you look at? It is kept in the journal.")
        self.said = QLabel()
        self.button = HoldButton("Hold to reset", hold_ms)
        self.leave = QPushButton("Keep the stop")
        self._lay_out()
        self.word.textChanged.connect(self._judge)
        self.button.held.connect(self._reset)
        self.leave.clicked.connect(self.reject)
        self._judge()
        self.ask()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setSpacing(10)
        for label in (self.found, self.said):
            label.setWordWrap(True)
        column.addWidget(self.found)
        column.addLayout(self.unknown)
        form = QFormLayout()
        self.word_label = QLabel("Word")
        self.word_label.setBuddy(self.word)
        form.addRow(self.word_label, self.word)
        form.addRow("Note", self.note)
        column.addLayout(form)
        after = QLabel(
            "After the reset trading is paused: exits pass, entries do not. Resume is a step of its own."
        )
        after.setObjectName("dim")
        after.setWordWrap(True)
        column.addWidget(after)
        column.addWidget(self.said)
        line = QHBoxLayout()
        line.addStretch()
        line.addWidget(self.leave)
        line.addWidget(self.button)
        column.addLayout(line)
        self.leave.setDefault(True)
        self.button.setAutoDefault(False)

    def ask(self) -> None:
        """First step."""
        self._session.ask("Reset", lambda client: client.reset_challenge(), self.challenged, self._refused)

    def challenged(self, asked: ResetChallengeModel) -> None:
        self._word = asked.word
        self.word_label.setText(f"Type the word  {asked.word}")
        while (item := self.unknown.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for command_id in asked.unknown:
            self.unknown.addWidget(_UnknownLine(command_id, partial(self._acknowledge, command_id)))
        told = (
            f"{count(len(asked.unknown), 'command')} with an outcome that nobody knows. Look at the account, "
            "then acknowledge each:"
            if asked.unknown
            else "✓ No command has an unknown outcome."
        )
        if self._stop_file.exists():
            told += f"\nThe stop file {self._stop_file} will be removed."
        self.found.setText(told)
        self.word.setFocus()

    def _acknowledge(self, command_id: str, note: str) -> None:
        self._session.ask(
            "Acknowledge",
            lambda client: client.acknowledge_unknown(command_id, note=note, by="desktop"),
            lambda _done: self.ask(),
            self._refused,
        )

    def _judge(self) -> None:
        right = bool(self._word) and self.word.text().strip().lower() == self._word.lower()
        self.button.setEnabled(right)
        self.button.setToolTip("" if right else "Type the word first.")

    def _reset(self) -> None:
        try:
            # The engine refuses while the stop file is there; its latch holds without it.
            self._stop_file.unlink(missing_ok=True)
        except OSError as fault:
            self._refused(
                f"The stop file {self._stop_file} cannot be removed: {fault.strerror}. The stop stays."
            )
            return
        word, note = self.word.text().strip(), self.note.text().strip()
        self._session.ask(
            "Reset",
            lambda client: client.reset(word=word, note=note, by="desktop"),
            lambda _done: self._finished(),
            self._refused,
        )

    def _finished(self) -> None:
        self.done_well.emit()
        self.accept()

    def _refused(self, why: str) -> None:
        self.said.setText(f"✕ {why}")


class _UnknownLine(QWidget):
    """One command of unknown outcome, and the note with which a person takes it over."""

    def __init__(self, command_id: str, acknowledge: Callable[[str], None]) -> None:
        super().__init__()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        note = QLineEdit()
        note.setMaxLength(500)
        note.setPlaceholderText("What you found at the account")
        button = QPushButton("Acknowledge")
        button.setEnabled(False)
        button.setAutoDefault(False)
        note.textChanged.connect(lambda text: button.setEnabled(bool(text.strip())))
        button.clicked.connect(lambda: acknowledge(note.text().strip()))
        line.addWidget(QLabel(f"? {command_id}"))
        line.addWidget(note, 1)
        line.addWidget(button)
