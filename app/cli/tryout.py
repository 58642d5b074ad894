"""`medulla tryout`: simulated terminal, reference brain and engine as processes in a folder of their own, for one trade and a
stop drill. It touches nothing of the user's own: other ports, other keys, another journal. The first-start wizard is its user.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from app.cli.console import ExitCode, complain, say_json
from app.cli.processes import Child, ChildFailed

EXECUTOR = "tryout"
_READY = 60.0


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(tryout)


def tryout(
    *,
    hold: Annotated[int, typer.Option(min=1, max=600, help="Seconds that the trade stays open.")] = 5,
    symbol: Annotated[str, typer.Option(help="What is traded.")] = "EURUSD",
) -> None:
    """One trade on a simulated terminal, out of harm's way; one JSON line for each step, until standard input is closed."""
    # A variable of the user's would beat the try-out's own configuration, and point it at the real journal.
    for name in [name for name in os.environ if name.upper().startswith("MEDULLA_")]:
        del os.environ[name]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medulla-tryout-")))
        try:
            _start(stack, folder, f"once:symbol={symbol},hold={hold}")
        except ChildFailed as fault:
            complain(f"medulla tryout: {fault}")
            raise typer.Exit(ExitCode.FAILED) from None
        while sys.stdin.buffer.read(4096):
            pass


def _start(stack: ExitStack, folder: Path, strategy: str) -> None:
    """Raises ChildFailed."""

    def child(name: str, arguments: list[str], environment: dict[str, str] | None = None) -> Child:
        started = Child(
            name, [*arguments, "--exit-with-parent"], folder=folder, environment=environment or {}
        )
        stack.callback(started.end)
        return started

    ports = ["--command-port", "0", "--stream-port", "0"]
    key_file = folder / "terminal.key"
    terminal = child("terminal", ["sim", *ports, "--key-file", str(key_file)]).wait_for("ready", _READY)
    _step("terminal", f"simulated, port {terminal['command_port']}")
    api_key = secrets.token_urlsafe(24)
    files = ["--db", str(folder / "brain.db"), "--key-file", str(folder / "brain.key")]
    brain = child(
        "brain",
        ["brain", "--port", "0", *files, "--executor-id", EXECUTOR, "--strategy", strategy, "--json"],
        {"MEDULLA_BRAIN_API_KEY": api_key},
    ).wait_for("ready", _READY)
    _step("brain", f"port {brain['port']}, signs with {brain['keyId']}")
    config = _write_config(folder, terminal, brain)
    engine = child(
        "engine", ["run", "--headless", "--config", str(config)], {"MEDULLA_BRAIN__API_KEY": api_key}
    )
    engine.wait_for("ready", _READY)
    _step("engine", "connected and reconciled")
    say_json({"event": "running", "config": str(config)})


def _step(name: str, detail: str) -> None:
    say_json({"event": "step", "name": name, "detail": detail})


def _write_config(folder: Path, terminal: dict[str, Any], brain: dict[str, Any]) -> Path:
    config = folder / "config.yaml"
    settings = {
        "data_folder": str(folder),
        "brain": {
            "url": f"ws://127.0.0.1:{brain['port']}",
            "executor_id": EXECUTOR,
            "signing_keys": {brain["keyId"]: brain["publicKey"]},
        },
        "terminal": {
            "command_port": terminal["command_port"],
            "stream_port": terminal["stream_port"],
            "key_file": str(folder / "terminal.key"),
        },
        "api": {"port": 0},
        "safety": {"max_volume_per_order": "0.10", "max_positions": 2, "max_daily_loss": 100},
    }
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return config
