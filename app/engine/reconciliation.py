"""Finding out what is: at start, after every reconnection and on a timer, always by the same steps.

A snapshot replaces the live picture, then every command whose outcome is not known is asked of the terminal by its id; the rule
that decides is pure (domain/reconcile.py). Nothing here ever sends a trade.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from app.domain.command_record import CommandRecord
from app.domain.command_states import CommandState
from app.domain.errors import TerminalUnavailable
from app.domain.events import CommandQueued, CommandRejected, CommandStopped, LeftToOperator, OutcomeUnknown
from app.domain.reconcile import AskAgain, NobodyKnows, NotSent, Settled, settle
from app.domain.results import Outcome
from app.domain.trading_state import TradingState
from app.domain.values import CommandId, Magic
from app.engine.book import Book
from app.engine.broker import Broker, FindHints
from app.engine.command_processor import CommandProcessor
from app.engine.desk import CommandDesk, CommandInHand
from app.engine.latch import Latch
from app.engine.outcomes import event_of, plain_result, tag_of
from app.engine.ports import Clock, Journal
from app.engine.safety import SafetyGate

_LOOK_BACK = timedelta(seconds=30)
_ASK_EVERY = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between questions about one unknown outcome; the last one repeats."""


class Reconciliation:
    """Owns the unknown outcomes until they are settled."""

    def __init__(
        self,
        *,
        desk: CommandDesk,
        journal: Journal,
        broker: Broker,
        book: Book,
        gate: SafetyGate,
        processor: CommandProcessor,
        latch: Latch,
        clock: Clock,
        alarm: Callable[[str, str, str], None],
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._broker = broker
        self._book = book
        self._gate = gate
        self._processor = processor
        self._latch = latch
        self._clock = clock
        self._alarm = alarm
        self._unknown: dict[CommandId, CommandInHand] = {}
        self._next_ask: dict[CommandId, float] = {}
        self._asked: dict[CommandId, int] = {}
        self._watched_since: dict[CommandId, float] = {}
        self._taken_over: set[CommandId] = set()

    @property
    def unknown(self) -> tuple[CommandId, ...]:
        """Commands whose outcome is not settled, oldest first."""
        return tuple(self._unknown)

    @property
    def unacknowledged_unknown(self) -> tuple[CommandId, ...]:
        """Those of them that no person has taken over."""
        return tuple(key for key in self._unknown if key not in self._taken_over)

    def watch(self, item: CommandInHand) -> None:
        """An outcome became unknown: ask until it is settled."""
        self._unknown[item.command_id] = item
        self._next_ask[item.command_id] = self._clock.monotonic() + _ASK_EVERY[0]
        self._asked[item.command_id] = 0
        self._watched_since.setdefault(item.command_id, self._clock.monotonic())

    def take_over(self, command_id: CommandId) -> bool:
        """A person answers for it; False if it is not unknown."""
        if command_id not in self._unknown:
            return False
        self._taken_over.add(command_id)
        return True

    # ------------------------------------------------------------ after a crash

    async def recover(self) -> None:
        """Take up what an earlier run left unfinished. Before the terminal is asked, so that nothing is forgotten."""
        for record in await self._journal.unfinished():
            item = self._in_hand(record)
            if item is None:
                continue
            self._desk.adopt(item)
            if record.state in (CommandState.DISPATCHED, CommandState.UNKNOWN):
                self._recover_sent(item)
            else:
                self._recover_waiting(item)
            if item.durable is not None:
                await item.durable  # whoever hangs on it has been told when this goes on
        # What a person has answered for once need not be asked again.
        self._taken_over |= await self._journal.taken_over()

    def _in_hand(self, record: CommandRecord) -> CommandInHand | None:
        command = record.command
        if command is None:
            return None
        # Wall clock only: the monotonic clock of the earlier run is gone. A command that may have expired is not run.
        left = (command.expires_at - self._clock.now()).total_seconds() - record.ahead
        age = (self._clock.now() - record.received_at).total_seconds()
        if age < 0:
            left = min(left, 0.0)  # the wall clock was set back since: nobody knows how long it has waited
        now = self._clock.monotonic()
        item = CommandInHand(record, command, now - max(0.0, age), now + left)
        item.intended = record.intended_price
        return item

    def _recover_sent(self, item: CommandInHand) -> None:
        """It may have been executed: until the terminal says otherwise its outcome is unknown."""
        if item.record.state is CommandState.DISPATCHED:
            result = plain_result(
                item,
                Outcome.UNKNOWN,
                now=self._clock.monotonic(),
                code="OUTCOME_UNKNOWN",
                message="the executor ended while it was under way; the terminal is being asked",
            )
            self._gate.departs(item.command)
            self._processor.finish(item, OutcomeUnknown(self._clock.now(), item.command_id, result))
        else:
            self._gate.departs(item.command)
            self.watch(item)
        self._gate.in_doubt(item.command_id, item.command.symbol)

    def _recover_waiting(self, item: CommandInHand) -> None:
        """It never left: it runs if there is time, unless a stop came since."""
        status = self._latch.status
        if item.record.state is CommandState.RECEIVED:
            self._desk.note(item, CommandQueued(self._clock.now(), item.command_id)).add_done_callback(_seen)
        if status.state is TradingState.HALTED or status.epoch != item.record.epoch:
            result = plain_result(
                item,
                Outcome.STOPPED,
                now=self._clock.monotonic(),
                code="STOPPED",
                message="a stop came before it could be sent; never sent",
            )
            self._processor.finish(item, CommandStopped(self._clock.now(), item.command_id, result))
        else:
            self._processor.take_up(item)

    # ------------------------------------------------------------ with the terminal

    async def run_once(self) -> None:
        """Snapshot, then every unknown outcome. Raises TerminalUnavailable: then nothing is reconciled."""
        self._book.take_snapshot(await self._broker.snapshot())
        self._gate.all_seen()
        for item in tuple(self._unknown.values()):
            item.symbol = item.symbol or self._book.symbol_of(item.command)
            self._gate.in_doubt(item.command_id, item.symbol)
            await self._ask(item)

    async def ask_due(self) -> None:
        """On the timer: those whose next question is due."""
        now = self._clock.monotonic()
        for item in [entry for key, entry in self._unknown.items() if self._next_ask[key] <= now]:
            try:
                await self._ask(item)
            except TerminalUnavailable:
                return

    async def _ask(self, item: CommandInHand) -> None:
        finding = await self._broker.find(item.command_id, self._hints(item))
        if item.command_id not in self._unknown:
            return
        expired = self._clock.monotonic() >= item.deadline
        now = self._clock.now()
        watched = timedelta(seconds=self._clock.monotonic() - self._watched_since[item.command_id])
        decision = settle(
            item.record, finding, session=self._broker.session_id, expired=expired, now=now, watched=watched
        )
        match decision:
            case Settled(execution):
                self._gate.belongs(item.command, execution)
                event = event_of(item, execution, at=now, now=self._clock.monotonic(), reconciled=True)
                self._close(item)
                self._processor.finish(item, event)
            case NotSent(reason):
                result = plain_result(
                    item,
                    Outcome.REJECTED,
                    now=self._clock.monotonic(),
                    code="TERMINAL_LOST",
                    message=f"{reason}; nothing was done",
                    reconciled=True,
                )
                self._close(item)
                self._processor.finish(item, CommandRejected(now, item.command_id, result))
            case NobodyKnows(reason):
                result = plain_result(
                    item,
                    Outcome.OPERATOR,
                    now=self._clock.monotonic(),
                    code="OUTCOME_UNKNOWN",
                    message=reason,
                    reconciled=True,
                )
                self._close(item)
                self._processor.finish(item, LeftToOperator(now, item.command_id, result))
                self._alarm("critical", "OUTCOME_UNKNOWN", f"command {item.command_id}: {reason}")
            case AskAgain():
                asked = self._asked[item.command_id] = self._asked[item.command_id] + 1
                wait = _ASK_EVERY[min(asked, len(_ASK_EVERY) - 1)]
                self._next_ask[item.command_id] = self._clock.monotonic() + wait

    def _hints(self, item: CommandInHand) -> FindHints:
        action = item.command.action
        magic = getattr(action, "magic", None)
        return FindHints(
            since=(item.record.dispatched_at or item.record.received_at) - _LOOK_BACK,
            tag=item.record.tag or tag_of(item.command_id),
            symbol=item.symbol or item.command.symbol,
            magic=magic if isinstance(magic, Magic) and magic else None,
            ticket=item.command.ticket,
        )

    def _close(self, item: CommandInHand) -> None:
        for table in (self._unknown, self._next_ask, self._asked, self._watched_since):
            table.pop(item.command_id, None)
        self._taken_over.discard(item.command_id)
        self._gate.settled(item.command)


def _seen(done: asyncio.Future[tuple[int, ...]]) -> None:
    """Journal failures are reported by the journal itself; this only marks the future as looked at."""
    if not done.cancelled():
        done.exception()
