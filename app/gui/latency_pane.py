"""How long each stage of a command takes: percentiles a hop, and the spread of the latest commands."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.api.schemas import LatencyModel, SnapshotModel
from app.gui import formats
from app.gui.pane import Empty, Pane
from app.gui.plots import colour_plot, still_plot
from app.gui.theme import Theme

_BINS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
_BIN_NAMES = ("½", "1", "2", "5", "10", "20", "50", "100", "200", "500", "1 s", "5 s")
_HOPS = {
    "queue": "Queue",
    "journal": "Journal",
    "broker": "Broker",
    "total": "Total",
}


class _CountAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Whole numbers only."""

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        return [f"{value:.0f}" if float(value).is_integer() else "" for value in values]


class LatencyPane(Pane):
    """How long each stage takes: percentiles of the last thousand commands, and the spread of the latest."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("latency", "Latency")
        self.setMinimumSize(220, 120)
        self._theme = theme
        self._cells: dict[tuple[str, int], QLabel] = {}
        self._drawn: tuple[LatencyModel, ...] = ()
        self.empty = Empty(
            "No command has been executed yet",
            "Then its way through queue, terminal and broker is timed here.",
        )
        self.table = QWidget()
        self._grid = QGridLayout(self.table)
        self._grid.setContentsMargins(12, 8, 12, 4)
        for place, title in enumerate(("", "p50", "p95", "p99", "of")):
            label = QLabel(title)
            label.setObjectName("dim")
            if place == 4:
                label.setToolTip("How many commands the figures are of")
            label.setAlignment(Qt.AlignmentFlag.AlignRight if place else Qt.AlignmentFlag.AlignLeft)
            self._grid.addWidget(label, 0, place)
        self._grid.setColumnStretch(0, 1)
        self._grid.setHorizontalSpacing(8)
        self.plot = still_plot(left=_CountAxis("left"))
        ticks = [(place, text) for place, text in enumerate(_BIN_NAMES)]
        self.plot.getAxis("bottom").setTicks([ticks])
        self.plot.setLabel("bottom", "at most so many milliseconds from arrival to answer")
        self._bars = pg.BarGraphItem(x=list(range(len(_BINS))), height=[0] * len(_BINS), width=0.8)
        self._bars.setZValue(10)
        self.plot.addItem(self._bars)
        self.plot.getAxis("left").setWidth(34)
        self.column.addWidget(self.empty, 1)
        self.column.addWidget(self.table)
        self.column.addWidget(self.plot, 1)
        self.table.hide()
        self.plot.hide()
        theme.changed.connect(self._paint)
        self._paint()

    def _paint(self) -> None:
        colour_plot(self.plot, self._theme)
        self._bars.setOpts(brush=QColor(self._theme.tones.accent), pen=QColor(self._theme.tones.panel))

    def draw(self, picture: SnapshotModel) -> None:
        known = bool(picture.latencies)
        if picture.latencies == self._drawn:
            return
        self._drawn = picture.latencies
        self.empty.setVisible(not known)
        self.table.setVisible(known)
        self.plot.setVisible(known)
        for place, row in enumerate(picture.latencies):
            texts = (
                _HOPS.get(row.hop, row.hop),
                *(formats.milliseconds(value) for value in (row.p50, row.p95, row.p99)),
            )
            for column, text in enumerate((*texts, formats.number(Decimal(row.count)))):
                self._cell(row.hop, place + 1, column).setText(text)
        self._bars.setOpts(height=histogram([command.total_ms for command in picture.commands]))

    def _cell(self, hop: str, row: int, column: int) -> QLabel:
        known = self._cells.get((hop, column))
        if known is None:
            known = QLabel()
            known.setAlignment(Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft)
            self._grid.addWidget(known, row, column)
            self._cells[hop, column] = known
        return known


def histogram(times: list[float | None]) -> list[int]:
    """How many fall into each bin; the last takes what is longer."""
    counts = [0] * len(_BINS)
    for value in times:
        if value is not None:
            counts[next((place for place, limit in enumerate(_BINS) if value <= limit), len(_BINS) - 1)] += 1
    return counts
