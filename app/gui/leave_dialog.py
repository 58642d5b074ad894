"""What is asked when the window is closed: keep trading, or stop the engine, and what that means for open positions."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtWidgets import QDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from app.api.schemas import SnapshotModel
from app.gui.formats import count


class LeaveDialog(QDialog):
    """`hidden`: into the tray; `left`: the window ends, the engine trades on; `ended`: the engine ends as well."""

    hidden = Signal()
    left = Signal()
    ended = Signal()

    def __init__(self, picture: SnapshotModel | None, *, tray: bool, engine: bool, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Leave Medulla")
        self.setMinimumWidth(460)
        column = QVBoxLayout(self)
        column.setSpacing(8)
        number = len(picture.positions) if picture is not None else 0
        held = "No position is open." if not number else f"{count(number, 'position')} open."
        if not engine:
            held = "No engine is connected: nothing is traded by Medulla now."
        sentence = QLabel(f"{held} Closing the window never closes a position.")
        sentence.setWordWrap(True)
        column.addWidget(sentence)
        self.buttons: dict[str, QPushButton] = {}
        if tray:
            self._offer(
                column,
                "tray",
                "Keep trading, window into the tray",
                self.hidden,
                "The stop stays in the tray.",
            )
        self._offer(
            column,
            "leave",
            "Keep trading, close the window" if engine else "Close the window",
            self.left,
            "The engine runs on by itself; medulla opens the window again." if engine else "",
        )
        if engine:
            kept = "Open positions stay open at the broker with their stop losses; nobody manages them then."
            self._offer(
                column,
                "end",
                "Stop the engine and leave",
                self.ended,
                f"No command is taken any more. {kept}",
            )
        stay = QPushButton("Stay")
        stay.setDefault(True)
        stay.clicked.connect(self.reject)
        column.addWidget(stay)
        self.resize(self.minimumWidth(), column.totalHeightForWidth(self.minimumWidth()))

    def _offer(self, column: QVBoxLayout, name: str, text: str, chosen: SignalInstance, means: str) -> None:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.setAccessibleDescription(means)
        button.clicked.connect(self.accept)
        button.clicked.connect(chosen)
        column.addWidget(button)
        if means:
            label = QLabel(means)
            label.setObjectName("dim")
            label.setWordWrap(True)
            label.setContentsMargins(4, 0, 4, 6)
            column.addWidget(label)
        self.buttons[name] = button
