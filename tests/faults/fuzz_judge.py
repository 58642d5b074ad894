"""A second opinion on frames of the brain, written from PROTOCOL.md with nothing of app/: what may become of this text?

Slow and plain on purpose. It says which outcomes are allowed; where several rules are broken at once, each of their answers is.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_TOKEN = re.compile(
    r"[ \t\r\n]*(?:(?P<mark>[{}\[\]:,])"
    r'|(?P<text>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>true|false|null))"
)
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_PLAIN = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
DEPTH = 16
_TOO_LARGE = Decimal("1.797693134862315807e308")


class Number(str):
    """A number as it was written."""

    __slots__ = ()

    @property
    def whole(self) -> bool:
        return not set(self) & set(".eE")


class NotStrict(Exception):
    """The text is not one strict JSON object."""


def read(text: str) -> dict[str, Any]:
    """PROTOCOL section 1, by hand. Raises NotStrict."""
    reader = _Reader(text)
    value = reader.value(0)
    if not isinstance(value, dict) or text[reader.at :].strip(" \t\r\n"):
        raise NotStrict("not one object")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def token(self) -> tuple[str, str]:
        found = _TOKEN.match(self.text, self.at)
        if found is None or found.lastgroup is None:
            raise NotStrict(f"at {self.at}")
        self.at = found.end()
        return found.lastgroup, found.group(found.lastgroup)

    def value(self, depth: int, token: tuple[str, str] | None = None) -> Any:
        kind, text = token or self.token()
        if kind == "text":
            return _text(text)
        if kind == "number":
            return _number(text)
        if kind == "word":
            return _WORDS[text]
        if text not in "{[":
            raise NotStrict(text)
        if depth == DEPTH:
            raise NotStrict("too deep")
        return self.members(depth + 1) if text == "{" else self.items(depth + 1)

    def items(self, depth: int) -> list[Any]:
        found: list[Any] = []
        token = self.token()
        if token == ("mark", "]"):
            return found
        while True:
            found.append(self.value(depth, token))
            token = self.token()
            if token == ("mark", "]"):
                return found
            if token != ("mark", ","):
                raise NotStrict(token[1])
            token = self.token()

    def members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        token = self.token()
        if token == ("mark", "}"):
            return found
        while True:
            if token[0] != "text":
                raise NotStrict("a key that is no text")
            key = _text(token[1])
            if key in found or self.token() != ("mark", ":"):
                raise NotStrict(key)
            found[key] = self.value(depth)
            token = self.token()
            if token == ("mark", "}"):
                return found
            if token != ("mark", ","):
                raise NotStrict(token[1])
            token = self.token()


def _text(quoted: str) -> str:
    if quoted.isascii() and "\\" not in quoted:
        return quoted[1:-1]
    found = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _PLAIN[m[2]], quoted[1:-1])
    if any("\ud800" <= c <= "\udfff" for c in quoted):
        raise NotStrict("a raw surrogate")
    try:
        return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise NotStrict("a lone surrogate") from None


def _number(text: str) -> Number:
    if len(text) > 40:
        raise NotStrict("a long number")
    mantissa, _, exponent = text.lower().partition("e")
    if exponent:
        places = len(mantissa.partition(".")[2])
        if abs(int(exponent) - places) > 400 or abs(Decimal(text)) >= _TOO_LARGE:
            raise NotStrict("out of proportion")
    return Number(text)


# ------------------------------------------------------------------ the brain's messages

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SYMBOL = re.compile(r"#?[._\[]?[A-Za-z0-9][A-Za-z0-9._#&+!@$^/\[\] -]*")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)
_KINDS = {f"{side}_{kind}" for side in ("BUY", "SELL") for kind in ("LIMIT", "STOP", "STOP_LIMIT")}
BOOLEAN = "INVALID_JSON"
MESSAGE = "INVALID_MESSAGE"
COMMAND = "INVALID_COMMAND"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _printable(value: object, most: int, least: int = 1) -> bool:
    return isinstance(value, str) and _is_text(value) and least <= len(value) <= most and value.isprintable()


def _is_moment(value: object) -> bool:
    if not isinstance(value, str) or not _is_text(value) or not _STAMP.fullmatch(value):
        return False
    try:
        datetime.strptime(value[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return False
    return True


def _is_amount(value: object, least: str = "") -> bool:
    """A number of at most 28 digits; above zero, or at least `least`."""
    if not isinstance(value, Number):
        return False
    number = Decimal(value)
    _, digits, exponent = number.as_tuple()
    if len(digits) > 28 or abs(int(exponent)) > 28:
        return False
    return number >= Decimal(least) if least else number > 0


def _is_whole(value: object, low: int, high: int, *, as_text: bool = False) -> bool:
    if isinstance(value, Number):
        return value.whole and low <= int(value) <= high
    digits = as_text and isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value) is not None
    return digits and low <= int(str(value)) <= high


def _is_symbol(value: object) -> bool:
    return (
        isinstance(value, str)
        and _is_text(value)
        and len(value) <= 31
        and _SYMBOL.fullmatch(value) is not None
    )


class _Look:
    """Collects which refusals a body deserves."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.deserved: set[str] = set()

    def check(self, name: str, right: bool, code: str, *, number: bool = False) -> None:
        if not right:
            self.deserved.add(BOOLEAN if number and isinstance(self.body.get(name), bool) else code)

    def maybe(self, name: str, right: bool, code: str, *, number: bool = False) -> None:
        if self.body.get(name) is not None:
            self.check(name, right, code, number=number)


