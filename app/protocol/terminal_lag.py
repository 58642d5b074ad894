"""How late the terminal's session clock may be against ours, so that what we send never lives longer than we mean it to.

The terminal starts its session clock when it reads our `hello`, which may have lain in a frozen or busy process
(mql5_ea/EA_PROTOCOL.md §2, §3). Sans I/O: readings go in. What is done about a lag is ea_client_session.py's.
"""

from __future__ import annotations

from collections import deque

READINGS = 60
"""At a heartbeat a second: two clocks that drift apart by 100 ppm do so by 6 ms between the oldest reading and now."""


class TerminalLag:
    """An upper bound, taken from the quickest of the recent answers."""

    def __init__(self) -> None:
        self._bounds: deque[float] = deque(maxlen=READINGS)

    @property
    def most(self) -> float:
        """Seconds by which the terminal's session clock is behind ours at most; negative: it is certainly ahead."""
        return min(self._bounds, default=0.0)

    def greeted(self, round_trip: float) -> None:
        """`hello` was answered after so many seconds: the terminal read it somewhere in between."""
        self._bounds.append(round_trip)

    def told(self, theirs: object, ours: float) -> None:
        """A heartbeat's answer named `theirs`, the terminal's session clock (ms), and came at `ours` on our own.

        An Expert Advisor of an earlier build names none (None): the greeting alone counts then.
        """
        if isinstance(theirs, int) and not isinstance(theirs, bool):
            self._bounds.append((ours - theirs) / 1000)
