"""How the simulated broker's books change: every deal, order and stop becomes one line of the ledger before it counts.

No rule of who may trade what stands here (broker.py, broker_rules.py), and nothing decides that something happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.domain.market import Deal, MarginMode, PendingOrder, Position
from app.domain.values import Price, Side, Symbol, Ticket, Volume
from app.sim.account import Money, cents
from app.sim.book import Book
from app.sim.clock import SimClock
from app.sim.effects import Effect, deal_reason, from_line, to_line
from app.sim.instruments import Instrument
from app.sim.ledger import AppendOnlyFile, LedgerDamaged, TerminalState
from app.sim.market import Market
from app.sim.trade_requests import (
    MarketOrder,
    Origin,
)

FIRST_DEAL_ABOVE = 50_000_000
"""Deals have numbers of their own, far from those of orders, so that whoever mixes them up is found out."""
_AVERAGE_DIGITS = 5
"""Digits beyond the symbol's that a netting position's average price keeps."""


class BrokerBooks:
    """Books and money of one account, and the writing of them. `listen` hears every effect after it has been applied."""

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
                if effect.seq != self.book.last_seq + 1:
                    raise LedgerDamaged(f"{ledger.path}, line {number}: seq {effect.seq} is out of order")
                self.book.apply(effect)
            except (ValueError, KeyError, TypeError) as fault:
                raise LedgerDamaged(f"{ledger.path}, line {number}: {fault}") from None
        ledger.open()
        self._last_ticket = max(state.first_ticket - 1, self.book.highest_ticket)
        self._last_deal = max(state.first_ticket + FIRST_DEAL_ABOVE - 1, self.book.highest_deal)

    @property
    def netting(self) -> bool:
        return self.money.margin_mode is not MarginMode.HEDGING

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
            order=order or self.new_ticket(), position=position.identifier, entry="out",
            profit=self.money.profit(item, position.side, volume, position.open_price, price), swap=swap,
            magic=position.magic, comment=position.comment if origin.comment is None else origin.comment,
        )  # fmt: skip
        self._commit(
            "deal", origin, position.ticket,
            deal=deal, position_ticket=position.ticket, position=remaining, order_ticket=pending,
        )  # fmt: skip
        return deal.ticket

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

    def execute(
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

    def netted(self, symbol: Symbol) -> Position | None:
        """The one position of a netting account on the symbol."""
        tickets = self.book.tickets_of.get(str(symbol)) if self.netting else None
        return self.book.positions[next(iter(tickets))] if tickets else None

    def new_ticket(self) -> Ticket:
        self._last_ticket += 1
        return Ticket(self._last_ticket)

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
