"""Windows for the tests: still ones with a canned picture, and live ones on qasync's loop with an engine beside them."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from cli.engine_beside import EngineBeside, engine_beside
from end_to_end.harness import World
from PySide6.QtCore import QEvent, QTimer
from PySide6.QtCore import QEventLoop as QtEventLoop
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from qasync import QEventLoop

from app.adapters.system_clock import SystemClock
from app.api.client import EngineNotRunning, Target, find_engine
from app.api.stop_client import TerminalStop
from app.domain.errors import SecretMissing
from app.gui.launch import Desktop, DesktopOptions
from app.gui.screenshots import StillWindow
from app.gui.session import StartedEngine
from app.gui.theme import LIGHT_CHOICE, Theme
from app.settings import Settings, load_settings

PATIENCE_MS = 20_000


def pytest_itemcollected(item: pytest.Item) -> None:
    """When an engine ends while the window is left, one socket of the window may stay open until it is collected: not found."""
    if "tests/gui" in item.nodeid:
        item.add_marker(pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"))
        item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MEDULLA_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("MEDULLA_DATA_FOLDER", str(folder))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return folder


@pytest.fixture(autouse=True)
def collected_here() -> Iterator[None]:
    """Left-over widgets are collected in this thread; in a fake engine's thread that would pull them from under Qt."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, LIGHT_CHOICE)


@pytest.fixture
def still(qtbot: QtBot, theme: Theme, tmp_path: Path) -> Iterator[StillWindow]:
    """The window with canned pictures; nobody is behind it."""
    made = StillWindow(tmp_path, theme)
    made.window.resize(1440, 900)
    made.window.show()
    yield made
    made.stop.close()
    made.close()


@pytest.fixture
def loop(qapp: QApplication) -> Iterator[asyncio.AbstractEventLoop]:
    """qasync's loop, driven by Qt's own: waiting in the test runs both."""
    made = QEventLoop(qapp, already_running=True)
    yield made
    _let_go(made, qapp)
    made.stop()
    # stop() leaves Qt told to quit, and every later wait would end at once; a round of exec() takes that back.
    QTimer.singleShot(0, qapp.quit)
    qapp.exec()
    made.close()
    asyncio.events._set_running_loop(None)


def _let_go(loop: asyncio.AbstractEventLoop, qapp: QApplication) -> None:
    """Every task to its end; and closed connections give their sockets back a turn or two of the loop later."""

    async def rest() -> None:
        others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        if others:
            await asyncio.wait(others, timeout=PATIENCE_MS / 1000)
        for _ in range(5):
            await asyncio.sleep(0)

    letting_go = loop.create_task(rest())
    while not letting_go.done():
        qapp.processEvents(QtEventLoop.ProcessEventsFlag.WaitForMoreEvents)


class NoEngine:
    """Stands for an engine that was started and ended at once."""

    def __init__(self, why: str | None) -> None:
        self.why = why

    def ended(self) -> str | None:
        return self.why


class Trader:
    """A desktop on real settings, and what it asked of its surroundings."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop, app: QApplication) -> None:
        self.settings = settings
        self.started: list[StartedEngine] = []
        self.ended = 0
        self.frames: list[str] = []
        """Stop frames that went straight to the terminal."""
        self.terminal_answers = (False, "no terminal listens")
        self.start_with: Callable[[], StartedEngine] | None = None
        self.frame_to: TerminalStop | None = None
        """The real way to the terminal, where a test has one."""
        self.start_words: str | None = "the journal is locked by another process"
        self._loop = loop
        options = DesktopOptions(
            settings=settings,
            program=(sys.executable, "-m", "app"),
            program_options=("--config", str(settings.config_path)) if settings.config_path.exists() else (),
            find=self._find,
            start_engine=self._start,
            end_engine=self._end,
            terminal_stop=self._frame,
            now=SystemClock().now,
            log_fault=lambda where, fault: pytest.fail(f"{where}: {fault!r}"),
        )
        self.desktop = Desktop(options, app, loop)
        self.window = self.desktop.window

    def _find(self) -> Target:
        try:
            return find_engine(self.settings.runtime_file, self.settings.api.token_file)
        except SecretMissing as fault:
            raise EngineNotRunning(str(fault)) from None

    def _start(self) -> StartedEngine:
        engine = NoEngine(self.start_words) if self.start_with is None else self.start_with()
        self.started.append(engine)
        return engine

    def _end(self) -> None:
        self.ended += 1

    def _frame(self, reason: str, closing: bool | None, timeout: float) -> tuple[bool, str]:
        self.frames.append(reason)
        return self.terminal_answers if self.frame_to is None else self.frame_to(reason, closing, timeout)

    def close(self, qtbot: QtBot) -> None:
        closing = self._loop.create_task(self.desktop.close())
        qtbot.waitUntil(closing.done, timeout=PATIENCE_MS)
        closing.result()
        self.window.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


MakeTrader = Callable[[Path | None], Trader]


@pytest.fixture
def make_trader(qtbot: QtBot, qapp: QApplication, loop: asyncio.AbstractEventLoop) -> Iterator[MakeTrader]:
    """A live desktop; give it a configuration file, or None for the test's own data folder."""
    made: list[Trader] = []

    def make(config: Path | None) -> Trader:
        trader = Trader(load_settings(config, {}, os.environ), loop, qapp)
        made.append(trader)
        trader.desktop.start()
        return trader

    yield make
    for trader in made:
        trader.close(qtbot)


@pytest.fixture
def engine(own_folder: Path) -> Iterator[EngineBeside]:
    """The real local API over a scripted engine, in a thread."""
    with engine_beside(own_folder) as beside:
        yield beside


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A real engine, the simulated terminal and a scripted brain, in processes of their own."""
    made = World(tmp_path / "world")
    made.start()
    yield made
    made.close()


@pytest.fixture
def trader(world: World, make_trader: MakeTrader, qtbot: QtBot) -> Trader:
    """The window in this process, following that engine."""
    made = make_trader(world.config)
    qtbot.waitUntil(
        lambda: made.window.picture is not None and made.window.picture.ready, timeout=PATIENCE_MS
    )
    return made
