"""The window against a real engine process and the simulated terminal: what happens at the broker is seen, the stop is real."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import World
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.cli.desktop import EngineProcess, end_engine
from app.gui.reset_dialog import ResetDialog
from app.gui.session import EngineState

from .conftest import PATIENCE_MS, MakeTrader, Trader

pytestmark = pytest.mark.processes

BUY = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}
SECONDS_2_WITH_ROOM = 8_000
"""Two seconds are asked for; a loaded machine gets four times that."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The world's own configuration says where everything is; a variable would say otherwise."""
    for name in [name for name in os.environ if name.startswith("MEDULLA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return tmp_path


def wait(qtbot: QtBot, condition: Any, timeout: int = PATIENCE_MS) -> None:
    qtbot.waitUntil(condition, timeout=timeout)


def keys_of(trader: Trader) -> list[str]:
    return [row.key for row in trader.window.positions.view.rows.shown]


def test_what_the_brain_opens_appears_and_what_the_stop_loss_closes_goes(
    world: World, trader: Trader, qtbot: QtBot
) -> None:
    ticket = str(world.brain.do(BUY, "gui-1", strategyId="seen")["result"]["ticket"])
    wait(qtbot, lambda: keys_of(trader) == [ticket])
    [row] = trader.window.positions.view.rows.shown
    assert [row.cells[place].text for place in (0, 1, 2, 11)] == ["EURUSD", "▲ Buy", "0.10", "seen"]
    wait(
        qtbot, lambda: [row.cells[4].text for row in trader.window.commands.view.rows.shown] == ["✓ executed"]
    )
    with world.still():
        world.hand("set_price", symbol="EURUSD", bid="1.10500", ask="1.10508")
        stop = {"action": "MODIFY_POSITION", "ticket": int(ticket), "stopLoss": 1.10400}
        assert world.brain.do(stop, "gui-2")["result"]["success"]
        wait(qtbot, lambda: trader.window.positions.view.rows.shown[0].cells[5].text == "1.10400")
        world.hand("set_price", symbol="EURUSD", bid="1.10390", ask="1.10398")
        wait(qtbot, lambda: keys_of(trader) == [])
    journal = trader.window.journal
    journal.search()
    wait(qtbot, lambda: {row.key for row in journal.view.rows.shown} == {"gui-1", "gui-2"})
    journal.strategy.setText("seen")
    journal.search()
    wait(qtbot, lambda: [row.key for row in journal.view.rows.shown] == ["gui-1"])
    journal.verify()
    wait(qtbot, lambda: journal.said.text().startswith("✓"))
    file = world.folder / "out.csv"
    journal.export(str(file))
    wait(qtbot, lambda: journal.said.text().startswith("✓ 1 commands written"))
    assert "gui-1" in file.read_text(encoding="utf-8")


def test_stop_reset_and_resume_by_hand_through_the_window(world: World, trader: Trader, qtbot: QtBot) -> None:
    ticket = str(world.brain.do(BUY, "gui-1")["result"]["ticket"])
    wait(qtbot, lambda: keys_of(trader) == [ticket])
    window = trader.window
    qtbot.mousePress(window.top.stop_block.button, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: window.top.trading.value.text() == "■ HALTED")
    wait(qtbot, lambda: "✓ terminal acknowledged" in window.banner.story.lines)
    wait(qtbot, lambda: "✓ latch on disk" in window.banner.story.lines)
    assert window.banner.story.headline.endswith("by you")
    assert keys_of(trader) == [ticket]

    window.acts.close_all()
    window.acts.dialog.act.click()
    wait(qtbot, lambda: keys_of(trader) == [])
    wait(qtbot, lambda: "Close all: 1 of 1 done" in window.notices.label.text())

    window.banner.reset_button.click()
    dialog = window.acts.dialog
    assert isinstance(dialog, ResetDialog)
    wait(qtbot, lambda: dialog.word_label.text().startswith("Type"))
    qtbot.keyClicks(dialog.word, dialog.word_label.text().split()[-1])
    qtbot.mousePress(dialog.button, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: window.top.trading.value.text() == "❚❚ PAUSED")
    assert not window.banner.isVisible()

    def resumed() -> bool:
        # Until the terminal has been reconciled in the new epoch a resume is refused, and said to be.
        if window.picture.status.state == "REDUCING" and window.picture.ready:
            window.acts.pause_or_resume()
        return window.top.trading.value.text() == "● ACTIVE"

    wait(qtbot, resumed)
    world.brain.do(BUY, "gui-3")
    wait(qtbot, lambda: len(keys_of(trader)) == 1)


def test_a_stop_survives_the_engines_death_and_the_window_follows(
    world: World, trader: Trader, qtbot: QtBot
) -> None:
    window = trader.window
    qtbot.mousePress(window.top.stop_block.button, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: "✓ latch on disk" in (window.banner.story.lines if window.banner.story else ()))
    world.executor.kill()
    wait(qtbot, lambda: trader.desktop.session.state.state is EngineState.LOST, SECONDS_2_WITH_ROOM)
    assert window.top.trading.value.text() == "■ NO ENGINE"
    assert window.banner.isVisible()
    world.start_executor()
    wait(qtbot, lambda: window.top.trading.value.text() == "■ HALTED")
    assert trader.desktop.session.state.words == "connected again"
    assert window.banner.reset_button.isVisible()


def test_a_frozen_engine_is_noticed_and_the_button_stops_the_terminal_itself(
    world: World, make_trader: MakeTrader, qtbot: QtBot
) -> None:
    from app.cli.control import stop_terminal

    trader = make_trader(world.config)
    window = trader.window
    wait(qtbot, lambda: window.picture is not None and window.picture.ready)
    world.executor.freeze()
    wait(qtbot, lambda: trader.desktop.session.state.state is EngineState.SILENT, SECONDS_2_WITH_ROOM)
    assert window.top.trading.value.text() == "▲ NOT ANSWERING"
    trader.frame_to = lambda reason, closing, timeout: stop_terminal(
        trader.settings, reason, closing, timeout
    )
    qtbot.mousePress(window.top.stop_block.button, Qt.MouseButton.LeftButton)
    wait(qtbot, window.banner.isVisible)
    story = window.banner.story
    assert story.headline.startswith("■ STOPPED AT THE TERMINAL")
    assert "✓ terminal acknowledged" in story.lines
    assert any("engine did not answer" in line for line in story.lines)
    assert any("not known" in line for line in story.lines)
    world.executor.thaw()
    wait(qtbot, lambda: window.top.trading.value.text() == "■ HALTED")


def test_the_window_starts_an_engine_that_outlives_it_and_can_end_it(
    tmp_path: Path, make_trader: MakeTrader, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = World(tmp_path / "world")
    made.brain.open()
    made.start_terminal()
    made.configure()
    monkeypatch.setenv("MEDULLA_BRAIN__API_KEY", made.brain.api_key)
    trader = make_trader(made.config)
    started: list[EngineProcess] = []

    def start() -> EngineProcess:
        started.append(EngineProcess(trader.settings, ["--config", str(made.config)]))
        return started[-1]

    trader.start_with = start
    try:
        wait(qtbot, trader.window.engine_line.button.isVisible)
        qtbot.mouseClick(trader.window.engine_line.button, Qt.MouseButton.LeftButton)
        wait(qtbot, lambda: trader.window.picture is not None and trader.window.picture.ready)
        [engine] = started
        assert engine.ended() is None
        if hasattr(os, "getsid"):
            assert os.getsid(engine.process.pid) == engine.process.pid != os.getsid(0)
        end_engine(trader.settings)
        wait(qtbot, lambda: engine.ended() is not None)
        assert engine.process.returncode == 0
        wait(qtbot, lambda: trader.desktop.session.state.state is EngineState.LOST)
    finally:
        for engine in started:
            engine.process.kill()
            engine.process.wait()
        made.close()
