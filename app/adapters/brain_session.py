"""One session with the brain on one open connection: HELLO to the last frame (PROTOCOL §2, §3).

Whether and when to connect again is brain_websocket.py's; what a message means for trading is the engine's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from websockets.exceptions import ConnectionClosed

from app.adapters.brain_connection import MAX_FRAME, BrainConnection, Failure, Message, describe_close
from app.adapters.brain_options import BrainOptions
from app.adapters.brain_outgoing import Outgoing
from app.engine.ports import Arrival, BrainListener, BrainMessage, Clock, UnreadableCommand
from app.engine.tasks import TaskKeeper
from app.protocol import brain_inbound as inbound
from app.protocol import brain_outbound as wire
from app.protocol.brain_fields import stamp
from app.protocol.clock_offset import BrainClock
from app.protocol.reconnect import Ending

MOST_STOPS_REMEMBERED = 64
STOP_PATIENCE = 10.0
"""Seconds that the end of a session waits for a stop that is being carried out."""
MOST_PATIENCE_WITH_PONG = 6
"""Times the pong's time-out, while the brain keeps on sending other things."""
SLOWEST_LINE = 10_000
"""Bytes a second: a pong is waited for so much longer when more stands before its ping than the line was ever seen to take."""
LONGEST_TURN = 0.002
"""Seconds for which messages that are already here are taken one after the other. Then the loop turns once: one read of the
socket brings hundreds, and a stop over the local API or from the terminal takes several turns to arrive."""


