"""The commands in hand: each with its record, its deadline on our monotonic clock, and its way into the journal.

note() is the only door through which a command changes: the record's state machine first, then the journal. Whoever needs the
event on disk before going on hangs on the future that it returns.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from app.domain.command_record import CommandRecord
from app.domain.commands import TradeCommand
from app.domain.events import CommandEvent, CommandReceived
from app.domain.results import CommandResult
from app.domain.values import CommandId, Price, Side, Symbol
from app.engine.ports import Journal

_LATEST_KEPT = 1000
_FINISHED_KEPT = 2000
"""Finished commands kept in memory for repeated questions and for the window; older ones are read from the journal."""


@dataclass(slots=True, eq=False)
class CommandInHand:
    """A command this engine has seen since it started. Times are monotonic seconds."""

    record: CommandRecord
    command: TradeCommand
    arrived: float
    deadline: float
    """When `expiry` runs out, from the brain's clock carried over to ours at arrival."""
    durable: asyncio.Future[tuple[int, ...]] | None = None
    """The journal's last answer for this command."""
    begun: float | None = None
    answered: float | None = None
    closing_side: Side | None = None
    """Side of the position that an exit closes: what slippage is measured against."""
    symbol: Symbol | None = None
    """Symbol it acts on, also where it only names a ticket."""
    intended: Price | None = None
    version: int = 0
    """Raised by every change: what was drawn of it can be kept until then."""

    @property
    def command_id(self) -> CommandId:
        return self.record.command_id

    @property
    def on_disk(self) -> bool:
        """Whether everything that the record says is durable. A failed journal never makes it so."""
        durable = self.durable
        if durable is None:
            return True
        return durable.done() and not durable.cancelled() and durable.exception() is None


class CommandDesk:
    """All commands in hand, and those that finished lately."""

    def __init__(self, journal: Journal, on_change: Callable[[CommandInHand], None]) -> None:
        self._journal = journal
        self._on_change = on_change
        self._open: dict[CommandId, CommandInHand] = {}
        self._finished: OrderedDict[CommandId, CommandInHand] = OrderedDict()
        self._latest: deque[CommandInHand] = deque(maxlen=_LATEST_KEPT)

    def take(self, item: CommandInHand, *events: CommandEvent) -> asyncio.Future[tuple[int, ...]]:
        """A new command: journal its CommandReceived and what follows at once, in one transaction."""
        self._open[item.command_id] = item
        self._latest.appendleft(item)
        return self._note(item, events)

    def adopt(self, item: CommandInHand) -> None:
        """A command of an earlier run, already in the journal."""
        self._open[item.command_id] = item
        self._latest.appendleft(item)

    def note(self, item: CommandInHand, *events: CommandEvent) -> asyncio.Future[tuple[int, ...]]:
        """Move the record, then journal. Raises IllegalTransition with nothing changed."""
        return self._note(item, events)

    def _note(self, item: CommandInHand, events: Iterable[CommandEvent]) -> asyncio.Future[tuple[int, ...]]:
        events = tuple(events)
        for event in events:
            if not isinstance(event, CommandReceived):
                item.record.apply(event)
        item.version += 1
        item.durable = self._journal.append(*events)
        if item.record.final:
            self._open.pop(item.command_id, None)
            self._finished[item.command_id] = item
            while len(self._finished) > _FINISHED_KEPT:
                self._finished.popitem(last=False)
        self._on_change(item)
        return item.durable

    def get(self, command_id: CommandId) -> CommandInHand | None:
        return self._open.get(command_id) or self._finished.get(command_id)

    def latest(self, limit: int) -> tuple[CommandInHand, ...]:
        """Newest arrival first, at most 1000."""
        return tuple(islice(self._latest, limit))

    async def find(self, command_id: CommandId) -> tuple[CommandRecord | None, CommandInHand | None]:
        """What is known of an id, from memory or from the journal."""
        item = self.get(command_id)
        if item is not None:
            return item.record, item
        if self._journal.may_know(command_id):
            return await self._journal.command(command_id), None
        return None, None


def last_result(record: CommandRecord) -> CommandResult | None:
    return record.results[-1] if record.results else None
