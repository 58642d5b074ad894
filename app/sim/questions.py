"""The questions that a terminal answers without any effect (EA_PROTOCOL §5)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.execution import Finding
from app.domain.market import Deal, PendingOrder, Position, TerminalSnapshot
from app.domain.values import Magic, Ticket
from app.protocol import ea_messages as wire
from app.protocol.ea_fields import from_ms, to_ms
from app.protocol.ea_frames import Request
from app.sim import command_args as args
from app.sim.command_args import Refuse
from app.sim.life import Life
from app.sim.triggers import SERVER_UTC_OFFSET

MOST_DEALS = 1000
QUESTIONS = frozenset({"account", "symbol", "quotes", "positions", "orders", "history", "snapshot", "find"})


def answer(life: Life, request: Request) -> dict[str, Any]:
    """The reply's data. Raises Refuse, InvalidValue."""
    broker, given = life.broker, request.args
    match request.cmd:
        case "account":
            return wire.account_to_wire(broker.money.account()) | {
                "permissions": wire.permissions_to_wire(life.permissions)
            }
        case "symbol":
            return wire.symbol_to_wire(broker.money.spec(_known(life, args.text(given, "symbol"))))
        case "quotes":
            symbols = [_known(life, symbol) for symbol in args.read_symbols(given)]
            return {"quotes": [wire.quote_to_wire(life.market.quote(symbol)) for symbol in symbols]}
        case "positions":
            return {"positions": [wire.position_to_wire(position) for position in _positions(life)]}
        case "orders":
            return {"orders": [wire.order_to_wire(order) for order in broker.book.orders.values()]}
        case "history":
            return _history(life, given)
        case "snapshot":
            return wire.snapshot_to_wire(snapshot(life))
        case _:
            return wire.finding_to_wire(find(life, request))


def heartbeat(life: Life) -> dict[str, Any]:
    """What both the reply and the stream's event carry."""
    return {
        "permissions": wire.permissions_to_wire(life.permissions),
        "stopped": life.state.stopped,
        "epoch": life.sessions.epoch,
        "queue": 0,
        "trade_seq": life.trade_seq,
        "account": wire.account_to_wire(life.broker.money.account()),
    }


def snapshot(life: Life) -> TerminalSnapshot:
    broker = life.broker
    return TerminalSnapshot(
        account=broker.money.account(),
        permissions=life.permissions,
        positions=tuple(_positions(life)),
        orders=tuple(broker.book.orders.values()),
        symbols=tuple(broker.money.spec(symbol) for symbol in life.market.symbols),
        quotes=tuple(life.market.quote(symbol) for symbol in life.market.symbols),
        taken_at=life.clock.utc(),
        server_utc_offset=SERVER_UTC_OFFSET,
        trade_seq=life.trade_seq,
    )


def find(life: Life, request: Request) -> Finding:
    """What the ledger knows of the request's cid, and what the broker shows that carries its marks."""
    cid = args.read_cid(request.cid)
    given = request.args
    tag = given.get("tag")
    symbol = given.get("symbol")
    ticket = None if given.get("ticket") is None else args.read_ticket(given)
    magic = None if given.get("magic") is None else Magic(args.text(given, "magic"), "magic")
    since = args.read_int(given, "since", 0, 10**14)
    entry = life.commands.get(cid)

    def carries(item: Position | PendingOrder | Deal, *tickets: Ticket) -> bool:
        if ticket is not None and ticket in tickets:
            return True
        if isinstance(tag, str) and tag and tag in item.comment:
            return True
        return magic is not None and symbol == item.symbol and magic == item.magic

    book = life.broker.book
    start = bisect_left(book.deals, since, key=lambda deal: to_ms(deal.time))
    if entry is None:
        ledger = "never_seen"
    elif entry.result is not None:
        ledger = "result"
    else:
        ledger = "sent" if entry.asked else "claimed"
    return Finding(
        ledger=ledger,
        execution=wire.execution_from_wire(entry.result) if entry is not None and entry.result else None,
        sent_at=None if entry is None else from_ms(entry.sent_at),
        connected=life.permissions.connected,
        synchronised=life.permissions.synchronised,
        positions=tuple(p for p in _positions(life) if carries(p, p.ticket, p.identifier)),
        orders=tuple(order for order in book.orders.values() if carries(order, order.ticket)),
        deals=tuple(
            deal for deal in book.deals[start:] if carries(deal, deal.ticket, deal.order, deal.position)
        ),
    )


def _positions(life: Life) -> list[Position]:
    broker = life.broker
    return [broker.money.valued(position) for position in broker.book.positions.values()]


def _history(life: Life, given: Mapping[str, Any]) -> dict[str, Any]:
    first, last = args.read_int(given, "from", 0, 10**14), args.read_int(given, "to", 0, 10**14)
    if last < first:
        raise InvalidValue("to", "must not be before from")
    deals = life.broker.book.deals
    start = bisect_left(deals, first, key=lambda deal: to_ms(deal.time))
    end = bisect_left(deals, last + 1, key=lambda deal: to_ms(deal.time))
    answered: dict[str, Any] = {
        "deals": [wire.deal_to_wire(deal) for deal in deals[start : min(end, start + MOST_DEALS)]]
    }
    if end - start > MOST_DEALS:
        answered["more"] = True
    return answered


def _known(life: Life, symbol: str) -> str:
    if symbol not in life.market:
        raise Refuse("SYMBOL_UNKNOWN", f"the broker has no symbol {symbol[:40]!r}")
    return symbol
