"""Reads the args of the terminal's commands (EA_PROTOCOL §4) into requests for the broker. No effects, no state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.values import CommandId, Magic, OrderKind, Price, Side, Symbol, Ticket, Volume
from app.protocol.ea_fields import from_ms
from app.sim.instruments import Instrument
from app.sim.trade_requests import MarketOrder, PendingRequest

MAX_ATTEMPTS = 3
_COMMENT = re.compile(r"[A-Za-z0-9_#-]{0,27}\Z")
_TAG = re.compile(r"[A-Za-z0-9_#-]{8}\Z")
REMOVED = Decimal(0)
"""`"0"` in a modify: the field is taken away."""


class Refuse(Exception):
    """The terminal itself refuses: a code of §7, and a message that names the field."""

    def __init__(self, code: str, message: str = "", **data: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.data = data


def read_cid(cid: str | None) -> CommandId:
    if cid is None:
        raise InvalidValue("cid", "is required")
    return CommandId(cid, "cid")


def read_attempts(args: Mapping[str, Any]) -> int:
    return read_int(args, "max_attempts", 1, MAX_ATTEMPTS)


def read_open(args: Mapping[str, Any], item: Instrument) -> MarketOrder:
    """Raises InvalidValue."""
    read_price(args, "price")
    return MarketOrder(
        symbol=Symbol(item.symbol),
        side=read_enum(Side, args, "side"),
        volume=Volume(text(args, "volume")),
        filling=choose_filling(item),
        stop_loss=read_price(args, "sl"),
        take_profit=read_price(args, "tp"),
        magic=Magic(text(args, "magic"), "magic"),
        comment=read_comment(args),
        deviation=read_int(args, "deviation", 0, 1_000_000),
    )


def read_place(args: Mapping[str, Any], item: Instrument) -> PendingRequest:
    """Raises InvalidValue."""
    expiration = args.get("expiration")
    price = read_price(args, "price")
    if price is None:
        raise InvalidValue("price", "is required")
    return PendingRequest(
        symbol=Symbol(item.symbol),
        kind=read_enum(OrderKind, args, "kind"),
        volume=Volume(text(args, "volume")),
        price=price,
        stop_limit=read_price(args, "stop_limit"),
        stop_loss=read_price(args, "sl"),
        take_profit=read_price(args, "tp"),
        expiration=None if expiration is None else from_ms(read_int(args, "expiration", 1, 10**14)),
        magic=Magic(text(args, "magic"), "magic"),
        comment=read_comment(args),
    )


def read_close(args: Mapping[str, Any]) -> tuple[Ticket, Volume | None]:
    read_int(args, "deviation", 0, 1_000_000)
    read_tag(args)
    volume = args.get("volume")
    return read_ticket(args), None if volume is None else Volume(text(args, "volume"))


def read_ticket(args: Mapping[str, Any]) -> Ticket:
    return Ticket(text(args, "ticket"))


def read_price(args: Mapping[str, Any], name: str) -> Price | None:
    return None if args.get(name) is None else Price(text(args, name), name)


def read_change(args: Mapping[str, Any], name: str, present: Price | None) -> Price | None:
    """A price of `modify`: absent or null leaves `present`, "0" removes."""
    if args.get(name) is None:
        return present
    value = text(args, name)
    return None if value.strip("0.") == "" and "0" in value else Price(value, name)


def read_int(args: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = args.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidValue(name, f"must be a whole number from {low} to {high}")
    return value


def read_enum(kind: type[Any], args: Mapping[str, Any], name: str) -> Any:
    try:
        return kind(args.get(name))
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InvalidValue(name, f"must be one of {allowed}") from None


def read_tag(args: Mapping[str, Any]) -> str:
    tag = text(args, "tag")
    if not _TAG.match(tag):
        raise InvalidValue("tag", "must be 8 characters of A-Z a-z 0-9 _ # -")
    return tag


def read_comment(args: Mapping[str, Any]) -> str:
    comment = text(args, "comment")
    if not _COMMENT.match(comment) or not comment.startswith(read_tag(args)):
        raise InvalidValue(
            "comment", "must begin with tag and have at most 27 characters of A-Z a-z 0-9 _ # -"
        )
    return comment


def read_symbols(args: Mapping[str, Any]) -> list[str]:
    symbols = args.get("symbols")
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise InvalidValue("symbols", "must be a list of symbols")
    return symbols


def text(args: Mapping[str, Any], name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str):
        raise InvalidValue(name, "must be a string")
    return value


def choose_filling(item: Instrument) -> str:
    """What the terminal picks: IOC where the broker takes it, else FOK, else RETURN (EA_PROTOCOL §4 names none)."""
    return next((filling for filling in ("ioc", "fok") if filling in item.filling), "return")
