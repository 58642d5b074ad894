"""The brain's WebSocket server: who may come in, what each message means, and what is sent again (PROTOCOL §3-§5).

It decides no trade. Signals come from strategies and campaigns; what they make of the results is theirs.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from itertools import count
from types import TracebackType
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from app.brain.clock import BrainClock
from app.brain.errors import BrainMisconfigured
from app.brain.executors import Executor, ExecutorRegistry, ExecutorStatus
from app.brain.keys import SigningKey, api_key_hash
from app.brain.messages import Dispatcher
from app.brain.observers import Observer
from app.brain.queue import CommandQueue
from app.brain.rate_limit import RateLimits, TokenBucket
from app.brain.session import ExecutorSession
from app.brain.signals import Command, Signal
from app.brain.store import BrainStore, SessionRow
from app.domain.commands import ACTION_NAMES
from app.protocol import brain_messages as wire

SUBPROTOCOL = Subprotocol("brain-executor.v1")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TICK_SECONDS = 0.1
_LARGEST_FRAME = 4 * 2**20
"""STATE carries every position and order."""
_MOST_CONNECTIONS = 1000


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Seconds, unless the name says otherwise."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: the system chooses."""
    ack_timeout: float = 2.0
    """A command that is not acknowledged after this is sent again."""
    grace: float = 2.0
    """How long after its expiry a command is still sent again, so that the executor can say that it came too late."""
    hello_wait: float = 5.0
    state_wait: float = 2.0
    handshakes_per_minute: float = 120.0
    """For each key, and for failures from each address."""
    frames_per_second: float = 5000.0
    """For each key; a faster executor is read more slowly."""
    subscribe_interval: int = 100
    """Milliseconds between market updates of a symbol."""
    tls: ssl.SSLContext | None = None


