"""The executor as it is, with a tape running: `python -m tests.faults.stop_executor --tape FILE [--without NAME]… -- run …`.

It notes what the program does at two places (the latch, the hand-over to ZeroMQ), can block the event loop when a signal says so,
and can leave out one safeguard (stop_weakened.py) to show that the campaign would notice. Nothing of app/ knows of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import zmq

from app.cli.main import main
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.engine.latch import Latch

from .stop_tape import BLOCKED, FREE, LATCHED, NOT_SENT, RELEASED, SENT, TapeWriter
from .stop_weakened import WEAKENINGS

TRADES = frozenset({"open", "place", "modify", "close", "cancel", "close_all"})


def watch_latch(tape: TapeWriter) -> None:
    """Note when the latch falls and when it is released, both while its own lock is held.

    Every send holds the same lock, so a send's two readings never overlap these: they lie wholly before or wholly after.
    """
    engage, adopt = Latch.engage, Latch.adopt

    def watched_engage(self: Latch, *, reason: str, by: Actor, at: datetime) -> TradingStatus:
        with self.hold():
            first = self.state is not TradingState.HALTED
            before = time.monotonic()
            status = engage(self, reason=reason, by=by, at=at)
            tape.note(LATCHED, before, time.monotonic(), "first" if first else "again", reason)
            return status

    def watched_adopt(self: Latch, status: TradingStatus, *, unless_stopped_since: int) -> bool:
        with self.hold():
            halted = self.state is TradingState.HALTED
            before = time.monotonic()
            adopted = adopt(self, status, unless_stopped_since=unless_stopped_since)
            if adopted and halted:
                tape.note(RELEASED, before, time.monotonic(), "", str(status.epoch))
            return adopted

    Latch.engage = watched_engage  # type: ignore[method-assign]
    Latch.adopt = watched_adopt  # type: ignore[method-assign]


def watch_sockets(tape: TapeWriter) -> None:
    """Note every trade that any part of the process hands to any ZeroMQ socket."""
    send = zmq.Socket.send_multipart

    def watched_send(self: zmq.Socket[Any], parts: Sequence[Any], *args: Any, **options: Any) -> Any:
        trade = _trade(parts)
        if trade is None:
            return send(self, parts, *args, **options)
        before = time.monotonic()
        try:
            done = send(self, parts, *args, **options)
        except zmq.ZMQError:
            tape.note(NOT_SENT, before, time.monotonic(), *trade)
            raise
        tape.note(SENT, before, time.monotonic(), *trade)
        return done

    zmq.Socket.send_multipart = watched_send  # type: ignore[method-assign,assignment]


def _trade(parts: Sequence[Any]) -> tuple[str, str] | None:
    """(command id, command) if one of the parts is a trade for the terminal."""
    for part in parts:
        if isinstance(part, bytes) and part.startswith(b"{") and b'"cid"' in part:
            try:
                message = json.loads(part)
            except ValueError:
                continue
            if message.get("cmd") in TRADES:
                return str(message["cid"]), str(message["cmd"])
    return None


def block_on_signals(tape: TapeWriter, seconds: float) -> None:
    """SIGUSR1: the loop's thread sleeps; SIGUSR2: it computes, so that other threads must fight for the interpreter.

    As a callback of the loop, as a slow one would: the signal itself may come in the middle of a hand-over, where nothing of the
    program can block, and under whose lock a stop waits.
    """

    def block(wait: Callable[[float], None]) -> Callable[[int, object], None]:
        def act() -> None:
            tape.note(BLOCKED, time.monotonic(), time.monotonic())
            wait(seconds)
            tape.note(FREE, time.monotonic(), time.monotonic())

        return lambda _number, _frame: void(asyncio.get_running_loop().call_soon_threadsafe(act))

    def compute(duration: float) -> None:
        end = time.monotonic() + duration
        while time.monotonic() < end:
            sum(range(200))

    signal.signal(signal.SIGUSR1, block(lambda duration: void(threading.Event().wait(duration))))
    signal.signal(signal.SIGUSR2, block(compute))


def void(_done: object) -> None:
    """A wait's answer that nobody needs."""


def start(arguments: Sequence[str]) -> None:
    """Read the options before `--`, set everything up, and become the program."""
    split = arguments.index("--")
    options = argparse.ArgumentParser(prog="stop_executor")
    options.add_argument("--tape", type=Path, required=True)
    options.add_argument("--block-seconds", type=float, default=5.0)
    options.add_argument("--without", action="append", default=[], choices=sorted(WEAKENINGS))
    chosen = options.parse_args(arguments[:split])
    tape = TapeWriter(chosen.tape)
    # A weakened latch is watched like a sound one: the watch goes around it.
    for name in chosen.without:
        WEAKENINGS[name].leave_out()
    watch_latch(tape)
    watch_sockets(tape)
    block_on_signals(tape, chosen.block_seconds)
    sys.argv = ["medulla", *arguments[split + 1 :]]
    main()


if __name__ == "__main__":
    start(sys.argv[1:])
