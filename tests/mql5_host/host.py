"""An Expert Advisor compiled for this machine, run as a process, with the hand of its market and its accidents.

`HostTerminal` is what tests and other harnesses use: the ports, the key and the broker's memory stay the same over a restart.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import zmq

from .build import EA_FOLDER, Build, build

START_TIMEOUT = 30.0
ANSWER_TIMEOUT = 20.0
LOGIN = 5001
FRONTS = ("Medulla", "MedullaNoDll")


class BenchError(Exception):
    """The bench itself refused a control command, or the EA's process did not behave."""


def libzmq() -> Path:
    """The libzmq of the pyzmq wheel, or the system's: the same library that the terminal loads as libzmq.dll."""
    package = Path(zmq.__file__).parent
    candidates = [*package.parent.glob("pyzmq.libs/libzmq*.so*"), *package.glob("libzmq*.so*")]
    return candidates[0] if candidates else Path("libzmq.so.5")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def default_flavour() -> str:
    """A key of build.FLAVOURS: `plain`, `sanitized` or `coverage`."""
    return os.environ.get("MEDULLA_EA_BUILD", "plain")


class HostTerminal:
    """One terminal with one EA. `front`: `Medulla` (libzmq) or `MedullaNoDll` (native sockets)."""

    def __init__(
        self,
        folder: Path,
        front: str = "Medulla",
        *,
        inputs: Mapping[str, object] | None = None,
        key: bytes | None = None,
        command_port: int | None = None,
        stream_port: int | None = None,
        effects_file: Path | None = None,
        flavour: str | None = None,
        remembers: bool = True,
    ) -> None:
        self.folder = folder
        self.remembers = remembers
        """Whether the broker keeps its books over a restart: it then writes them all at every trade."""
        self.front = front
        self.inputs: dict[str, object] = dict(inputs or {})
        self.key = key or secrets.token_bytes(32)
        self.command_port = command_port or free_port()
        self.stream_port = stream_port or free_port()
        self.files = folder / "files"
        self.common = folder / "common"
        self.effects_file = effects_file or folder / "effects.jsonl"
        self.log_file = folder / "experts.log"
        self.flavour = flavour or default_flavour()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader: threading.Thread | None = None
        for directory in (self.files / "Medulla", self.common):
            directory.mkdir(parents=True, exist_ok=True)
        if not (self.files / "Medulla/key.txt").exists():
            self.write_key(self.key)

    @property
    def pid(self) -> int:
        """Raises BenchError unless it runs."""
        if self._process is None:
            raise BenchError("not running")
        return self._process.pid

    @property
    def ledger(self) -> Path:
        return self.files / f"Medulla/ledger_{LOGIN}.jsonl"

    @property
    def process_id(self) -> int:
        if self._process is None:
            raise BenchError("not running")
        return self._process.pid

    def write_key(self, key: bytes) -> None:
        path = self.files / "Medulla/key.txt"
        path.write_text(key.hex() + "\n")
        path.chmod(0o600)

    def start(self) -> None:
        """Begin a life of the EA; returns when OnInit is through. Raises BenchError."""
        built: Build = build(EA_FOLDER / f"{self.front}.mq5", self.flavour)
        set_file = self.folder / "ea.set"
        inputs = {"InpCommandPort": self.command_port, "InpStreamPort": self.stream_port} | self.inputs
        set_file.write_text("".join(f"{name}={_set_value(value)}\n" for name, value in inputs.items()))
        arguments = {
            "--files": self.files,
            "--common": self.common,
            "--broker": self.folder / "broker.txt" if self.remembers else "",
            "--effects": self.effects_file,
            "--set": set_file,
            "--library": f"libzmq.dll={libzmq()}",
        }
        with self.log_file.open("a") as log:
            self._process = subprocess.Popen(
                [str(built.executable), *(str(part) for pair in arguments.items() for part in pair)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                cwd=built.folder,
            )
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True)
        self._reader.start()
        if self._answer(START_TIMEOUT) != "init 0":
            self.kill()
            raise BenchError(f"OnInit failed; {self.log()}")

    def control(self, command: str) -> str:
        """One command of the control channel (runtime/control.cpp). Raises BenchError."""
        if self._process is None or self._process.stdin is None:
            raise BenchError("not running")
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._answer(ANSWER_TIMEOUT)
        if not answer.startswith("ok"):
            raise BenchError(answer)
        return answer[3:]

    def panel_shows(self, text: str) -> bool:
        """Whether the panel on the chart says so, now or within a few of its drawings."""
        return any(text in self.control("panel") for _ in self._turns(4.0))

    def _turns(self, seconds: float) -> Iterator[None]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield

    def wait_for_end(self, timeout: float = 20.0) -> int:
        """Exit code of a process that ends by itself (a crash that was asked for)."""
        if self._process is None:
            raise BenchError("not running")
        code = self._process.wait(timeout)
        self._forget()
        return code

    def kill(self) -> None:
        """At once, without a chance to say or write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._forget()

    def close(self) -> None:
        """End the EA as the terminal does when it closes. Raises BenchError unless it ended well."""
        if self._process is None:
            return
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait(10)
        self._forget()
        if code != 0:
            raise BenchError(f"the EA ended with code {code}; {self.log()}")

    def effects(self, cid: str | None = None) -> list[dict[str, Any]]:
        """What the broker did, from the broker's own book; `cid`: for one command."""
        if not self.effects_file.exists():
            return []
        lines = map(json.loads, self.effects_file.read_text("utf-8").splitlines())
        return [effect for effect in lines if cid is None or effect["cid"] == cid]

    def ledger_lines(self) -> list[dict[str, Any]]:
        """The EA's own ledger as it is on disk."""
        return [json.loads(line) for line in self.ledger.read_text("utf-8").splitlines() if line]

    def log(self) -> str:
        return self.log_file.read_text("utf-8")[-4000:] if self.log_file.exists() else ""

    def _answer(self, timeout: float) -> str:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise BenchError(f"no answer within {timeout} s; {self.log()}") from None
        if line == "":
            raise BenchError(f"the EA's process has ended; {self.log()}")
        return line.rstrip("\n")

    def _forget(self) -> None:
        if self._process is None:
            return
        if self._reader is not None:
            self._reader.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        self._process = None

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        if process.stdout is not None:
            for line in process.stdout:
                lines.put(line)
        lines.put("")


def _set_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
