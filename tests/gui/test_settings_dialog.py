"""The settings dialog on a file: shown, checked while it is typed, looked over, applied; by keyboard and for screen readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from app.gui.screenshots import StillSession
from app.gui.setting_row import SettingRow
from app.gui.settings_dialog import SettingsDialog
from app.gui.settings_way import SettingsWay
from app.gui.theme import DARK_CHOICE, LIGHT_CHOICE, Theme
from app.settings import load_settings
from app.settings.model import known_keys

FILE = """\
# mine
safety:
  max_volume_per_order: 0.50  # lots
  allowed_symbols: [EURUSD, GBPUSD]
  sessions:
    - {days: [mon, tue], start: "08:00", end: "22:00"}
  strategies:
    ma_cross: {max_positions: 2, allowed_symbols: [EURUSD]}
"""


@pytest.fixture
def config(own_folder: Path) -> Path:
    file = own_folder / "config.yaml"
    file.write_text(FILE)
    return file


@pytest.fixture
def dialog(config: Path, theme: Theme, qtbot: QtBot) -> Iterator[SettingsDialog]:
    session = StillSession()
    settings = load_settings(config, {}, {"MEDULLA_LOG__LEVEL": "debug"})
    made = SettingsDialog(SettingsWay(session, settings), theme)
    made.show()
    qtbot.waitUntil(lambda: made.complete, timeout=5000)
    yield made
    if made._here:
        made.throw_away()
        made.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    session.end()


def typed(dialog: SettingsDialog, qtbot: QtBot, key: str, text: str) -> SettingRow:
    """As a person types it: over what stands there."""
    row = dialog.rows[key]
    assert row.field is not None
    edit = row.field.editor
    assert isinstance(edit, QLineEdit)
    edit.setFocus()
    edit.selectAll()
    if text:
        qtbot.keyClicks(edit, text)
    else:
        qtbot.keyClick(edit, Qt.Key.Key_Delete)
    return row


def test_every_setting_is_there_with_a_name_and_a_sentence_for_a_screen_reader(
    dialog: SettingsDialog,
) -> None:
    assert set(dialog.rows) == set(known_keys())
    for row in dialog.rows.values():
        if row.field is not None:
            assert row.field.editor.accessibleName()
            assert row.setting.money in row.field.editor.accessibleDescription()
    order = dialog.rows["safety.max_volume_per_order"]
    assert order.field.value() == "0.50"
    assert not order.is_changed
    assert dialog.rows["log.level"].setting.locked
    assert not dialog.rows["log.level"].field.isEnabled()
    assert dialog.changes() == {}
    assert not dialog.review_button.isEnabled()


def test_secrets_have_no_value_and_are_not_stored_without_an_engine(
    dialog: SettingsDialog, qtbot: QtBot
) -> None:
    row = dialog.rows["brain.api_key"]
    assert row.field is None
    assert row.secret.echoMode() is QLineEdit.EchoMode.Password
    qtbot.keyClicks(row.secret, "canary-0123456789")
    row.store.click()
    assert row.secret.text() == ""
    assert "no engine runs" in dialog.notice.label.text()
    assert "canary" not in dialog.notice.label.text()


def test_sections_and_search_show_what_is_looked_for(dialog: SettingsDialog, qtbot: QtBot) -> None:
    def seen() -> set[str]:
        return {key for key, row in dialog.rows.items() if not row.isHidden()}

    assert {key.split(".")[0] for key in seen()} == {"safety"}
    dialog.sections.setCurrentRow(1)
    assert {key.split(".")[0] for key in seen()} == {"brain"}
    qtbot.keyClick(dialog, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert dialog.search.hasFocus()
    qtbot.keyClicks(dialog.search, "daily loss")
    assert {"safety.max_daily_loss", "safety.max_daily_loss_percent"} <= seen()
    assert "queue.capacity" not in seen()
    qtbot.keyClicks(dialog.search, " zzz")
    assert seen() == set()
    assert not dialog.list.nothing.isHidden()


def test_a_wrong_value_is_said_beside_its_field_and_holds_everything_back(
    dialog: SettingsDialog, qtbot: QtBot, config: Path
) -> None:
    row = typed(dialog, qtbot, "safety.max_volume_per_order", "much")
    qtbot.waitUntil(lambda: row.is_wrong, timeout=5000)
    assert "greater than 0" in row.fault.text()
    assert dialog.said.text() == "✕ 1 value not allowed"
    assert not dialog.review_button.isEnabled()
    row.undo.click()
    assert not row.is_wrong
    assert dialog.changes() == {}
    assert config.read_text() == FILE


def test_faults_between_settings_stand_beside_the_one_that_was_changed(
    dialog: SettingsDialog, qtbot: QtBot
) -> None:
    row = typed(dialog, qtbot, "terminal.command_port", "5556")
    dialog.look_over()
    assert row.is_wrong
    assert "not also terminal.stream_port" in row.fault.text()
    assert dialog.stack.currentIndex() == 0
    assert not row.isHidden()


def test_a_tighter_limit_is_looked_over_and_written(
    dialog: SettingsDialog, qtbot: QtBot, config: Path
) -> None:
    typed(dialog, qtbot, "safety.max_volume_per_order", "0,20")
    dialog.review_button.click()
    assert dialog.stack.currentWidget() is dialog.review
    assert dialog.review.headline.text() == "1 change to apply"
    assert dialog.review.box.isHidden()
    with qtbot.waitSignal(dialog.applied, timeout=5000):
        dialog.review.apply.click()
    assert "max_volume_per_order: 0.20  # lots" in config.read_text()
    qtbot.waitUntil(lambda: dialog.complete, timeout=5000)
    assert dialog.changes() == {}
    assert dialog.rows["safety.max_volume_per_order"].field.value() == "0.20"


def test_a_looser_limit_is_marked_and_needs_reason_and_confirmation(
    dialog: SettingsDialog, qtbot: QtBot, config: Path
) -> None:
    typed(dialog, qtbot, "safety.max_volume_per_order", "5")
    typed(dialog, qtbot, "safety.max_positions", "3")
    dialog.look_over()
    review = dialog.review
    assert review.headline.text() == "2 changes to apply, 1 of them lets more through than before"
    assert "Max volume per order" in review.warning.text()
    assert not review.apply.isEnabled()
    qtbot.keyClicks(review.reason, "   ")
    review.confirm.setChecked(True)
    assert not review.apply.isEnabled()
    qtbot.keyClicks(review.reason, "more capital")
    assert review.apply.isEnabled()
    review.confirm.setChecked(False)
    assert not review.apply.isEnabled()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.stack.currentIndex() == 0
    assert config.read_text() == FILE
    dialog.look_over()
    assert review.reason.text() == ""
    qtbot.keyClicks(review.reason, "more capital")
    review.confirm.setChecked(True)
    qtbot.keyClick(review.reason, Qt.Key.Key_Return)
    assert load_settings(config, {}, {}).safety.max_positions == 3


def test_lists_sessions_and_strategies_are_written_as_lines(
    dialog: SettingsDialog, qtbot: QtBot, config: Path
) -> None:
    sessions = dialog.rows["safety.sessions"].field
    strategies = dialog.rows["safety.strategies"].field
    assert sessions.edit.toPlainText() == "mon tue 08:00-22:00"
    assert strategies.edit.toPlainText().startswith("ma_cross: ")
    assert not dialog.rows["safety.strategies"].is_changed
    sessions.edit.setPlainText("mon 09:00-17:30\ntue 10:00-12:00")
    strategies.edit.setPlainText("ma_cross: max_positions=1, allowed_symbols=EURUSD")
    typed(dialog, qtbot, "safety.allowed_symbols", "EURUSD")
    dialog.look_over()
    assert dialog.stack.currentIndex() == 1, [
        row.fault.text() for row in dialog.rows.values() if row.is_wrong
    ]
    dialog.review.apply.click()
    safety = load_settings(config, {}, {}).safety
    assert [(sorted(each.days), f"{each.start:%H:%M}") for each in safety.sessions] == [
        ([0], "09:00"),
        ([1], "10:00"),
    ]
    assert safety.allowed_symbols == {"EURUSD"}
    assert [each.max_positions for each in safety.strategies] == [1]


@pytest.mark.parametrize("line", ["mon 8-9", "08:00-09:00", "mon", "nonsense here now"])
def test_a_session_that_is_none_is_refused_by_the_settings(
    dialog: SettingsDialog, qtbot: QtBot, line: str
) -> None:
    row = dialog.rows["safety.sessions"]
    row.field.edit.setPlainText(line)
    dialog.look_over()
    assert row.is_wrong
    assert "broker time" in row.fault.text()


def test_an_emptied_field_takes_the_key_out_of_the_file(
    dialog: SettingsDialog, qtbot: QtBot, config: Path
) -> None:
    typed(dialog, qtbot, "safety.max_volume_per_order", "")
    dialog.look_over()
    assert "Looser" in dialog.review.warning.text()
    dialog.review.reason.setText("by hand from now on")
    dialog.review.confirm.setChecked(True)
    dialog.review.apply.click()
    assert "max_volume_per_order" not in config.read_text()
    assert "# mine" in config.read_text()


def test_closing_does_not_throw_away_at_the_first_attempt(dialog: SettingsDialog, qtbot: QtBot) -> None:
    typed(dialog, qtbot, "safety.max_positions", "3")
    dialog.close()
    assert dialog.isVisible()
    assert "1 change not applied" in dialog.notice.label.text()
    typed(dialog, qtbot, "safety.max_positions", "4")
    dialog.close()
    assert dialog.isVisible()
    dialog.close()
    assert not dialog.isVisible()


def test_a_file_that_cannot_be_read_is_said(dialog: SettingsDialog, config: Path) -> None:
    config.write_text("safety: [\n")
    dialog.reload()
    assert "cannot be shown" in dialog.notice.label.text()


@pytest.mark.parametrize("colours", [LIGHT_CHOICE, DARK_CHOICE])
def test_every_field_can_be_reached_by_the_tab_key(
    dialog: SettingsDialog, theme: Theme, qtbot: QtBot, colours: str
) -> None:
    theme.choose(colours)
    dialog.search.setFocus()
    reached = set()
    for _ in range(300):
        qtbot.keyClick(dialog.focusWidget(), Qt.Key.Key_Tab)
        focused = dialog.focusWidget()
        reached |= {key for key, row in dialog.rows.items() if row.field and row.field.editor is focused}
        if focused is dialog.search:
            break
    assert reached == {key for key, row in dialog.rows.items() if key.startswith("safety.")}
