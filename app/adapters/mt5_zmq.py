"""The Broker port over the terminal's wire: the Expert Advisor of mql5_ea or the simulated terminal (EA_PROTOCOL.md).

The connection lives in mt5_link.py, the stream in mt5_stream.py, the words in mt5_wire.py; here they become one broker. No
decision about trading belongs here, and nothing is ever sent a second time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import zmq

from app.adapters import mt5_sockets, mt5_wire
from app.adapters.mt5_link import CommandLink
from app.adapters.mt5_stream import TerminalStream, WireCounters
from app.domain.commands import TradeCommand
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, Finding
from app.domain.market import Deal, Quote, SymbolSpec, TerminalSnapshot
from app.domain.values import CommandId, Symbol
from app.engine.broker import BrokerListener, DispatchTerms, FindHints, LinkState, TerminalHello
from app.engine.ports import Clock
from app.engine.tasks import TaskKeeper
from app.protocol import ea_client_session as wire
from app.protocol.ea_client_session import Identity
from app.protocol.ea_fields import to_ms
from app.protocol.ea_frames import Reply
from app.protocol.ea_messages import (
    deal_from_wire,
    finding_from_wire,
    quote_from_wire,
    snapshot_from_wire,
    symbol_from_wire,
)

STREAM_SILENCE: Final = 3.0
"""Seconds without the stream's heartbeat after which the link counts as degraded: quotes may be old."""
STREAM_GATHER: Final = 0.003
"""Seconds that the stream waits: a trade's event comes with its answer, whose way to disk and brain it would hold up."""
QUESTION_TTL: Final = 5000
PAGES: Final = 1000
"""Most pages of history asked for one answer: a million deals."""

T = TypeVar("T")
Transport = Literal["connect", "listen"]


class ZmqBroker:
    """One terminal on this machine. All methods belong to the loop that runs `run`: a selector loop.

    `answer_timeout` in seconds: after it a trade without an answer is UNKNOWN. `nonces` gives 32 fresh hex digits. `transport`:
    `connect` to a terminal that listens, or `listen` for one that cannot (EA_PROTOCOL §9; its stream then comes the same way).
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
        transport: Transport = "connect",
        nonces: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.counters = WireCounters()
        self._command_port = command_port
        self._stream_port = stream_port
        self._listen = transport == "listen"
        self._clock = clock
        self._listener: BrokerListener | None = None
        self._keeper: TaskKeeper | None = None
        self._link = CommandLink(
            key=key,
            port=command_port,
            listen=self._listen,
            identity=identity,
            clock=clock,
            nonces=nonces,
            answer_timeout=answer_timeout,
            counters=self.counters,
            owner=self,
        )
        self._stream = TerminalStream(key, clock, self.counters, self._on_another_life)
        self._wanted: dict[Symbol, int] = {}
        """Symbols to stream with their interval, ms."""
        self._refused: tuple[str, int | None] | None = None

    # -------------------------------------------------------------- the port

    @property
    def state(self) -> LinkState:
        if self._listener is None:
            return LinkState.DOWN
        session = self._link.session
        if session is None:
            return LinkState.CONNECTING
        now = self._clock.monotonic()
        slow = now - session.silent_since > 2 * wire.HEARTBEAT_INTERVAL
        return LinkState.DEGRADED if slow or now - self._stream.heard > STREAM_SILENCE else LinkState.UP

    @property
    def session_id(self) -> str:
        session = self._link.session
        return "" if session is None else session.sid

    async def run(self, listener: BrokerListener) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._listener = listener
        self._keeper = TaskKeeper("terminal")
        stream = None
        if not self._listen:
            stream = mt5_sockets.LoopSocket(
                mt5_sockets.subscriber(context, self._stream_port),
                self._stream.on_frames,
                gather=STREAM_GATHER,
            )
        try:
            await self._link.live(context)
        finally:
            self._listener = None
            await self._keeper.close()
            if stream is not None:
                stream.close()
            # All sockets are closed: this only lets a last `bye` leave.
            context.term()

    def set_epoch(self, epoch: int) -> None:
        self._link.set_epoch(epoch)

    def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
        cmd, args = mt5_wire.trade_request(command, terms)
        answer: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()

        def settle(outcome: Reply | str) -> None:
            if answer.done():
                return
            if isinstance(outcome, Reply):
                answer.set_result(mt5_wire.execution_of(outcome))
            else:
                answer.set_result(mt5_wire.unknown(f"{outcome}: the trade may or may not have been done"))

        self._link.request(
            cmd, args, terms.ttl, settle, cid=command.command_id, counted_from=terms.counted_from
        )
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

    # -------------------------------------------------------------- what the link says

    def on_opened(self, event: wire.Opened) -> None:
        welcome = event.welcome
        self._refused = None
        self._stream.begin(welcome.boot, event.heartbeat.get("trade_seq"), self._listener)
        if self._wanted and self._keeper is not None:
            self._keeper.spawn("subscriptions", self._renew_subscriptions())
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

    def on_beat(self, event: wire.Beat) -> None:
        self._stream.told(event.data.get("trade_seq"))
        try:
            heartbeat = mt5_wire.heartbeat_from_wire(event.data, event.round_trip)
        except mt5_wire.UNREADABLE:
            self.counters.unreadable += 1
            return
        if self._listener is not None:
            self._listener.on_heartbeat(heartbeat)

    def on_ended(self, event: wire.Refused | wire.Lost, *, was_open: bool) -> None:
        self._stream.end()
        if self._listener is None:
            return
        if was_open:
            self._listener.on_terminal_down(
                event.message if isinstance(event, wire.Refused) else event.reason
            )
        if isinstance(event, wire.Refused):
            self._report_refusal(event.code, event.message, event.epoch)
        elif event.reason == wire.NO_ANSWER:
            verb = "has connected to" if self._listen else "listens on"
            self._report_refusal(
                "NO_ANSWER",
                f"a program {verb} port {self._command_port} but does not answer: it holds another key, hangs, or is no"
                " terminal of ours. Nothing can be sent. Compare the key files and restart the Expert Advisor",
                None,
            )

    def on_stream_message(self, message: Mapping[str, Any], now: float) -> None:
        self._stream.on_message(_topic(message), message, now)

    def _report_refusal(self, code: str, message: str, epoch: int | None) -> None:
        """Once, until it changes: the same refusal comes again with every attempt."""
        if self._refused != (code, epoch) and self._listener is not None:
            self._refused = (code, epoch)
            self._listener.on_terminal_refused(code, message, epoch)

    def _on_another_life(self) -> None:
        self._link.drop("the terminal was started again")

    # -------------------------------------------------------------- questions

    async def _ask(
        self,
        cmd: str,
        args: Mapping[str, Any],
        *,
        cid: str | None = None,
        expected: Sequence[str] | None = (),
    ) -> Reply:
        """One question and its answer; codes in `expected` (None: all) are answers, others raise TerminalUnavailable."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def settle(outcome: Reply | str) -> None:
            if answer.done():
                return
            if isinstance(outcome, Reply):
                answer.set_result(outcome)
            else:
                answer.set_exception(TerminalUnavailable(outcome))

        self._link.request(cmd, args, QUESTION_TTL, settle, cid=cid)
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


def _topic(message: Mapping[str, Any]) -> bytes:
    """The topic that a stream body would have had on a connection of its own (§9)."""
    ev, data = message.get("ev"), message.get("data")
    if ev == "tick" and isinstance(data, dict):
        return f"tick.{data.get('symbol')}".encode()
    return str(ev).encode()
