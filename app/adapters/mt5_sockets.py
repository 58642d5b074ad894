"""ZeroMQ sockets for the terminal's wire: loopback only, nothing queued for a peer that is absent, read from the asyncio loop.

Bytes only; what they mean is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import zmq
from zmq.utils.monitor import parse_monitor_message

from app.protocol.ea_frames import MAX_ANSWER

LOOPBACK: Final = "127.0.0.1"
MAX_FRAME: Final = MAX_ANSWER + 1024
"""ZeroMQ cuts the connection at a larger one."""
COMMANDS_QUEUED: Final = 1000
"""High-water mark of the command connection, both ways: beyond it a command is refused, certainly not sent."""
EVENTS_QUEUED: Final = 10_000
RECONNECT_MS: Final = 250
HANDSHAKE_MS: Final = 3000
"""Most time for a connection to our listening socket to speak ZMTP."""
BATCH: Final = 256
"""Messages taken from a socket before the loop's other work gets its turn."""

Frames = list[bytes]


def dealer(context: zmq.Context[Any], port: int) -> zmq.Socket[bytes]:
    """A connection to the terminal's ROUTER. It tries four times a second until somebody listens."""
    socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    _harden(socket, COMMANDS_QUEUED)
    # Without this a command would wait in the queue for a terminal that is away and trade when it comes back.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.connect(f"tcp://{LOOPBACK}:{port}")
    return socket


def router(context: zmq.Context[Any], port: int) -> zmq.Socket[bytes]:
    """A listening socket for terminals that cannot listen. Raises zmq.ZMQError, with EADDRINUSE if the port is taken."""
    socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
    _harden(socket, COMMANDS_QUEUED)
    # Ticks come this way as well, and a terminal that cannot write stands still.
    socket.setsockopt(zmq.RCVHWM, EVENTS_QUEUED)
    # Without this a frame for a connection that has gone would vanish and count as sent.
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    try:
        socket.bind(f"tcp://{LOOPBACK}:{port}")
    except zmq.ZMQError:
        socket.close(0)
        raise
    return socket


def subscriber(context: zmq.Context[Any], port: int) -> zmq.Socket[bytes]:
    """A connection to the terminal's PUB, all topics."""
    socket: zmq.Socket[bytes] = context.socket(zmq.SUB)
    _harden(socket, EVENTS_QUEUED)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(f"tcp://{LOOPBACK}:{port}")
    return socket


def _harden(socket: zmq.Socket[bytes], queued: int) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDTIMEO, 0)
    socket.setsockopt(zmq.RCVTIMEO, 0)
    socket.setsockopt(zmq.SNDHWM, queued)
    socket.setsockopt(zmq.RCVHWM, queued)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)


# Plain numbers: the library's flag enums cost more than the calls they describe.
_NOBLOCK, _POLLIN, _POLLOUT = int(zmq.NOBLOCK), int(zmq.POLLIN), int(zmq.POLLOUT)


class Receiver(Protocol):
    """Who is behind a connection. Called on the loop."""

    @property
    def greeted(self) -> bool:
        """Whether a terminal has answered the greeting."""

    def on_ready(self) -> None:
        """Somebody is there: greet."""

    def on_frames(self, batch: list[Frames]) -> None: ...

    def on_disconnect(self) -> None: ...

    def on_foreign(self) -> None:
        """Something without our key has come to our listening socket while there was no session."""


class Connection(Protocol):
    """A way to one terminal for one session."""

    def send(self, parts: Sequence[bytes]) -> bool:
        """Hand a message over, now. False: certainly not sent."""

    def drain(self) -> None:
        """Take everything that is there: the last words of a terminal that has gone."""

    def close(self, linger: int = 0) -> None:
        """`linger`: milliseconds within which ZeroMQ may still deliver what was handed over."""


