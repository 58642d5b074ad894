"""How single fields of the brain's wire are read and written (PROTOCOL §1, §2), one rule each.

Messages are put together in brain_inbound.py, brain_outbound.py and brain_messages.py; no message is known here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.values import Price, Ticket, decimal
from app.protocol.strict_json import InvalidJson

EXACT_IN_A_DOUBLE = 2**53
"""Larger whole numbers lose digits in readers that keep numbers as doubles (RFC 8259 §6)."""
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z\Z"
)
Fields = Mapping[str, Any]


class BooleanNumber(InvalidJson):
    """A boolean where a number stands: PROTOCOL §1 refuses the whole frame for it."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is a boolean where a number stands")


# ------------------------------------------------------------------ reading


def required(fields: Fields, name: str) -> Any:
    value = fields.get(name)
    if value is None:
        raise InvalidValue(name, "is required")
    return value


def moment(value: object, name: str = "timestamp") -> datetime:
    """RFC 3339 in UTC with `Z`, 0 to 9 fractional digits (cut to microseconds). Offsets other than `Z` are refused."""
    match = _TIMESTAMP.match(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidValue(name, "must be an RFC 3339 time in UTC, as 2024-01-01T00:00:00.000Z")
    year, month, day, hour, minute, second, fraction = match.groups()
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            int(fraction[:6].ljust(6, "0")) if fraction else 0,
            tzinfo=UTC,
        )
    except ValueError:
        raise InvalidValue(name, "must be a moment that exists") from None


def number(value: object, name: str) -> Decimal:
    """A finite JSON number as a Decimal; texts are refused."""
    if isinstance(value, bool):
        raise BooleanNumber(name)
    if not isinstance(value, int | Decimal):
        raise InvalidValue(name, "must be a number")
    return decimal(name, value)


def whole(value: object, name: str, low: int, high: int) -> int:
    if isinstance(value, bool):
        raise BooleanNumber(name)
    if not isinstance(value, int):
        raise InvalidValue(name, "must be a whole number")
    if not low <= value <= high:
        raise InvalidValue(name, f"must be between {low} and {high}")
    return value


def exact_whole(value: object, name: str) -> int | str:
    """A whole number, or its decimal digits as a text (tickets, magic numbers): the domain type checks the range."""
    if isinstance(value, bool):
        raise BooleanNumber(name)
    if not isinstance(value, int | str):
        raise InvalidValue(name, "must be a whole number or its digits as a string")
    return value


def ticket(fields: Fields) -> Ticket:
    return Ticket(exact_whole(required(fields, "ticket"), "ticket"), "ticket")


def maybe_price(fields: Fields, name: str) -> Price | None:
    value = fields.get(name)
    return None if value is None else Price(number(value, name), name)


def text(value: object, name: str, longest: int, *, shortest: int = 1) -> str:
    """Printable characters only: control characters would corrupt logs and the terminal's comment."""
    if not isinstance(value, str):
        raise InvalidValue(name, "must be a string")
    if not shortest <= len(value) <= longest:
        raise InvalidValue(name, f"must have {shortest} to {longest} characters")
    if not value.isprintable():
        raise InvalidValue(name, "must have printable characters only")
    return value


def maybe_text(fields: Fields, name: str, longest: int) -> str | None:
    value = fields.get(name)
    return None if value is None else text(value, name, longest)


def items(value: object, name: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidValue(name, "must be a list")
    if not 1 <= len(value) <= most:
        raise InvalidValue(name, f"must have 1 to {most} entries")
    return value


# ------------------------------------------------------------------ writing


def stamp(at: datetime) -> str:
    """RFC 3339, UTC, `Z`, milliseconds."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(value: int | None) -> int | str | None:
    """Tickets and magic numbers: as numbers up to 2^53, as strings above."""
    if value is None or value <= EXACT_IN_A_DOUBLE:
        return value
    return str(int(value))


# ------------------------------------------------------------------ identity


def text_id(frame: str) -> str:
    """Name of a command that brings none: an identical frame is the same command (PROTOCOL §4.1)."""
    return "sha256:" + hashlib.sha256(frame.encode()).hexdigest()[:40]


def fingerprint(message: Fields) -> str:
    """SHA-256 (hex) of what is asked: command, account and strategy.

    Timestamp, priority and expiry are left out, so a command that is sent again with a fresh timestamp is the same command;
    numbers count by value, so 0.01 and 0.010 are the same volume.
    """
    content = {name: message.get(name) for name in ("account", "command", "strategyId")}
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | Decimal):
        return _canonical_number(Decimal(value))
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{encode_basestring_ascii(key)}:{_canonical(value[key])}" for key in sorted(value))
            + "}"
        )
    return "[" + ",".join(map(_canonical, value)) + "]"


def _canonical_number(value: Decimal) -> str:
    """Digits without trailing zeros and their exponent: never positional, since an exponent may ask for gigabytes of zeros."""
    sign, digits, exponent = value.as_tuple()
    bare = "".join(map(str, digits)).lstrip("0")
    short = bare.rstrip("0")
    if not short or not isinstance(exponent, int):
        return "0"
    return f"{'-' if sign else ''}{short}e{exponent + len(bare) - len(short)}"
