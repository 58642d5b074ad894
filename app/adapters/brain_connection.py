"""One WebSocket to the brain: opening it, reading whole messages, writing at once; failures named by what follows.

This is the only file that knows the websockets library's inside. Sessions and messages are in brain_session.py.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State
from websockets.typing import Subprotocol

from app.adapters.brain_options import BrainOptions
from app.protocol.reconnect import Ending, retry_after_seconds

SUBPROTOCOL = Subprotocol("brain-executor.v1")
MAX_FRAME = 64 * 1024
"""PROTOCOL §1. Larger messages are refused with FRAME_TOO_LARGE and reach nothing."""
HARD_LIMIT = 4 * MAX_FRAME
"""Beyond this nothing is even received: the library closes with 1009, and no ERROR can be sent on a closing connection."""
MOST_UNREAD = 2048
"""Messages that may wait here for their turn; beyond them the socket is not read, and TCP holds the brain back. Many, because a
stop behind a flood is overheard only when it has left the socket; at 64 KiB each, which no command is, they take 128 MiB."""
WRITE_HIGH, WRITE_LOW = 16 * 1024, 4 * 1024
"""Bytes that may wait for the socket before market data are held back, so an ack has little to wait behind."""

# The library logs whole handshakes at DEBUG, the bearer key among them.
_LOGGER = logging.getLogger("medulla.brain.websockets")
_LOGGER.setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt or a session that ended. `reason` is for people."""

    ending: Ending
    reason: str
    retry_after: float | None = None
    """Seconds the brain asked for."""
    oversized: bool = False
    """The brain sent a frame beyond the hard limit."""


@dataclass(frozen=True, slots=True)
class Message:
    data: bytes
    is_text: bool


class BrainConnection(ClientConnection):
    """A client connection that writes without waiting and keeps text apart from binary, invalid UTF-8 included."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.blocked = False
        """The socket takes no more for now."""
        self.written = 0
        """Bytes of text so far."""
        self.on_writable: Callable[[], None] | None = None
        """Called when the socket takes data again."""
        self.on_text_seen: Callable[[bytes], None] | None = None
        """Called with each unfragmented text as it comes off the socket, before it is read in order."""
        self._opcodes: deque[Opcode] = deque()

    @property
    def unread(self) -> int:
        """Messages that came and were not received yet."""
        return len(self._opcodes)

    async def receive(self) -> Message:
        """The next whole message. Raises ConnectionClosed. The library itself would close on invalid UTF-8."""
        data = await self.recv(decode=False)
        return Message(data, self._opcodes.popleft() is Opcode.TEXT)

    def write_text(self, text: str) -> bool:
        """Put one text frame into the socket's buffer, now. False: the connection is not open."""
        if self.protocol.state is not State.OPEN or self.transport.is_closing():
            return False
        data = text.encode()
        self.written += len(data)
        self.protocol.send_text(data)
        self.send_data()
        return True

    async def ask_pong(self) -> asyncio.Future[float]:
        """Send a ping; done with the seconds that its pong took. Raises ConnectionClosed, as the future does."""
        pong = await self.ping()
        if not isinstance(pong, asyncio.Future):
            raise TypeError("the websockets library answered a ping with something else than a future")
        return pong

    def abort(self) -> None:
        """Cut the connection without a closing handshake: the peer is dead or does not read."""
        self.transport.abort()

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._opcodes.append(event.opcode)
            if self.on_text_seen is not None and event.opcode is Opcode.TEXT and event.fin:
                self.on_text_seen(bytes(event.data))
        super().process_event(event)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.blocked = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.blocked = False
        if self.on_writable is not None:
            self.on_writable()


class _Connect(connect):
    """Opens exactly the address that the operator configured."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        # Following one could lead a trading link to another host, or from loopback to plain text over a network.
        return exc


async def open_connection(options: BrainOptions, context: ssl.SSLContext | None) -> BrainConnection:
    """One attempt. Raises what `describe_failure` understands."""
    extra: dict[str, Any] = {} if context is None else {"ssl": context}
    connection = await _Connect(
        options.url,
        subprotocols=[SUBPROTOCOL],
        compression=None,
        additional_headers={
            "Authorization": f"Bearer {options.api_key}",
            "X-Executor-Id": options.executor_id,
        },
        user_agent_header=f"Medulla/{options.app_version}",
        proxy=options.proxy,
        open_timeout=options.timings.open_timeout,
        ping_interval=None,
        close_timeout=options.timings.close_timeout,
        max_size=HARD_LIMIT,
        max_queue=(MOST_UNREAD, MOST_UNREAD // 2),
        write_limit=(WRITE_HIGH, WRITE_LOW),
        logger=_LOGGER,
        create_connection=BrainConnection,
        **extra,
    )
    if not isinstance(connection, BrainConnection):
        raise TypeError("the websockets library ignored create_connection")
    return connection


CONNECT_FAULTS = (OSError, WebSocketException, EOFError)
"""What `open_connection` raises for a brain that is away or refuses (time-outs and TLS faults are OSErrors)."""


def describe_failure(fault: Exception, now: datetime) -> Failure:
    """Name an opening that failed (PROTOCOL §7)."""
    cause = fault.__cause__ if isinstance(fault, InvalidMessage) else None
    for one in (fault, cause):
        if isinstance(one, ssl.SSLCertVerificationError):
            return Failure(
                Ending.CERTIFICATE, f"the brain's certificate is not trusted: {one.verify_message}"
            )
        if isinstance(one, ssl.SSLError):
            return Failure(
                Ending.CERTIFICATE, f"TLS with the brain failed: {one.reason or 'handshake failure'}"
            )
    if isinstance(fault, InvalidStatus):
        status = fault.response.status_code
        if status in (401, 403):
            return Failure(Ending.REFUSED, f"the brain refuses this executor's key (HTTP {status})")
        if status in (429, 503):
            wait = retry_after_seconds(fault.response.headers.get("Retry-After"), now)
            return Failure(Ending.BUSY, f"the brain asks to come back later (HTTP {status})", wait)
        if 300 <= status < 400:
            return Failure(Ending.LOST, f"the brain redirects (HTTP {status}); redirects are not followed")
        return Failure(Ending.LOST, f"the brain answers HTTP {status} instead of a WebSocket")
    if isinstance(fault, TimeoutError):
        return Failure(Ending.LOST, "the brain does not answer in time")
    if isinstance(fault, OSError):
        return Failure(Ending.LOST, f"the brain cannot be reached: {fault.strerror or type(fault).__name__}")
    return Failure(Ending.LOST, f"the brain does not speak WebSocket ({type(fault).__name__})")


def describe_close(closed: ConnectionClosed) -> Failure:
    """Name a session that ended (PROTOCOL §7)."""
    if closed.sent is not None and not closed.rcvd_then_sent:
        if closed.sent.code == 1009:
            return Failure(
                Ending.LOST,
                f"a frame of more than {HARD_LIMIT // 1024} KiB came from the brain; it was dropped unread (close 1009)",
                oversized=True,
            )
        if closed.sent.code == 1002:
            return Failure(Ending.PROTOCOL, "the brain broke the WebSocket protocol (close 1002)")
    if closed.rcvd is not None:
        why = "".join(c for c in closed.rcvd.reason if c.isprintable())[:120]
        shown = f"the brain closed the connection ({closed.rcvd.code}{': ' + why if why else ''})"
        return Failure(Ending.PROTOCOL if closed.rcvd.code in (1002, 1008) else Ending.LOST, shown)
    return Failure(Ending.LOST, "the connection to the brain was lost")