def command_faults(body: Mapping[str, Any]) -> set[str]:
    """Codes that a `command` deserves (PROTOCOL section 4.1)."""
    look = _Look(body)
    get = body.get
    action = get("action")
    if action is None:
        return {COMMAND}
    if not _is_text(action) or action not in _ACTIONS:
        return {"UNKNOWN_ACTION"}
    look.maybe("magicNumber", _is_whole(get("magicNumber"), 0, 2**63 - 1, as_text=True), COMMAND, number=True)
    look.maybe("comment", _printable(get("comment"), 64, 0), COMMAND)
    for name in _PRICES[action]:
        look.maybe(name, _is_amount(get(name)), COMMAND, number=True)
    match action:
        case "OPEN_POSITION" | "PLACE_ORDER":
            kinds = {"BUY", "SELL"} if action == "OPEN_POSITION" else _KINDS
            look.check("symbol", _is_symbol(get("symbol")), COMMAND)
            look.check("type", _is_text(get("type")) and get("type") in kinds, COMMAND)
            look.check("volume", _is_amount(get("volume")), COMMAND, number=True)
            if action == "PLACE_ORDER":
                look.check("price", _is_amount(get("price")), COMMAND, number=True)
                look.maybe("expiration", _is_moment(get("expiration")), COMMAND)
                stop_limit = str(get("type")).endswith("STOP_LIMIT")
                if stop_limit != (get("stopLimitPrice") is not None):
                    look.deserved.add(COMMAND)
            else:
                look.maybe("maxSlippage", _is_amount(get("maxSlippage"), "0"), COMMAND, number=True)
        case "MODIFY_POSITION" | "MODIFY_ORDER":
            names = ["stopLoss", "takeProfit"]
            if action == "MODIFY_ORDER":
                names += ["price", "stopLimitPrice", "expiration"]
                for name in ("price", "stopLimitPrice"):
                    if name in body:
                        look.check(name, _is_amount(get(name)), COMMAND, number=True)
                if "expiration" in body:
                    gone = isinstance(get("expiration"), Number) and get("expiration") in ("0", "-0")
                    look.check("expiration", gone or _is_moment(get("expiration")), COMMAND)
            for name in ("stopLoss", "takeProfit"):
                if name in body:
                    zero = (
                        isinstance(get(name), Number)
                        and Decimal(str(get(name))) == 0
                        and _is_amount(get(name), "0")
                    )
                    look.check(name, zero or _is_amount(get(name)), COMMAND, number=True)
            if not any(name in body for name in names):
                look.deserved.add(COMMAND)
        case "CLOSE_POSITION":
            look.maybe("volume", _is_amount(get("volume")), COMMAND, number=True)
        case "CLOSE_ALL":
            look.maybe("symbol", _is_symbol(get("symbol")), COMMAND)
    if action in ("MODIFY_POSITION", "MODIFY_ORDER", "CLOSE_POSITION", "CANCEL_ORDER"):
        look.check("ticket", _is_whole(get("ticket"), 1, 2**64 - 1, as_text=True), COMMAND, number=True)
    return look.deserved


_PRICES: dict[str, tuple[str, ...]] = {
    "OPEN_POSITION": ("stopLoss", "takeProfit", "price"),
    "PLACE_ORDER": ("stopLoss", "takeProfit", "stopLimitPrice"),
    "MODIFY_POSITION": (),
    "MODIFY_ORDER": (),
    "CLOSE_POSITION": (),
    "CANCEL_ORDER": (),
    "CLOSE_ALL": (),
}
_ACTIONS = frozenset(_PRICES)


