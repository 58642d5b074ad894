"""What a TRADE_SIGNAL asks for: `command` and its seven actions, read into domain types (PROTOCOL §4.1).

The envelope around it (ids, times, signatures) is brain_inbound.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from app.domain.commands import (
    NO_MAGIC,
    UNCHANGED,
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    Keep,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
)
from app.domain.errors import InvalidValue
from app.domain.values import Magic, OrderKind, Price, Priority, Side, Symbol, Volume
from app.protocol import brain_fields as f
from app.protocol.strict_json import InvalidJson

LONGEST_COMMENT = 64
"""Characters. The broker's comment is made elsewhere and is shorter."""


class UnknownAction(InvalidValue):
    """`command.action` names nothing that this version can do."""


def read_action(command: f.Fields) -> Action:
    """Read `command`. Raises UnknownAction, InvalidValue (the field as `command.…`) or InvalidJson (a boolean for a number)."""
    name = command.get("action")
    if name is None:
        raise InvalidValue("command.action", "is required")
    read = _ACTIONS.get(name) if isinstance(name, str) else None
    if read is None:
        shown = f"{name[:40]} " if isinstance(name, str) and name.isprintable() else ""
        raise UnknownAction("command.action", f"{shown}is none of {', '.join(_ACTIONS)}")
    try:
        return read(command, _magic(command), _comment(command))
    except InvalidJson:
        raise
    except InvalidValue as fault:
        raise fault.within("command") from None


def read_priority(value: object) -> Priority:
    """Any case; absent: NORMAL. Raises InvalidValue."""
    if value is None:
        return Priority.NORMAL
    found = _PRIORITIES.get(value.upper()) if isinstance(value, str) else None
    if found is None:
        raise InvalidValue("priority", f"must be one of {', '.join(_PRIORITIES)}")
    return found


def _magic(fields: f.Fields) -> Magic | None:
    value = fields.get("magicNumber")
    return None if value is None else Magic(f.exact_whole(value, "magicNumber"))


def _comment(fields: f.Fields) -> str:
    value = fields.get("comment")
    return "" if value is None else f.text(value, "comment", LONGEST_COMMENT, shortest=0)


def _symbol(fields: f.Fields) -> Symbol:
    return Symbol(f.required(fields, "symbol"))


def _volume(fields: f.Fields) -> Volume:
    return Volume(f.number(f.required(fields, "volume"), "volume"))


def _open_position(fields: f.Fields, magic: Magic | None, comment: str) -> Action:
    side = _SIDES.get(_name(fields, "type"))
    if side is None:
        raise InvalidValue("type", "must be BUY or SELL")
    slippage = fields.get("maxSlippage")
    if slippage is not None:
        slippage = f.number(slippage, "maxSlippage")
        if slippage < 0:
            raise InvalidValue("maxSlippage", "must not be negative")
    return OpenPosition(
        symbol=_symbol(fields),
        side=side,
        volume=_volume(fields),
        stop_loss=f.maybe_price(fields, "stopLoss"),
        take_profit=f.maybe_price(fields, "takeProfit"),
        price=f.maybe_price(fields, "price"),
        max_slippage=slippage,
        magic=NO_MAGIC if magic is None else magic,
        comment=comment,
    )


def _place_order(fields: f.Fields, magic: Magic | None, comment: str) -> Action:
    kind = _KINDS.get(_name(fields, "type"))
    if kind is None:
        raise InvalidValue("type", f"must be one of {', '.join(_KINDS)}")
    expiration = fields.get("expiration")
    return PlaceOrder(
        symbol=_symbol(fields),
        kind=kind,
        volume=_volume(fields),
        price=Price(f.number(f.required(fields, "price"), "price")),
        stop_limit_price=f.maybe_price(fields, "stopLimitPrice"),
        stop_loss=f.maybe_price(fields, "stopLoss"),
        take_profit=f.maybe_price(fields, "takeProfit"),
        expiration=None if expiration is None else f.moment(expiration, "expiration"),
        magic=NO_MAGIC if magic is None else magic,
        comment=comment,
    )


def _modify_position(fields: f.Fields, _magic: Magic | None, _comment: str) -> Action:
    return ModifyPosition(
        f.ticket(fields), _stop_change(fields, "stopLoss"), _stop_change(fields, "takeProfit")
    )


def _modify_order(fields: f.Fields, _magic: Magic | None, _comment: str) -> Action:
    return ModifyOrder(
        ticket=f.ticket(fields),
        price=_price_change(fields, "price"),
        stop_limit_price=_price_change(fields, "stopLimitPrice"),
        stop_loss=_stop_change(fields, "stopLoss"),
        take_profit=_stop_change(fields, "takeProfit"),
        expiration=_expiration_change(fields),
    )


def _close_position(fields: f.Fields, _magic: Magic | None, _comment: str) -> Action:
    return ClosePosition(f.ticket(fields), _volume(fields) if fields.get("volume") is not None else None)


def _cancel_order(fields: f.Fields, _magic: Magic | None, _comment: str) -> Action:
    return CancelOrder(f.ticket(fields))


def _close_all(fields: f.Fields, magic: Magic | None, _comment: str) -> Action:
    return CloseAll(_symbol(fields) if fields.get("symbol") is not None else None, magic)


def _name(fields: f.Fields, name: str) -> str:
    value = f.required(fields, name)
    if not isinstance(value, str):
        raise InvalidValue(name, "must be a string")
    return value


def _stop_change(fields: f.Fields, name: str) -> Price | Keep | None:
    """Absent: unchanged; 0: removed. `null` could mean either, so it is refused."""
    if name not in fields:
        return UNCHANGED
    value = f.number(fields[name], name)
    return None if value == 0 else Price(value, name)


def _price_change(fields: f.Fields, name: str) -> Price | Keep:
    return Price(f.number(fields[name], name), name) if name in fields else UNCHANGED


def _expiration_change(fields: f.Fields) -> datetime | Keep | None:
    if "expiration" not in fields:
        return UNCHANGED
    value = fields["expiration"]
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return None
    return f.moment(value, "expiration")


_PRIORITIES = {priority.name: priority for priority in Priority}
_SIDES = {side.value: side for side in Side}
_KINDS = {kind.value: kind for kind in OrderKind}
_ACTIONS: dict[str, Callable[[f.Fields, Magic | None, str], Action]] = {
    "OPEN_POSITION": _open_position,
    "PLACE_ORDER": _place_order,
    "MODIFY_POSITION": _modify_position,
    "MODIFY_ORDER": _modify_order,
    "CLOSE_POSITION": _close_position,
    "CANCEL_ORDER": _cancel_order,
    "CLOSE_ALL": _close_all,
}
