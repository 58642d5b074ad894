"""A first start for the tests: real commands in processes of their own, a real session that looks for an engine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.adapters.system_clock import SystemClock
from app.cli.wizard_doors import engine_of, wizard_doors
from app.gui.session import EngineSession, StartedEngine
from app.gui.side_windows import SideWindows
from app.gui.theme import Theme
from app.gui.window import MainWindow
from app.gui.wizard import SetupWizard
from app.gui.wizard_page import WizardDoors, WizardWorld
from app.settings import load_settings

from .conftest import PATIENCE_MS
from .kept_keyring import VARIABLE

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "app")


class FirstStart:
    """`make()` opens the wizard; a second one takes up where the first was left."""

    def __init__(self, folder: Path, theme: Theme, loop: asyncio.AbstractEventLoop, qtbot: QtBot) -> None:
        self.folder = folder
        self.theme = theme
        self.loop = loop
        self.qtbot = qtbot
        self.wizards: list[SetupWizard] = []
        settings = load_settings(None, {}, os.environ)

        def start() -> StartedEngine:
            raise OSError("this test starts no engine here")

        self.session = EngineSession(loop, lambda: engine_of(settings), start)
        self.session.start()

    def world(self) -> WizardWorld:
        return WizardWorld(
            settings=load_settings(None, {}, os.environ),
            program=PROGRAM,
            options=(),
            state_file=self.folder / "desktop.ini",
            session=self.session,
            loop=self.loop,
            theme=self.theme,
            now=SystemClock().now,
            doors=wizard_doors(),
        )

    def make(self) -> SetupWizard:
        wizard = SetupWizard(self.world())
        wizard.show()
        self.wizards.append(wizard)
        wizard.destroyed.connect(lambda: self.wizards.remove(wizard))
        return wizard

    def beside(self, window: MainWindow, world: WizardWorld, doors: WizardDoors | None) -> SideWindows:
        """What stands beside the main window. `doors`: None where no first start is offered."""
        return SideWindows(
            window,
            self.session,
            self.theme,
            settings=world.settings,
            program=world.program,
            options=world.options,
            state_file=world.state_file,
            loop=world.loop,
            now=world.now,
            doors=doors,
        )

    def at(self, name: str) -> SetupWizard:
        """Open at a page."""
        wizard = self.make()
        wizard.go_to(next(place for place, page in enumerate(wizard.pages) if page.name == name))
        return wizard

    def close(self) -> None:
        for wizard in list(self.wizards):
            wizard.close()
        closing = self.loop.create_task(self.session.close())
        self.qtbot.waitUntil(closing.done, timeout=PATIENCE_MS)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def first_start(
    own_folder: Path,
    theme: Theme,
    loop: asyncio.AbstractEventLoop,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[FirstStart]:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.gui.kept_keyring.KeptKeyring")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring.json"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDULLA_API__PORT", "0")
    made = FirstStart(own_folder, theme, loop, qtbot)
    yield made
    made.close()
