"""The executor's half of a session with a terminal: greeting, numbers, deadlines, silence (mql5_ea/EA_PROTOCOL.md §3).

Sans I/O: authenticated messages and monotonic readings go in, events and bodies to send come out. No socket, clock, key
or randomness belongs here. What the terminal's stream says is judged in ea_stream.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from app.protocol.ea_fields import BadFrame, int_field, text_field
from app.protocol.ea_frames import Reply, Request, decode_reply, encode_request
from app.protocol.terminal_lag import TerminalLag

HEARTBEAT_INTERVAL = 1.0
SILENCE_LIMIT = 3.0
"""Seconds without a word from the terminal after which it is held for lost (§3)."""
TERMINAL_PATIENCE = 10.0
"""Seconds without a word from us after which the terminal wants a fresh session (§3)."""
HELD_UP = "this program was held up and the terminal wants a fresh session"
HELLO_TTL = 2000
HELLO_TIMEOUT = 2.0
HEARTBEAT_TTL = 3000
NO_ANSWER = "the terminal takes the connection but does not answer the greeting"
MAX_ABANDONED = 1024
"""How many timed-out requests are remembered, so that a late reply is told from a foreign one."""


class Phase(Enum):
    GREETING = "greeting"
    """`hello` is out."""
    CONFIRMING = "confirming"
    """The terminal named a session; our first frame on it, which makes it the active one, is out."""
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who greets. `instance` is 32 hex digits: a new session of the same instance replaces the old one at once."""

    instance: str
    executor: str
    version: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the terminal said of itself in answer to `hello`."""

    sid: str
    boot: str
    terminal: str
    login: str
    mode: str
    epoch: int
    stopped: bool
    stop_reason: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """The session is ours: trades may go. `heartbeat` is the data of the reply that confirmed it, empty for the role stop."""

    welcome: Welcome
    heartbeat: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """Request `id` has its one reply. `round_trip` in seconds."""

    id: int
    reply: Reply
    round_trip: float


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No reply to request `id` in time: nothing is known of its effect."""

    id: int


@dataclass(frozen=True, slots=True)
class LateReply:
    """A reply to a request that had timed out: a hint, never a second answer."""

    id: int
    cmd: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Beat:
    """Reply to a heartbeat of an open session."""

    data: Mapping[str, Any]
    round_trip: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The terminal will have no session with us. The session is closed."""

    code: str
    message: str
    epoch: int | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The session is over; whatever was under way is unknown. `answered`: whether the terminal ever spoke on it."""

    reason: str
    answered: bool


Event = Opened | Answered | TimedOut | LateReply | Beat | Refused | Lost


@dataclass(slots=True)
class _Pending:
    cmd: str
    cid: str | None
    sent: float
    deadline: float


@dataclass(slots=True)
class ReplyCounters:
    """Replies that were not what was waited for."""

    foreign: int = 0
    """Of another session, to a number never sent, or for another command."""
    late: int = 0
    repeated: int = 0
    malformed: int = 0


