"""The door: what the brain sends is recognised, checked, journalled, acknowledged and queued, in this order (PROTOCOL §4, §6).

A command that is taken in is on disk before the brain hears ACCEPTED. A command that is turned away is on disk too. The same id
with the same content gets the stored answer, whenever it comes; with other content it is a conflict and an alert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from app.domain.command_record import CommandRecord
from app.domain.command_states import CommandState
from app.domain.commands import CommandClass, TradeCommand
from app.domain.errors import JournalFailed
from app.domain.events import CommandQueued, CommandReceived, CommandTurnedAway, CommandWithdrawn
from app.domain.results import Outcome
from app.domain.safety_view import Refusal
from app.domain.values import CommandId
from app.engine.command_processor import CommandProcessor
from app.engine.desk import CommandDesk, CommandInHand
from app.engine.latch import Latch
from app.engine.outbox import Outbox
from app.engine.outcomes import plain_result
from app.engine.ports import Arrival, Clock, CommandAck, Journal, UnreadableCommand
from app.engine.safety import Links, SafetyGate

_MOST_AHEAD = timedelta(seconds=1)
_MOST_SKEW = 2.0
_WHOLE_SECOND = timedelta(seconds=1)
"""A timestamp without a fraction may be of any moment in its second."""
_MOST_BACKLOG = 2000
"""Appends not on disk yet at which the reader pauses: back-pressure reaches the brain through TCP."""

Answer = Callable[[CommandAck], None]
Alarm = Callable[[str, str, str], None]


class Inbox:
    """Takes commands in. Every refusal names its code and its rule."""

    def __init__(
        self,
        *,
        desk: CommandDesk,
        journal: Journal,
        processor: CommandProcessor,
        gate: SafetyGate,
        links: Links,
        latch: Latch,
        outbox: Outbox,
        clock: Clock,
        answer: Answer,
        alarm: Alarm,
        account: Callable[[], str | None],
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._processor = processor
        self._gate = gate
        self._links = links
        self._latch = latch
        self._outbox = outbox
        self._clock = clock
        self._answer = answer
        self._alarm = alarm
        self._account = account
        self.received = 0
        self.duplicates = 0

    async def command(self, message: TradeCommand | UnreadableCommand, arrival: Arrival) -> None:
        """One TRADE_SIGNAL, verified and read."""
        self.received += 1
        if self._journal.may_know(message.command_id):
            record, item = await self._desk.find(message.command_id)
            if record is not None:
                await self._known(record, item, message)
                return
        if isinstance(message, UnreadableCommand):
            self._turn_away(message, arrival, Refusal(message.code, message.message))
        else:
            refusal = self._refusal(message, arrival)
            if refusal is not None:
                self._turn_away(message, arrival, refusal)
            else:
                self._take_in(message, arrival)
        if (
            self._journal.backlog > _MOST_BACKLOG
            and (last := self._desk.get(message.command_id))
            and last.durable
        ):
            await asyncio.wait([last.durable], timeout=5)

    async def withdraw(self, command_id: CommandId) -> None:
        """CANCEL_COMMAND: only what has not been sent can be taken back."""
        item = self._processor.withdraw(command_id)
        if item is None:
            known, _ = await self._desk.find(command_id)
            message = (
                "it was sent to the broker or is finished" if known else "no such command was ever received"
            )
            self._answer(CommandAck(command_id, "TOO_LATE", "TOO_LATE", message))
            return
        now = self._clock.monotonic()
        result = plain_result(
            item, Outcome.WITHDRAWN, now=now, code="WITHDRAWN", message="withdrawn by the brain"
        )
        self._processor.finish(item, CommandWithdrawn(self._clock.now(), command_id, result))

    # ------------------------------------------------------------ known ids

    async def _known(
        self, record: CommandRecord, item: CommandInHand | None, message: TradeCommand | UnreadableCommand
    ) -> None:
        if record.fingerprint != message.fingerprint:
            text = f"command {message.command_id} came again with other content; the first one stands, this one is refused"
            self._answer(CommandAck(message.command_id, "REJECTED", "ID_CONFLICT", text))
            self._alarm("critical", "ID_CONFLICT", text)
            return
        self.duplicates += 1
        if item is not None and not await _on_disk(item):
            return  # the journal has failed: an answer may only speak of what is on disk, and trading has stopped
        if record.turned_away is not None:
            away = record.turned_away
            self._answer(CommandAck(message.command_id, "REJECTED", away.code, away.message))
            return
        self._answer(CommandAck(message.command_id, "DUPLICATE", None, f"known already, {record.state.name}"))
        if record.state is not CommandState.UNKNOWN and record.results:
            self._outbox.repeat(record.results[-1])
        elif record.results:
            self._outbox.repeat(record.results[0])

    # ------------------------------------------------------------ new ids

    def _refusal(self, command: TradeCommand, arrival: Arrival) -> Refusal | None:
        """Why a command is turned away at the door, or None. Cheap checks, none of them about the market."""
        if not self._links.reconciled_once:
            return Refusal(
                "NOT_READY", "the terminal's state is not reconciled yet; send it again under a new id"
            )
        account = self._account()
        if command.account is not None and command.account != account:
            return Refusal(
                "UNKNOWN_ACCOUNT", f"account: {command.account} is not served here; this is {account}"
            )
        ahead = command.issued_at - arrival.brain_now
        if ahead > _MOST_AHEAD:
            seconds = ahead.total_seconds()
            return Refusal("FROM_THE_FUTURE", f"timestamp: {seconds:.1f} s ahead; at most 1 s is accepted")
        if command.expires_at <= arrival.brain_now:
            late = (arrival.brain_now - command.expires_at).total_seconds()
            return Refusal("EXPIRED", f"expiry: ran out {late:.3f} s before the command arrived")
        if self._links.brain_time_doubtful and command.command_class is CommandClass.ENTRY:
            return Refusal(
                "CLOCK_SKEW",
                "this machine slept or its clock was set: how old an entry is can only be judged in a fresh session",
            )
        if self._is_from_before_a_stop(command, arrival):
            return Refusal(
                "HALTED",
                "timestamp: it was made before a person released the emergency stop, and nothing from before a stop runs after "
                "it; send it again under a new id if it still counts",
            )
        offset = arrival.clock_offset
        if offset is not None and abs(offset) > _MOST_SKEW and command.command_class is CommandClass.ENTRY:
            return Refusal(
                "CLOCK_SKEW",
                f"the brain's clock and this machine's differ by {offset:+.1f} s; entries need less than 2 s",
            )
        state = self._gate.state_refusal(command)
        if state is not None:
            return state
        if self._processor.full:
            return Refusal("QUEUE_FULL", f"{self._processor.depth} commands wait already (queue.capacity)")
        return self._gate.stranger(command) or self._gate.rate(command)

    def _is_from_before_a_stop(self, command: TradeCommand, arrival: Arrival) -> bool:
        """It waited somewhere (in the brain, on the way) while trading was stopped."""
        released = self._latch.released_at
        if released is None:
            return False
        made = command.issued_at - (arrival.brain_now - arrival.at)
        if not command.issued_at.microsecond:
            made += _WHOLE_SECOND
        return made < released

    def _received(self, message: TradeCommand | UnreadableCommand, arrival: Arrival) -> CommandReceived:
        command = message if isinstance(message, TradeCommand) else None
        return CommandReceived(
            at=arrival.at,
            command_id=message.command_id,
            fingerprint=message.fingerprint,
            command=command,
            frame=arrival.text,
            epoch=self._latch.status.epoch,
            ahead=(arrival.brain_now - arrival.at).total_seconds(),
        )

    def _turn_away(
        self, message: TradeCommand | UnreadableCommand, arrival: Arrival, refusal: Refusal
    ) -> None:
        received = self._received(message, arrival)
        away = CommandTurnedAway(self._clock.now(), message.command_id, refusal.code, refusal.message)
        ack = CommandAck(message.command_id, "REJECTED", refusal.code, refusal.message)
        if isinstance(message, TradeCommand):
            durable = self._desk.take(self._in_hand(message, arrival, received), received, away)
        else:
            durable = self._journal.append(received, away)
        durable.add_done_callback(lambda done: self._answer_when_durable(done, ack))

    def _take_in(self, command: TradeCommand, arrival: Arrival) -> None:
        received = self._received(command, arrival)
        item = self._in_hand(command, arrival, received)
        durable = self._desk.take(item, received, CommandQueued(self._clock.now(), command.command_id))
        ack = CommandAck(command.command_id, "ACCEPTED")
        durable.add_done_callback(lambda done: self._answer_when_durable(done, ack, item))
        self._processor.accept(item)

    def _in_hand(self, command: TradeCommand, arrival: Arrival, received: CommandReceived) -> CommandInHand:
        left = (command.expires_at - arrival.brain_now).total_seconds()
        return CommandInHand(
            CommandRecord.received(received), command, arrival.monotonic, arrival.monotonic + left
        )

    def _answer_when_durable(
        self, done: asyncio.Future[tuple[int, ...]], ack: CommandAck, item: CommandInHand | None = None
    ) -> None:
        if done.cancelled() or isinstance(done.exception(), JournalFailed):
            return  # never acknowledged: the brain will ask again, and trading has stopped
        if item is not None and item.record.state is CommandState.DISPATCHED:
            # It was committed with this: the terminal gets its frame first and trades while the brain is told. The result
            # has a commit of its own to wait for, so it stays behind the acknowledgement.
            asyncio.get_running_loop().call_soon(self._answer, ack)
        else:
            self._answer(ack)


async def _on_disk(item: CommandInHand) -> bool:
    """Wait until everything that its record says is on disk; False: it never will be."""
    while (durable := item.durable) is not None:
        if not durable.done():
            await asyncio.wait([durable])
        if durable is item.durable:
            break
    return item.on_disk
