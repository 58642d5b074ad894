"""The command connection to a terminal: one session after the other, each on a fresh socket (EA_PROTOCOL §1, §3).

It carries requests and brings each exactly one end: a reply, or the reason why there is none. It neither reads payloads nor
sends anything twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import zmq

from app.adapters import mt5_reverse, mt5_sockets
from app.adapters.mt5_stream import WireCounters
from app.domain.errors import TerminalUnavailable
from app.engine.ports import Clock
from app.protocol import ea_client_session as wire
from app.protocol.ea_client_session import ExecutorSession, Identity
from app.protocol.ea_fields import BadFrame, to_ms
from app.protocol.ea_frames import MAX_ANSWER, Reply, open_sealed, seal

RETRY_AFTER_LOSS: Final = 0.25
RETRY_AFTER_REFUSAL: Final = 1.0
JITTER: Final = 0.2
BYE_LINGER_MS: Final = 50

Settle = Callable[[Reply | str], None]
"""Takes the one reply to a request, or the words for a person why there is none (it may have been done all the same)."""


class LinkOwner(Protocol):
    """Who hears what happens on the link. Called on the loop; must not raise."""

    def on_opened(self, event: wire.Opened) -> None: ...

    def on_beat(self, event: wire.Beat) -> None: ...

    def on_ended(self, event: wire.Refused | wire.Lost, *, was_open: bool) -> None:
        """Every request under way has been settled before."""

    def on_stream_message(self, message: Mapping[str, Any], now: float) -> None:
        """A stream body that came by this connection (§9)."""


class CommandLink:
    """Keeps at most one session with the terminal on `port`. Everything on the loop that runs `live`."""

    def __init__(
        self,
        *,
        key: bytes,
        port: int,
        listen: bool,
        identity: Identity,
        clock: Clock,
        nonces: Callable[[], str],
        answer_timeout: float,
        counters: WireCounters,
        owner: LinkOwner,
    ) -> None:
        self._key = key
        self._port = port
        self._listen = listen
        self._identity = identity
        self._clock = clock
        self._nonces = nonces
        self._answer_timeout = answer_timeout
        self._counters = counters
        self._owner = owner
        self._epoch = 0
        self._session: ExecutorSession | None = None
        self._socket: mt5_sockets.Connection | None = None
        self._ended: asyncio.Future[float] | None = None
        """Resolves when the session is over, with the seconds to wait before the next."""
        self._retry = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._settles: dict[int, Settle] = {}

    @property
    def session(self) -> ExecutorSession | None:
        """The session that trades can go on."""
        return self._session if self._session is not None and self._session.is_open else None

    def set_epoch(self, epoch: int) -> None:
        """A session with a lower one is ended and the next begun at once."""
        raised = epoch > self._epoch
        self._epoch = epoch
        self._retry.set()
        if raised and self._session is not None:
            self._end(self._session.close("the epoch was raised"), pause=0.0)

    def drop(self, reason: str) -> None:
        """End the session: it is known from elsewhere that the terminal has forgotten it."""
        if self._session is not None:
            self._end(self._session.close(reason))

    async def live(self, context: zmq.Context[Any]) -> None:
        """Connect, greet, serve, and again, until cancelled."""
        while True:
            pause = await self._one_session(context)
            self._retry.clear()
            if pause:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause * random.uniform(1, 1 + JITTER)):
                        await self._retry.wait()

    def request(
        self,
        cmd: str,
        args: Mapping[str, Any],
        ttl: int,
        settle: Settle,
        *,
        cid: str | None = None,
        counted_from: float | None = None,
    ) -> None:
        """Send now. Raises TerminalUnavailable: certainly not sent. Otherwise `settle` is called once, never from within.

        `ttl` in ms counts from the monotonic second `counted_from`; None: from now.
        """
        session = self.session
        if session is None or self._socket is None:
            raise TerminalUnavailable("there is no session with the terminal: nothing was sent")
        now = self._clock.monotonic()
        number, body = session.request(
            cmd, args, ttl=ttl, timeout=self._answer_timeout, now=now, cid=cid, counted_from=counted_from
        )
        if not self._send(body):
            session.forget(number)
            raise TerminalUnavailable("the terminal takes no more commands at the moment: nothing was sent")
        self._settles[number] = settle
        if self._timer is None or now + self._answer_timeout < self._timer_due:
            self._set_timer()

    # -------------------------------------------------------------- one session

    async def _one_session(self, context: zmq.Context[Any]) -> float:
        """From connecting to the end; returns the seconds to wait before the next."""
        self._ended = asyncio.get_running_loop().create_future()
        try:
            self._socket = await self._connection(context)
        except zmq.ZMQError as fault:
            message = (
                f"port {self._port} cannot be listened on ({fault.strerror}): no terminal can connect, nothing can be sent."
                " End the other program or change terminal.command_port and the Expert Advisor's InpCommandPort"
            )
            self._owner.on_ended(wire.Refused("PORT_TAKEN", message, None), was_open=False)
            return RETRY_AFTER_REFUSAL
        linger = 0
        try:
            return await self._ended
        finally:
            if self._session is not None:
                # With trades under way a lingering socket could still deliver one that is called UNKNOWN already.
                if self._session.is_open and self._session.waiting == 0:
                    linger = (
                        BYE_LINGER_MS if self._send(self._session.farewell(self._clock.monotonic())) else 0
                    )
                self.drop("the executor ended the session")
            self._socket.close(linger)
            self._socket = None

    async def _connection(self, context: zmq.Context[Any]) -> mt5_sockets.Connection:
        if self._listen:
            return await mt5_reverse.command_door(context, self._port, self._key, self)
        return mt5_sockets.DealerConnection(mt5_sockets.dealer(context, self._port), self)

    # -------------------------------------------------------------- what the connection says

    @property
    def greeted(self) -> bool:
        return self._session is not None and self._session.phase is not wire.Phase.GREETING

    def on_ready(self) -> None:
        """Somebody is there: begin a session."""
        self._session = ExecutorSession(
            identity=self._identity,
            role="command",
            nonce=self._nonces(),
            epoch=self._epoch,
            wall=to_ms(self._clock.now()),
            started=self._clock.monotonic(),
        )
        self._flush()
        self._set_timer()

    def on_foreign(self) -> None:
        self._counters.bad_frames += 1
        message = (
            f"a program connects to port {self._port} without our key: it is no terminal of ours, or holds another key."
            " Nothing was sent to it. Compare the key files and restart the Expert Advisor"
        )
        self._owner.on_ended(wire.Refused("NO_ANSWER", message, None), was_open=False)

    def on_disconnect(self) -> None:
        if self._socket is not None:
            self._socket.drain()
        self.drop("the connection to the terminal broke")
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(RETRY_AFTER_LOSS)

    def on_frames(self, batch: list[mt5_sockets.Frames]) -> None:
        now = self._clock.monotonic()
        for frames in batch:
            if self._session is None:
                return
            message = self._open(frames)
            if message is None:
                self._counters.bad_frames += 1
            elif "re" not in message and "ev" in message:
                self._owner.on_stream_message(message, now)
            else:
                self._apply(self._session.receive(message, now))
        if self._flush() or self._timer is None:
            self._set_timer()

    def _on_timer(self) -> None:
        self._timer = None
        if self._session is not None:
            self._apply(self._session.tick(self._clock.monotonic()))
            self._flush()
            self._set_timer()

    def _set_timer(self) -> None:
        if self._session is None:
            return
        due = self._session.next_tick()
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        delay = max(0.001, due - self._clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _apply(self, events: list[wire.Event]) -> None:
        for event in events:
            match event:
                case wire.Answered():
                    self._settle(event.id, event.reply)
                case wire.TimedOut():
                    self._counters.timeouts += 1
                    self._settle(
                        event.id, f"the terminal did not answer within {self._answer_timeout:g} seconds"
                    )
                case wire.LateReply():
                    self._counters.late_replies += 1
                case wire.Beat():
                    self._owner.on_beat(event)
                case wire.Opened():
                    self._counters.sessions += 1
                    self._owner.on_opened(event)
                case wire.Refused() | wire.Lost():
                    self._end(event)

    def _settle(self, number: int, outcome: Reply | str) -> None:
        settle = self._settles.pop(number, None)
        if settle is not None:
            settle(outcome)

    def _end(self, event: wire.Refused | wire.Lost, pause: float | None = None) -> None:
        """The session is over: nothing stays under way, and the owner learns it once."""
        session, self._session = self._session, None
        if session is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._counters.unexpected_replies += session.counters.foreign + session.counters.repeated
        self._counters.unreadable += session.counters.malformed
        was_open = session.opened
        reason = event.message if isinstance(event, wire.Refused) else event.reason
        for number in list(self._settles):
            self._settle(number, reason)
        if self._ended is not None and not self._ended.done():
            if pause is None:
                lost = isinstance(event, wire.Lost) and event.answered
                pause = RETRY_AFTER_LOSS if lost else RETRY_AFTER_REFUSAL
            self._ended.set_result(pause)
        self._owner.on_ended(event, was_open=was_open)

    # -------------------------------------------------------------- frames

    def _flush(self) -> bool:
        """Send what the session itself wants to say, if anything. Nobody misses what does not leave: silence tells."""
        frames = self._session.take_frames() if self._session is not None else []
        for body in frames:
            self._send(body)
        return bool(frames)

    def _send(self, body: bytes) -> bool:
        return self._socket is not None and self._socket.send((body, seal(self._key, body)))

    def _open(self, frames: mt5_sockets.Frames) -> Mapping[str, Any] | None:
        if len(frames) != 2:
            return None
        try:
            return open_sealed(self._key, *frames, largest=MAX_ANSWER)
        except BadFrame:
            return None
