"""Starts and ends the desktop process: application, loop, session, window, tray, and what happens to a fault nobody caught."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

from PySide6.QtCore import (
    QElapsedTimer,
    QMessageLogContext,
    QObject,
    QSettings,
    QTimer,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.api.client import Target
from app.api.stop_client import StopPaths, TerminalStop
from app.gui.icons import state_icon
from app.gui.leave_dialog import LeaveDialog
from app.gui.log_panes import LogTail
from app.gui.session import EngineSession, EngineState, StartedEngine
from app.gui.side_windows import SideWindows
from app.gui.single_instance import SingleInstance
from app.gui.sounds import MakeSound, Sounds, beep
from app.gui.stopping import EmergencyStop
from app.gui.theme import FOLLOW, Theme
from app.gui.tray import Tray
from app.gui.window import MainWindow, WindowOptions
from app.gui.wizard_page import WizardDoors
from app.settings import Settings

LogFault = Callable[[str, BaseException | None], None]
_QUIET_MS = 5000
_SETTLED_MS = 3000
"""By then the first picture has come, and with it what is imported late."""
_END_ANSWER_MS = 3000


@dataclass(frozen=True, slots=True)
class DesktopOptions:
    """What the command line hands in: everything that this room may not know itself."""

    settings: Settings
    program: tuple[str, ...]
    program_options: tuple[str, ...]
    find: Callable[[], Target]
    start_engine: Callable[[], StartedEngine]
    end_engine: Callable[[], None]
    """Ask the engine to end in good order. Raises OSError."""
    terminal_stop: TerminalStop
    now: Callable[[], datetime]
    log_fault: LogFault
    doors: WizardDoors | None = None
    """For the first start; None: there is none in this window."""
    host: Callable[[Callable[[], None]], None] | None = None
    """Somebody else's window, as in the demo: leaving asks nothing, and what is handed to it is called (in any thread) when
    whoever started the window is gone.
    """
    sound: MakeSound = beep


def window_options(options: DesktopOptions) -> WindowOptions:
    settings = options.settings
    return WindowOptions(
        state_file=settings.state_folder / "desktop.ini",
        stop_file=settings.stop_file,
        stop_closes_positions=settings.safety.stop_closes_positions,
        program=options.program,
        program_options=options.program_options,
    )


def application(arguments: Sequence[str] = ("medulla",)) -> QApplication:
    """The one application object of this process."""
    present = QApplication.instance()
    app = present if isinstance(present, QApplication) else QApplication(list(arguments))
    app.setApplicationName("Medulla")
    app.setApplicationDisplayName("Medulla")
    app.setDesktopFileName("medulla")
    app.setWindowIcon(state_icon())
    return app


def spare_collections() -> None:
    """What start-up has made never dies: once it stands, no collection in the middle of a picture looks at it again. Such
    collections were the longest turns of the loop, tens of milliseconds each.
    """
    QTimer.singleShot(_SETTLED_MS, _freeze)


def _freeze() -> None:
    gc.collect()
    gc.freeze()


def run_desktop(options: DesktopOptions) -> int:
    """Until the person leaves. Returns the exit code."""
    app = application()
    app.setQuitOnLastWindowClosed(False)
    alone = SingleInstance(options.settings.state_folder)
    if not alone.is_first():
        return 0
    loop = QEventLoop(app)
    with loop:
        faults = Faults(options.log_fault)
        faults.install(loop)
        try:
            loop.run_until_complete(_live(options, app, loop, alone, faults))
        finally:
            alone.close()
            faults.remove()
    return 0


async def _live(
    options: DesktopOptions,
    app: QApplication,
    loop: asyncio.AbstractEventLoop,
    alone: SingleInstance,
    faults: Faults,
) -> None:
    desktop = Desktop(options, app, loop)
    alone.raised.connect(desktop.window.come_forward)
    faults.told.connect(lambda text: desktop.session.notice.emit("bad", text))
    desktop.start()
    spare_collections()

    def leave(*_: object) -> None:
        loop.call_soon_threadsafe(desktop.left.set)

    if options.host is not None:
        options.host(leave)
    # Whoever ends the session of the machine need not be asked; the engine is another process and trades on.
    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        await desktop.left.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        await desktop.close()


class Desktop:
    """The parts of a running desktop, and how they end."""

    def __init__(self, options: DesktopOptions, app: QApplication, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        settings = options.settings
        made_for = window_options(options)
        kept = QSettings(str(made_for.state_file), QSettings.Format.IniFormat)
        self.theme = Theme(app, str(kept.value("window/colours", FOLLOW)))
        self.session = EngineSession(loop, options.find, options.start_engine)
        paths = StopPaths(settings.runtime_file, settings.api.token_file, settings.stop_file)
        self.stop = EmergencyStop(paths, options.now, options.terminal_stop)
        self.window = MainWindow(made_for, self.theme, self.session, self.stop)
        self.tray = Tray()
        self.sounds = Sounds(options.sound)
        self.log_tail = LogTail(settings.log.folder / "engine.log")
        self.beside = SideWindows(
            self.window,
            self.session,
            self.theme,
            settings=settings,
            program=options.program,
            options=options.program_options,
            state_file=made_for.state_file,
            loop=loop,
            now=options.now,
            doors=options.doors,
        )
        self._ending = QTimer()
        self._ending.setSingleShot(True)
        self._ending.timeout.connect(self._end_by_signal)
        self.left = asyncio.Event()
        self.leave_dialog: LeaveDialog | None = None
        self._join()

    def _join(self) -> None:
        window, tray = self.window, self.tray
        self.session.picture.connect(tray.show_picture)
        self.session.link.connect(tray.show_link)
        self.log_tail.told.connect(window.log.add)
        window.alerts.raised.connect(tray.tell)
        window.alerts.raised.connect(lambda severity, _message: self.sounds.alert(severity))
        window.stopped.connect(self.sounds.stop)
        window.sound_action.toggled.connect(self.sounds.set_alerts)
        self.sounds.set_alerts(window.sound_action.isChecked())
        tray.shown.connect(window.come_forward)
        tray.stop.connect(window.press_stop)
        tray.leave.connect(self._ask_to_leave)
        window.leaving.connect(self._ask_to_leave)
        window.settings_wanted.connect(self.beside.open_settings)
        window.setup_wanted.connect(self.beside.open_wizard)

    def start(self) -> None:
        self.window.show()
        self.tray.show()
        self.log_tail.start()
        self.session.start()
        self.beside.begin()

    async def close(self) -> None:
        """In order: no more questions, no more reading, the stop carried through, then the windows."""
        self.beside.close()
        await self.session.close()
        self.log_tail.close()
        self.window.journal.call_off()
        self.stop.close()
        self.tray.close()
        self.window.let_close()
        self.window.close()

    def _ask_to_leave(self) -> None:
        if self._options.host is not None:
            self.left.set()
            return
        self.window.come_forward()
        if self.leave_dialog is not None:
            self.leave_dialog.raise_()
            return
        connected = self.session.state.state in {EngineState.CONNECTED, EngineState.SILENT}
        dialog = LeaveDialog(
            self.window.picture, tray=self.tray.available, engine=connected, parent=self.window
        )
        self.leave_dialog = dialog
        dialog.hidden.connect(self.window.hide)
        dialog.left.connect(self.left.set)
        dialog.ended.connect(self._end_engine)
        dialog.destroyed.connect(self._forget_dialog)
        dialog.open()

    def _forget_dialog(self) -> None:
        self.leave_dialog = None

    def _end_engine(self) -> None:
        """Asked, it ends in good order on every system; a signal is for an engine that does not answer."""
        self._ending.start(_END_ANSWER_MS)
        self.session.ask(
            "Engine",
            lambda client: client.end_engine(reason="ended in the window", by="desktop"),
            lambda _none: self._engine_ended(),
            lambda _why: self._end_by_signal(),
        )

    def _engine_ended(self) -> None:
        self._ending.stop()
        self.left.set()

    def _end_by_signal(self) -> None:
        self._ending.stop()
        if self.left.is_set():
            return
        try:
            self._options.end_engine()
        except OSError as fault:
            self.session.notice.emit(
                "bad", f"The engine could not be ended: {fault.strerror or fault}. It runs on."
            )
            return
        self.left.set()


class Faults(QObject):
    """Whatever nobody caught is logged and told in one line; the window goes on. Trading is not in this process."""

    told = Signal(str)

    def __init__(self, log: LogFault) -> None:
        super().__init__()
        self._log = log
        self._quiet: dict[str, QElapsedTimer] = {}

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        sys.excepthook = self._hook
        threading.excepthook = lambda args: self._note("thread", args.exc_value)
        sys.unraisablehook = lambda args: self._note("clean-up", args.exc_value)
        loop.set_exception_handler(lambda _loop, context: self._loop_fault(context))
        qInstallMessageHandler(self._qt_message)

    def remove(self) -> None:
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        sys.unraisablehook = sys.__unraisablehook__
        qInstallMessageHandler(None)

    def _hook(self, _kind: type[BaseException], fault: BaseException, _trace: TracebackType | None) -> None:
        self._note("window", fault)

    def _loop_fault(self, context: dict[str, Any]) -> None:
        fault = context.get("exception")
        self._note(str(context.get("message", "loop")), fault if isinstance(fault, BaseException) else None)

    def _qt_message(self, kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        if kind not in {QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg}:
            self._log(f"qt: {text}", None)

    def _note(self, where: str, fault: BaseException | None) -> None:
        """The same fault at most once in five seconds: a bad paint comes thousands of times."""
        name = f"{where}: {type(fault).__name__}: {fault}"
        since = self._quiet.get(name)
        if since is not None and since.elapsed() < _QUIET_MS:
            return
        timer = QElapsedTimer()
        timer.start()
        if len(self._quiet) > 100:
            self._quiet.clear()
        self._quiet[name] = timer
        self._log(name, fault)
        self.told.emit("The window met a fault of its own; trading is not affected. It is in desktop.log.")
