"""What the window remembers from one start to the next: size, layout, the choices of its View menu. A file beside the journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QMainWindow


@dataclass(frozen=True, slots=True)
class Remembered:
    """`layout` None: there is none, or none that can be used."""

    layout: QByteArray | None
    zone: str
    fades: bool
    sounds: bool


class WindowMemory:
    def __init__(self, file: Path) -> None:
        self._file = file

    def _settings(self) -> QSettings:
        return QSettings(str(self._file), QSettings.Format.IniFormat)

    def recall(self, window: QMainWindow) -> Remembered:
        """Gives the window its size back; the rest is for the caller to use."""
        kept = self._settings()
        geometry, layout = kept.value("window/geometry"), kept.value("window/layout")
        window.resize(1440, 900)
        if isinstance(geometry, QByteArray):
            window.restoreGeometry(geometry)
        return Remembered(
            layout=layout if isinstance(layout, QByteArray) else None,
            zone=str(kept.value("window/zone", "local")),
            fades=str(kept.value("window/fades", "true")) == "true",
            sounds=str(kept.value("window/sounds", "false")) == "true",
        )

    def remember(self, window: QMainWindow, *, zone: str, colours: str, fades: bool, sounds: bool) -> None:
        kept = self._settings()
        for name, value in (
            ("geometry", window.saveGeometry()),
            ("layout", window.saveState()),
            ("zone", zone),
            ("colours", colours),
            ("fades", "true" if fades else "false"),
            ("sounds", "true" if sounds else "false"),
        ):
            kept.setValue(f"window/{name}", value)
        kept.sync()
