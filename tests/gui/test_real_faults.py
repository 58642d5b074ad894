"""What breaks is seen in the window within two seconds of the moment the engine can know it, in words that a trader understands.

The time is the best of a few tries: a machine that is busy with other tests must not count as a slow window.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from end_to_end.harness import World
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.gui.session import EngineState

from .conftest import PATIENCE_MS, MakeTrader, Trader

pytestmark = pytest.mark.processes

TWO_SECONDS = 2.0
_TRIES = 3
_BUY = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The world's own configuration says where everything is; a variable would say otherwise."""
    for name in [name for name in os.environ if name.startswith("MEDULLA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return tmp_path


def seen(qtbot: QtBot, happens: Callable[[], object], condition: Callable[[], bool]) -> float:
    """Seconds from what happens to the sight of it."""
    happens()
    start = time.perf_counter()
    qtbot.waitUntil(condition, timeout=PATIENCE_MS)
    return time.perf_counter() - start


def quick(attempt: Callable[[], float], mend: Callable[[], None]) -> None:
    """One of a few tries is within two seconds."""
    took = []
    for _ in range(_TRIES):
        took.append(attempt())
        if took[-1] <= TWO_SECONDS:
            return
        mend()
    pytest.fail(f"seen after {', '.join(f'{seconds:.1f} s' for seconds in took)}")


def test_a_killed_terminal_is_said(world: World, trader: Trader, qtbot: QtBot) -> None:
    top = trader.window.top
    assert top.chips["terminal"].phrase.sign == "●"

    def mend() -> None:
        world.start_terminal()
        qtbot.waitUntil(lambda: top.chips["terminal"].phrase.sign == "●", timeout=PATIENCE_MS)

    def attempt() -> float:
        return seen(qtbot, world.terminal.kill, lambda: top.chips["terminal"].phrase.sign != "●")

    quick(attempt, mend)
    qtbot.waitUntil(lambda: str(top.chips["broker"].phrase) == "■ not connected", timeout=PATIENCE_MS)
    assert top.trading.line.text() == "waits for the terminal"
    assert top.trading.line.isVisible()


def test_an_unplugged_brain_is_said(world: World, trader: Trader, qtbot: QtBot) -> None:
    chip = trader.window.top.chips["brain"]

    def mend() -> None:
        world.brain.open()
        qtbot.waitUntil(lambda: chip.phrase.sign == "●", timeout=PATIENCE_MS)

    quick(lambda: seen(qtbot, world.brain.close, lambda: chip.phrase.sign != "●"), mend)
    assert str(chip.phrase) in {"▲ connecting …", "■ not connected"}


def test_a_killed_engine_is_said_and_its_stop_survives(world: World, trader: Trader, qtbot: QtBot) -> None:
    window = trader.window
    qtbot.mousePress(window.top.stop_block.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: window.banner.story is not None and "✓ latch on disk" in window.banner.story.lines,
        timeout=PATIENCE_MS,
    )

    def mend() -> None:
        world.start_executor()
        qtbot.waitUntil(
            lambda: trader.desktop.session.state.state is EngineState.CONNECTED, timeout=PATIENCE_MS
        )

    def attempt() -> float:
        return seen(
            qtbot, world.executor.kill, lambda: trader.desktop.session.state.state is EngineState.LOST
        )

    quick(attempt, mend)
    assert window.top.trading.value.text() == "■ NO ENGINE"
    assert "nothing new is traded" in window.engine_line.label.text()
    assert window.banner.isVisible()
    mend()
    qtbot.waitUntil(lambda: window.top.trading.value.text() == "■ HALTED", timeout=PATIENCE_MS)
    assert window.banner.reset_button.isVisible()


if sys.platform.startswith("linux"):
    # The kernel's limit of file sizes stands for a full disk.
    import resource

    def test_a_journal_that_cannot_be_written_stops_and_is_said(
        tmp_path: Path, make_trader: MakeTrader, qtbot: QtBot
    ) -> None:
        worlds: list[World] = []

        def attempt() -> float:
            made = World(tmp_path / f"world{len(worlds)}")
            worlds.append(made)
            made.start()
            trader = make_trader(made.config)
            window = trader.window
            qtbot.waitUntil(lambda: window.picture is not None and window.picture.ready, timeout=PATIENCE_MS)

            def fill() -> None:
                resource.prlimit(
                    made.executor.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY)
                )
                made.brain.order(_BUY, "full-1")

            took = seen(qtbot, fill, lambda: window.top.trading.value.text() == "■ HALTED")
            qtbot.waitUntil(
                lambda: str(window.top.chips["journal"].phrase) == "■ cannot be written", timeout=PATIENCE_MS
            )
            story = window.banner.story
            assert story is not None
            assert story.headline.endswith("by Medulla itself")
            assert "the journal cannot be written" in story.why
            assert made.ledger("full-1") == []
            return took

        try:
            quick(attempt, lambda: None)
        finally:
            for made in worlds:
                made.close()
