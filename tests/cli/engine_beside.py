"""A fake engine beside the test: the real API server in a thread of its own, announced like a real one."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from api.fake_control import FakeControl

from app.adapters.system_clock import SystemClock
from app.api import runtime_file, tokens
from app.api.runtime_file import RuntimeInfo
from app.api.server import ApiServer
from app.cli import alerts, control, doctor, limits, pair
from app.settings import load_settings
from app.settings.desk import EngineSettings


def command_line() -> typer.Typer:
    app = typer.Typer()
    for module in (control, limits, doctor, pair, alerts):
        module.register(app)
    return app


class EngineBeside:
    """`control` may be read and scripted before the first command is run."""

    def __init__(self, folder: Path) -> None:
        self.control = FakeControl()
        self.folder = folder
        self._up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        control_file = self.folder / "api.token"
        made = tokens.load_or_make(control_file, self.folder / "api.token.read")
        settings = load_settings(None, {}, os.environ)
        desk = EngineSettings(settings, self.control, SystemClock())
        self.control.limits = settings.safety
        server = ApiServer(self.control, port=0, tokens=made, settings=desk)
        info = RuntimeInfo(os.getpid(), await server.start(), 0, "2026-11-20T12:00:00Z", "0.1.0")
        runtime_file.write(self.folder / "engine.json", info)
        self._up.set()
        await self._end.wait()
        await server.close()
        runtime_file.remove(self.folder / "engine.json", os.getpid())

    def start(self) -> None:
        self._thread.start()
        if not self._up.wait(20):
            raise TimeoutError("the fake engine did not start")

    def close(self) -> None:
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)


@contextmanager
def engine_beside(folder: Path) -> Iterator[EngineBeside]:
    engine = EngineBeside(folder)
    engine.start()
    try:
        yield engine
    finally:
        engine.close()
