"""Child processes of the demo, and how a child notices that its parent is gone. Works the same on Windows and elsewhere."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class ChildFailed(Exception):
    """A child process did not start or ended too early. The message says which and what it said last."""


def watch_parent(end: Callable[[], None]) -> None:
    """Call `end` in a thread once stdin is closed: whoever started this process holds its other end."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        end()

    threading.Thread(target=wait, name="parent watch", daemon=True).start()


class Child:
    """One `medulla …` process, or another module's: its JSON lines in a queue, its last words kept, its end certain."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        module: str = "app",
    ) -> None:
        self.name = name
        self.lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._last: deque[str] = deque(maxlen=5)
        self._errors = folder / f"{name}.stderr"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment},
            )
        self._reader = threading.Thread(target=self._read, name=f"{name} output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self.process.stdout
        if stream is not None:
            for raw in stream:
                line = raw.decode("utf-8", "replace").strip()
                self._last.append(line)
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                if isinstance(message, dict):
                    self.lines.put(message)
        self.lines.put(None)

    def wait_for(self, event: str, timeout: float) -> dict[str, Any]:
        """The next line with that `event`. Raises ChildFailed when the process ends or says nothing for `timeout` seconds."""
        while True:
            try:
                message = self.lines.get(timeout=timeout)
            except queue.Empty:
                raise ChildFailed(
                    f"{self.name} did not say {event!r} within {timeout:.0f} s. {self.words()}"
                ) from None
            if message is None:
                raise ChildFailed(f"{self.name} ended too early. {self.words()}")
            if message.get("event") == event:
                return message

    def words(self) -> str:
        """What it said last, for an error."""
        errors = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
        return (
            " | ".join(["last words:", *self._last, *errors]) if self._last or errors else "It said nothing."
        )

    def end(self, timeout: float = 10.0) -> int:
        """Close its stdin (it ends by itself then), and insist if it does not. Returns its exit code."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait(timeout)
        self._reader.join(timeout)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code
