"""The Journal port in memory, for tests of the engine: the same answers as the real one, with faults that a test can order.

Nothing is durable. `hold()` keeps commits back until `release()`, `fail_next()` breaks the next one, as a disk would.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path

from app.adapters.event_codec import encode_event
from app.adapters.journal_batch import result_of
from app.adapters.journal_chain import GENESIS, chain_hash
from app.domain import events as ev
from app.domain.command_record import CommandRecord
from app.domain.commands import CommandClass
from app.domain.errors import JournalFailed
from app.domain.trading_state import TradingState, TradingStatus
from app.domain.values import CommandId, Ticket
from app.engine.ports import JournalRow, OutboxItem


class MemoryJournal:
    """`events` is everything that was committed, in order."""

    def __init__(self, on_failure: Callable[[JournalFailed], None] | None = None) -> None:
        self.events: list[ev.Event] = []
        self.closed = False
        self.backups: list[tuple[Path, datetime, int]] = []
        self._on_failure = on_failure
        self._rows: list[JournalRow] = []
        self._records: dict[CommandId, CommandRecord] = {}
        self._finished: list[CommandId] = []
        self._known: set[CommandId] = set()
        self._outbox: dict[int, OutboxItem] = {}
        self._acknowledged: set[int] = set()
        self._limits: dict[str, str] = {}
        self._waiting: list[tuple[tuple[ev.Event, ...], asyncio.Future[tuple[int, ...]]]] = []
        self._free = asyncio.Event()
        self._free.set()
        self._failure: JournalFailed | None = None
        self._fault: str | None = None

    # -------------------------------------------------------------- what a test can order

    def hold(self) -> None:
        """From now on nothing gets on disk."""
        self._free.clear()

    def release(self) -> None:
        """Commit what was held back, in order, and everything from now on at once."""
        self._free.set()
        self._commit_waiting()

    def fail_next(self, fault: str = "disk full") -> None:
        """The next commit fails, and so does every append after it."""
        self._fault = fault

    # -------------------------------------------------------------- the port

    def append(self, *events: ev.Event) -> asyncio.Future[tuple[int, ...]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[int, ...]] = loop.create_future()
        if self.closed:
            future.set_exception(JournalFailed("the journal is closed"))
            return future
        if self._failure is not None:
            future.set_exception(self._failure)
            return future
        self._known.update(event.command_id for event in events if isinstance(event, ev.CommandReceived))
        self._waiting.append((events, future))
        # Like the real one: never resolved before the caller has had its hands free.
        loop.call_soon(self._commit_waiting)
        return future

    def may_know(self, command_id: CommandId) -> bool:
        return command_id in self._known

    async def command(self, command_id: CommandId) -> CommandRecord | None:
        await self._settled()
        record = self._records.get(command_id)
        return None if record is None else self._copy(record)

    async def unfinished(self) -> tuple[CommandRecord, ...]:
        await self._settled()
        return tuple(self._copy(record) for record in self._records.values() if not record.final)

    async def recent(self, limit: int) -> tuple[CommandRecord, ...]:
        await self._settled()
        newest = self._finished[::-1][:limit]
        return tuple(self._copy(self._records[command_id]) for command_id in newest)

    async def unacknowledged(self, after: int, limit: int) -> tuple[OutboxItem, ...]:
        await self._settled()
        open_ids = [number for number in self._outbox if number > after and number not in self._acknowledged]
        return tuple(self._outbox[number] for number in open_ids[:limit])

    async def last_equity(self, account: str) -> ev.EquitySampled | None:
        await self._settled()
        for event in reversed(self.events):
            if isinstance(event, ev.EquitySampled) and event.account == account:
                return event
        return None

    async def equity_since(self, account: str, since: datetime) -> tuple[ev.EquitySampled, ...]:
        await self._settled()
        return tuple(
            event
            for event in self.events
            if isinstance(event, ev.EquitySampled) and event.account == account and event.at >= since
        )

    async def last_status(self) -> TradingStatus | None:
        await self._settled()
        for event in reversed(self.events):
            if isinstance(event, ev.TradingStateChanged):
                return TradingStatus(event.state, event.epoch, event.reason, event.by, event.at)
        return None

    async def last_login(self) -> str | None:
        await self._settled()
        opened = [event.login for event in self.events if isinstance(event, ev.TerminalSessionOpened)]
        return opened[-1] if opened else None

    async def recent_alerts(self, limit: int) -> tuple[ev.Event, ...]:
        await self._settled()
        told = [event for event in self.events if isinstance(event, ev.AlertRaised | ev.AlertAcknowledged)]
        return tuple(told[-limit:])

    async def tripped_limits(self) -> Mapping[str, str]:
        await self._settled()
        return dict(self._limits)

    async def limits_in_force(self) -> Mapping[str, str] | None:
        await self._settled()
        for event in reversed(self.events):
            if isinstance(event, ev.LimitsInForce):
                return {limit.name: limit.value for limit in event.limits}
        return None

    async def taken_over(self) -> frozenset[CommandId]:
        await self._settled()
        return frozenset(
            event.command_id
            for event in self.events
            if isinstance(event, ev.UnknownAcknowledged) and not self._records[event.command_id].final
        )

    async def stop_steps(self) -> tuple[ev.StopStepTaken, ...]:
        await self._settled()
        since = 0
        for number, event in enumerate(self.events):
            if isinstance(event, ev.TradingStateChanged) and event.state is not TradingState.HALTED:
                since = number
        return tuple(event for event in self.events[since:] if isinstance(event, ev.StopStepTaken))

    async def entries(
        self, tags: Collection[str], tickets: Collection[Ticket]
    ) -> tuple[Mapping[str, str | None], Mapping[Ticket, str | None]]:
        await self._settled()
        by_tag: dict[str, str | None] = {}
        by_ticket: dict[Ticket, str | None] = {}
        for record in self._records.values():
            command = record.command
            if command is None or command.command_class is not CommandClass.ENTRY:
                continue
            ticket = record.results[-1].ticket if record.results else None
            if record.tag is not None and (record.tag in tags or ticket in tickets):
                by_tag[record.tag] = command.strategy_id
            if ticket is not None and (record.tag in tags or ticket in tickets):
                by_ticket[ticket] = command.strategy_id
        return by_tag, by_ticket

    async def rows(
        self, *, after: int = 0, limit: int = 500, command_id: CommandId | None = None
    ) -> tuple[JournalRow, ...]:
        await self._settled()
        wanted = [
            row for row in self._rows[after:] if command_id is None or row.command_id == str(command_id)
        ]
        return tuple(wanted[:limit])

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    @property
    def commit_latency(self) -> float | None:
        return 0.0 if self.events else None

    async def backup_into(self, folder: Path, *, at: datetime, keep: int) -> Path:
        self.backups.append((folder, at, keep))
        return folder / "copy"

    async def close(self) -> None:
        self.release()
        self.closed = True

    # -------------------------------------------------------------- inside

    async def _settled(self) -> None:
        """Questions are answered after everything that was appended before, as in the real one."""
        if self.closed:
            raise JournalFailed("the journal is closed")
        await self._free.wait()
        self._commit_waiting()

    @staticmethod
    def _copy(record: CommandRecord) -> CommandRecord:
        copy = CommandRecord(
            record.command_id, record.fingerprint, record.command, record.received_at, record.epoch, record.state,
            record.tag, record.session, record.dispatched_at, record.intended_price, record.turned_away,
        )  # fmt: skip
        copy.results, copy.ahead = list(record.results), record.ahead
        return copy

    def _commit_waiting(self) -> None:
        while self._waiting and self._free.is_set():
            events, future = self._waiting.pop(0)
            failure = self._failure
            if failure is None and self._fault is not None:
                failure = JournalFailed(f"the journal could not be written ({self._fault})")
            if failure is None:
                failure = self._impossible(events)
            if failure is not None:
                first, self._failure = self._failure is None, failure
                if first and self._on_failure is not None:
                    self._on_failure(failure)
                if not future.done():
                    future.set_exception(failure)
                continue
            ids = tuple(number for event in events for number in self._take(event))
            if not future.done():
                future.set_result(ids)

    def _impossible(self, events: tuple[ev.Event, ...]) -> JournalFailed | None:
        """The real one writes nothing for a command that it does not hold, holds twice, or that is finished."""
        fresh: set[CommandId] = set()
        for event in events:
            if isinstance(event, ev.CommandReceived):
                if event.command_id in self._records or event.command_id in fresh:
                    return JournalFailed(f"command {event.command_id} was received twice")
                fresh.add(event.command_id)
            elif isinstance(event, ev.CommandEvent):
                record = self._records.get(event.command_id)
                if (record is None and event.command_id not in fresh) or (
                    record is not None and record.final
                ):
                    return JournalFailed(f"{type(event).__name__} of {event.command_id} cannot follow")
        return None

    def _take(self, event: ev.Event) -> tuple[int, ...]:
        kind, at, command_id, payload = encode_event(event)
        seq = len(self._rows) + 1
        previous = self._rows[-1].hash if self._rows else GENESIS
        digest = chain_hash(previous, seq, at, kind, command_id, payload)
        self._rows.append(JournalRow(seq, event.at, kind, command_id, json.loads(payload), digest))
        self.events.append(event)
        match event:
            case ev.CommandReceived():
                self._records[event.command_id] = CommandRecord.received(event)
            case ev.ResultsAcknowledged():
                self._acknowledged.update(event.outbox_ids)
            case ev.LimitTripped():
                self._limits.pop(event.limit, None)
                self._limits[event.limit] = event.message
            case ev.LimitReenabled():
                self._limits.pop(event.limit, None)
            case _ if isinstance(event, ev.CommandEvent):
                record = self._records[event.command_id]
                record.apply(event)
                if record.final:
                    self._finished.append(event.command_id)
        result = result_of(event)
        if result is None:
            return ()
        number = len(self._outbox) + 1
        self._outbox[number] = OutboxItem(number, event.at, result)
        return (number,)
