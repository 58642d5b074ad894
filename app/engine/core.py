"""The engine's parts, put together once: what every side of the engine (brain, terminal, operator) works on.

Holds parts and the few facts that all sides share; decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.alert_rules import AlertRules
from app.domain.command_states import CommandState
from app.domain.commands import CommandClass, TradeCommand
from app.domain.errors import JournalFailed, TerminalUnavailable
from app.domain.events import AlertRaised, Event, LimitTripped
from app.domain.limits import SafetyLimits
from app.domain.market import TradeEvent
from app.domain.results import CommandResult, Outcome
from app.domain.trading_state import Actor, TradingState
from app.domain.values import CommandId
from app.engine.alerts import AlertDesk
from app.engine.book import Book
from app.engine.broker import Broker
from app.engine.command_processor import CommandProcessor, ProcessorOptions
from app.engine.desk import CommandDesk, CommandInHand
from app.engine.event_bus import ChangeBus
from app.engine.inbox import Inbox
from app.engine.market_data import MarketData
from app.engine.metrics import Latencies, Tally
from app.engine.outbox import Outbox
from app.engine.ports import (
    AlertReport,
    AlertSender,
    BrainLink,
    BrainMessage,
    Clock,
    CommandAck,
    Journal,
    TradingStateReport,
)
from app.engine.reconciliation import Reconciliation
from app.engine.safety import Links, SafetyGate
from app.engine.stop import StopThread
from app.engine.tasks import TaskKeeper


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the settings say, handed down as values."""

    executor_id: str
    version: str
    limits: SafetyLimits
    processor: ProcessorOptions = field(default_factory=ProcessorOptions)
    unsigned_allowed: bool = False
    backup_folder: Path | None = None
    """Where the journal's hourly copies go; None: none are made."""
    backup_keep: int = 48


_MOST_NOTES = 100
LogLine = Callable[..., None]
"""log(event, **fields): one structured line for people and machines."""


