"""Every key of the window in one list: what is bound and what F1 shows are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from app.gui.stop_block import STOP_KEYS
from app.gui.theme import number_font


@dataclass(frozen=True, slots=True)
class Key:
    keys: str
    does: str
    act: str = ""
    """Name of the window's act; empty: the table or Qt itself has the key."""


KEYS = (
    Key(STOP_KEYS, "Emergency stop: at once, without a question", "stop"),
    Key("F9", "Pause entries, or resume", "pause_or_resume"),
    Key("F1", "This list", "show_keys"),
    Key("Ctrl+1", "Positions", "pane:positions"),
    Key("Ctrl+2", "Orders", "pane:orders"),
    Key("Ctrl+3", "Commands", "pane:commands"),
    Key("Ctrl+4", "Safety", "pane:safety"),
    Key("Ctrl+5", "Alerts", "pane:alerts"),
    Key("Ctrl+6", "Journal", "pane:journal"),
    Key("Ctrl+7", "Market", "pane:market"),
    Key("Ctrl+8", "Equity", "pane:equity"),
    Key("Ctrl+9", "Latency", "pane:latency"),
    Key("Ctrl+0", "Log", "pane:log"),
    Key("Ctrl+F", "Filter of the table you are in", "filter"),
    Key("Ctrl+T", "Times: local, UTC or the broker's", "toggle_zone"),
    Key("Ctrl+Shift+L", "Default layout", "default_layout"),
    Key("Ctrl+,", "Settings", "settings"),
    Key("Ctrl+Q", "Leave: asks whether to keep trading", "leave"),
    Key("Enter", "Close the chosen position; the whole history of a command"),
    Key("Del", "Close the chosen position, cancel the chosen order"),
    Key("F2", "Change stop loss, take profit or price of what is chosen"),
    Key("Ctrl+C", "Copy the chosen rows (all, if none is chosen)"),
    Key("Ctrl+Shift+C", "Copy the one cell"),
    Key("Tab", "To the next part of the window"),
)


def bind(window: QWidget, acts: Callable[[str], None]) -> list[QShortcut]:
    """Bind every key that has an act; `acts` gets its name."""
    bound = []
    for key in KEYS:
        if key.act:
            shortcut = QShortcut(QKeySequence(key.keys), window)
            shortcut.setContext(Qt.ShortcutContext.ApplicationShortcut)
            shortcut.setAutoRepeat(False)
            shortcut.activated.connect(lambda name=key.act: acts(name))
            bound.append(shortcut)
    return bound


class KeysDialog(QDialog):
    """The list on F1."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keys")
        column = QVBoxLayout(self)
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        for row, key in enumerate(KEYS):
            name = QLabel(key.keys)
            name.setFont(number_font(bold=True))
            grid.addWidget(name, row, 0)
            grid.addWidget(QLabel(key.does), row, 1)
        column.addLayout(grid)
