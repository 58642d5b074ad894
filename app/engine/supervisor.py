"""The engine's life: start in order, keep watch, end in order.

Start: journal's memory → what an earlier run left open → terminal (reconcile) → brain. End: the other way round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from app.domain.commands import Action, CancelOrder, ClosePosition
from app.domain.errors import JournalFailed
from app.domain.events import StopStepTaken, TradingStateChanged
from app.domain.limits import OnBrainLost
from app.domain.results import CommandResult, Outcome
from app.domain.trading_state import Actor, TradingState
from app.domain.watchdog_rules import WatchLimits
from app.engine.brain_side import BrainSide
from app.engine.control import Refused
from app.engine.core import EngineCore
from app.engine.limit_watch import LimitWatch
from app.engine.operator_side import OperatorSide
from app.engine.snapshots import HotkeyView
from app.engine.stop import StopOrder
from app.engine.stop_story import QUEUE
from app.engine.stop_work import StopWork
from app.engine.terminal_side import TerminalSide
from app.engine.watchdogs import Watchdogs

_BEAT = 0.05
_BUNDLES_EVERY = 0.1
_EQUITY_EVERY = 60.0
_SNAPSHOT_EVERY = 60.0
_BACKUP_EVERY = 3600.0
_LIMITS_EVERY = 0.2
_BRAIN_WAITS_FOR_TERMINAL = 3.0
_ALERTS_RECALLED = 400
_ANSWER_FIRST = 0.1


class Engine:
    """One executor. Everything it needs comes through the constructor."""

    def __init__(
        self,
        core: EngineCore,
        *,
        new_word: Callable[[], str],
        new_id: Callable[[], str],
        watch: WatchLimits | None = None,
        uptime: Callable[[], float] | None = None,
    ) -> None:
        """`uptime`: seconds that count the machine's sleep; without it the clock's monotonic ones."""
        self._core = core
        self.brain = BrainSide(core)
        self.terminal = TerminalSide(core)
        self.watchdogs = Watchdogs(
            core,
            self.brain,
            self.terminal,
            limits=watch or WatchLimits(),
            uptime=uptime or core.clock.monotonic,
        )
        self.operator = OperatorSide(core, self.brain, self.terminal, new_word, new_id)
        self.stop_work = StopWork(core, self.terminal.refresh, self._operate_for_stop)
        self._limit_watch = LimitWatch(core.gate, core.book, core.alarm)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._stop_thread_missed = False

    @property
    def core(self) -> EngineCore:
        return self._core

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Recover, then open the links. Returns when everything runs (not when the terminal is there)."""
        core = self._core
        self._loop = asyncio.get_running_loop()
        core.gate.restore_tripped(await core.journal.tripped_limits())
        status = core.latch.status
        if status.state is TradingState.HALTED:
            steps = await core.journal.stop_steps()
            core.stop.story.restore(steps)
            self.stop_work.take_up(steps)
        await core.journal.append(
            TradingStateChanged(core.clock.now(), status.state, status.epoch, status.reason, status.by)
        )
        core.broker.set_epoch(status.epoch)
        await self.operator.limits.recall()
        self.terminal.know_account(await core.journal.last_login())
        core.alerts.restore(await core.journal.recent_alerts(_ALERTS_RECALLED))
        await core.reconciliation.recover()
        core.keeper.spawn("terminal link", core.broker.run(self.terminal))
        core.keeper.spawn("housekeeping", self._housekeeping())
        if core.options.backup_folder is not None:
            core.keeper.spawn("backups", self._backups(core.options.backup_folder))
        if core.link is not None:
            core.keeper.spawn("brain link", self._run_brain())
        early = core.stop.undelivered()
        if early is not None:
            self._after_stop(early)

    async def _run_brain(self) -> None:
        """The brain's link opens once the terminal is reconciled: what comes before could only be turned away."""
        core = self._core
        if core.link is None:
            return
        until = core.clock.monotonic() + _BRAIN_WAITS_FOR_TERMINAL
        while not core.links.reconciled_once and core.clock.monotonic() < until:
            await core.clock.sleep(_BEAT)
        await core.link.run(self.brain)

    async def wait_closed(self) -> None:
        await self._ended.wait()

    def show_hotkey(self, view: Callable[[], HotkeyView]) -> None:
        """Whoever holds the stop key tells how it stands: it is shown, and watched."""
        self.operator.hotkey = view
        self.watchdogs.hotkey = view

    def request_end(self) -> None:
        """From a signal handler or the API."""
        self._ended.set()

    async def end_by_hand(self, reason: str, by: str) -> None:
        """A person ends the engine. Positions stay open at the broker with their stop losses."""
        self._core.log("end_asked", reason=reason, by=by)
        # Later in the loop, so that the answer to the one who asked is on its way first.
        asyncio.get_running_loop().call_later(_ANSWER_FIRST, self.request_end)

    async def close(self) -> None:
        """End in order. What waits in the queue stays journalled as queued and is settled at the next start."""
        core = self._core
        await core.keeper.close()
        core.flush()
        await core.outbox.flush()
        self._loop = None
        try:
            await core.journal.close()
        except JournalFailed as fault:
            core.log("journal_failed", message=str(fault))

    # ------------------------------------------------------------ stop

    def stopped(self, order: StopOrder) -> None:
        """Called in the stop thread after each press. Raises RuntimeError if the loop is gone."""
        if self._loop is None:
            raise RuntimeError("the engine's loop does not run")
        self._loop.call_soon_threadsafe(self._after_stop, order)

    async def _operate_for_stop(self, action: CancelOrder | ClosePosition) -> CommandResult:
        return await self.operator.operate(action, by="emergency stop")

    def _after_stop(self, order: StopOrder) -> None:
        """The loop's part of a stop: the queue, the journal, the brain."""
        core = self._core
        drained = core.processor.drain()
        core.stop.story.prove(QUEUE, f"queue drained: {drained}")
        status = core.latch.status
        core.write(TradingStateChanged(status.since, status.state, status.epoch, status.reason, status.by))
        core.log("stopped", reason=order.reason, by=order.by.value, drained=drained)
        core.alarm("critical", "STOPPED", f"emergency stop: {order.reason}")
        core.tell_trading_state()
        self.stop_work.begin(close_positions=order.close_positions)

    def _journal_stop_steps(self) -> None:
        """The receipt's lines as they come; they outlive this run."""
        core = self._core
        epoch = core.latch.status.epoch
        for step in core.stop.story.unwritten():
            core.note(StopStepTaken(step.at, epoch, step.what, step.how, step.ok))

    # ------------------------------------------------------------ watch

    async def _housekeeping(self) -> None:
        core = self._core
        due = {
            "bundle": 0.0,
            "equity": 0.0,
            "limits": 0.0,
            "snapshot": core.clock.monotonic() + _SNAPSHOT_EVERY,
        }
        while True:
            await core.clock.sleep(_BEAT)
            now = core.clock.monotonic()
            lost = self.watchdogs.beat()
            core.processor.sweep()
            core.market.tick(core.gate.profit())
            if core.ready:
                await core.reconciliation.ask_due()
            self._watch_stop_thread()
            self._journal_stop_steps()
            core.alerts.beat()
            if lost:
                core.keeper.spawn("brain lost", self._brain_lost())
            if now >= due["bundle"]:
                due["bundle"] = now + _BUNDLES_EVERY
                core.flush()
                await self._confirm()
            if now >= due["limits"]:
                due["limits"] = now + _LIMITS_EVERY
                self._limit_watch.look(now)
            if now >= due["equity"] and self._sample_equity():
                due["equity"] = now + _EQUITY_EVERY
            if now >= due["snapshot"] and core.ready:
                due["snapshot"] = now + _SNAPSHOT_EVERY
                await self.terminal.refresh()

    def _watch_stop_thread(self) -> None:
        """Without it a press would only latch this process: say so once, and stop while that still works."""
        if self._core.stop.alive or self._stop_thread_missed:
            return
        self._stop_thread_missed = True
        self._core.stop.engage(reason="the stop thread has ended", by=Actor.SYSTEM)
        self._core.processor.drain()
        self._core.alarm(
            "critical",
            "STOP_THREAD_LOST",
            "the emergency stop's own thread has ended; trading is stopped in this program. Press Algo Trading in the terminal "
            "so that it is off, then restart Medulla",
        )

    async def _backups(self, folder: Path) -> None:
        """A verified copy of the journal every hour. One that fails is said and tried again; trading goes on."""
        core = self._core
        while True:
            await core.clock.sleep(_BACKUP_EVERY)
            try:
                made = await core.journal.backup_into(
                    folder, at=core.clock.now(), keep=core.options.backup_keep
                )
            except JournalFailed as fault:
                core.alarm("warning", "BACKUP_FAILED", f"{fault} The next attempt is in an hour.")
            else:
                core.log("backup", path=str(made))

    async def _confirm(self) -> None:
        try:
            await self._core.outbox.housekeeping()
        except JournalFailed as fault:
            self._core.journal_failed(fault)

    def _sample_equity(self) -> bool:
        """False while nothing is known: the first sample, from which a restart goes on, is due as soon as there is one."""
        core = self._core
        account, day = core.book.account, core.gate.day
        if account is None or day is None or core.gate.cash_open:
            return False
        core.note(day.sample(account, core.clock.now()))
        return True

    async def _brain_lost(self) -> None:
        """What the operator chose for this case; by default nothing: a network blip must not realise losses.

        Only what is ours: what a person or another program opened is steered by them.
        """
        core = self._core
        ours = core.gate.strategies.owners
        choice = core.gate.limits.on_brain_lost
        acts: list[Action] = []
        if choice in (OnBrainLost.CANCEL_ORDERS, OnBrainLost.CLOSE_ALL):
            acts += [CancelOrder(ticket) for ticket in core.book.orders if ticket in ours]
        if choice is OnBrainLost.CLOSE_ALL:
            acts += [ClosePosition(ticket) for ticket in core.book.positions if ticket in ours]
        failed = []
        for act in acts:
            # One that fails keeps none of the others from being tried.
            try:
                result = await self.operator.operate(act, by="brain lost")
            except (Refused, TimeoutError) as fault:
                failed.append(str(fault) or "no answer in time")
                continue
            if result.outcome is not Outcome.EXECUTED:
                failed.append(result.message or result.code or result.outcome.value)
        if failed:
            core.alarm(
                "critical",
                "BRAIN_LOST_UNDONE",
                f"the brain is lost and {len(failed)} of {len(acts)} orders to {choice.value.replace('_', ' ')} failed: "
                f"{'; '.join(failed[:3])}. Look at the account and act by hand",
            )
