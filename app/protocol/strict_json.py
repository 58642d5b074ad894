"""JSON read as strictly as a trade deserves (RFC 8259, PROTOCOL §1), and written exactly.

Python's own reader accepts duplicate keys, NaN, lone surrogates and endless nesting; each of these lets two
readers of one frame see two different trades. Numbers with a fraction come back as Decimal, never as float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, NoReturn

from app.domain.errors import InvalidValue

MAX_DEPTH = 16
_MAX_NUMBER = 40
"""Longest number in characters: no price, volume, ticket or time needs more."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_OVERFLOW = Decimal("1.797693134862315807e308")
"""RFC 8259 §6: from here on (largest double and half a step) other readers overflow to infinity."""
_MAX_EXPONENT = 400
"""Larger exponents mean nothing in a trade, and written out they are gigabytes of zeros."""


class InvalidJson(InvalidValue):
    """The text is not one strict JSON object."""

    def __init__(self, rule: str) -> None:
        super().__init__("frame", rule)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidJson(f"duplicate key {key[:40]!r}")
            seen.add(key)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not JSON")


def _whole(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise InvalidJson(f"a number of more than {_MAX_NUMBER} characters")
    return int(text)


def _fraction(text: str) -> Decimal:
    if len(text) > _MAX_NUMBER:
        raise InvalidJson(f"a number of more than {_MAX_NUMBER} characters")
    if "e" not in text and "E" not in text:
        return Decimal(text)  # too short to overflow, and no exponent but that of its own digits
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent that even Decimal cannot hold
        raise InvalidJson("a number that overflows") from None
    if number and number.adjusted() >= 308 and number.copy_abs() >= _OVERFLOW:
        raise InvalidJson("a number that overflows")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _MAX_EXPONENT:
        raise InvalidJson("a number whose exponent is out of all proportion")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_int=_whole, parse_float=_fraction
)
_scan: Callable[[str, int], tuple[Any, int]] = vars(_DECODER)["scan_once"]
_PLACE = "\0exact"
_PLACE_IN_JSON = encode_basestring(_PLACE)
"""Where the fast encoder, which knows no Decimals, leaves room for one."""


def loads(frame: str | bytes) -> dict[str, Any]:
    """Read one JSON object. Raises InvalidJson with the rule that was broken."""
    if isinstance(frame, bytes):
        try:
            frame = frame.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidJson("invalid UTF-8") from None
    if frame.startswith("\ufeff"):
        raise InvalidJson("a byte order mark")
    _check_depth(frame)
    try:
        value = _value(frame)
    except InvalidJson:
        raise
    except ValueError as fault:  # JSONDecodeError; its message quotes nothing of the text
        raise InvalidJson(getattr(fault, "msg", "not JSON")) from None
    if not isinstance(value, dict):
        raise InvalidJson("must be one object")
    if "\\u" in frame or not (frame.isascii() or _SURROGATE.search(frame) is None):
        _check_surrogates(value)
    return value


def _value(frame: str) -> Any:
    """The one value of the text. Raises ValueError."""
    if frame.startswith("{"):
        # No white space before it and, as most write it, none behind: two searches for it less.
        try:
            value, end = _scan(frame, 0)
        except StopIteration:
            return _DECODER.decode(frame)
        if end == len(frame):
            return value
    return _DECODER.decode(frame)


def _check_depth(frame: str) -> None:
    """Count brackets outside strings before parsing, so that depth can never exhaust the stack."""
    if frame.count("[") + frame.count("{") <= MAX_DEPTH:
        return
    depth = 0
    in_string = False
    escaped = False
    for character in frame:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidJson(f"nesting deeper than {MAX_DEPTH}")
        elif character in "]}":
            depth -= 1


def _check_surrogates(value: Any) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise InvalidJson("a lone surrogate")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_surrogates(key)
            _check_surrogates(item)
    elif isinstance(value, list):
        for item in value:
            _check_surrogates(item)


def plain_number(value: Decimal) -> str:
    """Positional notation without exponent: `0.00001`, `1.10500`, `100`."""
    return format(value, "f")


def dumps(message: dict[str, Any]) -> str:
    """Write one object compactly; Decimals become JSON numbers with exactly their digits."""
    numbers: list[str] = []

    def leave_room(value: object) -> str:
        if not isinstance(value, Decimal):
            raise TypeError(f"{type(value).__name__} has no JSON form")
        numbers.append(plain_number(value))
        return _PLACE

    text = encode(message, leave_room)
    if not numbers:
        return text
    parts = text.split(_PLACE_IN_JSON)
    if len(parts) != len(numbers) + 1:  # a text of the message looks like such a place
        return _write(message)
    numbers.append("")
    return "".join([piece for pair in zip(parts, numbers, strict=True) for piece in pair])


def encode(value: Any, default: Callable[[Any], Any] | None = None, *, ascii_only: bool = False) -> str:
    """Compact JSON of built-in values; `default` gives what stands for others. Raises ValueError for NaN, TypeError.

    As json.JSONEncoder.encode, without building an encoder in Python and a search for circles at every call.
    """
    if _c_encoder is None:
        plain = json.JSONEncoder(
            ensure_ascii=ascii_only, allow_nan=False, separators=(",", ":"), default=default
        )
        return plain.encode(value)
    write_text = encode_basestring_ascii if ascii_only else encode_basestring
    encoder = _c_encoder(None, default or _refuse, write_text, None, ":", ",", False, False, False)
    return "".join(encoder(value, 0))


_c_encoder: Callable[..., Callable[[Any, int], tuple[str, ...]]] | None = getattr(
    json.encoder, "c_make_encoder", None
)


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _write(value: Any) -> str:
    writer = _WRITERS.get(type(value))
    if writer is None:
        writer = _writer_of(value)
    return writer(value)


def _object(value: dict[str, Any]) -> str:
    return "{" + ",".join([f"{encode_basestring(key)}:{_write(item)}" for key, item in value.items()]) + "}"


def _array(value: Sequence[Any]) -> str:
    return "[" + ",".join([_write(item) for item in value]) + "]"


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: lambda value: json.dumps(value, allow_nan=False),
    Decimal: plain_number,
    type(None): lambda _: "null",
    dict: _object,
    list: _array,
    tuple: _array,
}


def _writer_of(value: Any) -> Callable[[Any], str]:
    """For refined built-ins (a Price is a Decimal): as their base is written."""
    for base in (str, int, Decimal, float, dict, list, tuple):
        if isinstance(value, base):
            return _WRITERS[base]
    raise TypeError(f"{type(value).__name__} has no JSON form")
