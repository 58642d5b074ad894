"""The press of the emergency stop: off to a thread of its own at once, by every way there is, and what is proved brought back.

It asks nothing of the window's loop or of the engine's: it works while either hangs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import QObject, Signal

from app.api.stop_client import StopPaths, StopReport, TerminalStop, ask_status, request_stop

_LOOKS = 16
_BETWEEN_LOOKS = 0.25
"""Seconds; the terminal's word comes after the latch."""
_MOST_PRESSES = 8


class EmergencyStop(QObject):
    """`pressed` at once; `reported` (a StopReport) when something is proved, and again when more is."""

    pressed = Signal()
    reported = Signal(object)

    def __init__(self, paths: StopPaths, now: Callable[[], datetime], terminal: TerminalStop) -> None:
        """`terminal`: a stop frame straight to the EA, for when the engine does not answer."""
        super().__init__()
        self._paths = paths
        self._now = now
        self._terminal = terminal
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self.pressed_at = now()

    def press(self, reason: str = "emergency stop pressed in the window") -> None:
        """Never refused. Presses beyond eight under way ask for nothing that is not being done already."""
        self.pressed_at = self._now()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) < _MOST_PRESSES:
            thread = threading.Thread(target=self._work, args=(reason,), name="emergency stop", daemon=True)
            self._threads.append(thread)
            thread.start()
        self.pressed.emit()

    def close(self) -> None:
        """Wait for presses under way; a stop in flight is never left off."""
        self._ending.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self, reason: str) -> None:
        report = request_stop(
            self._paths, reason=reason, by="desktop", at=self._now(), terminal=self._terminal
        )
        self.reported.emit(report)
        if report.engine_latched:
            self._look_again(report)

    def _look_again(self, report: StopReport) -> None:
        for _ in range(_LOOKS):
            if self._ending.wait(_BETWEEN_LOOKS):
                return
            again = ask_status(self._paths, timeout=0.5)
            if again is None:
                return
            if again.engine_latched and again != report:
                report = again
                self.reported.emit(report)
