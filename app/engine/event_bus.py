"""Who wants to know that something changed: names of what changed, conflated for each subscriber. Carries no data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from app.engine.ports import Clock

_AT_MOST_EVERY = 0.05


class _Subscriber:
    def __init__(self) -> None:
        self.names: set[str] = set()
        self.event = asyncio.Event()


class ChangeBus:
    """mark() is cheap and never fails; a subscriber that is slow only sees more names at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._subscribers: list[_Subscriber] = []

    def mark(self, *names: str) -> None:
        for subscriber in self._subscribers:
            subscriber.names.update(names)
            subscriber.event.set()

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        """Names that changed since the last time, at most every 50 ms."""
        subscriber = _Subscriber()
        self._subscribers.append(subscriber)
        try:
            while True:
                await subscriber.event.wait()
                subscriber.event.clear()
                names, subscriber.names = frozenset(subscriber.names), set()
                yield names
                await self._clock.sleep(_AT_MOST_EVERY)
        finally:
            self._subscribers.remove(subscriber)
