"""The simulated trade server: takes requests, refuses what MT5 refuses, and makes effects of the rest.

Every change is written to the ledger before it counts; nothing here knows of sockets, sessions or command ids
beyond handing them through. What the market triggers is in triggers.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from app.domain.market import Deal, MarginMode, PendingOrder, Position
from app.domain.values import Price, Side, Symbol, Ticket, Volume
from app.sim import broker_rules as rules
from app.sim.account import Money, cents
from app.sim.book import Book
from app.sim.clock import SimClock
from app.sim.effects import Effect, deal_reason, from_line, to_line
from app.sim.instruments import Instrument
from app.sim.ledger import AppendOnlyFile, LedgerDamaged, TerminalState
from app.sim.market import Market
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
FIRST_DEAL_ABOVE = 50_000_000
"""Deals have numbers of their own, far from those of orders, so that whoever mixes them up is found out."""
_AVERAGE_DIGITS = 5
"""Digits beyond the symbol's that a netting position's average price keeps."""


class Broker:
    """Books, money and rules of one account. `listen` hears every effect after it has been applied."""

    def __init__(self, market: Market, clock: SimClock, ledger: AppendOnlyFile, state: TerminalState) -> None:
        """Rebuild the books from the ledger and open it. Raises LedgerDamaged, LedgerFailed."""
        self.market = market
        self.clock = clock
        self.ledger = ledger
        self.book = Book(balance=state.deposit)
        self.money = Money(self.book, market, MarginMode(state.margin_mode), state.leverage)
        self.listen: Callable[[Effect], None] = lambda _effect: None
        self.autotrading_allowed = True
        """The broker's own switch (10026); the terminal's are its permissions."""
        for number, line in enumerate(ledger.read(), 1):
            try:
                effect = from_line(line)
                if effect.symbol is not None and effect.symbol not in market:
                    raise LedgerDamaged(
                        f"{ledger.path}, line {number}: {effect.symbol} is not among the symbols"
                    )
                self.book.apply(effect)
            except (ValueError, KeyError, TypeError) as fault:
                raise LedgerDamaged(f"{ledger.path}, line {number}: {fault}") from None
        ledger.open()
        self._last_ticket = max(state.first_ticket - 1, self.book.highest_ticket)
        self._last_deal = max(state.first_ticket + FIRST_DEAL_ABOVE - 1, self.book.highest_deal)

    @property
    def netting(self) -> bool:
        return self.money.margin_mode is not MarginMode.HEDGING

    # ------------------------------------------------------------------ market orders

    def open(self, order: MarketOrder, origin: Origin, conditions: Conditions = CALM) -> Answer:
        item = self.market.instrument(order.symbol)
        quote = self.market.quote(order.symbol)
        held = self._netted(order.symbol)
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
        volume = self._filled(item, order.volume, conditions)
        if volume <= 0 or (order.filling == "fok" and volume < order.volume):
            return refusal(Retcode.REJECT, "not enough volume in the market")
        price = self._price(item, order.side, conditions)
        if not reduces:
            short = self._entry_hindrance(item, order.side, volume, price, held)
            if short is not None:
                return refusal(short)
        comment = order.comment if conditions.comment is None else conditions.comment
        ticket = self._ticket()
        deal_ticket, position = self._execute(
            replace(order, comment=comment), ticket, origin, volume=Volume(volume), price=price, held=held
        )
        code = Retcode.DONE if volume == order.volume else Retcode.DONE_PARTIAL
        return Answer(code, "", ticket, deal_ticket, position, volume, price)

    def close(
        self, ticket: Ticket, volume: Volume | None, origin: Origin, conditions: Conditions = CALM
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
        filled = self._filled(item, wanted, conditions)
        if filled <= 0 or ("ioc" not in item.filling and "return" not in item.filling and filled < wanted):
            return refusal(Retcode.REJECT, "not enough volume in the market")
        price = self._price(item, position.side.opposite, conditions)
        order = self._ticket()
        deal = self.close_at(position, Volume(filled), price, origin, order=order)
        code = Retcode.DONE if filled == wanted else Retcode.DONE_PARTIAL
        return Answer(code, "", order, deal, ticket, filled, price)

    def close_at(
        self,
        position: Position,
        volume: Volume,
        price: Price,
        origin: Origin,
        *,
        order: Ticket | None = None,
        pending: Ticket | None = None,
    ) -> Ticket:
        """Close `volume` at `price`, whoever caused it; `pending` is an order that is gone with it.

        Returns the deal's ticket. Raises LedgerFailed.
        """
        item = self.market.instrument(position.symbol)
        rest = position.volume - volume
        swap = position.swap if rest == 0 else cents(position.swap * volume / position.volume)
        remaining = None if rest == 0 else replace(position, volume=Volume(rest), swap=position.swap - swap)
        deal = self._deal(
            item, position.side.opposite, volume, price, origin,
            order=order or self._ticket(), position=position.identifier, entry="out",
            profit=self.money.profit(item, position.side, volume, position.open_price, price), swap=swap,
            magic=position.magic, comment=position.comment,
        )  # fmt: skip
        self._commit(
            "deal", origin, position.ticket,
            deal=deal, position_ticket=position.ticket, position=remaining, order_ticket=pending,
        )  # fmt: skip
        return deal.ticket

    # ------------------------------------------------------------------ pending orders and stops

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
            ticket=self._ticket(),
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

    # ------------------------------------------------------------------ effects

    def deposit(self, amount: Decimal) -> None:
        """Pay in (+) or out (-), account currency, cents."""
        self._write(
            Effect(
                self._seq(),
                self.clock.utc(),
                "balance",
                None,
                None,
                None,
                None,
                None,
                None,
                "client",
                amount=amount,
            )
        )

    def change_order(self, kind: str, order: PendingOrder, origin: Origin) -> None:
        """Write an order's new state."""
        self._commit(kind, origin, order.ticket, order_ticket=order.ticket, order=order, about=order)

    def remove_order(self, order: PendingOrder, origin: Origin) -> None:
        self._commit("order_cancelled", origin, order.ticket, order_ticket=order.ticket, about=order)

    def change_position(self, position: Position, origin: Origin) -> None:
        """Write a position's new state: its stops, its swap."""
        self._commit(
            "position_modified", origin, position.ticket,
            position_ticket=position.ticket, position=position, about=position,
        )  # fmt: skip

    def fill(self, order: PendingOrder, price: Price) -> None:
        """Execute a pending order that the market has reached; without money for it, cancel it."""
        item = self.market.instrument(order.symbol)
        held = self._netted(order.symbol)
        side = order.kind.side
        reduces = held is not None and held.side is not side and order.volume <= held.volume
        if not reduces and self._entry_hindrance(item, side, order.volume, price, held) is not None:
            self.remove_order(order, Origin(reason="no_money"))
            return
        market_order = MarketOrder(
            order.symbol, side, order.volume, "return",
            order.stop_loss, order.take_profit, order.magic, order.comment,
        )  # fmt: skip
        self._execute(
            market_order, order.ticket, Origin(),
            volume=order.volume, price=price, held=held, pending=order.ticket,
        )  # fmt: skip

    # ------------------------------------------------------------------ inside

    def _execute(
        self,
        order: MarketOrder,
        ticket: Ticket,
        origin: Origin,
        *,
        volume: Volume,
        price: Price,
        held: Position | None,
        pending: Ticket | None = None,
    ) -> tuple[Ticket, Ticket]:
        """Make the deal of an opening order; returns the tickets of the deal and of the position.

        `held` is the netting position it meets, `pending` the order that is gone with this deal.
        """
        item, side = self.market.instrument(order.symbol), order.side
        fresh = Position(
            ticket=ticket, identifier=ticket, symbol=order.symbol, side=side, volume=volume, open_price=price,
            stop_loss=order.stop_loss, take_profit=order.take_profit, swap=Decimal(0), profit=Decimal(0),
            magic=order.magic, comment=order.comment, opened_at=self.clock.utc(),
        )  # fmt: skip
        entry, profit, swap, after, replaced = "in", Decimal(0), Decimal(0), fresh, None
        identifier, about = ticket, ticket
        if held is not None:
            identifier = about = held.ticket
            if held.side is side:
                total = held.volume + volume
                average = (held.volume * held.open_price + volume * price) / total
                after = replace(
                    held,
                    volume=Volume(total),
                    open_price=Price(average.quantize(item.point.scaleb(-_AVERAGE_DIGITS)).normalize()),
                    stop_loss=order.stop_loss or held.stop_loss,
                    take_profit=order.take_profit or held.take_profit,
                )
            elif volume <= held.volume:
                return self.close_at(held, volume, price, origin, order=ticket, pending=pending), held.ticket
            else:
                entry, swap, replaced, about = "inout", held.swap, held.ticket, ticket
                profit = self.money.profit(item, held.side, held.volume, held.open_price, price)
                after = replace(fresh, identifier=held.identifier, volume=Volume(volume - held.volume))
            identifier = held.identifier
        deal = self._deal(
            item, side, volume, price, origin, order=ticket, position=identifier, entry=entry,
            profit=profit, swap=swap, magic=order.magic, comment=order.comment,
        )  # fmt: skip
        self._commit(
            "deal",
            origin,
            about,
            deal=deal,
            position_ticket=after.ticket,
            position=after,
            replaced=replaced,
            order_ticket=pending,
        )
        return deal.ticket, after.ticket

    def _deal(
        self, item: Instrument, side: Side, volume: Volume, price: Price, origin: Origin, **rest: Any
    ) -> Deal:
        self._last_deal += 1
        return Deal(
            ticket=Ticket(self._last_deal),
            symbol=item.symbol,
            side=side,
            volume=volume,
            price=price,
            commission=-cents(item.commission * volume),
            reason=deal_reason(origin.reason),
            time=self.clock.utc(),
            **rest,
        )

    def _commit(
        self,
        kind: str,
        origin: Origin,
        ticket: Ticket,
        *,
        deal: Deal | None = None,
        about: Position | PendingOrder | None = None,
        **rest: Any,
    ) -> None:
        if deal is not None:
            symbol, side, volume, price = deal.symbol, deal.side, deal.volume, deal.price
        elif isinstance(about, PendingOrder):
            symbol, side, volume, price = about.symbol, about.kind.side, about.volume, about.price
        elif about is not None:
            symbol, side, volume, price = about.symbol, about.side, about.volume, about.open_price
        else:
            raise ValueError("an effect is about a deal, an order or a position")
        self._write(
            Effect(
                self._seq(), self.clock.utc(), kind, origin.cid, ticket, symbol, side, volume, price,
                origin.reason, deal=deal, **rest,
            )
        )  # fmt: skip

    def _write(self, effect: Effect) -> None:
        self.ledger.append(to_line(effect))
        self.book.apply(effect)
        self.listen(effect)

    def _seq(self) -> int:
        return self.book.last_seq + 1

    def _ticket(self) -> Ticket:
        self._last_ticket += 1
        return Ticket(self._last_ticket)

    def _netted(self, symbol: Symbol) -> Position | None:
        """The one position of a netting account on the symbol."""
        tickets = self.book.tickets_of.get(str(symbol)) if self.netting else None
        return self.book.positions[next(iter(tickets))] if tickets else None

    def _autotrading(self, origin: Origin) -> Retcode | None:
        if self.autotrading_allowed or origin.reason == "client":
            return None
        return Retcode.SERVER_DISABLES_AT

    def _check_terms(self, item: Instrument, kind: Any, terms: OrderTerms) -> Retcode | None:
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

    def _filled(self, item: Instrument, volume: Decimal, conditions: Conditions) -> Decimal:
        if conditions.fraction is None:
            return volume
        steps = (volume * conditions.fraction / item.volume_step).quantize(Decimal(1), rounding=ROUND_DOWN)
        return (steps * item.volume_step).quantize(item.volume_step)

    def _price(self, item: Instrument, side: Side, conditions: Conditions) -> Price:
        quote = self.market.quote(item.symbol)
        worse = side.sign * conditions.slippage * item.point
        return Price((quote.ask if side is Side.BUY else quote.bid) + worse)
