"""Which position and order is ours, of which strategy, and what each strategy made today.

Known from our own answers and trade events, after a restart from the journal and the terminal's history. The limits per strategy
count by it, and a stop cancels and closes by it: what is not certainly ours is nobody's. On a netting account, where a position
has many parents, it belongs to the strategy that opened it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from app.domain.commands import TradeCommand
from app.domain.limits import SafetyLimits
from app.domain.market import Deal, TradeEvent
from app.domain.values import Ticket
from app.engine.book import Book

_MOST_TICKETS = 20_000
_TAG = re.compile(r"m[a-z2-7]{7}(?![a-z2-7])")


def tag_in(comment: str) -> str | None:
    """What could be one of our tags at the head of a broker comment; whether it is, the journal knows."""
    found = _TAG.match(comment)
    return found.group() if found is not None else None


Entries = Callable[
    [Collection[str], Collection[Ticket]],
    Awaitable[tuple[Mapping[str, str | None], Mapping[Ticket, str | None]]],
]
"""What the journal knows: (tags, tickets) -> (by tag, by ticket) the strategy of each that an entry of ours made."""
History = Callable[[datetime, datetime], Awaitable[tuple[Deal, ...]]]


class StrategyBook:
    """Fed by the engine's loop."""

    def __init__(self, book: Book, limits: Callable[[], SafetyLimits]) -> None:
        self._book = book
        self._limits = limits
        self._ours: OrderedDict[Ticket, str | None] = OrderedDict()
        """Tickets that entries of ours made -> the strategy, if the entry named one."""
        self._foreign: set[Ticket] = set()
        """Open tickets that the journal was asked for in vain."""
        self._day: date | None = None
        self._closed: dict[str, Decimal] = {}
        """Results of the deals of `_day`, by strategy."""
        self._counted: set[Ticket] = set()
        """Deals of `_day` that are in `_closed`."""

    @property
    def owners(self) -> Mapping[Ticket, str | None]:
        """Ours, with their strategies."""
        return self._ours

    @property
    def wanted(self) -> bool:
        """Some strategy has limits, so its results are counted."""
        return bool(self._limits().strategies)

    def own(self, strategy: str | None, *tickets: Ticket | None) -> None:
        """An entry of ours made these."""
        for ticket in tickets:
            if ticket is not None:
                self._ours.setdefault(ticket, strategy)
        while len(self._ours) > _MOST_TICKETS:
            self._ours.popitem(last=False)

    def seen(self, event: TradeEvent, entry: TradeCommand | None) -> None:
        """`entry`: the command behind the event, if it is an entry of ours."""
        if entry is not None:
            self.own(entry.strategy_id, event.position_ticket, event.order_ticket)
        elif event.order_ticket is not None and event.order_ticket in self._ours:
            # A pending order that was triggered: its position is ours too.
            self.own(self._ours[event.order_ticket], event.position_ticket)
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
                if self._ours.get(position.ticket) == strategy
            ),
            Decimal(0),
        )

    async def recall(self, now: datetime, entries: Entries, history: History) -> None:
        """After a (re)connection: whose what is open is, and what was closed today. Raises TerminalUnavailable, JournalFailed."""
        if not self.wanted:
            self._day = None
            await self._ask_whose({}, entries)
            return
        today = self._book.broker_time(now).date()
        midnight = datetime.combine(today, time(), UTC) - timedelta(seconds=self._book.server_utc_offset)
        deals = [
            deal for deal in await history(midnight, now + timedelta(minutes=1)) if deal.time >= midnight
        ]
        await self._ask_whose({deal.position: deal.comment for deal in reversed(deals)}, entries)
        self._begin(today)
        for deal in deals:
            self._count(deal)

    async def _ask_whose(self, closed: Mapping[Ticket, str], entries: Entries) -> None:
        """Of what is open, and of positions that deals speak of (ticket -> comment of the first deal)."""
        book = self._book
        comments = dict(closed)
        comments |= {ticket: order.comment for ticket, order in book.orders.items()}
        comments |= {ticket: position.comment for ticket, position in book.positions.items()}
        unknown = {ticket for ticket in comments if ticket not in self._ours and ticket not in self._foreign}
        if not unknown:
            return
        tags = {ticket: tag for ticket in unknown if (tag := tag_in(comments[ticket])) is not None}
        by_tag, by_ticket = await entries(set(tags.values()), unknown)
        for ticket in unknown:
            if ticket in by_ticket:
                self.own(by_ticket[ticket], ticket)
            elif tags.get(ticket, "") in by_tag:
                self.own(by_tag[tags[ticket]], ticket)
        self._foreign = {ticket for ticket in comments if ticket not in self._ours}

    def _begin(self, day: date) -> None:
        self._day, self._closed, self._counted = day, {}, set()

    def _count(self, deal: Deal) -> None:
        day = self._book.broker_time(deal.time).date()
        if self._day is None or day < self._day or deal.ticket in self._counted:
            return
        if day > self._day:
            self._begin(day)
        self._counted.add(deal.ticket)
        owner = self._ours.get(deal.position)
        if owner is not None:
            made = deal.profit + deal.swap + deal.commission
            self._closed[owner] = self._closed.get(owner, Decimal(0)) + made
