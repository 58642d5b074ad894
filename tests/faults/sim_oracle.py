"""What must hold, checked from outside the engine: at every send, acknowledgement, report and effect, and when all is quiet.

It never asks the engine whether it did right: it compares what left the ports with the disk, the terminal's ledger and the brain.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from app.domain import events as ev
from app.domain.command_record import CommandRecord
from app.domain.command_states import CommandState
from app.domain.commands import CommandClass, Origin, TradeCommand
from app.domain.results import Outcome
from app.domain.trading_state import TradingState
from app.domain.values import CommandId, Symbol
from app.engine.broker import DispatchTerms
from app.engine.latch import Latch
from app.engine.ports import BrainMessage, CommandAck, ResultReport, StateReport
from tests.faults.sim_journal import Disk
from tests.faults.sim_loop import World
from tests.faults.sim_terminal import Effect

if TYPE_CHECKING:
    from tests.faults.sim_machine import Machine

DONE = frozenset({CommandState.EXECUTED, CommandState.PARTIAL})
NOTHING = frozenset(
    {
        CommandState.TURNED_AWAY,
        CommandState.REFUSED,
        CommandState.EXPIRED,
        CommandState.WITHDRAWN,
        CommandState.STOPPED,
        CommandState.REJECTED,
    }
)
READ_BACK = 4
"""Every so many-th program also reads its journal back row by row, hash chain and all."""


class Oracle:
    """Watches one machine over all lives of its engine."""

    def __init__(self, world: World, disk: Disk) -> None:
        self.world = world
        self.disk = disk
        self.frames: Counter[str] = Counter()
        self.effects: Counter[tuple[str, str, int]] = Counter()
        self.touched: set[str] = set()
        """Ids with an effect at the broker."""
        self.latch: Latch | None = None
        self.latched_on_disk = False
        self.brain_clock = world.wall
        self.machine_clock = world.wall
        self._doubt: dict[CommandId, Symbol | None] = {}
        self._early: set[str] = set()

    # -------------------------------------------------------------- lives

    def life_begins(self, latch: Latch) -> None:
        """What the disk leaves open is in doubt from the first moment on."""
        self.latch = latch
        self._doubt = {
            record.command_id: record.command.symbol
            for record in self.disk.open.values()
            if record.state in (CommandState.DISPATCHED, CommandState.UNKNOWN) and record.command is not None
        }
        if self.latched_on_disk and latch.state is not TradingState.HALTED:
            self.world.violated(
                "stop forgotten", "the engine was stopped, durably, and starts in another state"
            )

    def appended(self, events: tuple[ev.Event, ...]) -> None:
        """What the engine believes, before it is durable."""
        for event in events:
            if isinstance(event, ev.OutcomeUnknown):
                record = self.disk.records.get(event.command_id)
                command = record.command if record is not None else None
                self._doubt[event.command_id] = command.symbol if command is not None else None
            elif isinstance(event, ev.CommandEvent) and hasattr(event, "result"):
                self._doubt.pop(event.command_id, None)

    # -------------------------------------------------------------- at every send

    def sent(self, command: TradeCommand, terms: DispatchTerms, epoch: int) -> None:
        """A frame is handed over to the terminal, now."""
        world, cid = self.world, command.command_id
        self.frames[cid] += 1
        world.trace(f"send {cid}")
        if self.frames[cid] > 1:
            world.violated("twice", f"{cid} was handed to the terminal {self.frames[cid]} times")
        record = self.disk.records.get(cid)
        if record is None or record.state is not CommandState.DISPATCHED:
            state = record.state.name if record is not None else "nothing"
            world.violated("journal before send", f"{cid} was sent; the disk has {state}")
        latch = self.latch
        by_hand = command.origin is not Origin.BRAIN
        if latch is not None:
            if latch.state is TradingState.HALTED and not (
                by_hand and command.command_class is CommandClass.EXIT
            ):
                world.violated("latch", f"{cid} was sent after a stop")
            if latch.state is TradingState.REDUCING and command.command_class is CommandClass.ENTRY:
                world.violated("latch", f"the entry {cid} was sent while trading is paused")
            if record is not None and record.epoch != latch.status.epoch:
                world.violated(
                    "epoch", f"{cid} of epoch {record.epoch} was sent in epoch {latch.status.epoch}"
                )
        clock: datetime = self.machine_clock() if by_hand else self.brain_clock()
        if clock > command.expires_at:
            late = (clock - command.expires_at).total_seconds()
            world.violated("expiry", f"{cid} was sent {late:.6f} s past its expiry")
        if command.command_class is CommandClass.ENTRY:
            for other, symbol in self._doubt.items():
                if other != cid and symbol == command.symbol:
                    world.violated("doubt", f"the entry {cid} was sent while {other} on {symbol} is in doubt")

    # -------------------------------------------------------------- at every word to the brain

    def told(self, message: BrainMessage) -> None:
        world = self.world
        if isinstance(message, CommandAck):
            record = self.disk.records.get(message.command_id)
            if message.status in ("ACCEPTED", "DUPLICATE") and (
                record is None or record.state is CommandState.TURNED_AWAY
            ):
                world.violated("ack", f"{message.command_id}: {message.status} without a durable row")
            if message.status == "REJECTED" and message.code != "ID_CONFLICT" and record is None:
                world.violated("ack", f"{message.command_id}: {message.code} without a durable row")
        elif isinstance(message, ResultReport):
            record = self.disk.records.get(message.result.command_id)
            if record is None or message.result not in record.results:
                world.violated(
                    "report", f"{message.result.command_id}: a result was told that is not on disk"
                )

        elif isinstance(message, StateReport):
            for brief in (*message.unresolved, *message.recent):
                record = self.disk.records.get(brief.command_id)
                if brief.result is not None and (record is None or brief.result not in record.results):
                    world.violated("report", f"{brief.command_id}: STATE tells a result that is not on disk")

    # -------------------------------------------------------------- at every effect

    def effect(self, effect: Effect, command: TradeCommand) -> None:
        key = (effect.command_id, effect.kind, effect.target)
        self.effects[key] += 1
        self.touched.add(effect.command_id)
        if self.effects[key] > 1:
            self.world.violated("duplicate", f"{effect.command_id} was executed {self.effects[key]} times")
        record = self.disk.records.get(CommandId(effect.command_id))
        if record is not None and record.state in NOTHING:
            self.world.violated(
                "truth", f"{effect.command_id} was executed; the journal said {record.state.name} before"
            )

    # -------------------------------------------------------------- when all is quiet

    def quiet(self, machine: Machine) -> None:
        """Journal, ledger, brain and picture agree."""
        world, disk = self.world, self.disk
        replayed: dict[CommandId, CommandRecord] = {}
        if world.seed % READ_BACK == 0:
            broken = disk.broken_link()
            if broken is not None:
                world.violated("chain", f"row {broken} does not follow")
            replayed = disk.replayed()
        for cid, record in disk.records.items():
            if cid in replayed and replayed[cid].state is not record.state:
                world.violated("one state", f"{cid} is {record.state.name} and {replayed[cid].state.name}")
            if not record.final:
                world.violated("outcome", f"{cid} is still {record.state.name}")
            elif record.state in DONE and cid not in self.touched and not _nothing_to_close(record.command):
                world.violated("truth", f"{cid} is {record.state.name}; the broker did nothing")
            elif record.state in NOTHING and cid in self.touched:
                world.violated("truth", f"{cid} is {record.state.name}; the broker did it")
        for done in self.touched:
            if CommandId(done) not in disk.records:
                world.violated("truth", f"{done} was executed; the journal does not know it")
        self._brain_knows(machine)
        self._picture_agrees(machine)

    def _brain_knows(self, machine: Machine) -> None:
        world, disk = self.world, self.disk
        for cid, signal in machine.brain.signals.items():
            record = disk.records.get(cid)
            if record is None:
                if signal.accepted:
                    world.violated("ack", f"{cid} was accepted and is not in the journal")
                continue
            told = [result.outcome for result in signal.results]
            expected = [result.outcome for result in record.results]
            if told != expected and not (signal.results and set(told) == set(expected)):
                world.violated("told", f"{cid}: the brain knows {told}, the journal {expected}")
            if signal.accepted and not record.results:
                world.violated("outcome", f"{cid} was accepted and has no result")
            if Outcome.UNKNOWN in expected and len(expected) != 2:
                world.violated("outcome", f"{cid} stays unknown")

    def _picture_agrees(self, machine: Machine) -> None:
        world, terminal = self.world, machine.terminal
        life = machine.life
        if life is None:
            return
        book = life.core.book
        if set(book.positions) != set(terminal.positions):
            odd = set(book.positions) ^ set(terminal.positions)
            world.violated("picture", f"positions {sorted(odd)} are known to one side only")
        for ticket, position in terminal.positions.items():
            if ticket in book.positions and book.positions[ticket].volume != position.volume:
                world.violated("picture", f"position {ticket} has another volume")
        if set(book.orders) != set(terminal.orders):
            odd = set(book.orders) ^ set(terminal.orders)
            world.violated("picture", f"orders {sorted(odd)} are known to one side only")
        left = life.core.gate.in_flight
        if left:
            world.violated("picture", f"still counted as under way: {left}")


def _nothing_to_close(command: TradeCommand | None) -> bool:
    """A CLOSE_ALL may find nothing: then it is done without an effect."""
    return command is not None and command.action_name == "CLOSE_ALL"
