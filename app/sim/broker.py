"""The simulated trade server: takes requests, refuses what MT5 refuses, and makes effects of the rest.

Nothing here knows of sockets, sessions or command ids beyond handing them through. How effects are written is in
broker_books.py, what the market triggers in triggers.py.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from app.domain.market import PendingOrder, Position
from app.domain.values import OrderKind, Price, Side, Ticket, Volume
from app.sim import broker_rules as rules
from app.sim.account import cents
from app.sim.broker_books import BrokerBooks
from app.sim.instruments import Instrument
from app.sim.retcodes import Retcode
from app.sim.trade_requests import (
    CALM,
    Answer,
    Conditions,
    MarketOrder,
    OrderTerms,
    Origin,
    PendingRequest,
    refusal,
)

MAX_ORDERS = 500
"""Pending orders that the broker keeps at most (ACCOUNT_LIMIT_ORDERS)."""
STOP_OUT_LEVEL = Decimal(50)
"""Margin level in percent at which the broker begins to close."""


class Broker(BrokerBooks):
    """The rules of one account."""

    def open(self, order: MarketOrder, origin: Origin, conditions: Conditions = CALM) -> Answer:
        item = self.market.instrument(order.symbol)
        quote = self.market.quote(order.symbol)
        held = self.netted(order.symbol)
        reduces = held is not None and held.side is not order.side and order.volume <= held.volume
        bad = (
            self._autotrading(origin)
            or (rules.check_exit_allowed(item) if reduces else rules.check_entry_allowed(item, order.side))
            or rules.check_volume(item, order.volume)
            or (Retcode.INVALID_FILL if order.filling not in item.filling else None)
            or rules.check_stops(item, order.side, quote, order.stop_loss, order.take_profit)
        )
        if bad is not None:
            return refusal(bad)
        if self._moved_away(item, order.deviation, conditions):
            return refusal(Retcode.REQUOTE)
        volume = self._filled(item, order.volume, conditions)
        if volume <= 0 or (order.filling == "fok" and volume < order.volume):
            return refusal(Retcode.REJECT, "not enough volume in the market")
        price = self._price(item, order.side, conditions)
        if not reduces:
            short = self._entry_hindrance(item, order.side, volume, price, held)
            if short is not None:
                return refusal(short)
        comment = order.comment if conditions.comment is None else conditions.comment
        ticket = self.new_ticket()
        deal_ticket, position = self.execute(
            replace(order, comment=comment), ticket, origin, volume=Volume(volume), price=price, held=held
        )
        code = Retcode.DONE if volume == order.volume else Retcode.DONE_PARTIAL
        return Answer(code, "", ticket, deal_ticket, position, volume, price)

    def close(
        self,
        ticket: Ticket,
        volume: Volume | None,
        origin: Origin,
        conditions: Conditions = CALM,
        *,
        deviation: int | None = None,
    ) -> Answer:
        """Close a position or a part of it by an opposite deal."""
        position = self.book.positions.get(ticket)
        if position is None:
            return refusal(Retcode.POSITION_CLOSED)
        item = self.market.instrument(position.symbol)
        wanted = Decimal(position.volume if volume is None else volume)
        if wanted > position.volume:
            return refusal(Retcode.INVALID_CLOSE_VOLUME)
        frozen = rules.position_frozen(item, position, self.market.quote(position.symbol))
        bad = (
            self._autotrading(origin)
            or rules.check_exit_allowed(item)
            or (Retcode.INVALID_VOLUME if wanted % item.volume_step != 0 else None)
            or (Retcode.FROZEN if frozen else None)
        )
        if bad is not None:
            return refusal(bad)
        if self._moved_away(item, deviation, conditions):
            return refusal(Retcode.REQUOTE)
        filled = self._filled(item, wanted, conditions)
        if filled <= 0 or ("ioc" not in item.filling and "return" not in item.filling and filled < wanted):
            return refusal(Retcode.REJECT, "not enough volume in the market")
        price = self._price(item, position.side.opposite, conditions)
        order = self.new_ticket()
        deal = self.close_at(position, Volume(filled), price, origin, order=order)
        code = Retcode.DONE if filled == wanted else Retcode.DONE_PARTIAL
        return Answer(code, "", order, deal, ticket, filled, price)

    def place(self, request: PendingRequest, origin: Origin, conditions: Conditions = CALM) -> Answer:
        item = self.market.instrument(request.symbol)
        terms = OrderTerms(
            request.price, request.stop_limit, request.stop_loss, request.take_profit, request.expiration
        )
        bad = (
            self._autotrading(origin)
            or rules.check_entry_allowed(item, request.kind.side)
            or rules.check_volume(item, request.volume)
            or self._check_terms(item, request.kind, terms)
            or (Retcode.LIMIT_ORDERS if len(self.book.orders) >= MAX_ORDERS else None)
        )
        if bad is not None:
            return refusal(bad)
        order = PendingOrder(
            ticket=self.new_ticket(),
            symbol=request.symbol,
            kind=request.kind,
            volume=request.volume,
            price=request.price,
            stop_limit_price=request.stop_limit,
            stop_loss=request.stop_loss,
            take_profit=request.take_profit,
            expiration=request.expiration,
            magic=request.magic,
            comment=request.comment if conditions.comment is None else conditions.comment,
            placed_at=self.clock.utc(),
        )
        self.change_order("order_placed", order, origin)
        return Answer(Retcode.DONE, "", order.ticket, None, None, order.volume, order.price)

    def modify_order(self, ticket: Ticket, terms: OrderTerms, origin: Origin) -> Answer:
        order = self.book.orders.get(ticket)
        if order is None:
            return refusal(Retcode.INVALID, "no such order")
        item = self.market.instrument(order.symbol)
        changed = replace(
            order,
            price=terms.price,
            stop_limit_price=terms.stop_limit,
            stop_loss=terms.stop_loss,
            take_profit=terms.take_profit,
            expiration=terms.expiration,
        )
        frozen = rules.order_frozen(item, order, self.market.quote(order.symbol))
        bad = (
            self._autotrading(origin)
            or rules.check_exit_allowed(item)
            or (Retcode.NO_CHANGES if changed == order else None)
            or (Retcode.FROZEN if frozen else None)
            or self._check_terms(item, order.kind, terms)
        )
        if bad is not None:
            return refusal(bad)
        self.change_order("order_modified", changed, origin)
        return Answer(Retcode.DONE, "", ticket, None, None, changed.volume, changed.price)

    def cancel(self, ticket: Ticket, origin: Origin) -> Answer:
        order = self.book.orders.get(ticket)
        if order is None:
            return refusal(Retcode.INVALID, "no such order")
        item = self.market.instrument(order.symbol)
        bad = self._autotrading(origin) or rules.check_exit_allowed(item)
        if bad is None and rules.order_frozen(item, order, self.market.quote(order.symbol)):
            bad = Retcode.FROZEN
        if bad is not None:
            return refusal(bad)
        self.remove_order(order, origin)
        return Answer(Retcode.DONE, "", ticket, None, None, order.volume, order.price)

    def modify_position(
        self, ticket: Ticket, stop_loss: Price | None, take_profit: Price | None, origin: Origin
    ) -> Answer:
        position = self.book.positions.get(ticket)
        if position is None:
            return refusal(Retcode.POSITION_CLOSED)
        item = self.market.instrument(position.symbol)
        quote = self.market.quote(position.symbol)
        same = (position.stop_loss, position.take_profit) == (stop_loss, take_profit)
        bad = (
            self._autotrading(origin)
            or rules.check_exit_allowed(item)
            or (Retcode.NO_CHANGES if same else None)
            or (Retcode.FROZEN if rules.position_frozen(item, position, quote) else None)
            or rules.check_stops(item, position.side, quote, stop_loss, take_profit)
        )
        if bad is not None:
            return refusal(bad)
        self.change_position(replace(position, stop_loss=stop_loss, take_profit=take_profit), origin)
        return Answer(Retcode.DONE, "", None, None, ticket, position.volume, position.open_price)

    def fill(self, order: PendingOrder, price: Price) -> None:
        """Execute a pending order that the market has reached; without money for it, cancel it."""
        item = self.market.instrument(order.symbol)
        held = self.netted(order.symbol)
        side = order.kind.side
        reduces = held is not None and held.side is not side and order.volume <= held.volume
        if not reduces and self._entry_hindrance(item, side, order.volume, price, held) is not None:
            self.remove_order(order, Origin(reason="no_money"))
            return
        market_order = MarketOrder(
            order.symbol, side, order.volume, "return",
            order.stop_loss, order.take_profit, order.magic, order.comment,
        )  # fmt: skip
        self.execute(
            market_order, order.ticket, Origin(),
            volume=order.volume, price=price, held=held, pending=order.ticket,
        )  # fmt: skip

    def _autotrading(self, origin: Origin) -> Retcode | None:
        if self.autotrading_allowed or origin.reason == "client":
            return None
        return Retcode.SERVER_DISABLES_AT

    def _check_terms(self, item: Instrument, kind: OrderKind, terms: OrderTerms) -> Retcode | None:
        reference = terms.stop_limit if terms.stop_limit is not None else terms.price
        return (
            rules.check_pending_price(item, kind, self.market.quote(item.symbol), terms)
            or rules.check_stops(item, kind.side, reference, terms.stop_loss, terms.take_profit)
            or rules.check_expiration(terms.expiration, self.clock.utc())
        )

    def _entry_hindrance(
        self, item: Instrument, side: Side, volume: Decimal, price: Decimal, held: Position | None
    ) -> Retcode | None:
        """Volume limit and money for a trade that adds exposure."""
        symbol = str(item.symbol)
        adds = volume if held is None or held.side is side else volume - held.volume
        have = self.book.exposures[symbol, side].volume
        if item.volume_limit > 0 and have + adds > item.volume_limit:
            return Retcode.LIMIT_VOLUME
        after = self.money.used_margin((symbol, side, adds, price))
        if self.money.equity() - cents(item.commission * volume) < after:
            return Retcode.NO_MONEY
        return None

    def _moved_away(self, item: Instrument, deviation: int | None, conditions: Conditions) -> bool:
        """Instant execution refuses a price that is further off than allowed; market execution never asks."""
        return item.execution == "instant" and deviation is not None and conditions.slippage > deviation

    def _filled(self, item: Instrument, volume: Decimal, conditions: Conditions) -> Decimal:
        if conditions.fraction is None:
            return volume
        steps = (volume * conditions.fraction / item.volume_step).quantize(Decimal(1), rounding=ROUND_DOWN)
        return (steps * item.volume_step).quantize(item.volume_step)

    def _price(self, item: Instrument, side: Side, conditions: Conditions) -> Price:
        quote = self.market.quote(item.symbol)
        worse = side.sign * conditions.slippage * item.point
        return Price((quote.ask if side is Side.BUY else quote.bid) + worse)
