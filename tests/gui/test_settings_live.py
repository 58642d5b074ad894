"""The settings dialog and the engine's end against a real engine: applied is in force, in the file, and in the journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import World, ask_engine
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from app.gui.settings_dialog import SettingsDialog

from .conftest import PATIENCE_MS, MakeTrader, Trader

pytestmark = pytest.mark.processes

BUY = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.40}
KEY = "safety.max_volume_per_order"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The world's own configuration says where everything is."""
    for name in [name for name in os.environ if name.startswith("MEDULLA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return tmp_path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world")
    made.start(safety={"max_volume_per_order": "0.20"})
    yield made
    made.close()


@pytest.fixture
def trader(world: World, make_trader: MakeTrader, qtbot: QtBot) -> Trader:
    made = make_trader(world.config)
    wait(qtbot, lambda: made.window.picture is not None and made.window.picture.ready)
    return made


def wait(qtbot: QtBot, condition: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE_MS)


def opened(trader: Trader, qtbot: QtBot) -> SettingsDialog:
    qtbot.keyClick(trader.window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    dialog = trader.desktop.beside.settings_dialog
    assert dialog is not None
    wait(qtbot, lambda: dialog.complete)
    assert not dialog.isModal()
    return dialog


def type_into(dialog: SettingsDialog, key: str, text: str) -> None:
    row = dialog.rows[key]
    assert row.field is not None
    edit = row.field.editor
    assert isinstance(edit, QLineEdit)
    edit.setText(text)
    row.field.changed.emit()


def rows_of(world: World, kind: str) -> list[Any]:
    code, found = ask_engine(world.folder, "GET", "/journal/rows?limit=1000")
    assert code == 200
    return [row["payload"] for row in found["rows"] if row["kind"] == kind]


def test_a_loosened_limit_needs_a_reason_is_journalled_and_in_force(
    world: World, trader: Trader, qtbot: QtBot
) -> None:
    refused = world.brain.do(BUY, "before")["result"]
    assert not refused["success"]
    code, answer = ask_engine(world.folder, "POST", "/settings/apply", changes={KEY: "0.50"}, confirm=True)
    assert (code, answer["code"]) == (409, "REASON_REQUIRED")
    assert rows_of(world, "LimitChanged") == []

    dialog = opened(trader, qtbot)
    assert dialog.rows[KEY].setting.origin.startswith(str(world.config))
    type_into(dialog, KEY, "0.50")
    dialog.look_over()
    wait(qtbot, lambda: dialog.stack.currentIndex() == 1)
    assert not dialog.review.apply.isEnabled()
    dialog.review.reason.setText("more capital since Monday")
    dialog.review.confirm.setChecked(True)
    with qtbot.waitSignal(dialog.applied, timeout=PATIENCE_MS):
        dialog.review.apply.click()
    assert "1 change in force" in dialog.notice.label.text()
    wait(qtbot, lambda: dialog.complete and dialog.rows[KEY].field.value() == "0.50")

    [row] = rows_of(world, "LimitChanged")
    assert (row["limit"], row["old"], row["new"], row["loosens"], row["by"], row["reason"]) == (
        "max_volume_per_order",
        "0.20",
        "0.50",
        True,
        "desktop",
        "more capital since Monday",
    )
    assert world.brain.do(BUY, "after")["result"]["success"]
    assert "max_volume_per_order: 0.50" in world.config.read_text()
    dialog.close()
    wait(qtbot, lambda: trader.desktop.beside.settings_dialog is None)


def test_what_waits_for_a_restart_is_said_and_a_wrong_value_too(
    world: World, trader: Trader, qtbot: QtBot
) -> None:
    dialog = opened(trader, qtbot)
    type_into(dialog, "queue.capacity", "many")
    wait(qtbot, lambda: dialog.rows["queue.capacity"].is_wrong)
    type_into(dialog, "queue.capacity", "50")
    dialog.rows["safety.stop_closes_positions"].field.check.click()
    wait(qtbot, dialog.review_button.isEnabled)
    dialog.look_over()
    wait(qtbot, lambda: dialog.stack.currentIndex() == 1)
    with qtbot.waitSignal(dialog.applied, timeout=PATIENCE_MS):
        dialog.review.apply.click()
    assert "1 change in force, 1 change from the engine's next start" in dialog.notice.label.text()
    assert "Closes" in trader.window.top.stop_block.words.text()
    wait(qtbot, lambda: dialog.complete and dialog.rows["queue.capacity"].setting.pending)
    [row] = rows_of(world, "SettingChanged")
    assert (row["key"], row["old"], row["new"], row["by"]) == ("queue.capacity", "1000", "50", "desktop")


def test_the_engine_ends_in_good_order_when_the_window_is_left_so(
    world: World, trader: Trader, qtbot: QtBot
) -> None:
    trader.window.close()
    dialog = trader.desktop.leave_dialog
    assert dialog is not None
    qtbot.mouseClick(dialog.buttons["end"], Qt.MouseButton.LeftButton)
    wait(qtbot, trader.desktop.left.is_set)
    assert world.executor.exit_code() == 0
    assert world.executor.said("end_asked")["by"] == "desktop"
    assert trader.ended == 0
