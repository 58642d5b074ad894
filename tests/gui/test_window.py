"""The window in its states: what stands where, in words; and the stop, which nothing may take away."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.gui import canned, keys
from app.gui.formats import Zone
from app.gui.screenshots import StillWindow, settle
from app.gui.session import EngineState


def figures(still: StillWindow) -> dict[str, str]:
    top = still.window.top
    return {
        part.title.text(): f"{part.value.text()} | {part.line.text()}"
        for part in (top.trading, top.equity, top.margin, top.today)
    }


def test_a_quiet_day_at_one_glance(still: StillWindow) -> None:
    still.show(canned.connected())
    assert figures(still) == {
        "Trading": "● ACTIVE | epoch 7",
        "Equity": "10\u00a0482.17 | balance 10\u00a0391.40 USD",
        "Free margin": "9\u00a0702.85 | level 1\u00a0345 %",
        "Today": "▲ +182.17 | limit −300.00 · used 0 %",
    }
    chips = still.window.top.chips
    assert [chips[name].text for name in chips] == [
        "connected · 41 ms",
        "EA 1.0 · 0.6 ms",
        "Broker-Demo",
        "writing · 0.3 ms",
    ]
    assert still.window.windowTitle().startswith(
        "Medulla · exec_001 · Broker-Demo 5001234 (DEMO, hedging, USD)"
    )
    assert not still.window.banner.isVisible()
    assert not still.window.engine_line.isVisible()


def test_positions_show_gain_in_points_and_money_with_signs(still: StillWindow) -> None:
    still.show(canned.connected())
    shown = {
        row.cells[0].text: [cell.text for cell in row.cells] for row in still.window.positions.view.rows.shown
    }
    assert shown["EURUSD"][1:11] == [
        "▲ Buy", "0.50", "1.08412", "1.08547", "1.08210", "1.08900", "−0.42", "+135", "+67.50", "1 h 12 m",
    ]  # fmt: skip
    assert shown["US500"][1:10] == [
        "▼ Sell",
        "1.00",
        "5\u00a0214.3",
        "5\u00a0217.4",
        "none",
        "5\u00a0180.0",
        "0.00",
        "−31",
        "−3.10",
    ]
    assert still.window.positions.title == "Positions  5"


def test_every_refusal_says_which_rule_and_its_number(still: StillWindow) -> None:
    still.show(canned.connected())
    outcomes = {row.key: row.cells[4].text for row in still.window.commands.view.rows.shown}
    assert outcomes["cmd-9f1e"] == "✕ refused · volume 5.00 is above max_volume_per_order 1.00"
    assert outcomes["cmd-9f17"] == "✕ rejected · market closed (10018)"
    assert outcomes["cmd-9f1b"] == "? unknown · asking the terminal"


def test_commands_are_filtered_by_outcome(still: StillWindow) -> None:
    still.show(canned.connected())
    still.window.commands.choice.setCurrentText("unknown")
    assert [row.key for row in still.window.commands.view.rows.shown] == ["cmd-9f1b"]


def test_a_stop_is_told_line_by_line_with_what_is_left(still: StillWindow) -> None:
    still.show(canned.halted())
    story = still.window.banner.story
    assert story is not None
    assert story.headline.startswith("■ STOPPED")
    assert story.headline.endswith("by you")
    assert story.lines == (
        "✓ latched",
        "✓ terminal acknowledged",
        "✓ latch on disk",
        "✓ 37 waiting commands dropped",
        "▲ pending orders left: 1",
        "○ 5 positions still open, their stop losses stand",
    )
    banner = still.window.banner
    assert banner.isVisible()
    assert banner.close_button.isVisible()
    assert banner.reset_button.isVisible()
    assert figures(still)["Trading"] == "■ HALTED | epoch 7"
    assert not still.window.top.act.isVisible()


def test_after_the_reset_the_banner_goes_and_resume_is_offered(still: StillWindow) -> None:
    still.show(canned.halted())
    still.show(canned.paused())
    assert not still.window.banner.isVisible()
    assert still.window.top.act.text().startswith("Resume")
    assert figures(still)["Trading"].startswith("❚❚ PAUSED")


def test_a_tripped_limit_is_explained_with_its_remedy(still: StillWindow) -> None:
    still.show(canned.limit_tripped())
    settle()
    said = " ".join(label.text() for label in still.window.safety.findChildren(QLabel) if label.isVisible())
    assert "■ 312.40 / 300.00" in said
    assert "Entries are refused until you re-enable it" in said
    assert still.window.safety.title == "Safety  ■ 1"
    with_button = [
        button
        for button in still.window.safety.findChildren(QWidget)
        if button.accessibleName() == "Re-enable Daily loss"
    ]
    assert with_button[0].isVisible()


def test_what_impairs_trading_is_said(still: StillWindow) -> None:
    still.show(canned.degraded())
    assert str(still.window.top.chips["brain"].phrase) == "▲ connecting …"
    assert figures(still)["Trading"] == "● ACTIVE | ▲ no trade is possible"
    assert (
        still.window.top.chips["broker"].phrase.text
        == "missing: Algo Trading is switched off in the terminal"
    )


def test_a_first_start_says_what_is_missing_and_teaches(still: StillWindow) -> None:
    still.show(canned.first_start())
    chips = still.window.top.chips
    assert str(chips["brain"].phrase) == "○ none set up"
    assert figures(still)["Equity"] == "– | no account yet"
    assert still.window.positions.empty.heading.text() == "No position is open"
    assert "medulla demo" in still.window.positions.empty.words.text()
    assert "medulla pair" in still.window.commands.empty.words.text()


def test_a_filter_that_hides_everything_says_so(still: StillWindow) -> None:
    still.show(canned.connected())
    still.window.positions.filter.setText("nothing like it")
    assert still.window.positions.empty.heading.text() == "Nothing matches the filter"
    assert still.window.positions.empty.isVisible()


def test_a_lost_engine_is_said_and_its_figures_are_not_shown_as_true(still: StillWindow) -> None:
    still.show(canned.connected())
    still.session.stand(EngineState.LOST, "the engine is gone")
    assert figures(still)["Trading"] == "■ NO ENGINE | nothing is known now"
    assert figures(still)["Equity"] == "10\u00a0482.17 | as last known"
    assert str(still.window.top.chips["brain"].phrase) == "? unknown"
    assert still.window.engine_line.isVisible()
    assert still.window.engine_line.button.isVisible()
    still.show(canned.connected())
    assert figures(still)["Trading"].startswith("● ACTIVE")
    assert not still.window.engine_line.isVisible()


STATES = (canned.connected, canned.halted, canned.limit_tripped, canned.first_start, canned.degraded)


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720), (1024, 576)], ids=str)
@pytest.mark.parametrize("make", STATES, ids=lambda make: make.__name__)
def test_the_stop_is_whole_and_on_top_in_every_state(
    still: StillWindow, make: object, size: tuple[int, int]
) -> None:
    still.window.resize(*size)
    still.show(make())  # type: ignore[operator]
    settle()
    window, button = still.window, still.window.top.stop_block.button
    assert window.size().toTuple() == size
    place = button.mapTo(window, QPoint(0, 0))
    assert window.rect().contains(button.rect().translated(place))
    block = still.window.top.stop_block
    assert block.rect().contains(button.geometry())
    for corner in (
        button.rect().center(),
        button.rect().topLeft() + QPoint(3, 3),
        button.rect().bottomRight() - QPoint(3, 3),
    ):
        assert window.childAt(place + corner) is button
    assert QFontMetrics(button.font()).horizontalAdvance("EMERGENCY") < button.width() - 8
    assert button.isEnabled()


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720), (1024, 576)], ids=str)
def test_no_figure_is_cut(still: StillWindow, size: tuple[int, int]) -> None:
    still.window.resize(*size)
    still.show(canned.connected())
    settle()
    top = still.window.top
    for figure in (top.trading, top.equity, top.margin, top.today):
        for label in (figure.value, figure.line):
            if label.isVisible():
                assert label.width() >= label.sizeHint().width(), label.text()
    for line in top.stop_block.words, top.act:
        assert line.width() >= line.sizeHint().width()


def test_the_stop_cannot_be_switched_off(still: StillWindow) -> None:
    button = still.window.top.stop_block.button
    button.setEnabled(False)
    button.setDisabled(True)
    assert button.isEnabled()


def test_the_stop_says_beforehand_what_it_will_do(still: StillWindow) -> None:
    still.show(canned.connected())
    block = still.window.top.stop_block
    assert "Cancels 2 orders" in block.words.text()
    assert "<b>Keeps 5 positions</b>" in block.words.text()
    assert block.button.accessibleName() == "Emergency stop"
    assert block.button.accessibleDescription().startswith("Cancels 2 orders. Keeps 5 positions")


def test_a_press_without_any_engine_says_what_is_not_proved(still: StillWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(still.stop.reported, timeout=20_000):
        qtbot.mousePress(still.window.top.stop_block.button, Qt.MouseButton.LeftButton)
    story = still.window.banner.story
    assert story is not None
    assert story.headline.startswith("▲ STOP ASKED FOR")
    assert any(line.startswith("✓ stop file written") for line in story.lines)
    assert any("terminal did not acknowledge" in line for line in story.lines)
    assert any("Algo Trading" in item for item in story.todo)


def test_f1_lists_every_key_that_is_bound(still: StillWindow, qtbot: QtBot) -> None:
    qtbot.keyClick(still.window, Qt.Key.Key_F1)
    dialog = still.window.findChild(keys.KeysDialog)
    assert dialog is not None
    said = " ".join(label.text() for label in dialog.findChildren(QLabel))
    for key in keys.KEYS:
        assert key.keys in said
        assert key.does in said
    dialog.close()


def test_two_hundred_positions_change_without_a_reset(still: StillWindow, qtbot: QtBot) -> None:
    picture = canned.many_positions()
    still.show(picture)
    model = still.window.positions.view.rows
    assert model.rowCount() == 200
    resets: list[int] = []
    model.modelReset.connect(lambda: resets.append(1))
    profit = model.shown[0].cells[9].text
    still.window.positions.view.choose_key("10001250")
    for step in range(1, 20):
        still.window.take(canned.moved(picture, step))
        settle()
    last = canned.moved(picture, 19)
    qtbot.waitUntil(lambda: model.shown[0].source == last.positions[0], timeout=5000)
    assert last.positions[0].profit != picture.positions[0].profit
    assert model.shown[0].cells[9].text != profit
    assert [row.key for row in still.window.positions.view.chosen()] == ["10001250"]
    assert resets == []


def test_pictures_that_come_fast_are_folded_into_frames(still: StillWindow, qtbot: QtBot) -> None:
    picture = canned.connected()
    still.show(picture)
    told: list[int] = []
    pane = still.window.positions
    draw = pane.draw
    pane.draw = lambda now: (told.append(1), draw(now))  # type: ignore[method-assign]
    for step in range(1, 100):
        still.window.take(canned.moved(picture, step))
    last = canned.moved(picture, 99)
    model = still.window.positions.view.rows
    qtbot.waitUntil(lambda: model.shown[0].source == last.positions[0], timeout=5000)
    assert 1 <= len(told) <= 5


def test_the_layout_is_remembered_and_the_default_comes_back(still: StillWindow, qtbot: QtBot) -> None:
    window = still.window
    docks = window.panes_docked.docks
    docks["alerts"].close()
    docks["market"].setFloating(True)
    window.remember()
    again = StillWindow(window._options.state_file.parent, window._theme)
    again.window.show()
    settle()
    assert again.window.panes_docked.docks["market"].isFloating()
    assert not again.window.panes_docked.docks["alerts"].isVisible()
    again.window.default_layout()
    settle()
    assert not again.window.panes_docked.docks["market"].isFloating()
    assert again.window.panes_docked.docks["alerts"] in again.window.tabifiedDockWidgets(
        again.window.panes_docked.docks["commands"]
    )
    again.close()


def test_times_turn_from_local_to_utc_to_the_brokers(still: StillWindow) -> None:
    picture = canned.connected().model_copy(update={"server_utc_offset": 7200})
    still.show(picture)
    window = still.window
    assert "local" in window.status_line.clock.text().split("·")[0]
    window.toggle_zone()
    assert window.status_line.clock.text().startswith("12:03:22 UTC")
    assert window.commands.view.rows.shown[0].cells[0].text == "12:03:21.918"
    window.toggle_zone()
    assert window.status_line.clock.text().startswith("14:03:22 broker")
    assert window.commands.view.rows.shown[0].cells[0].text == "14:03:21.918"
    window.toggle_zone()
    assert window.zone == Zone.LOCAL


def test_the_brokers_time_is_taken_when_it_is_known(still: StillWindow) -> None:
    still.show(canned.connected().model_copy(update={"server_utc_offset": None}))
    still.window.toggle_zone()
    still.window.toggle_zone()
    assert still.window.zone == Zone.LOCAL
    assert "not known yet" in still.window.notices.label.text()
    still.show(canned.connected().model_copy(update={"server_utc_offset": -3600}))
    assert still.window.zone == Zone.broker(-3600)


def test_tab_goes_from_the_table_to_the_stop_and_round_and_nothing_is_left_out(
    still: StillWindow, qtbot: QtBot
) -> None:
    still.show(canned.connected())
    window = still.window
    window.activateWindow()
    window.positions.view.setFocus()
    seen: list[QWidget] = []
    for _ in range(200):
        qtbot.keyClick(window.focusWidget() or window, Qt.Key.Key_Tab)
        at = window.focusWidget()
        if at is None or at in seen:
            break
        seen.append(at)
    assert window.top.stop_block.button in seen
    assert window.top.act in seen
    assert window.positions.filter in seen
    assert window.commands.view in seen
    # Within a pane: the filter before its table.
    assert seen.index(window.commands.filter) < seen.index(window.commands.view)
