"""Executors by the hundred: a parent that has imported everything once and forks a real process for each start.

The child is as real as one from the command line (own process, own threads, kill -9 kills it); only the second of CPU that
imports cost is saved. The parent starts no thread and opens no socket, so that a fork copies nothing that must not be shared.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import POLL, clean_environment, freeze
from tests.end_to_end.scripted_brain import PATIENCE

Line = dict[str, Any]


def begin_module(module: str, folder: Path, errors: str) -> subprocess.Popen[str]:
    """A program of this campaign that is told lines and answers lines; what it complains of goes to the file `errors`."""
    with (folder / errors).open("ab") as complaints:
        return subprocess.Popen(
            [sys.executable, "-m", f"tests.faults.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=clean_environment(folder),
            text=True,
            bufsize=1,
        )


def end_module(process: subprocess.Popen[str]) -> None:
    """The end of its input is its sign to end; one that does not is killed. Its output stays open."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(PATIENCE)


class Forge:
    """The parent, seen from the campaign."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = begin_module("stop_forge", folder, "forge.stderr")
        self._exits: dict[int, int] = {}
        self._made: list[int] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="forge output", daemon=True)
        self._reader.start()

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: Path) -> int:
        """Fork one; its process id."""
        asked = {"arguments": list(arguments), "environment": dict(environment), "output": str(output)}
        assert self._process.stdin is not None
        with self._changed:
            number = len(self._made)
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            if not self._changed.wait_for(lambda: len(self._made) > number, PATIENCE):
                raise AssertionError("the forge does not answer: " + self.words())
            return self._made[number]

    def exit_code(self, pid: int, timeout: float = PATIENCE) -> int | None:
        """Wait for its end; None: it still runs."""
        with self._changed:
            self._changed.wait_for(lambda: pid in self._exits, timeout)
            return self._exits.get(pid)

    def words(self) -> str:
        return (self._folder / "forge.stderr").read_text("utf-8", "replace")[-2000:]

    def close(self) -> None:
        """It kills what is left of its children and ends."""
        end_module(self._process)
        self._reader.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._changed:
                if "made" in told:
                    self._made.append(told["made"])
                else:
                    self._exits[told["ended"]] = told["code"]
                self._changed.notify_all()


class ForgedExecutor:
    """One of its children under the words of the harness's Process."""

    def __init__(
        self, forge: Forge, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        number = 1 + sum(1 for _ in folder.glob("executor.*.stdout"))
        self.output = folder / f"executor.{number}.stdout"
        self.output.touch()
        self._forge = forge
        self._code: int | None = None
        self.pid = forge.start(arguments, environment, self.output)

    @property
    def alive(self) -> bool:
        if self._code is None:
            self._code = self._forge.exit_code(self.pid, 0)
        return self._code is None

    def lines(self) -> list[Line]:
        found = []
        for text in self.output.read_text("utf-8", "replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                found.append(line)
        return found

    def said(
        self, event: str, *, where: Callable[[Line], bool] = lambda _line: True, timeout: float = 30.0
    ) -> Line:
        """The first such line, waited for."""

        def wanted() -> list[Line]:
            return [line for line in self.lines() if line.get("event") == event and where(line)]

        tick, deadline = threading.Event(), time.monotonic() + timeout
        while not (lines := wanted()):
            if not self.alive or time.monotonic() > deadline:
                ended = "ended" if not self.alive else f"runs and for {timeout:.0f} s has gone on"
                raise AssertionError(f"the executor {ended} without {event!r}:\n{self.words()}")
            tick.wait(POLL)
        return lines[0]

    def words(self) -> str:
        return self.output.read_text("utf-8", "replace")[-3000:]

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def freeze(self) -> None:
        freeze(self.pid)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """As the kernel does: no last word."""
        if self.alive:
            self.signal(signal.SIGKILL)
            self._code = self._forge.exit_code(self.pid)

    def end(self) -> int:
        """Ask it to end, and insist."""
        if self.alive:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            self._code = self._forge.exit_code(self.pid)
            if self._code is None:
                self.kill()
        return -1 if self._code is None else self._code


def become(asked: Line) -> None:
    """In the child: own session, own output, own environment, then the program. Does not return."""
    from .stop_executor import start

    os.setsid()
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(old, new)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(asked["environment"])
    code = 1
    try:
        start(asked["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except Exception as fault:  # noqa: BLE001 - the last frame of a process: whatever it is, it is said and ends it
        print(f"the executor died: {type(fault).__name__}: {fault}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        os._exit(code)


def preload() -> None:
    """Import what an executor needs, before the first fork."""
    for name in (
        "app.adapters.log_files",
        "app.bootstrap",
        "app.cli.main",
        "app.cli.run",
        f"{__package__}.stop_executor",
    ):
        importlib.import_module(name)


def serve() -> None:
    """Fork what is asked for on stdin; tell who has ended; at the end of stdin kill what is left."""
    preload()
    children: set[int] = set()
    reader, rest = sys.stdin.fileno(), b""
    while True:
        ready, _, _ = select.select([reader], [], [], 0.01)
        if ready:
            part = os.read(reader, 65536)
            if not part:
                break
            rest += part
            while b"\n" in rest:
                line, _, rest = rest.partition(b"\n")
                child = os.fork()
                if child == 0:
                    become(json.loads(line))
                children.add(child)
                tell({"made": child})
        reap(children)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def reap(children: set[int]) -> None:
    for child in tuple(children):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            children.discard(child)
            tell({"ended": child, "code": os.waitstatus_to_exitcode(status)})


def tell(what: Line) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
