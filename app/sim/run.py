"""The simulated terminal as a program: signals, the parent's end, one line when it serves, exit codes."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable

from app.domain.errors import ConfigurationError
from app.protocol import strict_json
from app.sim.account import LOGIN
from app.sim.config import SimConfig
from app.sim.control import serve_control
from app.sim.ledger import LedgerDamaged, LedgerFailed
from app.sim.sockets import PortInUse
from app.sim.terminal import SimulatedTerminal

DONE, FAILED, WRONG_USAGE = 0, 1, 2


def run_sim(config: SimConfig, *, exit_with_parent: bool = False) -> int:
    """Serve until SIGINT, SIGTERM or (if asked) the end of stdin. Returns the exit code; says what went wrong."""
    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(_serve(config, exit_with_parent))
    except ConfigurationError as fault:
        return _say(str(fault), WRONG_USAGE)
    except (PortInUse, LedgerDamaged, LedgerFailed) as fault:
        return _say(str(fault), FAILED)
    except ExceptionGroup as group:
        failed = group.subgroup(LedgerFailed)
        if failed is None or failed != group:
            raise
        return _say(
            "the ledger can no longer be written, so nothing may be traded: " + _first(failed), FAILED
        )
    except KeyboardInterrupt:
        return DONE
    return DONE


async def _serve(config: SimConfig, exit_with_parent: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.call_soon_threadsafe(ended.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end())
    async with SimulatedTerminal(config) as terminal:
        ready = {
            "event": "ready",
            "command_port": terminal.command_port,
            "stream_port": terminal.stream_port,
            "login": LOGIN,
            "ledger": None if config.ledger is None else str(config.ledger),
        }
        if config.control_port is not None:
            ready["control_port"] = serve_control(terminal, config.control_port)
        # What is loaded by now stays; a collector that walks it again and again would only delay trades.
        gc.collect()
        gc.freeze()
        _print(ready)
        if exit_with_parent:
            threading.Thread(target=_watch_parent, args=(end,), name="parent watch", daemon=True).start()
        await ended.wait()


def _watch_parent(end: Callable[[], None]) -> None:
    """The parent holds the other end of stdin; when it dies, reading ends. (No loop on Windows can wait for a pipe.)"""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    end()


def _first(group: ExceptionGroup[LedgerFailed]) -> str:
    fault: Exception = group
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return str(fault)


def _print(message: dict[str, object]) -> None:
    sys.stdout.write(strict_json.dumps(message) + "\n")
    sys.stdout.flush()


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"medulla sim: {text}\n")
    return code
