"""Which terminal the demo trades on: the simulated one, or the Expert Advisor itself, compiled for this machine.

The Expert Advisor's bench belongs to the tests, so it is there in a checkout only; nothing of it is imported, it is a process.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from app.adapters.key_file import load_or_create_key
from app.cli.processes import Child, ChildFailed

_READY = 60.0
_BUILD = 300.0
"""Seconds for the compiler, the first time."""
_CHECKOUT = Path(__file__).resolve().parents[2]
_BENCH = "tests.mql5_host"
_BALANCE = 100_000
_MARKET = (
    f"deposit {_BALANCE - 10_000}",  # the bench's account starts with 10 000
    "symbol USDJPY digits 3 contract 1000",  # counted in dollars there: a small contract keeps its margin plausible
    "price USDJPY 149.850 149.860",
)
"""What the bench is told, so that the brain's default symbols can be traded."""


class DemoTerminal(Enum):
    SIM = "sim"
    EA_HOST = "ea-host"
    EA_HOST_NODLL = "ea-host-nodll"


@dataclass(frozen=True, slots=True)
class StartedTerminal:
    """A terminal that is there for the executor."""

    name: str
    command_port: int
    stream_port: int
    transport: str
    ledger: Path


StartChild = Callable[..., Child]
"""As Child(name, arguments, environment=, module=), with the folder known and the end arranged."""


def start_terminal(kind: DemoTerminal, folder: Path, seed: int, start: StartChild) -> StartedTerminal:
    """Raises ChildFailed if it does not come up, or cannot on this machine."""
    ledger = folder / "ledger.jsonl"
    files = ["--ledger", str(ledger), "--key-file", str(folder / "terminal.key")]
    if kind is DemoTerminal.SIM:
        ports = ["--command-port", "0", "--stream-port", "0"]
        rest = ["--seed", str(seed), "--balance", str(_BALANCE), "--exit-with-parent"]
        ready = start("terminal", ["sim", *ports, *files, *rest]).wait_for("ready", _READY)
        return _started("simulated terminal", ready, "connect", ledger)
    _demand_bench()
    load_or_create_key(folder / "terminal.key")
    front = "Medulla" if kind is DemoTerminal.EA_HOST else "MedullaNoDll"
    bench = start(
        "terminal",
        # The demo sends in seconds what a day of trading sends.
        [
            "--front",
            front,
            *files,
            "--folder",
            str(folder / "terminal"),
            "--input",
            "InpMaxOrdersPerMinute=0",
        ],
        environment={"PYTHONPATH": str(_CHECKOUT)},
        module=_BENCH,
    )
    ready = bench.wait_for("ready", _BUILD)
    if bench.process.stdin is not None:
        bench.process.stdin.write("".join(f"{line}\n" for line in _MARKET).encode())
        bench.process.stdin.flush()
    return _started(f"{front}.mq5", ready, "connect" if kind is DemoTerminal.EA_HOST else "listen", ledger)


def _started(name: str, ready: dict[str, Any], transport: str, ledger: Path) -> StartedTerminal:
    return StartedTerminal(name, ready["command_port"], ready["stream_port"], transport, ledger)


def _demand_bench() -> None:
    if not (_CHECKOUT / _BENCH.replace(".", "/") / "__main__.py").exists():
        raise ChildFailed("--terminal ea-host needs a checkout of the sources; this is an installed program.")
    if shutil.which("g++") is None and importlib.util.find_spec("ziglang") is None:
        raise ChildFailed("--terminal ea-host needs a C++ compiler: install g++, or `pip install ziglang`.")
