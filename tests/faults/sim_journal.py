"""The Journal port on a simulated disk: a commit takes seeded time; the engine learns of it later than it is durable.

The Disk outlives the engine and holds exactly what was committed; a SimJournal dies with its life and takes with it what was not.
The same refusals and the same hash chain as the real journal. No SQL and no files.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from app.adapters.event_codec import decode_event, encode_event
from app.adapters.journal_chain import GENESIS, chain_hash
from app.domain import events as ev
from app.domain.command_record import CommandRecord
from app.domain.errors import IllegalTransition, JournalFailed
from app.domain.trading_state import TradingStatus
from app.domain.values import CommandId
from app.engine.ports import OutboxItem
from tests.fakes.journal_memory import MemoryJournal
from tests.faults.sim_loop import SimLoop, World

T = TypeVar("T")
Ids = tuple[int, ...]


class Disk:
    """What is durable. Only a commit changes it. The journal in memory keeps the rows; this adds what is asked often."""

    def __init__(self) -> None:
        self.memory = MemoryJournal()
        self.records: dict[CommandId, CommandRecord] = self.memory._records
        self.open: dict[CommandId, CommandRecord] = {}
        self.unacknowledged: dict[int, OutboxItem] = {}
        self.status: TradingStatus | None = None
        self.unique = True
        """False (a control): an id may be received again."""
        self.ghosts: list[tuple[ev.Event, ...]] = []
        """Transactions reported as failed that are found on the disk after all, when it is opened again."""

    def impossible(self, events: tuple[ev.Event, ...]) -> JournalFailed | None:
        """The real journal writes nothing for a command that it does not hold, holds twice, or that is finished."""
        fresh: dict[CommandId, CommandRecord] = {}
        for event in events:
            if isinstance(event, ev.CommandReceived):
                if self.unique and (event.command_id in self.records or event.command_id in fresh):
                    return JournalFailed(f"command {event.command_id} was received twice")
                fresh[event.command_id] = CommandRecord.received(event)
            elif isinstance(event, ev.CommandEvent):
                record = fresh.get(event.command_id)
                if record is None:
                    known = self.records.get(event.command_id)
                    if known is None:
                        return JournalFailed(f"{type(event).__name__} of unknown {event.command_id}")
                    record = fresh[event.command_id] = copy_of(known)
                try:
                    record.apply(event)
                except IllegalTransition as fault:
                    return JournalFailed(str(fault))
        return None

    def commit(self, events: tuple[ev.Event, ...]) -> Ids:
        """Make one transaction durable; the outbox ids it got."""
        return tuple(number for event in events for number in self._take(event))

    def _take(self, event: ev.Event) -> Ids:
        ids = self.memory._take(event)
        match event:
            case ev.CommandReceived():
                self.open[event.command_id] = self.records[event.command_id]
            case ev.ResultsAcknowledged():
                for number in event.outbox_ids:
                    self.unacknowledged.pop(number, None)
            case ev.TradingStateChanged():
                self.status = TradingStatus(event.state, event.epoch, event.reason, event.by, event.at)
            case _ if isinstance(event, ev.CommandEvent):
                if self.records[event.command_id].final:
                    self.open.pop(event.command_id, None)
        for number in ids:
            self.unacknowledged[number] = self.memory._outbox[number]
        return ids

    def broken_link(self) -> int | None:
        """Walk the hash chain; number of the first row that does not follow, None: it holds."""
        previous = GENESIS
        for seq, (event, row) in enumerate(zip(self.memory.events, self.memory._rows, strict=True), 1):
            kind, at, command_id, payload = encode_event(event)
            if row.seq != seq or chain_hash(previous, seq, at, kind, command_id, payload) != row.hash:
                return seq
            previous = row.hash
        return None

    def replayed(self) -> dict[CommandId, CommandRecord]:
        """Every command from its encoded rows alone, read as a later start would read them."""
        records: dict[CommandId, CommandRecord] = {}
        for event in self.memory.events:
            if isinstance(event, ev.CommandEvent):
                read: Any = decode_event(*encode_event(event))
                if isinstance(read, ev.CommandReceived):
                    records[read.command_id] = CommandRecord.received(read)
                else:
                    records[read.command_id].apply(read)
        return records

    def ask(self, question: str, *arguments: Any, **options: Any) -> Any:
        """One of the journal's questions, answered from what is committed. In memory none of them waits for anything."""
        coroutine = getattr(self.memory, question)(*arguments, **options)
        try:
            coroutine.send(None)
        except StopIteration as answered:
            return answered.value
        raise RuntimeError(f"{question} waits for something")


def copy_of(record: CommandRecord) -> CommandRecord:
    copy = CommandRecord(
        record.command_id, record.fingerprint, record.command, record.received_at, record.epoch, record.state,
        record.tag, record.session, record.dispatched_at, record.intended_price, record.turned_away,
    )  # fmt: skip
    copy.results, copy.ahead = list(record.results), record.ahead
    return copy


@dataclass(slots=True)
class DiskSpeed:
    """Seconds that a commit takes, and faults to come. The scheduler of faults changes it."""

    low: float = 0.0003
    high: float = 0.003
    fail_next: bool = False
    fail_ghostly: bool = False
    """The failing commit is found on the disk after all."""


