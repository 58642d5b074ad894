"""Which alerts leave the machine, and how often: severities, the two bounds on their number, and what waits to be told.

Pure: severities and monotonic seconds in, decisions out. Who sends and how stands elsewhere.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

SEVERITIES = ("info", "warning", "critical")
"""Least first."""
KEPT_FOR_CRITICAL = 4
"""One in so many of the hour's messages is kept for critical ones: chatter must not use up their place."""
_HOUR = 3600.0


def rank(severity: str) -> int:
    """The higher the more serious; what is not known counts as critical, so that it is not lost."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES) - 1


@dataclass(frozen=True, slots=True)
class AlertRules:
    """What a trader may set (`alerts` in the settings)."""

    minimum_level: str = "warning"
    per_code_seconds: int = 60
    """Least time between two messages of one code; 0: none."""
    per_hour: int = 20
    """Most messages within an hour; 0: no bound."""
    repeat_minutes: int = 5
    """How often critical alerts come again until somebody acknowledges them; 0: never."""


class AlertThrottle:
    """Remembers what was sent and what was held back. Times are monotonic seconds."""

    def __init__(self, rules: AlertRules) -> None:
        self._rules = rules
        self._last: dict[str, float] = {}
        self._sent: deque[float] = deque()
        self._held: Counter[str] = Counter()
        self._held_since: float | None = None

    def admit(self, severity: str, code: str, now: float) -> bool:
        """Whether an alert may go out now; one that may not is counted among those held back."""
        last = self._last.get(code)
        too_soon = last is not None and now - last < self._rules.per_code_seconds
        if too_soon or not self._room(rank(severity) == rank("critical"), now):
            self._held[code] += 1
            if self._held_since is None:
                self._held_since = now
            return False
        self._last[code] = now
        self._sent.append(now)
        return True

    def take_held(self) -> dict[str, int]:
        """How many of each code were held back since the last message, which tells of them."""
        held = dict(self._held)
        self._held.clear()
        self._held_since = None
        return held

    def summary_due(self, now: float) -> bool:
        """Something was held back, no message came that could tell of it, and there is room for one that does."""
        since = self._held_since
        if since is None or now - since < max(self._rules.per_code_seconds, 1) or not self._room(False, now):
            return False
        self._sent.append(now)
        return True

    def _room(self, critical: bool, now: float) -> bool:
        if self._rules.per_hour <= 0:
            return True
        while self._sent and now - self._sent[0] >= _HOUR:
            self._sent.popleft()
        kept = 0 if critical else -(-self._rules.per_hour // KEPT_FOR_CRITICAL)
        return len(self._sent) < max(1, self._rules.per_hour - kept)


def held_words(held: dict[str, int]) -> str:
    """`3 more were not sent one by one: LATENCY_HIGH 2x, QUEUE_FILLING 1x`; empty for none."""
    if not held:
        return ""
    most = sorted(held.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{code} {count}x" for code, count in most[:5])
    more = "" if len(most) <= 5 else ", …"
    return f"{sum(held.values())} more were not sent one by one: {listed}{more}"
