"""Which position and order belongs to which strategy, and what each strategy made today.

Known from our own answers and trade events, after a restart from the journal and the terminal's history. It is kept only for
the limits per strategy; nothing is ever sent because of it. On a netting account, where a position has many parents, it belongs
to the strategy that opened it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from app.domain.limits import SafetyLimits
from app.domain.market import Deal, TradeEvent
from app.domain.values import Ticket
from app.engine.book import Book

_MOST_TICKETS = 20_000
_TAG = re.compile(r"m[a-z2-7]{7}(?![a-z2-7])")

OwnersOf = Callable[
    [Collection[str], Collection[Ticket]], Awaitable[tuple[Mapping[str, str], Mapping[Ticket, str]]]
]
"""What the journal knows: (tags, tickets) -> (strategy by tag, strategy by ticket)."""
History = Callable[[datetime, datetime], Awaitable[tuple[Deal, ...]]]


class StrategyBook:
    """Fed by the engine's loop. Costs nothing while no strategy has limits."""

    def __init__(self, book: Book, limits: Callable[[], SafetyLimits]) -> None:
        self._book = book
        self._limits = limits
        self._owners: OrderedDict[Ticket, str] = OrderedDict()
        self._day: date | None = None
        self._closed: dict[str, Decimal] = {}
        """Results of the deals of `_day`, by strategy."""
        self._counted: set[Ticket] = set()
        """Deals of `_day` that are in `_closed`."""

    @property
    def owners(self) -> Mapping[Ticket, str]:
        return self._owners

    @property
    def wanted(self) -> bool:
        return bool(self._limits().strategies)

    def own(self, strategy: str | None, *tickets: Ticket | None) -> None:
        """These came of a command of this strategy."""
        if strategy is None:
            return
        for ticket in tickets:
            if ticket is not None:
                self._owners.setdefault(ticket, strategy)
        while len(self._owners) > _MOST_TICKETS:
            self._owners.popitem(last=False)

    def seen(self, event: TradeEvent, strategy: str | None) -> None:
        """`strategy`: that of the command behind the event, if it is one of ours and an entry."""
        if event.order_ticket is not None and event.order_ticket in self._owners:
            # A pending order that was triggered: its position is the same strategy's.
            strategy = self._owners[event.order_ticket]
        self.own(strategy, event.position_ticket, event.order_ticket)
        if event.deal is not None:
            self._count(event.deal)

    def profit(self, strategy: str, now: datetime) -> Decimal | None:
        """Closed on the broker's day plus what its open positions show now, account currency; None: not known yet."""
        today = self._book.broker_time(now).date()
        if self._day is None or today < self._day:
            return None
        closed = self._closed.get(strategy, Decimal(0)) if today == self._day else Decimal(0)
        return closed + sum(
            (
                position.profit + position.swap
                for position in self._book.live_positions()
                if self._owners.get(position.ticket) == strategy
            ),
            Decimal(0),
        )

    async def recall(self, now: datetime, owners_of: OwnersOf, history: History) -> None:
        """After a (re)connection: whose is what is open, and what was closed today. Raises TerminalUnavailable."""
        if not self.wanted:
            self._day = None
            return
        today = self._book.broker_time(now).date()
        midnight = datetime.combine(today, time(), UTC) - timedelta(seconds=self._book.server_utc_offset)
        deals = [
            deal for deal in await history(midnight, now + timedelta(minutes=1)) if deal.time >= midnight
        ]
        tags: dict[Ticket, str] = {}
        for ticket, comment in (
            *((position.ticket, position.comment) for position in self._book.positions.values()),
            *((order.ticket, order.comment) for order in self._book.orders.values()),
            *((deal.position, deal.comment) for deal in deals if deal.entry == "in"),
        ):
            tag = _TAG.match(comment)
            if tag is not None:
                tags.setdefault(ticket, tag.group())
        tickets = {*self._book.positions, *self._book.orders, *(deal.position for deal in deals)}
        unknown = {ticket for ticket in tickets if ticket not in self._owners}
        if unknown:
            by_tag, by_ticket = await owners_of({tags[t] for t in unknown if t in tags}, unknown)
            for ticket in unknown:
                self.own(by_ticket.get(ticket) or by_tag.get(tags.get(ticket, "")), ticket)
        self._begin(today)
        for deal in deals:
            self._count(deal)

    def _begin(self, day: date) -> None:
        self._day, self._closed, self._counted = day, {}, set()

    def _count(self, deal: Deal) -> None:
        day = self._book.broker_time(deal.time).date()
        if self._day is None or day < self._day or deal.ticket in self._counted:
            return
        if day > self._day:
            self._begin(day)
        self._counted.add(deal.ticket)
        owner = self._owners.get(deal.position)
        if owner is not None:
            made = deal.profit + deal.swap + deal.commission
            self._closed[owner] = self._closed.get(owner, Decimal(0)) + made
