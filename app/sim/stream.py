"""What the simulated terminal tells without being asked (EA_PROTOCOL §8): ticks, trade events, heartbeats, stops.

Events get their number when they happen and go out when the terminal is done with the command in hand, so that
publishing never delays a reply.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.domain.market import Account, Quote, TradeEvent
from app.protocol.ea_fields import to_ms
from app.protocol.ea_frames import StreamEvent
from app.protocol.ea_messages import quote_to_wire, trade_event_to_wire
from app.sim.effects import Effect


@dataclass(slots=True)
class Subscription:
    """One symbol's feed. `interval` in seconds; a conflated tick waits until `due`."""

    interval: float
    lossless: bool
    last_sent: float = float("-inf")
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trade event with its number, not yet written out."""

    number: int
    event: TradeEvent


class Stream:
    """Numbers, conflates and queues the events of one life."""

    def __init__(self, boot: str, now_ms: Callable[[], int]) -> None:
        self._boot = boot
        self._now_ms = now_ms
        self._numbers: Counter[str] = Counter()
        self._outgoing: deque[StreamEvent | Waiting] = deque()
        self.subscriptions: dict[str, Subscription] = {}

    def subscribe(self, symbols: list[str], interval: float, *, lossless: bool) -> None:
        for symbol in symbols:
            self.subscriptions[symbol] = Subscription(interval, lossless)

    def unsubscribe(self, symbols: list[str]) -> None:
        for symbol in symbols:
            self.subscriptions.pop(symbol, None)

    def tick(self, quote: Quote, now: float) -> None:
        """A new quote; told now, later together with newer ones, or to nobody."""
        feed = self.subscriptions.get(str(quote.symbol))
        if feed is None:
            return
        if feed.lossless or now - feed.last_sent >= feed.interval:
            self._send_tick(feed, quote, now)
        else:
            feed.waiting = True

    def due(self, quotes: Callable[[str], Quote], now: float) -> None:
        """Send the conflated ticks whose interval is over."""
        for symbol, feed in self.subscriptions.items():
            if feed.waiting and now - feed.last_sent >= feed.interval:
                self._send_tick(feed, quotes(symbol), now)

    def effect(self, effect: Effect) -> int:
        """Number what an effect means to a listener; returns the number of the last trade event."""
        kind = effect.kind
        if effect.reason == "expired":
            kind = "order_expired"
        elif effect.reason == "triggered":
            kind = "order_triggered"
        if effect.replaced is not None:
            self._trade(TradeEvent("position_modified", 0, effect.time, position_ticket=effect.replaced))
        self._trade(
            TradeEvent(
                kind=kind,
                seq=0,
                time=effect.time,
                command_id=effect.cid,
                deal=effect.deal,
                position_ticket=effect.position_ticket,
                position=effect.position,
                order_ticket=effect.order_ticket,
                order=effect.order,
                amount=effect.amount,
            )
        )
        return self._numbers["trade"]

    def take(self, account: Callable[[], Account], *, trades: bool) -> Iterator[StreamEvent]:
        """Everything that waits to be told, oldest first; without `trades` those stay until later.

        Only here do trade events become bytes' worth of work, with the account as it is now.
        """
        kept: deque[StreamEvent | Waiting] = deque()
        while self._outgoing:
            event = self._outgoing.popleft()
            if isinstance(event, StreamEvent):
                yield event
            elif trades:
                told = replace(event.event, account=account())
                yield StreamEvent(
                    self._boot, event.number, to_ms(told.time), "trade", trade_event_to_wire(told)
                )
            else:
                kept.append(event)
        self._outgoing = kept

    def _trade(self, event: TradeEvent) -> None:
        self._numbers["trade"] += 1
        self._outgoing.append(Waiting(self._numbers["trade"], event))

    def publish(self, ev: str, data: Mapping[str, Any]) -> None:
        self._numbers[ev] += 1
        self._outgoing.append(StreamEvent(self._boot, self._numbers[ev], self._now_ms(), ev, data))

    def _send_tick(self, feed: Subscription, quote: Quote, now: float) -> None:
        feed.last_sent = now
        feed.waiting = False
        self.publish("tick", quote_to_wire(quote))
