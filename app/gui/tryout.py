"""The try-out of the first start: a simulated terminal, a brain and an engine as processes (`medulla tryout`), and the window's
end of that engine. A world of its own, with another journal; the real one is never touched.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.api.client import Target
from app.api.stop_client import StopPaths
from app.gui.errand import Errand
from app.gui.session import EngineSession, StartedEngine
from app.gui.stopping import EmergencyStop
from app.gui.wizard_page import WizardWorld
from app.settings import Settings


class Tryout(QObject):
    """The processes of the try-out and the window's end of its engine. `told` a step, `picture` of its engine, `ended` why."""

    told = Signal(str, str)
    picture = Signal(object)
    running = Signal()
    ended = Signal(str)

    def __init__(self, world: WizardWorld) -> None:
        super().__init__()
        self._world = world
        self._errand: Errand | None = None
        self._closing: asyncio.Task[None] | None = None
        self.settings: Settings | None = None
        self.session: EngineSession | None = None
        self.stop: EmergencyStop | None = None

    @property
    def begun(self) -> bool:
        return self._errand is not None

    def begin(self) -> None:
        if self._errand is not None:
            return
        self._errand = errand = self._world.errand("tryout", "--hold", "4", listens=True, configured=False)
        errand.told.connect(lambda message: self._hear(errand, message))
        errand.ended.connect(lambda _code, words: self._gone(errand, words))

    def _hear(self, errand: Errand, message: dict[str, Any]) -> None:
        if errand is not self._errand:
            return  # it was called off and has not ended yet
        if message.get("event") == "step":
            self.told.emit(str(message.get("name")), str(message.get("detail")))
        elif message.get("event") == "running":
            self._connect(Path(str(message.get("config"))))

    def _connect(self, config: Path) -> None:
        world = self._world
        try:
            settings = world.doors.load(config)
        except ValueError as fault:
            self.ended.emit(str(fault))
            self.end()
            return
        self.settings = settings

        def find() -> Target:
            return world.doors.find(settings)

        self.session = EngineSession(world.loop, find, _starts_nothing)
        self.session.picture.connect(self.picture)
        paths = StopPaths(settings.runtime_file, settings.api.token_file, settings.stop_file)
        self.stop = EmergencyStop(
            paths,
            world.now,
            lambda reason, closing, timeout: world.doors.terminal_stop(settings, reason, closing, timeout),
        )
        self.session.start()
        self.running.emit()

    def _gone(self, errand: Errand, words: str) -> None:
        errand.deleteLater()
        if errand is self._errand:
            self._errand = None
            self._let_go()
            self.ended.emit(words or "the try-out has ended")

    def end(self) -> None:
        """In good order; the folder of the try-out goes with it."""
        errand, self._errand = self._errand, None
        self._let_go()
        if errand is not None:
            errand.ended.connect(errand.deleteLater)
            errand.call_off()

    def end_now(self) -> None:
        """The window goes: nothing may be left running."""
        errand, self._errand = self._errand, None
        self._let_go()
        if errand is not None:
            errand.end_now()

    def _let_go(self) -> None:
        if self.session is not None:
            session, self.session = self.session, None
            session.picture.disconnect(self.picture)
            self._closing = self._world.loop.create_task(session.close(), name="end of the try-out's session")
        if self.stop is not None:
            stop, self.stop = self.stop, None
            stop.close()
        self.settings = None


def _starts_nothing() -> StartedEngine:
    raise OSError("the try-out's engine is started by the try-out alone")
