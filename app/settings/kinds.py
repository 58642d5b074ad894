"""The kinds of value a setting can have, each with the words that say what is allowed. Conversion starts from text, so that
no number passes through a binary float. Which setting is of which kind stands in model.py and safety.py.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr

from app.domain.errors import InvalidValue
from app.domain.key_combination import KeyCombination
from app.domain.limits import Session
from app.domain.values import Symbol, decimal

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EXECUTOR_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S{1,1000}\Z")
_MOST_URLS = 10
_KEY_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_WHOLE = re.compile(r"-?\d{1,18}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, in words that follow 'allowed: '."""

    text: str


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if not _WHOLE.match(text):
            raise ValueError("not a whole number")
        return int(text)
    return value


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError("a binary float")
    return decimal("value", value.strip() if isinstance(value, str) else value)


def _seconds(value: Any) -> Any:
    return float(_exact(value)) if isinstance(value, str) else value


def is_loopback(host: str | None) -> bool:
    """Whether a host name can only mean this machine."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _brain_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname or parts.username or parts.fragment:
        raise ValueError("not a WebSocket address")
    _ = parts.port  # raises ValueError when it is not a port
    if parts.scheme == "ws" and not is_loopback(parts.hostname):
        raise ValueError("ws:// to another machine")
    return value


def _proxy(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https", "socks5", "socks5h"} or not parts.hostname:
        raise ValueError("not a proxy address")
    _ = parts.port
    return value


def _path(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("not a path")
    return Path(value).expanduser()


def _header_text(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not all("!" <= character <= "~" for character in text) or not 1 <= len(text) <= 1024:
        raise ValueError("cannot stand in an HTTP header")
    return value


def _secret_urls(value: Any) -> tuple[SecretStr, ...]:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, str):
        raise ValueError("not a line of addresses")
    urls = value.split()
    if len(urls) > _MOST_URLS or not all(_ADDRESS.match(url) for url in urls):
        raise ValueError("not addresses")
    return tuple(SecretStr(url) for url in urls)


def _hotkey(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a key combination")
    text = value.strip()
    if text.lower() in {"off", "false", "no", "none"}:
        return "off"
    return str(KeyCombination.parse(text))


def _executor_id(value: str) -> str:
    if not _EXECUTOR_ID.match(value):
        raise ValueError("not an executor id")
    return value


def canonical_public_key(text: str) -> str:
    """An Ed25519 public key (32 bytes) as padded base64, from base64 or base64url, padded or not. Raises ValueError."""
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if len(key) != 32:
        raise ValueError("not 32 bytes")
    return base64.b64encode(key).decode("ascii")


def _signing_keys(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("not a group of keys")
    keys: dict[str, str] = {}
    for key_id, text in value.items():
        if not isinstance(key_id, str) or not _KEY_ID.match(key_id):
            raise ValueError("not a key id")
        keys[key_id] = canonical_public_key(str(text))
    return MappingProxyType(keys)


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value)


def _symbols(value: Any) -> frozenset[Symbol]:
    return frozenset(Symbol(item) for item in _items(value))


def _clock(value: Any) -> time:
    found = _CLOCK.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("not a time of day")
    return time(int(found[1]), int(found[2]))


def _session(value: Any) -> Session:
    if isinstance(value, Session):
        return value
    if not isinstance(value, Mapping) or set(value) != {"days", "start", "end"}:
        raise ValueError("a session has days, start and end")
    days = frozenset(DAYS.index(str(day).lower()) for day in _items(value["days"]))
    start, end = _clock(value["start"]), _clock(value["end"])
    if not days or start == end:
        raise ValueError("an empty session")
    return Session(days, start, end)


def _sessions(value: Any) -> tuple[Session, ...]:
    if isinstance(value, str):
        raise ValueError("not a list")
    return tuple(_session(item) for item in value)


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in {"true", "false", "yes", "no", "on", "off", "1", "0"}:
            raise ValueError("not a yes or no")
        return word in {"true", "yes", "on", "1"}
    return value


Whole = BeforeValidator(_whole)
Exact = BeforeValidator(_exact)

Flag = Annotated[bool, BeforeValidator(_flag), Allowed("true or false")]
Port = Annotated[int, Whole, Field(ge=1, le=65535), Allowed("a port number, 1 to 65535")]
PortOrAny = Annotated[int, Whole, Field(ge=0, le=65535), Allowed("a port number, 0 (any free one) to 65535")]
FilePath = Annotated[Path, PlainValidator(_path), Allowed("a path of a file or folder")]
OptionalPath = Annotated[
    Path | None, PlainValidator(lambda v: None if v is None else _path(v)), Allowed("a path of a file")
]
Secret = Annotated[
    SecretStr | None,
    AfterValidator(lambda v: None if v is None else _header_text(v)),
    Allowed("visible ASCII characters without spaces, at most 1024"),
]
ExecutorId = Annotated[
    str,
    AfterValidator(_executor_id),
    Allowed("1 to 64 characters of A-Z a-z 0-9 _ . : -, as the brain knows it"),
]
BrainUrl = Annotated[
    str | None,
    AfterValidator(lambda v: None if v is None else _brain_url(v)),
    Allowed(
        "a wss:// address (ws:// only to this machine: 127.0.0.1, ::1, localhost), without user name or fragment"
    ),
]
ProxyUrl = Annotated[
    str | None,
    AfterValidator(lambda v: None if v is None else _proxy(v)),
    Allowed("an http://, https:// or socks5:// address"),
]
SigningKeys = Annotated[
    Mapping[str, str],
    PlainValidator(_signing_keys),
    Allowed("a group of `keyId: base64 of a 32-byte Ed25519 public key`, ids of A-Z a-z 0-9 _ . : -"),
]
Symbols = Annotated[
    frozenset[Symbol],
    PlainValidator(_symbols),
    Allowed("a list of symbols as the broker spells them; empty: all symbols"),
]
Sessions = Annotated[
    tuple[Session, ...],
    PlainValidator(_sessions),
    Allowed(
        'a list of `{days: [mon, tue, …], start: "HH:MM", end: "HH:MM"}`, broker time; end before start: over midnight'
    ),
]
Lots = Annotated[
    Decimal | None, Exact, Field(gt=0), Allowed("lots, greater than 0; leave it out for no limit")
]
MoneyLimit = Annotated[
    Decimal | None,
    Exact,
    Field(gt=0),
    Allowed("money in account currency, greater than 0; leave it out for no limit"),
]
Percent = Annotated[
    Decimal | None,
    Exact,
    Field(gt=0, le=100),
    Allowed("percent, greater than 0 and at most 100; leave it out for no limit"),
]
Count = Annotated[
    int | None, Whole, Field(ge=1, le=1_000_000), Allowed("a whole number from 1; leave it out for no limit")
]
CountOrOff = Annotated[int, Whole, Field(ge=0, le=1_000_000), Allowed("a whole number; 0: off")]
Points = Annotated[
    int | None,
    Whole,
    Field(ge=0, le=10_000_000),
    Allowed("points, a whole number; leave it out for no limit"),
]
Seconds = BeforeValidator(_seconds)
SecretUrls = Annotated[
    tuple[SecretStr, ...],
    PlainValidator(_secret_urls),
    Allowed("at most 10 addresses like tgram://…, mailtos://… or json://…, with a space between them"),
]
Hotkey = Annotated[
    str,
    PlainValidator(_hotkey),
    Allowed("two or more of Ctrl, Alt, Shift and Win and one key, like Ctrl+Alt+Shift+S; or off"),
]


def rule_of(fault: ValueError) -> str | None:
    """The domain's own words for what is wrong, where it has some."""
    return fault.rule if isinstance(fault, InvalidValue) else None
