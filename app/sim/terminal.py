"""The simulated terminal itself: sockets, the one loop that takes command after command, stop and restart.

Use it in-process (`async with SimulatedTerminal(config) as terminal`) or as a program (run.py). It takes one
message from the wire at a time, so that a stop waits behind at most one command.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq

from app.domain.errors import InvalidValue
from app.protocol import ea_frames as frames
from app.protocol.ea_frames import Reply, Request
from app.protocol.ea_messages import permissions_to_wire, position_to_wire, quote_to_wire
from app.protocol.ea_session import Admitted, Dropped, Refused
from app.sim import command_args as args
from app.sim import questions, triggers
from app.sim.clock import MachineClock, SimClock
from app.sim.command_args import Refuse
from app.sim.config import SimConfig, check
from app.sim.effects import Effect
from app.sim.faults import Faults, Restarting
from app.sim.key_file import load_or_make_key
from app.sim.ledger import LedgerFailed
from app.sim.life import Life, Origins
from app.sim.market import Market
from app.sim.sockets import Wakeup, bind, has_message
from app.sim.stream import Stream
from app.sim.trade_desk import TradeDesk
from app.sim.trade_requests import Origin
from app.sim.wire_log import WireLog

NAME = "simulated 0.1.0"
HEARTBEAT = 1.0
_PARTS = 3
"""ROUTER's routing part, body, mac."""


