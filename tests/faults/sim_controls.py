"""Negative controls: engines with one safeguard taken out, in tests only. Each must make an invariant of the simulation fail.

A weakness is put on one life of the engine after it was built and before it starts. None of this may be reachable from app/.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from app.domain.commands import TradeCommand
from app.domain.events import CommandDispatched
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.values import CommandId
from app.engine.broker import FindHints
from app.engine.ports import Arrival, CommandAck
from tests.faults.sim_machine import Life, Weakness
from tests.faults.sim_program import run_program


def ids_only_in_memory(life: Life) -> None:
    """What an earlier life finished is not known any more; what it left open still is."""
    journal: Any = life.journal
    journal._known.clear()
    journal._known.update(journal.disk.open)
    journal.disk.unique = False


def resend_on_timeout(life: Life) -> None:
    """An ambiguous answer is taken for a failed attempt, and the command is sent again, once."""
    processor: Any = life.core.processor
    answered, send = processor._answered, processor._send
    again: set[CommandId] = set()

    def weak(item: Any, execution: Execution) -> None:
        if execution.state is ExecutionState.UNKNOWN and item.command_id not in again:
            again.add(item.command_id)
            if send(item, life.clock.monotonic()) is None:
                return
        answered(item, execution)

    processor._answered = weak


def no_journal_before_send(life: Life) -> None:
    """The frame leaves while DISPATCHED is still on its way to the disk."""
    desk: Any = life.core.desk
    note = desk.note

    def weak(item: Any, *events: Any) -> Any:
        durable = note(item, *events)
        if isinstance(events[0], CommandDispatched):
            at_once: asyncio.Future[tuple[int, ...]] = life.loop.create_future()
            at_once.set_result(())
            return at_once
        return durable

    desk.note = weak


def no_fencing(life: Life) -> None:
    """The terminal begins frames of dead sessions and earlier epochs, and frames past their time to live."""
    life.broker._terminal.fencing = False


def no_expiry_check_before_send(life: Life) -> None:
    """Only the look at the beginning counts."""
    processor: Any = life.core.processor
    committed = processor._committed

    def weak(item: Any, done: Any) -> None:
        deadline, item.deadline = item.deadline, item.deadline + 1e6
        committed(item, done)
        item.deadline = deadline

    processor._committed = weak


def no_latch_check_before_send(life: Life) -> None:
    """The last look is left out: what was begun is sent."""
    processor: Any = life.core.processor
    gate: Any = life.core.gate
    committed, check = processor._committed, gate.check

    def weak(item: Any, done: Any) -> None:
        gate.check = lambda _command: None
        committed(item, done)
        gate.check = check

    processor._committed = weak


def no_lock_around_send(life: Life) -> None:
    """The last look is taken, but a stop of another thread may come between it and the send."""
    life.latch.hold = nullcontext  # type: ignore[method-assign]


def ack_before_commit(life: Life) -> None:
    """ACCEPTED leaves as soon as the command is understood."""
    inbox: Any = life.core.inbox
    take_in = inbox._take_in

    def weak(command: TradeCommand, arrival: Arrival) -> None:
        inbox._answer(CommandAck(command.command_id, "ACCEPTED"))
        take_in(command, arrival)

    inbox._take_in = weak


def no_doubt(life: Life) -> None:
    """An unknown outcome keeps nobody from opening more on the same symbol."""
    life.core.gate.in_doubt = lambda *_arguments: None  # type: ignore[method-assign]


def absence_is_failure(life: Life) -> None:
    """What the broker does not show at once is taken for not executed."""
    broker: Any = life.broker
    find = broker.find

    async def weak(command_id: CommandId, hints: FindHints) -> Finding:
        finding: Finding = await find(command_id, hints)
        if finding.ledger == "sent" and not finding.deals and not finding.orders:
            return replace(finding, ledger="never_seen")
        return finding

    broker.find = weak


def results_sent_once(life: Life) -> None:
    """A result that was on its way when the connection broke is not sent again."""
    outbox: Any = life.core.outbox

    async def weak() -> None:
        outbox.disconnected()
        outbox._live = True

    outbox.catch_up = weak


def results_told_before_commit(life: Life) -> None:
    """The brain hears of a result while it is still on its way to the disk."""
    core = life.core
    processor: Any = core.processor
    finish = processor.finish

    def weak(item: Any, event: Any) -> None:
        finish(item, event)
        core.outbox.repeat(event.result)

    processor.finish = weak


@dataclass(frozen=True, slots=True)
class Control:
    """One safeguard, and what its absence must be noticed by."""

    name: str
    weakness: Weakness
    seed: int = 1
    """A seed that notices it with 60 commands, so that the short form need not search."""


CONTROLS = (
    Control("ids only in memory", ids_only_in_memory, 46),
    Control("resend on time-out", resend_on_timeout, 2),
    Control("no journal before send", no_journal_before_send),
    Control("no fencing: sessions, epochs and time to live at the terminal", no_fencing, 11),
    Control("no expiry check before send", no_expiry_check_before_send, 12),
    Control("no latch check before send", no_latch_check_before_send, 8),
    Control("no lock around the last look and the send", no_lock_around_send, 47),
    Control("acknowledgement before commit", ack_before_commit),
    Control("entries on a symbol in doubt", no_doubt, 3),
    Control("absence at the broker taken for failure", absence_is_failure, 4),
    Control("results sent once only", results_sent_once),
    Control("results told before commit", results_told_before_commit),
)


@dataclass(frozen=True, slots=True)
class Caught:
    """Which program noticed a weakened engine, and by which rule."""

    name: str
    caught_by: str
    seed: int
    commands: int
    detail: str


def catch(control: Control, *, programs: int, commands: int, first: int = 1) -> Caught | None:
    """The first of so many programs in which an invariant fails; None: the control was missed."""
    for seed in range(first, first + programs):
        report = run_program(seed, commands, control.weakness)
        if report.violations:
            violation = report.violations[0]
            return Caught(control.name, violation.rule, seed, commands, violation.detail)
    return None
