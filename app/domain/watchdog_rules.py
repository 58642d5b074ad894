"""When a watchdog barks and when it lies down again: silence, latency, failures, a full queue, clocks that part company.

Pure: readings in, turns out. Who reads the clocks and what is done about a turn stands in engine/watchdogs.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

BRAIN_SILENT_AFTER = 15.0
"""Seconds without a word from the brain after which the link counts as degraded (PROTOCOL §7)."""
BRAIN_LOST_AFTER = 60.0
"""Seconds after which entries are refused until a fresh session (PROTOCOL §7)."""
TERMINAL_LOST_AFTER = 3.0
"""Seconds without a sign of the terminal, which speaks once a second, after which it is lost and waiting entries are refused."""
CLOCK_STEP = 1.0
"""Seconds by which two clocks may part between two looks. More is no drift: somebody set the clock, or the machine slept."""
STOOD_STILL = 5.0
"""Seconds between two looks, due every 50 ms, after which the engine itself did not run: asleep, frozen or starved."""
QUEUE_EASED = 0.5
"""Share of the queue below which a queue that was filling up has eased."""
GOOD_LATENCIES = 5
"""Readings in a row below the limit after which a latency is over: one good one in between is chance."""


class Turn(Enum):
    """What a reading makes of an episode; most make nothing of it."""

    BEGUN = "begun"
    OVER = "over"


class Episode:
    """One trouble from its beginning to its end: told twice, however many readings lie in between.

    It is over after `good_needed` good readings in a row; a reading that is neither bad nor good only goes on.
    """

    def __init__(self, good_needed: int = 1) -> None:
        self._good_needed = good_needed
        self._good = 0
        self.open = False

    def see(self, *, bad: bool, good: bool | None = None) -> Turn | None:
        """One reading. `good` absent: whatever is not bad is good."""
        if bad:
            self._good = 0
            if self.open:
                return None
            self.open = True
            return Turn.BEGUN
        if not self.open or not (good is None or good):
            return None
        self._good += 1
        if self._good < self._good_needed:
            return None
        self.open, self._good = False, 0
        return Turn.OVER


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """What a trader may set (`watchdogs` in the settings); 0 switches the one off."""

    max_latency_ms: int = 1000
    """Of a command at the terminal, and of the terminal's heartbeat."""
    failures_in_a_row: int = 3
    """Entries that the broker refused one after the other."""
    queue_percent: int = 80
    """Of queue.capacity."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Three clocks at one moment."""

    wall: datetime
    monotonic: float
    """Seconds; whether it counts the machine's sleep depends on the system."""
    uptime: float
    """Seconds, the machine's sleep included; where no clock does that, the same as `monotonic`."""


@dataclass(frozen=True, slots=True)
class ClockBreak:
    """The clocks parted, or time went by in which nobody looked. All in seconds, 0.0 where it did not happen."""

    stood_still: float = 0.0
    """Nobody looked for so long: the machine slept, or this process was frozen."""
    uncounted: float = 0.0
    """Time that really went by and that the monotonic clock did not count: deadlines on it are that much too late."""
    jumped: float = 0.0
    """The wall clock was set by so much, forward or back."""

    def __str__(self) -> str:
        said = []
        if self.stood_still:
            said.append(
                f"this machine slept or Medulla stood still for {max(self.stood_still, self.uncounted):.0f} s"
            )
        elif self.uncounted:
            said.append(f"this machine slept for {self.uncounted:.0f} s")
        if self.jumped:
            said.append(f"this machine's clock was set by {self.jumped:+.1f} s")
        return " and ".join(said)


def clock_break(before: ClockReading, after: ClockReading) -> ClockBreak | None:
    """What happened to the clocks between two looks; None: they agree and nobody was away."""
    counted = after.monotonic - before.monotonic
    real = max(counted, after.uptime - before.uptime)
    jumped = (after.wall - before.wall).total_seconds() - real
    if real <= STOOD_STILL and real - counted <= CLOCK_STEP and abs(jumped) <= CLOCK_STEP:
        return None
    return ClockBreak(
        stood_still=real if real > STOOD_STILL else 0.0,
        uncounted=real - counted if real - counted > CLOCK_STEP else 0.0,
        jumped=jumped if abs(jumped) > CLOCK_STEP else 0.0,
    )


def above(value: float, limit: float) -> bool:
    """Whether a limit is set and passed."""
    return limit > 0 and value > limit
