"""`medulla ea accept`: a trial of the terminal that runs now, through the executor's real way to it, with the smallest volume and
trades of its own alone.

It trades on a demo account only. Whatever happens in between, what it opened it closes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from app import __version__
from app.adapters.key_file import load_key
from app.adapters.mt5_stop_channel import ZmqStopChannel
from app.adapters.mt5_zmq import ZmqBroker
from app.cli.ea_desk import Say, TrialDesk, smallest_volume
from app.cli.ea_trades import Trades
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
    Origin,
)
from app.domain.errors import TerminalUnavailable
from app.domain.market import (
    AccountMode,
    MarginMode,
    Position,
)
from app.engine.broker import Broker, StopAnswer
from app.engine.tasks import TaskKeeper
from app.protocol.ea_client_session import Identity
from app.settings import Settings

__all__ = ["Trial", "Wanted", "run_acceptance"]

SendStop = Callable[[str, int], StopAnswer]
"""(reason, epoch) -> answer; blocking, in a thread of its own."""

_SOON: Final = 3
"""Quotes to wait for."""


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
        channel = ZmqStopChannel(
            key=key,
            command_port=port,
            stop_port=settings.terminal.stop_port,
            identity=identity,
            clock=clock,
        )
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
        transport=settings.terminal.transport,
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
        self._desk = TrialDesk(broker, ears, clock, wanted, say)
        self._send_stop = send_stop
        self._where = where
        self._epoch = 0
        self._stopped_by_us = False

    async def run(self) -> Acceptance:
        """Try everything in order, clean up, and tell. Raises nothing that a terminal can cause."""
        try:
            await self._desk.check("hello", self._hello, vital=True)
            await self._desk.check("demo account", self._demo_account, vital=True)
        except GivenUp:
            return self._desk.result
        try:
            await self._read_only()
            await Trades(self._desk).run()
            await self._stops()
        finally:
            await self._desk.check("cleaned up", self._clean_up)
        return self._desk.result

    async def _read_only(self) -> None:
        await self._desk.check("permissions", self._permissions)
        await self._desk.check("snapshot", self._snapshot)
        await self._desk.check("symbol", self._symbol)
        await self._desk.check("heartbeat on the stream", self._heartbeat)
        await self._desk.check("quotes", self._quotes)
        await self._desk.check("round trip", self._round_trip)
        await self._desk.check("ready to trade", self._ready)

    async def _stops(self) -> None:
        if not self._desk.wanted.with_stop:
            for name in ("stop", "resume"):
                self._desk.note(Check(name, Status.LEFT_OUT, "--no-stop"))
            return
        await self._desk.check("stop", self._stop)
        await self._desk.check("resume", self._resume)

    # -------------------------------------------------------------- the session

    async def _hello(self) -> str:
        began = self._desk.clock.monotonic()
        while True:
            await self._desk.ears.until(
                lambda: self._desk.ears.open or self._desk.ears.refusals, self._desk.wanted.patience
            )
            if self._desk.ears.open:
                break
            if not self._desk.ears.refusals:
                raise Failed(
                    f"no terminal answers on {self._where}: is it running, with the EA on a chart and Algo Trading on?"
                )
            code, message, epoch = self._desk.ears.refusals.pop(0)
            if code == "EPOCH_TOO_LOW" and epoch is not None:
                self._desk.broker.set_epoch(epoch)
            elif code == "SESSION_TAKEN":
                raise Failed(
                    "another executor has the terminal: end Medulla's engine, wait 10 s, and try again"
                )
            else:
                raise Failed(f"{code}: {message}")
        hello = self._desk.ears.ups[-1]
        self._epoch = hello.epoch
        self._desk.result.terminal, self._desk.result.ea_mode = hello.terminal, hello.mode
        self._desk.result.login = "…" + hello.login[-3:]
        took = (self._desk.clock.monotonic() - began) * 1000
        if hello.stopped:
            self._desk.result.notes.append(f"the terminal was stopped before the trial: {hello.stop_reason}")
        return f"{hello.terminal}, mode {hello.mode}, epoch {hello.epoch}, session in {took:.0f} ms"

    async def _demo_account(self) -> str:
        account = (await self._desk.broker.snapshot()).account
        self._desk.result.server, self._desk.result.company = account.server, account.company
        self._desk.result.account_mode, self._desk.result.margin_mode = (
            account.mode.value,
            account.margin_mode.value,
        )
        told = f"{account.mode.value} account at {account.server}, {account.margin_mode.value}, {account.currency}"
        if account.mode is AccountMode.DEMO:
            return told
        if not self._desk.wanted.any_account:
            self._desk.result.refused = (
                f"this is a {account.mode.value} account at {account.server}, not a demo account: nothing was traded. Log the"
                " terminal in to a demo account and try again"
            )
            raise Failed(self._desk.result.refused)
        self._desk.result.notes.append(f"run on a {account.mode.value} account by explicit wish")
        return told

    # -------------------------------------------------------------- without effect

    async def _permissions(self) -> str:
        missing = (await self._desk.broker.snapshot()).permissions.missing()
        if missing:
            raise Failed(f"missing: {', '.join(missing)}; set them in MetaTrader 5")
        return "all there"

    async def _snapshot(self) -> str:
        snapshot = await self._desk.broker.snapshot()
        self._desk.before = frozenset(
            [position.ticket for position in snapshot.positions] + [order.ticket for order in snapshot.orders]
        )
        old = [str(item.ticket) for item in snapshot.positions if item.magic == self._desk.wanted.magic]
        old += [str(item.ticket) for item in snapshot.orders if item.magic == self._desk.wanted.magic]
        if old:
            self._desk.result.notes.append(
                f"positions or orders with magic {self._desk.wanted.magic} were there before and were left alone:"
                f" {', '.join(old)}"
            )
        return (
            f"{len(snapshot.positions)} positions, {len(snapshot.orders)} orders, server time"
            f" {snapshot.server_utc_offset / 3600:+g} h from UTC"
        )

    async def _symbol(self) -> str:
        spec = await self._desk.broker.symbol(self._desk.wanted.symbol)
        if spec is None:
            raise Failed(
                f"the terminal does not know {self._desk.wanted.symbol}; name one of Market Watch with --symbol, suffix included"
            )
        self._desk.spec = spec
        self._desk.halves = smallest_volume(spec)
        self._desk.result.volume = self._desk.halves
        return (
            f"{spec.execution} execution, filling {'/'.join(spec.filling) or 'none'}, volume {spec.volume_min}–{spec.volume_max}"
            f" step {spec.volume_step}, stops level {spec.stops_level} points"
        )

    async def _heartbeat(self) -> str:
        if not await self._desk.ears.until(lambda: self._desk.ears.stream_beats, self._desk.wanted.patience):
            raise Failed("nothing came on the stream: is terminal.stream_port the EA's InpStreamPort?")
        return "heard"

    async def _quotes(self) -> str:
        if self._desk.spec is None:
            raise NotTested("the symbol is not known")
        began = self._desk.clock.monotonic()
        await self._desk.broker.subscribe([self._desk.wanted.symbol], 0)
        await self._desk.ears.until(lambda: len(self._desk.ears.quotes) >= _SOON, self._desk.wanted.patience)
        took = self._desk.clock.monotonic() - began
        if not self._desk.ears.quotes:
            raise Failed(f"no quote of {self._desk.wanted.symbol} in {took:.0f} s")
        last = self._desk.ears.quotes[-1]
        return f"{len(self._desk.ears.quotes)} in {took:.1f} s, last {last.bid}/{last.ask}"

    async def _round_trip(self) -> str:
        times = []
        for _ in range(self._desk.wanted.round_trips):
            began = self._desk.clock.monotonic()
            await self._desk.broker.snapshot() if self._desk.spec is None else await self._desk.broker.quotes(
                [self._desk.wanted.symbol]
            )
            times.append((self._desk.clock.monotonic() - began) * 1000)
        self._desk.result.latencies["question (executor → EA → executor)"] = times
        ordered = sorted(times)
        return f"median {ordered[len(ordered) // 2]:.2f} ms, worst {ordered[-1]:.2f} ms of {len(ordered)}"

    async def _ready(self) -> str:
        try:
            await self._look_whether_trading_is_possible()
        except NotTested as fault:
            self._desk.no_trading = str(fault)
            raise
        self._desk.no_trading = ""
        return (
            f"trades of {self._desk.halves} and {self._desk.halves * 2} lots, magic {self._desk.wanted.magic}"
        )

    async def _look_whether_trading_is_possible(self) -> None:
        snapshot = await self._desk.broker.snapshot()
        spec, missing = self._desk.spec, snapshot.permissions.missing()
        if spec is None:
            raise NotTested("the symbol is not known")
        if self._desk.before is None:
            raise NotTested("it is not known what was open before")
        if missing:
            raise NotTested(f"missing: {', '.join(missing)}")
        if self._desk.ears.ups[-1].stopped:
            raise NotTested("the terminal is stopped; `medulla reset` and `medulla resume` first")
        if self._desk.ears.ups[-1].mode == "read_only":
            raise NotTested("the EA is read only (InpMode)")
        if not spec.session_open:
            raise NotTested(f"the market of {spec.symbol} is closed; try again when it is open")
        if self._desk.halves * 2 > spec.volume_max:
            raise NotTested(
                f"{spec.symbol} takes at most {spec.volume_max} lots: a partial close cannot be tried"
            )
        if snapshot.account.free_margin < spec.margin_per_lot * self._desk.halves * 2:
            raise NotTested(
                f"free margin {snapshot.account.free_margin} is too little; take a fresh demo account"
            )
        netting = snapshot.account.margin_mode is not MarginMode.HEDGING
        if netting and any(position.symbol == spec.symbol for position in snapshot.positions):
            raise NotTested(
                f"a {snapshot.account.margin_mode.value} account has one position a symbol, and {spec.symbol} has one: it would"
                " be changed. Close it or name another --symbol"
            )

    # -------------------------------------------------------------- stop and resume

    async def _stop(self) -> str:
        spec, quote = await self._desk.market()
        began = self._desk.clock.monotonic()
        self._stopped_by_us = True
        answer = await asyncio.to_thread(self._send_stop, "acceptance trial", self._epoch)
        took = (self._desk.clock.monotonic() - began) * 1000
        if not answer.acknowledged:
            raise Failed(answer.detail)
        self._desk.result.latencies["stop, connecting included"] = [took]
        action = self._desk.entry(spec, quote)
        self._desk.expect_refusal(await self._desk.send("while-stopped", action), "STOPPED")
        if await self._desk.broker.resume():
            self._stopped_by_us = False
            raise Failed("the terminal resumed in the epoch in which it was stopped")
        return f"acknowledged in {took:.0f} ms; entries refused, no resume in the same epoch"

    async def _resume(self) -> str:
        if not self._stopped_by_us:
            raise NotTested("the stop was not tried")
        await self._lift_stop()
        spec, quote = await self._desk.market()
        done = await self._desk.do("after-resume", self._desk.entry(spec, quote))
        if done.position is None:
            raise Failed("the answer names no position")
        await self._desk.do("after-resume-close", ClosePosition(done.position))
        return f"epoch {self._epoch}, trades go again"

    async def _lift_stop(self) -> None:
        self._epoch += 1
        sessions = len(self._desk.ears.ups)
        self._desk.broker.set_epoch(self._epoch)
        if not await self._desk.ears.until(
            lambda: len(self._desk.ears.ups) > sessions and self._desk.ears.open, self._desk.wanted.patience
        ):
            raise Failed(
                "no new session after the epoch was raised: the terminal is still stopped; `medulla reset`"
            )
        if not await self._desk.broker.resume():
            raise Failed("the terminal refused to resume: it is still stopped; `medulla reset`")
        self._stopped_by_us = False
        self._desk.result.notes.append(
            f"the terminal's epoch is {self._epoch} now; an executor with a lower one starts stopped once and wants"
            " `medulla reset`"
        )

    async def _clean_up(self) -> str:
        trouble = ""
        if self._desk.before is None:
            return "nothing was traded"
        await self._desk.ears.until(lambda: self._desk.ears.open, self._desk.wanted.patience)
        if self._desk.account_changed:
            raise Failed(
                "the terminal changed its account: what the trial left on the first one is to be closed there by hand"
            )
        if self._stopped_by_us:
            try:
                await self._lift_stop()
            except (Failed, TerminalUnavailable) as fault:
                trouble = str(fault)
        closed = await self._close_leftovers("a")
        # What was answered late may appear only now.
        closed += await self._close_leftovers("b")
        rest = [str(item.ticket) for item in await self._desk.leftovers()]
        if rest or trouble:
            raise Failed(
                "; ".join(
                    [f"still there, close by hand: {', '.join(rest)}"] * bool(rest)
                    + [trouble] * bool(trouble)
                )
            )
        return f"{closed} left over and closed" if closed else "nothing of the trial is left"

    async def _close_leftovers(self, turn: str) -> int:
        found = await self._desk.leftovers()
        for item in found:
            action: Action = (
                ClosePosition(item.ticket) if isinstance(item, Position) else CancelOrder(item.ticket)
            )
            await self._desk.send(f"clean-{turn}-{item.ticket}", action, Origin.OPERATOR)
        return len(found)
