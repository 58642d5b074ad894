"""`medulla ea accept`: a trial of the terminal that runs now, through the executor's real way to it, with the smallest volume and
trades of its own alone.

It trades on a demo account only. Whatever happens in between, what it opened it closes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final, TypeVar

from app import __version__
from app.adapters.key_file import load_key
from app.adapters.mt5_stop_channel import ZmqStopChannel
from app.adapters.mt5_zmq import ZmqBroker
from app.cli.console import mark
from app.cli.ea_trial import (
    Acceptance,
    Check,
    Ears,
    Failed,
    GivenUp,
    LaggingClock,
    NotTested,
    Status,
    Wanted,
)
from app.domain.commands import (
    Action,
    CancelOrder,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    Origin,
    PlaceOrder,
    TradeCommand,
)
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, ExecutionState
from app.domain.market import (
    Account,
    AccountMode,
    MarginMode,
    PendingOrder,
    Position,
    Quote,
    SymbolSpec,
    TerminalSnapshot,
)
from app.domain.values import CommandId, OrderKind, Price, Side, Ticket, Volume
from app.engine.broker import Broker, DispatchTerms, FindHints, StopAnswer
from app.engine.tasks import TaskKeeper
from app.protocol.ea_client_session import Identity
from app.settings import Settings

__all__ = ["Trial", "Wanted", "run_acceptance"]

Item = TypeVar("Item", Position, PendingOrder)
Say = Callable[[str], None]
SendStop = Callable[[str, int], StopAnswer]
"""(reason, epoch) -> answer; blocking, in a thread of its own."""

_TTL: Final = 10_000
_DEVIATION: Final = 50
_SETTLES: Final = 5.0
"""Seconds within which the terminal's lists show what it has just confirmed: they may lag behind the answer."""
_LOOK_AGAIN: Final = 0.1
_SOON: Final = 3
"""Quotes to wait for."""
_MARKS = {Status.PASSED: "✓", Status.FAILED: "✗", Status.NOT_TESTED: "!", Status.LEFT_OUT: "!"}


def run_acceptance(settings: Settings, wanted: Wanted, say: Say | None) -> Acceptance:
    """Connect to the terminal of the settings and try it; `say` gets a line for each check. Raises ConfigurationError."""
    key = load_key(settings.terminal.key_file)
    # pyzmq needs a selector loop; on Windows the default one is another.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(_connected(settings, wanted, key, say))


async def _connected(settings: Settings, wanted: Wanted, key: bytes, say: Say | None) -> Acceptance:
    clock, ears = LaggingClock(), Ears()
    identity = Identity(secrets.token_hex(16), settings.brain.executor_id, __version__)
    port = settings.terminal.command_port

    def send_stop(reason: str, epoch: int) -> StopAnswer:
        channel = ZmqStopChannel(key=key, command_port=port, identity=identity, clock=clock)
        try:
            return channel.send_stop(
                reason=reason,
                epoch=epoch,
                cancel_orders=False,
                close_positions=False,
                timeout=wanted.patience,
            )
        finally:
            channel.close()

    broker = ZmqBroker(
        key=key,
        command_port=port,
        stream_port=settings.terminal.stream_port,
        identity=identity,
        clock=clock,
        answer_timeout=settings.terminal.answer_timeout,
    )
    keeper = TaskKeeper("accept")
    keeper.spawn("terminal", broker.run(ears))
    try:
        return await Trial(broker, ears, clock, wanted, send_stop, say, where=f"port {port}").run()
    finally:
        await keeper.close()


