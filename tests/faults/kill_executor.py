"""Executors and terminals started from a process that has imported everything: `python -m tests.faults.kill_executor`.

One JSON order a line on stdin, one forked process for each, its beginning and its end as lines on stdout. The executor is the
product's own (`medulla run`), built over the adapters of kill_points.py and, where the order says so, weakened. POSIX only.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import app.domain.reconcile
from app.adapters.brain_options import BrainOptions, BrainTimings
from app.cli.main import main as program
from app.cli.run import run_engine
from app.domain.errors import ConfigurationError
from app.protocol.reconnect import ReconnectRules
from app.settings import load_settings

from .kill_points import COMPOSED, KillSwitch, Point, install
from .kill_weakened import WEAKENED

IMPORTED_LATE = (
    "app.adapters.log_files",
    "app.cli.main",
    "app.sim.run",
    "h11",
    "stringprep",
    "encodings.idna",
    "pydantic.v1",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "alembic.runtime.migration",
)
"""What a start of the engine would import for itself, at half a second each time."""
_PR_SET_PDEATHSIG = 1
QUICK = {
    "ping_interval": 0.5,
    "pong_timeout": 1.0,
    "close_timeout": 0.2,
    "open_timeout": 2.0,
    "base": 0.05,
    "cap": 0.3,
    "attempts": 10_000,
    "protocol_wait": 0.3,
}
"""Seconds, and attempts a minute: the reconnection of PROTOCOL §7 made quick, so that thousands of cuts fit into minutes."""


def main() -> None:
    """Serve orders until stdin ends."""
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    awake, waker = os.pipe()
    for descriptor in (awake, waker):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _say({"event": "ready"})
    waiting = b""
    while True:
        readable, _, _ = select.select([0, awake], [], [])
        if awake in readable:
            os.read(awake, 4096)
            _bury()
        if 0 in readable:
            read = os.read(0, 65536)
            if not read:
                return
            *orders, waiting = (waiting + read).split(b"\n")
            for order in orders:
                _bear(json.loads(order), (awake, waker))


def _bury() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say({"event": "ended", "pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _bear(order: Mapping[str, Any], mine: tuple[int, int]) -> None:
    pid = os.fork()
    if pid != 0:
        _say({"event": "forked", "pid": pid})
        return
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _die_with_parent()
        for descriptor in mine:
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        random.seed()
        code = _become_terminal(order["terminal"]) if "terminal" in order else _become(order)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with_parent() -> None:
    """No executor outlives its campaign."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _become_terminal(options: Sequence[str]) -> int:
    """`medulla sim` with these options."""
    sys.argv = ["medulla", "sim", *options]
    try:
        program()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def _become(order: Mapping[str, Any]) -> int:
    """The product, from here on. Returns its exit code."""
    os.environ.update(order.get("environment", {}))
    try:
        settings = load_settings(Path(order["config"]), {}, os.environ)
    except ConfigurationError as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    weakened = order.get("weakened")
    if weakened is not None:
        WEAKENED[weakened](settings)
    if order.get("quick", False):
        _make_quick()
    if "absence" in order:
        app.domain.reconcile.ABSENCE_IS_FINAL_AFTER = timedelta(seconds=order["absence"])
    if "clock" in order:
        _shift_clock(Path(order["clock"]))
    point = order.get("point")
    install(
        KillSwitch(None if point is None else Point(point), order.get("nth", 1), order.get("linger", 0.0))
    )
    return int(run_engine(settings))


def _make_quick() -> None:
    base: Any = COMPOSED["WebSocketBrainLink"]
    rules = ReconnectRules(
        base=QUICK["base"],
        cap=QUICK["cap"],
        attempts=int(QUICK["attempts"]),
        protocol_wait=QUICK["protocol_wait"],
    )
    timings = BrainTimings(
        ping_interval=QUICK["ping_interval"],
        pong_timeout=QUICK["pong_timeout"],
        open_timeout=QUICK["open_timeout"],
        close_timeout=QUICK["close_timeout"],
        reconnect=rules,
    )

    class Link(base):  # type: ignore[misc]
        def __init__(self, options: BrainOptions, *rest: Any, **more: Any) -> None:
            super().__init__(replace(options, timings=timings), *rest, **more)

    COMPOSED["WebSocketBrainLink"] = Link


def _shift_clock(file: Path) -> None:
    """The wall clock of this process is off by as many seconds as `file` says, read again at SIGUSR1."""
    base: Any = COMPOSED["SystemClock"]
    offset = [_seconds(file)]

    class Clock(base):  # type: ignore[misc]
        def now(self) -> datetime:
            real: datetime = super().now()
            return real + timedelta(seconds=offset[0])

    def read_again(*_: object) -> None:
        offset[0] = _seconds(file)

    signal.signal(signal.SIGUSR1, read_again)
    COMPOSED["SystemClock"] = Clock


def _seconds(file: Path) -> float:
    return float(file.read_text()) if file.exists() else 0.0


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
