"""A bare executor for tests: speaks the terminal's wire byte by byte, and can misspeak it on purpose.

It shares the frames with the product, but none of the client's session logic, so that it can break the rules.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from app.protocol import ea_frames as frames
from app.protocol.ea_frames import Reply, Request, StreamEvent
from app.sim.config import SimConfig
from app.sim.terminal import SimulatedTerminal

PATIENCE = 5.0
"""Seconds after which a reply that should come counts as lost."""
TAG = "Mabcdefg"


class Client:
    """One DEALER connection with one session."""

    def __init__(self, port: int, key: bytes, *, role: str = "command", instance: str | None = None) -> None:
        self.key = key
        self.role = role
        self.instance = instance or secrets.token_hex(16)
        self.sid = ""
        self.id = 0
        self.epoch = 0
        self.ttl = 5000
        self.started = time.monotonic()
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def close(self) -> None:
        self.context.destroy(linger=0)

    def now(self) -> int:
        """Milliseconds on a clock that begins at any number: only its running matters."""
        return 1_000_000 + int((time.monotonic() - self.started) * 1000)

    async def send_body(self, body: bytes, mac: bytes | None = None) -> None:
        await self.socket.send_multipart([body, frames.seal(self.key, body) if mac is None else mac])

    def make(self, cmd: str, args: dict[str, Any], **changes: Any) -> Request:
        self.id += 1
        fields: dict[str, Any] = {
            "cmd": cmd, "id": self.id, "sid": self.sid, "epoch": self.epoch,
            "ts": self.now(), "ttl": self.ttl, "args": args,
        }  # fmt: skip
        return Request(**(fields | changes))

    async def send(self, cmd: str, args: dict[str, Any], **changes: Any) -> Request:
        request = self.make(cmd, args, **changes)
        await self.send_body(frames.encode_request(request))
        return request

    async def receive(self, timeout: float = PATIENCE) -> Reply:
        body, mac = await asyncio.wait_for(self.socket.recv_multipart(), timeout)
        return frames.decode_reply(frames.open_sealed(self.key, body, mac))

    async def ask(self, cmd: str, args: dict[str, Any] | None = None, **changes: Any) -> Reply:
        """Send and wait for the answer to exactly this request."""
        request = await self.send(cmd, args or {}, **changes)
        while True:
            reply = await self.receive()
            if reply.re == request.id:
                return reply

    def hello_body(self, nonce: str | None = None) -> bytes:
        args = {
            "nonce": nonce or secrets.token_hex(16), "role": self.role, "instance": self.instance,
            "executor": "exec_test", "version": "0",
        }  # fmt: skip
        hello = Request("hello", 0, "", self.epoch, self.now(), 2000, args)
        return frames.encode_request(hello)

    async def hello(self) -> Reply:
        await self.send_body(self.hello_body())
        reply = await self.receive()
        if reply.ok:
            self.sid, self.id = reply.sid, 0
            self.epoch = max(self.epoch, reply.data["epoch"])
        return reply

    async def begin(self) -> Reply:
        """Hello and the first frame: from here the session is active."""
        welcome = await self.hello()
        if welcome.ok:
            await self.ask("heartbeat")
        return welcome

    async def silence(self) -> None:
        """Nothing unanswered is under way: the next reply belongs to a heartbeat sent now."""
        request = await self.send("heartbeat", {})
        assert (await self.receive()).re == request.id

    async def open(
        self, cid: str, symbol: str = "EURUSD", side: str = "BUY", volume: str = "0.10", **args: Any
    ) -> Reply:
        return await self.ask("open", open_args(symbol, side, volume, **args), cid=cid)


def open_args(symbol: str = "EURUSD", side: str = "BUY", volume: str = "0.10", **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol, "side": side, "volume": volume, "deviation": 20, "magic": "4711",
        "comment": TAG + "-test", "tag": TAG, "max_attempts": 3,
    } | more  # fmt: skip


def place_args(
    kind: str, price: str, symbol: str = "EURUSD", volume: str = "0.10", **more: Any
) -> dict[str, Any]:
    return {
        "symbol": symbol, "kind": kind, "volume": volume, "price": price, "magic": "4711",
        "comment": TAG + "-test", "tag": TAG, "max_attempts": 3,
    } | more  # fmt: skip


def close_args(ticket: str, **more: Any) -> dict[str, Any]:
    return {"ticket": ticket, "deviation": 20, "tag": TAG, "max_attempts": 3} | more


async def until(condition: Callable[[], bool]) -> None:
    """Let the terminal run until something has become true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


class Listener:
    """The stream, as an executor hears it."""

    def __init__(self, port: int, key: bytes) -> None:
        self.key = key
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.set(zmq.SUBSCRIBE, b"")
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    async def next(self, *kinds: str, timeout: float = PATIENCE) -> StreamEvent:
        """The next event of one of these kinds."""
        while True:
            topic, body, mac = await asyncio.wait_for(self.socket.recv_multipart(), timeout)
            event = frames.decode_event(frames.open_sealed(self.key, body, mac))
            assert event.topic.encode() == topic
            if not kinds or event.ev in kinds:
                return event

    def close(self) -> None:
        self.context.destroy(linger=0)


def config(folder: Path, **changes: Any) -> SimConfig:
    """A still market on free ports, everything in one folder."""
    fields: dict[str, Any] = {
        "command_port": 0, "stream_port": 0, "key_file": folder / "key", "ledger": folder / "ledger.jsonl",
        "tick_rate": 0.0,
    }  # fmt: skip
    return SimConfig(**(fields | changes))


@asynccontextmanager
async def terminal_and_client(
    folder: Path, **changes: Any
) -> AsyncIterator[tuple[SimulatedTerminal, Client]]:
    """A serving terminal and an executor whose session is active."""
    async with SimulatedTerminal(config(folder, **changes)) as terminal:
        client = Client(terminal.command_port, terminal.key)
        try:
            await client.begin()
            yield terminal, client
        finally:
            client.close()
