"""The equity curve with the day's loss line, and the fall below the peak. Bounded, and drawn no oftener than an eye can see."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil, floor, inf, isfinite, nan
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QResizeEvent

from app.api.schemas import EquityModel, EquityPointModel, SnapshotModel
from app.gui import formats
from app.gui.formats import Zone
from app.gui.pane import Empty, Pane
from app.gui.plots import colour_plot, still_plot
from app.gui.theme import Theme

_STEP = 5.0
"""Seconds from point to point; the newest moves on every second."""
_MOST_POINTS = 17_280
"""A day."""
_GAP = 180.0
"""Seconds without a point after which the curve is broken: the journal keeps one a minute."""
_TIME_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200)
_LABEL_ROOM = 70
"""Points that a time of day and the space before the next one take."""
_LEAST_FOR_BOTH = 270
"""Height below which the fall below the peak makes way for the curve."""
_LEAST_SPAN = 600.0
"""Seconds that the charts show at least."""
_FASTEST, _SLOWEST = 2.0, 30.0
"""Seconds from one drawing of the curve to the next."""


class _SpacedAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Numbers as everywhere else in the window."""

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        places = 0 if spacing * scale >= 1 else 2
        return [formats.number(Decimal(str(round(value * scale, 6))), places) for value in values]


class _TimeAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Clock times in the window's zone, as many as there is room for."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self._zone = Zone.LOCAL

    def set_zone(self, zone: Zone) -> None:
        self._zone = zone
        self.picture = None
        self.update()

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802 - pyqtgraph's name
        most = max(1.0, size / _LABEL_ROOM)
        step = next((step for step in _TIME_STEPS if (high - low) / step <= most), _TIME_STEPS[-1])
        offset = self._at(low).utcoffset()
        ahead = 0.0 if offset is None else offset.total_seconds()
        first = ceil((low + ahead) / step) * step - ahead
        return [(step, [first + step * place for place in range(max(0, floor((high - first) / step) + 1))])]

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        return [f"{self._at(value):%H:%M}" for value in values]

    def _at(self, moment: float) -> datetime:
        return formats.in_zone(datetime.fromtimestamp(moment, UTC), self._zone)