class SimulatedTerminal:
    """A terminal with its broker and its market, serving until it is closed.

    `life` is the present boot (broker, ledgers, sessions), replaced by `restart`; `market` and `faults` stay.
    Entering raises ConfigurationError, PortInUse, LedgerDamaged or LedgerFailed.
    """

    def __init__(self, config: SimConfig, clock: SimClock | None = None) -> None:
        self.config = config
        self.clock = clock or MachineClock()
        self.faults = Faults(seed=config.seed)
        for spec in config.faults:
            self.faults.add(spec)
        self.market = Market(check(config), seed=config.seed, now=self.clock.utc())
        self.key = load_or_make_key(config.key_file)
        self.dropped: Counter[str] = Counter()
        """Frames that got no answer, by cause."""
        self.restarts = 0
        self._wire_log = WireLog(config.wire_log, self.clock)
        self._context = zmq.Context()
        self._temporary: Path | None = None
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ life cycle

    async def __aenter__(self) -> Self:
        config = self.config
        with ExitStack() as unless_done:
            unless_done.callback(self._release)
            self._router = self._context.socket(zmq.ROUTER)
            self._router.set(zmq.MAXMSGSIZE, frames.MAX_REQUEST)
            self.command_port = bind(self._router, config.command_port, "command port")
            self._pub = self._context.socket(zmq.PUB)
            self.stream_port = bind(self._pub, config.stream_port, "stream port")
            self.ledger_path = config.ledger if config.ledger is not None else self._temporary_ledger()
            self._begin_life()
            unless_done.pop_all()
        await self._tasks.__aenter__()
        for name, work in (("serve", self._serve), ("ticks", self._run_market), ("heartbeat", self._beat)):
            self.spawn(work(), f"sim {name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in tuple(self._running):
            task.cancel()
        try:
            # The body's own error goes on as it is; only a cancellation is the group's business.
            if kind is not None and not issubclass(kind, asyncio.CancelledError):
                kind, error, trace = None, None, None
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            self._flush()
            self.life.close()
            self._release()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something beside the terminal until it closes; its failure ends the terminal."""
        task = self._tasks.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def restart(self) -> None:
        """End this life without a word and begin the next one from the files, as a terminal's restart does."""
        self.life.close()
        self.restarts += 1
        self._begin_life()

    def _begin_life(self) -> None:
        config = self.config
        origins = Origins(config.account, config.leverage, config.balance, config.first_ticket)
        self.life = life = Life(self.ledger_path, self.market, self.clock, origins)
        self.stream = Stream(life.boot, life.now_ms)
        life.broker.listen = self._on_effect
        self.desk = TradeDesk(
            life,
            self.faults,
            mode=config.mode,
            latency=config.latency / 1000,
            later=self._later,
            broker=lambda: self.life.broker,
            note_asking=self._wire_log.asking,
        )
        self._day = triggers.broker_day(self.clock.utc())

    def _temporary_ledger(self) -> Path:
        self._temporary = Path(tempfile.mkdtemp(prefix="medulla-sim-"))
        return self._temporary / "ledger"

    def _release(self) -> None:
        self._context.destroy(linger=0)
        self._wire_log.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    # ------------------------------------------------------------------ commands

    async def _serve(self) -> None:
        with Wakeup(self._router) as wakeup:
            while True:
                if not has_message(self._router):
                    await wakeup.wait()
                    continue
                parts = self._router.recv_multipart(zmq.NOBLOCK)
                try:
                    await self._take(parts)
                except Restarting as fault:
                    self.restart()
                    if fault.down > 0:
                        await asyncio.sleep(fault.down)
                self._flush()
                await asyncio.sleep(0)

    async def _take(self, parts: list[bytes]) -> None:
        """Check, judge, handle and answer one message."""
        if len(parts) != _PARTS:
            self.dropped["parts"] += 1
            return
        peer, body, mac = parts
        try:
            request = frames.decode_request(frames.open_sealed(self.key, body, mac))
        except InvalidValue as fault:
            self.dropped[fault.rule] += 1
            return
        self._wire_log.frame(request)
        again = self.faults.items and self.faults.find("duplicate", request.cmd, _symbol(request)) is not None
        await self._judge(peer, request)
        if again:
            await self._judge(peer, request)

    async def _judge(self, peer: bytes, request: Request) -> None:
        verdict = self.life.sessions.receive(request, self.clock.monotonic())
        if isinstance(verdict, Dropped):
            self.dropped[verdict.why] += 1
            return
        if isinstance(verdict, Refused):
            self._reply(peer, request, verdict.reply)
            return
        try:
            if verdict.epoch_raised:
                self.life.keep_epoch()
            reply = await self._handle(verdict)
        except Refuse as refuse:
            reply = _error(request, refuse.code, refuse.message, refuse.data)
        except InvalidValue as fault:
            reply = _error(request, "INVALID_ARGS", str(fault))
        except LedgerFailed as fault:
            reply = _error(request, "LEDGER_FAILED", str(fault))
        self.faults.reach("before_reply", request.cmd, _symbol(request))
        self._reply(peer, request, reply)
        if request.cmd == "stop" and reply.ok:
            self._clear_away(request)

    async def _handle(self, admitted: Admitted) -> Reply:
        request, life = admitted.request, self.life
        if request.cmd in frames.TRADES:
            return await self.desk.handle(admitted)
        if request.cmd in questions.QUESTIONS:
            return _ok(request, questions.answer(life, request))
        match request.cmd:
            case "hello":
                return Reply(admitted.session.sid, request.id, ok=True, data=self._welcome(request))
            case "heartbeat":
                clock = admitted.session.clock(self.clock.monotonic())
                return _ok(request, questions.heartbeat(life) | {"clock": clock})
            case "bye":
                return _ok(request, {})
            case "subscribe":
                return _ok(request, self._subscribe(request))
            case "unsubscribe":
                self.stream.unsubscribe(args.read_symbols(request.args))
                return _ok(request, {"symbols": list(self.stream.subscriptions)})
            case "stop":
                return _ok(request, self._stop(request))
            case "resume":
                return _ok(request, self._resume(request))
            case _:
                raise Refuse("UNKNOWN_CMD", f"no command {request.cmd[:40]!r}")

    def _welcome(self, request: Request) -> dict[str, Any]:
        life = self.life
        return {
            "nonce": request.args["nonce"],
            "boot": life.boot,
            "terminal": NAME,
            "login": life.broker.money.account().login,
            "epoch": life.sessions.epoch,
            "stopped": life.state.stopped,
            "stop_reason": life.state.stop_reason,
            "mode": self.config.mode,
            "protocol": frames.VERSION,
        }

    def _subscribe(self, request: Request) -> dict[str, Any]:
        symbols = args.read_symbols(request.args)
        interval = args.read_int(request.args, "min_interval", 0, 3_600_000) / 1000
        for symbol in symbols:
            if symbol not in self.market:
                raise Refuse(
                    "SYMBOL_UNKNOWN", f"the broker has no symbol {symbol[:40]!r}; nothing subscribed"
                )
        self.stream.subscribe(symbols, interval, lossless=request.args.get("lossless") is True)
        for symbol in symbols:
            self.stream.tick(self.market.quote(symbol), self.clock.monotonic())
        return {"symbols": list(self.stream.subscriptions)}

    # ------------------------------------------------------------------ stop

    def press_stop(self, reason: str, by: str = "button") -> None:
        """Latch from the terminal's own side. Raises LedgerFailed, stopped in memory all the same."""
        self.stream.publish("stopped", {"stopped": True, "reason": reason, "by": by})
        self.life.latch(reason, 0)
        self._flush()
        self._wire_log.stopped(by, reason)

    def _stop(self, request: Request) -> dict[str, Any]:
        reason = args.text(request.args, "reason")
        known = self.life.state.stopped
        state = self.life.latch(reason, request.epoch)
        self._wire_log.stopped("executor", reason)
        if not known:
            self.stream.publish("stopped", {"stopped": True, "reason": reason, "by": "executor"})
        return {"stopped": True, "epoch": self.life.sessions.epoch, "latched_at": state.latched_at}

    def _clear_away(self, request: Request) -> None:
        """What a stop asks for beyond the latch, for the executor's own trades alone; refusals are left as they are."""
        broker = self.life.broker
        origin = Origin(reason="stop")
        if request.args.get("cancel_orders") is True:
            for order in [
                order for ticket, order in broker.book.orders.items() if ticket in broker.book.owners
            ]:
                broker.cancel(order.ticket, origin)
        if request.args.get("close_positions") is True:
            for position in [
                p for ticket, p in broker.book.positions.items() if ticket in broker.book.owners
            ]:
                broker.close(position.ticket, None, origin)

    def _resume(self, request: Request) -> dict[str, Any]:
        life = self.life
        if life.state.stopped:
            if request.epoch <= life.state.latched_epoch:
                raise Refuse(
                    "EPOCH_TOO_LOW",
                    "resume needs an epoch above the latched one",
                    epoch=life.state.latched_epoch,
                )
            life.unlatch()
            self._wire_log.resumed(life.sessions.epoch)
        return {"stopped": False, "epoch": life.sessions.epoch}

    # ------------------------------------------------------------------ market and stream

    def quote_changed(self, symbol: str) -> None:
        """Let a new quote work: triggers at the broker first, then the stream."""
        quote = self.market.quote(symbol)
        triggers.on_quote(self.life.broker, quote)
        if self.life.permissions.connected:
            self.stream.tick(quote, self.clock.monotonic())
        self._flush()

    async def _run_market(self) -> None:
        symbols = self.market.symbols
        rate = self.config.tick_rate * len(symbols)
        pause = 1 / rate if rate > 0 else 0.05
        turn = 0
        while True:
            await asyncio.sleep(pause)
            symbol = symbols[turn % len(symbols)]
            turn += 1
            if rate > 0 and self.market.step(symbol, self.clock.utc()) is not None:
                self.quote_changed(symbol)
            self.stream.due(self.market.quote, self.clock.monotonic())
            triggers.on_time(self.life.broker, self.clock.utc())
            self._flush()

    async def _beat(self) -> None:
        while True:
            self.stream.publish("heartbeat", questions.heartbeat(self.life))
            day = triggers.broker_day(self.clock.utc())
            if day != self._day:
                self._day = day
                triggers.roll_over(self.life.broker)
            self._flush()
            await asyncio.sleep(HEARTBEAT)

    def _on_effect(self, effect: Effect) -> None:
        self._wire_log.effect(effect)
        self.life.trade_seq = self.stream.effect(effect)

    def _flush(self) -> None:
        """Publish what has happened; trades that happen while the broker is out of reach are heard of later."""
        life = self.life
        for event in self.stream.take(life.broker.money.account, trades=life.permissions.connected):
            body = frames.encode_event(event)
            self._pub.send_multipart([event.topic.encode(), body, frames.seal(self.key, body)])

    def _reply(self, peer: bytes, request: Request, reply: Reply) -> None:
        if self.faults.items and self.faults.find("reply_lost", request.cmd, _symbol(request)) is not None:
            return
        body = frames.encode_reply(reply)
        try:
            self._router.send_multipart([peer, body, frames.seal(self.key, body)], zmq.NOBLOCK)
        except zmq.Again:
            self.dropped["reply could not be handed over"] += 1

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            work()
            self._flush()

        self.spawn(wait(), "sim later")

    def state(self) -> dict[str, Any]:
        """Everything a test may want to look at, as JSON values."""
        life = self.life
        return {
            "boot": life.boot,
            "balance": life.broker.book.balance,
            "stopped": life.state.stopped,
            "epoch": life.sessions.epoch,
            "permissions": permissions_to_wire(life.permissions),
            "positions": [position_to_wire(position) for position in life.broker.book.positions.values()],
            "orders": len(life.broker.book.orders),
            "deals": len(life.broker.book.deals),
            "commands": len(life.commands),
            "quotes": [quote_to_wire(self.market.quote(symbol)) for symbol in self.market.symbols],
            "dropped": dict(self.dropped),
            "restarts": self.restarts,
            "faults": [{"spec": f.spec, "seen": f.seen, "struck": f.struck} for f in self.faults.items],
        }


def _symbol(request: Request) -> str | None:
    symbol = request.args.get("symbol")
    return symbol if isinstance(symbol, str) else None


def _ok(request: Request, data: dict[str, Any]) -> Reply:
    return Reply(request.sid, request.id, ok=True, cid=request.cid, data=data)


def _error(request: Request, code: str, message: str, data: dict[str, Any] | None = None) -> Reply:
    return Reply(
        request.sid, request.id, ok=False, code=code, message=message, cid=request.cid, data=data or {}
    )
