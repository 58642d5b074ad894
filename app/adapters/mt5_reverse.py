"""The terminal's wire turned round (EA_PROTOCOL §9): the executor listens, a terminal that cannot listen knocks.

Only a connection that proved to hold the key is ever written to, and only the one that answered our greeting is heard. What the
frames mean beyond that is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from app.adapters import mt5_sockets
from app.adapters.mt5_sockets import Frames, Receiver
from app.protocol.ea_fields import BadFrame
from app.protocol.ea_frames import open_sealed

BIND_STEP: Final = 0.02
BIND_PATIENCE: Final = 1.0
"""Seconds for which a port may still be held by the connection that was just closed."""
MOST_KNOCKERS: Final = 16
"""Connections greeted at once; the oldest gives way. More than a few can only be a recording that is played again."""
_NOBLOCK: Final = int(zmq.NOBLOCK)


def knock(key: bytes, frames: Frames) -> str | None:
    """The role that a terminal knocks for; None: an authentic frame that is no knock. Raises BadFrame."""
    if len(frames) != 2:
        raise BadFrame("a message has two parts")
    message = open_sealed(key, *frames)
    here = message.get("here")
    if message.get("v") != 1 or message.get("from") != "terminal" or not isinstance(here, str):
        return None
    return here


async def command_door(context: zmq.Context[Any], port: int, key: bytes, receiver: Receiver) -> CommandDoor:
    """Listen. Raises zmq.ZMQError if the port stays taken."""
    attempts = round(BIND_PATIENCE / BIND_STEP)
    while True:
        try:
            return CommandDoor(mt5_sockets.router(context, port), key, receiver)
        except zmq.ZMQError:
            attempts -= 1
            if attempts <= 0:
                raise
        await asyncio.sleep(BIND_STEP)


class CommandDoor:
    """One session's listening socket on `command_port`: from the first knock to the end of the connection that answered."""

    def __init__(self, raw: zmq.Socket[bytes], key: bytes, receiver: Receiver) -> None:
        self._key = key
        self._receiver = receiver
        self._peer: bytes | None = None
        self._knockers: dict[bytes, object] = {}
        """Routing id of a connection that knocked, and the descriptor by which its end will be told."""
        self._greeting: Sequence[bytes] = ()
        self._raw = raw
        self._socket = _NotingSocket(raw, self._sort)
        self._monitor = mt5_sockets.LoopSocket(
            raw.get_monitor_socket(zmq.EVENT_DISCONNECTED), self._on_monitor
        )

    def send(self, parts: Sequence[bytes]) -> bool:
        """False: certainly not sent. Before the greeting is answered it goes to all who knocked."""
        if self._peer is not None:
            return self._socket.send((self._peer, *parts))
        self._greeting = parts
        sent = [self._socket.send((peer, *parts)) for peer in self._knockers]
        return any(sent)

    def drain(self) -> None:
        """Take what is there: the last words of a terminal that has gone."""
        self._socket.drain()

    def close(self, linger: int = 0) -> None:
        """`linger`: milliseconds within which a last word may still leave."""
        self._monitor.close()
        if not self._raw.closed:
            self._raw.disable_monitor()
        self._socket.close(linger)

    def _sort(self, batch: list[Frames]) -> None:
        noted = self._socket.take_noted()
        mine: list[Frames] = []
        for peer, *rest in batch:
            if self._peer is None:
                self._before_a_session(peer, rest, noted.get(peer))
            elif peer == self._peer:
                mine.append(rest)
        self._socket.noting = self._peer is None
        if mine and not self._socket.closed:
            self._receiver.on_frames(mine)

    def _before_a_session(self, peer: bytes, frames: Frames, descriptor: object) -> None:
        try:
            role = knock(self._key, frames)
        except BadFrame:
            self._receiver.on_foreign()
            return
        if role is None:
            if peer in self._knockers:
                self._try_answer(peer, frames)
        elif role == "command" and peer not in self._knockers:
            first = not self._knockers
            while len(self._knockers) >= MOST_KNOCKERS:
                del self._knockers[next(iter(self._knockers))]
            self._knockers[peer] = descriptor
            if first:
                self._receiver.on_ready()
            elif self._greeting:
                self._socket.send((peer, *self._greeting))

    def _try_answer(self, peer: bytes, frames: Frames) -> None:
        """Whoever answers the greeting is the terminal: its nonce cannot be had from a recording."""
        self._peer = peer
        self._receiver.on_frames([frames])
        if not self._receiver.greeted:
            self._peer = None

    def _on_monitor(self, batch: list[Frames]) -> None:
        for frames in batch:
            descriptor = parse_monitor_message(frames)["value"]
            gone = [peer for peer, own in self._knockers.items() if own == descriptor]
            for peer in gone:
                del self._knockers[peer]
            if gone and (self._peer in gone or not self._knockers):
                self._receiver.on_disconnect()
                return


class _NotingSocket(mt5_sockets.LoopSocket):
    """Notes by which descriptor each connection's messages came, while that is asked for."""

    def __init__(self, raw: zmq.Socket[bytes], on_frames: Callable[[list[Frames]], None]) -> None:
        self.noting = True
        self._noted: dict[bytes, object] = {}
        super().__init__(raw, on_frames)

    def take_noted(self) -> dict[bytes, object]:
        noted, self._noted = self._noted, {}
        return noted

    def _receive(self) -> Frames:
        if not self.noting:
            return super()._receive()
        frame = self._socket.recv(_NOBLOCK, copy=False)
        parts = [frame.bytes]
        while frame.more:
            frame = self._socket.recv(_NOBLOCK, copy=False)
            parts.append(frame.bytes)
        self._noted[parts[0]] = frame.get(zmq.SRCFD)
        return parts