class LoopSocket:
    """A socket served by the running loop: batches go to `on_frames`, in order, on the loop's thread.

    A ZeroMQ descriptor tells of a change once only, and any call on the socket can swallow that news: hence the look at EVENTS
    after every send and every read.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        on_frames: Callable[[list[Frames]], None],
        on_writable: Callable[[], None] | None = None,
        *,
        gather: float = 0.0,
    ) -> None:
        """`gather`: seconds that news wait for more, so that what nobody waits for keeps out of the way of what is waited for."""
        self._socket = socket
        self._on_frames = on_frames
        self._on_writable = on_writable
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.Handle | None = None
        self._gather = gather
        self._descriptor = int(socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._read_later if gather else self.read)
        self._again = self._loop.call_soon(self.read)

    @property
    def closed(self) -> bool:
        return self._socket.closed

    def send(self, parts: Sequence[bytes]) -> bool:
        """Hand a message over, now. False: certainly not sent."""
        try:
            self._socket.send_multipart(parts, _NOBLOCK, copy=True)
        except zmq.ZMQError:
            # EAGAIN: no peer or full queue. Anything else is raised before libzmq takes the message as well.
            return False
        self._recheck()
        return True

    def read(self) -> None:
        """Take what is there, at most BATCH messages; the rest in the loop's next turn."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        batch: list[Frames] = []
        drained = False
        while len(batch) < BATCH and not self._socket.closed:
            if not self._events() & _POLLIN:
                drained = True
                break
            try:
                batch.append(self._receive())
            except zmq.ZMQError:
                break
        try:
            if batch:
                self._on_frames(batch)
        finally:
            # A reader that fails must not leave the socket deaf: the descriptor does not tell twice.
            if not drained or self._on_writable is not None:
                self._recheck()

    def _read_later(self) -> None:
        # Asking takes the news from the descriptor; until all is read, what follows makes none.
        if not self._socket.closed and self._events() & _POLLIN and self._again is None:
            self._again = self._loop.call_later(self._gather, self.read)

    def _receive(self) -> Frames:
        """As recv_multipart, without its two look-ups of options for every part. Raises zmq.ZMQError when there is none."""
        frame = self._socket.recv(_NOBLOCK, copy=False)
        parts = [frame.bytes]
        while frame.more:
            frame = self._socket.recv(_NOBLOCK, copy=False)
            parts.append(frame.bytes)
        return parts

    def drain(self) -> None:
        """Take everything that is there: for the last words of a peer that has gone."""
        while not self._socket.closed and self._events() & _POLLIN:
            self.read()

    def close(self, linger: int = 0) -> None:
        """`linger`: milliseconds within which ZeroMQ may still deliver what was handed over."""
        if self._socket.closed:
            return
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._loop.remove_reader(self._descriptor)
        self._socket.close(linger)

    def _events(self) -> int:
        return int(self._socket.getsockopt(zmq.EVENTS))

    def _recheck(self) -> None:
        if self._socket.closed:
            return
        events = self._events()
        if events & _POLLOUT and self._on_writable is not None:
            callback, self._on_writable = self._on_writable, None
            callback()
            if self._socket.closed:
                return
        if events & _POLLIN and self._again is None:
            self._again = self._loop.call_soon(self.read)


class DisconnectWatch:
    """Tells once when a connected socket loses its peer: a killed terminal is known at once, not after the silence limit."""

    def __init__(self, socket: zmq.Socket[bytes], on_disconnect: Callable[[], None]) -> None:
        self._watched = socket
        self._monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._reader = LoopSocket(self._monitor, self._news)
        self._on_disconnect: Callable[[], None] | None = on_disconnect

    def _news(self, batch: list[Frames]) -> None:
        for frames in batch:
            if (
                parse_monitor_message(frames)["event"] == zmq.EVENT_DISCONNECTED
                and self._on_disconnect is not None
            ):
                callback, self._on_disconnect = self._on_disconnect, None
                callback()

    def close(self) -> None:
        """Before the watched socket is closed."""
        self._on_disconnect = None
        self._reader.close()
        if not self._watched.closed:
            self._watched.disable_monitor()


class DealerConnection(LoopSocket):
    """The way to a terminal that listens."""

    def __init__(self, raw: zmq.Socket[bytes], receiver: Receiver) -> None:
        self._watch = DisconnectWatch(raw, receiver.on_disconnect)
        super().__init__(raw, receiver.on_frames, receiver.on_ready)

    def close(self, linger: int = 0) -> None:
        self._watch.close()
        super().close(linger)
