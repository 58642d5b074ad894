"""The quiet line at the bottom: how fast, how many, and what time it is here, in UTC and at the broker."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QStatusBar

from app.api.schemas import SnapshotModel
from app.gui import formats
from app.gui.formats import Zone


class StatusLine:
    """Puts its labels into a window's status bar. `zone`: in whose time the tables are, which is said first."""

    def __init__(self, bar: QStatusBar) -> None:
        bar.setSizeGripEnabled(False)
        self.zone = Zone.LOCAL
        self.figures = QLabel()
        self.clock = QLabel()
        self.clock.setToolTip("Times in the tables are in the first of them. Ctrl+T changes it.")
        bar.addWidget(self.figures, 1)
        bar.addPermanentWidget(self.clock)

    def show_picture(self, picture: SnapshotModel) -> None:
        for label, text in ((self.figures, _figures(picture)), (self.clock, self._clocks(picture))):
            if text != label.text():
                label.setText(text)

    def _clocks(self, picture: SnapshotModel) -> str:
        offset = picture.server_utc_offset
        zones = [Zone.LOCAL, Zone.UTC]
        if offset is not None:
            zones.append(Zone.broker(offset))
        zones.sort(key=lambda zone: zone != self.zone)
        return "  ·  ".join(f"{formats.clock(picture.at, zone)} {zone.name}" for zone in zones)


def _figures(picture: SnapshotModel) -> str:
    total = next((row for row in picture.latencies if row.hop == "total"), None)
    parts = []
    if total is not None:
        parts.append(f"answers p50 {formats.milliseconds(total.p50)} · p99 {formats.milliseconds(total.p99)}")
    counters = picture.counters
    parts += [
        f"queue {picture.queue_depth}",
        f"executed {counters.executed + counters.partial}",
        f"refused or rejected {counters.refused + counters.rejected + counters.turned_away}",
    ]
    if picture.unknown_commands:
        parts.append(f"? unknown {len(picture.unknown_commands)}")
    return "    ".join(parts)
