"""The window's end of the local API: finds the engine, follows its stream, comes back with it, and says how it stands.

qasync is glue here and nothing else: no deadline hangs on its timers. Whether the engine still answers is judged by a Qt timer
that counts, so a frozen engine is noticed however the loop feels.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from app.api.client import ApiClient, EngineNotRunning, RequestRefused, Target

Answer = TypeVar("Answer")

RETRY = 0.5
"""Seconds between looks for an engine."""
PULSE_MS = 500
SILENT_MS = 1500
"""An engine that has not answered a simple question for this long is shown as silent."""
MOST_ERRANDS = 32
LAST_ANSWERS = 3.0
"""Seconds for which the end of a connection waits for answers that are under way; only a frozen engine lets it come to that."""
PICTURES_MS = 100
"""At least so long from one picture to the next: what changes oftener than that no eye can read."""


class EngineState(Enum):
    SEARCHING = "searching"
    NONE = "none"
    STARTING = "starting"
    CONNECTED = "connected"
    SILENT = "silent"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class EngineLink:
    """How the window stands with the engine, in words."""

    state: EngineState
    words: str


class StartedEngine(Protocol):
    """An engine process that the window started."""

    def ended(self) -> str | None:
        """Why it ended, in a sentence; None while it runs."""


class EngineSession(QObject):
    """`picture`: a SnapshotModel after each change. `link`: an EngineLink when it is another than before."""

    picture = Signal(object)
    link = Signal(object)
    notice = Signal(str, str)
    """(`good` | `bad` | `info`, a sentence) about what was asked for."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        find: Callable[[], Target],
        start_engine: Callable[[], StartedEngine],
    ) -> None:
        """`find` raises EngineNotRunning; `start_engine` raises OSError."""
        super().__init__()
        self._loop = loop
        self._find = find
        self._start_engine = start_engine
        self._started: StartedEngine | None = None
        self._client: ApiClient | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stream: asyncio.Task[Any] | None = None
        self._closing = False
        self._link = EngineLink(EngineState.SEARCHING, "looking for the engine …")
        self._was_connected = False
        self._answered = QElapsedTimer()
        self._asking = False
        self._pulse = QTimer(self)
        self._pulse.setInterval(PULSE_MS)
        self._pulse.timeout.connect(self._feel)

    @property
    def state(self) -> EngineLink:
        return self._link

    def start(self) -> None:
        self._stream = self._spawn("engine stream", self._run())
        self._pulse.start()

    def start_engine(self) -> None:
        """Start an engine of our own, as a process that outlives this window."""
        try:
            self._started = self._start_engine()
        except OSError as fault:
            self.notice.emit("bad", f"The engine could not be started: {fault.strerror or fault}.")
            return
        self._say(EngineState.STARTING, "starting the engine …")

    async def close(self) -> None:
        """End every task; the engine runs on."""
        self._pulse.stop()
        self._closing = True
        await self._end_errands()
        await _cancelled(self._tasks)

    # ------------------------------------------------------------ asking

    def ask(
        self,
        what: str,
        question: Callable[[ApiClient], Awaitable[Answer]],
        done: Callable[[Answer], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """One request; its answer goes to `done`, a refusal to `failed` or to the notice line, which then begins with `what`."""
        client = None if self._closing else self._client
        tell = failed or (lambda why: self.notice.emit("bad", f"{what}: {why}"))
        if client is None:
            tell("no engine is connected, so nothing was done. Start the engine, or wait until it answers.")
        elif len(self._tasks) >= MOST_ERRANDS:
            tell("too much is under way already; wait for an answer.")
        else:
            self._spawn(what, self._ask(client, question, done, tell))

    async def _ask(
        self,
        client: ApiClient,
        question: Callable[[ApiClient], Awaitable[Answer]],
        done: Callable[[Answer], None] | None,
        tell: Callable[[str], None],
    ) -> None:
        try:
            answer = await question(client)
        except (RequestRefused, EngineNotRunning) as fault:
            tell(str(fault))
        else:
            if done is not None:
                done(answer)

    # ------------------------------------------------------------ following

    async def _run(self) -> None:
        while True:
            try:
                target = self._find()
            except EngineNotRunning:
                self._say_why_none()
            else:
                await self._follow(target)
            await asyncio.sleep(RETRY)

    async def _follow(self, target: Target) -> None:
        async with ApiClient(target, timeout=None) as client:
            try:
                async for picture in client.follow(PICTURES_MS):
                    if self._client is None:
                        self._client = client
                        self._started = None
                        self._say_connected()
                    self._answered.start()
                    self.picture.emit(picture)
            except EngineNotRunning:
                self._lost()
            except RequestRefused as fault:
                self._say(EngineState.NONE, str(fault))
            finally:
                self._client = None
                self._asking = False
                await self._end_errands()

    def _say_connected(self) -> None:
        again = "connected again" if self._was_connected else "connected"
        self._was_connected = True
        self._say(EngineState.CONNECTED, again)

    def _lost(self) -> None:
        if self._link.state in {EngineState.CONNECTED, EngineState.SILENT}:
            self._say(
                EngineState.LOST,
                "the engine is gone: nothing new is traded, open positions keep their stops at the broker",
            )

    def _say_why_none(self) -> None:
        if self._started is not None:
            why = self._started.ended()
            if why is None:
                self._say(EngineState.STARTING, "starting the engine …")
                return
            self._started = None
            self._say(EngineState.NONE, f"the engine did not start: {why}")
        elif self._link.state is EngineState.SEARCHING:
            self._say(EngineState.NONE, "no engine is running: nothing is traded")

    # ------------------------------------------------------------ does it answer?

    def _feel(self) -> None:
        client = self._client
        if client is None or not self._answered.isValid():
            return
        if self._asking:
            if self._answered.elapsed() > SILENT_MS:
                seconds = self._answered.elapsed() // 1000
                self._say(EngineState.SILENT, f"the engine has not answered for {seconds} s")
            return
        if self._answered.elapsed() < PULSE_MS:
            return  # its stream has just said something, and comes from the same loop as an answer would
        self._asking = True
        self._spawn("pulse", self._touch(client))

    async def _touch(self, client: ApiClient) -> None:
        try:
            await client.health()
        except (EngineNotRunning, RequestRefused):
            return  # the stream ends as well, and says so
        finally:
            self._asking = False
        self._answered.start()
        if self._link.state is EngineState.SILENT:
            self._say(EngineState.CONNECTED, "answers again")

    def _say(self, state: EngineState, words: str) -> None:
        link = EngineLink(state, words)
        if link != self._link:
            self._link = link
            self.link.emit(link)

    # ------------------------------------------------------------ tasks

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def _end_errands(self) -> None:
        """Before their client is closed: a request that still connects then, or is cancelled there, would keep its socket open.

        An answer that is nearly here is taken.
        """
        errands = self._tasks - {self._stream}
        if errands:
            await asyncio.wait(errands, timeout=LAST_ANSWERS)
            await _cancelled(errands)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            sys.excepthook(type(fault), fault, fault.__traceback__)


async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
    """All of them to their end."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
