"""When to knock at the brain's door again (PROTOCOL §7): one pure policy; clock readings and randomness are passed in.

Whoever connects reports every attempt and every end; nothing here waits, connects or decides what a person is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

LONGEST_RETRY_AFTER = 3600.0
"""Seconds. A larger value is more likely a mistake than a wish, and would keep a trader off for a day."""


class Ending(Enum):
    """Why an attempt or a session ended, by what follows from it."""

    LOST = "lost"
    """Network, time-out, 5xx, any ordinary close."""
    REFUSED = "refused"
    """401/403: the key is wrong. Knocking again only locks accounts."""
    BUSY = "busy"
    """429/503."""
    CERTIFICATE = "certificate"
    """TLS failed: somebody may be in between."""
    PROTOCOL = "protocol"
    """Close 1002/1008: one of us breaks the other's rules."""


@dataclass(frozen=True, slots=True)
class ReconnectRules:
    """Seconds."""

    base: float = 0.5
    cap: float = 30.0
    stable_after: float = 30.0
    """A welcomed session has to last this long before the attempt counter is reset."""
    attempts: int = 10
    """Most attempts in one window, whatever the server does."""
    window: float = 60.0
    certificate_wait: float = 60.0
    protocol_wait: float = 60.0


class ReconnectPolicy:
    """Full jitter (AWS: `random(0, min(cap, base * 2^n))`) under a ceiling of attempts a minute."""

    def __init__(self, rules: ReconnectRules, uniform: Callable[[float, float], float]) -> None:
        """`uniform(a, b)` draws from [a, b]."""
        self._rules = rules
        self._uniform = uniform
        self._failures = 0
        self._attempts: deque[float] = deque(maxlen=rules.attempts)

    @property
    def failures(self) -> int:
        """Ends since the last stable session."""
        return self._failures

    def starting(self, now: float) -> None:
        """An attempt starts at monotonic `now`."""
        self._attempts.append(now)

    def earliest(self) -> float | None:
        """Monotonic moment before which the ceiling forbids an attempt; None: any moment. Binds the operator's *Retry* too."""
        if len(self._attempts) < self._rules.attempts:
            return None
        return self._attempts[0] + self._rules.window

    def delay(
        self,
        ending: Ending,
        now: float,
        *,
        welcomed_for: float | None = None,
        retry_after: float | None = None,
    ) -> float | None:
        """Seconds to wait after an end at monotonic `now`; None: until a person says so.

        `welcomed_for`: seconds that the session was open after WELCOME; None: it was never welcomed.
        """
        if welcomed_for is not None and welcomed_for >= self._rules.stable_after:
            self._failures = 0
        # The power is bounded before it is taken: an endless outage must not compute 2^100000.
        ceiling = min(self._rules.cap, self._rules.base * 2 ** min(self._failures, 32))
        self._failures += 1
        if ending is Ending.REFUSED:
            return None
        wait = self._uniform(0.0, ceiling)
        if ending is Ending.CERTIFICATE:
            wait = self._rules.certificate_wait
        elif ending is Ending.PROTOCOL:
            wait = self._rules.protocol_wait
        elif ending is Ending.BUSY and retry_after is not None:
            wait = max(wait, retry_after)
        earliest = self.earliest()
        return wait if earliest is None else max(wait, earliest - now)


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """`Retry-After` as seconds from now (RFC 9110 §10.2.3: seconds or a date); None: absent or unreadable."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)
