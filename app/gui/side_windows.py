"""The windows beside the main one, settings and first start: one of each at a time, brought forward, and ended with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from app.api.settings_schemas import AppliedModel
from app.gui.errand import Errand
from app.gui.session import EngineSession, EngineState
from app.gui.settings_dialog import SettingsDialog
from app.gui.settings_way import SettingsWay
from app.gui.theme import Theme
from app.gui.window import MainWindow
from app.gui.wizard import SetupWizard, wanted_at_start
from app.gui.wizard_page import WizardDoors, WizardWorld
from app.settings import Settings


class SideWindows:
    """`doors` None: there is no first start here."""

    def __init__(
        self,
        window: MainWindow,
        session: EngineSession,
        theme: Theme,
        *,
        settings: Settings,
        program: tuple[str, ...],
        options: tuple[str, ...],
        state_file: Path,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], datetime],
        doors: WizardDoors | None,
    ) -> None:
        self._window = window
        self._session = session
        self._theme = theme
        self._settings = settings
        self._program = program
        self._options = options
        self._state_file = state_file
        self._loop = loop
        self._now = now
        self._doors = doors
        self.settings_dialog: SettingsDialog | None = None
        self.wizard: SetupWizard | None = None
        self._simulated: Errand | None = None

    def _world(self, doors: WizardDoors) -> WizardWorld:
        world = WizardWorld(
            settings=self._settings,
            program=self._program,
            options=self._options,
            state_file=self._state_file,
            session=self._session,
            loop=self._loop,
            theme=self._theme,
            now=self._now,
            doors=doors,
        )
        # What was paired or limited since the window was opened.
        world.reload()
        return world

    def begin(self) -> None:
        """At the window's start: the first start opens by itself while nothing is set up."""
        if self._doors is not None and wanted_at_start(self._world(self._doors), self._settings):
            self.open_wizard()

    def open_settings(self) -> None:
        if self.settings_dialog is None:
            dialog = SettingsDialog(SettingsWay(self._session, self._settings), self._theme, self._window)
            dialog.applied.connect(self._applied)
            dialog.destroyed.connect(self._forget_settings)
            self.settings_dialog = dialog
        _forward(self.settings_dialog)

    def open_wizard(self) -> None:
        if self._doors is None:
            self._session.notice.emit("info", "There is no first start in this window.")
            return
        if self.wizard is None:
            wizard = SetupWizard(self._world(self._doors), self._window)
            wizard.finished_well.connect(self._set_up)
            wizard.destroyed.connect(self._forget_wizard)
            self.wizard = wizard
        _forward(self.wizard)

    def _start_simulated(self, world: WizardWorld) -> Errand:
        """A terminal for the engine that is started now; it ends with the window."""
        terminal = world.settings.terminal
        ports = ["--command-port", str(terminal.command_port), "--stream-port", str(terminal.stream_port)]
        key = ["--key-file", str(terminal.key_file)]
        errand = world.errand("sim", *ports, *key, "--exit-with-parent", listens=True, configured=False)
        errand.ended.connect(self._simulated_ended)
        return errand

    def _simulated_ended(self, code: int, words: str) -> None:
        self._simulated = None
        if code != 0:
            self._session.notice.emit(
                "bad", f"The simulated terminal has ended: {words or 'it said nothing'}"
            )

    def close(self) -> None:
        """With the main window: nothing that was started here is left running."""
        if self._simulated is not None:
            simulated, self._simulated = self._simulated, None
            simulated.ended.disconnect()
            simulated.end_now()
        if self.wizard is not None:
            self.wizard.close()
        if self.settings_dialog is not None:
            self.settings_dialog.throw_away()
            self.settings_dialog.close()

    def _forget_settings(self) -> None:
        self.settings_dialog = None

    def _forget_wizard(self) -> None:
        self.wizard = None

    def _applied(self, applied: AppliedModel) -> None:
        """What the stop will do stands beside its button: it must be true at once."""
        for change in applied.changes:
            if change.key == "safety.stop_closes_positions":
                self._window.top.stop_block.set_closes(change.new == "true")

    def _set_up(self, start: bool, with_terminal: bool) -> None:
        self._window.come_forward()
        if with_terminal and self._doors is not None and self._simulated is None:
            self._simulated = self._start_simulated(self._world(self._doors))
        idle = self._session.state.state not in {EngineState.CONNECTED, EngineState.SILENT}
        if start and idle:
            self._session.start_engine()


def _forward(window: SettingsDialog | SetupWizard) -> None:
    window.show()
    window.raise_()
    window.activateWindow()
