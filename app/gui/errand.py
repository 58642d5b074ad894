"""A `medulla …` command run beside the window: its JSON lines as they come, its last words, and a way to call it off. What the
window may not do itself (install, look at the machine, pair) is done there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

_MOST_LINE = 1 << 20
_PATIENCE_MS = 5000


class Errand(QObject):
    """`told`: one JSON object of its output. `ended`: (exit code, its last words); below 0: it did not start, or was killed."""

    told = Signal(dict)
    ended = Signal(int, str)

    def __init__(
        self,
        program: Sequence[str],
        arguments: Sequence[str],
        *,
        typed: str = "",
        listens: bool = False,
        parent: QObject | None = None,
    ) -> None:
        """`typed` goes to its standard input. `listens`: it runs until that is closed, and ends in good order then."""
        super().__init__(parent)
        self._typed = typed
        self._listens = listens
        self._kept = b""
        self._over = False
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.started.connect(self._type)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._not_started)
        self._begin(program, arguments)

    def _begin(self, program: Sequence[str], arguments: Sequence[str]) -> None:
        self._process.start(program[0], [*program[1:], *arguments])

    @property
    def running(self) -> bool:
        return not self._over

    def _type(self) -> None:
        if self._typed:
            self._process.write(self._typed.encode())
        if not self._listens:
            self._process.closeWriteChannel()

    def call_off(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._over:
            return
        self._ask_to_end()
        QTimer.singleShot(_PATIENCE_MS, self, self._kill)

    def _ask_to_end(self) -> None:
        if self._listens:
            self._process.closeWriteChannel()
        else:
            self._process.terminate()

    def end_now(self) -> None:
        """For the window's own end: wait a little, then kill. Blocks for `_PATIENCE_MS` at most."""
        if self._over:
            return
        self._ask_to_end()
        if not self._process.waitForFinished(_PATIENCE_MS):
            self._process.kill()
            self._process.waitForFinished(1000)

    def _kill(self) -> None:
        if not self._over:
            self._process.kill()

    def _read(self) -> None:
        self._kept += bytes(self._process.readAllStandardOutput().data())
        *lines, self._kept = self._kept.split(b"\n")
        if len(self._kept) > _MOST_LINE:
            self._kept = b""
        for line in lines:
            try:
                message: Any = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self.told.emit(message)

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        if self._over:
            return
        self._over = True
        self._read()
        errors = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace").strip()
        last = errors.splitlines()[-1] if errors else ""
        killed = status is not QProcess.ExitStatus.NormalExit
        self.ended.emit(-1 if killed else code, last.removeprefix("medulla: ").strip())

    def _not_started(self, fault: QProcess.ProcessError) -> None:
        if fault is QProcess.ProcessError.FailedToStart and not self._over:
            self._over = True
            self.ended.emit(-1, self._process.errorString())
