"""From a command on the wire to something that can be asked of the broker: what it names is looked up here.

Asks nobody and changes nothing; a slip may be asked more than once, and even later, of another broker object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.values import Magic, Price, Ticket
from app.protocol.ea_fields import from_ms
from app.protocol.ea_frames import Request
from app.sim import command_args as args
from app.sim.broker import Broker
from app.sim.command_args import Refuse
from app.sim.life import Life
from app.sim.trade_requests import Answer, Conditions, OrderTerms, Origin


@dataclass(frozen=True, slots=True)
class OrderSlip:
    """A command made ready for the broker: how to ask once, and what it is about."""

    ask: Callable[[Broker, Conditions], Answer]
    cmd: str
    symbol: str | None
    volume: Decimal | None = None
    side_price: Callable[[], Price] | None = None
    """The market's price for the trade at the moment of sending."""
    ticket: Ticket | None = None


def prepare(life: Life, request: Request) -> OrderSlip | list[OrderSlip]:
    """Read the args and find what they name. Raises Refuse, InvalidValue."""
    match request.cmd:
        case "open":
            return _prepare_open(life, request)
        case "place":
            return _prepare_place(life, request)
        case "modify":
            return _prepare_modify(life, request)
        case "close":
            ticket, volume = args.read_close(request.args)
            return _prepare_close(life, request, ticket, volume)
        case "cancel":
            return _prepare_cancel(life, request)
        case _:
            return _prepare_close_all(life, request)


def _prepare_open(life: Life, request: Request) -> OrderSlip:
    origin = Origin(request.cid)
    order = args.read_open(request.args, _item(life, request))

    def price() -> Price:
        quote = life.market.quote(order.symbol)
        return quote.ask if order.side.sign > 0 else quote.bid

    return OrderSlip(
        lambda broker, conditions: broker.open(order, origin, conditions),
        "open",
        order.symbol,
        order.volume,
        price,
    )


def _prepare_place(life: Life, request: Request) -> OrderSlip:
    origin = Origin(request.cid)
    order = args.read_place(request.args, _item(life, request))
    return OrderSlip(
        lambda broker, conditions: broker.place(order, origin, conditions),
        "place",
        order.symbol,
        order.volume,
    )


def _prepare_modify(life: Life, request: Request) -> OrderSlip:
    book, origin, given = life.broker.book, Origin(request.cid), request.args
    ticket = args.read_ticket(given)
    if given.get("target") == "position":
        position = book.positions.get(ticket)
        if position is None:
            raise Refuse("NOT_FOUND", f"no open position {ticket}")
        stop_loss = args.read_change(given, "sl", position.stop_loss)
        take_profit = args.read_change(given, "tp", position.take_profit)
        return OrderSlip(
            lambda broker, _: broker.modify_position(ticket, stop_loss, take_profit, origin),
            "modify",
            position.symbol,
            position.volume,
        )
    if given.get("target") != "order":
        raise InvalidValue("target", "must be position or order")
    order = book.orders.get(ticket)
    if order is None:
        raise Refuse("NOT_FOUND", f"no pending order {ticket}")
    expiration = order.expiration
    if given.get("expiration") is not None:
        moment = args.read_int(given, "expiration", 0, 10**14)
        expiration = None if moment == 0 else from_ms(moment)
    terms = OrderTerms(
        price=args.read_price(given, "price") or order.price,
        stop_limit=args.read_change(given, "stop_limit", order.stop_limit_price),
        stop_loss=args.read_change(given, "sl", order.stop_loss),
        take_profit=args.read_change(given, "tp", order.take_profit),
        expiration=expiration,
    )
    return OrderSlip(
        lambda broker, _: broker.modify_order(ticket, terms, origin), "modify", order.symbol, order.volume
    )


def _prepare_close(life: Life, request: Request, ticket: Ticket, volume: Any) -> OrderSlip:
    book, origin = life.broker.book, Origin(request.cid, comment=args.read_tag(request.args))
    deviation = args.read_int(request.args, "deviation", 0, 1_000_000)
    position = book.positions.get(ticket)
    if position is None:
        raise Refuse("NOT_FOUND", f"no open position {ticket}")

    def price() -> Price:
        quote = life.market.quote(position.symbol)
        return quote.bid if position.side.sign > 0 else quote.ask

    return OrderSlip(
        lambda broker, conditions: broker.close(ticket, volume, origin, conditions, deviation=deviation),
        request.cmd,
        position.symbol,
        volume or position.volume,
        price,
        ticket,
    )


def _prepare_cancel(life: Life, request: Request) -> OrderSlip:
    book, origin = life.broker.book, Origin(request.cid)
    ticket = args.read_ticket(request.args)
    order = book.orders.get(ticket)
    if order is None:
        raise Refuse("NOT_FOUND", f"no pending order {ticket}")
    return OrderSlip(lambda broker, _: broker.cancel(ticket, origin), "cancel", order.symbol, order.volume)


def _prepare_close_all(life: Life, request: Request) -> list[OrderSlip]:
    args.read_int(request.args, "deviation", 0, 1_000_000)
    args.read_tag(request.args)
    symbol = _item(life, request).symbol if request.args.get("symbol") is not None else None
    wanted = request.args.get("magic")
    magic = None if wanted is None else Magic(args.text(request.args, "magic"), "magic")
    return [
        _prepare_close(life, request, Ticket(position.ticket), None)
        for position in list(life.broker.book.positions.values())
        if symbol in (None, position.symbol) and magic in (None, position.magic)
    ]


def _item(life: Life, request: Request) -> Any:
    symbol = args.text(request.args, "symbol")
    if symbol not in life.market:
        raise Refuse("SYMBOL_UNKNOWN", f"the broker has no symbol {symbol[:40]!r}")
    return life.market.instrument(symbol)
