"""A raw executor for tests: real ZeroMQ sockets, real frames, no retries, no opinion.

It shares nothing with the executor's own adapter but the wire, so that a mistake of one is not repeated by the other.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import zmq

from .host import HostTerminal

TIMEOUT = 10.0
Message = dict[str, Any]


def seal(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)


def wall_ms() -> int:
    """Unix milliseconds: what a hello carries, and what the terminal's times are compared with."""
    return int(time.time() * 1000)  # noqa: TID251 - a test of the wire plays the clock's owner


class Link:
    """How frames get to a terminal and back: DEALERs that connect, or, for a terminal that cannot listen, a ROUTER that binds."""

    def __init__(self, terminal: HostTerminal) -> None:
        self.terminal = terminal
        self.key = terminal.key
        self.events: list[Message] = []
        self.announced: list[Message] = []
        self._listens = terminal.front == "Medulla"
        self._context = zmq.Context()
        self._peers: dict[str, bytes] = {}
        self._inbox: dict[str, list[list[bytes]]] = {}
        self._dealers: dict[str, zmq.Socket[bytes]] = {}
        if self._listens:
            self._stream = self._socket(zmq.SUB)
            self._stream.connect(f"tcp://127.0.0.1:{terminal.stream_port}")
            self._stream.subscribe(b"")
        else:
            ports = {"command": terminal.command_port, "stop": terminal.stream_port}
            self._routers = {role: self._socket(zmq.ROUTER) for role in ports}
            for role, port in ports.items():
                self._routers[role].bind(f"tcp://127.0.0.1:{port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.linger = 0
        return made

    def dealer(self, name: str) -> zmq.Socket[bytes]:
        """The connection of this name, made when first asked for."""
        if name not in self._dealers:
            self._dealers[name] = self._socket(zmq.DEALER)
            self._dealers[name].connect(f"tcp://127.0.0.1:{self.terminal.command_port}")
        return self._dealers[name]

    def send(self, name: str, parts: list[bytes]) -> None:
        if self._listens:
            self.dealer(name).send_multipart(parts)
            return
        role = "stop" if name.startswith("stop") else "command"
        self._wait(lambda: role in self._peers, f"no {role} connection of the terminal")
        self._routers[role].send_multipart([self._peers[role], *parts])

    def forget_peers(self) -> None:
        """The terminal that had connected is gone: wait for the next to say where it is."""
        if not self._listens:
            self.pump(0)
            self._peers.clear()

    def receive(self, name: str, timeout: float = TIMEOUT) -> list[bytes] | None:
        """The next message for this connection; None: there was none in time."""
        role = name if self._listens else ("stop" if name.startswith("stop") else "command")
        deadline = time.monotonic() + timeout
        while True:
            if self._inbox.get(role):
                return self._inbox[role].pop(0)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.pump(left)

    def pump(self, timeout: float) -> None:
        """Take in what comes within `timeout` seconds, at least one message if there is one."""
        poller = zmq.Poller()
        sockets = [self._stream, *self._dealers.values()] if self._listens else list(self._routers.values())
        for one in sockets:
            poller.register(one, zmq.POLLIN)
        for ready, _ in poller.poll(max(1, int(timeout * 1000))):
            while True:
                try:
                    parts = ready.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                self._sort(ready, parts)

    def _sort(self, source: zmq.Socket[bytes], parts: list[bytes]) -> None:
        if self._listens:
            if source is self._stream:
                topic, body, mac = parts
                event = self.open([body, mac])
                assert topic.decode() == (
                    f"tick.{event['data']['symbol']}" if event["ev"] == "tick" else event["ev"]
                )
                self.events.append(event)
            else:
                name = next(name for name, dealer in self._dealers.items() if dealer is source)
                self._inbox.setdefault(name, []).append(parts)
            return
        peer, *rest = parts
        message = self.open(rest)
        if "here" in message:
            self._peers[message["here"]] = peer
            self.announced.append(message)
        elif "ev" in message:
            self.events.append(message)
        else:
            role = next(role for role, router in self._routers.items() if router is source)
            self._inbox.setdefault(role, []).append(rest)

    def open(self, parts: list[bytes]) -> Message:
        body, mac = parts
        assert hmac.compare_digest(seal(self.key, body), mac)
        message: Message = json.loads(body)
        assert message["v"] == 1
        assert message["from"] == "terminal"
        return message

    def event(self, wanted: Callable[[Message], bool], timeout: float = TIMEOUT) -> Message:
        """The first event that is wanted, from those that came before too; it is taken out of the list."""
        found: list[Message] = []

        def look() -> bool:
            found.extend(event for event in self.events if wanted(event))
            return bool(found)

        self._wait(look, f"no such event among {[event['ev'] for event in self.events]}", timeout)
        self.events.remove(found[0])
        return found[0]

    def trade_event(self, kind: str) -> Message:
        event = self.event(lambda one: one["ev"] == "trade" and one["data"]["kind"] == kind)
        return event["data"]  # type: ignore[no-any-return]

    def _wait(self, condition: Callable[[], bool], complaint: str, timeout: float = TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, complaint + "\n" + self.terminal.log()
            self.pump(min(left, 0.05))


class Executor:
    """One executor's session on a link. `role`: `command` or `stop`; several may share a link under different names."""

    def __init__(
        self,
        link: Link,
        role: str = "command",
        *,
        name: str | None = None,
        instance: str | None = None,
        epoch: int = 0,
    ) -> None:
        self.link = link
        self.role = role
        self.name = name or role
        self.instance = instance or secrets.token_hex(16)
        self.epoch = epoch
        self.sid = ""
        self.id = 0
        self.hello_reply: Message = {}
        self._ts = 0
        self._begun = 0.0

    def body(self, cmd: str, args: Message | None = None, cid: str | None = None, **changes: Any) -> bytes:
        """An encoded request with the next number; `changes` replaces or adds fields."""
        self.id += 1
        message: Message = {"v": 1, "from": "executor", "sid": self.sid, "id": self.id}
        if cid is not None:
            message["cid"] = cid
        message |= {"epoch": self.epoch, "ts": self.now(), "ttl": 5000, "cmd": cmd, "args": args or {}}
        return json.dumps(message | changes, ensure_ascii=False).encode()

    def now(self) -> int:
        """Milliseconds on the session clock."""
        return self._ts + int((time.monotonic() - self._begun) * 1000)

    def send(self, body: bytes) -> None:
        self.link.send(self.name, [body, seal(self.link.key, body)])

    def reply(self, number: int | None = None, timeout: float = TIMEOUT) -> Message:
        """The reply to request `number`, the last one by default."""
        wanted = self.id if number is None else number
        while True:
            parts = self.link.receive(self.name, timeout)
            assert parts is not None, f"no reply to {wanted}\n{self.link.terminal.log()}"
            message = self.link.open(parts)
            if message["re"] == wanted:
                return message

    def silent(self) -> bool:
        """Whether nothing at all comes back: proved by a question behind it, not by waiting."""
        before = self.id
        self.send(self.body("heartbeat"))
        while True:
            parts = self.link.receive(self.name)
            assert parts is not None
            number = self.link.open(parts)["re"]
            if number == self.id:
                return True
            if number == before:
                return False

    def hello(self, **changes: Any) -> Message:
        """Greet; on success the session is pending. Returns the whole reply."""
        self._ts, self._begun = wall_ms(), time.monotonic()
        nonce = secrets.token_hex(16)
        args = {
            "nonce": nonce,
            "role": self.role,
            "instance": self.instance,
            "executor": "exec_001",
            "version": "0.1.0",
        }
        body = self.body("hello", args | changes, sid="", id=0, ttl=2000)
        self.id = 0
        self.send(body)
        reply = self.reply(0)
        if reply["ok"]:
            assert reply["data"]["nonce"] == nonce
            self.sid = reply["sid"]
            self.hello_reply = reply["data"]
        return reply

    def connect(self) -> Self:
        """Greet and become active."""
        assert self.hello()["ok"]
        assert self.ask("heartbeat")["ok"]
        return self

    def ask(self, cmd: str, args: Message | None = None, cid: str | None = None, **changes: Any) -> Message:
        self.send(self.body(cmd, args, cid, **changes))
        return self.reply()

    # ---------------------------------------------------------------- the usual commands

    def open(self, cid: str, **changes: Any) -> Message:
        return self.ask("open", open_args(**changes), cid)

    def place(self, cid: str, **changes: Any) -> Message:
        args = open_args(kind="BUY_LIMIT", price="1.09000")
        for needless in ("side", "deviation"):
            del args[needless]
        return self.ask("place", args | changes, cid)

    def close(self, cid: str, ticket: str, **changes: Any) -> Message:
        return self.ask("close", close_args(ticket=ticket, **changes), cid)


def open_args(**changes: Any) -> Message:
    return {
        "symbol": "EURUSD",
        "side": "BUY",
        "volume": "0.10",
        "deviation": 20,
        "magic": "77",
        "comment": "Mabc1234#test",
        "tag": "Mabc1234",
        "max_attempts": 1,
    } | changes


def close_args(**changes: Any) -> Message:
    return {"deviation": 20, "tag": "Mxyz9876", "max_attempts": 1} | changes
