"""What a terminal streams — quotes, trade events, heartbeats, its stop — from frames to the engine's listener (EA_PROTOCOL §8).

Quotes are conflated when the loop lags, trade events never are. Nothing is asked of the terminal here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.adapters.mt5_sockets import Frames
from app.adapters.mt5_wire import UNREADABLE, heartbeat_from_wire
from app.engine.broker import BrokerListener
from app.engine.ports import Clock
from app.protocol.ea_fields import BadFrame, from_ms, text_field
from app.protocol.ea_frames import StreamEvent, open_sealed
from app.protocol.ea_messages import quote_from_wire, trade_event_from_wire
from app.protocol.ea_stream import AnotherLife, StreamReader, StreamReading


@dataclass(slots=True)
class WireCounters:
    """What went over the wire otherwise than planned, since start. Shown nowhere; the contract suite reads them."""

    sessions: int = 0
    bad_frames: int = 0
    """Without our key, or not a frame at all."""
    unreadable: int = 0
    """Authentic, but not what the protocol says."""
    late_replies: int = 0
    """Answers to trades or questions that had timed out: what they say is found out by find()."""
    unexpected_replies: int = 0
    timeouts: int = 0
    conflated: int = 0
    """Quotes skipped because a newer one of the symbol was there already."""
    gaps: int = 0


class TerminalStream:
    """Feeds one listener from the stream of the terminal that the open session belongs to."""

    def __init__(
        self, key: bytes, clock: Clock, counters: WireCounters, on_another_life: Callable[[], None]
    ) -> None:
        self._key = key
        self._clock = clock
        self._counters = counters
        self._on_another_life = on_another_life
        self._reader = StreamReader()
        self._listener: BrokerListener | None = None
        self.heard = 0.0
        """Monotonic second of the last believed event."""

    def begin(self, boot: str, trade_seq: object, listener: BrokerListener | None) -> None:
        """A session is open: believe this boot, and nothing else, until end()."""
        self._reader.begin(boot, trade_seq if isinstance(trade_seq, int) else 0)
        self._listener = listener
        self.heard = self._clock.monotonic()

    def end(self) -> None:
        """No session: what the stream says meanwhile is in the snapshot that follows the next one."""
        self._listener = None

    def told(self, trade_seq: object) -> None:
        """A reply counted the trade events so far."""
        if self._reader.told(trade_seq):
            self._gap()

    def on_frames(self, batch: list[Frames]) -> None:
        """Messages of the stream connection, in order."""
        now = self._clock.monotonic()
        newest = {frames[0]: index for index, frames in enumerate(batch)}
        for index, frames in enumerate(batch):
            if len(frames) != 3:
                self._counters.bad_frames += 1
                continue
            topic, body, mac = frames
            if topic.startswith(b"tick.") and newest[topic] != index:
                self._counters.conflated += 1
                continue
            try:
                message = open_sealed(self._key, body, mac)
            except BadFrame:
                self._counters.bad_frames += 1
                continue
            self.on_message(topic, message, now)

    def on_message(self, topic: bytes, message: Mapping[str, Any], now: float) -> None:
        """One authenticated stream message, by whichever connection it came."""
        if self._listener is None:
            return
        match self._reader.receive(topic, message):
            case AnotherLife():
                self._on_another_life()
            case StreamReading(event=event, gap=gap):
                self.heard = now
                if gap:
                    self._gap()
                try:
                    self._tell(self._listener, event, now)
                except UNREADABLE:
                    self._unreadable(event)

    def _tell(self, listener: BrokerListener, event: StreamEvent, now: float) -> None:
        if event.ev == "tick":
            listener.on_quote(quote_from_wire(event.data, now))
        elif event.ev == "trade":
            listener.on_trade_event(trade_event_from_wire(event.data, event.seq, from_ms(event.ts)))
        elif event.ev == "heartbeat":
            listener.on_heartbeat(heartbeat_from_wire(event.data, None))
        elif event.ev == "stopped":
            listener.on_terminal_stopped(text_field(event.data, "reason"), text_field(event.data, "by"))

    def _unreadable(self, event: StreamEvent) -> None:
        self._counters.unreadable += 1
        if event.ev == "trade":
            self._gap()

    def _gap(self) -> None:
        self._counters.gaps += 1
        if self._listener is not None:
            self._listener.on_trade_gap()
