"""How far the brain's clock is ahead of ours, from the times it writes (PROTOCOL §3). Pure: readings go in.

Only an estimate is made here; what follows from a large offset is the engine's rule.
"""

from __future__ import annotations

import heapq
from collections import deque
from datetime import UTC, datetime, timedelta

SAMPLES = 16
"""At a heartbeat every 5 s the estimate follows an adjusted clock within 80 s."""
AGREEMENT = 0.02
"""Seconds: two samples no further apart than this, or than half of the shortest round trip, were both hardly delayed."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BrainClock:
    """The brain's clock read through ours.

    A time written by the brain is at least the one-way delay old when it arrives, so the sample that puts its clock furthest
    ahead was delayed least (the clock filter of RFC 5905 §10 for one direction); half of the shortest round trip is added
    where it was measured. Until two samples agree nothing says how long the WELCOME lay in a busy or frozen program: its clock is
    taken to be as far ahead as it can be, WELCOME written the moment HELLO was sent, so that no command is judged younger than
    it is. Samples are kept against the monotonic clock: an adjusted wall clock of ours shifts the offset at once.
    """

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._round_trips: deque[float] = deque(maxlen=SAMPLES)
        self._furthest: float | None = None
        """What a sample can be at most, by the question that was answered with it; None: samples agree, or nothing was asked."""

    @property
    def known(self) -> bool:
        return bool(self._samples)

    def heard(self, brain_time: datetime, monotonic: float) -> None:
        """The brain wrote `brain_time` in a message that arrived at `monotonic` (seconds)."""
        self._samples.append((brain_time - _EPOCH).total_seconds() - monotonic)
        if self._furthest is not None and self._agreed():
            self._furthest = None

    def answered(self, brain_time: datetime, asked: float, monotonic: float) -> None:
        """The brain wrote `brain_time` after what we sent at `asked` (monotonic seconds), and it arrived at `monotonic`."""
        self.heard(brain_time, monotonic)
        if not self._agreed():
            self._furthest = (brain_time - _EPOCH).total_seconds() - asked

    def round_trip(self, seconds: float) -> None:
        """A ping came back after so long."""
        if seconds >= 0:
            self._round_trips.append(seconds)

    def now(self, monotonic: float) -> datetime | None:
        """The brain's clock at `monotonic`; None: never heard, or a time that no calendar holds."""
        if not self._samples:
            return None
        ahead = max(self._samples) + self._half_way()
        if self._furthest is not None:
            ahead = max(ahead, self._furthest)
        seconds = monotonic + ahead
        try:
            return _EPOCH + timedelta(seconds=seconds)
        except OverflowError:
            return None

    def _half_way(self) -> float:
        return min(self._round_trips, default=0.0) / 2

    def _agreed(self) -> bool:
        quickest = heapq.nlargest(2, self._samples)
        return len(quickest) == 2 and quickest[0] - quickest[1] <= max(AGREEMENT, self._half_way())