def _signal(body: Mapping[str, Any], signed: bool) -> set[str]:
    look = _Look(body)
    given = body.get("commandId")
    look.check(
        "commandId",
        (given is None and not signed) or (_is_text(given) and bool(_ID.fullmatch(str(given)))),
        COMMAND,
    )
    look.check("timestamp", _is_moment(body.get("timestamp")), COMMAND)
    look.maybe("expiry", _is_whole(body.get("expiry"), 1, 60_000), COMMAND, number=True)
    priority = body.get("priority")
    look.maybe(
        "priority",
        _is_text(priority) and str(priority).upper() in ("CRITICAL", "HIGH", "NORMAL", "LOW"),
        COMMAND,
    )
    look.maybe("strategyId", _printable(body.get("strategyId"), 128), COMMAND)
    look.maybe("account", _printable(body.get("account"), 64), COMMAND)
    command = body.get("command")
    if isinstance(command, dict):
        look.deserved |= command_faults(command)
    else:
        look.deserved.add(COMMAND)
    stamp = body.get("timestamp")
    if _is_text(stamp) and str(stamp).startswith("9999-12-31T23:59"):
        look.deserved |= {COMMAND}  # with its expiry it may lie behind the last moment there is
        return look.deserved | {"ok"}
    return look.deserved or {"ok"}


def _list_of(value: object, most: int, right: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= most and all(right(item) for item in value)


def _other(kind: str, body: Mapping[str, Any]) -> set[str]:
    look = _Look(body)
    get = body.get
    match kind:
        case "CANCEL_COMMAND":
            look.check(
                "commandId",
                _is_text(get("commandId")) and bool(_ID.fullmatch(str(get("commandId")))),
                MESSAGE,
            )
        case "SUBSCRIBE" | "UNSUBSCRIBE":
            look.check("symbols", _list_of(get("symbols"), 200, _is_symbol), MESSAGE)
            if kind == "SUBSCRIBE":
                look.maybe("minInterval", _is_whole(get("minInterval"), 0, 60_000), MESSAGE, number=True)
        case "RESULT_ACK":
            right = _list_of(
                get("commandIds"), 1000, lambda item: _is_text(item) and bool(_ID.fullmatch(item))
            )
            look.check("commandIds", right, MESSAGE)
        case "GET_STATE":
            look.maybe("requestId", _printable(get("requestId"), 128), MESSAGE)
        case "HEARTBEAT":
            look.maybe("timestamp", _is_moment(get("timestamp")), MESSAGE)
            look.maybe("seq", _is_whole(get("seq"), 0, 2**53), MESSAGE, number=True)
        case "WELCOME":
            look.check("sessionId", _printable(get("sessionId"), 128), MESSAGE)
            look.maybe("serverTime", _is_moment(get("serverTime")), MESSAGE)
            look.maybe(
                "heartbeatInterval", _is_whole(get("heartbeatInterval"), 100, 60_000), MESSAGE, number=True
            )
            look.maybe("capabilities", isinstance(get("capabilities"), list), MESSAGE)
        case "EMERGENCY_STOP":
            return {"ok"}
        case _:
            return {"UNKNOWN_TYPE"}
    return look.deserved or {"ok"}


def verdict(
    frame: str, executor_id: str, keys: Mapping[str, Ed25519PublicKey], accounts: set[str]
) -> set[str]:
    """Allowed outcomes: `ok` or codes of PROTOCOL section 6."""
    try:
        body, signed = read(frame), False
        if body.get("type") == "SIGNED" and _is_text(body.get("type")):
            payload = _verified(body, keys)
            if payload is None:
                return {"BAD_SIGNATURE"}
            body, signed = read(payload), True
    except NotStrict:
        return {"INVALID_JSON"}
    kind = body.get("type")
    if not isinstance(kind, str) or not _is_text(kind):
        return {"UNKNOWN_TYPE"}
    if kind in ("TRADE_SIGNAL", "CANCEL_COMMAND", "EMERGENCY_STOP") and not (
        kind == "EMERGENCY_STOP" and not signed
    ):
        if not signed and keys:
            return {"SIGNATURE_REQUIRED"}
        audience = body.get("executorId")
        if not _is_text(audience) and (signed or audience is not None):
            return {"WRONG_AUDIENCE"}
        if audience != executor_id and (signed or audience is not None):
            return {"WRONG_AUDIENCE"}
        account = body.get("account")
        if signed and account is not None and not (_is_text(account) and account in accounts):
            return {"WRONG_AUDIENCE"}
        if signed and kind != "TRADE_SIGNAL" and not _is_moment(body.get("timestamp")):
            return {MESSAGE}
    return _signal(body, signed) if kind == "TRADE_SIGNAL" else _other(kind, body)


def _verified(body: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> str | None:
    key_id, payload, signature = body.get("keyId"), body.get("payload"), body.get("signature")
    key = keys.get(key_id) if isinstance(key_id, str) and _is_text(key_id) else None
    if key is None or body.get("alg") != "Ed25519" or not isinstance(payload, str) or not _is_text(payload):
        return None
    if not isinstance(signature, str) or not re.fullmatch(r"[A-Za-z0-9_-]{85}[AQgw]", signature):
        return None
    try:
        key.verify(base64.urlsafe_b64decode(signature + "=="), payload.encode())
    except InvalidSignature:
        return None
    return payload
