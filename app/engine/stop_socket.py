"""The stop thread's own loopback socket: one JSON line in, one out. It belongs to the stop thread alone and never blocks it.

What a request means is the stop thread's business; here are only connections, and how none of them can keep another out.
"""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass

from app.engine.ports import Clock

_MOST_CLIENTS = 16
_MOST_BYTES = 4096
_CLIENT_PATIENCE = 5.0

Answer = Callable[[bytes], dict[str, object] | None]
"""The reply to one line; None: not ours, hang up without a word."""


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    received: bytes
    since: float


class StopSocket:
    """Listens from the start; `serve` is called for each of its descriptors that is ready."""

    def __init__(self, selector: selectors.BaseSelector, clock: Clock, answer: Answer, port: int = 0) -> None:
        self._selector = selector
        self._clock = clock
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_MOST_CLIENTS)
        self._listener.setblocking(False)
        self._clients: dict[int, _Client] = {}
        selector.register(self._listener, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self, descriptor: int) -> None:
        """Something came on a descriptor of ours."""
        if descriptor == self._listener.fileno():
            self._accept()
        elif descriptor in self._clients:
            self._read(self._clients[descriptor])

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= _MOST_CLIENTS:
            # Whoever presses stop speaks at once; those that hold their line in silence must not keep a press out.
            self._drop(min(self._clients.values(), key=lambda client: client.since))
        connection.setblocking(False)
        client = _Client(connection, b"", self._clock.monotonic())
        self._clients[connection.fileno()] = client
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.received += data
        if not data or len(client.received) > _MOST_BYTES:
            self._drop(client)
            return
        if b"\n" in client.received:
            line, _, client.received = client.received.partition(b"\n")
            # A whole request renews our patience, a drop of it does not.
            client.since = self._clock.monotonic()
            reply = self._answer(line)
            if reply is None:
                self._drop(client)
                return
            try:
                client.connection.sendall(json.dumps(reply).encode() + b"\n")
            except OSError:
                self._drop(client)

    def drop_slow_clients(self) -> None:
        now = self._clock.monotonic()
        for client in [item for item in self._clients.values() if now - item.since > _CLIENT_PATIENCE]:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._clients.pop(client.connection.fileno(), None)
        self._selector.unregister(client.connection)
        client.connection.close()

    def close(self) -> None:
        for client in tuple(self._clients.values()):
            self._drop(client)
        self._selector.unregister(self._listener)
        self._listener.close()
