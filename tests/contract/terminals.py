"""Terminals that the contract suite runs against, each a real process behind real sockets.

A new terminal is one class with these methods and one fixture in a test_broker_*.py.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from app.adapters.key_file import load_or_create_key
from app.adapters.mt5_zmq import Transport
from app.sim.control import control

_SIM = "import typer; from app.cli.sim import sim; typer.run(sim)"
START_TIMEOUT = 30.0


class Address(Protocol):
    """Where a terminal is, and the key it holds."""

    key: bytes
    command_port: int
    stream_port: int
    transport: Transport
    """`listen`: the terminal cannot listen, and the executor does."""


class Terminal(Address, Protocol):
    """A terminal under test, and the hand of its market. The address and the memory stay the same over a restart."""

    async def start(self) -> None: ...

    def kill(self) -> None:
        """At once, without a chance to say or write anything."""

    def close(self) -> None: ...

    def effects(self, command_id: str) -> list[dict[str, Any]]:
        """What the broker did for a command, from the broker's own book."""

    async def set_price(self, symbol: str, bid: str, ask: str) -> None: ...

    async def buy_by_hand(self, symbol: str, volume: str, times: int) -> None:
        """A person at the terminal opens so many positions, with money enough."""

    async def slow_down(self, milliseconds: int, times: int | None = None) -> None:
        """From now on every trade (or the next `times`) takes so long, one after the other."""

    async def die_after_next_effect(self) -> None:
        """The next trade is done at the broker, and the terminal dies before it can say or store the result."""

    async def swallow_next_reply(self) -> None:
        """The next trade is done, its answer is lost."""


Kind = TypeVar("Kind", bound=Terminal)


@asynccontextmanager
async def started(terminal: Kind) -> AsyncIterator[Kind]:
    """A terminal from its start to its end."""
    try:
        await terminal.start()
        yield terminal
    finally:
        terminal.close()


class SimulatedTerminalProcess:
    """`medulla sim` in a process of its own, that ends with this one."""

    transport: Transport = "connect"

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self._key_file = folder / "terminal.key"
        self.key = load_or_create_key(self._key_file)
        self.ledger = folder / "ledger.jsonl"
        self.command_port = 0
        self.stream_port = 0
        self._control_port = 0
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        arguments = {
            "--command-port": self.command_port,
            "--stream-port": self.stream_port,
            "--control-port": self._control_port,
            "--key-file": self._key_file,
            "--ledger": self.ledger,
        }
        self._process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-c", _SIM]
            + [str(part) for pair in arguments.items() for part in pair]
            + ["--tick-rate", "0", "--exit-with-parent", *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self._process.stdout is None:
            raise RuntimeError("the simulated terminal has no output")
        async with asyncio.timeout(START_TIMEOUT):
            line = await asyncio.to_thread(self._process.stdout.readline)
        ready = json.loads(line)
        self.command_port, self.stream_port = ready["command_port"], ready["stream_port"]
        self._control_port = ready["control_port"]

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def close(self) -> None:
        self.kill()

    def effects(self, command_id: str) -> list[dict[str, Any]]:
        lines = self.ledger.read_text("utf-8").splitlines() if self.ledger.exists() else []
        return [effect for effect in map(json.loads, lines) if effect.get("cid") == command_id]

    async def control(self, cmd: str, **args: Any) -> Any:
        return await asyncio.to_thread(control, self._control_port, self.key, cmd, args)

    async def set_price(self, symbol: str, bid: str, ask: str) -> None:
        await self.control("set_price", symbol=symbol, bid=bid, ask=ask)

    async def buy_by_hand(self, symbol: str, volume: str, times: int) -> None:
        await self.control("deposit", amount="100000")
        for _ in range(times):
            await self.control("manual_open", symbol=symbol, side="BUY", volume=volume)

    async def slow_down(self, milliseconds: int, times: int | None = None) -> None:
        limit = "" if times is None else f",times={times}"
        await self.control("add_fault", spec=f"slow:ms={milliseconds}{limit}")

    async def die_after_next_effect(self) -> None:
        await self.control("add_fault", spec="crash:at=after_effect,times=1")

    async def swallow_next_reply(self) -> None:
        await self.control("add_fault", spec="reply_lost:times=1")
