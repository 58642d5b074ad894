"""A TCP proxy of one hop that has the faults of a bad network, in a thread of its own; loopback only.

It knows bytes and connections, nothing of WebSocket or ZeroMQ. `UP` is from the one who connects to the one who listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeVar

HOST = "127.0.0.1"
CHUNK = 65536
MOST_RECORDED = 1 << 20
"""Bytes of one connection and direction that are kept to be delivered again."""
PATIENCE = 20.0
Way = Literal["up", "down"]
UP: Way = "up"
DOWN: Way = "down"
Ending = Literal["rst", "fin"]
T = TypeVar("T")


@dataclass(frozen=True)
class Weather:
    """What every piece of data meets in one direction."""

    latency: float = 0.0
    """Seconds that each piece is late."""
    jitter: float = 0.0
    """Up to so many seconds more; order is kept, as TCP keeps it."""
    slices: int = 0
    """Most bytes handed on at once; 0: as they come."""
    bandwidth: float = 0.0
    """Bytes a second; 0: no limit."""


CALM = Weather()


@dataclass
class Counts:
    """What the proxy has done."""

    connections: int = 0
    refused: int = 0
    cuts: int = 0
    swallowed: int = 0
    """Bytes that went nowhere while a connection was half open."""
    replayed: int = 0
    """Bytes delivered a second time."""
    overtaken: int = 0
    """Bytes of an old connection delivered after a newer one was open."""
    passed: dict[str, int] = field(default_factory=lambda: {UP: 0, DOWN: 0})


class _Lane:
    """One direction of one connection: what was read waits here for its time, then is written."""

    def __init__(self, way: Way, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        self.way = way
        self.source = source
        self.target = target
        self.queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(maxsize=4096)
        self.due = 0.0
        self.recorded = bytearray()
        self.last = b""
        """The last piece that came in one read."""


class _Connection:
    def __init__(self, up: _Lane, down: _Lane) -> None:
        self.lanes: dict[str, _Lane] = {UP: up, DOWN: down}
        self.swallows = False
        self.holds = False
        self.held = bytearray()
        self.ended = asyncio.Event()

    @property
    def client(self) -> asyncio.StreamWriter:
        return self.lanes[DOWN].target

    @property
    def server(self) -> asyncio.StreamWriter:
        return self.lanes[UP].target


class FaultyProxy:
    """Listens on a free port and passes everything to `target`; use it in a `with`.

    Every method may be called from any thread and has done its work when it returns.
    """

    def __init__(self, target: int, *, seed: int = 1) -> None:
        self.target = target
        self.port = 0
        self.counts = Counts()
        self._chance = random.Random(seed)
        self._weather: dict[str, Weather] = {UP: CALM, DOWN: CALM}
        self._live: list[_Connection] = []
        self._late: list[_Connection] = []
        """Connections whose client has gone and whose held bytes wait for a newer connection."""
        self._refusing = False
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._group: asyncio.TaskGroup | None = None
        self._thread = threading.Thread(target=self._run, name="faulty proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(PATIENCE):
            raise AssertionError("the proxy did not start")
        return self

    def __exit__(self, *_: object) -> None:
        loop, closing = self._loop, self._closing
        if loop is not None and closing is not None:
            loop.call_soon_threadsafe(closing.set)
        self._thread.join(PATIENCE)

    # ------------------------------------------------------------ what can go wrong

    @property
    def live(self) -> int:
        """Connections that are open now."""
        return len(self._live)

    def weather(self, way: Way | None = None, **changes: float) -> None:
        """Change one direction or both, for what is read from now on: latency, jitter, slices, bandwidth."""
        ways: tuple[Way, ...] = (UP, DOWN) if way is None else (way,)
        for one in ways:
            self._weather[one] = replace(self._weather[one], **changes)  # type: ignore[arg-type]

    def calm(self) -> None:
        """Everything passes again; what is half open stays so and is cut."""
        self._weather = {UP: CALM, DOWN: CALM}
        self._refusing = False
        self.cut("rst", only_half_open=True)

    def refuse(self, refusing: bool = True) -> None:
        """New connections are accepted and ended at once."""
        self._refusing = refusing

    def cut(self, how: Ending = "rst", *, only_half_open: bool = False) -> int:
        """End the open connections on both sides; what was under way is lost. Returns how many there were."""

        def act() -> int:
            chosen = [one for one in self._live if one.swallows or not only_half_open]
            for one in chosen:
                self.counts.cuts += 1
                _end(one.client, how)
                _end(one.server, how)
                one.ended.set()
            return len(chosen)

        return self._on_loop(act)

    def half_open(self) -> None:
        """The open connections stay open, and nothing passes any more, either way, for ever."""

        def act() -> None:
            for one in self._live:
                one.swallows = True

        self._on_loop(act)

    def hold(self) -> None:
        """From now on keep what comes up; `overtake` delivers it late."""

        def act() -> None:
            for one in self._live:
                one.holds = True

        self._on_loop(act)

    def overtake(self) -> None:
        """Cut the clients off; the listener still sees its old connections, gets what was held on them after a newer one has
        spoken, and then their end."""

        def act() -> None:
            for one in [live for live in self._live if live.holds]:
                self._live.remove(one)
                self._late.append(one)
                self.counts.cuts += 1
                _end(one.client, "rst")

        self._on_loop(act)

    def repeat_last(self, way: Way) -> int:
        """Deliver the last piece of that direction once more on the same connections. Returns the bytes."""

        def act() -> int:
            total = 0
            for one in self._live:
                piece = one.lanes[way].last
                if piece and not one.lanes[way].target.is_closing():
                    one.lanes[way].target.write(piece)
                    total += len(piece)
            self.counts.replayed += total
            return total

        return self._on_loop(act)

    def replay_up(self) -> int:
        """Open fresh connections to the listener and deliver all that the open ones ever sent up. Returns the bytes."""

        async def act() -> int:
            total = 0
            for one in list(self._live):
                content = bytes(one.lanes[UP].recorded)
                with contextlib.suppress(OSError):
                    _reader, writer = await asyncio.open_connection(HOST, self.target)
                    writer.write(content)
                    await writer.drain()
                    total += len(content)
                    self._spawn(self._linger(writer))
            self.counts.replayed += total
            return total

        return self._await(act())

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        server = await asyncio.start_server(self._taken, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            async with asyncio.TaskGroup() as self._group:
                self._started.set()
                await self._closing.wait()
                server.close()
                for one in [*self._live, *self._late]:
                    _end(one.client, "rst")
                    _end(one.server, "rst")
                    one.ended.set()
        finally:
            self._group = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None:
            work.close()
            return
        self._group.create_task(work)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        try:
            if self._refusing:
                raise ConnectionRefusedError
            server_reader, server_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            self.counts.refused += 1
            _end(writer, "rst")
            return
        for one in (writer, server_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(_Lane(UP, reader, server_writer), _Lane(DOWN, server_reader, writer))
        self._live.append(connection)
        try:
            async with asyncio.TaskGroup() as group:
                for lane in connection.lanes.values():
                    group.create_task(self._read(connection, lane))
                    group.create_task(self._write(connection, lane))
        finally:
            if connection in self._live:
                self._live.remove(connection)
            if connection not in self._late:
                _end(connection.client, "fin")
                _end(connection.server, "fin")

    async def _read(self, connection: _Connection, lane: _Lane) -> None:
        loop = asyncio.get_running_loop()
        while not connection.ended.is_set():
            try:
                data = await lane.source.read(CHUNK)
            except OSError:
                data = b""
            if not data:
                break
            if connection.swallows:
                self.counts.swallowed += len(data)
                continue
            if lane.way == UP and connection.holds:
                connection.held += data
                continue
            if lane.way == UP and self._late:
                self._deliver_late()
            lane.last = data
            if len(lane.recorded) < MOST_RECORDED:
                lane.recorded += data
            weather = self._weather[lane.way]
            step = weather.slices or len(data)
            for start in range(0, len(data), step):
                piece = data[start : start + step]
                now = loop.time()
                arrives = now + weather.latency + self._chance.random() * weather.jitter
                if weather.bandwidth > 0:
                    arrives = max(arrives, lane.due) + len(piece) / weather.bandwidth
                lane.due = max(arrives, lane.due)
                await lane.queue.put((lane.due, piece))
        if connection.swallows and not connection.ended.is_set():
            # The other end must not learn that this one has gone.
            await connection.ended.wait()
        await lane.queue.put(None)

    async def _write(self, connection: _Connection, lane: _Lane) -> None:
        loop = asyncio.get_running_loop()
        while True:
            item = await lane.queue.get()
            if item is None:
                break
            due, piece = item
            if due > loop.time():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await connection.ended.wait()
            if connection.ended.is_set() or connection.swallows or lane.target.is_closing():
                continue
            with contextlib.suppress(OSError):
                lane.target.write(piece)
                await lane.target.drain()
                self.counts.passed[lane.way] += len(piece)
        if connection not in self._late:
            connection.ended.set()
            _end(connection.client, "fin")
            _end(connection.server, "fin")

    def _deliver_late(self) -> None:
        """A newer connection speaks: now the old one's bytes arrive."""
        late, self._late = self._late, []
        for one in late:
            self.counts.overtaken += len(one.held)
            with contextlib.suppress(OSError, RuntimeError):
                one.server.write(bytes(one.held))
            self._spawn(self._linger(one.server))

    async def _linger(self, writer: asyncio.StreamWriter) -> None:
        """Leave the other side a moment to read, then end."""
        if self._closing is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._closing.wait()
        _end(writer, "fin")

    # ------------------------------------------------------------ from other threads

    def _on_loop(self, act: Callable[[], T]) -> T:
        async def run() -> T:
            return act()

        return self._await(run())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            raise AssertionError("the proxy does not run")
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(PATIENCE)


def _end(writer: asyncio.StreamWriter, how: Ending) -> None:
    if how == "rst":
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            # Closing with a linger time of 0 sends RST and throws away what waits.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
