"""The BrainLink port over WebSocket: stay connected, knock politely, tell a person when knocking is no use (PROTOCOL §7).

The websockets library's own reconnection is not used: it retries a bad certificate for ever and an accept-then-close server
a thousand times a second. One session is brain_session.py's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from app.adapters.brain_connection import CONNECT_FAULTS, Failure, describe_failure, open_connection
from app.adapters.brain_options import BrainOptions, BrainTimings, tls_context
from app.adapters.brain_session import BrainSession
from app.engine.broker import LinkState
from app.engine.ports import BrainListener, BrainMessage, Clock
from app.engine.tasks import TaskKeeper
from app.protocol.brain_inbound import ReadingRules
from app.protocol.reconnect import Ending, ReconnectPolicy
from app.protocol.signing import SigningKeys

__all__ = ["BrainOptions", "BrainTimings", "WebSocketBrainLink"]

_PERSON_NEEDED = {
    Ending.REFUSED: (
        "BRAIN_REFUSED",
        "No commands can come. Check brain.api_key and brain.executor_id, then press Retry.",
    ),
    Ending.CERTIFICATE: (
        "BRAIN_CERTIFICATE",
        "No commands can come; somebody may be listening in between. Check the brain's address and certificate. "
        "The next attempt is in 60 s.",
    ),
    Ending.PROTOCOL: (
        "BRAIN_PROTOCOL",
        "No commands can come for now. The next attempt is in 60 s; if this repeats, brain and executor do not fit together.",
    ),
}


class WebSocketBrainLink:
    """The one connection to the web brain."""

    def __init__(
        self,
        options: BrainOptions,
        clock: Clock,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Raises ConfigurationError for keys or certificates that cannot be read. `uniform` draws the reconnect delays."""
        self._options = options
        self._clock = clock
        self._rules = ReadingRules(
            options.executor_id, SigningKeys(options.signing_keys), options.allow_unsigned
        )
        self._context = tls_context(options.url, options.ca_file)
        self._policy = ReconnectPolicy(options.timings.reconnect, uniform)
        self._retry = asyncio.Event()
        self._session: BrainSession | None = None
        self._connecting = False
        self._last_heard: float | None = None
        self._reported: Failure | None = None
        self.on_round_trip: Callable[[float], None] = lambda _seconds: None
        """Told of every ping's way to the brain and back; set before `run`."""

    @property
    def state(self) -> LinkState:
        session = self._session
        if session is None or not session.is_open:
            return LinkState.CONNECTING if self._connecting or session is not None else LinkState.DOWN
        silent = self._clock.monotonic() - session.last_heard
        return LinkState.DEGRADED if silent > self._options.timings.degraded_after else LinkState.UP

    @property
    def last_heard(self) -> float | None:
        """Monotonic moment at which the brain last gave a sign of life; None: never since the start."""
        return self._last_heard if self._session is None else self._session.last_heard

    def send(self, message: BrainMessage) -> bool:
        session = self._session
        return session is not None and session.send(message)

    def retry_now(self) -> None:
        if self._session is None or not self._session.is_open:
            self._retry.set()

    def renew(self, reason: str) -> None:
        if self._session is not None:
            self._session.drop(reason)

    async def run(self, listener: BrainListener) -> None:
        faults: list[BaseException] = []
        keeper = TaskKeeper("brain", lambda _name, fault: faults.append(fault))
        watch = keeper.spawn("silence", self._watch_silence(listener))
        talk = keeper.spawn("connection", self._stay_connected(listener, keeper))
        try:
            await asyncio.wait({watch, talk}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await keeper.close()
        if faults:
            raise faults[0]

    async def _stay_connected(self, listener: BrainListener, keeper: TaskKeeper) -> None:
        while True:
            self._retry.clear()
            self._policy.starting(self._clock.monotonic())
            failure, welcomed_for = await self._one_session(listener)
            delay = self._policy.delay(
                failure.ending,
                self._clock.monotonic(),
                welcomed_for=welcomed_for,
                retry_after=failure.retry_after,
            )
            await self._report(failure, listener)
            await self._pause(delay, keeper)

    async def _one_session(self, listener: BrainListener) -> tuple[Failure, float | None]:
        self._connecting = True
        try:
            connection = await open_connection(self._options, self._context)
        except CONNECT_FAULTS as fault:
            return describe_failure(fault, self._clock.now()), None
        finally:
            self._connecting = False
        session = BrainSession(
            connection, self._options, self._rules, self._clock, listener, self.on_round_trip
        )
        self._session = session
        try:
            failure = await session.run()
        finally:
            self._session = None
            self._last_heard = session.last_heard
        if session.was_open:
            self._reported = None
        return failure, session.welcomed_for()

    async def _report(self, failure: Failure, listener: BrainListener) -> None:
        """Tell a person, once for each new trouble: an alarm every minute is not read any more."""
        code, advice = _PERSON_NEEDED.get(
            failure.ending, ("FRAME_TOO_LARGE" if failure.oversized else "", "")
        )
        if code and failure != self._reported:
            self._reported = failure
            await listener.on_brain_refused(code, f"{failure.reason}. {advice}".strip())

    async def _pause(self, seconds: float | None, keeper: TaskKeeper) -> None:
        """Wait, or until *Retry* is pressed; the ceiling of attempts a minute binds that too."""
        if seconds is None:
            await self._retry.wait()
        else:
            sleep = keeper.spawn("pause", self._clock.sleep(seconds))
            pressed = keeper.spawn("retry", self._retry.wait())
            await asyncio.wait({sleep, pressed}, return_when=asyncio.FIRST_COMPLETED)
            sleep.cancel()
            pressed.cancel()
        earliest = self._policy.earliest()
        if earliest is not None:
            await self._clock.sleep(max(0.0, earliest - self._clock.monotonic()))

    async def _watch_silence(self, listener: BrainListener) -> None:
        """Goes on over sessions and pauses, so that the engine always learns how long nothing was heard."""
        timings = self._options.timings
        started = self._clock.monotonic()
        while True:
            await self._clock.sleep(timings.silence_check)
            heard = self.last_heard
            silent_for = self._clock.monotonic() - (started if heard is None else heard)
            if silent_for > timings.degraded_after:
                await listener.on_brain_degraded(silent_for)
            if silent_for > timings.lost_after and self._session is not None:
                self._session.drop(f"the brain was silent for {silent_for:.0f} s")
