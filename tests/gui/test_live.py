"""The desktop on qasync's loop against the real local API: what is clicked arrives, what happens is shown, what fails is said."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from api.fake_control import WORD
from cli.engine_beside import EngineBeside, engine_beside
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.api.client import ApiClient
from app.api.schemas import HealthModel
from app.domain.commands import ClosePosition, ModifyPosition
from app.engine.control import Refused
from app.gui.reset_dialog import ResetDialog
from app.gui.session import EngineState
from app.gui.trade_dialogs import AskDialog, CloseDialog, NoteDialog, StopsDialog

from .conftest import PATIENCE_MS, MakeTrader, Trader


def wait(qtbot: QtBot, condition: Any) -> None:
    qtbot.waitUntil(condition, timeout=PATIENCE_MS)


def connected(qtbot: QtBot, trader: Trader) -> None:
    wait(qtbot, lambda: trader.window.positions.view.rows.total == 1)


def dialog_of(trader: Trader) -> Any:
    assert trader.window.acts.dialog is not None
    return trader.window.acts.dialog


def asked(engine: EngineBeside, name: str) -> list[dict[str, Any]]:
    return [dict(arguments) for what, arguments in engine.control.asked if what == name]


def test_it_finds_the_engine_and_shows_it(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    assert trader.desktop.session.state.state is EngineState.CONNECTED
    assert trader.window.top.equity.value.text() == "10\u00a0000.00"


def test_without_an_engine_it_says_so_and_a_failed_start_says_why(
    make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    line = trader.window.engine_line
    wait(qtbot, lambda: "No engine is running" in line.label.text())
    assert line.button.isVisible()
    qtbot.mouseClick(line.button, Qt.MouseButton.LeftButton)
    assert len(trader.started) == 1
    wait(qtbot, lambda: "the journal is locked by another process" in line.label.text())
    assert trader.window.top.trading.value.text() == "■ NO ENGINE"


def test_an_engine_that_goes_and_comes_is_followed(
    own_folder: Path, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    with engine_beside(own_folder):
        trader = make_trader(None)
        connected(qtbot, trader)
    wait(qtbot, lambda: trader.desktop.session.state.state is EngineState.LOST)
    assert "The engine is gone" in trader.window.engine_line.label.text()
    with engine_beside(own_folder):
        wait(qtbot, lambda: trader.desktop.session.state.state is EngineState.CONNECTED)
        assert trader.desktop.session.state.words == "connected again"
        assert not trader.window.engine_line.isVisible()


def test_what_is_asked_while_the_engine_goes_is_answered_before_the_connection_is_closed(
    own_folder: Path, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    gone = asyncio.Event()
    told: list[str] = []

    async def late(client: ApiClient) -> HealthModel:
        await gone.wait()
        return await client.health()

    with engine_beside(own_folder):
        trader = make_trader(None)
        connected(qtbot, trader)
        session = trader.desktop.session
        session.link.connect(lambda link: gone.set() if link.state is EngineState.LOST else None)
        session.ask("late", late, failed=told.append)
    wait(qtbot, lambda: len(told) == 1)
    assert "does not answer" in told[0]


def test_one_press_stops_and_the_banner_says_what_is_proved(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    qtbot.mousePress(trader.window.top.stop_block.button, Qt.MouseButton.LeftButton)
    wait(qtbot, trader.window.banner.isVisible)
    wait(qtbot, lambda: "✓ terminal acknowledged" in trader.window.banner.story.lines)
    assert trader.window.banner.story.headline.endswith("by you")
    [stop] = asked(engine, "stop")
    assert (stop["by"], stop["close_positions"]) == ("desktop", None)


def test_the_stop_keys_stop_from_any_field(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    trader.window.positions.filter.setFocus()
    keys = (
        Qt.KeyboardModifier.ControlModifier
        | Qt.KeyboardModifier.AltModifier
        | Qt.KeyboardModifier.ShiftModifier
    )
    qtbot.keyClick(trader.window.positions.filter, Qt.Key.Key_S, keys)
    wait(qtbot, lambda: len(asked(engine, "stop")) == 1)


def test_a_stop_with_the_engine_gone_goes_to_file_and_terminal(make_trader: MakeTrader, qtbot: QtBot) -> None:
    trader = make_trader(None)
    trader.terminal_answers = (True, "acknowledged")
    qtbot.mousePress(trader.window.top.stop_block.button, Qt.MouseButton.LeftButton)
    wait(qtbot, trader.window.banner.isVisible)
    story = trader.window.banner.story
    assert story.headline.startswith("■ STOPPED AT THE TERMINAL")
    assert trader.settings.stop_file.exists()
    assert len(trader.frames) == 1
    assert "✓ terminal acknowledged" in story.lines
    assert any("not known" in line for line in story.lines)


def test_reset_takes_the_word_and_a_held_button(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    trader.settings.stop_file.write_text("{}", encoding="utf-8")
    trader.window.acts.reset()
    dialog: ResetDialog = dialog_of(trader)
    wait(qtbot, lambda: WORD in dialog.word_label.text())
    assert not dialog.button.isEnabled()
    qtbot.keyClicks(dialog.word, "wrong")
    assert not dialog.button.isEnabled()
    dialog.word.clear()
    qtbot.keyClicks(dialog.word, WORD)
    dialog.note.setText("looked at the account")
    qtbot.mouseClick(dialog.button, Qt.MouseButton.LeftButton)
    assert asked(engine, "reset") == []
    qtbot.mousePress(dialog.button, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: len(asked(engine, "reset")) == 1)
    assert asked(engine, "reset")[0]["note"] == "looked at the account"
    wait(qtbot, lambda: "Trading is paused" in trader.window.notices.label.text())
    assert not trader.settings.stop_file.exists()


def test_a_refused_reset_says_why_and_stays(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    trader.window.acts.reset()
    dialog: ResetDialog = dialog_of(trader)
    wait(qtbot, lambda: WORD in dialog.word_label.text())
    engine.control.refusal = Refused("NOT_READY", "something is still under way at the terminal")
    qtbot.keyClicks(dialog.word, WORD)
    qtbot.mousePress(dialog.button, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: "still under way" in dialog.said.text())
    assert dialog.isVisible()
    dialog.reject()


def test_a_position_is_closed_whole_or_in_part(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    view = trader.window.positions.view
    view.choose_key("5001")
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    dialog: CloseDialog = dialog_of(trader)
    dialog.volume.setText("0,04")
    assert dialog.act.text() == "Close 0.04 lots"
    dialog.volume.setText("0.2")
    qtbot.mouseClick(dialog.act, Qt.MouseButton.LeftButton)
    assert "at most 0.10" in dialog.fault.text()
    dialog.volume.setText("0.04")
    qtbot.mouseClick(dialog.act, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: len(asked(engine, "operate")) == 1)
    action = asked(engine, "operate")[0]["action"]
    assert isinstance(action, ClosePosition)
    assert (str(action.ticket), str(action.volume)) == ("5001", "0.04")
    wait(qtbot, lambda: "Close: done" in trader.window.notices.label.text())


def test_stops_are_changed_and_only_what_differs_is_sent(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    view = trader.window.positions.view
    view.choose_key("5001")
    qtbot.keyClick(view, Qt.Key.Key_F2)
    dialog: StopsDialog = dialog_of(trader)
    assert (dialog.stop_loss.text(), dialog.take_profit.text()) == ("", "1.11000")
    qtbot.mouseClick(dialog.act, Qt.MouseButton.LeftButton)
    assert "Nothing is different" in dialog.fault.text()
    dialog.stop_loss.setText("1.10")
    qtbot.mouseClick(dialog.act, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: len(asked(engine, "operate")) == 1)
    action = asked(engine, "operate")[0]["action"]
    assert isinstance(action, ModifyPosition)
    assert str(action.stop_loss) == "1.10"


def test_cancel_close_all_pause_and_reenable_arrive(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    trader.window.act("pane:orders")
    wait(qtbot, lambda: trader.window.orders.view.rows.total == 1)
    trader.window.orders.view.choose_key("6001")
    trader.window.orders.cancel_tool.click()
    dialog: AskDialog = dialog_of(trader)
    dialog.act.click()
    wait(qtbot, lambda: len(asked(engine, "operate")) == 1)
    trader.window.acts.close_all()
    dialog_of(trader).act.click()
    wait(qtbot, lambda: len(asked(engine, "operate")) == 2)
    trader.window.top.act.click()
    wait(qtbot, lambda: len(asked(engine, "pause")) == 1)
    trader.window.acts.reenable("daily_loss")
    note: NoteDialog = dialog_of(trader)
    note.act.click()
    assert "Why" in note.fault.text()
    note.note.setText("funds added")
    note.act.click()
    wait(qtbot, lambda: asked(engine, "reenable_limit") != [])
    assert asked(engine, "reenable_limit")[0]["note"] == "funds added"


def test_a_refusal_is_one_line_that_says_why(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    engine.control.refusal = Refused("HALTED", "trading is stopped: reset it first, then resume")
    trader.window.acts.pause_or_resume()
    wait(qtbot, lambda: "Pause: trading is stopped" in trader.window.notices.label.text())


def test_a_command_opens_its_history_with_hashes(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    trader.window.show_history("c-1")
    dialog = dialog_of(trader)
    wait(qtbot, lambda: dialog.tree.topLevelItemCount() == 3)
    first = dialog.tree.topLevelItem(0)
    leaves = {first.child(place).text(0): first.child(place).text(1) for place in range(first.childCount())}
    assert leaves["hash"] == "0" * 64
    assert leaves["volume"] == "0.10"
    dialog.close()


def test_leaving_asks_and_can_end_the_engine(
    engine: EngineBeside, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    trader = make_trader(None)
    connected(qtbot, trader)
    trader.window.close()
    assert trader.window.isVisible()
    dialog = trader.desktop.leave_dialog
    assert dialog is not None
    assert not trader.desktop.left.is_set()
    qtbot.mouseClick(dialog.buttons["end"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: trader.ended == 1, timeout=PATIENCE_MS)
    assert trader.desktop.left.is_set()
