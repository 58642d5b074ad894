"""Curves: equity with the day's loss line and drawdown, and the latency of each hop. Kept in bounds."""

from __future__ import annotations

from array import array
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.api.schemas import LatencyModel, SnapshotModel
from app.gui import formats
from app.gui.pane import Empty, Pane
from app.gui.theme import Theme

_MOST_POINTS = 28_800
"""Eight hours at one a second."""
_BINS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
_BIN_NAMES = ("½", "1", "2", "5", "10", "20", "50", "100", "200", "500", "1 s", "5 s")
_HOPS = {
    "queue": "Waiting in the queue",
    "journal": "Journal",
    "broker": "Terminal and broker",
    "total": "From brain to answer",
}


class _SpacedAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Numbers as everywhere else in the window."""

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        places = 0 if spacing * scale >= 1 else 2
        return [formats.number(Decimal(str(round(value * scale, 6))), places) for value in values]


class _CountAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Whole numbers only."""

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        return [f"{value:.0f}" if float(value).is_integer() else "" for value in values]


def _plot(**axes: Any) -> Any:
    plot = pg.PlotWidget(axisItems=axes)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.setMouseEnabled(x=False, y=False)
    plot.setFrameShape(pg.PlotWidget.Shape.NoFrame)
    plot.showGrid(x=False, y=True, alpha=0.18)
    return plot


def _colour(plot: Any, theme: Theme) -> None:
    tones = theme.tones
    plot.setBackground(tones.panel)
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(QColor(tones.line))
        axis.setTextPen(QColor(tones.dim))


class EquityPane(Pane):
    """Equity since the window was opened, where the day's loss limit lies, and how far below the peak it is."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("equity", "Equity")
        self.setMinimumSize(220, 120)
        self._theme = theme
        self._times, self._equity, self._drawdown = array("d"), array("d"), array("d")
        self._loss_line: float | None = None
        self._drawn = 0.0
        """The last point that is on the screen; the curve is drawn once a point."""
        self._latest: SnapshotModel | None = None
        self.plot = _plot(left=_SpacedAxis("left"), bottom=pg.DateAxisItem())
        self.below = _plot(left=_SpacedAxis("left"), bottom=pg.DateAxisItem())
        self.below.setXLink(self.plot)
        self.below.hideAxis("bottom")
        self.below.setFixedHeight(84)
        self.below.setTitle("below the peak, %", size="8pt")
        self.below.getPlotItem().invertY(True)
        for plot in (self.plot, self.below):
            plot.getAxis("left").setWidth(62)
        self._curve = self.plot.plot([], [])
        self._fall = self.below.plot([], [], fillLevel=0)
        self._limit = pg.InfiniteLine(
            angle=0, movable=False, label="daily loss limit", labelOpts={"position": 0.8}
        )
        self._limit.hide()
        self.plot.addItem(self._limit)
        self.empty = Empty("No equity yet", "The curve begins when the account is known.")
        self.column.addWidget(self.empty, 1)
        self.column.addWidget(self.plot, 1)
        self.column.addWidget(self.below)
        self._foot = self.foot()
        for widget in (self.plot, self.below, self._foot):
            widget.hide()
        theme.changed.connect(self._paint)
        self._paint()

    def _paint(self) -> None:
        tones = self._theme.tones
        for plot in (self.plot, self.below):
            _colour(plot, self._theme)
        self.below.setTitle("below the peak, %", size="8pt", color=tones.dim)
        self._curve.setPen(pg.mkPen(tones.accent, width=2))
        self._fall.setPen(pg.mkPen(tones.warn, width=1))
        faint = QColor(tones.warn)
        faint.setAlpha(60)
        self._fall.setBrush(faint)
        self._limit.setPen(pg.mkPen(tones.down, width=1, style=Qt.PenStyle.DashLine))
        self._limit.label.setColor(QColor(tones.down))

    def notice(self, picture: SnapshotModel) -> None:
        if picture.account is None:
            return
        drawdown = next((float(row.now) for row in picture.limits if row.name == "drawdown"), 0.0)
        self.add(picture.at, float(picture.account.equity), drawdown)

    def add(self, at: datetime, equity: float, drawdown: float) -> None:
        """A point, at most one a second."""
        moment = at.timestamp()
        if self._times and moment - self._times[-1] < 1.0:
            return
        for series, value in ((self._times, moment), (self._equity, equity), (self._drawdown, drawdown)):
            series.append(value)
            if len(series) > _MOST_POINTS:
                del series[: _MOST_POINTS // 10]

    def draw(self, picture: SnapshotModel) -> None:
        known = bool(self._times)
        self.empty.setVisible(not known)
        for widget in (self.plot, self.below, self._foot):
            widget.setVisible(known)
        if not known or picture.account is None or self._drawn == self._times[-1]:
            return
        self._drawn = self._times[-1]
        self._curve.setData(self._times, self._equity)
        self._fall.setData(self._times, self._drawdown)
        self._draw_limit(picture)
        self._foot.setText(_equity_foot(picture))

    def _draw_limit(self, picture: SnapshotModel) -> None:
        limit = next((row.limit for row in picture.limits if row.name == "daily_loss"), None)
        if limit is None or picture.daily_profit is None or picture.account is None:
            self._limit.hide()
            return
        level = float(picture.account.equity - picture.daily_profit - limit)
        if level != self._loss_line:
            self._loss_line = level
            self._limit.setValue(level)
        self._limit.show()
        low, high = min(*self._equity, level), max(self._equity)
        margin = (high - low) * 0.08 or 1.0
        self.plot.setYRange(low - margin, high + margin, padding=0)


def _equity_foot(picture: SnapshotModel) -> str:
    parts = []
    for limit in picture.limits:
        if limit.name == "drawdown":
            of = "" if limit.limit is None else f" of {formats.plain(limit.limit)} %"
            parts.append(f"drawdown from the peak <b>{formats.number(limit.now, 2)} %</b>{of}")
    if picture.account is not None and picture.daily_profit is not None:
        start = picture.account.equity - picture.daily_profit
        parts.append(f"day began at {formats.money(start)} {picture.account.currency}")
    return " &nbsp;&nbsp;·&nbsp;&nbsp; ".join(parts)


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
        for place, title in enumerate(("", "p50", "p95", "p99", "commands")):
            label = QLabel(title)
            label.setObjectName("dim")
            label.setAlignment(Qt.AlignmentFlag.AlignRight if place else Qt.AlignmentFlag.AlignLeft)
            self._grid.addWidget(label, 0, place)
        self._grid.setColumnStretch(0, 1)
        self.plot = _plot(left=_CountAxis("left"))
        ticks = [(place, text) for place, text in enumerate(_BIN_NAMES)]
        self.plot.getAxis("bottom").setTicks([ticks])
        self.plot.setLabel("bottom", "at most so many milliseconds from arrival to answer")
        self._bars = pg.BarGraphItem(x=list(range(len(_BINS))), height=[0] * len(_BINS), width=0.8)
        self.plot.addItem(self._bars)
        self.column.addWidget(self.empty, 1)
        self.column.addWidget(self.table)
        self.column.addWidget(self.plot, 1)
        self.table.hide()
        self.plot.hide()
        theme.changed.connect(self._paint)
        self._paint()

    def _paint(self) -> None:
        _colour(self.plot, self._theme)
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
