"""A brain link in memory for tests of the engine: keeps what was sent, and says what a brain would say.

It decides nothing: no signatures, no session rules; those are tested on the real link.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from typing import TypeVar

from app.domain.commands import TradeCommand
from app.engine.broker import LinkState
from app.engine.ports import Arrival, BrainListener, BrainMessage, UnreadableCommand

T = TypeVar("T")


class FakeBrainLink:
    """A BrainLink. `connected=False` makes every send fail as if no session were open."""

    def __init__(self) -> None:
        self.sent: list[BrainMessage] = []
        self.connected = False
        self.heard: float | None = None
        """What `last_heard` says; the test sets it."""
        self.retries = 0
        self.renewals: list[str] = []
        self.listener: BrainListener | None = None
        self.running = asyncio.Event()
        self._wakers: set[asyncio.Event] = set()
        self._session = ""

    @property
    def state(self) -> LinkState:
        return LinkState.UP if self.connected else LinkState.DOWN

    @property
    def last_heard(self) -> float | None:
        return self.heard

    async def run(self, listener: BrainListener) -> None:
        self.listener = listener
        self.running.set()
        await asyncio.Event().wait()

    def send(self, message: BrainMessage) -> bool:
        if not self.connected:
            return False
        self.sent.append(message)
        for waker in self._wakers:
            waker.set()
        return True

    def retry_now(self) -> None:
        self.retries += 1

    def renew(self, reason: str) -> None:
        self.renewals.append(reason)

    # -------------------------------------------------------------- the brain's part

    async def connect(
        self, session: str = "s_1", *, plain: bool = False, offset: float | None = 0.0
    ) -> BrainListener:
        """A session opens, as the real link opens it: up, then STATE is asked for."""
        async with asyncio.timeout(5):
            await self.running.wait()
        assert self.listener is not None
        self.connected = True
        self._session = session
        await self.listener.on_brain_up(session, plain, None if plain else offset)
        await self.listener.on_state_wanted(None)
        return self.listener

    async def disconnect(self, reason: str = "the connection to the brain was lost") -> None:
        self.connected = False
        assert self.listener is not None
        await self.listener.on_brain_down(self._session, reason)

    async def command(self, command: TradeCommand | UnreadableCommand, arrival: Arrival) -> None:
        assert self.listener is not None
        await self.listener.on_command(command, arrival)

    def of(self, kind: type[T]) -> list[T]:
        """What was sent of one kind, in order."""
        return [message for message in self.sent if isinstance(message, kind)]

    async def wait_for(self, kind: type[T], count: int = 1, timeout: float = 5.0) -> list[T]:
        """Wait until `count` messages of a kind were sent."""
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            async with asyncio.timeout(timeout):
                while len(self.of(kind)) < count:
                    waker.clear()
                    await waker.wait()
        finally:
            self._wakers.discard(waker)
        return self.of(kind)


def arrival_at(
    at: datetime, *, monotonic: float = 0.0, offset: float | None = 0.0, text: str = ""
) -> Arrival:
    """An arrival on a brain's clock that agrees with ours."""
    return Arrival(text or hashlib.sha256(at.isoformat().encode()).hexdigest(), at, monotonic, at, offset)
