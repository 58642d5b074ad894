"""What the executor believes of a terminal's stream: which life it speaks of, and whether something is missing (EA_PROTOCOL §8).

Sans I/O: authenticated messages go in, checked events come out. What the events mean is in ea_messages.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.protocol.ea_fields import BadFrame
from app.protocol.ea_frames import StreamEvent, decode_event

KNOWN_EVENTS = frozenset({"tick", "trade", "heartbeat", "stopped"})
MAX_FORMER_BOOTS = 64


@dataclass(frozen=True, slots=True)
class StreamReading:
    """One believed event. `gap`: trade events before it were missed, a snapshot is needed."""

    event: StreamEvent
    gap: bool


@dataclass(frozen=True, slots=True)
class AnotherLife:
    """The terminal was started again: the session that is open belongs to a dead one."""

    boot: str


@dataclass(slots=True)
class StreamReader:
    """Follows the stream of the terminal that the session was opened with; between sessions it believes nothing."""

    boot: str = ""
    trade_seq: int = 0
    """Number of the last trade event that was seen, or that a snapshot taken from now on contains."""
    dropped: int = 0
    stale: int = 0
    _former: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_FORMER_BOOTS))
    _behind: int = 0

    def begin(self, boot: str, trade_seq: int) -> None:
        """A session is open. Trade events up to `trade_seq` will be in the snapshot that follows."""
        if self.boot and boot != self.boot:
            self._former.append(self.boot)
        self.boot, self.trade_seq, self._behind = boot, trade_seq, 0

    def receive(self, topic: bytes, message: Mapping[str, Any]) -> StreamReading | AnotherLife | None:
        """Judge one authenticated message; None: nothing in it for us."""
        try:
            event = decode_event(message)
            if event.ev not in KNOWN_EVENTS or event.topic.encode() != topic:
                raise BadFrame("the topic is not that of the body")
        except (BadFrame, KeyError):
            self.dropped += 1
            return None
        if event.boot != self.boot:
            if not self.boot or event.boot in self._former:
                self.stale += 1
                return None
            return AnotherLife(event.boot)
        gap = False
        if event.ev == "trade":
            if event.seq <= self.trade_seq:
                self.stale += 1
                return None
            gap = event.seq != self.trade_seq + 1
            self.trade_seq = event.seq
        elif event.ev == "heartbeat":
            # Stream and events travel on one connection, in order: what this heartbeat counts was sent before it.
            gap = self._catch_up(event.data.get("trade_seq"))
        return StreamReading(event, gap)

    def told(self, trade_seq: object) -> bool:
        """A heartbeat's reply, which may overtake the stream, counts trade events. True: by now they must be held for missed."""
        if not isinstance(trade_seq, int) or trade_seq <= self.trade_seq:
            self._behind = 0
            return False
        if self._behind and self._behind <= trade_seq and self._behind > self.trade_seq:
            self._behind = 0
            return self._catch_up(trade_seq)
        self._behind = trade_seq
        return False

    def _catch_up(self, trade_seq: object) -> bool:
        if not isinstance(trade_seq, int) or trade_seq <= self.trade_seq:
            return False
        self.trade_seq = trade_seq
        return True
