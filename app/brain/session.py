"""One connection of an executor: frames in, frames out, heartbeats. What a frame means is decided by the server.

One task sends, so frames leave in the order in which they were decided; one task receives, without a hop between the socket and
the reader, because the time from a command's sending to its result's arrival is measured here.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from app.brain.clock import BrainClock
from app.brain.executors import Executor
from app.brain.rate_limit import TokenBucket
from app.protocol import brain_messages as wire

_MOST_FRAMES_WAITING = 2000
_SEND_SECONDS = 10.0
_HEARTBEAT_SECONDS = 5.0
_MOST_ACKS = 1000
"""The executor takes no longer RESULT_ACK."""


class Receiver(Protocol):
    """What the session tells of each frame."""

    def on_frame(self, session: ExecutorSession, frame: str, at_ns: int) -> None:
        """A text frame, with the `perf_counter_ns` of its arrival. Must not raise."""


class ExecutorSession:
    """Carries one connection until it ends."""

    def __init__(
        self,
        session_id: str,
        executor: Executor,
        connection: ServerConnection,
        receiver: Receiver,
        clock: BrainClock,
        inbound: TokenBucket,
        *,
        on_throttled: Callable[[float], None],
    ) -> None:
        self.session_id = session_id
        self.executor = executor
        self.gate_open = False
        """Commands go out only after the executor's STATE (PROTOCOL §3)."""
        self.opening: asyncio.TimerHandle | None = None
        """Opens the gate for executors that send no STATE."""
        self.greeted = False
        self._connection = connection
        self._receiver = receiver
        self._clock = clock
        self._inbound = inbound
        self._on_throttled = on_throttled
        self._frames: deque[str] = deque()
        self._acks: list[str] = []
        self._wake = asyncio.Event()
        self._over = False

    async def run(self) -> None:
        """Until the connection ends, whoever ends it."""
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send(), name=f"brain.{self.session_id}.send")
            heart = tasks.create_task(self._beat(), name=f"brain.{self.session_id}.heartbeat")
            try:
                await self._receive()
            finally:
                self._over = True
                if self.opening is not None:
                    self.opening.cancel()
                sender.cancel()
                heart.cancel()

    def say(self, frame: str) -> bool:
        """Send ahead of all waiting commands. False: the connection is over, or has not taken thousands of frames."""
        if self._over or len(self._frames) >= _MOST_FRAMES_WAITING:
            return False
        self._frames.append(frame)
        self._wake.set()
        return True

    def acknowledge_result(self, command_id: str) -> None:
        """Gathered: results that reach the disk together are acknowledged together."""
        self._acks.append(command_id)
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def open_gate(self) -> None:
        self.gate_open = True
        self._wake.set()

    async def close(self, code: int, reason: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SEND_SECONDS):
                await self._connection.close(code, reason)

    async def _receive(self) -> None:
        connection = self._connection
        with suppress(ConnectionClosed):
            while True:
                frame = await connection.recv()
                at_ns = time.perf_counter_ns()
                if isinstance(frame, bytes):
                    await self.close(1003, "text frames only")
                    return
                self._receiver.on_frame(self, frame, at_ns)
                wait = self._inbound.take(self._clock.monotonic())
                if wait > 0.0:
                    # Not reading is the limit: the sender's own socket fills, and nothing that was sent is lost.
                    self._on_throttled(wait)
                    await asyncio.sleep(wait)

    async def _send(self) -> None:
        queue = self.executor.queue
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while True:
                    if self._frames:
                        await self._put(self._frames.popleft())
                    elif self._acks:
                        acked, self._acks = self._acks[:_MOST_ACKS], self._acks[_MOST_ACKS:]
                        await self._put(wire.result_ack(acked, at=self._clock.utc()))
                    elif self.gate_open and (command := queue.pop()) is not None:
                        queue.sending(command, self._clock.monotonic())
                        command.sent_ns = command.sent_ns or time.perf_counter_ns()
                        await self._put(command.frame)
                    else:
                        break
        except ConnectionClosed:
            pass
        except TimeoutError:
            await self.close(1011, "frames are not taken")

    async def _put(self, frame: str) -> None:
        async with asyncio.timeout(_SEND_SECONDS):
            await self._connection.send(frame)

    async def _beat(self) -> None:
        for seq in count(1):
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            if self.greeted:
                self.say(wire.heartbeat(self._clock.utc(), seq))
