"""What the window lets be heard: a stop always, alerts where the person has switched that on. No sound files, no multimedia."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum

from PySide6.QtWidgets import QApplication


class Sound(Enum):
    STOP = "stop"
    CRITICAL = "critical"
    WARNING = "warning"


MakeSound = Callable[[Sound], None]


def beep(sound: Sound) -> None:
    """The system's own sounds; Windows has one for each, others have the bell."""
    if sys.platform == "win32":
        import winsound

        kinds = {
            Sound.STOP: winsound.MB_ICONHAND,
            Sound.CRITICAL: winsound.MB_ICONHAND,
            Sound.WARNING: winsound.MB_ICONEXCLAMATION,
        }
        winsound.MessageBeep(kinds[sound])
    else:
        QApplication.beep()


class Sounds:
    """Decides what is heard; `make` makes it."""

    def __init__(self, make: MakeSound) -> None:
        self._make = make
        self._alerts = False

    def set_alerts(self, wanted: bool) -> None:
        self._alerts = wanted

    def stop(self) -> None:
        """Trading has been stopped."""
        self._make(Sound.STOP)

    def alert(self, severity: str) -> None:
        """`critical`, `warning` or `info`; the last makes no sound."""
        sounds = {"critical": Sound.CRITICAL, "warning": Sound.WARNING}
        if self._alerts and severity in sounds:
            self._make(sounds[severity])
