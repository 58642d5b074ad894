"""A world of the end-to-end tests whose executors come from a warm nursery, so that a restart takes a third of a second.

Starting and ending only; what a campaign does with it and what it expects stand in the campaigns.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.adapters.journal_reader import JournalReader
from tests.end_to_end.harness import Line, World, clean_environment, freeze
from tests.end_to_end.scripted_brain import PATIENCE, Manners

from .common_trader import CampaignBrain
from .kill_points import KILL, Point

POLL = 0.005
"""Seconds between two looks at what nobody announces."""
START_PATIENCE = 120.0
"""Seconds for a start on a machine that is busy with other things."""
ROOT = Path(__file__).resolve().parents[2]


class Forked:
    """One process of a nursery: how to hurt it, what it said, how it ended. The same words as the harness' `Process`."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid = pid
        self.output = output
        self.ended = threading.Event()
        self.code: int | None = None
        """Exit code; negative: the signal that ended it."""

    @property
    def alive(self) -> bool:
        return not self.ended.is_set()

    def signal(self, number: int) -> None:
        """Nothing, if it is gone already."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(KILL)
        self.wait()

    def freeze(self) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                freeze(self.pid)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def wait(self, timeout: float = PATIENCE) -> int | None:
        """Its exit code once it has ended. Raises AssertionError if it does not."""
        if not self.ended.wait(timeout):
            raise AssertionError(f"process {self.pid} did not end within {timeout:.0f} s\n{self.words()}")
        return self.code

    def end(self) -> int | None:
        """Ask it to end in order, and insist."""
        self.thaw()
        self.signal(signal.SIGTERM)
        if not self.ended.wait(PATIENCE):
            self.kill()
        return self.code

    def words(self, most: int = 25) -> str:
        lines = self.output.read_text("utf-8", "replace").splitlines() if self.output.exists() else []
        return "\n".join(line[:500] for line in lines[-most:])

    def said(self, event: str, *, nth: int = 1, timeout: float = PATIENCE) -> Line:
        """The nth line with that event, waited for."""
        for _ in range(int(timeout / POLL)):
            found = [line for line in self.lines() if line.get("event") == event]
            if len(found) >= nth:
                return found[nth - 1]
            if self.ended.wait(POLL):
                break
        raise AssertionError(f"process {self.pid} did not say {event!r}\n{self.words()}")

    def lines(self) -> list[Line]:
        """Its JSON lines up to now."""
        whole = self.output.read_bytes().split(b"\n")[:-1] if self.output.exists() else []
        return [json.loads(line) for line in whole if line.startswith(b"{")]


class Nursery:
    """Forks executors; one for a world, or shared by worlds."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._born: queue.Queue[int] = queue.Queue()
        self._living: dict[int, Forked] = {}
        self._unclaimed: dict[int, int] = {}
        self._lock = threading.Lock()
        self._count = 0
        with (folder / "nursery.stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.kill_executor"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=clean_environment(folder),
            )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = json.loads(raw)
            match line["event"]:
                case "ready":
                    self._ready.set()
                case "forked":
                    self._born.put(line["pid"])
                case "ended":
                    with self._lock:
                        child = self._living.pop(line["pid"], None)
                        if child is None:
                            self._unclaimed[line["pid"]] = line["code"]
                        else:
                            child.code = line["code"]
                            child.ended.set()

    def bear(self, folder: Path, name: str, **order: Any) -> Forked:
        """Fork a process whose words go to `folder`; `order`: see kill_executor.py."""
        assert self._ready.wait(START_PATIENCE), "the nursery did not start"
        assert self.process.stdin is not None
        self._count += 1
        output = folder / f"{name}.{self._count:05d}.out"
        told = {"output": str(output), **order}
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        self.process.stdin.flush()
        pid = self._born.get(timeout=START_PATIENCE)
        child = Forked(pid, output)
        with self._lock:
            code = self._unclaimed.pop(pid, None)
            if code is None:
                self._living[pid] = child
        if code is not None:
            child.code = code
            child.ended.set()
        return child

    def close(self) -> None:
        with self._lock:
            living = list(self._living.values())
        for child in living:
            child.thaw()
            child.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()


class FaultWorld(World):
    """A simulated terminal, a scripted brain in this process, and executors that come and go."""

    def __init__(
        self, folder: Path, *, manners: Manners | None = None, nursery: Nursery | None = None
    ) -> None:
        """`nursery`: one that other worlds use too; its owner closes it."""
        super().__init__(folder, manners=manners)
        self.brain: CampaignBrain = CampaignBrain(manners)
        self._own_nursery = nursery is None
        self.nursery = nursery or Nursery(folder / "executors")
        self.forked: list[Forked] = []

    def begin(self, *, terminal: Iterable[str] = (), **settings: Any) -> None:
        """Terminal and brain, and the executor's settings; no executor yet."""
        self.brain.open()
        self.start_terminal(*terminal)
        self.configure(log={"level": "warning"}, **settings)

    def fork(self, *, point: Point | None = None, config: Path | None = None, **order: Any) -> Forked:
        """A new executor. `order`: nth, linger, weakened, quick, clock."""
        if point is not None:
            order["point"] = str(point)
        return self._bear(
            "executor",
            config=str(config or self.config),
            environment={"MEDULLA_BRAIN__API_KEY": self.brain.api_key},
            **order,
        )

    def _bear(self, name: str, **order: Any) -> Forked:
        child = self.nursery.bear(self.folder, name, **order)
        self.forked.append(child)
        return child

    def start_terminal(self, *options: str) -> Forked:  # type: ignore[override]
        """From the nursery too; the first start chooses ports, later ones take the same."""
        ports = [
            text
            for name in ("command_port", "stream_port", "control_port")
            for text in (f"--{name.replace('_', '-')}", str(self._ports.get(name, 0)))
        ]
        told = [
            *ports, "--ledger", str(self.folder / "ledger.jsonl"), "--key-file", str(self.folder / "terminal.key"),
            "--balance", "1000000", *options,
        ]  # fmt: skip
        started = self._bear("terminal", terminal=told)
        self.terminal = started  # type: ignore[assignment]
        self._ports = started.said("ready", timeout=START_PATIENCE)
        return started

    def end_in_order(self, executor: Forked) -> list[str]:
        """Ask the executor to end, then the terminal; what was wrong with the executor's end, for a campaign's complaints."""
        code = executor.end()
        told = [] if code == 0 else [f"the executor ended with {code}: {executor.words(5)}"]
        self.terminal.end()
        return told

    def journal_sound(self) -> bool:
        """Whether the chain of the journal that was left behind holds."""
        with JournalReader(self.journal_file) as reader:
            return reader.check_chain().sound

    def close(self) -> None:
        for child in self.forked:
            child.thaw()
            child.kill()
        if self._own_nursery:
            self.nursery.close()
        super().close()
