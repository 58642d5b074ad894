"""How far the brain's clock is ahead of ours, from the times it writes (PROTOCOL §3). Pure: readings go in.

Only an estimate is made here; what follows from a large offset is the engine's rule.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

SAMPLES = 16
"""At a heartbeat every 5 s the estimate follows an adjusted clock within 80 s."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BrainClock:
    """The brain's clock read through ours.

    A time written by the brain is at least the one-way delay old when it arrives, so the sample that puts its clock furthest
    ahead was delayed least (the clock filter of RFC 5905 §10 for one direction); half of the shortest round trip is added
    where it was measured. Samples are kept against the monotonic clock: an adjusted wall clock of ours shifts the offset at once.
    """

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._round_trips: deque[float] = deque(maxlen=SAMPLES)

    @property
    def known(self) -> bool:
        return bool(self._samples)

    def heard(self, brain_time: datetime, monotonic: float) -> None:
        """The brain wrote `brain_time` in a message that arrived at `monotonic` (seconds)."""
        self._samples.append((brain_time - _EPOCH).total_seconds() - monotonic)

    def round_trip(self, seconds: float) -> None:
        """A ping came back after so long."""
        if seconds >= 0:
            self._round_trips.append(seconds)

    def now(self, monotonic: float) -> datetime | None:
        """The brain's clock at `monotonic`; None: never heard, or a time that no calendar holds."""
        if not self._samples:
            return None
        seconds = monotonic + max(self._samples) + min(self._round_trips, default=0.0) / 2
        try:
            return _EPOCH + timedelta(seconds=seconds)
        except OverflowError:
            return None
