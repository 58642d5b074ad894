"""What the engine told: its log as it is written. Reads the log file and never writes to it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui import formats
from app.gui.formats import Zone
from app.gui.pane import TablePane
from app.gui.rows import Cell, Column, Row
from app.gui.theme import Theme
from app.gui.tones import Tone

_LOOK_MS = 500
_MOST_BYTES = 256 * 1024
_KEPT = 500
_LEVELS = {"error": Tone.DOWN, "critical": Tone.DOWN, "warning": Tone.WARN}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the engine's log."""

    number: int
    at: datetime
    level: str
    event: str
    fields: dict[str, Any]


def read_line(text: str, number: int) -> LogLine | None:
    """None: not a line of the engine's log."""
    try:
        content = json.loads(text)
        at = datetime.fromisoformat(content.pop("at"))
        event, level = str(content.pop("event")), str(content.pop("level", "info"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return LogLine(number, at, level, event, content)


class LogTail(QObject):
    """`told`: the LogLines that are new. Follows the file through rotation; reads at most 256 KiB at a time."""

    told = Signal(object)

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._place = 0
        self._number = 0
        self._rest = b""
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        self._timer.start()
        self.look()

    def close(self) -> None:
        self._timer.stop()

    def look(self) -> None:
        """Read what was added since the last look."""
        try:
            size = self._file.stat().st_size
            if size < self._place:
                self._place, self._rest = 0, b""
            if size == self._place:
                return
            with self._file.open("rb") as log:
                log.seek(max(self._place, size - _MOST_BYTES))
                read = log.read(_MOST_BYTES)
                self._place = log.tell()
        except OSError:
            return  # not there yet, or being rotated: the next look finds it
        *whole, self._rest = (self._rest + read).split(b"\n")
        lines = []
        for raw in whole:
            self._number += 1
            line = read_line(raw.decode("utf-8", "replace"), self._number)
            if line is not None:
                lines.append(line)
        if lines:
            self.told.emit(lines)


class _ToldPane(TablePane):
    """Newest first, the last five hundred."""

    def __init__(
        self,
        name: str,
        title: str,
        columns: tuple[Column, ...],
        theme: Theme,
        empty: tuple[str, str],
        cells: Callable[[LogLine, Zone], tuple[Cell, ...]],
    ) -> None:
        super().__init__(name, title, columns, theme, empty)
        self.zone = Zone.LOCAL
        self._make = cells
        self._kept: deque[LogLine] = deque(maxlen=_KEPT)

    def add(self, lines: list[LogLine]) -> None:
        self._kept.extend(lines)
        self._again()

    def set_zone(self, zone: Zone) -> None:
        self.zone = zone
        self._again()

    def _again(self) -> None:
        self.put([Row(str(line.number), self._make(line, self.zone), line) for line in reversed(self._kept)])


class LogPane(_ToldPane):
    """The engine's log, newest first."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(
            "log",
            "Log",
            (
                Column("When", "2026-11-21 14:03:22"),
                Column("Level", "warning"),
                Column("Event", "brain_disconnected"),
                Column("Details", "field=value field=value"),
            ),
            theme,
            ("The log is empty", "The engine's log file is followed here as it is written."),
            _log_cells,
        )


def _log_cells(line: LogLine, zone: Zone) -> tuple[Cell, ...]:
    details = "  ".join(f"{name}={value}" for name, value in line.fields.items())
    return (
        Cell(formats.day_and_clock(line.at, zone), Tone.DIM),
        Cell(line.level, _LEVELS.get(line.level, Tone.DIM)),
        Cell(line.event),
        Cell(details, Tone.DIM),
    )
