"""The Broker port over the terminal's wire: the Expert Advisor of mql5_ea or the simulated terminal (EA_PROTOCOL.md).

Sessions are judged by app/protocol, words translated by mt5_wire.py, sockets held by mt5_sockets.py; here they meet the
engine's loop. No decision about trading belongs here, and nothing is ever sent a second time.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import zmq

from app.adapters import mt5_sockets, mt5_wire
from app.adapters.mt5_stream import TerminalStream, WireCounters
from app.domain.commands import TradeCommand
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, Finding
from app.domain.market import Deal, Quote, SymbolSpec, TerminalSnapshot
from app.domain.values import CommandId, Symbol
from app.engine.broker import BrokerListener, DispatchTerms, FindHints, LinkState, TerminalHello
from app.engine.ports import Clock
from app.engine.tasks import TaskKeeper
from app.protocol import ea_client_session as wire_session
from app.protocol.ea_client_session import ExecutorSession, Identity
from app.protocol.ea_frames import BadFrame, Reply, open_sealed, seal
from app.protocol.ea_messages import (
    deal_from_wire,
    finding_from_wire,
    quote_from_wire,
    snapshot_from_wire,
    symbol_from_wire,
    to_ms,
)

RETRY_AFTER_LOSS: Final = 0.25
RETRY_AFTER_REFUSAL: Final = 1.0
JITTER: Final = 0.2
STREAM_SILENCE: Final = 3.0
"""Seconds without the stream's heartbeat after which the link counts as degraded: quotes may be old."""
QUESTION_TTL: Final = 5000
PAGES: Final = 1000
"""Most pages of history asked for one answer: a million deals."""
BYE_LINGER_MS: Final = 50

T = TypeVar("T")


