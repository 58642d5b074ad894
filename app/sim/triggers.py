"""What the market does to open trades without anybody's command: stops, pending orders, expiry, stop-out, swap."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.market import PendingOrder, Quote
from app.domain.values import OrderKind, Side
from app.sim import broker_rules as rules
from app.sim.account import cents
from app.sim.broker import STOP_OUT_LEVEL, Broker
from app.sim.trade_requests import Origin

SERVER_UTC_OFFSET = 7200
"""Seconds by which the broker's clock is ahead of UTC; its day begins there (swap)."""


def on_quote(broker: Broker, quote: Quote) -> None:
    """Everything that a new quote of a symbol triggers, stops before orders before stop-out."""
    symbol = str(quote.symbol)
    if not broker.market.instrument(symbol).session_open:
        return
    book = broker.book
    if book.triggers[symbol].touched(quote.bid, quote.ask):
        for ticket in sorted(book.tickets_of[symbol]):
            position = book.positions[ticket]
            hit = rules.stop_hit(position, quote)
            if hit is not None:
                price = quote.bid if position.side is Side.BUY else quote.ask
                broker.close_at(position, position.volume, price, Origin(reason=hit))
        book.scan_triggers(symbol)
    for ticket in sorted(book.pending_of[symbol]):
        order = book.orders.get(ticket)
        if order is not None and rules.order_reached(order, quote):
            _reach(broker, order, quote)
    _stop_out(broker)


def on_time(broker: Broker, now: datetime) -> None:
    """Expire pending orders whose time has come."""
    for order in list(broker.book.orders.values()):
        if order.expiration is not None and order.expiration <= now:
            broker.remove_order(order, Origin(reason="expired"))


def broker_day(now: datetime) -> int:
    """Number of the broker's day, which begins at midnight of its own clock."""
    return (now + timedelta(seconds=SERVER_UTC_OFFSET)).toordinal()


def roll_over(broker: Broker) -> None:
    """Book one night's swap on every position."""
    for position in list(broker.book.positions.values()):
        item = broker.market.instrument(position.symbol)
        night = item.swap_long if position.side is Side.BUY else item.swap_short
        if night:
            broker.change_position(
                replace(position, swap=position.swap + cents(night * position.volume)), Origin(reason="swap")
            )


def _reach(broker: Broker, order: PendingOrder, quote: Quote) -> None:
    price = quote.ask if order.kind.side is Side.BUY else quote.bid
    if order.kind.is_stop_limit and order.stop_limit_price is not None:
        kind = OrderKind.BUY_LIMIT if order.kind.side is Side.BUY else OrderKind.SELL_LIMIT
        limit = replace(order, kind=kind, price=order.stop_limit_price, stop_limit_price=None)
        broker.change_order("order_modified", limit, Origin(reason="triggered"))
        if not rules.order_reached(limit, quote):
            return
        order = limit
    broker.fill(order, price)


def _stop_out(broker: Broker) -> None:
    """Close the position with the largest loss until the margin level is above the broker's limit."""
    while broker.book.positions:
        margin = broker.money.used_margin()
        if margin <= 0 or broker.money.equity() * 100 / margin > STOP_OUT_LEVEL:
            return
        candidates = [
            broker.money.valued(position)
            for position in broker.book.positions.values()
            if broker.market.instrument(position.symbol).session_open
        ]
        if not candidates:
            return
        worst = min(candidates, key=lambda position: (position.profit + position.swap, position.ticket))
        quote = broker.market.quote(worst.symbol)
        price = quote.bid if worst.side is Side.BUY else quote.ask
        stored = broker.book.positions[worst.ticket]
        broker.close_at(stored, stored.volume, price, Origin(reason="so"))
