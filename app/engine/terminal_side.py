"""What the engine does when the terminal speaks: session, reconciliation, quotes, trade events, heartbeats, its own stop."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.errors import TerminalUnavailable
from app.domain.events import TerminalSessionLost, TerminalSessionOpened, TradeObserved
from app.domain.market import Quote, TradeEvent
from app.domain.trading_state import Actor, TradingState
from app.domain.values import CommandId
from app.domain.watchdog_rules import TERMINAL_LOST_AFTER
from app.engine.broker import TerminalHeartbeat, TerminalHello
from app.engine.cash import CashWatch
from app.engine.core import EngineCore
from app.engine.ports import TradeEventReport

_TRY_AGAIN = 0.5
_MOST_SYMBOLS = 50
_NOBODY = ("", "0")
"""What MetaTrader says while nobody is logged in."""


class TerminalSide:
    """Implements BrokerListener."""

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        self._cash = CashWatch(core, self._write_day)
        self._hello: TerminalHello | None = None
        self._behind_at: int | None = None
        self._missing: tuple[str, ...] = ()
        self._day_recalled: str | None = None
        """The account whose day has been asked of the journal."""
        self._login: str | None = None
        self._last_sign: float | None = None
        self.round_trip: float | None = None
        self.on_round_trip: Callable[[float], None] = lambda _seconds: None
        self.lost_at: float | None = None
        """Monotonic moment at which a terminal that was ready counts as lost; None: it is there, or never was."""
        self.lost_why = ""

    @property
    def hello(self) -> TerminalHello | None:
        """What the terminal of the open session said; None: no session."""
        return self._hello

    # ------------------------------------------------------------ session

    def on_terminal_up(self, hello: TerminalHello) -> None:
        core = self._core
        self._hello = hello
        core.log("terminal_connected", terminal=hello.terminal, login=hello.login, mode=hello.mode)
        self._last_sign = core.clock.monotonic()
        self._notice_account(hello.login)
        self._cash.suspect()
        core.write(
            TerminalSessionOpened(core.clock.now(), hello.session_id, hello.boot, hello.login, hello.terminal)
        )
        core.bus.mark("links")
        if core.latch.state is TradingState.HALTED and not hello.stopped:
            core.stop.remind()
        core.keeper.spawn("reconcile", self._reconcile(hello.session_id))

    async def _reconcile(self, session_id: str) -> None:
        """Until it is done nothing is sent. Ends when it is, or when the session does."""
        core = self._core
        while core.broker.session_id == session_id:
            try:
                await self._release_old_stop()
                await core.reconciliation.run_once()
                await core.recall_ownership()
                await self._remember_day()
                await self._cash.settle()
            except TerminalUnavailable as fault:
                core.log("reconcile_failed", message=str(fault))
                await core.clock.sleep(_TRY_AGAIN)
                continue
            core.gate.observe_equity()
            core.gate.check_losses()
            await self._watch_symbols()
            if core.broker.session_id != session_id:
                return  # what was reconciled is a session that is gone; the next one begins anew
            core.links.reconciled_once = True
            core.links.terminal_up = True
            core.links.unsettled = False
            self.lost_at = None
            core.log("ready", account=core.account_login(), unknown=len(core.reconciliation.unknown))
            core.bus.mark("links", "account", "positions", "orders", "ready")
            core.processor.pump()
            return

    async def _release_old_stop(self) -> None:
        """A terminal that was stopped in an epoch before a reset is let go; one that stopped itself in this epoch stops us too.

        Which of the two it is the terminal knows: it does not resume in the epoch it was latched in. Raises TerminalUnavailable.
        """
        hello, core = self._hello, self._core
        if hello is None or not hello.stopped or core.latch.state is TradingState.HALTED:
            return
        if not await core.broker.resume():
            self._terminal_is_stopped(hello)

    def _terminal_is_stopped(self, hello: TerminalHello) -> None:
        reason = hello.stop_reason or "no reason given"
        self._core.stop.engage(reason=f"the terminal is stopped: {reason}", by=Actor.SYSTEM)

    async def _remember_day(self) -> None:
        """The day's start, the peak and the deposits outlive a restart: else a restart would forgive the day's loss."""
        core = self._core
        login = core.account_login()
        if login is not None and (core.gate.day is None or core.gate.day.account != login):
            sample = await core.journal.last_equity(login)
            if sample is not None:
                core.gate.restore_day(sample)
                self._cash.restored(sample)
        self._day_recalled = login

    def _observe_equity(self) -> None:
        """Not before the journal has told how the day began: what the first heartbeat shows would pass for its start."""
        if self._core.gate.cash_open:
            return
        day, login = self._core.gate.day, self._core.account_login()
        if login == self._day_recalled or (day is not None and day.account == login):
            self._core.gate.observe_equity()

    def _write_day(self) -> None:
        """A corrected day goes to the journal now: after a crash it must not be corrected twice."""
        core = self._core
        if core.gate.day is not None and core.book.account is not None:
            core.write(core.gate.day.sample(core.book.account, core.clock.now()))

    async def _watch_symbols(self) -> None:
        """Stream what the trader watches and holds, so that the gate has quotes before the first command."""
        core = self._core
        held = [position.symbol for position in core.book.positions.values()]
        wanted = list(dict.fromkeys([*held, *core.gate.limits.allowed_symbols, *core.book.specs]))
        try:
            await core.broker.subscribe(
                [symbol for symbol in wanted if symbol in core.book.specs][:_MOST_SYMBOLS], 0
            )
        except TerminalUnavailable:
            return

    def on_terminal_down(self, reason: str) -> None:
        core = self._core
        session = self._hello.session_id if self._hello is not None else ""
        was_up = core.links.terminal_up
        self._hello = None
        core.links.terminal_up = False
        core.write(TerminalSessionLost(core.clock.now(), session, reason))
        if was_up:
            # Counted from its last sign: one that fell silent is lost at once, one that reconnects has the rest of the 3 s.
            now = core.clock.monotonic()
            self.lost_at = (now if self._last_sign is None else self._last_sign) + TERMINAL_LOST_AFTER
            self.lost_why = reason
        core.bus.mark("links", "ready")
        core.processor.pump()

    def on_terminal_refused(self, code: str, message: str, epoch: int | None) -> None:
        core = self._core
        if code == "EPOCH_TOO_LOW" and epoch is not None and epoch > core.latch.status.epoch:
            core.latch.raise_epoch(epoch)
            core.broker.set_epoch(epoch)
            core.stop.engage(
                reason=f"the terminal knows epoch {epoch}, later than ours: this machine's latch store is older or another "
                "executor has traded here",
                by=Actor.SYSTEM,
            )
            return
        core.alarm("critical", code, f"the terminal refuses a session: {message}")

    # ------------------------------------------------------------ facts

    def on_quote(self, quote: Quote) -> None:
        self._core.book.take_quote(quote)
        self._core.market.quote(quote)
        self._core.bus.mark("quotes")

    def on_trade_event(self, event: TradeEvent) -> None:
        core = self._core
        if event.seq <= core.book.trade_seq:
            return  # the snapshot had it
        margin = core.book.account.margin if core.book.account is not None else None
        core.book.take_event(event)
        core.gate.seen(event, core.entry_behind(event), margin_before=margin)
        if event.amount is not None and core.gate.day is not None:
            core.gate.day = core.gate.day.deposited(event.amount)
        if self._cash.heard(event):
            self._observe_equity()
            core.gate.check_losses()
        core.note(_observed(event))
        if event.command_id is None:
            core.tell_brain(TradeEventReport(event))
        core.bus.mark("positions", "orders", "account")

    def on_trade_gap(self) -> None:
        self._core.log("trade_gap")
        self._core.keeper.spawn("snapshot", self.refresh())

    async def refresh(self) -> bool:
        """A fresh snapshot: the truth between two events. False: there was none, or it was overtaken."""
        session = self._core.broker.session_id
        try:
            snapshot = await self._core.broker.snapshot()
        except TerminalUnavailable:
            return False
        if session != self._core.broker.session_id or snapshot.trade_seq < self._core.book.trade_seq:
            return False  # an event overtook it: what is known is newer
        unheard = snapshot.trade_seq > self._core.book.trade_seq
        self._core.book.take_snapshot(snapshot)
        self._core.gate.all_seen()
        if unheard or self._core.gate.cash_open:
            self._cash.suspect()
            try:
                await self._cash.settle()
            except TerminalUnavailable:
                return False
        self._observe_equity()
        self._core.bus.mark("positions", "orders", "account")
        return True

    def on_heartbeat(self, heartbeat: TerminalHeartbeat) -> None:
        core = self._core
        if heartbeat.trade_seq == core.book.trade_seq:
            # An older one knows less than the events have told; a later one shows a deposit, or a fill, before its event is here.
            core.book.account = heartbeat.account
            core.gate.account_seen(heartbeat.trade_seq)
            self._cash.looked(heartbeat.account)
        core.book.permissions = heartbeat.permissions
        self._last_sign = core.clock.monotonic()
        if heartbeat.round_trip is not None:
            self.round_trip = heartbeat.round_trip
            self.on_round_trip(heartbeat.round_trip)
        self._notice_account(heartbeat.account.login)
        self._observe_equity()
        core.gate.check_losses()
        self._notice_missing_events(heartbeat.trade_seq)
        self._notice_permissions(heartbeat.permissions.missing())
        if heartbeat.stopped and core.latch.state is TradingState.ACTIVE:
            core.stop.engage(reason="the terminal is stopped", by=Actor.SYSTEM)
        core.bus.mark("account", "links")

    def _notice_missing_events(self, trade_seq: int) -> None:
        """A heartbeat may overtake an event; if it is still missing at the next one, it is lost."""
        behind = trade_seq > self._core.book.trade_seq
        if behind and self._behind_at == self._core.book.trade_seq:
            self.on_trade_gap()
        self._behind_at = self._core.book.trade_seq if behind else None

    def know_account(self, login: str | None) -> None:
        """The account of an earlier run, out of the journal."""
        self._login = login

    def _notice_account(self, login: str) -> None:
        """Another account than before: limits, positions and the brain's intentions were the other one's. A person decides."""
        if login in _NOBODY:
            return  # not logged in: the permissions say so
        before, self._login = self._login, login
        if before is None or before == login:
            return
        core = self._core
        core.stop.engage(
            reason=f"the terminal is logged in to account {login}, before it was {before}", by=Actor.SYSTEM
        )
        core.alarm(
            "critical",
            "ACCOUNT_CHANGED",
            f"the terminal is logged in to account {login}, before it was {before}: trading is stopped. If that is meant, reset "
            "and resume; else log in to the right account first",
        )
        if core.links.terminal_up:
            core.keeper.spawn("snapshot", self.refresh())

    def _notice_permissions(self, missing: tuple[str, ...]) -> None:
        if missing == self._missing:
            return
        self._missing = missing
        if missing:
            self._core.alarm(
                "critical", "PERMISSION_LOST", f"the terminal cannot trade; missing: {', '.join(missing)}"
            )
        else:
            self._core.alarm(
                "info", "PERMISSION_BACK", "the terminal can trade again", ends=("PERMISSION_LOST",)
            )

    def on_terminal_stopped(self, reason: str, by: str) -> None:
        core = self._core
        if by != "executor" and core.latch.state is not TradingState.HALTED:
            core.stop.engage(reason=f"stopped at the terminal ({by}): {reason}", by=Actor.SYSTEM)


def _observed(event: TradeEvent) -> TradeObserved:
    deal, order, position = event.deal, event.order, event.position
    source = deal or order or position
    return TradeObserved(
        at=event.time,
        kind=event.kind,
        command_id=CommandId(event.command_id) if event.command_id else None,
        symbol=source.symbol if source is not None else None,
        position=event.position_ticket or (deal.position if deal is not None else None),
        order=event.order_ticket or (deal.order if deal is not None else None),
        volume=source.volume if source is not None else None,
        price=deal.price if deal is not None else order.price if order is not None else None,
        profit=deal.profit if deal is not None else event.amount,
        reason=deal.reason.value if deal is not None else None,
    )
