"""The quiet line at the bottom: how fast, how many, and what time it is here, in UTC and at the broker."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStatusBar

from app.api.schemas import SnapshotModel
from app.gui import formats
from app.gui.formats import Zone

_GAP = "    "


class Parts(QLabel):
    """As many parts as there is room for, the first of them always; the tool tip has all."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def show_parts(self, parts: list[str]) -> None:
        if parts != self._parts:
            self._parts = parts
            self.setToolTip("\n".join(parts))
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        shown = list(self._parts)
        metrics = self.fontMetrics()
        while len(shown) > 1 and metrics.horizontalAdvance(_GAP.join(shown)) > self.width():
            shown.pop()
        if _GAP.join(shown) != self.text():
            self.setText(_GAP.join(shown))


class StatusLine:
    """Puts its labels into a window's status bar. `zone`: in whose time the tables are, which is said first."""

    def __init__(self, bar: QStatusBar) -> None:
        bar.setSizeGripEnabled(False)
        self.zone = Zone.LOCAL
        self.figures = Parts()
        self.clock = QLabel()
        self.clock.setToolTip("Times in the tables are in the first of them. Ctrl+T changes it.")
        bar.addWidget(self.figures, 1)
        bar.addPermanentWidget(self.clock)

    def show_picture(self, picture: SnapshotModel) -> None:
        clocks = self._clocks(picture)
        if clocks != self.clock.text():
            self.clock.setText(clocks)
        self.figures.show_parts(_figures(picture))

    def _clocks(self, picture: SnapshotModel) -> str:
        offset = picture.server_utc_offset
        zones = [Zone.LOCAL, Zone.UTC]
        if offset is not None:
            zones.append(Zone.broker(offset))
        zones.sort(key=lambda zone: zone != self.zone)
        return "  ·  ".join(f"{formats.clock(picture.at, zone)} {zone.name}" for zone in zones)


def _figures(picture: SnapshotModel) -> list[str]:
    """What matters most comes first: on a narrow window the last are left to the tool tip."""
    total = next((row for row in picture.latencies if row.hop == "total"), None)
    parts = [f"? unknown {len(picture.unknown_commands)}"] if picture.unknown_commands else []
    if total is not None:
        parts.append(f"answers p50 {formats.milliseconds(total.p50)} · p99 {formats.milliseconds(total.p99)}")
    counters = picture.counters
    parts += [
        f"queue {picture.queue_depth}",
        f"executed {counters.executed + counters.partial}",
        f"refused or rejected {counters.refused + counters.rejected + counters.turned_away}",
    ]
    return parts
