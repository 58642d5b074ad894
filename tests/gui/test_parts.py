"""Parts that stand by themselves: the log that is followed, the one window for a folder, the question at leaving."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api.schemas import SnapshotModel
from app.gui import canned
from app.gui.alerts_pane import AlertsPane
from app.gui.latency_pane import histogram
from app.gui.leave_dialog import LeaveDialog
from app.gui.log_panes import LogLine, LogTail
from app.gui.screenshots import StillWindow, render
from app.gui.single_instance import SingleInstance
from app.gui.theme import Theme
from app.gui.trade_dialogs import read_number


def line(event: str, **fields: object) -> str:
    return json.dumps({"event": event, "at": "2026-11-20T12:00:00.000Z", "level": "info", **fields}) + "\n"


def test_the_log_is_followed_through_half_lines_and_rotation(tmp_path: Path, qapp: QApplication) -> None:
    file = tmp_path / "engine.log"
    told: list[LogLine] = []
    tail = LogTail(file)
    tail.told.connect(told.extend)
    tail.look()
    whole, half = line("started"), line("ready")
    file.write_text(whole + half[:10], encoding="utf-8")
    tail.look()
    assert [entry.event for entry in told] == ["started"]
    with file.open("a", encoding="utf-8") as log:
        log.write(half[10:] + "not a line of ours\n")
    tail.look()
    assert [entry.event for entry in told] == ["started", "ready"]
    file.write_text(line("new"), encoding="utf-8")
    tail.look()
    assert [entry.event for entry in told] == ["started", "ready", "new"]
    assert len({entry.number for entry in told}) == 3


def test_old_alerts_are_listed_and_only_new_ones_announced(qtbot: QtBot, theme: Theme) -> None:
    pane = AlertsPane(theme)
    qtbot.addWidget(pane)
    announced: list[tuple[str, str]] = []
    pane.raised.connect(lambda severity, message: announced.append((severity, message)))
    old = canned.alert(9, "warning", "BRAIN_SILENT", "yesterday", over_at=canned.AT)
    new = canned.alert(1, "critical", "TERMINAL_LOST", "the terminal is lost")
    pane.show()
    pane.take(pictured((old,)))
    pane.take(pictured((new, old)))
    assert announced == [("critical", "the terminal is lost")]
    assert [row.cells[1].text for row in pane.view.rows.shown] == ["■ critical", "▲ warning"]
    assert pane.view.rows.shown[0].cells[2].text == "not acknowledged"
    assert pane.view.rows.shown[1].cells[2].text.startswith("over ")
    assert pane.title == "Alerts  2 ■ 1"


def pictured(alerts: tuple[dict[str, object], ...], **fields: object) -> SnapshotModel:
    return SnapshotModel.model_validate({**canned.connected().model_dump(), "alerts": alerts, **fields})


def test_an_alert_is_acknowledged_and_the_targets_are_tested(qtbot: QtBot, theme: Theme) -> None:
    pane = AlertsPane(theme)
    qtbot.addWidget(pane)
    asked: list[str] = []
    pane.acknowledge_wanted.connect(asked.append)
    pane.test_wanted.connect(lambda: asked.append("test"))
    lost = canned.alert(1, "critical", "TERMINAL_LOST", "the terminal is lost")
    pane.show()
    pane.take(pictured((lost,)))
    pane.view.choose_key("a-99")
    pane.acknowledge_tool.click()
    pane.all_tool.click()
    pane.test_tool.click()
    assert asked == ["a-99", "all", "test"]
    seen = {**lost, "acknowledged_at": canned.AT, "acknowledged_by": "ann"}
    failing = ({"name": "1 json", "sent": 0, "dropped": 0, "fault": "no answer"},)
    pane.take(pictured((seen,), alert_targets=failing))
    assert pane.view.rows.shown[0].cells[2].text == "✓ seen: ann"
    assert (pane.title, pane.all_tool.isEnabled()) == ("Alerts  1", False)
    assert "do not reach 1 json: no answer" in pane._foot.text()
    pane.take(pictured((), alert_targets=()))
    assert not pane.test_tool.isEnabled()
    assert "stay on this machine" in pane._foot.text()


def test_a_second_start_raises_the_first(tmp_path: Path, qtbot: QtBot) -> None:
    first, second, other = (
        SingleInstance(tmp_path),
        SingleInstance(tmp_path),
        SingleInstance(tmp_path / "other"),
    )
    assert first.is_first()
    with qtbot.waitSignal(first.raised, timeout=5000):
        assert not second.is_first()
    assert other.is_first()
    first.close()
    assert second.is_first()
    for one in (second, other):
        one.close()


@pytest.mark.parametrize(("tray", "engine", "offered"), [
    (True, True, {"tray", "leave", "end"}),
    (False, True, {"leave", "end"}),
    (False, False, {"leave"}),
])  # fmt: skip
def test_leaving_offers_what_is_possible(
    still: StillWindow, tray: bool, engine: bool, offered: set[str]
) -> None:
    dialog = LeaveDialog(canned.connected(), tray=tray, engine=engine, parent=still.window)
    assert set(dialog.buttons) == offered
    dialog.close()


@pytest.mark.parametrize(
    ("text", "number"),
    [("0,5", "0.5"), ("1 000.25", "1000.25"), ("−2", "-2"), ("", None), ("nan", None), ("a lot", None)],
)
def test_numbers_as_people_type_them(text: str, number: str | None) -> None:
    read = read_number(text)
    assert (None if read is None else str(read)) == number


def test_the_histogram_counts_every_time_once() -> None:
    counts = histogram([0.2, 0.5, 0.6, 99.0, 9999.0, None])
    assert sum(counts) == 5
    assert (counts[0], counts[1], counts[7], counts[-1]) == (2, 1, 1, 1)


def test_pictures_of_every_state_are_written(tmp_path: Path, qapp: QApplication) -> None:
    written = render(tmp_path / "shots", qapp, scale=1.5)
    names = {file.stem for file in written}
    for look in ("light", "dark"):
        for state in (
            "connected",
            "degraded",
            "halted",
            "limit-tripped",
            "first-start",
            "empty",
            "200-positions",
        ):
            assert f"{state}-{look}-150" in names
    assert all(file.stat().st_size > 10_000 for file in written)
