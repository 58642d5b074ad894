"""Spoiling good messages, by a seed: fields taken away, doubled, exchanged for nasty ones, then the text itself cut and stirred.

Knows JSON and nothing of what a message means. A share is left as it is, so that refusing everything would be noticed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

from tests.faults.fuzz_json import CASES


class Raw(str):
    """Text that is written as it stands, JSON or not."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object whose keys may repeat."""


def _decoded(text: bytes) -> Raw | None:
    try:
        return Raw(text.decode("utf-8"))
    except UnicodeDecodeError:
        return None


_TOKENS = [
    raw for case in CASES if case.value and len(case.text) < 200 and (raw := _decoded(case.text)) is not None
]
_NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 10**39, -(10**38),
    Decimal("0.0"), Decimal("-0.01"),
    Decimal("1E-28"), Decimal("1E-29"), Decimal("0.1234567890123456789012345678"),
    Decimal("12345678901234567890123456789"), Raw("1e5"), Raw("1E-5"),
    Raw("-0"), Raw("0e0"), Raw("1.0"), "", " ", "0", "1", "-1", "1e5", "0x10", "NaN", "١٢", "1_000", "null", "true",
    "BUY", "buy", "x" * 129, "é" * 32,
    "\u202eEURUSD", "EUR\u0000USD", "EURUSD\n", "a\u2028b", "../../etc", "%s%n", "'; DROP TABLE events; --", "=1+1",
    "\U0001f4a9", "\ufeff", [], {},
    [[]], [None], {"": None}, [0] * 70, "2026-11-21T12:00:00Z", "2026-11-21T12:00:00.123456789Z",
    "2026-02-30T12:00:00Z", "2026-11-21T24:00:00Z",
    "2026-11-21T12:00:60Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-21T12:00:00+00:00",
    "2026-11-21 12:00:00Z", "2026-11-21T12:00:00z",
]  # fmt: skip
_STIR = (
    "\x00", "\t", "\n", "\x0b", "\x1f", " ", "\u00a0", "\u2028", "\ufeff", '"', "'", "\\", "\\u", "\\ud800", "{",
    "}", "[", "]", ":", ",", "0",
    "-", "+", ".", "e", "E", "9" * 50, "１", "é", "\U0001f600", "//", "/*", "#", "null", "NaN", "true",
)  # fmt: skip


def dump(value: Any) -> str:
    """JSON as people write it; Raw as it stands."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{encode_basestring_ascii(key)}:{dump(item)}" for key, item in value) + "}"
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{encode_basestring_ascii(key)}:{dump(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dump, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False)


class Spoiler:
    """All from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._before = ""

    def nasty(self) -> Any:
        chance = self.random
        return chance.choice(_NASTY if chance.random() < 0.7 else _TOKENS)

    def spoil(self, message: dict[str, Any], *, sound: float = 0.1) -> str:
        """The text of a message, spoiled; untouched with the probability `sound`."""
        roll = self.random.random()
        if roll < sound:
            return dump(message)
        if roll < 0.6:
            return dump(self.fields(message, self.random.choice((1, 1, 1, 2, 3))))
        if roll < 0.9:
            return self.text(dump(message))
        if roll < 0.97:
            return self.text(dump(self.fields(message, 1)))
        return self.rubbish()

    def fields(self, message: Any, changes: int) -> Any:
        """`changes` spoiled places anywhere in it; the message itself stays."""
        found = message
        for _ in range(changes):
            found = self._one_place(found)
        return found

    def _one_place(self, value: Any) -> Any:
        chance = self.random
        pairs = (
            list(value.items())
            if isinstance(value, dict)
            else list(value)
            if isinstance(value, Pairs)
            else None
        )
        if pairs:
            index = chance.randrange(len(pairs))
            key, item = pairs[index]
            if isinstance(item, dict | Pairs | list) and item and chance.random() < 0.7:
                pairs[index] = (key, self._one_place(item))
                return Pairs(pairs)
            self._change(pairs, index, key, item)
            return Pairs(pairs)
        if isinstance(value, list) and value:
            items = list(value)
            index = chance.randrange(len(items))
            items[index] = self._one_place(items[index]) if isinstance(items[index], dict) else self.nasty()
            return items
        return self.nasty()

    def _change(self, pairs: list[tuple[str, Any]], index: int, key: str, item: Any) -> None:
        chance = self.random
        match chance.randrange(8):
            case 0:
                del pairs[index]
            case 1:
                pairs.append((key, item if chance.random() < 0.5 else self.nasty()))
            case 2:
                pairs[index] = (chance.choice([key.upper(), key + " ", "", key[:-1], "é" + key]), item)
            case 3:
                pairs.insert(chance.randint(0, len(pairs)), (f"extra{chance.randrange(9)}", self.nasty()))
            case 4:
                other = pairs[chance.randrange(len(pairs))]
                pairs[index] = (key, other[1])
            case _:
                pairs[index] = (key, self.nasty())

    def text(self, text: str) -> str:
        """Cut and stirred as text; sometimes grown together with the one before."""
        chance = self.random
        found = text
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randint(0, len(found))
            match chance.randrange(7):
                case 0:
                    found = found[:at]
                case 1:
                    found = found[:at] + found[at + chance.randint(1, 4) :]
                case 2:
                    found = found[:at] + chance.choice(_STIR) + found[at:]
                case 3 if at < len(found):
                    found = found[:at] + chance.choice(_STIR) + found[at + 1 :]
                case 4:
                    found = found[:at] + found[max(0, at - chance.randint(1, 20)) :]
                case 5:
                    found = found[:at] + self._before[at:]
                case _ if at < len(found):
                    found = found[:at] + chr(ord(found[at]) ^ (1 << chance.randrange(7))) + found[at + 1 :]
        self._before = text
        return found

    def rubbish(self) -> str:
        chance = self.random
        match chance.randrange(4):
            case 0:
                return "".join(chance.choice(_STIR) for _ in range(chance.randint(0, 40)))
            case 1:
                return chance.choice("[{") * chance.choice((15, 16, 17, 18, 1000, 20000))
            case 2:
                return str(chance.choice(_TOKENS))
            case _:
                return "".join(
                    chr(chance.choice((chance.randrange(128), chance.randrange(0xD800))))
                    for _ in range(chance.randint(1, 80))
                )

    def bytes_of(self, text: str) -> bytes:
        """UTF-8, now and then broken."""
        raw = text.encode("utf-8", "surrogatepass")
        chance = self.random
        if raw and chance.random() < 0.05:
            at = chance.randrange(len(raw))
            raw = raw[:at] + bytes([chance.choice((0x80, 0xC0, 0xED, 0xF5, 0xFF, 0xFE))]) + raw[at:]
        return raw

    def pick(self, makers: list[Callable[[], Any]]) -> Any:
        return self.random.choice(makers)()
