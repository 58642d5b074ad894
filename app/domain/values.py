"""The smallest words of trading: each type refuses a bad value when it is made.

They are refined built-ins (a Volume *is* a Decimal), so arithmetic stays exact and plain; the result of
arithmetic is an ordinary Decimal and has to pass through the type again to become a Volume or a Price.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from enum import Enum, IntEnum

from app.domain.errors import InvalidValue

_COMMAND_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z", re.ASCII)
"""What needs no further look: finite, and no longer than its text."""
_SYMBOL = re.compile(r"[._\[]?[A-Za-z0-9][A-Za-z0-9._#&+!@$^/\[\] -]{0,30}\Z")
_SYMBOL_LENGTH = 31
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
"""Decimal() would also take '1_000', ' 7 ' and digits of other scripts."""
_MAX_DIGITS = 28
"""No price, volume or sum of money of our field needs more digits; more of them is an attack or a bug."""


class Side(Enum):
    """Direction of a position or a deal."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL: profit = sign * (close - open)."""
        return 1 if self is Side.BUY else -1


class OrderKind(Enum):
    """Pending order types of MT5 (ENUM_ORDER_TYPE)."""

    BUY_LIMIT = "BUY_LIMIT"
    SELL_LIMIT = "SELL_LIMIT"
    BUY_STOP = "BUY_STOP"
    SELL_STOP = "SELL_STOP"
    BUY_STOP_LIMIT = "BUY_STOP_LIMIT"
    SELL_STOP_LIMIT = "SELL_STOP_LIMIT"

    @property
    def side(self) -> Side:
        return Side.BUY if self.value.startswith("BUY") else Side.SELL

    @property
    def is_limit(self) -> bool:
        return self in (OrderKind.BUY_LIMIT, OrderKind.SELL_LIMIT)

    @property
    def is_stop_limit(self) -> bool:
        return self in (OrderKind.BUY_STOP_LIMIT, OrderKind.SELL_STOP_LIMIT)


class Priority(IntEnum):
    """Urgency as the brain states it; lower number first."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


def decimal(field: str, value: Decimal | int | str) -> Decimal:
    """A finite Decimal of at most 28 digits. Binary floats and booleans are refused: they are never exact."""
    if type(value) is str and len(value) <= _MAX_DIGITS and _PLAIN.match(value):
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise InvalidValue(field, "must be a decimal number")
    if isinstance(value, str) and not _DECIMAL.match(value):
        words = value.strip("+-").lower() in ("nan", "snan", "inf", "infinity")
        raise InvalidValue(field, "must be a finite number" if words else "must be a decimal number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidValue(field, "must be a decimal number") from None
    if not number.is_finite():
        raise InvalidValue(field, "must be a finite number")
    _sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or len(digits) > _MAX_DIGITS or abs(exponent) > _MAX_DIGITS:
        raise InvalidValue(field, f"must have at most {_MAX_DIGITS} digits")
    return number


class Price(Decimal):
    """A price in the symbol's quote units; greater than zero."""

    __slots__ = ()

    def __new__(cls, value: Decimal | int | str, field: str = "price") -> Price:
        number = decimal(field, value)
        if number <= 0:
            raise InvalidValue(field, "must be greater than 0")
        return super().__new__(cls, number)


class Volume(Decimal):
    """A volume in lots; greater than zero."""

    __slots__ = ()

    def __new__(cls, value: Decimal | int | str, field: str = "volume") -> Volume:
        number = decimal(field, value)
        if number <= 0:
            raise InvalidValue(field, "must be greater than 0")
        return super().__new__(cls, number)


class Ticket(int):
    """A ticket of an order, deal or position: 1 to 2^64-1 (MT5 `ulong`)."""

    __slots__ = ()

    def __new__(cls, value: int | str, field: str = "ticket") -> Ticket:
        return super().__new__(cls, _whole(field, value, 1, 2**64 - 1))


class Magic(int):
    """A magic number: 0 to 2^63-1 (MT5 stores it as `long`)."""

    __slots__ = ()

    def __new__(cls, value: int | str, field: str = "magicNumber") -> Magic:
        return super().__new__(cls, _whole(field, value, 0, 2**63 - 1))


def _whole(field: str, value: int | str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidValue(field, "must be a whole number")
    if isinstance(value, str):
        # int() would also take '1_000', ' 7 ' and digits of other scripts.
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise InvalidValue(field, "must be a whole number")
        value = int(value)
    if not low <= value <= high:
        raise InvalidValue(field, f"must be between {low} and {high}")
    return value


class Symbol(str):
    """A symbol's name as the broker spells it, 1 to 31 characters (`EURUSD`, `EURUSD.a`, `#AAPL`)."""

    __slots__ = ()

    def __new__(cls, value: str, field: str = "symbol") -> Symbol:
        if (
            not isinstance(value, str)
            or len(value) > _SYMBOL_LENGTH
            or not _SYMBOL.match(value.removeprefix("#"))
        ):
            raise InvalidValue(field, "must be a symbol name of 1 to 31 characters")
        return super().__new__(cls, value)


class CommandId(str):
    """The brain's name for a command, unique for ever: 1 to 64 of `A-Z a-z 0-9 _ . : -` (PROTOCOL §4.1)."""

    __slots__ = ()

    def __new__(cls, value: str, field: str = "commandId") -> CommandId:
        if not isinstance(value, str) or not _COMMAND_ID.match(value):
            raise InvalidValue(field, "must be 1 to 64 characters of A-Z a-z 0-9 _ . : -")
        return super().__new__(cls, value)
