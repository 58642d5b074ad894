"""The terminal's half of a session: who may speak, in which order, until when (mql5_ea/EA_PROTOCOL.md §3).

Sans I/O: a checked Request and a monotonic reading go in, a verdict comes out. No socket, no clock and no trade
belongs here; whoever serves the wire makes the session numbers, stores the epoch and sends the replies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from app.protocol.ea_frames import Reply, Request

SILENCE_LIMIT = 10.0
"""Seconds without a frame after which an executor counts as gone (§3)."""
MAX_STOP_SESSIONS = 8
MAX_PENDING = 64
ROLES = ("command", "stop")
STOP_COMMANDS = frozenset({"hello", "heartbeat", "stop"})
"""All that a session of the role `stop` may send."""
_ANY_EPOCH = frozenset({"hello", "stop", "bye"})
_HEX_32 = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(slots=True)
class Session:
    """One executor's connection: pending from `hello` until its first valid frame, then active."""

    sid: str
    role: str
    instance: str
    executor: str
    version: str
    hello_ts: int
    """`ts` of the hello (ms): where the session clock starts."""
    opened: float
    """Monotonic seconds at which the hello came."""
    last_heard: float
    last_id: int = 0
    active: bool = False
    lapsed: bool = False
    """Once silent for longer than the limit; trades are refused until there is a fresh session."""

    def clock(self, now: float) -> int:
        """The session clock at monotonic second `now` as this end reads it, whole milliseconds."""
        return self.hello_ts + math.floor((now - self.opened) * 1000)

    def deadline(self, request: Request, now: float) -> float:
        """Monotonic second after which `request` may not begin any more.

        Never later than `ttl` from now: a sender whose clock runs ahead gains nothing.
        """
        on_session_clock = self.opened + (request.ts + request.ttl - self.hello_ts) / 1000
        return min(on_session_clock, now + request.ttl / 1000)


@dataclass(frozen=True, slots=True)
class Dropped:
    """No answer, no effect. `why` is for the counters only."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer `reply`; nothing else happens."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Admitted:
    """The request may be handled. A `hello` is answered with `session.sid` and changes nothing else."""

    session: Session
    request: Request
    deadline: float
    activated: bool = False
    """The session became the active one with this frame."""
    epoch_raised: bool = False
    """`TerminalSessions.epoch` has grown: store it durably before anything else."""


Verdict = Dropped | Refused | Admitted


@dataclass(slots=True)
class TerminalSessions:
    """All sessions of one life (boot) of a terminal.

    The caller feeds every authenticated request in the order of arrival and obeys the verdict; it stores
    `epoch` whenever a verdict says that it was raised, and asks `hindrance` right before every attempt.
    """

    epoch: int
    new_sid: Callable[[], str]
    """Makes 32 unpredictable hex digits."""
    silence_limit: float = SILENCE_LIMIT
    command: Session | None = None
    """The one active command session."""
    stops: list[Session] = field(default_factory=list)
    pending: dict[str, Session] = field(default_factory=dict)

    def receive(self, request: Request, now: float) -> Verdict:
        """Judge one request; `now` is monotonic seconds."""
        if request.cmd == "hello":
            return self._hello(request, now)
        session = self._find(request.sid)
        if session is None:
            return Dropped("unknown session")
        if request.id <= session.last_id:
            return Dropped("repeated or late number")
        session.last_id = request.id
        if session.role == "stop" and request.cmd not in STOP_COMMANDS:
            return _refuse(request, "ROLE_NOT_ALLOWED", f"the role stop may not send {request.cmd}")
        if request.epoch < self.epoch and request.cmd not in _ANY_EPOCH:
            return Refused(
                Reply(
                    request.sid,
                    request.id,
                    ok=False,
                    code="EPOCH_TOO_LOW",
                    message=f"the terminal is at epoch {self.epoch}",
                    cid=request.cid,
                    data={"epoch": self.epoch},
                )
            )
        activated = not session.active
        if activated:
            taken = self._activate(session, now)
            if taken is not None:
                return _refuse(request, "SESSION_TAKEN", taken)
        elif now - session.last_heard > self.silence_limit:
            session.lapsed = True
        session.last_heard = now
        raised = session.role == "command" and request.epoch > self.epoch
        if raised:
            self.epoch = request.epoch
        if request.cmd == "bye":
            self._end(session)
        return Admitted(session, request, session.deadline(request, now), activated, raised)

    def hindrance(self, admitted: Admitted, now: float) -> str | None:
        """Why a trade may not go to the broker at this moment; None: it may. A code of §7, "" for a dead session."""
        session = admitted.session
        if session is not self.command:
            return ""
        if admitted.request.epoch < self.epoch:
            return "EPOCH_TOO_LOW"
        if session.lapsed:
            return "EXECUTOR_SILENT"
        if now > admitted.deadline:
            return "EXPIRED"
        return None

    def silent(self, now: float) -> bool:
        """Whether there is no executor that was heard within the limit."""
        return self.command is None or now - self.command.last_heard > self.silence_limit

    def _hello(self, request: Request, now: float) -> Verdict:
        role, instance = request.args.get("role"), request.args.get("instance")
        nonce = request.args.get("nonce")
        if request.sid != "" or request.id != 0:
            return Dropped("hello with a session or a number")
        if role not in ROLES:
            return _refuse(request, "INVALID_ARGS", "role: must be command or stop")
        for name, value in (("instance", instance), ("nonce", nonce)):
            if not isinstance(value, str) or not _HEX_32.match(value):
                return _refuse(request, "INVALID_ARGS", f"{name}: must be 32 hex digits")
        instance = str(instance)
        if role == "command":
            taken = self._taken(instance, now)
            if taken is not None:
                return _refuse(request, "SESSION_TAKEN", taken)
        session = Session(
            sid=self.new_sid(),
            role=str(role),
            instance=instance,
            executor=str(request.args.get("executor") or ""),
            version=str(request.args.get("version") or ""),
            hello_ts=request.ts,
            opened=now,
            last_heard=now,
        )
        while len(self.pending) >= MAX_PENDING:
            del self.pending[next(iter(self.pending))]
        self.pending[session.sid] = session
        return Admitted(session, request, now + request.ttl / 1000)

    def _find(self, sid: str) -> Session | None:
        if self.command is not None and self.command.sid == sid:
            return self.command
        for session in self.stops:
            if session.sid == sid:
                return session
        return self.pending.get(sid)

    def _taken(self, instance: str, now: float) -> str | None:
        active = self.command
        if active is None or active.instance == instance or now - active.last_heard > self.silence_limit:
            return None
        return f"another executor ({active.executor or 'unnamed'}) is connected to this terminal"

    def _activate(self, session: Session, now: float) -> str | None:
        if session.role == "command":
            taken = self._taken(session.instance, now)
            if taken is not None:
                return taken
            self.command = session
            # Its own older hellos are superseded: only a newer one may still take over.
            for other in tuple(self.pending.values()):
                same = (other.role, other.instance) == (session.role, session.instance)
                if same and other.opened <= session.opened:
                    del self.pending[other.sid]
        else:
            self.stops.append(session)
            del self.stops[:-MAX_STOP_SESSIONS]
        self.pending.pop(session.sid, None)
        session.active = True
        return None

    def _end(self, session: Session) -> None:
        if session is self.command:
            self.command = None
        elif session in self.stops:
            self.stops.remove(session)


def _refuse(request: Request, code: str, message: str) -> Refused:
    return Refused(Reply(request.sid, request.id, ok=False, code=code, message=message, cid=request.cid))
