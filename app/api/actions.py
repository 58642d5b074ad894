"""An operator's request over the local API, turned into the domain's action. Entries are not among them: a person opens positions
in the terminal, where prices and charts are; here a person reduces, cancels and amends.
"""

from __future__ import annotations

from decimal import Decimal

from app.api.asks import OperateAsk
from app.domain.commands import (
    UNCHANGED,
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    Keep,
    ModifyOrder,
    ModifyPosition,
)
from app.domain.errors import InvalidValue
from app.domain.values import Magic, Price, Symbol, Ticket, Volume

_FIELDS: dict[str, frozenset[str]] = {
    "CLOSE_POSITION": frozenset({"ticket", "volume"}),
    "CLOSE_ALL": frozenset({"symbol", "magic"}),
    "CANCEL_ORDER": frozenset({"ticket"}),
    "MODIFY_POSITION": frozenset({"ticket", "stop_loss", "take_profit"}),
    "MODIFY_ORDER": frozenset({"ticket", "price", "stop_limit_price", "stop_loss", "take_profit"}),
}


def action_of(ask: OperateAsk) -> Action:
    """Raises InvalidValue for a field that is missing, foreign to the action, or bad."""
    foreign = ask.model_fields_set - _FIELDS[ask.action] - {"action", "by"}
    if foreign:
        raise InvalidValue(min(foreign), f"does not belong to {ask.action}")
    if ask.action == "CLOSE_ALL":
        return CloseAll(
            symbol=None if ask.symbol is None else Symbol(ask.symbol),
            magic=None if ask.magic is None else Magic(ask.magic, "magic"),
        )
    if ask.ticket is None:
        raise InvalidValue("ticket", f"is required for {ask.action}")
    ticket = Ticket(ask.ticket)
    match ask.action:
        case "CLOSE_POSITION":
            return ClosePosition(ticket, None if ask.volume is None else Volume(ask.volume))
        case "CANCEL_ORDER":
            return CancelOrder(ticket)
        case "MODIFY_POSITION":
            return ModifyPosition(
                ticket,
                stop_loss=_stop("stop_loss", ask.stop_loss),
                take_profit=_stop("take_profit", ask.take_profit),
            )
        case _:
            return ModifyOrder(
                ticket,
                price=UNCHANGED if ask.price is None else Price(ask.price),
                stop_limit_price=(
                    UNCHANGED
                    if ask.stop_limit_price is None
                    else Price(ask.stop_limit_price, "stop_limit_price")
                ),
                stop_loss=_stop("stop_loss", ask.stop_loss),
                take_profit=_stop("take_profit", ask.take_profit),
            )


def _stop(field: str, value: Decimal | None) -> Price | Keep | None:
    if value is None:
        return UNCHANGED
    return None if value == 0 else Price(value, field)