class Trial:
    """One acceptance. `run` is called once; the broker runs beside it."""

    def __init__(
        self,
        broker: Broker,
        ears: Ears,
        clock: LaggingClock,
        wanted: Wanted,
        send_stop: SendStop,
        say: Say | None,
        *,
        where: str,
    ) -> None:
        self._broker = broker
        self._ears = ears
        self._clock = clock
        self._wanted = wanted
        self._send_stop = send_stop
        self._say = say
        self._where = where
        self._run_id = secrets.token_hex(4)
        tag = "A" + secrets.token_hex(4)[:7]
        self._terms = DispatchTerms(
            ttl=_TTL, tag=tag, comment=f"{tag}#accept", deviation=_DEVIATION, max_attempts=3
        )
        self._began = clock.now()
        self._result = Acceptance(__version__, wanted.symbol, wanted.magic, self._began)
        self._before: frozenset[Ticket] | None = None
        """Positions and orders that were there first: never touched. None: not known yet, and then nothing is traded."""
        self._spec: SymbolSpec | None = None
        self._account: Account | None = None
        self._halves = Volume(1)
        """The smallest volume; what is opened is two of it, so that a half can be closed."""
        self._no_trading = "the steps before it failed"
        self._opened: tuple[OpenPosition, Execution] | None = None
        self._position: Ticket | None = None
        self._order: Ticket | None = None
        self._epoch = 0
        self._stopped_by_us = False

    async def run(self) -> Acceptance:
        """Try everything in order, clean up, and tell. Raises nothing that a terminal can cause."""
        try:
            await self._check("hello", self._hello, vital=True)
            await self._check("demo account", self._demo_account, vital=True)
        except GivenUp:
            return self._result
        try:
            await self._read_only()
            await self._trades()
            await self._stops()
        finally:
            await self._check("cleaned up", self._clean_up)
        return self._result

    async def _read_only(self) -> None:
        await self._check("permissions", self._permissions)
        await self._check("snapshot", self._snapshot)
        await self._check("symbol", self._symbol)
        await self._check("heartbeat on the stream", self._heartbeat)
        await self._check("quotes", self._quotes)
        await self._check("round trip", self._round_trip)
        await self._check("ready to trade", self._ready)

    async def _trades(self) -> None:
        await self._check("open", self._open)
        await self._check("same id again: one deal", self._replay)
        await self._check("same id, other content: refused", self._conflict)
        await self._check("found again by its id", self._find)
        await self._check("modify stops", self._modify)
        await self._check("partial close", self._partial_close)
        await self._check("close", self._close)
        await self._check("place pending order", self._place)
        await self._check("modify pending order", self._modify_order)
        await self._check("cancel pending order", self._cancel)
        await self._check("too late: refused", self._expired)
        await self._check("unknown ticket: refused", self._unknown_ticket)
        await self._check("trade events", self._trade_events)
        await self._check("history", self._history)

    async def _stops(self) -> None:
        if not self._wanted.with_stop:
            for name in ("stop", "resume"):
                self._note(Check(name, Status.LEFT_OUT, "--no-stop"))
            return
        await self._check("stop", self._stop)
        await self._check("resume", self._resume)

    # -------------------------------------------------------------- the session

    async def _hello(self) -> str:
        began = self._clock.monotonic()
        while True:
            await self._ears.until(lambda: self._ears.open or self._ears.refusals, self._wanted.patience)
            if self._ears.open:
                break
            if not self._ears.refusals:
                raise Failed(
                    f"no terminal answers on {self._where}: is it running, with the EA on a chart and Algo Trading on?"
                )
            code, message, epoch = self._ears.refusals.pop(0)
            if code == "EPOCH_TOO_LOW" and epoch is not None:
                self._broker.set_epoch(epoch)
            elif code == "SESSION_TAKEN":
                raise Failed(
                    "another executor has the terminal: end Medulla's engine, wait 10 s, and try again"
                )
            else:
                raise Failed(f"{code}: {message}")
        hello = self._ears.ups[-1]
        self._epoch = hello.epoch
        self._result.terminal, self._result.ea_mode = hello.terminal, hello.mode
        self._result.login = "…" + hello.login[-3:]
        took = (self._clock.monotonic() - began) * 1000
        if hello.stopped:
            self._result.notes.append(f"the terminal was stopped before the trial: {hello.stop_reason}")
        return f"{hello.terminal}, mode {hello.mode}, epoch {hello.epoch}, session in {took:.0f} ms"

    async def _demo_account(self) -> str:
        account = self._account = (await self._broker.snapshot()).account
        self._result.server, self._result.company = account.server, account.company
        self._result.account_mode, self._result.margin_mode = account.mode.value, account.margin_mode.value
        told = f"{account.mode.value} account at {account.server}, {account.margin_mode.value}, {account.currency}"
        if account.mode is AccountMode.DEMO:
            return told
        if not self._wanted.any_account:
            self._result.refused = (
                f"this is a {account.mode.value} account at {account.server}, not a demo account: nothing was traded. Log the"
                " terminal in to a demo account and try again"
            )
            raise Failed(self._result.refused)
        self._result.notes.append(f"run on a {account.mode.value} account by explicit wish")
        return told

    # -------------------------------------------------------------- without effect

    async def _permissions(self) -> str:
        missing = (await self._broker.snapshot()).permissions.missing()
        if missing:
            raise Failed(f"missing: {', '.join(missing)}; set them in MetaTrader 5")
        return "all there"

    async def _snapshot(self) -> str:
        snapshot = await self._broker.snapshot()
        self._before = frozenset(
            [position.ticket for position in snapshot.positions] + [order.ticket for order in snapshot.orders]
        )
        old = [
            item.ticket
            for item in (*snapshot.positions, *snapshot.orders)
            if item.magic == self._wanted.magic
        ]
        if old:
            self._result.notes.append(
                f"positions or orders with magic {self._wanted.magic} were there before and were left alone:"
                f" {', '.join(map(str, old))}"
            )
        return (
            f"{len(snapshot.positions)} positions, {len(snapshot.orders)} orders, server time"
            f" {snapshot.server_utc_offset / 3600:+g} h from UTC"
        )

    async def _symbol(self) -> str:
        spec = await self._broker.symbol(self._wanted.symbol)
        if spec is None:
            raise Failed(
                f"the terminal does not know {self._wanted.symbol}; name one of Market Watch with --symbol, suffix included"
            )
        self._spec = spec
        self._halves = smallest_volume(spec)
        self._result.volume = self._halves
        return (
            f"{spec.execution} execution, filling {'/'.join(spec.filling) or 'none'}, volume {spec.volume_min}–{spec.volume_max}"
            f" step {spec.volume_step}, stops level {spec.stops_level} points"
        )

    async def _heartbeat(self) -> str:
        if not await self._ears.until(lambda: self._ears.stream_beats, self._wanted.patience):
            raise Failed("nothing came on the stream: is terminal.stream_port the EA's InpStreamPort?")
        return "heard"

    async def _quotes(self) -> str:
        if self._spec is None:
            raise NotTested("the symbol is not known")
        began = self._clock.monotonic()
        await self._broker.subscribe([self._wanted.symbol], 0)
        await self._ears.until(lambda: len(self._ears.quotes) >= _SOON, self._wanted.patience)
        took = self._clock.monotonic() - began
        if not self._ears.quotes:
            raise Failed(f"no quote of {self._wanted.symbol} in {took:.0f} s")
        last = self._ears.quotes[-1]
        return f"{len(self._ears.quotes)} in {took:.1f} s, last {last.bid}/{last.ask}"

    async def _round_trip(self) -> str:
        times = []
        for _ in range(self._wanted.round_trips):
            began = self._clock.monotonic()
            await self._broker.snapshot() if self._spec is None else await self._broker.quotes(
                [self._wanted.symbol]
            )
            times.append((self._clock.monotonic() - began) * 1000)
        self._result.latencies["question (executor → EA → executor)"] = times
        ordered = sorted(times)
        return f"median {ordered[len(ordered) // 2]:.2f} ms, worst {ordered[-1]:.2f} ms of {len(ordered)}"

    async def _ready(self) -> str:
        try:
            await self._look_whether_trading_is_possible()
        except NotTested as fault:
            self._no_trading = str(fault)
            raise
        self._no_trading = ""
        return f"trades of {self._halves} and {self._halves * 2} lots, magic {self._wanted.magic}"

    async def _look_whether_trading_is_possible(self) -> None:
        snapshot = await self._broker.snapshot()
        spec, missing = self._spec, snapshot.permissions.missing()
        if spec is None:
            raise NotTested("the symbol is not known")
        if self._before is None:
            raise NotTested("it is not known what was open before")
        if missing:
            raise NotTested(f"missing: {', '.join(missing)}")
        if self._ears.ups[-1].stopped:
            raise NotTested("the terminal is stopped; `medulla reset` and `medulla resume` first")
        if self._ears.ups[-1].mode == "read_only":
            raise NotTested("the EA is read only (InpMode)")
        if not spec.session_open:
            raise NotTested(f"the market of {spec.symbol} is closed; try again when it is open")
        if self._halves * 2 > spec.volume_max:
            raise NotTested(
                f"{spec.symbol} takes at most {spec.volume_max} lots: a partial close cannot be tried"
            )
        if snapshot.account.free_margin < spec.margin_per_lot * self._halves * 2:
            raise NotTested(
                f"free margin {snapshot.account.free_margin} is too little; take a fresh demo account"
            )
        netting = snapshot.account.margin_mode is not MarginMode.HEDGING
        if netting and any(position.symbol == spec.symbol for position in snapshot.positions):
            raise NotTested(
                f"a {snapshot.account.margin_mode.value} account has one position a symbol, and {spec.symbol} has one: it would be"
                " changed. Close it or name another --symbol"
            )

    # -------------------------------------------------------------- a position

    async def _open(self) -> str:
        spec, quote = await self._market()
        action = OpenPosition(
            spec.symbol,
            Side.BUY,
            Volume(self._halves * 2),
            stop_loss=at_distance(spec, quote.bid, -2),
            magic=self._wanted.magic,
        )
        done = await self._do("open", action)
        self._opened, self._position = (action, done), done.position
        if done.position is None:
            raise Failed("the answer names no position")
        await self._seen(lambda snapshot: with_ticket(snapshot.positions, done.position) is not None)
        return f"{done.volume} lots at {done.price}, retcode {done.retcode}, {done.attempts} attempt(s)"

    async def _replay(self) -> str:
        action, first = self._needs_open()
        again = await self._send("open", action)
        if not again.replayed or replace(again, replayed=False) != first:
            raise Failed(f"the answer was another one: {told(again)}")
        ours = [item for item in await self._leftovers() if isinstance(item, Position)]
        if len(ours) != 1 or ours[0].volume != self._halves * 2:
            raise Failed(f"{len(ours)} positions of ours in place of one: the terminal traded twice")
        return "stored answer, one position"

    async def _conflict(self) -> str:
        action, _first = self._needs_open()
        other = await self._send("open", replace(action, volume=self._halves))
        self._expect_refusal(other, "ID_CONFLICT")
        return "ID_CONFLICT"

    async def _find(self) -> str:
        _action, first = self._needs_open()
        finding = await self._broker.find(self._id("open"), self._hints())
        stranger = await self._broker.find(self._id("never-sent"), self._hints())
        if (
            finding.ledger != "result"
            or finding.execution is None
            or finding.execution.position != first.position
        ):
            raise Failed(f"the ledger says {finding.ledger}")
        if stranger.ledger != "never_seen":
            raise Failed(f"of an id that was never sent the ledger says {stranger.ledger}")
        return "result stored; an id never sent is never_seen"

    async def _modify(self) -> str:
        ticket = self._needs_position()
        spec, quote = await self._market()
        stop_loss, take_profit = at_distance(spec, quote.bid, -3), at_distance(spec, quote.ask, 3)
        await self._do("modify", ModifyPosition(ticket, stop_loss=stop_loss, take_profit=take_profit))

        def changed(snapshot: TerminalSnapshot) -> bool:
            position = with_ticket(snapshot.positions, ticket)
            return position is not None and (position.stop_loss, position.take_profit) == (
                stop_loss,
                take_profit,
            )

        await self._seen(changed)
        return f"stop loss {stop_loss}, take profit {take_profit}, as the terminal shows them"

    async def _partial_close(self) -> str:
        ticket = self._needs_position()
        done = await self._do("partial-close", ClosePosition(ticket, self._halves))

        def halved(snapshot: TerminalSnapshot) -> bool:
            position = with_ticket(snapshot.positions, ticket)
            return position is not None and position.volume == self._halves

        await self._seen(halved)
        return f"{done.volume} lots at {done.price}, {self._halves} left"

    async def _close(self) -> str:
        ticket = self._needs_position()
        done = await self._do("close", ClosePosition(ticket))
        await self._seen(lambda snapshot: with_ticket(snapshot.positions, ticket) is None)
        self._position = None
        return f"{done.volume} lots at {done.price}"

    # -------------------------------------------------------------- a pending order

    async def _place(self) -> str:
        spec, quote = await self._market()
        price = at_distance(spec, quote.bid, -2)
        done = await self._do(
            "place",
            PlaceOrder(
                spec.symbol,
                OrderKind.BUY_LIMIT,
                self._halves,
                price,
                stop_loss=at_distance(spec, price, -2),
                magic=self._wanted.magic,
            ),
        )
        if done.order is None:
            raise Failed("the answer names no order")
        self._order = done.order
        await self._seen(lambda snapshot: with_ticket(snapshot.orders, done.order) is not None)
        return f"buy limit {self._halves} lots at {price}"

    async def _modify_order(self) -> str:
        ticket = self._needs_order()
        spec, quote = await self._market()
        price = at_distance(spec, quote.bid, -3)
        await self._do(
            "modify-order", ModifyOrder(ticket, price=price, stop_loss=at_distance(spec, price, -2))
        )

        def moved(snapshot: TerminalSnapshot) -> bool:
            order = with_ticket(snapshot.orders, ticket)
            return order is not None and order.price == price

        await self._seen(moved)
        return f"moved to {price}"

    async def _cancel(self) -> str:
        ticket = self._needs_order()
        await self._do("cancel", CancelOrder(ticket))
        await self._seen(lambda snapshot: with_ticket(snapshot.orders, ticket) is None)
        self._order = None
        return "gone"

    # -------------------------------------------------------------- refusals

    async def _expired(self) -> str:
        spec, quote = await self._market()
        action = OpenPosition(
            spec.symbol,
            Side.BUY,
            self._halves,
            stop_loss=at_distance(spec, quote.bid, -2),
            magic=self._wanted.magic,
        )
        with self._clock.behind(3.0):  # a frame that says it is three seconds old, and may be one second old
            answer = self._broker.send(self._command("expired", action), replace(self._terms, ttl=1000))
        self._expect_refusal(await answer, "EXPIRED")
        ledger = (await self._broker.find(self._id("expired"), self._hints())).ledger
        if ledger != "never_seen":
            raise Failed(f"refused, but the ledger says {ledger}")
        return "EXPIRED, nothing stored"

    async def _unknown_ticket(self) -> str:
        self._needs_trading()
        done = await self._send("unknown-ticket", ClosePosition(Ticket(2**53 - 1)))
        if done.state not in (ExecutionState.REFUSED, ExecutionState.REJECTED):
            raise Failed(told(done))
        return told(done)

    # -------------------------------------------------------------- afterwards

    async def _trade_events(self) -> str:
        action, _done = self._needs_open()
        cid = self._id("open")
        if not await self._ears.until(lambda: any(e.command_id == cid for e in self._ears.events), _SETTLES):
            raise Failed(
                f"no trade event of the deal on {action.symbol}: is terminal.stream_port the EA's InpStreamPort?"
            )
        if self._ears.gaps:
            raise Failed(f"{self._ears.gaps} gap(s) in the trade events")
        return f"{len(self._ears.events)} heard, no gap"

    async def _history(self) -> str:
        _action, first = self._needs_open()
        margin = timedelta(days=1)
        deals = [
            deal
            for deal in await self._broker.history(self._began - margin, self._clock.now() + margin)
            if deal.position == first.position
        ]
        entries = [deal.entry for deal in deals]
        if entries.count("in") != 1:
            raise Failed(f"{entries.count('in')} opening deals of one command in the broker's history")
        return f"{len(deals)} deals: {', '.join(entries)}"

    # -------------------------------------------------------------- stop and resume

    async def _stop(self) -> str:
        spec, quote = await self._market()
        began = self._clock.monotonic()
        self._stopped_by_us = True
        answer = await asyncio.to_thread(self._send_stop, "acceptance trial", self._epoch)
        took = (self._clock.monotonic() - began) * 1000
        if not answer.acknowledged:
            raise Failed(answer.detail)
        self._result.latencies["stop, connecting included"] = [took]
        action = OpenPosition(
            spec.symbol,
            Side.BUY,
            self._halves,
            stop_loss=at_distance(spec, quote.bid, -2),
            magic=self._wanted.magic,
        )
        self._expect_refusal(await self._send("while-stopped", action), "STOPPED")
        if await self._broker.resume():
            self._stopped_by_us = False
            raise Failed("the terminal resumed in the epoch in which it was stopped")
        return f"acknowledged in {took:.0f} ms; entries refused, no resume in the same epoch"

    async def _resume(self) -> str:
        if not self._stopped_by_us:
            raise NotTested("the stop was not tried")
        await self._lift_stop()
        spec, quote = await self._market()
        done = await self._do(
            "after-resume",
            OpenPosition(
                spec.symbol,
                Side.BUY,
                self._halves,
                stop_loss=at_distance(spec, quote.bid, -2),
                magic=self._wanted.magic,
            ),
        )
        if done.position is None:
            raise Failed("the answer names no position")
        await self._do("after-resume-close", ClosePosition(done.position))
        return f"epoch {self._epoch}, trades go again"

    async def _lift_stop(self) -> None:
        self._epoch += 1
        sessions = len(self._ears.ups)
        self._broker.set_epoch(self._epoch)
        if not await self._ears.until(
            lambda: len(self._ears.ups) > sessions and self._ears.open, self._wanted.patience
        ):
            raise Failed(
                "no new session after the epoch was raised: the terminal is still stopped; `medulla reset`"
            )
        if not await self._broker.resume():
            raise Failed("the terminal refused to resume: it is still stopped; `medulla reset`")
        self._stopped_by_us = False
        self._result.notes.append(
            f"the terminal's epoch is {self._epoch} now; an executor with a lower one starts stopped once and wants `medulla reset`"
        )

    async def _clean_up(self) -> str:
        trouble = ""
        if self._before is None:
            return "nothing was traded"
        await self._ears.until(lambda: self._ears.open, self._wanted.patience)
        if self._stopped_by_us:
            try:
                await self._lift_stop()
            except (Failed, TerminalUnavailable) as fault:
                trouble = str(fault)
        closed = await self._close_leftovers("a")
        # What was answered late may appear only now.
        closed += await self._close_leftovers("b")
        rest = [str(item.ticket) for item in await self._leftovers()]
        if rest or trouble:
            raise Failed(
                "; ".join(
                    [f"still there, close by hand: {', '.join(rest)}"] * bool(rest)
                    + [trouble] * bool(trouble)
                )
            )
        return f"{closed} left over and closed" if closed else "nothing of the trial is left"

    async def _leftovers(self) -> list[Position | PendingOrder]:
        snapshot = await self._broker.snapshot()
        before = self._before or frozenset()
        return [
            item
            for item in (*snapshot.positions, *snapshot.orders)
            if item.magic == self._wanted.magic and item.ticket not in before
        ]

    async def _close_leftovers(self, turn: str) -> int:
        found = await self._leftovers()
        for item in found:
            action: Action = (
                ClosePosition(item.ticket) if isinstance(item, Position) else CancelOrder(item.ticket)
            )
            await self._send(f"clean-{turn}-{item.ticket}", action, Origin.OPERATOR)
        return len(found)

    # -------------------------------------------------------------- tools

    async def _check(self, name: str, step: Callable[[], Awaitable[str]], *, vital: bool = False) -> None:
        try:
            check = Check(name, Status.PASSED, await step())
        except NotTested as fault:
            check = Check(name, Status.NOT_TESTED, str(fault))
        except (Failed, TerminalUnavailable) as fault:
            check = Check(name, Status.FAILED, str(fault))
        self._note(check)
        if vital and check.status is not Status.PASSED:
            raise GivenUp

    def _note(self, check: Check) -> None:
        self._result.checks.append(check)
        if self._say is not None:
            self._say(f"{mark(_MARKS[check.status])} {check.name}: {check.detail}")

    def _id(self, name: str) -> CommandId:
        return CommandId(f"accept-{self._run_id}-{name}")

    def _command(self, name: str, action: Action, origin: Origin = Origin.BRAIN) -> TradeCommand:
        now = self._clock.now()
        return TradeCommand(
            self._id(name), action, now, now + timedelta(milliseconds=_TTL), "0" * 64, origin=origin
        )

    async def _send(self, name: str, action: Action, origin: Origin = Origin.BRAIN) -> Execution:
        return await self._broker.send(self._command(name, action, origin), self._terms)

    async def _do(self, name: str, action: Action) -> Execution:
        """A trade that must succeed. Raises Failed."""
        self._needs_trading()
        began = self._clock.monotonic()
        done = await self._send(name, action)
        if done.state is not ExecutionState.DONE:
            raise Failed(told(done))
        self._result.latencies.setdefault("trade (the broker included)", []).append(
            (self._clock.monotonic() - began) * 1000
        )
        return done

    def _hints(self) -> FindHints:
        return FindHints(
            since=self._began - timedelta(minutes=5),
            tag=self._terms.tag,
            symbol=self._wanted.symbol,
            magic=self._wanted.magic,
        )

    async def _market(self) -> tuple[SymbolSpec, Quote]:
        self._needs_trading()
        quotes = await self._broker.quotes([self._wanted.symbol])
        if self._spec is None or not quotes:
            raise NotTested(f"there is no quote of {self._wanted.symbol}")
        return self._spec, quotes[0]

    async def _seen(self, condition: Callable[[TerminalSnapshot], bool]) -> None:
        """Raises Failed unless the terminal's lists show it soon."""
        deadline = self._clock.monotonic() + _SETTLES
        while not condition(await self._broker.snapshot()):
            if self._clock.monotonic() >= deadline:
                raise Failed(f"confirmed, but {_SETTLES:g} s later the terminal's lists do not show it")
            await self._clock.sleep(_LOOK_AGAIN)

    def _needs_trading(self) -> None:
        if self._no_trading:
            raise NotTested(self._no_trading)

    def _needs_open(self) -> tuple[OpenPosition, Execution]:
        self._needs_trading()
        if self._opened is None:
            raise NotTested("no position was opened")
        return self._opened

    def _needs_position(self) -> Ticket:
        self._needs_trading()
        if self._position is None:
            raise NotTested("there is no position")
        return self._position

    def _needs_order(self) -> Ticket:
        self._needs_trading()
        if self._order is None:
            raise NotTested("there is no order")
        return self._order

    @staticmethod
    def _expect_refusal(done: Execution, code: str) -> None:
        if (done.state, done.code) != (ExecutionState.REFUSED, code):
            raise Failed(f"must be refused with {code}, but: {told(done)}")


def with_ticket(items: Iterable[Item], ticket: Ticket | None) -> Item | None:
    """The position or order of that number."""
    return next((item for item in items if item.ticket == ticket), None)


def told(done: Execution) -> str:
    """An execution in a few words."""
    words = [done.state.value, done.code or "", f"retcode {done.retcode}" if done.retcode is not None else ""]
    return " ".join(filter(None, words)) + (f": {done.message}" if done.message else "")


def smallest_volume(spec: SymbolSpec) -> Volume:
    """The least that the broker takes, on its step."""
    steps = (spec.volume_min / spec.volume_step).to_integral_value(ROUND_UP)
    return Volume((steps * spec.volume_step).normalize() + Decimal(0))


def at_distance(spec: SymbolSpec, price: Decimal, percent: int) -> Price:
    """A price so many percent from `price`, on the tick, and certainly beyond the stops level."""
    distance = max(price * abs(percent) / 100, 2 * spec.stops_level * spec.point)
    target = price + distance.copy_sign(Decimal(percent))
    ticks = (target / spec.tick_size).to_integral_value(ROUND_DOWN)
    return Price((ticks * spec.tick_size).quantize(Decimal(1).scaleb(-spec.digits)))
