"""One terminal, one executor with a tape, one brain in a process of its own: what every part of the stop campaign runs on."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.adapters.system_clock import SystemClock
from app.api.stop_client import StopPaths, StopReport, TerminalStop, request_stop
from tests.end_to_end.harness import World, ask_engine

from .stop_executor import TRADES
from .stop_forge import Forge, ForgedExecutor, Line, begin_module, end_module
from .stop_tape import LATCHED, RELEASED, Note, TapeReader

Found = TypeVar("Found")
LOOK = 0.001
"""Seconds between looks at a tape: what is measured is stamped by the other side, so this costs no accuracy."""


class RemoteBrain:
    """The brain's process (stop_brain.py) under the few names that a World asks of a brain."""

    executor_id = "exec_e2e"

    def __init__(self, folder: Path) -> None:
        self._process = begin_module("stop_brain", folder, "brain.stderr")
        known = self.ask("where")
        self.port, self.public_key, self.api_key = known["port"], known["public_key"], known["api_key"]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/executor"

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, do: str, **words: Any) -> Line:
        """One question, one answer. Raises AssertionError with the brain's own words."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self._process.stdin.flush()
        while True:
            line = self._process.stdout.readline()
            assert line, "the brain's process has ended"
            answer = json.loads(line)
            if answer.get("event") == "done":
                break
        if "failed" in answer:
            raise AssertionError(f"brain, {do}: {answer['failed']}")
        return dict(answer)

    def open(self) -> None:
        """It listens from its start."""

    def close(self) -> None:
        end_module(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass(frozen=True, slots=True)
class WireNote:
    """One line of the terminal's wire log; `at`: monotonic seconds."""

    what: str
    at: float
    line: Line


