"""The stop channel's two ways to a terminal: to one that listens, and from one that knocks (EA_PROTOCOL §1, §9).

Blocking, for one thread. Sessions and what a stop says belong to mt5_stop_channel.py.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

import zmq

from app.adapters import mt5_sockets
from app.adapters.mt5_reverse import MOST_KNOCKERS, knock
from app.adapters.mt5_sockets import Frames
from app.protocol.ea_fields import BadFrame

MOST_WAITING: Final = 256
"""Frames kept for the next receive(); more can only be a flood."""


class StopSocket(Protocol):
    """What the channel needs of a socket. Methods may raise zmq.ZMQError."""

    @property
    def lasting(self) -> bool:
        """Whether the socket is kept when a session on it ends."""

    @property
    def gone(self) -> bool:
        """Whether the terminal of the session is certainly no longer connected."""

    def ready(self) -> bool:
        """Whether somebody is there to be greeted."""

    def wait(self, seconds: float, *, to_greet: bool) -> None:
        """Until something happens: a message, or with `to_greet` somebody to be greeted."""

    def receive(self) -> Frames | None: ...

    def settle(self) -> None:
        """Who sent the last message has answered the greeting: it alone is spoken to and heard from now on."""

    def unsettle(self) -> None:
        """The session has ended."""

    def send(self, body: bytes, mac: bytes) -> bool:
        """False: certainly not sent."""

    def nobody(self) -> str:
        """Why nobody is there, for a person."""

    def close(self) -> None: ...


class StopDealer:
    """To a terminal that listens; made anew for each session."""

    lasting = False
    gone = False

    def __init__(self, context: zmq.Context[Any], port: int) -> None:
        self._port = port
        self._socket = mt5_sockets.dealer(context, port)

    def ready(self) -> bool:
        return bool(int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLOUT)

    def wait(self, seconds: float, *, to_greet: bool) -> None:
        self._socket.poll(max(0, round(seconds * 1000)), zmq.POLLOUT if to_greet else zmq.POLLIN)

    def receive(self) -> Frames | None:
        if int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        return None

    def settle(self) -> None: ...

    def unsettle(self) -> None: ...

    def send(self, body: bytes, mac: bytes) -> bool:
        try:
            self._socket.send_multipart((body, mac), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def nobody(self) -> str:
        return f"no terminal listens on port {self._port}"

    def close(self) -> None:
        self._socket.close(0)


class StopDoor:
    """For a terminal that cannot listen: kept from session to session, since who was greeted knocks no more."""

    lasting = True

    def __init__(self, context: zmq.Context[Any], port: int, key: bytes) -> None:
        self._context = context
        self._port = port
        self._key = key
        self._socket: zmq.Socket[bytes] | None = None
        self._knockers: dict[bytes, None] = {}
        self._inbox: deque[tuple[bytes, Frames]] = deque(maxlen=MOST_WAITING)
        self._sender = b""
        self._peer: bytes | None = None

    @property
    def gone(self) -> bool:
        return self._peer is not None and self._peer not in self._knockers

    def ready(self) -> bool:
        self._take()
        return bool(self._knockers)

    def wait(self, seconds: float, *, to_greet: bool) -> None:
        """Without the port there is nothing to wait on but the port itself; the channel asks again soon."""
        socket = self._bound()
        if socket is not None:
            if not self._inbox:
                socket.poll(max(0, round(seconds * 1000)), zmq.POLLIN)
        else:
            # Nothing will come to this socket: it only gives the wait its length.
            with self._context.socket(zmq.PAIR) as idle:
                idle.poll(max(1, round(seconds * 1000)), zmq.POLLIN)

    def receive(self) -> Frames | None:
        self._take()
        while self._inbox:
            self._sender, frames = self._inbox.popleft()
            if self._sender == self._peer or (self._peer is None and self._sender in self._knockers):
                return frames
        return None

    def settle(self) -> None:
        if self._peer is None:
            self._peer = self._sender

    def unsettle(self) -> None:
        self._peer = None
        self._inbox.clear()

    def send(self, body: bytes, mac: bytes) -> bool:
        """To the terminal of the session; while there is none, to all that knocked."""
        to = list(self._knockers) if self._peer is None else [self._peer]
        sent = [self._send(peer, body, mac) for peer in to]
        return any(sent)

    def nobody(self) -> str:
        if self._bound() is None:
            return (
                f"port {self._port}, to which the terminal would connect, is held by another program (a Medulla that hangs?): end"
                " it and try again"
            )
        return f"no terminal has connected to port {self._port}"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close(0)
            self._socket = None
        self._knockers.clear()

    def _bound(self) -> zmq.Socket[bytes] | None:
        if self._socket is None:
            try:
                self._socket = mt5_sockets.router(self._context, self._port)
            except zmq.ZMQError as fault:
                if fault.errno != zmq.EADDRINUSE:
                    raise
        return self._socket

    def _take(self) -> None:
        """Read what is there, at most one inbox full: knocks are noted, answers kept."""
        socket = self._bound()
        for _ in range(MOST_WAITING):
            if socket is None or not int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                return
            sender, *frames = socket.recv_multipart(zmq.NOBLOCK)
            try:
                role = knock(self._key, frames)
            except BadFrame:
                continue
            if role is None:
                self._inbox.append((sender, frames))
            elif role == "stop":
                self._knockers.pop(sender, None)
                while len(self._knockers) >= MOST_KNOCKERS:
                    del self._knockers[next(iter(self._knockers))]
                self._knockers[sender] = None

    def _send(self, peer: bytes, body: bytes, mac: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send_multipart((peer, body, mac), zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as fault:
            if fault.errno != zmq.EHOSTUNREACH:
                raise
            self._knockers.pop(peer, None)
            return False
        return True
