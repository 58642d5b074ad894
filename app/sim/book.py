"""What the simulated broker has on its books: balance, positions, orders, history. Changed by effects alone.

Applying the effects of the ledger one after another gives the same books as living through them, which is how
a killed terminal comes back. Rules of trading are in broker.py; prices and money of open trades in account.py.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from app.domain.market import Deal, PendingOrder, Position
from app.domain.values import Side
from app.sim.effects import Effect

FAR_HIGH = Decimal("1e20")
FAR_LOW = Decimal(0)


@dataclass(slots=True)
class Exposure:
    """All positions of one side of one symbol: lots, and the sum of lots times open price."""

    volume: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    swap: Decimal = Decimal(0)


@dataclass(slots=True)
class Triggers:
    """Bounds within which no stop loss and no take profit of a symbol can be hit (bid for BUY, ask for SELL).

    They are only ever too narrow, never too wide, so that most ticks need two comparisons, not a scan.
    """

    buy_low: Decimal = FAR_LOW
    buy_high: Decimal = FAR_HIGH
    sell_low: Decimal = FAR_LOW
    sell_high: Decimal = FAR_HIGH

    def include(self, position: Position) -> None:
        low, high = position.stop_loss, position.take_profit
        if position.side is Side.BUY:
            self.buy_low = max(self.buy_low, low or FAR_LOW)
            self.buy_high = min(self.buy_high, high or FAR_HIGH)
        else:
            self.sell_high = min(self.sell_high, low or FAR_HIGH)
            self.sell_low = max(self.sell_low, high or FAR_LOW)

    def touched(self, bid: Decimal, ask: Decimal) -> bool:
        return bid <= self.buy_low or bid >= self.buy_high or ask >= self.sell_high or ask <= self.sell_low


@dataclass(slots=True)
class Book:
    """The state. Positions are stored without profit and current price; account.py adds them when asked."""

    balance: Decimal
    positions: dict[int, Position] = field(default_factory=dict)
    orders: dict[int, PendingOrder] = field(default_factory=dict)
    deals: list[Deal] = field(default_factory=list)
    owners: dict[int, str] = field(default_factory=dict)
    """Command id by position or order ticket: what the executor's own trades are."""
    exposures: dict[tuple[str, Side], Exposure] = field(default_factory=lambda: defaultdict(Exposure))
    tickets_of: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Position tickets by symbol."""
    pending_of: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    triggers: dict[str, Triggers] = field(default_factory=lambda: defaultdict(Triggers))
    last_seq: int = 0
    highest_ticket: int = 0
    highest_deal: int = 0

    def apply(self, effect: Effect) -> None:
        self.last_seq = effect.seq
        if effect.amount is not None:
            self.balance += effect.amount
        if effect.deal is not None:
            deal = effect.deal
            self.deals.append(deal)
            self.balance += deal.profit + deal.swap + deal.commission
            self.highest_deal = max(self.highest_deal, deal.ticket)
            self.highest_ticket = max(self.highest_ticket, deal.order)
        if effect.replaced is not None:
            self._remove(effect.replaced)
        if effect.position_ticket is not None:
            self._put(effect, effect.position_ticket, effect.position)
        if effect.order_ticket is not None:
            self._put_order(effect, effect.order_ticket, effect.order)

    def scan_triggers(self, symbol: str) -> None:
        """Make the bounds of a symbol exact again."""
        fresh = Triggers()
        for ticket in self.tickets_of[symbol]:
            fresh.include(self.positions[ticket])
        self.triggers[symbol] = fresh

    def _put(self, effect: Effect, ticket: int, position: Position | None) -> None:
        owner = effect.cid
        if owner is None and effect.order_ticket is not None:
            owner = self.owners.get(effect.order_ticket)
        if owner is None and effect.replaced is not None:
            owner = self.owners.get(effect.replaced)
        self._remove(ticket)
        if position is None:
            self.owners.pop(ticket, None)
            return
        if owner is not None:
            self.owners.setdefault(ticket, owner)
        self.highest_ticket = max(self.highest_ticket, ticket)
        symbol = str(position.symbol)
        self.positions[ticket] = position
        self.tickets_of[symbol].add(ticket)
        self.triggers[symbol].include(position)
        exposure = self.exposures[symbol, position.side]
        exposure.volume += position.volume
        exposure.cost += position.volume * position.open_price
        exposure.swap += position.swap

    def _remove(self, ticket: int) -> None:
        position = self.positions.pop(ticket, None)
        if position is None:
            return
        symbol = str(position.symbol)
        self.tickets_of[symbol].discard(ticket)
        exposure = self.exposures[symbol, position.side]
        exposure.volume -= position.volume
        exposure.cost -= position.volume * position.open_price
        exposure.swap -= position.swap

    def _put_order(self, effect: Effect, ticket: int, order: PendingOrder | None) -> None:
        self.highest_ticket = max(self.highest_ticket, ticket)
        previous = self.orders.pop(ticket, None)
        if order is None:
            if previous is not None:
                self.pending_of[str(previous.symbol)].discard(ticket)
            if ticket not in self.positions:  # a filled order lives on as the position of its number
                self.owners.pop(ticket, None)
            return
        if effect.cid is not None:
            self.owners.setdefault(ticket, effect.cid)
        self.orders[ticket] = order
        self.pending_of[str(order.symbol)].add(ticket)
