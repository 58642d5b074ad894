"""All settings one below the other, by section, made a few at a time: the window that holds the stop never waits for them."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from app.api.settings_schemas import SettingModel, SettingsModel
from app.gui.setting_row import SettingRow
from app.gui.theme import Theme

_ROWS_A_TURN = 5
SECTIONS = {
    "safety": ("Safety", "What may be lost before trading is refused or stops."),
    "brain": ("Brain", "Who decides what is traded, and how it proves itself."),
    "terminal": ("Terminal", "How MetaTrader 5 is reached."),
    "stop": ("Emergency stop", "How everything is stopped."),
    "watchdogs": ("Watchdogs", "What is watched without being asked."),
    "alerts": ("Alerts", "What is sent to you, and how often."),
    "journal": ("Journal", "Where everything is written down."),
    "queue": ("Queue", "How many commands may wait."),
    "api": ("Local API", "How this window and scripts reach the engine."),
    "log": ("Log", "What is written for later."),
    "": ("Data folder", "Where everything lies."),
}
"""In the order of their weight for the money. A section that is not named here comes behind, under its own name."""


def section_title(name: str) -> str:
    return SECTIONS.get(name, (name.replace("_", " ").capitalize(), ""))[0]


class SettingsList(QScrollArea):
    """`completed` when every setting has its row."""

    edited = Signal()
    secret_given = Signal(str, str)
    completed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("settings")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._theme = theme
        self.rows: dict[str, SettingRow] = {}
        self._headings: dict[str, QWidget] = {}
        self._columns: dict[str, QVBoxLayout] = {}
        self._coming: list[SettingModel] = []
        self._text = ""
        self._section: str | None = None
        self.nothing = QLabel()
        self._turns = QTimer(self)
        self._turns.setSingleShot(True)
        self._turns.setInterval(0)
        self._turns.timeout.connect(self._make_some)

    @property
    def complete(self) -> bool:
        """Whether every setting has its row."""
        return bool(self.rows) and not self._coming

    def section_names(self, found: SettingsModel) -> list[str]:
        """In the order in which they are shown."""
        present = {setting.section for setting in found.settings}
        return [name for name in SECTIONS if name in present] + sorted(present - SECTIONS.keys())

    def show_settings(self, found: SettingsModel, first: str) -> None:
        """Anew; the section that is seen is made first."""
        inside = QWidget()
        inside.setObjectName("settingsInside")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.rows.clear()
        self._headings.clear()
        self._columns.clear()
        for name in self.section_names(found):
            self._headings[name] = _heading(section_title(name), SECTIONS.get(name, ("", ""))[1])
            self._columns[name] = QVBoxLayout()
            self._columns[name].setSpacing(0)
            column.addWidget(self._headings[name])
            column.addLayout(self._columns[name])
        self.nothing = QLabel("No setting has these words.")
        self.nothing.setObjectName("dim")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(self.nothing)
        column.addStretch()
        self.setWidget(inside)
        self._section = first
        self._coming = sorted(found.settings, key=lambda setting: setting.section != first)
        self._make_some()

    def _make_some(self) -> None:
        for setting in self._coming[:_ROWS_A_TURN]:
            row = SettingRow(setting, self._theme)
            row.setVisible(False)
            row.edited.connect(self.edited)
            row.secret_given.connect(self.secret_given)
            self.rows[setting.key] = row
            self._columns[setting.section].addWidget(row)
        del self._coming[:_ROWS_A_TURN]
        self._show_what_is_looked_for()
        if self._coming:
            self._turns.start()
        else:
            self.completed.emit()

    def look_for(self, text: str, section: str | None) -> None:
        """Rows with these words, wherever they are; without words, those of the section."""
        self._text, self._section = text.strip(), section
        self._show_what_is_looked_for()
        self.verticalScrollBar().setValue(0)

    def _show_what_is_looked_for(self) -> None:
        shown = set()
        for row in self.rows.values():
            seen = row.matches(self._text) if self._text else row.setting.section == self._section
            row.setVisible(seen)
            if seen:
                shown.add(row.setting.section)
        for name, heading in self._headings.items():
            heading.setVisible(name in shown)
        self.nothing.setVisible(not shown)


def _heading(title: str, about: str) -> QWidget:
    whole = QWidget()
    column = QVBoxLayout(whole)
    column.setContentsMargins(16, 14, 16, 6)
    column.setSpacing(2)
    name = QLabel(title)
    name.setStyleSheet("font-size: 13pt; font-weight: 600")
    column.addWidget(name)
    if about:
        words = QLabel(about)
        words.setObjectName("dim")
        column.addWidget(words)
    return whole
