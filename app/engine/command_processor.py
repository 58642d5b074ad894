"""The validating priority command processor: from the queue to the terminal and back (docs/design.md, A command's life).

    begin      the gate says yes → DISPATCHED is appended to the journal
    committed  DISPATCHED is on disk → last look at expiry, latch and limits → the frame is handed over, without awaiting anything
    answered   the result is appended → on disk → the brain hears of it

Each step is a plain function hung on the step before, so there is no place where something could slip in between. Nothing is ever
sent twice: a command leaves the queue once, and only `committed` sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.commands import NO_MAGIC, CommandClass, Origin, TradeCommand
from app.domain.errors import JournalFailed, TerminalUnavailable
from app.domain.events import (
    CommandDispatched,
    CommandEvent,
    CommandExpired,
    CommandRefused,
    CommandStopped,
    OutcomeUnknown,
)
from app.domain.execution import Execution, ExecutionState
from app.domain.results import CommandResult, Outcome
from app.domain.safety_view import Refusal
from app.domain.values import CommandId, Magic, Price, Side
from app.engine.book import Book
from app.engine.broker import Broker
from app.engine.command_queue import CommandQueue
from app.engine.desk import CommandDesk, CommandInHand
from app.engine.latch import Latch
from app.engine.outbox import Outbox
from app.engine.outcomes import event_of, plain_result, tag_of, terms_for
from app.engine.ports import Clock
from app.engine.safety import Links, SafetyGate
from app.engine.tasks import TaskKeeper

_DONE = (ExecutionState.DONE, ExecutionState.PARTIAL)


@dataclass(frozen=True, slots=True)
class ProcessorOptions:
    """`max_in_flight` 1 keeps priorities exact: MT5 executes one trade at a time anyway."""

    capacity: int = 1000
    max_in_flight: int = 1
    max_attempts: int = 3
    magic: Magic = NO_MAGIC
    """Of what is opened by commands that name none."""


class CommandProcessor:
    """Owns the queue and everything under way."""

    def __init__(
        self,
        *,
        desk: CommandDesk,
        broker: Broker,
        book: Book,
        gate: SafetyGate,
        links: Links,
        outbox: Outbox,
        clock: Clock,
        latch: Latch,
        keeper: TaskKeeper,
        options: ProcessorOptions,
        on_unknown: Callable[[CommandInHand], None],
        on_finished: Callable[[CommandInHand, CommandResult], None],
    ) -> None:
        self._desk = desk
        self._broker = broker
        self._book = book
        self._gate = gate
        self._links = links
        self._outbox = outbox
        self._clock = clock
        self._latch = latch
        self._keeper = keeper
        self._options = options
        self._on_unknown = on_unknown
        self._on_finished = on_finished
        self._queue = CommandQueue(options.capacity)
        self._under_way: dict[CommandId, CommandInHand] = {}
        self._waiting_for_symbol: set[CommandId] = set()
        self.brain_clock_counts = False
        """True: there is a brain to come, and what an earlier run left waiting is judged by its clock."""
        self._taken_up: dict[CommandId, CommandInHand] = {}
        self.before_send: Callable[[], None] = lambda: None
        """Called right before the last look at a command: whoever watches the clocks looks at them."""

    # ------------------------------------------------------------ the queue

    @property
    def depth(self) -> int:
        return len(self._queue) + len(self._taken_up)

    @property
    def capacity(self) -> int:
        return self._options.capacity

    @property
    def full(self) -> bool:
        return self._queue.full

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self.depth and not self._under_way

    def accept(self, item: CommandInHand) -> None:
        """A command that is journalled as queued."""
        self._queue.push(item)
        self.pump()

    def take_up(self, item: CommandInHand) -> None:
        """A command that an earlier run left waiting: it begins when the terminal is there, if there is time.

        How much time is left only the wall clock could say, and that may have been set while nobody watched: the brain's own
        commands wait until the brain's clock is known again, as it judged them when they arrived (PROTOCOL §3).
        """
        if self.brain_clock_counts and item.command.origin is Origin.BRAIN:
            self._taken_up[item.command_id] = item
        else:
            self._queue.push(item)

    def judge_taken_up(self, brain_ahead: float | None) -> None:
        """The brain is back. `brain_ahead`: seconds that its clock is ahead of ours; None: it does not say, and ours counts."""
        items, self._taken_up = tuple(self._taken_up.values()), {}
        at, now = self._clock.now(), self._clock.monotonic()
        for item in items:
            left = (item.command.expires_at - at).total_seconds() - (brain_ahead or 0.0)
            if brain_ahead is None and item.record.received_at > at:
                left = 0.0  # our clock was set back since: nobody knows how much later it is
            item.deadline = now + left
            self._queue.push(item)
        if items:
            self.sweep()
            self.pump()

    def withdraw(self, command_id: CommandId) -> CommandInHand | None:
        """Take back a command that waits; None if it does not."""
        return self._taken_up.pop(command_id, None) or self._queue.remove(command_id)

    def pump(self) -> None:
        """Begin whatever may begin now."""
        if not self._links.terminal_up:
            if self._links.terminal_gone:
                self._refuse_waiting_entries()
            return
        while len(self._under_way) < self._options.max_in_flight:
            item = self._queue.pop_no_entry() if self._links.unsettled else self._queue.pop()
            if item is None:
                return
            self._begin(item)

    def sweep(self) -> None:
        """Finish what has expired in the queue, so that the brain hears of it in time."""
        now = self._clock.monotonic()
        for item in (*self._taken_up.values(), *self._queue):
            if now >= item.deadline:
                self.withdraw(item.command_id)
                self._expire(item, "expired while it waited")

    def lose_time(self, seconds: float) -> None:
        """Real time went by that the monotonic clock did not count: every deadline is that much nearer."""
        for item in (*self._taken_up.values(), *self._queue, *self._under_way.values()):
            item.deadline -= seconds

    def drain(self) -> int:
        """An emergency stop: nothing that waits will ever run. Returns how many there were."""
        items = (*self._taken_up.values(), *self._queue.drain())
        self._taken_up.clear()
        now = self._clock.monotonic()
        for item in items:
            result = plain_result(
                item,
                Outcome.STOPPED,
                now=now,
                code="STOPPED",
                message="drained by an emergency stop; never sent",
            )
            self.finish(item, CommandStopped(self._clock.now(), item.command_id, result))
        return len(items)

    def _refuse_waiting_entries(self) -> None:
        """An entry that waits for a lost terminal would open at a price nobody asked for; exits may wait until they expire.

        Not for the moment that a reconnection takes: within the grace entries stay in the queue, with the expiry they have.
        """
        now = self._clock.monotonic()
        for item in self._queue:
            if item.command.command_class is not CommandClass.ENTRY:
                continue
            self._queue.remove(item.command_id)
            if now >= item.deadline:
                self._expire(item, "expired while it waited")
            else:
                self._refuse(
                    item, Refusal("TERMINAL_LOST", "there is no connection to the MetaTrader terminal")
                )

    # ------------------------------------------------------------ begin

    def _begin(self, item: CommandInHand) -> None:
        now = self._clock.monotonic()
        if now >= item.deadline:
            self._expire(item, "expired while it waited")
            return
        item.symbol = self._book.symbol_of(item.command)
        if (
            item.symbol is not None
            and item.symbol not in self._book.specs
            and item.command_id not in self._waiting_for_symbol
        ):
            self._fetch_symbol(item)
            return
        refusal = self._gate.check(item.command)
        if refusal is not None:
            self._refuse(item, refusal)
            return
        item.begun = now
        item.closing_side = self._book.closing_side(item.command)
        item.intended = self._intended_price(item)
        self._under_way[item.command_id] = item
        self._gate.departs(item.command)
        durable = self._desk.note(
            item,
            CommandDispatched(
                self._clock.now(),
                item.command_id,
                tag_of(item.command_id),
                self._broker.session_id,
                item.intended,
            ),
        )
        durable.add_done_callback(lambda done: self._committed(item, done))

    def _fetch_symbol(self, item: CommandInHand) -> None:
        """The first command on a symbol: its contract and a quote are asked for, then the command takes its turn again."""
        self._waiting_for_symbol.add(item.command_id)
        self._under_way[item.command_id] = item
        self._keeper.spawn(f"symbol {item.symbol}", self._learn_symbol(item))

    async def _learn_symbol(self, item: CommandInHand) -> None:
        symbol = item.symbol
        try:
            if symbol is not None:
                spec = await self._broker.symbol(symbol)
                if spec is not None:
                    self._book.specs[symbol] = spec
                    await self._broker.subscribe([symbol], 0)
                    for quote in await self._broker.quotes([symbol]):
                        self._book.take_quote(quote)
        except TerminalUnavailable:
            pass  # the gate will say so: the second time through it decides with what is known
        finally:
            self._under_way.pop(item.command_id, None)
        if item.record.final:
            return
        self._begin(item)
        self._waiting_for_symbol.discard(item.command_id)
        self.pump()

    # ------------------------------------------------------------ committed

    def _committed(self, item: CommandInHand, done: asyncio.Future[tuple[int, ...]]) -> None:
        if done.cancelled() or isinstance(done.exception(), JournalFailed):
            # Not on disk: must not be sent. The journal has stopped trading; the record stays as it is.
            self._landed(item)
            return
        # From here to the send nothing is awaited: what is true now is true when the frame leaves.
        self.before_send()
        now = self._clock.monotonic()
        if now >= item.deadline:
            self._landed(item)
            self._expire(item, "expired before it could be sent")
            return
        with self._latch.hold():
            refusal = self._unsettled(item) or self._gate.check(item.command) or self._send(item, now)
        if refusal is not None:
            self._landed(item)
            self._refuse(item, refusal)

    def _unsettled(self, item: CommandInHand) -> Refusal | None:
        if self._links.unsettled and item.command.command_class is CommandClass.ENTRY:
            return Refusal(
                "TERMINAL_LOST",
                "the machine slept or its clock jumped: the terminal has to be reconciled first; certainly not sent",
            )
        return None

    def _send(self, item: CommandInHand, now: float) -> Refusal | None:
        """Hand the frame over. A refusal means that it certainly did not leave."""
        spec = self._book.specs.get(item.symbol) if item.symbol is not None else None
        terms = terms_for(
            item,
            spec,
            self._gate.limits,
            seconds_left=item.deadline - now,
            max_attempts=self._options.max_attempts,
            magic=self._options.magic,
            counted_from=now,
        )
        try:
            answer = self._broker.send(item.command, terms)
        except TerminalUnavailable as fault:
            return Refusal("TERMINAL_LOST", f"certainly not sent: {fault}")
        answer.add_done_callback(lambda got: self._answered(item, got.result()))
        return None

    # ------------------------------------------------------------ answered

    def _answered(self, item: CommandInHand, execution: Execution) -> None:
        item.answered = self._clock.monotonic()
        self._under_way.pop(item.command_id, None)
        self._gate.belongs(item.command, execution)
        if execution.state is ExecutionState.UNKNOWN:
            # It keeps counting as exposure, and entries on its symbol wait, until it is settled.
            self._gate.in_doubt(item.command_id, item.symbol)
        else:
            self._count_failure(item.command, execution)
            if execution.state in _DONE and not self._book.shows(item.command_id, execution):
                self._gate.awaits_event(item.command, execution)
            else:
                self._gate.lands(item.command)
        self.finish(item, event_of(item, execution, at=self._clock.now(), now=item.answered))
        self.pump()

    def _count_failure(self, command: TradeCommand, execution: Execution) -> None:
        """Only what the broker itself answered to an entry says something about repeated failure."""
        if command.command_class is CommandClass.ENTRY and execution.state is not ExecutionState.REFUSED:
            self._gate.executed(execution.state is not ExecutionState.REJECTED)

    def finish(self, item: CommandInHand, event: CommandEvent) -> None:
        """Journal an outcome; once it is on disk, tell the brain and whoever watches."""
        durable = self._desk.note(item, event)
        result: CommandResult = item.record.results[-1]
        unknown = isinstance(event, OutcomeUnknown)

        def tell(done: asyncio.Future[tuple[int, ...]]) -> None:
            if not done.cancelled() and done.exception() is None:
                outbox_id = done.result()[-1]
                if item.command.origin is Origin.BRAIN:
                    self._outbox.post(outbox_id, event.at, result)
                else:
                    self._outbox.nobody_waits(outbox_id)
            self._on_finished(item, result)
            if unknown:
                self._on_unknown(item)

        durable.add_done_callback(tell)

    def _landed(self, item: CommandInHand) -> None:
        self._under_way.pop(item.command_id, None)
        self._gate.lands(item.command)
        asyncio.get_running_loop().call_soon(self.pump)

    def _expire(self, item: CommandInHand, message: str) -> None:
        if not self._links.terminal_up:
            message += "; there was no connection to the terminal"
        result = plain_result(
            item,
            Outcome.EXPIRED,
            now=self._clock.monotonic(),
            code="EXPIRED",
            message=f"{message}; never sent",
        )
        self.finish(item, CommandExpired(self._clock.now(), item.command_id, result))

    def _refuse(self, item: CommandInHand, refusal: Refusal) -> None:
        now, at = self._clock.monotonic(), self._clock.now()
        if refusal.code == "HALTED":
            result = plain_result(item, Outcome.STOPPED, now=now, code="STOPPED", message=refusal.message)
            self.finish(item, CommandStopped(at, item.command_id, result))
            return
        result = plain_result(item, Outcome.REJECTED, now=now, code=refusal.code, message=refusal.message)
        self.finish(item, CommandRefused(at, item.command_id, result))

    def _intended_price(self, item: CommandInHand) -> Price | None:
        """The brain's price if it gave one, else the quote that it would trade at now."""
        price = getattr(item.command.action, "price", None)
        if isinstance(price, Price):
            return price
        if item.symbol is None:
            return None
        quote = self._book.quotes.get(item.symbol)
        if quote is None:
            return None
        side = getattr(item.command.action, "side", None)
        if item.closing_side is not None:
            side = item.closing_side.opposite
        if not isinstance(side, Side):
            return None
        return quote.ask if side is Side.BUY else quote.bid
