"""The processes of the system, started as a user starts them, killed as a machine kills them, ended with the test.

What they say is kept in files beside their data and shown when a test fails. No expectation about trading lives here.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from app.adapters.journal_queries import CommandFilter, unacknowledged
from app.adapters.journal_reader import JournalReader
from app.cli.demo_audit import read_ledger
from app.sim.control import control

from .scripted_brain import KEY_ID, PATIENCE, Manners, ScriptedBrain

Line = dict[str, Any]
WIDE = {"max_orders_per_second": 100_000, "max_orders_per_minute": 1_000_000}
"""Throttles that a test with hundreds of commands does not meet."""
POLL = 0.02


def clean_environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the machine's own Medulla: no variable, no data folder, no keyring."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDULLA_")}
    return {
        **kept,
        "XDG_DATA_HOME": str(folder / "home"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        **(more or {}),
    }


def until(condition: Callable[[], bool], what: str, *, timeout: float = PATIENCE) -> None:
    """For what nobody announces (files, other processes): look again until it holds."""
    tick = threading.Event()
    for _ in range(int(timeout / POLL)):
        if condition():
            return
        tick.wait(POLL)
    raise AssertionError(f"{what}: not within {timeout:.0f} s")


def freeze(pid: int) -> None:
    """SIGSTOP, and nothing of it runs when this returns: the signal alone leaves its threads what they have begun."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    if tasks.is_dir():
        until(lambda: all(_stands_still(task) for task in tasks.iterdir()), f"process {pid} stands still")


