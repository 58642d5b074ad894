"""How numbers, times and spans are written: thousands spaced, real minus signs, tabular. Pure; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar

MINUS = "−"
SPACE = "\u00a0"
"""Not breakable: between thousands."""
NONE = "–"


@dataclass(frozen=True, slots=True)
class Zone:
    """In whose time moments are shown."""

    name: str
    """`local`, `UTC` or `broker`."""
    offset: int | None = None
    """Seconds ahead of UTC; None: as this machine has it."""

    LOCAL: ClassVar[Zone]
    UTC: ClassVar[Zone]

    @classmethod
    def broker(cls, offset: int) -> Zone:
        """The wall clock of the broker's server, by which its day and its sessions are counted."""
        return cls("broker", offset)


Zone.LOCAL = Zone("local")
Zone.UTC = Zone("UTC", 0)


def number(value: Decimal, places: int | None = None, *, signed: bool = False) -> str:
    """`-1234.5` as `−1 234.50`. `places` None: the digits the value came with, not more."""
    if places is None:
        exponent = value.as_tuple().exponent
        places = max(0, -exponent) if isinstance(exponent, int) else 0
    return _spaced(value, places, signed)


@lru_cache(maxsize=2048)
def _spaced(value: Decimal, places: int, signed: bool) -> str:
    """Kept, because most figures of a table are the same from frame to frame."""
    text = f"{abs(value):,.{places}f}".replace(",", SPACE)
    is_zero = not any(digit in "123456789" for digit in text)
    if value < 0 and not is_zero:
        return MINUS + text
    return f"+{text}" if signed and not is_zero else text


def money(value: Decimal | None, *, signed: bool = False) -> str:
    """Account currency, two places."""
    return NONE if value is None else number(value, 2, signed=signed)


def lots(value: Decimal | None) -> str:
    """At least two places; more if the volume has them."""
    return NONE if value is None else number(value, max(2, digits_of(value)))


def price(value: Decimal | None, digits: int) -> str:
    return NONE if value is None else number(value, digits)


def plain(value: Decimal) -> str:
    """Without trailing zeros: for limits and percentages."""
    trimmed = value.normalize()
    return number(trimmed, digits_of(trimmed))


def digits_of(*values: Decimal | None) -> int:
    """Most places behind the point among the values."""
    most = 0
    for value in values:
        if value is not None:
            exponent = value.as_tuple().exponent
            if isinstance(exponent, int) and -exponent > most:
                most = -exponent
    return most


def milliseconds(value: float | None) -> str:
    if value is None:
        return NONE
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def span(seconds: float) -> str:
    """`2 m`, `1 h 12 m`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if minutes < 60:
        return f"{minutes} m"
    return f"{hours} h {minutes % 60:02} m" if hours < 24 else f"{days} d {hours % 24} h"


def whole_span(seconds: float) -> int:
    """Seconds, cut to what `span` tells of them below an hour: two with the same result read alike there."""
    whole = max(0, int(seconds))
    return whole if whole < 60 else whole - whole % 60


def in_zone(moment: datetime, zone: Zone) -> datetime:
    return moment.astimezone(None if zone.offset is None else timezone(timedelta(seconds=zone.offset)))


def clock(moment: datetime, zone: Zone, *, fine: bool = False) -> str:
    """Time of day; `fine`: with milliseconds."""
    text = in_zone(moment, zone)
    return f"{text:%H:%M:%S}.{text.microsecond // 1000:03}" if fine else f"{text:%H:%M:%S}"


def day_and_clock(moment: datetime, zone: Zone) -> str:
    return f"{in_zone(moment, zone):%Y-%m-%d %H:%M:%S}"


def count(amount: int, one: str, many: str | None = None) -> str:
    """`1 position`, `5 positions`."""
    return f"{number(Decimal(amount))} {one if amount == 1 else many or one + 's'}"
