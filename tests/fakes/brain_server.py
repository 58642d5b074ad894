"""A brain at the other end of a real WebSocket, led by the test, and a listener that keeps what the link tells the engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from app.adapters.brain_websocket import BrainOptions, BrainTimings, WebSocketBrainLink
from app.adapters.system_clock import SystemClock
from app.domain.commands import TradeCommand
from app.domain.market import Account, AccountMode, MarginMode
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId, Symbol
from app.engine.ports import Arrival, Clock, UnreadableCommand
from app.engine.tasks import TaskKeeper
from app.protocol import brain_messages
from app.protocol.reconnect import ReconnectRules
from app.protocol.signing import private_key, public_key_text, sign

API_KEY = "key-that-nobody-may-see"
EXECUTOR = "exec_001"
KEY = private_key(b"m" * 32)
STATUS = TradingStatus(TradingState.ACTIVE, 7, "", Actor.SYSTEM, datetime(2026, 1, 1, tzinfo=UTC))
ACCOUNT = Account(
    "12345678",
    "Broker-Demo",
    "USD",
    AccountMode.DEMO,
    MarginMode.HEDGING,
    100,
    Decimal(10000),
    Decimal(0),
    Decimal(10000),
    Decimal(0),
    Decimal(10000),
)
QUICK = BrainTimings(
    welcome=0.05,
    ping_interval=0.02,
    pong_timeout=5.0,
    degraded_after=60.0,
    lost_after=60.0,
    silence_check=0.02,
    open_timeout=5.0,
    close_timeout=0.5,
    reconnect=ReconnectRules(base=0.01, cap=0.02, attempts=1000),
)
"""For stories in which time plays no part; each test of a deadline sets its own."""
PATIENCE = 10.0
"""Seconds after which a test gives up waiting."""


class RecordingListener:
    """A BrainListener that keeps every call as (name, arguments) in order and can be told to hold one back."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.hold: Mapping[str, asyncio.Event] = {}
        """Call name -> event that the call waits for."""
        self.on_up: Callable[[], None] | None = None
        self.on_released: Callable[[str], None] | None = None
        """Told the name of a call that was held and may go on."""
        self.fault: Exception | None = None
        """Raised by on_command."""
        self._news = asyncio.Event()

    async def _note(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, arguments))
        self._news.set()
        if name in self.hold:
            await self.hold[name].wait()
            if self.on_released is not None:
                self.on_released(name)

    async def on_command(self, command: TradeCommand | UnreadableCommand, arrival: Arrival) -> None:
        await self._note("command", command, arrival)
        if self.fault is not None:
            raise self.fault

    async def on_withdraw(self, command_id: CommandId, arrival: Arrival) -> None:
        await self._note("withdraw", command_id, arrival)

    async def on_emergency_stop(self, reason: str, close_positions: bool, signed: bool) -> None:
        await self._note("stop", reason, close_positions, signed)

    async def on_subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> None:
        await self._note("subscribe", tuple(symbols), min_interval)

    async def on_unsubscribe(self, symbols: Sequence[Symbol]) -> None:
        await self._note("unsubscribe", tuple(symbols))

    async def on_results_stored(self, command_ids: Sequence[CommandId]) -> None:
        await self._note("stored", *command_ids)

    async def on_results_delivered(self, outbox_ids: Sequence[int]) -> None:
        await self._note("delivered", *outbox_ids)

    async def on_state_wanted(self, request_id: str | None) -> None:
        await self._note("state", request_id)

    async def on_brain_up(self, session_id: str, plain: bool, clock_offset: float | None) -> None:
        if self.on_up is not None:
            self.on_up()
        await self._note("up", session_id, plain, clock_offset)

    async def on_brain_degraded(self, silent_for: float) -> None:
        await self._note("degraded", silent_for)

    async def on_brain_down(self, session_id: str, reason: str) -> None:
        await self._note("down", session_id, reason)

    async def on_brain_refused(self, code: str, message: str) -> None:
        await self._note("refused", code, message)

    def heartbeat_metrics(self) -> Mapping[str, Any]:
        return {"queueDepth": 0}

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for called, arguments in self.calls if called == name]

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    async def wait_for(self, name: str, count: int = 1) -> tuple[Any, ...]:
        """Wait for the `count`-th call of `name`; its arguments."""
        async with asyncio.timeout(PATIENCE):
            while len(self.of(name)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(name)[count - 1]


class Peer:
    """One connection as the brain sees it; `inbox` holds the executor's messages in order."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.inbox: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self._news = asyncio.Event()

    async def read(self) -> None:
        try:
            async for text in self.connection:
                self.inbox.append(json.loads(text))
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.inbox if message["type"] == kind]

    async def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)[count - 1]

    async def send(self, message: str | bytes) -> None:
        await self.connection.send(message)

    async def send_signed(self, message: str) -> None:
        await self.send(sign(message, "k1", KEY))

    async def welcome(self, heartbeat_interval: int = 5000, **changes: Any) -> None:
        changes.setdefault("at", datetime.now(UTC))  # noqa: TID251 - the test's own brain needs a clock
        await self.send(brain_messages.welcome("s_1", heartbeat_interval=heartbeat_interval, **changes))

    async def refused(self, message: str | bytes, count: int = 1) -> dict[str, Any]:
        """Send something wrong; the ERROR it gets."""
        await self.send(message)
        return await self.wait_for("ERROR", count)


class BrainServer:
    """Accepts executors. Each connection becomes a Peer; `greet` runs before anything of it is read."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.requests: list[Request] = []
        self.answer: tuple[int, dict[str, str]] | None = None
        """HTTP status and headers to refuse with."""
        self.close_with: tuple[int, str] | None = None
        """Accept, then close with this code and reason."""
        self.deaf = False
        """Read nothing from new connections."""
        self.url = ""
        self._news = asyncio.Event()
        self._end = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls, **options: Any) -> AsyncIterator[Self]:
        brain = cls()
        scheme = "wss" if "ssl" in options else "ws"
        options.setdefault("ping_interval", None)
        async with serve(
            brain._talk,
            "127.0.0.1",
            0,
            process_request=brain._process_request,
            subprotocols=options.pop("subprotocols", None),
            close_timeout=0.2,
            **options,
        ) as server:
            brain.url = f"{scheme}://127.0.0.1:{port_of(server)}/executor"
            try:
                yield brain
            finally:
                brain._end.set()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        self._news.set()
        if self.answer is None:
            return None
        status, headers = self.answer
        response = connection.respond(HTTPStatus(status), "no\n")
        response.headers.update(headers)
        return response

    async def _talk(self, connection: ServerConnection) -> None:
        peer = Peer(connection)
        self.peers.append(peer)
        self._news.set()
        if self.close_with is not None:
            await connection.close(*self.close_with)
            peer.closed.set()
        elif self.deaf:
            connection.transport.pause_reading()
            await self._end.wait()
            connection.transport.abort()
        else:
            await peer.read()

    async def peer(self, number: int = 1) -> Peer:
        """The `number`-th connection."""
        async with asyncio.timeout(PATIENCE):
            while len(self.peers) < number:
                self._news.clear()
                await self._news.wait()
        return self.peers[number - 1]

    async def attempts(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.requests) < count:
                self._news.clear()
                await self._news.wait()


def port_of(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def options(url: str, **changes: Any) -> BrainOptions:
    """Signed commands by KEY under the id `k1`."""
    fields: dict[str, Any] = {
        "url": url,
        "api_key": API_KEY,
        "executor_id": EXECUTOR,
        "app_version": "0.1.0",
        "accounts": lambda: (ACCOUNT,),
        "status": lambda: STATUS,
        "signing_keys": {"k1": public_key_text(KEY)},
        "timings": QUICK,
    }
    return BrainOptions(**(fields | changes))


@asynccontextmanager
async def linked(
    url: str, listener: RecordingListener, *, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[WebSocketBrainLink]:
    """A link that runs as long as the block; what it raises, the block raises."""
    link = WebSocketBrainLink(options(url, **changes), clock or SystemClock())
    faults: list[BaseException] = []
    keeper = TaskKeeper("test", lambda _name, fault: faults.append(fault))
    keeper.spawn("link", link.run(listener))
    try:
        yield link
    finally:
        await keeper.close()
    if faults:
        raise faults[0]


class ShiftedClock(SystemClock):
    """A machine whose wall clock is wrong by `shift`."""

    def __init__(self, shift: timedelta) -> None:
        self.shift = shift

    def now(self) -> datetime:
        return super().now() + self.shift
