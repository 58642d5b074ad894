"""The priority queue of accepted commands: who goes next (PROTOCOL §4.1).

By priority; at equal priority exits before amendments before entries; within that, first come first served. Commands on the same
ticket are never reordered against each other: an urgent one lends its urgency to those of its ticket that came before it.
Bounded; holds nothing that is on its way.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator

from app.domain.commands import CommandClass
from app.domain.values import CommandId, Ticket
from app.engine.desk import CommandInHand

Rank = tuple[int, int, int]


class CommandQueue:
    """A heap of ranks beside a line for each ticket."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._heap: list[tuple[Rank, CommandId]] = []
        self._waiting: dict[CommandId, CommandInHand] = {}
        self._lines: dict[Ticket, deque[CommandId]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[CommandInHand]:
        return iter(tuple(self._waiting.values()))

    def __contains__(self, command_id: CommandId) -> bool:
        return command_id in self._waiting

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self._capacity

    def push(self, item: CommandInHand) -> None:
        """Add a command. The caller has checked `full`; recovery at start may go over the bound."""
        command = item.command
        self._arrivals += 1
        rank = (int(command.priority), command.command_class.value, self._arrivals)
        heapq.heappush(self._heap, (rank, command.command_id))
        self._waiting[command.command_id] = item
        if command.ticket is not None:
            self._lines.setdefault(command.ticket, deque()).append(command.command_id)

    def pop(self) -> CommandInHand | None:
        """The next command to run, or None if nothing waits."""
        while self._heap:
            _, command_id = self._heap[0]
            best = self._waiting.get(command_id)
            if best is None:  # removed since
                heapq.heappop(self._heap)
                continue
            ticket = best.command.ticket
            first = self._lines[ticket][0] if ticket is not None else command_id
            if first == command_id:
                heapq.heappop(self._heap)
            # Else the earlier one of the same ticket goes now, and this one keeps its place at the top.
            return self.remove(first)
        return None

    def pop_no_entry(self) -> CommandInHand | None:
        """The next command that adds no exposure, past all entries; None if only entries wait. Entries have no ticket line."""
        others = [
            entry
            for entry in self._heap
            if (item := self._waiting.get(entry[1])) is not None
            and item.command.command_class is not CommandClass.ENTRY
        ]
        if not others:
            return None
        _, command_id = min(others)
        ticket = self._waiting[command_id].command.ticket
        # What stays behind in the heap is passed over by pop().
        return self.remove(self._lines[ticket][0] if ticket is not None else command_id)

    def remove(self, command_id: CommandId) -> CommandInHand | None:
        """Take a command out of the queue (withdrawn, expired, drained); None if it does not wait here."""
        item = self._waiting.pop(command_id, None)
        if item is not None and item.command.ticket is not None:
            line = self._lines[item.command.ticket]
            line.remove(command_id)
            if not line:
                del self._lines[item.command.ticket]
        return item

    def drain(self) -> tuple[CommandInHand, ...]:
        """Take everything out, in order of arrival."""
        items = tuple(self._waiting.values())
        self._waiting.clear()
        self._lines.clear()
        self._heap.clear()
        return items
