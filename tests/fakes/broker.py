"""A terminal in memory: the Broker and StopChannel ports, scripted by the test that owns it.

It holds no market and no rules of trading (that is the simulated terminal's business): it answers what it is told to
answer, keeps what it was sent, and lets the test speak in the terminal's name.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

from app.domain.commands import (
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
    TradeCommand,
)
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.market import (
    Deal,
    PendingOrder,
    Permissions,
    Position,
    Quote,
    SymbolSpec,
    TerminalSnapshot,
    TradeEvent,
)
from app.domain.values import CommandId, Price, Symbol, Ticket
from app.engine.broker import (
    BrokerListener,
    DispatchTerms,
    FindHints,
    StopAnswer,
    TerminalHeartbeat,
    TerminalHello,
)
from tests.domain import making
from tests.fakes.linked import Linked


class Scripted(Enum):
    """Answers that are not an Execution."""

    NEVER = "the future stays open until the link goes down, run() ends or the test resolves it"
    UNAVAILABLE = "send() raises TerminalUnavailable: certainly not sent"


Answer = Execution | Scripted | Callable[[TradeCommand, DispatchTerms], Execution]


@dataclass(slots=True)
class Sent:
    """One command that was handed over."""

    command: TradeCommand
    terms: DispatchTerms
    epoch: int
    answer: asyncio.Future[Execution]


START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
EURUSD = making.SPEC
XAUUSD = replace(
    EURUSD,
    symbol=Symbol("XAUUSD"),
    digits=2,
    point=Decimal("0.01"),
    tick_size=Decimal("0.01"),
    contract_size=Decimal("100"),
    margin_per_lot=Decimal("2400"),
)
ACCOUNT = replace(making.ACCOUNT, server="Fake-Demo")


def quote(symbol: str, bid: str, ask: str, *, at: datetime = START, received: float = 0.0) -> Quote:
    return Quote(Symbol(symbol), Price(bid), Price(ask), at, received)


class FakeBroker(Linked):
    """A Broker whose answers are a script.

    `answers` is used up first, then `default` (None: done, with fresh tickets) answers every further command. With `up=True` the
    session opens as soon as run() starts; else the test calls `go_up()`. Answers come in a later turn of the loop, as in life.
    """

    def __init__(self, *, up: bool = True) -> None:
        super().__init__()
        self.answers: deque[Answer] = deque()
        self.default: Answer | None = None
        self.findings: dict[str, Finding] = {}
        """What find() says, by command id; without an entry it tells what happened to the command here."""
        self.account = ACCOUNT
        self.permissions = Permissions()
        self.specs: dict[Symbol, SymbolSpec] = {EURUSD.symbol: EURUSD, XAUUSD.symbol: XAUUSD}
        self.positions: list[Position] = []
        self.orders: list[PendingOrder] = []
        self.deals: list[Deal] = []
        self.latest: dict[Symbol, Quote] = {}
        self.time = START
        self.server_utc_offset = 0
        self.boot = "b" * 32
        self.mode = "demo_only"
        self.terminal_epoch = 0
        self.stopped = False
        self.stop_reason: str | None = None
        self.trade_seq = 0

        self.sent: list[Sent] = []
        self.finds: list[tuple[CommandId, FindHints]] = []
        self.snapshots_taken = 0
        self.subscriptions: list[tuple[tuple[Symbol, ...], int]] = []
        self.resumes = 0
        self.epoch = 0

        self._up_at_once = up
        self._sessions = 0
        self._running = asyncio.Event()
        self._news = asyncio.Event()
        self._next_ticket = 5001
        self._known: dict[str, Execution] = {}

    # -------------------------------------------------------------- the port

    async def run(self, listener: BrokerListener) -> None:
        self._listener = listener
        self._running.set()
        try:
            if self._up_at_once:
                self.go_up()
            await asyncio.Event().wait()
        finally:
            self._end_session("the link was closed")
            self._listener = None
            self._running.clear()

    def set_epoch(self, epoch: int) -> None:
        reopen = bool(self._session_id) and epoch > self.epoch
        self.epoch = epoch
        if reopen:
            self.go_down("the epoch was raised")
            self.go_up()

    def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
        if not self._session_id:
            raise TerminalUnavailable("no session with the terminal")
        answer = self.answers.popleft() if self.answers else self.default
        if answer is Scripted.UNAVAILABLE:
            raise TerminalUnavailable("the terminal takes no more commands")
        loop = asyncio.get_running_loop()
        sent = Sent(command, terms, self.epoch, loop.create_future())
        self.sent.append(sent)
        self._announce()
        if answer is Scripted.NEVER:
            return sent.answer
        if isinstance(answer, Execution):
            result = answer
        elif callable(answer):
            result = answer(command, terms)
        else:
            result = self.done(command)
        loop.call_soon(self._settle, sent, result)
        return sent.answer

    async def find(self, command_id: CommandId, hints: FindHints) -> Finding:
        self._require_session()
        self.finds.append((command_id, hints))
        self._announce()
        if command_id in self.findings:
            return self.findings[command_id]
        known = self._known.get(command_id)
        was_sent = any(sent.command.command_id == command_id for sent in self.sent)
        return Finding(
            ledger="result" if known is not None else ("sent" if was_sent else "never_seen"),
            execution=known,
            sent_at=self.time if was_sent else None,
            connected=self.permissions.connected,
            synchronised=self.permissions.synchronised,
        )

    async def snapshot(self) -> TerminalSnapshot:
        self._require_session()
        self.snapshots_taken += 1
        self._announce()
        return TerminalSnapshot(
            account=self.account,
            permissions=self.permissions,
            positions=tuple(self.positions),
            orders=tuple(self.orders),
            symbols=tuple(self.specs.values()),
            quotes=tuple(self.latest.values()),
            taken_at=self.time,
            server_utc_offset=self.server_utc_offset,
            trade_seq=self.trade_seq,
        )

    async def symbol(self, symbol: Symbol) -> SymbolSpec | None:
        self._require_session()
        return self.specs.get(symbol)

    async def quotes(self, symbols: Sequence[Symbol]) -> tuple[Quote, ...]:
        self._require_session()
        return tuple(self.latest[symbol] for symbol in symbols if symbol in self.latest)

    async def history(self, since: datetime, until: datetime) -> tuple[Deal, ...]:
        self._require_session()
        return tuple(deal for deal in self.deals if since <= deal.time <= until)

    async def subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> tuple[Symbol, ...]:
        self._require_session()
        self.subscriptions.append((tuple(symbols), min_interval))
        self._announce()
        return tuple(symbol for symbol in symbols if symbol in self.specs)

    async def resume(self) -> bool:
        self._require_session()
        self.resumes += 1
        self._announce()
        if self.stopped and self.epoch <= self.terminal_epoch:
            return False
        self.stopped, self.stop_reason = False, None
        self.terminal_epoch = max(self.terminal_epoch, self.epoch)
        return True

    # -------------------------------------------------------------- the test's side: answers

    def done(self, command: TradeCommand) -> Execution:
        """A full success with fresh tickets."""
        action = command.action
        ticket = Ticket(self._next_ticket)
        self._next_ticket += 1
        volume = command.volume or Decimal(0)
        execution = Execution(
            ExecutionState.DONE,
            retcode=10009,
            volume=volume,
            requested=volume,
            price=self._price(command),
            attempts=1,
        )
        match action:
            case OpenPosition():
                return replace(execution, order=ticket, deal=Ticket(ticket + 2000), position=ticket)
            case ClosePosition():
                return replace(execution, order=ticket, deal=Ticket(ticket + 2000), position=action.ticket)
            case PlaceOrder():
                return replace(execution, order=ticket)
            case ModifyOrder() | CancelOrder():
                return replace(execution, order=action.ticket)
            case ModifyPosition():
                return replace(execution, position=action.ticket)
            case CloseAll():
                return execution

    def resolve(self, command_id: str, execution: Execution) -> None:
        """Answer a command whose script said NEVER."""
        for sent in self.sent:
            if sent.command.command_id == command_id and not sent.answer.done():
                self._settle(sent, execution)
                return
        raise LookupError(f"{command_id} is not waiting for an answer")

    @property
    def sent_ids(self) -> list[str]:
        return [sent.command.command_id for sent in self.sent]

    @property
    def waiting(self) -> list[Sent]:
        """What was sent and has no answer yet."""
        return [sent for sent in self.sent if not sent.answer.done()]

    async def until(self, condition: Callable[[], bool], timeout: float = 5.0) -> None:
        """Wait until `condition` holds; looked at again after every call of the port. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._news.clear()
                await self._news.wait()

    # -------------------------------------------------------------- the test's side: the terminal speaks

    def go_up(self) -> TerminalHello:
        """Open a session and tell the listener. With an epoch below the terminal's it is refused instead."""
        hello = TerminalHello(
            session_id=f"{self._sessions + 1:032x}",
            boot=self.boot,
            terminal="fake 1.0",
            login=self.account.login,
            mode=self.mode,
            epoch=self.terminal_epoch,
            stopped=self.stopped,
            stop_reason=self.stop_reason,
        )
        if self.epoch < self.terminal_epoch:
            self.refuse(
                "EPOCH_TOO_LOW", f"the terminal is at epoch {self.terminal_epoch}", self.terminal_epoch
            )
            return hello
        self._sessions += 1
        self._session_id = hello.session_id
        if not self.stopped:
            self.terminal_epoch = self.epoch
        self._hear().on_terminal_up(hello)
        self._announce()
        return hello

    def go_down(self, reason: str = "the terminal went away") -> None:
        """End the session: whatever was under way resolves as UNKNOWN."""
        self._end_session(reason)

    def restart(self) -> None:
        """Another life of the terminal, not yet connected."""
        self.go_down("the terminal was restarted")
        self.boot = f"{int(self.boot, 16) + 1:032x}"
        self.trade_seq = 0

    def refuse(self, code: str, message: str, epoch: int | None = None) -> None:
        self._hear().on_terminal_refused(code, message, epoch)

    def emit_quote(self, item: Quote) -> None:
        self.latest[item.symbol] = item
        self._hear().on_quote(item)

    def emit_trade_event(self, kind: str, **fields: object) -> TradeEvent:
        """`fields` are those of TradeEvent, without `seq`; `time` is this broker's unless given."""
        self.trade_seq += 1
        event = replace(TradeEvent(kind, self.trade_seq, self.time), **fields)  # type: ignore[arg-type]
        self._hear().on_trade_event(event)
        return event

    def emit_gap(self) -> None:
        self._hear().on_trade_gap()

    def emit_heartbeat(self, round_trip: float | None = 0.001) -> TerminalHeartbeat:
        heartbeat = TerminalHeartbeat(
            self.permissions, self.account, self.stopped, self.trade_seq, round_trip
        )
        self._hear().on_heartbeat(heartbeat)
        return heartbeat

    def emit_stopped(self, reason: str = "operator", by: str = "button") -> None:
        self.stopped, self.stop_reason = True, reason
        self._hear().on_terminal_stopped(reason, by)

    async def running(self, timeout: float = 5.0) -> None:
        """Wait until run() was called."""
        async with asyncio.timeout(timeout):
            await self._running.wait()

    # -------------------------------------------------------------- inside

    def _price(self, command: TradeCommand) -> Price | None:
        action = command.action
        if isinstance(action, PlaceOrder):
            return action.price
        known = self.latest.get(command.symbol) if command.symbol is not None else None
        if isinstance(action, OpenPosition) and known is not None:
            return known.ask if action.side.sign > 0 else known.bid
        return getattr(action, "price", None) if isinstance(action, OpenPosition) else None

    def _settle(self, sent: Sent, execution: Execution) -> None:
        if execution.state not in (ExecutionState.UNKNOWN, ExecutionState.REFUSED):
            self._known[sent.command.command_id] = execution
        if not sent.answer.done():
            sent.answer.set_result(execution)
        self._announce()

    def _end_session(self, reason: str) -> None:
        had_session, self._session_id = bool(self._session_id), ""
        for sent in self.waiting:
            sent.answer.set_result(Execution(ExecutionState.UNKNOWN, message=reason))
        if had_session and self._listener is not None:
            self._listener.on_terminal_down(reason)
        self._announce()

    def _require_session(self) -> None:
        if not self._session_id:
            raise TerminalUnavailable("no session with the terminal")

    def _hear(self) -> BrokerListener:
        if self._listener is None:
            raise LookupError("run() was not called: nobody listens")
        return self._listener

    def _announce(self) -> None:
        self._news.set()


@dataclass(slots=True)
class FakeStopChannel:
    """A StopChannel that answers what it is told and keeps what it was asked."""

    answer: StopAnswer = field(default_factory=lambda: StopAnswer(acknowledged=True, detail="acknowledged"))
    sent: list[dict[str, object]] = field(default_factory=list)
    closed: bool = False
    warmed: int = 0
    broker: FakeBroker | None = None
    """Given: an acknowledged stop latches this terminal."""

    def send_stop(
        self, *, reason: str, epoch: int, cancel_orders: bool, close_positions: bool, timeout: float
    ) -> StopAnswer:
        self.sent.append(
            {
                "reason": reason,
                "epoch": epoch,
                "cancel_orders": cancel_orders,
                "close_positions": close_positions,
                "timeout": timeout,
            }
        )
        if self.answer.acknowledged and self.broker is not None:
            self.broker.stopped, self.broker.stop_reason = True, reason
        return self.answer

    def keep_warm(self) -> bool:
        self.warmed += 1
        return True

    def close(self) -> None:
        self.closed = True