class _Ask:
    __slots__ = ("answer", "future")

    def __init__(self, answer: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.answer = answer
        self.future = future


class _Append:
    __slots__ = ("events", "future")

    def __init__(self, events: tuple[ev.Event, ...], future: asyncio.Future[Ids]) -> None:
        self.events = events
        self.future = future


class SimJournal:
    """The Journal port of one life. Its thread is the world's agenda: one item after the other, appends in groups."""

    def __init__(
        self,
        disk: Disk,
        world: World,
        loop: SimLoop,
        speed: DiskSpeed,
        on_failure: Callable[[JournalFailed], None],
    ) -> None:
        self.disk = disk
        self.world = world
        self.speed = speed
        self._loop = loop
        self._on_failure = on_failure
        for events in disk.ghosts:
            if disk.impossible(events) is None:
                disk.commit(events)
        disk.ghosts.clear()
        self._known = set(disk.records)
        self._queue: deque[_Append | _Ask] = deque()
        self._working = False
        self._closing = False
        self._broken = False
        self._failure: JournalFailed | None = None
        self._backlog = 0
        self._idle = asyncio.Event()
        self.appended: Callable[[tuple[ev.Event, ...]], None] = lambda _events: None
        """Told of every append before it is durable: the oracle watches what the engine believes."""
        self.delivering: Callable[[tuple[ev.Event, ...]], None] = lambda _events: None
        """Told of every append right before the engine learns that it is durable."""

    # -------------------------------------------------------------- the port

    def append(self, *events: ev.Event) -> asyncio.Future[Ids]:
        future: asyncio.Future[Ids] = self._loop.create_future()
        failure = self._failure
        if failure is None and self._closing:
            failure = JournalFailed("the journal is closed")
        if failure is not None:
            future.set_exception(failure)
            return future
        self.appended(events)
        self._known.update(event.command_id for event in events if isinstance(event, ev.CommandReceived))
        self._backlog += 1
        self._put(_Append(events, future))
        return future

    def may_know(self, command_id: CommandId) -> bool:
        return command_id in self._known

    async def unacknowledged(self, after: int, limit: int) -> tuple[OutboxItem, ...]:
        def answer() -> tuple[OutboxItem, ...]:
            return tuple(item for number, item in self.disk.unacknowledged.items() if number > after)[:limit]

        return await self._ask(answer)

    def __getattr__(self, question: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Every other question of the port, in its turn."""

        async def asked(*arguments: Any, **options: Any) -> Any:
            return await self._ask(lambda: self.disk.ask(question, *arguments, **options))

        return asked

    @property
    def backlog(self) -> int:
        return self._backlog

    @property
    def commit_latency(self) -> float | None:
        return self.speed.low

    async def close(self) -> None:
        self._closing = True
        if self._working:
            await self._idle.wait()

    # -------------------------------------------------------------- the thread

    async def _ask(self, answer: Callable[[], T]) -> T:
        if self._closing:
            raise JournalFailed("the journal is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(_Ask(answer, future))
        return await future

    def _put(self, item: _Append | _Ask) -> None:
        self._queue.append(item)
        if not self._working:
            self._working = True
            self._idle.clear()
            self.world.later(self.world.between(1e-6, 60e-6), self._turn)

    def _turn(self) -> None:
        if self._loop.dead:
            return
        if not self._queue:
            self._working = False
            self._tell(self._idle.set)
            return
        world, speed = self.world, self.speed
        if isinstance(self._queue[0], _Ask):
            ask = self._queue.popleft()
            assert isinstance(ask, _Ask)
            value = ask.answer()
            self._tell(lambda: _resolve(ask.future, value))
            world.later(world.between(20e-6, 300e-6), self._turn)
            return
        group: list[_Append] = []
        while self._queue and isinstance(self._queue[0], _Append) and len(group) < 256:
            item = self._queue.popleft()
            assert isinstance(item, _Append)
            group.append(item)
        world.later(world.between(speed.low, speed.high), lambda: self._commit(group))

    def _commit(self, group: list[_Append]) -> None:
        """The moment at which a group is on disk, or certainly is not, or only seems not to be."""
        if self._loop.dead:
            return
        world, disk = self.world, self.disk
        fault: JournalFailed | None = None
        if self._broken:
            fault = JournalFailed("an earlier write failed")
        elif self.speed.fail_next:
            self.speed.fail_next = False
            fault = JournalFailed("disk full")
            if self.speed.fail_ghostly:
                disk.ghosts.extend(append.events for append in group)
        answers: list[tuple[asyncio.Future[Ids], Ids]] = []
        if fault is None:
            for append in group:
                impossible = disk.impossible(append.events)
                if impossible is not None:
                    world.violated("journal", f"the engine asked for the impossible: {impossible}")
                    fault = impossible
                    break
                answers.append((append.future, disk.commit(append.events)))
                for event in append.events:
                    command_id = getattr(event, "command_id", None)
                    world.trace(f"durable {type(event).__name__} {command_id or ''}")
        self._broken = self._broken or fault is not None
        delay = world.between(0, 200e-6)
        if fault is None:
            world.later(delay, lambda: self._tell(lambda: self._deliver(group, answers)))
        else:
            failure = fault
            world.trace("commit failed")
            world.later(delay, lambda: self._tell(lambda: self._deliver_failure(group, failure)))
        world.later(delay, self._turn)

    def _tell(self, callback: Callable[[], None]) -> None:
        if not self._loop.dead and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    # -------------------------------------------------------------- on the loop

    def _deliver(self, group: list[_Append], answers: list[tuple[asyncio.Future[Ids], Ids]]) -> None:
        self._backlog -= len(answers)
        self.delivering(tuple(event for append in group for event in append.events))
        for future, ids in answers:
            _resolve(future, ids)

    def _deliver_failure(self, group: list[_Append], failure: JournalFailed) -> None:
        self._backlog -= len(group)
        if self._failure is None:
            self._failure = failure
            self._on_failure(failure)
        for append in group:
            if not append.future.done():
                append.future.set_exception(failure)


def _resolve(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
