"""A terminal of a few lines that says exactly what a test tells it to, right or wrong.

It greets and answers heartbeats by itself while `polite`; everything else waits in `requests` for the test.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import zmq
import zmq.asyncio

from app.adapters.mt5_zmq import Transport
from app.protocol import strict_json
from app.protocol.ea_frames import (
    Reply,
    Request,
    StreamEvent,
    decode_request,
    encode_event,
    encode_reply,
    open_sealed,
    seal,
)

PERMISSIONS = {
    "connected": True, "synchronised": True, "terminal_trade_allowed": True, "ea_trade_allowed": True,
    "account_trade_allowed": True, "account_expert_allowed": True, "investor_login": False,
}  # fmt: skip
ACCOUNT = {
    "login": "1", "server": "s", "company": "c", "currency": "USD", "mode": "demo", "margin_mode": "hedging", "leverage": 100,
    "balance": "10", "credit": "0", "equity": "10", "margin": "0", "free_margin": "10",
}  # fmt: skip


class ScriptedTerminal:
    """Made by `scripted_terminal()`."""

    transport: Transport = "connect"

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.boot = secrets.token_hex(16)
        self.sid = ""
        self.epoch = 0
        self.trade_seq = 0
        self.polite = True
        self.hellos: list[Request] = []
        self.beats: list[Request] = []
        self.requests: asyncio.Queue[Request] = asyncio.Queue()
        self._news = asyncio.Event()
        self._seq: dict[str, int] = {}
        self._peer = b""
        self._context = zmq.asyncio.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._pub = self._context.socket(zmq.PUB)
        self.command_port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.stream_port = self._pub.bind_to_random_port("tcp://127.0.0.1")

    async def serve(self) -> None:
        while True:
            parts = await self._router.recv_multipart()
            if len(parts) != 3:
                continue
            self._peer, body, mac = parts
            request = decode_request(open_sealed(self.key, body, mac))
            self._news.set()
            if request.cmd == "hello":
                self.hellos.append(request)
                if self.polite:
                    await self.greet(request)
            elif request.cmd == "heartbeat":
                self.beats.append(request)
                if self.polite:
                    await self.reply(request, self.pulse())
            else:
                self.requests.put_nowait(request)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on what has come in."""
        async with asyncio.timeout(5):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def next(self) -> Request:
        async with asyncio.timeout(5):
            return await self.requests.get()

    async def greet(self, hello: Request, **changes: Any) -> None:
        self.sid = secrets.token_hex(16)
        data = {
            "nonce": hello.args["nonce"], "boot": self.boot, "terminal": "scripted", "login": "1", "epoch": self.epoch,
            "stopped": False, "stop_reason": None, "mode": "full", "protocol": 1,
        }  # fmt: skip
        await self.say(Reply(self.sid, 0, ok=True, data=data | changes))

    def pulse(self) -> dict[str, Any]:
        return {
            "permissions": PERMISSIONS, "account": ACCOUNT, "stopped": False, "epoch": self.epoch, "queue": 0,
            "trade_seq": self.trade_seq,
        }  # fmt: skip

    async def reply(self, request: Request, data: Mapping[str, Any], **changes: Any) -> None:
        fields: dict[str, Any] = {
            "sid": self.sid,
            "re": request.id,
            "ok": True,
            "cid": request.cid,
            "data": data,
        }
        await self.say(Reply(**(fields | changes)))

    async def say(self, reply: Reply) -> None:
        await self.say_body(encode_reply(reply))

    async def say_body(self, body: bytes, *, key: bytes | None = None) -> None:
        await self.say_parts([body, seal(self.key if key is None else key, body)])

    async def say_object(self, message: dict[str, Any]) -> None:
        await self.say_body(strict_json.dumps(message).encode())

    async def say_parts(self, parts: list[bytes]) -> None:
        await self._router.send_multipart([self._peer, *parts])

    async def publish(
        self,
        ev: str,
        data: Mapping[str, Any],
        *,
        skip: int = 0,
        boot: str | None = None,
        key: bytes | None = None,
    ) -> None:
        """`skip`: how many events before it are lost."""
        self._seq[ev] = self._seq.get(ev, 0) + 1 + skip
        event = StreamEvent(boot or self.boot, self._seq[ev], 1, ev, data)
        body = encode_event(event)
        await self._pub.send_multipart(
            [event.topic.encode(), body, seal(self.key if key is None else key, body)]
        )

    def close(self) -> None:
        self._context.destroy(linger=0)


@asynccontextmanager
async def scripted_terminal() -> AsyncIterator[ScriptedTerminal]:
    terminal = ScriptedTerminal()
    task = asyncio.get_running_loop().create_task(terminal.serve())
    try:
        yield terminal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        terminal.close()