class WireReader:
    """Follows the wire log; each line is given once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def take(self) -> list[WireNote]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            content = file.read()
        whole = content.rfind(b"\n") + 1
        self._at += whole
        lines = map(json.loads, content[:whole].splitlines())
        return [WireNote(line["what"], float(line["mono"]), line) for line in lines]


class StopWorld(World):
    """A world whose moments can be compared: the tape of the executor, the wire log of the terminal, the presser's own clock."""

    brain: RemoteBrain  # type: ignore[assignment]
    executor: ForgedExecutor  # type: ignore[assignment]

    def __init__(self, folder: Path, forge: Forge, *, without: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self.brain = RemoteBrain(folder)
        self.forge = forge
        self.without = tuple(without)
        self.block_seconds = 5.0
        self._names = itertools.count(1)
        self.notes: list[Note] = []
        self.wire: list[WireNote] = []
        self._tape: TapeReader | None = None
        self._tapes = 0
        self._wire_reader = WireReader(folder / "wire.jsonl")
        self._paths: StopPaths | None = None

    # ------------------------------------------------------------ processes

    def start_all(
        self,
        *terminal: str,
        safety: Mapping[str, Any] | None = None,
        terminal_settings: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Everything, until the executor is ready and the brain has its STATE. `more`: further groups of settings."""
        self.start_terminal("--wire-log", str(self.folder / "wire.jsonl"), "--account", "netting", *terminal)
        settings = {"answer_timeout": 0.6, **(terminal_settings or {})}
        self.configure(safety=safety, terminal_settings=settings, **more)
        sessions = self.brain.ask("sessions")["sessions"]
        self.start_executor()
        self.brain.ask("connected", sessions=sessions)

    def start_executor(  # type: ignore[override]
        self, *options: str, environment: Mapping[str, str] | None = None, ready: bool = True
    ) -> ForgedExecutor:
        self._tapes += 1
        tape = self.folder / f"tape.{self._tapes}"
        entry = ["--tape", str(tape), "--block-seconds", str(self.block_seconds)]
        for name in self.without:
            entry += ["--without", name]
        self.take()
        if self._tape is not None:
            self._tape.close()
        self._tape = None
        self.executor = ForgedExecutor(
            self.forge,
            [*entry, "--", "run", "--headless", "--config", str(self.config), *options],
            {
                "XDG_DATA_HOME": str(self.folder / "home"),
                "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
                "MEDULLA_BRAIN__API_KEY": self.brain.api_key,
                **(environment or {}),
            },
            self.folder,
        )
        if ready:
            self.executor.said("ready")
        return self.executor

    def close(self) -> None:
        if hasattr(self, "executor"):
            self.executor.end()
        super().close()
        if self._tape is not None:
            self._tape.close()
        for tape in self.folder.glob("tape.*"):
            tape.unlink()

    def new_name(self, what: str) -> str:
        """For commands: one that this world's journal has not seen."""
        return f"{what}{next(self._names)}"

    # ------------------------------------------------------------ what happened

    def take(self) -> None:
        """Fetch what tape and wire log have that is new."""
        if self._tape is None:
            tape = self.folder / f"tape.{self._tapes}"
            if tape.exists() and tape.stat().st_size:
                self._tape = TapeReader(tape)
        if self._tape is not None:
            self.notes += self._tape.take()
        self.wire += self._wire_reader.take()

    def forget(self) -> None:
        """A cycle is judged: what was noted is not needed any more."""
        self.take()
        self.notes.clear()
        self.wire.clear()

    def latched_after(self, moment: float, timeout: float = 5.0) -> Note | None:
        """The engine's first latching at or after `moment`; None: none within `timeout` seconds."""
        return self._find(
            lambda: next(
                (n for n in self.notes if n.kind == LATCHED and n.cid == "first" and n.after >= moment), None
            ),
            timeout,
        )

    def stopped_after(self, moment: float, timeout: float = 5.0) -> WireNote | None:
        """The terminal's first latching (or confirmation of one) at or after `moment`."""
        return self._find(
            lambda: next((n for n in self.wire if n.what == "stopped" and n.at >= moment), None), timeout
        )

    def _find(self, look: Callable[[], Found | None], timeout: float) -> Found | None:
        deadline = time.monotonic() + timeout
        tick = threading.Event()
        while True:
            self.take()
            found = look()
            if found is not None or time.monotonic() >= deadline:
                return found
            tick.wait(LOOK)

    def released_at(self) -> float:
        """When the latch was last released in this cycle. Raises AssertionError if it was not."""
        self.take()
        moments = [note.before for note in self.notes if note.kind == RELEASED]
        assert moments, "the latch was not released"
        return moments[-1]

    def frames(self, after: float = 0.0, until_: float = float("inf")) -> list[WireNote]:
        """Trades that reached the terminal in that time."""
        return [
            n for n in self.wire if n.what == "frame" and n.line["cmd"] in TRADES and after < n.at <= until_
        ]

    # ------------------------------------------------------------ acts

    @property
    def paths(self) -> StopPaths:
        return StopPaths(self.folder / "engine.json", self.folder / "api.token", self.stop_file)

    def press(self, reason: str, terminal: TerminalStop | None = None) -> tuple[float, StopReport]:
        """What the command line and the window do: the stop client with all its ways."""
        pressed = time.monotonic()
        report = request_stop(
            self.paths, reason=reason, by="campaign", at=SystemClock().now(), terminal=terminal
        )
        return pressed, report

    def engine(self, method: str, path: str, **body: str) -> tuple[int, Line]:
        return ask_engine(self.folder, method, path, **body)

    def state(self) -> str:
        """ACTIVE, REDUCING or HALTED; '?' while the engine does not answer."""
        try:
            return str(self.engine("GET", "/status")[1]["status"]["state"])
        except (OSError, KeyError, ValueError):
            return "?"

    def settle(self, timeout: float = 20.0) -> None:
        """Reset and resume as a person does, every unknown outcome acknowledged, until trading is active."""
        deadline = time.monotonic() + timeout
        tick = threading.Event()
        last: object = None
        while True:
            self.stop_file.unlink(missing_ok=True)
            code, found = self.engine("GET", "/status")
            if code == 200:
                last = (found["status"]["state"], found["ready"])
                if last == ("ACTIVE", True):
                    return
                if found["status"]["state"] == "HALTED":
                    for name in found["unknown_commands"]:
                        self.engine("POST", f"/unknown/{name}/acknowledge", note="campaign", by="campaign")
                    code, asked = self.engine("POST", "/reset/challenge")
                    if code == 200:
                        last = self.engine(
                            "POST", "/reset", word=asked["word"], note="campaign", by="campaign"
                        )
                elif found["ready"]:
                    last = self.engine("POST", "/resume", by="campaign")
                    continue
            if time.monotonic() >= deadline:
                raise AssertionError(f"not active again within {timeout:.0f} s: {last}")
            tick.wait(0.005)

    def add_faults(self, specs: Iterable[str]) -> None:
        for spec in specs:
            self.hand("add_fault", spec=spec)