class EngineCore:
    """Builds and joins the parts."""

    def __init__(
        self,
        *,
        options: EngineOptions,
        journal: Journal,
        broker: Broker,
        link: BrainLink | None,
        clock: Clock,
        stop: StopThread,
        log: LogLine,
        alert_rules: AlertRules | None = None,
        alert_sender: AlertSender | None = None,
    ) -> None:
        self.options = options
        self.journal = journal
        self.broker = broker
        self.link = link
        self.clock = clock
        self.stop = stop
        self.latch = stop.latch
        self.log = log
        self.keeper = TaskKeeper("engine", self._task_failed)
        self.bus = ChangeBus(clock)
        self.book = Book()
        self.links = Links()
        self.latencies = Latencies()
        self.tally = Tally()
        self.alerts = AlertDesk(
            clock,
            alert_rules or AlertRules(),
            alert_sender,
            options.executor_id,
            lambda severity, code, message, ends: self.alarm(severity, code, message, ends=ends),
        )
        self.alert_sender = alert_sender
        self._notes: list[Event] = []
        self.journal_fault: str | None = None
        """Why nothing can be written down any more; None: it can."""
        self.finished_listeners: list[Callable[[CommandInHand, CommandResult], None]] = []
        self.gate = SafetyGate(
            options.limits, self.book, self.links, clock, lambda: self.latch.state, self._tripped
        )
        self.desk = CommandDesk(journal, self._command_changed)
        self.outbox = Outbox(journal, clock)
        if link is not None:
            self.outbox.attach(link)
        self.processor = CommandProcessor(
            desk=self.desk,
            broker=broker,
            book=self.book,
            gate=self.gate,
            links=self.links,
            outbox=self.outbox,
            clock=clock,
            latch=self.latch,
            keeper=self.keeper,
            options=options.processor,
            on_unknown=self._became_unknown,
            on_finished=self._finished,
        )
        self.reconciliation = Reconciliation(
            desk=self.desk,
            journal=journal,
            broker=broker,
            book=self.book,
            gate=self.gate,
            processor=self.processor,
            latch=self.latch,
            clock=clock,
            alarm=self.alarm,
        )
        self.inbox = Inbox(
            desk=self.desk,
            journal=journal,
            processor=self.processor,
            gate=self.gate,
            links=self.links,
            latch=self.latch,
            outbox=self.outbox,
            clock=clock,
            answer=self.answer,
            alarm=self.alarm,
            account=self.account_login,
        )
        self.market = MarketData(broker, self.book, clock, self.tell_brain)

    # ------------------------------------------------------------ shared by all sides

    def account_login(self) -> str | None:
        return self.book.account.login if self.book.account is not None else None

    @property
    def ready(self) -> bool:
        """Reconciled and connected to the terminal."""
        return self.links.terminal_up

    def tell_brain(self, message: BrainMessage) -> bool:
        return self.link is not None and self.link.send(message)

    def answer(self, ack: CommandAck) -> None:
        if ack.status == "ACCEPTED":
            self.tally.count("accepted")
        elif ack.status == "REJECTED":
            self.tally.count("turned_away")
        self.tell_brain(ack)

    def write(self, *events: Event) -> None:
        """Journal now what nobody waits for. A failure is the journal's own alarm."""
        self.flush()
        self.journal.append(*events).add_done_callback(_looked_at)

    def note(self, event: Event) -> None:
        """Journal with the next bundle, within 0.1 s: what happened at the broker anyway must not make a command wait for a disk.

        After a crash the terminal's history still has it.
        """
        self._notes.append(event)
        if len(self._notes) >= _MOST_NOTES:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        if self._notes:
            notes, self._notes = tuple(self._notes), []
            self.journal.append(*notes).add_done_callback(_looked_at)

    def alarm(self, severity: str, code: str, message: str, *, ends: tuple[str, ...] = ()) -> None:
        """Say it everywhere: log, journal, brain, window, and to the targets outside. `ends`: codes whose trouble it ends."""
        alert = self.alerts.add(severity, code, message, ends)
        self.log("alert", severity=severity, code=code, message=message, alert_id=alert.alert_id)
        self.write(AlertRaised(alert.at, severity, code, message, alert.alert_id))
        self.tell_brain(AlertReport(severity, code, message))
        self.bus.mark("alerts")

    def tell_trading_state(self) -> None:
        """The trading state changed: brain and window hear of it."""
        self.tell_brain(TradingStateReport(self.latch.status))
        self.bus.mark("status")

    def journal_failed(self, fault: JournalFailed) -> None:
        """Nothing more can be written down, so nothing more may be sent."""
        self.journal_fault = str(fault)
        if self.latch.state is not TradingState.HALTED:
            self.stop.engage(reason=f"the journal cannot be written: {fault}", by=Actor.SYSTEM)
        self.log("journal_failed", message=str(fault))
        self.bus.mark("links", "status")

    def adopt_limits(self, limits: SafetyLimits) -> None:
        """New limits for everything that reads them, at once. Whoever calls has journalled them."""
        self.stop.close_by_default(limits.stop_closes_positions)
        unknown = not self.gate.strategies.wanted
        self.gate.apply(limits)
        self.bus.mark("limits")
        if unknown and self.gate.strategies.wanted and self.ready:
            self.keeper.spawn("strategies", self._recall_ownership_now())

    async def recall_ownership(self) -> None:
        """Whose is what is open, and what each strategy made today. Raises TerminalUnavailable."""
        await self.gate.strategies.recall(self.clock.now(), self.journal.entries, self.broker.history)

    async def _recall_ownership_now(self) -> None:
        try:
            await self.recall_ownership()
        except TerminalUnavailable:
            return  # the next reconciliation asks again

    def entry_behind(self, event: TradeEvent) -> TradeCommand | None:
        """The entry of ours that made this event; None: none did."""
        item = self.desk.get(CommandId(event.command_id)) if event.command_id else None
        if item is None or item.command.command_class is not CommandClass.ENTRY:
            return None
        return item.command

    # ------------------------------------------------------------ hooks of the parts

    def _tripped(self, limit: str, message: str) -> None:
        self.write(LimitTripped(self.clock.now(), limit, message))
        kind, _, strategy = limit.partition(":")
        whose = f"entries of strategy {strategy}" if strategy else "entries"
        self.alarm(
            "critical", kind.upper(), f"{message}; {whose} are refused until a person re-enables '{limit}'"
        )
        self.bus.mark("limits")

    def _command_changed(self, _item: CommandInHand) -> None:
        self.bus.mark("commands")

    def _became_unknown(self, item: CommandInHand) -> None:
        self.reconciliation.watch(item)
        self.alarm(
            "warning",
            "OUTCOME_UNKNOWN",
            f"command {item.command_id}: the outcome is not known; it is not sent again, the terminal is being asked",
        )

    def _finished(self, item: CommandInHand, result: CommandResult) -> None:
        refused = item.record.state is CommandState.REFUSED
        self.tally.outcome(result, refused=refused)
        if result.outcome is not Outcome.UNKNOWN:
            self.latencies.finished(item, self.clock.monotonic())
        for listener in self.finished_listeners:
            listener(item, result)

    def _task_failed(self, name: str, fault: BaseException) -> None:
        if isinstance(fault, JournalFailed):
            self.journal_failed(fault)
            return
        # A part of the engine is gone and nobody knows what it would have noticed: stop, and say so.
        reason = f"internal error in {name}: {type(fault).__name__}: {fault}"
        self.log("internal_error", level="error", task=name, fault=fault)
        self.stop.engage(reason=reason, by=Actor.SYSTEM)
        self.alarm(
            "critical",
            "INTERNAL",
            f"{reason}; trading is stopped, restart Medulla and send its log to its makers",
        )


def _looked_at(done: asyncio.Future[tuple[int, ...]]) -> None:
    if not done.cancelled():
        done.exception()
