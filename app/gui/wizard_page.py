"""What every page of the first start shares: its place in the row, what it may need of its surroundings, and lines with a sign.
What a page does is in its own file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QSettings, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.api.client import Target
from app.gui.errand import Errand
from app.gui.session import EngineSession
from app.gui.setting_fields import quoted
from app.gui.settings_way import SettingsWay
from app.gui.theme import Theme
from app.gui.tones import Tone
from app.settings import Settings

SIMULATED = ""
"""Stands for the simulated terminal where a data folder is kept."""


@dataclass(frozen=True, slots=True)
class WizardDoors:
    """What the window may not reach by itself; handed in by the command line."""

    find: Callable[[Settings], Target]
    """The engine of these settings. Raises EngineNotRunning."""
    terminal_stop: Callable[[Settings, str, bool | None, float], tuple[bool, str]]
    """A stop frame straight to the terminal of these settings."""
    reload: Callable[[Settings], Settings]
    """The same sources read again. Raises ValueError with a sentence."""
    load: Callable[[Path], Settings]
    """The settings of a configuration file, and nothing of this user's beside it. Raises ValueError."""


@dataclass(slots=True)
class WizardWorld:
    """What the pages share. `settings` are read again whenever a page has changed them."""

    settings: Settings
    program: tuple[str, ...]
    options: tuple[str, ...]
    """Which configuration the commands are given."""
    state_file: Path
    session: EngineSession
    """The real engine's, if one runs."""
    loop: asyncio.AbstractEventLoop
    theme: Theme
    now: Callable[[], datetime]
    doors: WizardDoors
    terminal: str = SIMULATED
    """Data folder of the chosen terminal."""

    @property
    def way(self) -> SettingsWay:
        return SettingsWay(self.session, self.settings)

    @property
    def kept(self) -> QSettings:
        """Where the wizard's own state is remembered."""
        return QSettings(str(self.state_file), QSettings.Format.IniFormat)

    def reload(self) -> str:
        """Why the settings cannot be read; empty: they are read."""
        try:
            self.settings = self.doors.reload(self.settings)
        except ValueError as fault:
            return str(fault)
        return ""

    def errand(
        self, *arguments: str, typed: str = "", listens: bool = False, configured: bool = True
    ) -> Errand:
        """A command of this program. `configured`: it takes --config."""
        given = [*arguments, *(self.options if configured else ())]
        # The application's own: it outlives the page that asked, until the process has ended.
        return Errand(self.program, given, typed=typed, listens=listens, parent=QCoreApplication.instance())


class WizardPage(QWidget):
    """`passed`: on to the next one. `changed`: the buttons below need another look."""

    passed = Signal()
    changed = Signal()

    name = ""
    """For what is remembered."""
    step = ""
    """In the row of steps."""

    def __init__(self, world: WizardWorld, title: str, about: str) -> None:
        super().__init__()
        self.world = world
        self.setObjectName("wizardInside")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(28, 24, 28, 16)
        self.column.setSpacing(12)
        self.title = QLabel(title)
        self.title.setStyleSheet("font-size: 16pt; font-weight: 600")
        self.about = sentence(about)
        self.column.addWidget(self.title)
        self.column.addWidget(self.about)
        self.column.addSpacing(4)

    # ------------------------------------------------------------ asked by the wizard

    @property
    def ready(self) -> bool:
        """Whether Next may be pressed."""
        return True

    @property
    def next_text(self) -> str:
        return "Next"

    @property
    def skip_text(self) -> str:
        """Words on the button that leaves this page undone; empty: it cannot be."""
        return ""

    def enter(self) -> None:
        """It is shown now."""

    def leave(self) -> None:
        """Another page is shown, or the window goes: whatever runs for this page alone is called off."""

    def close_down(self) -> None:
        """The wizard ends: nothing may be left running."""
        self.leave()

    def go_on(self) -> None:
        """Next was pressed."""
        self.passed.emit()


class SignLine(QWidget):
    """A sign, a sentence, and below it what can be done."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._tone = Tone.PLAIN
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        self.sign = QLabel()
        self.sign.setFixedWidth(18)
        self.sign.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter)
        words = QVBoxLayout()
        words.setSpacing(1)
        self.text = sentence("")
        self.more = sentence("")
        self.more.setObjectName("dim")
        words.addWidget(self.text)
        words.addWidget(self.more)
        line.addWidget(self.sign)
        line.addLayout(words, 1)
        theme.changed.connect(self._colour)

    def tell(self, kind: str, text: str, more: str = "") -> None:
        """`good` | `bad` | `warning` | `open` | `busy` | `info`."""
        sign, self._tone = _SIGNS[kind]
        self.sign.setText(sign)
        self.text.setText(quoted(text))
        self.more.setText(quoted(more))
        self.more.setVisible(bool(more))
        self.setAccessibleName(f"{kind}: {text} {more}")
        self._colour()

    def _colour(self) -> None:
        self.sign.setStyleSheet(f"color: {self._theme.tones.of(self._tone)}; font-weight: 700")


_SIGNS = {
    "good": ("✓", Tone.UP),
    "bad": ("✕", Tone.DOWN),
    "warning": ("▲", Tone.WARN),
    "open": ("○", Tone.DIM),
    "busy": ("◷", Tone.PLAIN),
    "info": ("●", Tone.PLAIN),
}


def sentence(text: str) -> QLabel:
    label = QLabel(quoted(text))
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setStyleSheet("font-weight: 600")
    return label
