"""A BrokerListener that keeps what it heard and lets a test wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from app.domain.market import Quote, TradeEvent
from app.engine.broker import TerminalHeartbeat, TerminalHello

T = TypeVar("T")


@dataclass(slots=True)
class RecordingListener:
    """Everything heard, in order by kind; `log` has the order over all kinds except quotes and heartbeats."""

    ups: list[TerminalHello] = field(default_factory=list)
    downs: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str, int | None]] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    trade_events: list[TradeEvent] = field(default_factory=list)
    gaps: int = 0
    heartbeats: list[TerminalHeartbeat] = field(default_factory=list)
    stops: list[tuple[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    _beats_before: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def on_terminal_up(self, hello: TerminalHello) -> None:
        self.ups.append(hello)
        self._beats_before = len(self.heartbeats)
        self._note("up")

    def on_terminal_down(self, reason: str) -> None:
        self.downs.append(reason)
        self._note("down")

    def on_terminal_refused(self, code: str, message: str, epoch: int | None) -> None:
        self.refusals.append((code, message, epoch))
        self._note(f"refused {code}")

    def on_quote(self, quote: Quote) -> None:
        self.quotes.append(quote)
        self._news.set()

    def on_trade_event(self, event: TradeEvent) -> None:
        self.trade_events.append(event)
        self._note(f"trade {event.kind}")

    def on_trade_gap(self) -> None:
        self.gaps += 1
        self._note("gap")

    def on_heartbeat(self, heartbeat: TerminalHeartbeat) -> None:
        self.heartbeats.append(heartbeat)
        self._news.set()

    def on_terminal_stopped(self, reason: str, by: str) -> None:
        self.stops.append((reason, by))
        self._note("stopped")

    async def until(self, condition: Callable[[], T], timeout: float = 10.0) -> T:
        """Wait until `condition` is truthy and return it; it is looked at after everything heard. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                value = condition()
                if value:
                    return value
                self._news.clear()
                await self._news.wait()

    def has_session(self) -> bool:
        return len(self.ups) > len(self.downs)

    def has_stream(self) -> bool:
        """A heartbeat came on the stream since the session began: no event is missed any more for want of a connection."""
        return any(beat.round_trip is None for beat in self.heartbeats[self._beats_before :])

    def _note(self, what: str) -> None:
        self.log.append(what)
        self._news.set()