class BrainServer:
    """The server. Use as an async context manager; all methods run on its event loop."""

    def __init__(
        self,
        settings: ServerSettings,
        store: BrainStore,
        key: SigningKey,
        clock: BrainClock,
        *,
        symbols: Iterable[str] = (),
        observers: Sequence[Observer] = (),
    ) -> None:
        if settings.host not in LOOPBACK and settings.tls is None:
            raise BrainMisconfigured(
                f"host {settings.host}: only this machine may be served without TLS; give a certificate and its key"
            )
        self._settings = settings
        self._store = store
        self._key = key
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._registry = ExecutorRegistry()
        self._dispatcher = Dispatcher(
            self._registry,
            store,
            clock,
            symbols=tuple(dict.fromkeys(symbols)),
            subscribe_interval=settings.subscribe_interval,
            state_wait=settings.state_wait,
        )
        for observer in observers:
            self.observe(observer)
        self._handshakes = RateLimits(settings.handshakes_per_minute / 60, settings.handshakes_per_minute)
        self._inbound: dict[str, TokenBucket] = {}
        self._server: Server | None = None
        self._tick: asyncio.TimerHandle | None = None
        # Unique for ever: 80 random bits name this run, a number each of its commands.
        self._run_id = secrets.token_hex(10)
        self._numbers = count(1)

    # -------------------------------------------------------------- life

    async def __aenter__(self) -> BrainServer:
        await self._store.end_forgotten_sessions(self._clock.utc())
        self._keys = await self._store.api_keys()
        for executor_id in sorted(set(self._keys.values())):
            await self._add_executor(executor_id)
        try:
            self._server = await serve(
                self._handle,
                self._settings.host,
                self._settings.port,
                process_request=self._admit,
                subprotocols=[SUBPROTOCOL],
                select_subprotocol=_select_subprotocol,
                compression=None,
                max_size=_LARGEST_FRAME,
                ping_interval=5,
                ping_timeout=5,
                close_timeout=2,
                ssl=self._settings.tls,
                server_header=None,
            )
        except OSError as fault:
            raise BrainMisconfigured(
                f"{self._settings.host}:{self._settings.port}: cannot listen there: {fault.strerror}"
            ) from None
        self._tick = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._on_tick)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tick is not None:
            self._tick.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        if self._server is None:
            return self._settings.port
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def allow(self, api_key: str, executor_id: str) -> None:
        """Let an executor in with this key, from now on and after every restart."""
        hashed = api_key_hash(api_key)
        await self._store.add_api_key(hashed, executor_id, self._clock.utc())
        self._keys = await self._store.api_keys()
        if self._registry.find(executor_id) is None:
            await self._add_executor(executor_id)

    async def _add_executor(self, executor_id: str) -> None:
        queue = CommandQueue(
            executor_id,
            self._store,
            self._clock,
            ack_timeout=self._settings.ack_timeout,
            grace=timedelta(seconds=self._settings.grace),
        )
        await queue.restore()
        self._registry.add(Executor(executor_id, queue))

    # -------------------------------------------------------------- for strategies and people

    def observe(self, observer: Observer) -> None:
        self._dispatcher.observers.append(observer)

    def forget(self, observer: Observer) -> None:
        self._dispatcher.observers.remove(observer)

    def executor(self, executor_id: str) -> Executor:
        """Raises BrainMisconfigured for an executor that has no key here."""
        executor = self._registry.find(executor_id)
        if executor is None:
            raise BrainMisconfigured(f"executor {executor_id}: has no API key at this brain")
        return executor

    def status(self, executor_id: str) -> ExecutorStatus | None:
        return self._registry.status(executor_id)

    def submit(self, signal: Signal, executor_id: str) -> Command:
        """Sign a command and store it; it is sent once it is on disk, or when the executor comes back before its expiry.

        Raises QueueFull. A command that cannot be stored is never sent and is told to the observers as ended.
        """
        executor = self.executor(executor_id)
        at = self._clock.utc()
        command_id = f"cmd_{self._run_id}_{next(self._numbers)}"
        payload = wire.trade_signal(
            signal.action,
            at=at,
            command_id=command_id,
            executor_id=executor_id,
            account=signal.account,
            strategy_id=signal.strategy_id,
            priority=signal.priority,
            expiry=signal.expiry,
        )
        command = Command(
            id=command_id,
            executor_id=executor_id,
            strategy_id=signal.strategy_id,
            action_name=ACTION_NAMES[type(signal.action)],
            priority=signal.priority,
            frame=self._key.sign(payload),
            created_at=at,
            expires_at=at + timedelta(milliseconds=signal.expiry),
            action=signal.action,
        )
        executor.queue.push(command, self._dispatcher.pushed)
        return command

    def cancel(self, command_id: str, executor_id: str) -> bool:
        """Ask to withdraw a command that has not reached the broker. False: the executor is not connected."""
        executor = self.executor(executor_id)
        payload = wire.cancel_command(command_id, at=self._clock.utc(), executor_id=executor_id)
        return executor.link is not None and executor.link.say(self._key.sign(payload))

    def emergency_stop(self, executor_id: str, reason: str, *, close_positions: bool = False) -> bool:
        """Stop an executor; only a person at its machine can start it again. False: it is not connected and did not hear it."""
        executor = self.executor(executor_id)
        payload = wire.emergency_stop(
            reason, at=self._clock.utc(), close_positions=close_positions, executor_id=executor_id
        )
        return executor.link is not None and executor.link.say(self._key.sign(payload))

    def ask_state(self, executor_id: str) -> bool:
        """GET_STATE. False: the executor is not connected."""
        link = self.executor(executor_id).link
        return link is not None and link.say(wire.get_state(secrets.token_hex(4), at=self._clock.utc()))

    def notice(self, event: str, about: Mapping[str, Any]) -> None:
        """Tell those who look on."""
        self._dispatcher.notice(event, about)

    # -------------------------------------------------------------- the door

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """401 without a valid key, 403 for a key of another executor, 429 for too many attempts."""
        now = self._clock.monotonic()
        presented = _bearer(request)
        hashed = None if presented is None else api_key_hash(presented)
        owner = None if hashed is None else self._keys.get(hashed)
        refused: Response | None = None
        if owner is None:
            refused = connection.respond(HTTPStatus.UNAUTHORIZED, "A valid API key is required.\n")
            refused.headers["WWW-Authenticate"] = "Bearer"
        elif request.headers.get("X-Executor-Id") != owner:
            refused = connection.respond(
                HTTPStatus.FORBIDDEN, "This API key belongs to another executor id.\n"
            )
        limited = hashed if hashed is not None and refused is None else f"address {_address(connection)}"
        wait = self._handshakes.take(limited, now)
        if wait > 0.0:
            refused = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts.\n")
            refused.headers["Retry-After"] = str(int(wait) + 1)
        elif refused is None and self._crowded():
            refused = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n")
            refused.headers["Retry-After"] = "10"
        if refused is not None:
            fields = {"status": refused.status_code, "address": _address(connection)}
            self._dispatcher.notice("handshake_refused", fields)
        return refused

    def _crowded(self) -> bool:
        return self._server is not None and len(self._server.connections) >= _MOST_CONNECTIONS

    async def _handle(self, connection: ServerConnection) -> None:
        request = connection.request
        presented = None if request is None else _bearer(request)
        if presented is None:
            return
        hashed = api_key_hash(presented)
        executor = self.executor(self._keys[hashed])
        now = self._clock.monotonic()
        inbound = self._inbound.get(hashed)
        if inbound is None:
            rate = self._settings.frames_per_second
            inbound = self._inbound[hashed] = TokenBucket(rate, rate, now)
        session = ExecutorSession(
            "s_" + secrets.token_hex(8),
            executor,
            connection,
            self._dispatcher,
            self._clock,
            inbound,
            on_throttled=lambda wait: self._dispatcher.notice(
                "throttled", {"executorId": executor.executor_id, "seconds": round(wait, 3)}
            ),
        )
        at = self._clock.utc()
        replaced = self._registry.connected(executor, session, at)
        self._store.session_begins(
            SessionRow(session.session_id, executor.executor_id, hashed, _address(connection), at)
        )
        self._dispatcher.begins(session, self._settings.hello_wait)
        try:
            async with asyncio.TaskGroup() as tasks:
                if isinstance(replaced, ExecutorSession):
                    # Beside the new session, which must not wait for the goodbye of a half-open old one.
                    goodbye = replaced.close(1008, "replaced by a newer session of this executor")
                    tasks.create_task(goodbye, name=f"brain.{replaced.session_id}.goodbye")
                await session.run()
        finally:
            self._store.session_ends(session.session_id, self._clock.utc())
            self._dispatcher.ends(session)

    def _on_tick(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._on_tick)
        now = self._clock.monotonic()
        for executor in self._registry:
            for command in executor.queue.check_time(now, connected=executor.ready):
                self._dispatcher.ended(command)


def _bearer(request: Request) -> str | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def _address(connection: ServerConnection) -> str:
    address: Any = connection.remote_address
    return str(address[0]) if address else "unknown"


def _select_subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """A client that offers none, or others, is served all the same (PROTOCOL §1)."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None