class ZmqBroker:
    """One terminal on this machine. All methods belong to the loop that runs `run`.

    `answer_timeout` in seconds: after it a trade without an answer is UNKNOWN. `nonces` gives 32 fresh hex digits.
    """

    def __init__(
        self,
        *,
        key: bytes,
        command_port: int,
        stream_port: int,
        identity: Identity,
        clock: Clock,
        answer_timeout: float = 10.0,
        nonces: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._key = key
        self._command_port = command_port
        self._stream_port = stream_port
        self._identity = identity
        self._clock = clock
        self._answer_timeout = answer_timeout
        self._nonces = nonces
        self._epoch = 0
        self.counters = WireCounters()

        self._listener: BrokerListener | None = None
        self._session: ExecutorSession | None = None
        self._link: mt5_sockets.LoopSocket | None = None
        self._ended: asyncio.Future[float] | None = None
        """Resolves when the session is over, with the seconds to wait before the next."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._trades: dict[int, asyncio.Future[Execution]] = {}
        self._questions: dict[int, asyncio.Future[Reply]] = {}
        self._stream = TerminalStream(key, clock, self.counters, self._on_another_life)
        self._up = False
        """Whether the listener was told of this session."""
        self._wanted: dict[Symbol, int] = {}
        """Symbols to stream with their interval, ms."""
        self._refused: tuple[str, int | None] | None = None
        self._retry = asyncio.Event()

    # -------------------------------------------------------------- the port

    @property
    def state(self) -> LinkState:
        if self._listener is None:
            return LinkState.DOWN
        if self._session is None or not self._session.is_open:
            return LinkState.CONNECTING
        now = self._clock.monotonic()
        slow = now - self._session.silent_since > 2 * wire_session.HEARTBEAT_INTERVAL
        return LinkState.DEGRADED if slow or now - self._stream.heard > STREAM_SILENCE else LinkState.UP

    @property
    def session_id(self) -> str:
        return self._session.sid if self._session is not None and self._session.is_open else ""

    async def run(self, listener: BrokerListener) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        keeper = TaskKeeper("terminal")
        self._listener = listener
        stream = mt5_sockets.LoopSocket(
            mt5_sockets.subscriber(context, self._stream_port), self._stream.on_frames
        )
        try:
            while True:
                pause = await self._live_one_session(context, keeper)
                await self._pause(pause)
        finally:
            await keeper.close()
            stream.close()
            self._listener = None
            # All sockets are closed: this only lets a last `bye` leave.
            context.term()

    def set_epoch(self, epoch: int) -> None:
        raised = epoch > self._epoch
        self._epoch = epoch
        self._retry.set()
        if raised and self._session is not None:
            self._end(self._session.close("the epoch was raised"), pause=0.0)

    def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
        cmd, args = mt5_wire.trade_request(command, terms)
        number = self._hand_over(cmd, args, terms.ttl, cid=command.command_id)
        answer: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        self._trades[number] = answer
        return answer

    async def find(self, command_id: CommandId, hints: FindHints) -> Finding:
        reply = await self._ask("find", mt5_wire.find_args(hints), cid=command_id)
        return self._read("find", reply, finding_from_wire)

    async def snapshot(self) -> TerminalSnapshot:
        reply = await self._ask("snapshot", {})
        received = self._clock.monotonic()
        return self._read("snapshot", reply, lambda data: snapshot_from_wire(data, received))

    async def symbol(self, symbol: Symbol) -> SymbolSpec | None:
        reply = await self._ask("symbol", {"symbol": str(symbol)}, expected=("SYMBOL_UNKNOWN",))
        return self._read("symbol", reply, symbol_from_wire) if reply.ok else None

    async def quotes(self, symbols: Sequence[Symbol]) -> tuple[Quote, ...]:
        reply = await self._ask("quotes", {"symbols": [str(symbol) for symbol in symbols]})
        received = self._clock.monotonic()
        return self._read(
            "quotes", reply, lambda data: tuple(quote_from_wire(item, received) for item in data["quotes"])
        )

    async def history(self, since: datetime, until: datetime) -> tuple[Deal, ...]:
        found: dict[int, Deal] = {}
        start, end = to_ms(since), to_ms(until)
        for _ in range(PAGES):
            reply = await self._ask("history", {"from": start, "to": end})
            page = self._read(
                "history", reply, lambda data: tuple(deal_from_wire(item) for item in data["deals"])
            )
            found |= {deal.ticket: deal for deal in page}
            if not reply.data.get("more") or not page:
                break
            # Deals of one millisecond may be cut apart: the next page begins with the last moment of this one.
            start = max(to_ms(page[-1].time), start + (to_ms(page[0].time) == to_ms(page[-1].time)))
        return tuple(sorted(found.values(), key=lambda deal: (deal.time, deal.ticket)))

    async def subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> tuple[Symbol, ...]:
        if not symbols:
            return ()
        accepted = await self._subscribe(tuple(symbols), min_interval)
        self._wanted |= dict.fromkeys(accepted, min_interval)
        return accepted

    async def resume(self) -> bool:
        reply = await self._ask("resume", {}, expected=None)
        return reply.ok

    # -------------------------------------------------------------- one session

    async def _live_one_session(self, context: zmq.Context[Any], keeper: TaskKeeper) -> float:
        """From connecting to the end; returns the seconds to wait before the next."""
        self._ended = asyncio.get_running_loop().create_future()
        socket = mt5_sockets.dealer(context, self._command_port)
        watch = mt5_sockets.DisconnectWatch(socket, self._on_disconnect)
        self._link = mt5_sockets.LoopSocket(
            socket, lambda batch: self._on_command_frames(batch, keeper), self._greet
        )
        linger = 0
        try:
            return await self._ended
        finally:
            if self._session is not None:
                if self._session.is_open:
                    farewell = self._session.farewell(self._clock.monotonic())
                    if self._session.waiting == 0 and self._link.send(self._sealed(farewell)):
                        linger = BYE_LINGER_MS
                self._end(self._session.close("the executor ended the session"))
            watch.close()
            self._link.close(linger)
            self._link = None

    async def _pause(self, seconds: float) -> None:
        self._retry.clear()
        if seconds:
            jittered = seconds * random.uniform(1, 1 + JITTER)
            try:
                async with asyncio.timeout(jittered):
                    await self._retry.wait()
            except TimeoutError:
                pass

    def _greet(self) -> None:
        """A terminal is there: begin a session."""
        now = self._clock.monotonic()
        self._session = ExecutorSession(
            identity=self._identity,
            role="command",
            nonce=self._nonces(),
            epoch=self._epoch,
            wall=to_ms(self._clock.now()),
            started=now,
        )
        self._flush()
        self._set_timer()

    def _on_disconnect(self) -> None:
        if self._link is not None:
            self._link.drain()
        if self._session is not None:
            self._end(self._session.close("the connection to the terminal broke"))
        elif self._ended is not None and not self._ended.done():
            self._ended.set_result(RETRY_AFTER_LOSS)

    def _on_command_frames(self, batch: list[mt5_sockets.Frames], keeper: TaskKeeper) -> None:
        now = self._clock.monotonic()
        for frames in batch:
            if self._session is None:
                return
            message = self._open(frames)
            if message is None:
                continue
            if "re" not in message and "ev" in message:
                self._stream.on_message(_topic(message), message, now)
                continue
            self._apply(self._session.receive(message, now), keeper)
        self._flush()
        self._set_timer()

    def _on_timer(self) -> None:
        self._timer = None
        if self._session is not None:
            self._apply(self._session.tick(self._clock.monotonic()), None)
            self._flush()
            self._set_timer()

    def _set_timer(self) -> None:
        if self._session is None:
            return
        due = self._session.next_tick()
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        delay = max(0.001, due - self._clock.monotonic())
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _flush(self) -> None:
        """Send what the session itself wants to say. What does not leave is missed by nobody: silence tells."""
        if self._session is not None and self._link is not None:
            for body in self._session.take_frames():
                self._link.send(self._sealed(body))

    def _apply(self, events: list[wire_session.Event], keeper: TaskKeeper | None) -> None:
        for event in events:
            match event:
                case wire_session.Answered():
                    self._answered(event)
                case wire_session.TimedOut():
                    self._timed_out(event.id)
                case wire_session.LateReply():
                    self.counters.late_replies += 1
                case wire_session.Beat():
                    self._on_beat(event.data, event.round_trip)
                case wire_session.Opened():
                    self._opened(event, keeper)
                case wire_session.Refused() | wire_session.Lost():
                    self._end(event)

    def _opened(self, event: wire_session.Opened, keeper: TaskKeeper | None) -> None:
        welcome = event.welcome
        self.counters.sessions += 1
        self._refused = None
        self._up = True
        self._stream.begin(welcome.boot, event.heartbeat.get("trade_seq"), self._listener)
        if self._wanted and keeper is not None:
            keeper.spawn("subscriptions", self._renew_subscriptions())
        if self._listener is not None:
            self._listener.on_terminal_up(
                TerminalHello(
                    session_id=welcome.sid,
                    boot=welcome.boot,
                    terminal=welcome.terminal,
                    login=welcome.login,
                    mode=welcome.mode,
                    epoch=welcome.epoch,
                    stopped=welcome.stopped,
                    stop_reason=welcome.stop_reason,
                )
            )

    def _answered(self, event: wire_session.Answered) -> None:
        trade = self._trades.pop(event.id, None)
        if trade is not None and not trade.done():
            trade.set_result(mt5_wire.execution_of(event.reply))
        question = self._questions.pop(event.id, None)
        if question is not None and not question.done():
            question.set_result(event.reply)

    def _timed_out(self, number: int) -> None:
        self.counters.timeouts += 1
        trade = self._trades.pop(number, None)
        if trade is not None and not trade.done():
            trade.set_result(
                mt5_wire.unknown(
                    f"the terminal did not answer within {self._answer_timeout:g} seconds:"
                    " the trade may or may not have been done"
                )
            )
        question = self._questions.pop(number, None)
        if question is not None and not question.done():
            question.set_exception(TerminalUnavailable("the terminal did not answer in time"))

    def _end(self, event: wire_session.Refused | wire_session.Lost, pause: float | None = None) -> None:
        """The session is over: nothing stays under way, and the listener learns it once."""
        session, self._session = self._session, None
        if session is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted = session.counters
        self.counters.unexpected_replies += counted.foreign + counted.repeated
        self.counters.unreadable += counted.malformed
        reason = event.message if isinstance(event, wire_session.Refused) else event.reason
        trades, self._trades = self._trades, {}
        for trade in trades.values():
            if not trade.done():
                trade.set_result(mt5_wire.unknown(f"{reason}: the trade may or may not have been done"))
        questions, self._questions = self._questions, {}
        for question in questions.values():
            if not question.done():
                question.set_exception(TerminalUnavailable(reason))
        self._stream.end()
        self._tell_end(event)
        if self._ended is not None and not self._ended.done():
            if pause is None:
                lost = isinstance(event, wire_session.Lost) and event.answered
                pause = RETRY_AFTER_LOSS if lost else RETRY_AFTER_REFUSAL
            self._ended.set_result(pause)

    def _tell_end(self, event: wire_session.Refused | wire_session.Lost) -> None:
        up, self._up = self._up, False
        if self._listener is None:
            return
        if up:
            self._listener.on_terminal_down(
                event.message if isinstance(event, wire_session.Refused) else event.reason
            )
        if isinstance(event, wire_session.Refused):
            self._report_refusal(event.code, event.message, event.epoch)
        elif event.reason == wire_session.NO_ANSWER:
            self._report_refusal(
                "NO_ANSWER",
                f"a program listens on port {self._command_port} but does not answer: it holds another key, hangs, or is no"
                " terminal of ours. Nothing can be sent. Compare the key files and restart the Expert Advisor",
                None,
            )

    def _report_refusal(self, code: str, message: str, epoch: int | None) -> None:
        """Once, until it changes: the same refusal comes again with every attempt."""
        if self._refused != (code, epoch) and self._listener is not None:
            self._refused = (code, epoch)
            self._listener.on_terminal_refused(code, message, epoch)

    def _on_another_life(self, boot: str) -> None:
        if self._session is not None:
            self._end(self._session.close("the terminal was started again"))

    def _on_beat(self, data: Mapping[str, Any], round_trip: float) -> None:
        self._stream.told(data.get("trade_seq"))
        try:
            heartbeat = mt5_wire.heartbeat_from_wire(data, round_trip)
        except mt5_wire.UNREADABLE:
            self.counters.unreadable += 1
            return
        if self._listener is not None:
            self._listener.on_heartbeat(heartbeat)

    # -------------------------------------------------------------- requests

    def _hand_over(self, cmd: str, args: Mapping[str, Any], ttl: int, *, cid: str | None = None) -> int:
        """Number of the request that was sent. Raises TerminalUnavailable: certainly not sent."""
        session, link = self._session, self._link
        if session is None or link is None or not session.is_open:
            raise TerminalUnavailable("there is no session with the terminal: nothing was sent")
        now = self._clock.monotonic()
        number, body = session.request(cmd, args, ttl=ttl, timeout=self._answer_timeout, now=now, cid=cid)
        if not link.send(self._sealed(body)):
            session.forget(number)
            raise TerminalUnavailable("the terminal takes no more commands at the moment: nothing was sent")
        if self._timer is None or now + self._answer_timeout < self._timer_due:
            self._set_timer()
        return number

    async def _ask(
        self,
        cmd: str,
        args: Mapping[str, Any],
        *,
        cid: str | None = None,
        expected: Sequence[str] | None = (),
    ) -> Reply:
        """One question and its answer; codes in `expected` (None: all) are answers, others raise TerminalUnavailable."""
        number = self._hand_over(cmd, args, QUESTION_TTL, cid=cid)
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        reply = await answer
        if not reply.ok and expected is not None and reply.code not in expected:
            raise TerminalUnavailable(f"the terminal refused to answer {cmd}: {reply.code}: {reply.message}")
        return reply

    def _read(self, cmd: str, reply: Reply, reader: Callable[[Mapping[str, Any]], T]) -> T:
        try:
            return reader(reply.data)
        except mt5_wire.UNREADABLE as fault:
            self.counters.unreadable += 1
            raise TerminalUnavailable(f"the terminal's answer to {cmd} cannot be read: {fault}") from None

    async def _subscribe(self, symbols: tuple[Symbol, ...], min_interval: int) -> tuple[Symbol, ...]:
        """Those of `symbols` that the terminal knows, now streamed."""
        args = {"symbols": [str(symbol) for symbol in symbols], "min_interval": min_interval}
        reply = await self._ask("subscribe", args, expected=("SYMBOL_UNKNOWN",))
        if reply.ok:
            return symbols
        if len(symbols) == 1:
            return ()
        # One unknown name refuses them all: find the known ones.
        known = [await self._subscribe((symbol,), min_interval) for symbol in symbols]
        return tuple(symbol for part in known for symbol in part)

    async def _renew_subscriptions(self) -> None:
        by_interval: dict[int, list[Symbol]] = {}
        for symbol, interval in self._wanted.items():
            by_interval.setdefault(interval, []).append(symbol)
        try:
            for interval, symbols in by_interval.items():
                await self._subscribe(tuple(symbols), interval)
        except TerminalUnavailable:
            return  # the session that these were for has ended; the next one renews them

    # -------------------------------------------------------------- frames

    def _sealed(self, body: bytes) -> tuple[bytes, bytes]:
        return body, seal(self._key, body)

    def _open(self, frames: mt5_sockets.Frames) -> Mapping[str, Any] | None:
        if len(frames) == 2:
            try:
                return open_sealed(self._key, *frames)
            except BadFrame:
                pass
        self.counters.bad_frames += 1
        return None


def _topic(message: Mapping[str, Any]) -> bytes:
    """The topic that a stream body would have had on a connection of its own (§9)."""
    ev, data = message.get("ev"), message.get("data")
    if ev == "tick" and isinstance(data, dict):
        return f"tick.{data.get('symbol')}".encode()
    return str(ev).encode()
