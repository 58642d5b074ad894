"""The stop's own way to the terminal: blocking, one thread, no asyncio, no queue shared with commands (EA_PROTOCOL §3, §6).

The engine's stop thread keeps one warm; the command line and the desktop make one when the engine does not answer. Nothing
but the stop may ever go through here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

import zmq

from app.adapters.mt5_stop_sockets import StopDealer, StopDoor, StopSocket
from app.engine.broker import StopAnswer
from app.engine.ports import Clock
from app.protocol import ea_client_session as wire
from app.protocol.ea_client_session import ExecutorSession, Identity
from app.protocol.ea_fields import BadFrame, to_ms
from app.protocol.ea_frames import open_sealed, seal

REPEAT: Final = 0.25
"""Seconds after which a stop without an acknowledgement is sent again: a second stop changes nothing (§6)."""
RENEW: Final = 0.5
"""Seconds without any word after which the connection is made anew: the terminal may have been started again."""
STOP_TTL: Final = 60_000
"""A terminal that hangs for a while must still stop when it comes back."""
STEP: Final = 0.05


class ZmqStopChannel:
    """A session of the role `stop`, opened when it is first needed. Every method belongs to one thread; none raises.

    `stop_port`: where to listen for a terminal that cannot (EA_PROTOCOL §9); None: connect to `command_port`.
    """

    def __init__(
        self,
        *,
        key: bytes,
        command_port: int,
        identity: Identity,
        clock: Clock,
        stop_port: int | None = None,
        nonces: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._key = key
        self._port = command_port if stop_port is None else stop_port
        self._listens = stop_port is not None
        self._identity = identity
        self._clock = clock
        self._nonces = nonces
        self._context: zmq.Context[Any] | None = None
        self._socket: StopSocket | None = None
        self._session: ExecutorSession | None = None
        self._unanswered_since: float | None = None
        self._greet_not_before = 0.0
        self._refusal = ""

    def send_stop(
        self, *, reason: str, epoch: int, cancel_orders: bool, close_positions: bool, timeout: float
    ) -> StopAnswer:
        """Say stop until the terminal confirms it, at most `timeout` seconds."""
        args = {"reason": reason, "cancel_orders": cancel_orders, "close_positions": close_positions}
        try:
            return self._say(args, epoch, self._clock.monotonic() + timeout)
        except (zmq.ZMQError, OSError) as fault:
            self._hang_up()
            return StopAnswer(
                acknowledged=False, detail=f"the connection to the terminal failed: {fault.strerror}"
            )

    def keep_warm(self, budget: float = STEP) -> bool:
        """Heartbeat, or (re)connect, for at most `budget` seconds; call it once a second. True: a stop would go out at once."""
        try:
            deadline = self._clock.monotonic() + budget
            while True:
                now = self._clock.monotonic()
                session = self._advance(now)
                if session is not None:
                    ended = any(isinstance(event, wire.Lost) for event in session.tick(now))
                    self._flush()
                    self._listen(0.0)
                    if not ended and self._session is session:
                        return True
                    self._drop()
                if now >= deadline:
                    return False
                self._listen(min(STEP, deadline - now))
        except (zmq.ZMQError, OSError):
            self._hang_up()
            return False

    def close(self) -> None:
        """Give the connection up; the next use opens it again."""
        self._hang_up()
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    # -------------------------------------------------------------- inside

    def _say(self, args: dict[str, Any], epoch: int, deadline: float) -> StopAnswer:
        said, said_on, handed_over = 0.0, "", False
        self._refusal = ""
        while True:
            now = self._clock.monotonic()
            session = self._advance(now)
            if session is not None and (session.sid != said_on or now - said >= REPEAT):
                number, body = session.request(
                    "stop", args, ttl=STOP_TTL, timeout=STOP_TTL, now=now, epoch=epoch
                )
                if self._send(body):
                    said, said_on, handed_over = now, session.sid, True
                    self._await_answer(now)
                else:
                    session.forget(number)
            if now >= deadline:
                return StopAnswer(acknowledged=False, detail=self._why(handed_over))
            for event in self._listen(min(STEP, deadline - now)):
                if not isinstance(event, wire.Answered):
                    continue
                if event.reply.ok and event.reply.data.get("stopped") is True:
                    return StopAnswer(acknowledged=True, detail="acknowledged")
                self._refusal = f"{event.reply.code}: {event.reply.message}"

    def _why(self, handed_over: bool) -> str:
        if self._refusal:
            return f"the terminal refused the stop ({self._refusal}); use MetaTrader's Algo Trading button"
        if handed_over:
            return "the stop was handed over, but the terminal has not confirmed it; use MetaTrader's Algo Trading button"
        if self._session is not None:
            verb = "has connected to" if self._listens else "listens on"
            return f"a program {verb} port {self._port} but does not answer; use MetaTrader's Algo Trading button"
        nobody = (
            self._socket.nobody() if self._socket is not None else f"no terminal listens on port {self._port}"
        )
        return f"{nobody}; if MetaTrader runs, use its Algo Trading button"

    def _advance(self, now: float) -> ExecutorSession | None:
        """Connect and greet as far as it goes without waiting; the session if a stop can go out now."""
        late = self._unanswered_since is not None and now - self._unanswered_since >= RENEW
        if late or (self._socket is not None and self._socket.gone):
            self._drop()
        if self._socket is None:
            if self._context is None:
                self._context = zmq.Context(io_threads=1)
            self._socket = (
                StopDoor(self._context, self._port, self._key)
                if self._listens
                else StopDealer(self._context, self._port)
            )
        if self._session is None:
            if now < self._greet_not_before or not self._socket.ready():
                return None
            self._session = ExecutorSession(
                identity=self._identity,
                role="stop",
                nonce=self._nonces(),
                epoch=0,
                wall=to_ms(self._clock.now()),
                started=now,
            )
            self._flush()
            self._await_answer(now)
        return self._session if self._session.is_open else None

    def _listen(self, seconds: float) -> list[wire.Event]:
        """Wait at most `seconds` for something to happen on the socket, and take what is there."""
        socket = self._socket
        if socket is None:
            return []
        greeting_due = self._session is None and self._clock.monotonic() >= self._greet_not_before
        socket.wait(seconds, to_greet=greeting_due)
        events: list[wire.Event] = []
        while self._session is not None and (frames := socket.receive()) is not None:
            if len(frames) != 2:
                continue
            try:
                message = open_sealed(self._key, *frames)
            except BadFrame:
                continue
            now = self._clock.monotonic()
            for event in self._session.receive(message, now):
                if isinstance(event, wire.Refused | wire.Lost):
                    if isinstance(event, wire.Refused):
                        self._refusal = f"{event.code}: {event.message}"
                    else:
                        self._refusal = event.reason
                    self._drop()
                    self._greet_not_before = now + REPEAT
                    return events
                events.append(event)
            if self._session.is_open:
                socket.settle()
            if self._session.silent_since == now:
                self._unanswered_since = None
            self._flush()
        return events

    def _await_answer(self, now: float) -> None:
        if self._unanswered_since is None:
            self._unanswered_since = now

    def _flush(self) -> None:
        if self._session is not None:
            for body in self._session.take_frames():
                self._send(body)

    def _send(self, body: bytes) -> bool:
        return self._socket is not None and self._socket.send(body, seal(self._key, body))

    def _drop(self) -> None:
        """Give the session up."""
        self._session = None
        self._unanswered_since = None
        if self._socket is not None:
            self._socket.unsettle()
            if not self._socket.lasting:
                self._hang_up()

    def _hang_up(self) -> None:
        """Give the connection up as well."""
        self._session = None
        self._unanswered_since = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