@dataclass(slots=True)
class ExecutorSession:
    """One session from `hello` to its end. Make a new one, on a new connection, for the next.

    The caller sends what `take_frames` holds after every call, feeds each authenticated message to `receive`, and calls `tick` at
    `next_tick()` at the latest. `request` is for an open session only.
    """

    identity: Identity
    role: str
    nonce: str
    """32 hex digits, never used before."""
    epoch: int
    wall: int
    """Milliseconds since the Unix epoch at `started`: where the session clock begins."""
    started: float
    """Monotonic seconds."""
    phase: Phase = Phase.GREETING
    opened: bool = False
    """Whether it ever was open."""
    sid: str = ""
    boot: str = ""
    counters: ReplyCounters = field(default_factory=ReplyCounters)
    _lag: TerminalLag = field(default_factory=TerminalLag)
    _welcome: Welcome | None = None
    _last_id: int = 0
    _last_heard: float = 0.0
    _last_beat: float = 0.0
    _next_beat: float = 0.0
    _beats: dict[int, float] = field(default_factory=dict)
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _abandoned: dict[int, str] = field(default_factory=dict)
    _frames: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        args = {
            "nonce": self.nonce,
            "role": self.role,
            "instance": self.identity.instance,
            "executor": self.identity.executor,
            "version": self.identity.version,
        }
        hello = Request("hello", id=0, sid="", epoch=self.epoch, ts=self.wall, ttl=HELLO_TTL, args=args)
        self._frames.append(encode_request(hello))
        self._last_heard = self.started

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.OPEN

    @property
    def silent_since(self) -> float:
        """Monotonic second of the last word from the terminal."""
        return self._last_heard

    @property
    def waiting(self) -> int:
        """Requests without a reply, heartbeats not counted."""
        return len(self._pending)

    def take_frames(self) -> list[bytes]:
        """Bodies to be sealed and sent, in this order."""
        frames, self._frames = self._frames, []
        return frames

    def request(
        self,
        cmd: str,
        args: Mapping[str, Any],
        *,
        ttl: int,
        timeout: float,
        now: float,
        cid: str | None = None,
        epoch: int | None = None,
        counted_from: float | None = None,
    ) -> tuple[int, bytes]:
        """Number and body of a new request; `timeout` in seconds until TimedOut.

        `ttl` in ms from `counted_from`, the monotonic second at which what is left was reckoned; None: from now.

        The body is not in `take_frames`: who asks must learn at once whether it left. Raises ValueError unless open.
        """
        if self.phase is not Phase.OPEN:
            raise ValueError("the session is not open")
        moment = now if counted_from is None else counted_from
        number, body = self._number(cmd, args, ttl, moment, cid=cid, epoch=epoch)
        self._pending[number] = _Pending(cmd, cid, now, now + timeout)
        return number, body

    def forget(self, number: int) -> None:
        """Request `number` did not leave."""
        self._pending.pop(number, None)

    def receive(self, message: Mapping[str, Any], now: float) -> list[Event]:
        """Judge one authenticated message of the command connection."""
        if self.phase is Phase.CLOSED:
            return []
        try:
            reply = decode_reply(message)
        except BadFrame:
            self.counters.malformed += 1
            return []
        if self.phase is Phase.GREETING:
            return self._greeted(reply, now)
        if reply.sid != self.sid:
            self.counters.foreign += 1
            return []
        if reply.re in self._beats:
            return self._beaten(reply, now)
        pending = self._pending.get(reply.re)
        if pending is None:
            return self._unexpected(reply, now)
        if pending.cid is not None and reply.cid is not None and reply.cid != pending.cid:
            self.counters.foreign += 1
            return []
        self._last_heard = now
        del self._pending[reply.re]
        answered = Answered(reply.re, reply, now - pending.sent)
        return [answered, self.close(HELD_UP)] if reply.code == "EXECUTOR_SILENT" else [answered]

    def tick(self, now: float) -> list[Event]:
        """Let time pass: heartbeats fall due, requests time out, silence ends the session."""
        if self.phase is Phase.CLOSED:
            return []
        if self.phase is Phase.GREETING:
            if now - self.started >= HELLO_TIMEOUT:
                return [self.close(NO_ANSWER)]
            return []
        if now - self._last_beat >= TERMINAL_PATIENCE:
            return [self.close(HELD_UP)]
        if now >= self._silence_due():
            return [self.close(f"the terminal was silent for {SILENCE_LIMIT:g} seconds")]
        events: list[Event] = []
        for number in [number for number, pending in self._pending.items() if pending.deadline <= now]:
            self._abandoned[number] = self._pending.pop(number).cmd
            while len(self._abandoned) > MAX_ABANDONED:
                del self._abandoned[next(iter(self._abandoned))]
            events.append(TimedOut(number))
        if now >= self._next_beat:
            self._beat(now)
        return events

    def next_tick(self) -> float:
        """Monotonic second at which `tick` is due."""
        if self.phase is Phase.GREETING:
            return self.started + HELLO_TIMEOUT
        due = min(self._next_beat, self._silence_due())
        return (
            min((pending.deadline for pending in self._pending.values()), default=due)
            if self._pending
            else due
        )

    def close(self, reason: str) -> Lost:
        """End it from this side: the connection broke, the terminal has another boot, or nobody needs it any more."""
        answered = self.phase is not Phase.GREETING
        self.phase = Phase.CLOSED
        self._frames.clear()
        return Lost(reason, answered)

    def farewell(self, now: float) -> bytes:
        """Body of `bye`; close() is due after it was sent."""
        return self._number("bye", {}, HELLO_TTL, now)[1]

    def _number(
        self,
        cmd: str,
        args: Mapping[str, Any],
        ttl: int,
        now: float,
        *,
        cid: str | None = None,
        epoch: int | None = None,
    ) -> tuple[int, bytes]:
        self._last_id += 1
        request = Request(
            cmd,
            id=self._last_id,
            sid=self.sid,
            epoch=self.epoch if epoch is None else epoch,
            # The session clock: a wall clock that is stepped, on either side, makes no command older or younger. As the
            # terminal reads it, or older: a greeting that it read late would else give every command that much longer to live.
            ts=round(self._session_clock(now) - self._lag.most * 1000),
            ttl=ttl,
            args=args,
            cid=cid,
        )
        return self._last_id, encode_request(request)

    def _session_clock(self, now: float) -> float:
        """Milliseconds, as we read it."""
        return self.wall + (now - self.started) * 1000

    def _silence_due(self) -> float:
        """When silence becomes a loss. It counts from a question: a program that was held up itself first asks again."""
        asked = min(self._beats.values(), default=None)
        if asked is None:
            return math.inf
        return max(self._last_heard + SILENCE_LIMIT, asked + SILENCE_LIMIT - HEARTBEAT_INTERVAL)

    def _beat(self, now: float) -> None:
        number, body = self._number("heartbeat", {}, HEARTBEAT_TTL, now)
        self._beats[number] = self._last_beat = now
        self._next_beat = now + HEARTBEAT_INTERVAL
        self._frames.append(body)

    def _greeted(self, reply: Reply, now: float) -> list[Event]:
        if reply.re != 0:
            self.counters.foreign += 1
            return []
        if not reply.ok:
            return [self._refuse(reply)]
        if reply.data.get("nonce") != self.nonce:  # an answer to an older hello
            self.counters.foreign += 1
            return []
        try:
            welcome = _welcome(reply)
        except BadFrame:
            self.counters.malformed += 1
            return [
                self.close(
                    "the terminal's greeting cannot be understood; is the Expert Advisor of this version?"
                )
            ]
        self._welcome, self.sid, self.boot, self._last_heard = welcome, welcome.sid, welcome.boot, now
        self._lag.greeted(now - self.started)
        if self.role != "command":
            # A stop passes with any epoch; the warm-keeping heartbeats need the terminal's own.
            self.epoch = max(self.epoch, welcome.epoch)
            self._open()
            self._beat(now)
            return [Opened(welcome, {})]
        if welcome.epoch > self.epoch:
            self.phase = Phase.CLOSED
            message = f"the terminal is at epoch {welcome.epoch}, this executor at {self.epoch}"
            return [Refused("EPOCH_TOO_LOW", message, welcome.epoch)]
        self.phase = Phase.CONFIRMING
        self._beat(now)
        return []

    def _beaten(self, reply: Reply, now: float) -> list[Event]:
        sent = self._beats.pop(reply.re)
        for number in [number for number in self._beats if number < reply.re]:
            del self._beats[number]
        self._last_heard = now
        if not reply.ok:
            return [self._refuse(reply)]
        self._lag.told(reply.data.get("clock"), self._session_clock(now))
        if self.phase is Phase.CONFIRMING and self._welcome is not None:
            self._open()
            return [Opened(self._welcome, reply.data), Beat(reply.data, now - sent)]
        return [Beat(reply.data, now - sent)]

    def _open(self) -> None:
        self.phase, self.opened = Phase.OPEN, True

    def _unexpected(self, reply: Reply, now: float) -> list[Event]:
        if reply.re > self._last_id or reply.re < 1:
            self.counters.foreign += 1
            return []
        self._last_heard = now
        cmd = self._abandoned.pop(reply.re, None)
        if cmd is None:
            self.counters.repeated += 1
            return []
        self.counters.late += 1
        return [LateReply(reply.re, cmd, reply)]

    def _refuse(self, reply: Reply) -> Refused:
        self.phase = Phase.CLOSED
        epoch = reply.data.get("epoch")
        code = reply.code or "REFUSED"
        return Refused(code, reply.message or code, epoch if isinstance(epoch, int) else None)


def _welcome(reply: Reply) -> Welcome:
    data = reply.data
    stopped, reason = data.get("stopped"), data.get("stop_reason")
    if not reply.sid or not isinstance(stopped, bool):
        raise BadFrame("sid and stopped are required")
    return Welcome(
        sid=reply.sid,
        boot=text_field(data, "boot"),
        terminal=text_field(data, "terminal"),
        login=text_field(data, "login"),
        mode=text_field(data, "mode"),
        epoch=int_field(data, "epoch"),
        stopped=stopped,
        stop_reason=reason if isinstance(reason, str) else None,
    )
