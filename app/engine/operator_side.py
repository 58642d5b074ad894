"""What a person at this machine may ask of the engine: stop, pause, reset, resume, settle, trade. Implements EngineControl.

The brain can engage the stop but has no way in here: there is no remote reset.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.domain.command_record import CommandRecord
from app.domain.commands import Action, Origin, TradeCommand
from app.domain.errors import IllegalTransition
from app.domain.events import (
    AlertAcknowledged,
    CommandQueued,
    CommandReceived,
    LimitReenabled,
    TradingStateChanged,
    UnknownAcknowledged,
)
from app.domain.limit_changes import LimitChange
from app.domain.limits import SafetyLimits
from app.domain.results import CommandResult
from app.domain.trading_state import Actor, StateAct, TradingState, TradingStatus
from app.domain.values import CommandId, Priority
from app.engine.brain_side import BrainSide
from app.engine.broker import LinkState
from app.engine.control import Refused
from app.engine.core import EngineCore
from app.engine.desk import CommandInHand
from app.engine.limit_desk import LimitDesk
from app.engine.limit_watch import limit_views
from app.engine.metrics import prometheus_text
from app.engine.ports import Journal, OutgoingAlert
from app.engine.snapshots import EngineSnapshot, HotkeyView, LinkView, StopReceipt, TargetView
from app.engine.terminal_side import TerminalSide
from app.engine.views import CommandViews

_OPERATORS_TIME = timedelta(seconds=30)
_CHALLENGE_LIFE = 120.0
_SHOWN = 200
_TEST_PATIENCE = 8.0
"""Seconds that a test of the alert targets may take: less than who asks over the local API waits for an answer."""


@dataclass(slots=True)
class _Challenge:
    word: str
    until: float


class OperatorSide:
    """Runs on the engine's loop."""

    def __init__(
        self,
        core: EngineCore,
        brain: BrainSide,
        terminal: TerminalSide,
        new_word: Callable[[], str],
        new_id: Callable[[], str],
    ) -> None:
        self._core = core
        self._brain = brain
        self._terminal = terminal
        self._new_word = new_word
        self._new_id = new_id
        self._challenge: _Challenge | None = None
        self._command_views = CommandViews()
        self._waiting: dict[CommandId, asyncio.Future[CommandResult]] = {}
        self.limits = LimitDesk(core)
        self.hotkey: Callable[[], HotkeyView | None] = lambda: None
        """How the stop key stands; set by whoever holds it."""
        core.finished_listeners.append(self._finished)

    @property
    def journal(self) -> Journal:
        return self._core.journal

    def changes(self) -> AsyncIterator[frozenset[str]]:
        return self._core.bus.changes()

    # ------------------------------------------------------------ stop, pause, reset, resume

    async def stop(self, *, reason: str, by: str, close_positions: bool | None = None) -> StopReceipt:
        """Latched when this returns."""
        core = self._core
        status = core.stop.engage(
            reason=f"{by}: {reason}", by=Actor.OPERATOR, close_positions=close_positions
        )
        receipt = core.stop.receipt()
        if receipt is not None:
            return receipt
        return StopReceipt(True, status.epoch, status.reason, status.by.value, status.since, ("latched",), ())

    def stop_receipt(self) -> StopReceipt | None:
        return self._core.stop.receipt()

    async def pause(self, *, reason: str, by: str) -> None:
        await self._change(StateAct.PAUSE, f"{by}: {reason}")

    async def reset_challenge(self) -> Mapping[str, Any]:
        """First step: look at what is open, and get the word to type."""
        core = self._core
        if core.latch.state is not TradingState.HALTED:
            raise Refused("NOT_HALTED", "trading is not stopped, so there is nothing to reset")
        self._challenge = _Challenge(self._new_word(), core.clock.monotonic() + _CHALLENGE_LIFE)
        return {
            "word": self._challenge.word,
            "unknown": [str(key) for key in core.reconciliation.unacknowledged_unknown],
            "expires_in": int(_CHALLENGE_LIFE),
        }

    async def reset(self, *, word: str, by: str, note: str) -> None:
        """Second step: the latch opens to *paused*, in a new epoch; nothing from before ever runs."""
        core = self._core
        if core.latch.state is not TradingState.HALTED:
            raise Refused("NOT_HALTED", "trading is not stopped, so there is nothing to reset")
        challenge = self._challenge
        if challenge is None or core.clock.monotonic() > challenge.until:
            raise Refused(
                "WRONG_WORD", "ask for the reset first: it shows what is open and gives the word to type"
            )
        if word.strip().lower() != challenge.word:
            raise Refused("WRONG_WORD", "that is not the word; the stop stays")
        unknown = core.reconciliation.unacknowledged_unknown
        if unknown:
            raise Refused(
                "UNKNOWN_OUTCOMES",
                f"{len(unknown)} commands have an unknown outcome ({', '.join(unknown[:5])}): wait until they are settled, or "
                "acknowledge each one after looking at the account",
            )
        if not core.processor.idle:
            raise Refused("NOT_READY", "something is still under way at the terminal; try again in a moment")
        if core.stop.stop_file_exists():
            raise Refused("NOT_READY", "the stop file is still there: delete it first")
        self._challenge = None
        await self._change(StateAct.RESET, f"{by}: {note}")
        core.stop.forget_proofs()
        # The session is opened anew in the new epoch, and the terminal's own stop is released before it is reconciled.
        core.broker.set_epoch(core.latch.status.epoch)

    async def resume(self, *, by: str) -> None:
        """The second act: paused → active."""
        core = self._core
        if core.latch.state is TradingState.HALTED:
            raise Refused("HALTED", "trading is stopped: reset it first, then resume")
        if not core.ready:
            raise Refused("NOT_READY", "the terminal is not connected and reconciled yet")
        if core.latch.state is TradingState.REDUCING:
            await self._change(StateAct.RESUME, f"{by}: resumed")

    async def _change(self, act: StateAct, reason: str) -> None:
        """Durable first, then in force; a stop that comes meanwhile wins."""
        core = self._core
        stops = core.latch.stops
        before = core.latch.status
        try:
            planned = core.latch.planned(act, reason=reason, by=Actor.OPERATOR, at=core.clock.now())
        except IllegalTransition as fault:
            raise Refused("HALTED", f"{fault}; reset it first") from None
        if planned is before:
            return
        await core.journal.append(_changed(planned))
        if not core.latch.adopt(planned, unless_stopped_since=stops):
            raise Refused("HALTED", "a stop came meanwhile; it stands")
        try:
            await asyncio.wrap_future(core.stop.save())
        except OSError as fault:
            core.stop.engage(reason=f"the latch store cannot be written: {fault}", by=Actor.SYSTEM)
            raise Refused(
                "HALTED", f"the latch store cannot be written ({fault}); trading is stopped"
            ) from None
        if core.latch.stops != stops:
            core.broker.set_epoch(core.latch.status.epoch)
            raise Refused("HALTED", "a stop came meanwhile; it stands")
        core.log("trading_state", state=planned.state.value, epoch=planned.epoch, reason=planned.reason)
        core.tell_trading_state()

    # ------------------------------------------------------------ what only a person can settle

    async def acknowledge_unknown(self, command_id: CommandId, *, by: str, note: str) -> None:
        core = self._core
        if command_id not in core.reconciliation.unknown:
            raise Refused("NOT_UNKNOWN", f"{command_id} has no unknown outcome")
        await core.journal.append(UnknownAcknowledged(core.clock.now(), command_id, by, note))
        core.reconciliation.take_over(command_id)
        core.bus.mark("commands", "unknown_commands")

    async def reenable_limit(self, limit: str, *, by: str, note: str) -> None:
        core = self._core
        if limit not in core.gate.tripped:
            raise Refused("NOT_LATCHED", f"the limit {limit!r} is not latched")
        await core.journal.append(LimitReenabled(core.clock.now(), limit, by, note))
        core.gate.reenable(limit)
        core.bus.mark("limits")

    @property
    def limits_in_force(self) -> SafetyLimits:
        return self._core.gate.limits

    async def change_limits(
        self, limits: SafetyLimits, *, by: str, reason: str = ""
    ) -> tuple[LimitChange, ...]:
        return await self.limits.change(limits, by=by, reason=reason)

    async def operate(self, action: Action, *, by: str) -> CommandResult:
        """A trade by hand: same gate, same journal, ahead of the brain's."""
        core = self._core
        if core.processor.full:
            raise Refused("QUEUE_FULL", "too many commands wait already")
        at, now = core.clock.now(), core.clock.monotonic()
        command = TradeCommand(
            command_id=CommandId(f"op-{self._new_id()}"),
            action=action,
            issued_at=at,
            expires_at=at + _OPERATORS_TIME,
            fingerprint=hashlib.sha256(repr(action).encode()).hexdigest(),
            priority=Priority.CRITICAL,
            origin=Origin.OPERATOR,
        )
        epoch = core.latch.status.epoch
        received = CommandReceived(
            at, command.command_id, command.fingerprint, command, f"by hand: {by}", epoch
        )
        item = CommandInHand(
            CommandRecord.received(received), command, now, now + _OPERATORS_TIME.total_seconds()
        )
        answer: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting[command.command_id] = answer
        try:
            durable = core.desk.take(item, received, CommandQueued(at, command.command_id))
            # In the queue from the first moment on: while it waited for the disk elsewhere, a stop and its reset would miss it.
            core.processor.accept(item)
            await durable
            return await asyncio.wait_for(answer, _OPERATORS_TIME.total_seconds() + 30)
        finally:
            self._waiting.pop(command.command_id, None)

    def _finished(self, item: CommandInHand, result: CommandResult) -> None:
        waiting = self._waiting.get(item.command_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    # ------------------------------------------------------------ alerts

    async def acknowledge_alert(self, alert_id: str, *, by: str, note: str) -> int:
        """Somebody has seen it: it does not come again. `all`: every open one. How many were open until now."""
        core = self._core
        if alert_id != "all" and not core.alerts.knows(alert_id):
            raise Refused("UNKNOWN_ALERT", f"there is no alert {alert_id}; `medulla alerts` lists them")
        at = core.clock.now()
        seen = core.alerts.acknowledge(alert_id, by)
        if seen:
            await core.journal.append(*(AlertAcknowledged(at, alert.alert_id, by, note) for alert in seen))
            core.bus.mark("alerts")
        return len(seen)

    async def test_alerts(self, *, by: str) -> tuple[TargetView, ...]:
        """Send a message to every target now, whatever the bounds; how each of them took it."""
        sender = self._core.alert_sender
        if sender is None:
            raise Refused(
                "NO_TARGETS",
                "no address is set: `medulla alerts add`, or the variable MEDULLA_ALERTS__URLS, then restart the engine",
            )
        self._core.log("alert_test", by=by)
        name = self._core.options.executor_id
        return await sender.test(
            OutgoingAlert(
                "info", f"Medulla {name}: test", f"Asked for by {by}. If you read this, alerts reach you."
            ),
            _TEST_PATIENCE,
        )

    def retry_brain(self) -> None:
        if self._core.link is not None:
            self._core.link.retry_now()

    # ------------------------------------------------------------ what is

    def metrics(self) -> bytes:
        return prometheus_text(self.snapshot())

    def snapshot(self) -> EngineSnapshot:
        core = self._core
        gate, book = core.gate, core.book
        account = book.account
        return EngineSnapshot(
            at=core.clock.now(),
            executor_id=core.options.executor_id,
            version=core.options.version,
            ready=core.ready,
            status=core.latch.status,
            links=self._links(),
            account=account,
            permissions=book.permissions,
            daily_profit=gate.profit(),
            positions=book.live_positions(),
            orders=tuple(book.orders.values()),
            quotes=tuple(book.quotes.values()),
            commands=self._command_views.of(core.desk.latest(_SHOWN)),
            queue_depth=core.processor.depth,
            unknown_commands=tuple(str(key) for key in core.reconciliation.unknown),
            limits=limit_views(gate, book, core.clock.monotonic()),
            latencies=core.latencies.views(),
            counters=core.tally.counters(received=core.inbox.received, duplicates=core.inbox.duplicates),
            unsigned_allowed=core.options.unsigned_allowed,
            alerts=core.alerts.views,
            alert_targets=core.alert_sender.targets() if core.alert_sender is not None else (),
            hotkey=self.hotkey(),
            brain_clock_offset=self._brain.clock_offset,
            server_utc_offset=book.server_utc_offset if account is not None else None,
        )

    def _links(self) -> tuple[LinkView, ...]:
        return self._brain_link(), self._terminal_link(), self._broker_link(), self._journal_link()

    def _brain_link(self) -> LinkView:
        link = self._core.link
        if link is None:
            return LinkView("brain", LinkState.DOWN, "no brain is configured (medulla pair CODE)", None)
        ping = self._brain.round_trip if link.state in (LinkState.UP, LinkState.DEGRADED) else None
        return LinkView("brain", link.state, self._brain.session_id or link.state.value, _ms(ping))

    def _terminal_link(self) -> LinkView:
        hello, state = self._terminal.hello, self._core.broker.state
        if hello is None:
            return LinkView("terminal", state, "not connected", None)
        return LinkView("terminal", state, hello.terminal, _ms(self._terminal.round_trip))

    def _broker_link(self) -> LinkView:
        book = self._core.book
        if self._terminal.hello is None:
            return LinkView("broker", LinkState.DOWN, "unknown without the terminal", None)
        missing = book.permissions.missing() if book.permissions is not None else ("terminal",)
        if missing:
            return LinkView("broker", LinkState.DEGRADED, f"missing: {', '.join(missing)}", None)
        return LinkView("broker", LinkState.UP, book.account.server if book.account else "", None)

    def _journal_link(self) -> LinkView:
        fault = self._core.journal_fault
        if fault is not None:
            return LinkView("journal", LinkState.DOWN, fault, None)
        return LinkView("journal", LinkState.UP, "durable", _ms(self._core.journal.commit_latency))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def _changed(status: TradingStatus) -> TradingStateChanged:
    return TradingStateChanged(status.since, status.state, status.epoch, status.reason, status.by)