class EquityCurve:
    """Equity and fall below the peak over time, in bounds; a gap is a gap and no straight line."""

    def __init__(self) -> None:
        self.times, self.equity, self.drawdown = array("d"), array("d"), array("d")

    def __len__(self) -> int:
        return len(self.times)

    def add(self, at: datetime, equity: float, drawdown: float) -> None:
        """A point, at most one a second; `drawdown` in percent of the peak."""
        moment = at.timestamp()
        if self.times and moment - self.times[-1] < 1.0:
            return
        if self.times and moment - self.times[-1] > _GAP:
            self._append(moment - 1.0, nan, nan)
        if len(self.times) > 1 and moment - self.times[-2] < _STEP and isfinite(self.equity[-1]):
            self.times[-1], self.equity[-1], self.drawdown[-1] = moment, equity, drawdown
        else:
            self._append(moment, equity, drawdown)

    def put_before(self, past: Sequence[EquityPointModel]) -> None:
        """What was before the first point: what the journal kept while no window was open."""
        own = list(zip(self.times, self.equity, self.drawdown, strict=True))
        first = own[0][0] if own else inf
        self.times, self.equity, self.drawdown = array("d"), array("d"), array("d")
        for point in past:
            if point.at.timestamp() < first:
                fall = (point.peak - point.equity) / point.peak * 100 if point.peak > 0 else Decimal(0)
                self.add(point.at, float(point.equity), float(max(Decimal(0), fall)))
        if self.times and own and first - self.times[-1] > _GAP:
            self._append(first - 1.0, nan, nan)
        for row in own:
            self._append(*row)

    @property
    def seconds(self) -> float:
        """From the first point to the last."""
        return self.times[-1] - self.times[0] if self.times else 0.0

    def _append(self, *values: float) -> None:
        for series, value in zip((self.times, self.equity, self.drawdown), values, strict=True):
            series.append(value)
            if len(series) > _MOST_POINTS:
                del series[: _MOST_POINTS // 10]


class EquityPane(Pane):
    """Equity of the last hours, where the day's loss limit lies, and how far below the peak it is. `past_wanted` when the pane
    has an account and has not yet asked what was before.
    """

    past_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__("equity", "Equity")
        self.setMinimumSize(220, 120)
        self._theme = theme
        self.curve = EquityCurve()
        self._login: str | None = None
        self._loss_line: float | None = None
        self._drawn = 0.0
        """The last point that is on the screen."""
        self.time_axes = (_TimeAxis(), _TimeAxis())
        self.plot = still_plot(left=_SpacedAxis("left"), bottom=self.time_axes[0])
        self.below = still_plot(left=_SpacedAxis("left"), bottom=self.time_axes[1])
        self.below.setXLink(self.plot)
        self.below.hideAxis("bottom")
        self.below.setFixedHeight(84)
        self.below.getPlotItem().invertY(True)
        for plot in (self.plot, self.below):
            plot.getAxis("left").setWidth(62)
            plot.getAxis("left").enableAutoSIPrefix(False)
        self._curve = self.plot.plot([], [], connect="finite")
        self._fall = self.below.plot([], [], fillLevel=0, connect="finite")
        self._limit = pg.InfiniteLine(
            angle=0, movable=False, label="daily loss limit", labelOpts={"position": 0.2}
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
            colour_plot(plot, self._theme)
        self.below.setLabel("left", "fall, %", color=tones.dim)
        self._curve.setPen(pg.mkPen(tones.accent, width=2))
        self._fall.setPen(pg.mkPen(tones.warn, width=1))
        faint = QColor(tones.warn)
        faint.setAlpha(60)
        self._fall.setBrush(faint)
        self._limit.setPen(pg.mkPen(tones.down, width=1, style=Qt.PenStyle.DashLine))
        self._limit.label.setColor(QColor(tones.down))

    def set_zone(self, zone: Zone) -> None:
        """In whose time the axis counts."""
        for axis in self.time_axes:
            axis.set_zone(zone)

    def notice(self, picture: SnapshotModel) -> None:
        account = picture.account
        if account is None:
            return
        if account.login != self._login:
            if self._login is not None:
                self.curve = EquityCurve()
                self._drawn = 0.0
            self._login = account.login
            self.past_wanted.emit()
        drawdown = next((float(row.now) for row in picture.limits if row.name == "drawdown"), 0.0)
        self.curve.add(picture.at, float(account.equity), drawdown)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self.below.setVisible(len(self.curve) > 0 and self.height() >= _LEAST_FOR_BOTH)

    def have_past(self, past: EquityModel) -> None:
        """What the engine's journal kept of this account."""
        if past.account == self._login:
            self.curve.put_before(past.samples)
            self._drawn = 0.0

    def draw(self, picture: SnapshotModel) -> None:
        known = len(self.curve) > 0
        self.empty.setVisible(not known)
        for widget in (self.plot, self._foot):
            widget.setVisible(known)
        self.below.setVisible(known and self.height() >= _LEAST_FOR_BOTH)
        if not known or picture.account is None:
            return
        self._foot.setText(_equity_foot(picture))
        newest = self.curve.times[-1]
        # A point that would move the curve by less than a pixel is not worth drawing all of it.
        if newest - self._drawn < min(_SLOWEST, max(_FASTEST, self.curve.seconds / 400)):
            return
        self._drawn = newest
        self._curve.setData(self.curve.times, self.curve.equity)
        self._fall.setData(self.curve.times, self.curve.drawdown)
        self._draw_limit(picture)

    def _draw_limit(self, picture: SnapshotModel) -> None:
        limit = next((row.limit for row in picture.limits if row.name == "daily_loss"), None)
        values = [value for value in self.curve.equity if isfinite(value)]
        low, high = min(values), max(values)
        if limit is None or picture.daily_profit is None or picture.account is None:
            self._limit.hide()
        else:
            level = float(picture.account.equity - picture.daily_profit - limit)
            if level != self._loss_line:
                self._loss_line = level
                self._limit.setValue(level)
            self._limit.show()
            low = min(low, level)
        margin = (high - low) * 0.08 or 1.0
        self.plot.setYRange(low - margin, high + margin, padding=0)
        first, last = self.curve.times[0], self.curve.times[-1]
        self.plot.setXRange(first, max(last, first + _LEAST_SPAN), padding=0.02)
        deepest = max((value for value in self.curve.drawdown if isfinite(value)), default=0.0)
        self.below.setYRange(0, max(1.0, deepest * 1.1), padding=0)


def _equity_foot(picture: SnapshotModel) -> str:
    parts = []
    for limit in picture.limits:
        if limit.name == "drawdown":
            of = "" if limit.limit is None else f" of {formats.plain(limit.limit)} %"
            parts.append(f"drawdown <b>{formats.number(limit.now, 2)} %</b>{of}")
    if picture.account is not None and picture.daily_profit is not None:
        start = picture.account.equity - picture.daily_profit
        parts.append(f"day began at {formats.money(start)}")
    return " &nbsp;&nbsp;·&nbsp;&nbsp; ".join(parts)