def _stands_still(task: Path) -> bool:
    """One thread; one that has ended does."""
    try:
        stat = (task / "stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in ("T", "t", "Z", "X")


class Process:
    """One `medulla …` process: its JSON lines, its last words, its certain end."""

    def __init__(
        self,
        name: str,
        arguments: Iterable[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        module: str = "app",
    ) -> None:
        self.name = name
        self.folder = folder
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._closed = False
        number = 1 + sum(1 for _ in folder.glob(f"{name}.*.stderr"))
        self._output = folder / f"{name}.{number}.stdout"
        self._errors = folder / f"{name}.{number}.stderr"
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=clean_environment(folder, environment),
            )
        self._reader = threading.Thread(target=self._read, name=f"{name} output", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self._output.open("ab") as copy:
            for raw in self.process.stdout:
                copy.write(raw)
                copy.flush()
                try:
                    line = json.loads(raw)
                except ValueError:
                    continue
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def said(
        self, event: str, *, nth: int = 1, where: Callable[[Line], bool] | None = None, timeout: float = 60.0
    ) -> Line:
        """The nth line with that `event`, waited for."""

        def found() -> list[Line]:
            return [
                line for line in self.lines if line.get("event") == event and (where is None or where(line))
            ]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= nth or self._closed, timeout)
            lines = found()
        if len(lines) < nth:
            raise AssertionError(
                f"{self.name} did not say {event!r} ({nth}) within {timeout:.0f} s\n{self.words()}"
            )
        return lines[nth - 1]

    def words(self, most: int = 25) -> str:
        """The last lines of both outputs."""
        parts = []
        for file in (self._output, self._errors):
            text = file.read_text("utf-8", "replace").splitlines()[-most:] if file.exists() else []
            parts += [f"{file.name}: {line[:500]}" for line in text]
        return "\n".join(parts)

    def kill(self) -> None:
        """As the kernel does when memory is gone: no last word, no clean-up."""
        self.process.kill()
        self._gone()

    def freeze(self) -> None:
        freeze(self.process.pid)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self, timeout: float = 30.0) -> int:
        """Ask it to end, and insist. Returns its exit code."""
        if self.alive:
            self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self._gone()

    def exit_code(self, timeout: float = 60.0) -> int:
        """Wait for it to end by itself."""
        self.process.wait(timeout)
        return self._gone()

    def _gone(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        return code


class World:
    """One simulated terminal, one executor, one scripted brain, in a folder of their own."""

    def __init__(self, folder: Path, *, manners: Manners | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.brain = ScriptedBrain(manners)
        self.executor_module = "app"
        """What `python -m` starts as the executor."""
        self.processes: list[Process] = []
        self._ports: Line = {}
        self._settings: dict[str, Any] = {}

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.db"

    @property
    def stop_file(self) -> Path:
        return self.folder / "STOP"

    # ------------------------------------------------------------ processes

    def start(
        self,
        *,
        terminal: Iterable[str] = (),
        unsigned: bool = False,
        safety: Mapping[str, Any] | None = None,
        **more: Mapping[str, Any],
    ) -> None:
        """All three, until the brain has got STATE. `more`: further settings, as `terminal_settings`, `queue`, …"""
        self.brain.open()
        self.start_terminal(*terminal)
        self.configure(unsigned=unsigned, safety=safety, **more)
        self.start_executor()
        self.brain.heard("STATE")

    def configure(
        self,
        *,
        unsigned: bool = False,
        safety: Mapping[str, Any] | None = None,
        terminal_settings: Mapping[str, Any] | None = None,
        **more: Mapping[str, Any],
    ) -> None:
        brain: dict[str, Any] = {"url": self.brain.url, "executor_id": self.brain.executor_id}
        brain |= {"allow_unsigned": True} if unsigned else {"signing_keys": {KEY_ID: self.brain.public_key}}
        self._settings = {
            "data_folder": str(self.folder),
            "brain": brain,
            "terminal": {
                "command_port": self._ports["command_port"],
                "stream_port": self._ports["stream_port"],
                **(terminal_settings or {}),
            },
            "api": {"port": 0},
            "safety": {**WIDE, **(safety or {})},
            **more,
        }
        self.config.write_text(yaml.safe_dump(self._settings), encoding="utf-8")

    def process(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        module: str = "app",
    ) -> Process:
        started = Process(name, arguments, self.folder, environment, module)
        self.processes.append(started)
        return started

    def start_terminal(self, *options: str) -> Process:
        """The first start chooses ports, later ones take the same."""
        ports = [
            text
            for name in ("command_port", "stream_port", "control_port")
            for text in (f"--{name.replace('_', '-')}", str(self._ports.get(name, 0)))
        ]
        self.terminal = self.process(
            "terminal", "sim", *ports, "--ledger", str(self.folder / "ledger.jsonl"),
            "--key-file", str(self.folder / "terminal.key"), "--balance", "100000", "--exit-with-parent", *options,
        )  # fmt: skip
        self._ports = self.terminal.said("ready")
        return self.terminal

    def start_executor(
        self, *options: str, environment: Mapping[str, str] | None = None, ready: bool = True
    ) -> Process:
        self.executor = self.process(
            "executor", "run", "--headless", "--config", str(self.config), "--exit-with-parent", *options,
            environment={"MEDULLA_BRAIN__API_KEY": self.brain.api_key, **(environment or {})},
            module=self.executor_module,
        )  # fmt: skip
        if ready:
            self.executor.said("ready")
        return self.executor

    def medulla(self, *arguments: str, config: bool = True) -> subprocess.CompletedProcess[str]:
        """A command line in a process of its own, as a person or a script uses it."""
        given = [*arguments, "--config", str(self.config)] if config else list(arguments)
        return run_medulla(self.folder, *given)

    def status(self) -> Line:
        done = self.medulla("status", "--json")
        assert done.returncode == 0, done.stderr
        found: Line = json.loads(done.stdout)
        return found

    def release(self) -> None:
        """Trading again after a stop, through the local API; as often as a late press of the same stop undoes it."""
        self.stop_file.unlink(missing_ok=True)
        until(self._is_released, "active after reset and resume")

    def _is_released(self) -> bool:
        code, asked = ask_engine(self.folder, "POST", "/reset/challenge")
        if code == 200:
            ask_engine(self.folder, "POST", "/reset", word=asked["word"], note="end of the test", by="tests")
        ask_engine(self.folder, "POST", "/resume", by="tests")
        _code, found = ask_engine(self.folder, "GET", "/status")
        return bool(found["status"]["state"] == "ACTIVE" and found["ready"])

    def reset_and_resume(self) -> None:
        """The two deliberate steps, and the third act."""
        asked = self.medulla("reset", "--json")
        assert asked.returncode == 0, asked.stderr
        done = self.medulla("reset", "--word", json.loads(asked.stdout)["word"], "--note", "looked at it")
        assert done.returncode == 0, done.stderr
        done = self.medulla("resume")
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        for process in reversed(self.processes):
            if process.process.stdin is not None and not process.process.stdin.closed:
                if process.alive:
                    process.thaw()
                process.end()
        self.brain.close()

    # ------------------------------------------------------------ what happened

    def hand(self, cmd: str, **args: Any) -> Any:
        """What a broker, a market or a person at the terminal does."""
        key = bytes.fromhex((self.folder / "terminal.key").read_text().strip())
        return control(self._ports["control_port"], key, cmd, args, timeout=PATIENCE)

    @contextmanager
    def still(self) -> Iterator[None]:
        """A market that moves only where the test puts it."""
        self.hand("freeze", frozen=True)
        try:
            yield
        finally:
            self.hand("freeze", frozen=False)

    def sees_price(self, symbol: str, bid: str, ask: str) -> None:
        """Until the executor itself has this price: its gate judges by what it has, and a price needs its way."""
        wanted = (symbol, Decimal(bid), Decimal(ask))

        def there() -> bool:
            quotes = ask_engine(self.folder, "GET", "/quotes")[1]["quotes"]
            return wanted in [(q["symbol"], Decimal(q["bid"]), Decimal(q["ask"])) for q in quotes]

        until(there, f"the executor sees {symbol} at {bid}/{ask}")

    def sees_position(self, ticket: str | int) -> None:
        """Until the executor's own picture has this position: the answer to its command may come before the event."""

        def there() -> bool:
            positions = ask_engine(self.folder, "GET", "/positions")[1]["positions"]
            return str(ticket) in [position["ticket"] for position in positions]

        until(there, f"the executor sees position {ticket}")

    def ledger(self, command_id: str | None = None) -> list[Line]:
        """The terminal's own book, of one command or whole."""
        lines = read_ledger(self.folder / "ledger.jsonl")
        return lines if command_id is None else [line for line in lines if line["cid"] == command_id]

    def journal(self) -> dict[str, Line]:
        """The command table of the journal by command id."""
        with JournalReader(self.journal_file) as reader:
            return {row["id"]: row for row in reader.commands(CommandFilter())}

    def waiting_results(self) -> int:
        """How many results the journal still holds for the brain."""
        with JournalReader(self.journal_file) as reader:
            return len(reader.ask(lambda connection: unacknowledged(connection, 0, 1000)))

    def words(self) -> Iterable[tuple[str, str]]:
        """What a failed test shows."""
        for process in self.processes:
            code = process.process.poll()
            yield f"{process.name} (exit code {code})", process.words()


def ask_engine(folder: Path, method: str, path: str, **body: str) -> tuple[int, Line]:
    """The local API, as the desktop program uses it; quicker than a command line, for what is not itself the test."""
    engine = json.loads((folder / "engine.json").read_text())
    connection = http.client.HTTPConnection("127.0.0.1", engine["api_port"], timeout=PATIENCE)
    token = (folder / "api.token").read_text().strip()
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()


def trading_state(folder: Path) -> str:
    """ACTIVE, REDUCING or HALTED, of the engine that runs in this folder."""
    state: str = ask_engine(folder, "GET", "/status")[1]["status"]["state"]
    return state


def run_medulla(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=clean_environment(folder, environment),
    )
