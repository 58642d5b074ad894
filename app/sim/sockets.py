"""ZeroMQ sockets in the asyncio loop of the simulated terminal: loopback only, one wake-up a socket.

pyzmq's own asyncio sockets cost a future and a trip through the loop a message; the loop here takes messages
itself and only sleeps through this.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import zmq

HOST = "127.0.0.1"
_SAFETY = 1.0
"""Seconds after which a sleeping reader looks again: ZeroMQ's descriptor is edge-triggered."""


class PortInUse(Exception):
    """Another program listens on the port."""


def bind(socket: zmq.Socket[bytes], port: int, name: str) -> int:
    """Bind to loopback; port 0 chooses. Returns the port. Raises PortInUse."""
    socket.set(zmq.LINGER, 0)
    try:
        if port == 0:
            return socket.bind_to_random_port(f"tcp://{HOST}")
        socket.bind(f"tcp://{HOST}:{port}")
    except zmq.ZMQError as fault:
        raise PortInUse(f"{name} {port}: {fault.strerror}; is another terminal running on it?") from None
    return port


def has_message(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message waits. Asking makes ZeroMQ look at every connection at once."""
    return bool(int(socket.get(zmq.EVENTS)) & zmq.POLLIN)


class Wakeup:
    """Waits until something happens on a socket. The loop must be a selector loop (add_reader)."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._woken = asyncio.Event()

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._descriptor = int(self._socket.get(zmq.FD))
        self._loop.add_reader(self._descriptor, self._woken.set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.remove_reader(self._descriptor)

    async def wait(self) -> None:
        """Returns when the socket may have news. The caller looks at EVENTS after this, never only before."""
        self._woken.clear()
        if has_message(self._socket):
            return
        timer = self._loop.call_later(_SAFETY, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()
