"""A web brain written by hand from PROTOCOL.md, on `websockets` and `json` alone, so that the document itself is tested.

It shares nothing with app/. It does what a test tells it, keeps everything it hears, and has no opinion about it.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

PATIENCE = 30.0
"""Seconds that a test waits for one message: far more than it takes, also on a machine that is busy with other things."""
KEY_ID = "brain-e2e"
Message = dict[str, Any]


def stamp(at: datetime | None = None) -> str:
    """RFC 3339, UTC, milliseconds."""
    return (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # noqa: TID251 — a brain's own clock


def ago(seconds: float) -> str:
    return stamp(datetime.now(UTC) - timedelta(seconds=seconds))  # noqa: TID251 — a brain's own clock


@dataclass(frozen=True)
class Heard:
    """One frame of the executor."""

    session: int
    text: str
    body: Message

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


@dataclass
class Manners:
    """How the brain behaves; may be changed between sessions."""

    welcome: bool = True
    acknowledge_results: bool = True
    heartbeat_interval: int = 1000
    """ms, both ways."""
    capabilities: list[str] = field(default_factory=lambda: ["signed", "result_ack"])


class ScriptedBrain:
    """Listens on a free port of this machine; every session and every message is kept."""

    def __init__(self, manners: Manners | None = None, *, executor_id: str = "exec_e2e") -> None:
        self.manners = manners or Manners()
        self.executor_id = executor_id
        self.api_key = "key-of-the-end-to-end-tests"
        self.requests: list[Request] = []
        self.messages: list[Heard] = []
        self.acks: dict[str, list[Message]] = defaultdict(list)
        self.results: dict[str, list[Message]] = defaultdict(list)
        self.frames: dict[str, str] = {}
        """Every command frame that was ever sent, by id, to send it again unchanged."""
        self._signing = Ed25519PrivateKey.generate()
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._connection: ServerConnection | None = None
        self._sessions = 0
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        self.turns_away = False
        """Answer every handshake with 401."""
        self.ahead = 0.0
        """Seconds that this brain's clock is ahead, from the next session on."""

    # ------------------------------------------------------------ life

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/executor"

    @property
    def public_key(self) -> str:
        return base64.b64encode(self._signing.public_key().public_bytes_raw()).decode()

    @property
    def sessions(self) -> int:
        return self._sessions

    def open(self) -> None:
        """Listen; again on the same port after `close`."""
        self._server = serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=["brain-executor.v1"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
            max_queue=None,
            process_request=self._look,
        )
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="scripted brain")
        self._thread.start()

    def close(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join(PATIENCE)
            self._server = self._thread = None

    def hang_up(self) -> None:
        """End the session; the executor comes again by itself."""
        connection = self._connection
        if connection is not None:
            connection.close(1012)

    def _look(self, connection: ServerConnection, request: Request) -> Response | None:
        with self._changed:
            self.requests.append(request)
        return connection.respond(401, "who are you?\n") if self.turns_away else None

    def _serve(self, connection: ServerConnection) -> None:
        with self._changed:
            self._sessions += 1
            session = self._sessions
            self._connection = connection
        heartbeats, interval = itertools.count(1), self.manners.heartbeat_interval / 1000
        due = time.monotonic() + interval
        with suppress(ConnectionClosed):
            while True:
                with suppress(TimeoutError):
                    self._hear(connection, session, str(connection.recv(timeout=interval)))
                if self.manners.welcome and time.monotonic() >= due:
                    due = time.monotonic() + interval
                    beat = {"type": "HEARTBEAT", "timestamp": ago(-self.ahead), "seq": next(heartbeats)}
                    connection.send(json.dumps(beat))

    def _hear(self, connection: ServerConnection, session: int, text: str) -> None:
        body = json.loads(text, parse_float=Decimal)
        if body["type"] == "HELLO" and self.manners.welcome:
            self._welcome(connection, session)
        if body["type"] == "EXECUTION_RESULT" and self.manners.acknowledge_results:
            stored = {"type": "RESULT_ACK", "timestamp": stamp(), "commandIds": [body["commandId"]]}
            connection.send(json.dumps(stored))
        with self._changed:
            self.messages.append(Heard(session, text, body))
            if body["type"] == "EXECUTION_RESULT":
                self.results[body["commandId"]].append(body)
            elif body["type"] == "COMMAND_ACK":
                self.acks[body["commandId"]].append(body)
            self._changed.notify_all()

    def _welcome(self, connection: ServerConnection, session: int) -> None:
        now = ago(-self.ahead)
        welcome = {
            "type": "WELCOME", "timestamp": now, "sessionId": f"s_{session}", "serverTime": now,
            "heartbeatInterval": self.manners.heartbeat_interval, "capabilities": self.manners.capabilities,
        }  # fmt: skip
        connection.send(json.dumps(welcome))

    # ------------------------------------------------------------ saying

    def say(self, frame: str | bytes | Message, *, as_text: bool = True) -> None:
        """One frame, as it is; bytes go out as a text frame without a look at them."""
        if self._connection is None:
            raise AssertionError("no executor is connected")
        if isinstance(frame, dict):
            frame = json.dumps(frame)
        self._connection.send(frame, text=as_text)

    def sign(self, payload: str, *, key_id: str = KEY_ID) -> Message:
        """PROTOCOL §2.1: Ed25519 over the payload's exact bytes, base64url without padding."""
        signature = base64.urlsafe_b64encode(self._signing.sign(payload.encode())).rstrip(b"=").decode()
        return {
            "type": "SIGNED",
            "keyId": key_id,
            "alg": "Ed25519",
            "payload": payload,
            "signature": signature,
        }

    def signed(self, message: Message) -> str:
        return json.dumps(self.sign(json.dumps(message)))

    def envelope(self, action: Message, command_id: str | None = None, **more: Any) -> Message:
        """A TRADE_SIGNAL with everything a signed one needs; `more` replaces or adds, None takes away."""
        message = {
            "type": "TRADE_SIGNAL", "timestamp": stamp(), "command": action, "priority": "NORMAL", "expiry": 30000,
            "strategyId": "str_e2e", "commandId": command_id or f"cmd-{next(self._numbers)}",
            "executorId": self.executor_id,
        } | more  # fmt: skip
        return {name: value for name, value in message.items() if value is not None}

    def order(self, action: Message, command_id: str | None = None, **more: Any) -> str:
        """Send one signed command; returns its id."""
        message = self.envelope(action, command_id, **more)
        sent: str = message["commandId"]
        self.frames[sent] = self.signed(message)
        self.say(self.frames[sent])
        return sent

    def do(self, action: Message, command_id: str | None = None, **more: Any) -> Message:
        """Send one command and wait for the end of it: its last result, or the COMMAND_ACK that turned it away."""
        return self.end_of(self.order(action, command_id, **more))

    def send_again(self, ids: Iterable[str]) -> None:
        """The same frames, byte for byte."""
        for command_id in ids:
            self.say(self.frames[command_id])

    # ------------------------------------------------------------ hearing

    @contextmanager
    def listening(self) -> Iterator[Callable[..., Heard]]:
        """Within it, `heard(kind, …)` finds only what came after the beginning."""
        after = self.mark()
        yield lambda kind, where=None, **options: self.heard(kind, where, after=after, **options)

    @contextmanager
    def reconnection(self) -> Iterator[None]:
        """What is done within it ends the session; afterwards the next one has told its STATE."""
        after, session = self.mark(), self.sessions
        yield
        self.heard("STATE", lambda heard: heard.session > session, after=after)

    def mark(self) -> int:
        with self._changed:
            return len(self.messages)

    def heard(
        self,
        kind: str,
        where: Callable[[Heard], bool] | None = None,
        *,
        after: int = 0,
        timeout: float = PATIENCE,
    ) -> Heard:
        """The first message of that type, waited for."""
        position = after
        found: list[Heard] = []

        def look() -> bool:
            nonlocal position
            while position < len(self.messages) and not found:
                message = self.messages[position]
                position += 1
                if message.body["type"] == kind and (where is None or where(message)):
                    found.append(message)
            return bool(found)

        self.wait(look, f"{kind} of the executor", timeout=timeout)
        return found[0]

    def wait(self, condition: Callable[[], bool], what: str, *, timeout: float = PATIENCE) -> None:
        """Until `condition` holds, looked at after every message."""
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                last = "\n".join(message.text[:300] for message in self.messages[-15:])
                raise AssertionError(f"no {what} within {timeout:.0f} s; the last that was heard:\n{last}")

    def final(self, command_id: str) -> Message | None:
        """How the command ended: a result that is not UNKNOWN, or a COMMAND_ACK REJECTED; None: not yet."""
        for result in reversed(self.results[command_id]):
            if result["result"]["outcome"] != "UNKNOWN":
                return result
        for ack in self.acks[command_id]:
            if ack["status"] == "REJECTED":
                return ack
        return None

    def end_of(self, command_id: str, *, timeout: float = PATIENCE) -> Message:
        self.wait(
            lambda: self.final(command_id) is not None, f"end of the command {command_id}", timeout=timeout
        )
        ended = self.final(command_id)
        assert ended is not None
        return ended

    def ends_of(self, ids: Iterable[str], *, timeout: float = PATIENCE) -> dict[str, Message]:
        return {command_id: self.end_of(command_id, timeout=timeout) for command_id in ids}

    def told_unknown(self) -> set[str]:
        """Commands that were reported UNKNOWN at some time."""
        return {
            name
            for name, results in self.results.items()
            if any(result["result"]["outcome"] == "UNKNOWN" for result in results)
        }

    def acked(self, command_id: str, *, nth: int = 1) -> Message:
        """The nth COMMAND_ACK of a command."""
        self.wait(lambda: len(self.acks[command_id]) >= nth, f"COMMAND_ACK {nth} of {command_id}")
        return self.acks[command_id][nth - 1]

    def further(self, ids: Iterable[str], than: int) -> None:
        """Wait until more than so many of these commands have ended."""
        kept = list(ids)
        self.wait(lambda: self.finished(kept) > than, "further end of a command", timeout=3 * PATIENCE)

    def finished(self, ids: Iterable[str]) -> int:
        """How many of them have ended."""
        return sum(1 for command_id in ids if self.final(command_id) is not None)


def outcome(end: Message) -> str:
    """`EXECUTED`, `REJECTED SPREAD_TOO_WIDE`, or `turned away RATE_LIMITED`."""
    if end["type"] == "COMMAND_ACK":
        return f"turned away {end['code']}"
    result = end["result"]
    return str(result["outcome"]) if result["success"] else f"{result['outcome']} {result['code']}"
