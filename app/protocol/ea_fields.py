"""How single fields of the terminal's wire are read and written (mql5_ea/EA_PROTOCOL.md §2), one rule each.

Envelopes are put together in ea_frames.py, payloads in ea_messages.py; neither is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from app.domain.errors import InvalidValue
from app.domain.values import decimal
from app.protocol import strict_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONG = 2**63
T = TypeVar("T")


class BadFrame(InvalidValue):
    """Not a frame of ours: dropped without an answer."""

    def __init__(self, rule: str) -> None:
        super().__init__("frame", rule)


# ------------------------------------------------------------------ reading


def text_field(wire: Mapping[str, Any], name: str) -> str:
    """Raises BadFrame unless `name` is a string."""
    value = wire.get(name)
    if not isinstance(value, str):
        raise BadFrame(f"{name} must be a string")
    return value


def maybe_text_field(wire: Mapping[str, Any], name: str) -> str | None:
    """Raises BadFrame unless `name` is a string, null or absent."""
    return None if wire.get(name) is None else text_field(wire, name)


def int_field(wire: Mapping[str, Any], name: str) -> int:
    """Raises BadFrame unless `name` is a whole number that fits 64 bits with a sign, as the Expert Advisor's `long`."""
    value = wire.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not -_LONG <= value < _LONG:
        raise BadFrame(f"{name} must be a whole number")
    return value


def bool_field(wire: Mapping[str, Any], name: str) -> bool:
    """Raises BadFrame unless `name` is true or false."""
    value = wire.get(name)
    if not isinstance(value, bool):
        raise BadFrame(f"{name} must be true or false")
    return value


def decimal_field(wire: Mapping[str, Any], name: str) -> Decimal:
    """Exact numbers travel as strings. Raises BadFrame for a JSON number, InvalidValue for a text that is none."""
    value = wire.get(name)
    if not isinstance(value, str):
        raise BadFrame(f"{name} must be a decimal string")
    return decimal(name, value)


def texts_field(wire: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Raises BadFrame unless `name` is a list of strings."""
    value = wire.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadFrame(f"{name} must be a list of strings")
    return tuple(value)


def maybe(make: Callable[[str, str], T], wire: Mapping[str, Any], name: str) -> T | None:
    """A domain value made of text and field name; None: null or absent."""
    value = wire.get(name)
    return None if value is None else make(value, name)


def nested(read: Callable[[Mapping[str, Any]], T], wire: Mapping[str, Any], name: str) -> T | None:
    """An object within the payload; None: null or absent."""
    value = wire.get(name)
    return None if value is None else read(value)


def from_ms(value: int) -> datetime:
    """Raises BadFrame for a moment outside of the calendar."""
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise BadFrame("a time that does not exist") from None


# ------------------------------------------------------------------ writing


def exact(value: Decimal | int | None) -> str | None:
    """Exact numbers travel as strings: doubles would lose tickets above 2^53 and the digits of prices."""
    if value is None:
        return None
    return strict_json.plain_number(value) if isinstance(value, Decimal) else str(int(value))


def to_ms(moment: datetime) -> int:
    """Milliseconds since the Unix epoch."""
    return (moment - _EPOCH) // _MILLISECOND
