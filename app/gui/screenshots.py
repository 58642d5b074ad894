"""Renders the window in its states to PNG, off the screen and from canned pictures: for review and for the README."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from math import sin
from pathlib import Path

from PySide6.QtCore import QEvent, QSize, qInstallMessageHandler
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from app.api.client import EngineNotRunning, Target
from app.api.schemas import ResetChallengeModel, SnapshotModel
from app.api.stop_client import StopAttempt, StopPaths, StopReport
from app.gui import canned, words
from app.gui.canned_parts import AT
from app.gui.commands_pane import HistoryDialog
from app.gui.formats import Zone
from app.gui.keys import KeysDialog
from app.gui.leave_dialog import LeaveDialog
from app.gui.log_panes import LogLine
from app.gui.reset_dialog import ResetDialog
from app.gui.session import EngineSession, EngineState, StartedEngine
from app.gui.side_pictures import render_settings, render_wizard
from app.gui.stopping import EmergencyStop
from app.gui.theme import DARK_CHOICE, LIGHT_CHOICE, Theme
from app.gui.trade_dialogs import CloseDialog, NoteDialog, StopsDialog
from app.gui.window import MainWindow, WindowOptions

STATES: dict[str, Callable[[], SnapshotModel]] = {
    "connected": canned.connected,
    "degraded": canned.degraded,
    "paused": canned.paused,
    "halted": canned.halted,
    "limit-tripped": canned.limit_tripped,
    "first-start": canned.first_start,
    "empty": canned.empty,
    "200-positions": canned.many_positions,
}


class StillSession(EngineSession):
    """A session that asks nobody."""

    def __init__(self) -> None:
        def find() -> Target:
            raise EngineNotRunning("a picture has no engine")

        def start() -> StartedEngine:
            raise OSError("a picture starts nothing")

        super().__init__(asyncio.new_event_loop(), find, start)

    def stand(self, state: EngineState, words: str) -> None:
        self._say(state, words)

    def end(self) -> None:
        self._loop.close()


class StillWindow:
    """The real window with a canned picture in it."""

    def __init__(self, folder: Path, theme: Theme) -> None:
        nowhere = folder / "nowhere"
        self.session = StillSession()
        self.stop = EmergencyStop(
            StopPaths(nowhere / "engine.json", nowhere / "token", nowhere / "STOP"),
            lambda: AT,
            lambda _reason, _closing, _timeout: (False, "no terminal here"),
        )
        options = WindowOptions(folder / "desktop.ini", nowhere / "STOP", False, ("medulla",), ())
        self.window = MainWindow(options, theme, self.session, self.stop)

    def show(self, picture: SnapshotModel) -> None:
        self.session.stand(EngineState.CONNECTED, "connected")
        self.window.take(picture)
        if picture.status.state == "HALTED":
            self.stop.reported.emit(_report())
            self.window.have_receipt(canned.halted_receipt())
        settle()

    def close(self) -> None:
        self.window.let_close()
        self.window.close()
        self.window.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        settle()
        self.session.end()


def settle() -> None:
    """Let layouts and paints happen."""
    for _ in range(24):
        QApplication.processEvents()


def render(folder: Path, app: QApplication, *, scale: float = 1.0) -> list[Path]:
    """Every state, pane and dialog, light and dark, at `scale`. Returns the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    # The offscreen platform complains of what it cannot do; here that says nothing.
    qInstallMessageHandler(lambda _kind, _context, _text: None)
    written: list[Path] = []
    for colours in (LIGHT_CHOICE, DARK_CHOICE):
        camera = _Camera(folder, colours, scale)
        theme = Theme(app, colours)
        for name, make in STATES.items():
            picture = make()
            still = StillWindow(folder, theme)
            still.window.resize(1440, 900)
            still.window.show()
            give_past(still.window, picture)
            still.show(picture)
            if name == "limit-tripped":
                still.window.panes_docked.bring("alerts")
            still.window.panes_docked.share_room()
            settle()
            camera.take(still.window, name)
            if name == "connected":
                _others(still, camera)
            still.close()
            (folder / "desktop.ini").unlink(missing_ok=True)
        _without_engine(folder, theme, camera)
        for beside in (render_settings, render_wizard):
            beside(theme, camera.take, settle)
        (folder / "desktop.ini").unlink(missing_ok=True)
        written += camera.written
    return written


class _Camera:
    """Takes pictures of one look at one scale."""

    def __init__(self, folder: Path, colours: str, scale: float) -> None:
        self._folder = folder
        self._end = colours if scale == 1.0 else f"{colours}-{scale * 100:.0f}"
        self._scale = scale
        self.written: list[Path] = []

    def take(self, widget: QWidget, name: str) -> None:
        size = widget.size()
        pixmap = QPixmap(QSize(round(size.width() * self._scale), round(size.height() * self._scale)))
        pixmap.setDevicePixelRatio(self._scale)
        widget.render(pixmap)
        file = self._folder / f"{name}-{self._end}.png"
        pixmap.save(str(file))
        self.written.append(file)


