"""What the engine found worth a person's eye, newest first: what happened, whether it is over, who has seen it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu

from app.api.schemas import AlertModel, SnapshotModel
from app.gui import formats
from app.gui.formats import Zone
from app.gui.pane import TablePane
from app.gui.rows import Cell, Column, Row, RowMaker
from app.gui.theme import Theme
from app.gui.tones import Tone
from app.gui.words import Phrase

_SEVERITIES = {
    "critical": Phrase("■", "critical", Tone.DOWN),
    "warning": Phrase("▲", "warning", Tone.WARN),
    "info": Phrase("●", "info", Tone.PLAIN),
}


class AlertsPane(TablePane):
    """`raised` carries (severity, message) of new ones, `acknowledge_wanted` the id of one or `all`."""

    raised = Signal(str, str)
    acknowledge_wanted = Signal(str)
    test_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(
            "alerts",
            "Alerts",
            _COLUMNS,
            theme,
            ("No alert", "Lost links, tripped limits, stops and unknown outcomes are told here."),
        )
        self.zone = Zone.LOCAL
        self._rows = RowMaker(_COLUMNS, AlertFacts)
        self._picture: SnapshotModel | None = None
        self._noticed: tuple[AlertModel, ...] | None = None
        self._known: set[str] = set()
        self._foot = self.foot()
        self._foot.hide()
        self.acknowledge_tool = self.add_tool(
            "Acknowledge  (Del)", "You have seen it: it does not come again on your phone"
        )
        self.all_tool = self.add_tool("Acknowledge all", "You have seen every one of them")
        self.test_tool = self.add_tool("Test", "Send a message to every target now")
        self.acknowledge_tool.clicked.connect(self._acknowledge)
        self.all_tool.clicked.connect(lambda: self.acknowledge_wanted.emit("all"))
        self.test_tool.clicked.connect(self.test_wanted.emit)
        self.view.delete_pressed.connect(self._acknowledge)

    def set_zone(self, zone: Zone) -> None:
        self.zone = zone
        if self._picture is not None:
            self.draw(self._picture)

    def notice(self, picture: SnapshotModel) -> None:
        alerts = picture.alerts
        if alerts is self._noticed:
            return
        # What stands in the first picture is history and is not announced.
        fresh = [alert for alert in alerts if alert.alert_id not in self._known]
        announced = () if self._noticed is None else reversed(fresh)
        self._noticed = alerts
        self._known = {alert.alert_id for alert in alerts}
        for alert in announced:
            self.raised.emit(alert.severity, alert.message)
        waiting = sum(waits(alert) for alert in alerts)
        self.set_title(
            "Alerts" + (f"  {len(alerts)}" if alerts else "") + (f" ■ {waiting}" if waiting else "")
        )

    def draw(self, picture: SnapshotModel) -> None:
        self._picture = picture
        rows = [self._rows.row(alert.alert_id, alert, self.zone) for alert in picture.alerts]
        self._rows.keep(rows)
        self.put(rows)
        self.all_tool.setEnabled(any(alert.acknowledged_at is None for alert in picture.alerts))
        self.test_tool.setEnabled(bool(picture.alert_targets))
        self._foot.setText(_targets(picture))
        self._foot.show()

    def fill_menu(self, menu: QMenu, rows: list[Row]) -> None:
        menu.addAction("Acknowledge", self._acknowledge).setEnabled(
            any(row.source.acknowledged_at is None for row in rows)
        )
        menu.addSeparator()

    def _acknowledge(self) -> None:
        for row in self.view.chosen():
            if row.source.acknowledged_at is None:
                self.acknowledge_wanted.emit(row.key)


def waits(alert: AlertModel) -> bool:
    """Whether a person still has to look at it."""
    return alert.severity == "critical" and alert.acknowledged_at is None


def _targets(picture: SnapshotModel) -> str:
    """Where alerts go besides this window, and whether they get there."""
    if not picture.alert_targets:
        return "Alerts stay on this machine: no phone, mail or webhook is set (medulla alerts add)."
    lost = [target for target in picture.alert_targets if target.fault is not None]
    if lost:
        return "<br>".join(f"▲ Alerts do not reach {target.name}: {target.fault}" for target in lost)
    return "Also sent to: " + ", ".join(target.name for target in picture.alert_targets)


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What a row is made of."""

    alert: AlertModel
    zone: Zone


def _when(facts: AlertFacts) -> Cell:
    at = facts.alert.at
    return Cell(formats.day_and_clock(at, facts.zone), Tone.DIM, sort=at.timestamp())


def _severity(facts: AlertFacts) -> Cell:
    phrase = _SEVERITIES.get(facts.alert.severity, _SEVERITIES["critical"])
    return Cell(str(phrase), Tone.DIM if facts.alert.acknowledged_at is not None else phrase.tone)


def _standing(facts: AlertFacts) -> Cell:
    alert = facts.alert
    if alert.acknowledged_by is not None:
        return Cell(f"✓ seen: {alert.acknowledged_by}", Tone.DIM)
    over = "" if alert.over_at is None else f"over {formats.clock(alert.over_at, facts.zone)}"
    if waits(alert):
        return Cell("not acknowledged" + (f", {over}" if over else ""), Tone.DOWN)
    return Cell(over, Tone.DIM)


_COLUMNS = (
    Column("When", "2026-11-21 14:03:22", make=_when),
    Column("Severity", "▲ warning..", make=_severity),
    Column("Standing", "not acknowledged, over 14:03:22", make=_standing),
    Column("What", "an alert's message of some length", make=lambda of: Cell(of.alert.message)),
)
