"""The brain's own clock: the one place of this room that may read the machine's time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class BrainClock(Protocol):
    """What the room needs to know of time."""

    def utc(self) -> datetime:
        """Now, UTC, at most milliseconds fine (the wire carries no more)."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""


class MachineClock:
    """The machine's clock."""

    def utc(self) -> datetime:
        now = datetime.now(UTC)  # noqa: TID251 - the room's clock, see the module's docstring
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()