def _others(still: StillWindow, camera: _Camera) -> None:
    """The panes behind tabs, the smallest screens, and the dialogs."""
    window = still.window
    for right, left, bottom in (("latency", "orders", "log"), ("market", "journal", "alerts")):
        for name in (right, left, bottom):
            window.panes_docked.bring(name)
        settle()
        camera.take(window, f"panes-{left}")
    window.panes_docked.lay_out()
    for width, height in ((1280, 720), (1024, 576)):
        window.resize(width, height)
        settle()
        window.panes_docked.share_room()
        settle()
        camera.take(window, f"small-{width}x{height}")
    for name, dialog in dialogs(window).items():
        dialog.show()
        settle()
        camera.take(dialog, name)
        dialog.close()


def dialogs(window: MainWindow) -> dict[str, QDialog]:
    """What can be opened over the window, made as the window makes it."""
    picture = canned.connected()
    reset = ResetDialog(_asks_nothing(), Path("STOP"), window)
    reset.challenged(ResetChallengeModel(word="harbour", unknown=("cmd-9f1b",), expires_in=120))
    reset.said.clear()
    history = HistoryDialog("cmd-9f20", Zone.UTC, window)
    history.show_history(canned.history())
    return {
        "dialog-close": CloseDialog(picture.positions[0], window),
        "dialog-stops": StopsDialog(picture.positions[0], window),
        "dialog-reset": reset,
        "dialog-note": NoteDialog(
            "Re-enable: Daily loss",
            f"{words.remedy('daily_loss')} The limit then counts anew.",
            "Re-enable",
            window,
        ),
        "dialog-history": history,
        "dialog-keys": KeysDialog(window),
        "dialog-leave": LeaveDialog(picture, tray=True, engine=True, parent=window),
    }


def _asks_nothing() -> EngineSession:
    session = StillSession()
    # Its loop never runs: nothing is connected, so nothing is asked.
    session.end()
    return session


def _without_engine(folder: Path, theme: Theme, camera: _Camera) -> None:
    still = StillWindow(folder, theme)
    still.window.resize(1440, 900)
    still.window.show()
    give_past(still.window, canned.connected())
    still.show(canned.connected())
    still.session.stand(EngineState.SILENT, "the engine has not answered for 6 s")
    still.stop.reported.emit(_unproved())
    settle()
    camera.take(still.window, "engine-hangs-stop-pressed")
    still.close()


def give_past(window: MainWindow, picture: SnapshotModel) -> None:
    """A morning's equity, some ticks and some log, as if the window had been open."""
    if picture.account is None:
        return
    if picture.positions:
        last = float(picture.account.equity)
        begin = last - float(picture.daily_profit or 0)
        steps = 240
        lowest = next((float(row.now) for row in picture.limits if row.name == "drawdown"), 0.0)
        for step in range(steps):
            share = step / steps
            wave = sin(step / 9) * 14 + sin(step / 23) * 22
            fall = max(0.0, lowest + (0.4 + sin(step / 12)) * 0.9 * (1 - share))
            at = picture.at - timedelta(minutes=(steps - step) * 1.5)
            window.equity.curve.add(at, begin + (last - begin) * share + wave * (1 - share), fall)
    for step in range(60):
        then = picture.at - timedelta(seconds=62 - step)
        window.market.notice(canned.moved(picture, step).model_copy(update={"at": then}))
    lines = [
        _log(4, "started", api_port=5557, stop_port=41231),
        _log(3, "brain_connected", session="s_1"),
        _log(2, "ready", positions=5, orders=2),
        _log(
            1,
            "alert",
            severity="warning",
            code="OUTCOME_UNKNOWN",
            message="cmd-9f1b has an unknown outcome; the terminal is asked",
        ),
    ]
    if picture.daily_profit is not None and picture.daily_profit < 0:
        message = (
            "the limit daily_loss has tripped: loss 312.40 of the broker's day is above max_daily_loss 300.00"
        )
        lines.append(_log(0, "alert", severity="critical", code="LIMIT_TRIPPED", message=message))
    window.log.add(lines)


def _log(minutes: int, event: str, **fields: object) -> LogLine:
    return LogLine(100 - minutes, AT - timedelta(minutes=minutes), "info", event, dict(fields))


def _report() -> StopReport:
    receipt = canned.halted_receipt()
    return StopReport(
        True, True, False, 7, receipt.proofs, (), (StopAttempt("stop socket", True, "latched"),)
    )


def _unproved() -> StopReport:
    return StopReport(
        engine_latched=False,
        terminal_stopped=True,
        stop_file_written=True,
        epoch=None,
        proofs=("stop file written: C:\\Users\\ann\\AppData\\Local\\Medulla\\STOP", "terminal acknowledged"),
        todo=(),
        attempts=(
            StopAttempt("stop socket", False, "timed out"),
            StopAttempt("local API", False, "timed out"),
            StopAttempt("stop file", True, "written"),
            StopAttempt("terminal", True, "acknowledged"),
        ),
    )