class BrainSession:
    """Made for an open connection, run once."""

    def __init__(
        self,
        connection: BrainConnection,
        options: BrainOptions,
        rules: inbound.ReadingRules,
        clock: Clock,
        listener: BrainListener,
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """`on_round_trip`: told of every ping's way there and back, seconds."""
        self._on_round_trip = on_round_trip
        self._connection = connection
        self._options = options
        self._rules = rules
        self._clock = clock
        self._listener = listener
        self._outgoing = Outgoing(
            connection.write_text,
            lambda: connection.blocked,
            executor_id=options.executor_id,
            now=clock.now,
        )
        self._keeper = TaskKeeper("brain.session", self._helper_failed)
        self._opening = asyncio.Lock()
        self._brain_clock = BrainClock()
        self._greeted_at = clock.monotonic()
        self._confirmed = 0
        """Bytes that we wrote and a pong has proved to be there."""
        self._line_takes = 0
        """Most bytes that one pong has proved."""
        self._session_id: str | None = None
        self._welcome: inbound.Welcome | None = None
        self._welcomed_at: float | None = None
        self._failure: Failure | None = None
        self._fault: BaseException | None = None
        self._busy = False
        self._stops_told: deque[bytes] = deque(maxlen=MOST_STOPS_REMEMBERED)
        self._stops_under_way: set[asyncio.Task[None]] = set()
        self.was_open = False
        """Welcomed or plain at some time."""
        self.last_heard = clock.monotonic()
        """Monotonic. In plain mode a pong counts; a welcomed brain has to speak, for a pong proves only its event loop."""

    @property
    def is_open(self) -> bool:
        """Welcomed, or plain: messages can be sent."""
        return self._session_id is not None

    def welcomed_for(self) -> float | None:
        """Seconds since WELCOME; None: never welcomed."""
        return None if self._welcomed_at is None else self._clock.monotonic() - self._welcomed_at

    def send(self, message: BrainMessage) -> bool:
        """False: no session is open, or the brain reads so slowly that it is given up."""
        if not self.is_open or self._failure is not None:
            return False
        return self._kept_up(self._outgoing.put(message))

    def drop(self, reason: str) -> None:
        """Cut the connection; `run` then ends."""
        if self._failure is None:
            self._failure = Failure(Ending.LOST, reason)
        self._connection.abort()

    async def run(self) -> Failure:
        """Until the connection ends; says why. Raises what the listener raises."""
        connection = self._connection
        connection.on_writable = self._outgoing.flush
        connection.on_text_seen = self._overhear
        failure = Failure(Ending.LOST, "the executor is shutting down")
        try:
            self._greeted_at = self._clock.monotonic()
            self._outgoing.put_text(self._hello())
            self._keeper.spawn("welcome", self._go_plain())
            self._keeper.spawn("ping", self._ping())
            turn_began = self._clock.monotonic()
            while True:
                at_once = connection.unread > 0
                if at_once and self._clock.monotonic() - turn_began > LONGEST_TURN:
                    await asyncio.sleep(0)
                    at_once = False
                message = await connection.receive()
                if not at_once:
                    turn_began = self._clock.monotonic()
                self._busy = True
                await self._take(message)
                self._busy = False
        except ConnectionClosed as closed:
            failure = self._failure or describe_close(closed)
        finally:
            connection.on_writable = connection.on_text_seen = None
            # A stop that was heard is carried out, even if the connection broke behind it.
            if self._stops_under_way:
                await asyncio.wait(self._stops_under_way, timeout=STOP_PATIENCE)
            await self._keeper.close()
            await connection.close(1001)
            if self._session_id is not None:
                session_id, self._session_id = self._session_id, None
                await self._listener.on_brain_down(session_id, failure.reason)
        if self._fault is not None:
            raise self._fault
        return failure

    # -------------------------------------------------------------- opening

    def _hello(self) -> str:
        status = self._options.status()
        return wire.hello(
            self._clock.now(),
            self._options.executor_id,
            app_version=self._options.app_version,
            accounts=self._options.accounts(),
            trading_state=status.state.value,
            epoch=status.epoch,
        )

    async def _go_plain(self) -> None:
        await self._clock.sleep(self._options.timings.welcome)
        await self._open(None)

    async def _open(self, welcome: inbound.Welcome | None) -> None:
        """Tell the engine that a session is open, once, and have STATE sent before anything else is taken."""
        async with self._opening:
            if self._session_id is not None:
                return
            now = self._clock.now()
            self.was_open = True
            self._session_id = f"plain {stamp(now)}" if welcome is None else welcome.session_id
            await self._listener.on_brain_up(
                self._session_id, welcome is None, self._arrival("", self._clock.monotonic()).clock_offset
            )
            await self._listener.on_state_wanted(None)

    async def _welcomed(self, welcome: inbound.Welcome, monotonic: float) -> None:
        """A WELCOME that comes late turns a plain session into a full one."""
        if welcome.server_time is not None:
            self._brain_clock.answered(welcome.server_time, self._greeted_at, monotonic)
        if self._welcome is None:
            self._welcome = welcome
            self._welcomed_at = monotonic
            self._keeper.spawn("heartbeat", self._heartbeat(welcome.heartbeat_interval / 1000))
        await self._open(welcome)

    # -------------------------------------------------------------- liveness

    async def _ping(self) -> None:
        timings = self._options.timings
        while True:
            # Everything written before the ping has arrived when its pong comes back.
            written = self._outgoing.take_written()
            asked = self._clock.monotonic()
            try:
                round_trip = await self._pong()
            except TimeoutError:
                self.drop(f"no pong for {self._clock.monotonic() - asked:.1f} s: the connection is dead")
                return
            except ConnectionClosed:
                return
            self._brain_clock.round_trip(round_trip)
            self._on_round_trip(round_trip)
            if self._welcome is None:
                self.last_heard = self._clock.monotonic()
            if written and not self._acknowledges():
                await self._listener.on_results_delivered(written)
            await self._clock.sleep(timings.ping_interval)

    async def _pong(self) -> float:
        """Seconds to the brain and back. Raises TimeoutError when no pong comes and nothing else either, ConnectionClosed.

        A ping stands in line behind all that we have sent, its pong behind all that the brain has. While that is on the way the
        connection lives; to cut it would lose what is in it, and STATE would stand before the next ping again, for ever.
        """
        most = MOST_PATIENCE_WITH_PONG * self._options.timings.pong_timeout
        written = self._connection.written
        before = written - self._confirmed
        patience = min(
            most, self._options.timings.pong_timeout + max(0, before - self._line_takes) / SLOWEST_LINE
        )
        asked = self._clock.monotonic()
        async with asyncio.timeout(most):
            pong = await self._connection.ask_pong()
            while True:
                quiet = self._clock.monotonic() - max(asked, self.last_heard)
                if quiet >= patience and not self._connection.unread:
                    raise TimeoutError
                await asyncio.wait([pong], timeout=max(patience - quiet, patience / 10))
                if pong.done():
                    self._confirmed, self._line_takes = written, max(self._line_takes, before)
                    return await pong

    def _acknowledges(self) -> bool:
        return self._welcome is not None and "result_ack" in self._welcome.capabilities

    async def _heartbeat(self, interval: float) -> None:
        seq = 0
        while True:
            seq += 1
            text = wire.heartbeat(self._clock.now(), seq, self._listener.heartbeat_metrics())
            self._kept_up(self._outgoing.put_text(text))
            await self._clock.sleep(interval)

    def _kept_up(self, taken: bool) -> bool:
        if not taken:
            self.drop("the brain does not read what it is sent")
        return taken

    def _helper_failed(self, _name: str, fault: BaseException) -> None:
        if self._fault is None:
            self._fault = fault
        self.drop("an error in the executor")

    # -------------------------------------------------------------- reading

    async def _take(self, message: Message) -> None:
        monotonic = self._clock.monotonic()
        self.last_heard = monotonic
        data = message.data
        if not message.is_text:
            shown = data[:MAX_FRAME].decode(errors="replace")
            self._refuse(inbound.INVALID_JSON, "frame: must be a text frame, not a binary one", shown)
            return
        if len(data) > MAX_FRAME:
            shown = data[:MAX_FRAME].decode(errors="replace")
            self._refuse(inbound.FRAME_TOO_LARGE, f"frame: must have at most {MAX_FRAME} bytes", shown)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            shown = data[:MAX_FRAME].decode(errors="replace")
            self._refuse(inbound.INVALID_JSON, "frame: invalid UTF-8", shown)
            return
        try:
            reading = self._read(text)
        except inbound.FrameRefused as refusal:
            # The whole frame, so that a key cut at the 64th character is recognised too.
            self._refuse(refusal.code, str(refusal), text if text.startswith(refusal.ref) else refusal.ref)
            return
        await self._tell(reading, data, monotonic)

    def _read(self, text: str) -> inbound.Reading:
        accounts = {account.login for account in self._options.accounts()}
        return inbound.read_frame(text, self._rules, accounts)

    async def _tell(self, reading: inbound.Reading, data: bytes, monotonic: float) -> None:
        message = reading.message
        listener = self._listener
        # A stop and the WELCOME wait for nothing; a heartbeat is no reason to stop hoping for the WELCOME.
        match message:
            case inbound.EmergencyStop():
                if data in self._stops_told:
                    self._stops_told.remove(data)
                else:
                    await self._stop(message, reading)
                return
            case inbound.Welcome():
                await self._welcomed(message, monotonic)
                return
            case inbound.Heartbeat():
                if message.timestamp is not None:
                    self._brain_clock.heard(message.timestamp, monotonic)
                return
        if self._session_id is None or self._opening.locked():
            # A brain that begins with commands does not know WELCOME; holding them back would let them expire.
            await self._open(None)
        match message:
            case inbound.Signal():
                await listener.on_command(message.command, self._arrival(reading.text, monotonic))
            case inbound.UnreadableSignal():
                await listener.on_command(
                    UnreadableCommand(message.command_id, message.fingerprint, message.code, message.message),
                    self._arrival(reading.text, monotonic),
                )
            case inbound.Withdraw():
                await listener.on_withdraw(message.command_id, self._arrival(reading.text, monotonic))
            case inbound.Subscribe():
                await listener.on_subscribe(message.symbols, message.min_interval)
            case inbound.Unsubscribe():
                await listener.on_unsubscribe(message.symbols)
            case inbound.ResultsStored():
                await listener.on_results_stored(message.command_ids)
            case inbound.GetState():
                await listener.on_state_wanted(message.request_id)

    async def _stop(self, message: inbound.EmergencyStop, reading: inbound.Reading) -> None:
        await self._listener.on_emergency_stop(
            message.reason, message.close_positions, reading.signed_by is not None
        )

    def _overhear(self, data: bytes) -> None:
        """While the engine still works on an earlier message, a stop overtakes all that waits in between."""
        if b"EMERGENCY_STOP" not in data or len(data) > MAX_FRAME:
            return
        if not self._busy and self._connection.unread <= 1:
            return  # it is next
        try:
            reading = self._read(data.decode())
        except (UnicodeDecodeError, inbound.FrameRefused):
            return  # it is refused when its turn comes
        if isinstance(reading.message, inbound.EmergencyStop):
            self._stops_told.append(data)
            task = self._keeper.spawn("stop", self._stop(reading.message, reading))
            self._stops_under_way.add(task)
            task.add_done_callback(self._stops_under_way.discard)

    def _arrival(self, text: str, monotonic: float) -> Arrival:
        at = self._clock.now()
        # The wall clock as it was when the message was read: what has passed since is no offset.
        at -= timedelta(seconds=self._clock.monotonic() - monotonic)
        brain_now: datetime | None = None
        if self._welcome is not None:
            brain_now = self._brain_clock.now(monotonic)
        if brain_now is None:
            return Arrival(text, at, monotonic, at, None)
        return Arrival(text, at, monotonic, brain_now, (brain_now - at).total_seconds())

    def _refuse(self, code: str, message: str, ref: str) -> None:
        """Answer ERROR. The key is taken out even if the brain itself quoted it."""
        key = self._options.api_key
        shown = ref.replace(key, "***")[: inbound.REF_LENGTH]
        text = wire.error(self._clock.now(), code, message.replace(key, "***"), shown)
        self._kept_up(self._outgoing.put_text(text))
