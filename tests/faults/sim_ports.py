"""The engine's ends of the simulated terminal: Broker port and stop channel of one life, with the faults of the way between.

A port dies with its life: what comes for it afterwards goes nowhere. Nothing here ever sends a frame twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from app.domain.commands import TradeCommand
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.market import Deal, Quote, SymbolSpec, TerminalSnapshot, TradeEvent
from app.domain.values import CommandId, Symbol
from app.engine.broker import (
    BrokerListener,
    DispatchTerms,
    FindHints,
    StopAnswer,
    TerminalHeartbeat,
    TerminalHello,
)
from tests.fakes.linked import Linked
from tests.faults.sim_loop import APART, SimClock, SimLoop, World
from tests.faults.sim_terminal import SYMBOLS, Fate, Frame, SimTerminal

T = TypeVar("T")
ANSWER_TIMEOUT = 10.0
SILENCE = 3.0


class Way:
    """The state of the connection between executor and terminal; outlives the ports."""

    def __init__(self) -> None:
        self.broken_until = 0.0
        """No connection can be made before this moment."""
        self.scramble = 0.0
        """Share of stream events that are lost, doubled or late."""
        self.fate: Callable[[TradeCommand], Fate] = lambda _command: Fate()
        self.stop_frames_lost = 0
        """So many stop frames go unanswered."""


class SimBroker(Linked):
    """The Broker port of one life."""

    def __init__(
        self,
        world: World,
        loop: SimLoop,
        clock: SimClock,
        terminal: SimTerminal,
        way: Way,
        on_send: Callable[[TradeCommand, DispatchTerms, int], None],
    ) -> None:
        super().__init__()
        self._world = world
        self._loop = loop
        self._clock = clock
        self._terminal = terminal
        self._way = way
        self._on_send = on_send
        self._boot = 0
        self._epoch = 0
        self._heard = 0.0
        self._seq = 0
        self._last_arrival = 0.0
        self._refused: int | None = None
        self._waiting: dict[int, Callable[[Any, str], None]] = {}
        self._count = 0
        self._attempt = 0

    # -------------------------------------------------------------- the port

    async def run(self, listener: BrokerListener) -> None:
        self._listener = listener
        try:
            self._try(self._world.between(0.001, 0.05))
            await asyncio.Event().wait()
        finally:
            if not self._loop.dead:
                self._lose("the link was closed")
            self._listener = None

    def set_epoch(self, epoch: int) -> None:
        raised = epoch > self._epoch
        self._epoch = epoch
        if self._listener is None:
            return
        if raised and self._session_id:
            self._lose("the epoch was raised")
        self._try(0.001)

    def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
        world = self._world
        self._clock.monotonic()  # here, too, another thread may come in between
        if not self._session_id:
            raise TerminalUnavailable("there is no session with the terminal: nothing was sent")
        fate = self._way.fate(command)
        if fate.kind == "unavailable":
            raise TerminalUnavailable("the terminal takes no more commands at the moment: nothing was sent")
        self._on_send(command, terms, self._epoch)
        answer: asyncio.Future[Execution] = self._loop.create_future()

        def settle(execution: Execution | None, why: str) -> None:
            if not answer.done():
                answer.set_result(execution or Execution(ExecutionState.UNKNOWN, message=why))

        number = self._expect(settle)
        frame = Frame(
            self._session_id, self._epoch, world.now + terms.ttl / 1000, self._reply_to(number), command, terms, fate=fate,
            ttl=terms.ttl / 1000,
        )  # fmt: skip
        if fate.kind == "cut_before":
            self._gone("the connection broke", world.between(0, 2))
        elif fate.kind != "lost_before":
            self._transmit(frame, fate.seconds if fate.kind == "hang" else 0.0)
        return answer

    async def find(self, command_id: CommandId, hints: FindHints) -> Finding:
        return await self._question(lambda: self._terminal.find(str(command_id), hints))

    async def snapshot(self) -> TerminalSnapshot:
        return await self._question(lambda: self._terminal.snapshot(self._clock.monotonic()))

    async def symbol(self, symbol: Symbol) -> SymbolSpec | None:
        return await self._question(lambda: self._terminal.spec(symbol))

    async def quotes(self, symbols: Sequence[Symbol]) -> tuple[Quote, ...]:
        def answer() -> tuple[Quote, ...]:
            received = self._clock.monotonic()
            return tuple(self._terminal.quote(symbol, received) for symbol in symbols if symbol in SYMBOLS)

        return await self._question(answer)

    async def history(self, since: datetime, until: datetime) -> tuple[Deal, ...]:
        return await self._question(
            lambda: tuple(deal for deal in self._terminal.deals if since <= deal.time <= until)
        )

    async def subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> tuple[Symbol, ...]:
        return await self._question(lambda: tuple(symbol for symbol in symbols if symbol in SYMBOLS))

    async def resume(self) -> bool:
        epoch = self._epoch
        return await self._question(lambda: self._terminal.resume(epoch))

    # -------------------------------------------------------------- requests

    def _expect(self, settle: Callable[[Any, str], None]) -> int:
        self._count += 1
        number = self._count
        self._waiting[number] = settle
        self._world.later(
            ANSWER_TIMEOUT,
            lambda: self._on_loop(lambda: self._settle(number, None, "no answer within 10 seconds")),
        )
        return number

    def _reply_to(self, number: int) -> Callable[[Any], None]:
        session = self._session_id

        def reply(value: Any) -> None:
            world = self._world
            if world.now < self._way.broken_until:
                return

            def arrive() -> None:
                if self._session_id == session:
                    self._heard = world.now
                    self._settle(number, value, "")

            world.later(world.between(50e-6, 800e-6), lambda: self._on_loop(arrive))

        return reply

    def _settle(self, number: int, value: Any, why: str) -> None:
        settle = self._waiting.pop(number, None)
        if settle is not None:
            settle(value, why)

    def _transmit(self, frame: Frame, extra: float) -> None:
        world = self._world
        if world.now < self._way.broken_until:
            return  # it sits in a buffer of a connection that is dead already
        self._last_arrival = max(self._last_arrival + APART, world.now + world.between(50e-6, 800e-6) + extra)

        def arrive() -> None:
            frame.deadline = min(frame.deadline, world.now + frame.ttl) if frame.ttl else frame.deadline
            self._terminal.receive(frame)

        world.at(self._last_arrival, arrive)

    async def _question(self, answer: Callable[[], T]) -> T:
        if not self._session_id:
            raise TerminalUnavailable("no session with the terminal")
        future: asyncio.Future[T] = self._loop.create_future()

        def settle(value: Any, why: str) -> None:
            if future.done():
                return
            if why:
                future.set_exception(TerminalUnavailable(why))
            else:
                future.set_result(value)

        number = self._expect(settle)
        frame = Frame(self._session_id, self._epoch, float("inf"), self._reply_to(number), question=answer)
        self._transmit(frame, 0.0)
        return await future

    # -------------------------------------------------------------- the session

    def _on_loop(self, callback: Callable[[], None]) -> None:
        if not self._loop.dead and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _try(self, seconds: float) -> None:
        self._attempt += 1
        attempt = self._attempt
        self._world.later(seconds, lambda: self._on_loop(lambda: self._hello(attempt)))

    def _hello(self, attempt: int) -> None:
        if attempt != self._attempt or self._listener is None or self._session_id:
            return
        world, terminal = self._world, self._terminal
        if not terminal.up or terminal.busy or world.now < self._way.broken_until:
            self._try(world.between(0.1, 1.0))
            return
        if self._epoch < terminal.epoch:
            self._try(1.0)
            if self._refused != terminal.epoch:
                self._refused = terminal.epoch
                self._listener.on_terminal_refused(
                    "EPOCH_TOO_LOW", f"the terminal is at epoch {terminal.epoch}", terminal.epoch
                )
            return
        hello = TerminalHello(
            "", f"{terminal.boot:032x}", "simulated", terminal.account.login, "full", terminal.epoch, terminal.stopped,
            terminal.stop_reason,
        )  # fmt: skip
        self._session_id = terminal.begin_session(self._epoch, self)
        self._boot, self._seq, self._heard = terminal.boot, terminal.trade_seq, world.now
        self._last_arrival = world.now
        self._refused = None
        session = self._session_id
        world.later(1.0, lambda: self._beat(session))
        self._listener.on_terminal_up(
            TerminalHello(
                session,
                hello.boot,
                hello.terminal,
                hello.login,
                hello.mode,
                hello.epoch,
                hello.stopped,
                hello.stop_reason,
            )
        )

    def _beat(self, session: str) -> None:
        """Once a second: the terminal answers, or its silence ends the session."""
        world, terminal = self._world, self._terminal
        if self._loop.dead or self._session_id != session:
            return
        # One connection keeps its order: behind a frame that hangs, heartbeats hang too.
        hangs = self._last_arrival > world.now + 0.5
        reachable = terminal.up and terminal.active == session and world.now >= self._way.broken_until
        if reachable and not terminal.busy and not hangs:
            symbol = world.random.choice(SYMBOLS)
            terminal.quoted[symbol] = world.now
            self._on_loop(lambda: self._beaten(session, symbol))
        elif world.now - self._heard >= SILENCE:
            self._on_loop(lambda: self._lose_session(session, "the terminal was silent for 3 seconds"))
            return
        world.later(1.0, lambda: self._beat(session))

    def _beaten(self, session: str, symbol: Symbol) -> None:
        if self._session_id != session or self._listener is None:
            return
        terminal = self._terminal
        self._heard = self._world.now
        self._listener.on_heartbeat(
            TerminalHeartbeat(
                terminal.permissions, terminal.account, terminal.stopped, terminal.trade_seq, 0.001
            )
        )
        self._listener.on_quote(terminal.quote(symbol, self._clock.monotonic()))

    def _gone(self, reason: str, notice: float) -> None:
        """The connection breaks now and is noticed later."""
        world, session = self._world, self._session_id
        self._way.broken_until = max(self._way.broken_until, world.now + notice + world.between(0.05, 3))
        world.later(notice, lambda: self._on_loop(lambda: self._lose_session(session, reason)))

    def _lose_session(self, session: str, reason: str) -> None:
        if self._session_id == session:
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        """The session is over: nothing stays under way, and the engine learns it once."""
        had, self._session_id = self._session_id, ""
        for number in list(self._waiting):
            self._settle(number, None, reason)
        if had and self._listener is not None:
            self._world.trace(f"terminal lost: {reason}")
            self._listener.on_terminal_down(reason)
        self._try(self._world.between(0.05, 0.5))

    # -------------------------------------------------------------- what the terminal says (StreamEnd)

    def cut(self, reason: str) -> None:
        self._gone(reason, self._world.between(0, 1.5))

    def publish(self, event: TradeEvent) -> None:
        world, boot = self._world, self._boot
        if world.now < self._way.broken_until:
            return
        delay = world.between(100e-6, 3e-3)
        if self._way.scramble and world.chance(self._way.scramble):
            if world.chance(0.35):
                return  # lost: a gap, or the next heartbeat, shows it
            if world.chance(0.5):
                world.later(
                    delay + world.between(0, 0.5), lambda: self._on_loop(lambda: self._event(event, boot))
                )
            else:
                delay += world.between(0, 1.0)
        world.later(delay, lambda: self._on_loop(lambda: self._event(event, boot)))

    def _event(self, event: TradeEvent, boot: int) -> None:
        if not self._session_id or boot != self._boot or self._listener is None:
            return
        gap = event.seq > self._seq + 1
        self._seq = max(self._seq, event.seq)
        if gap:
            self._listener.on_trade_gap()
        self._listener.on_trade_event(event)

    def stopped(self, reason: str, by: str) -> None:
        session = self._session_id

        def tell() -> None:
            if self._session_id == session and self._listener is not None:
                self._listener.on_terminal_stopped(reason, by)

        if self._world.now >= self._way.broken_until:
            self._world.later(self._world.between(100e-6, 3e-3), lambda: self._on_loop(tell))


class SimStopChannel:
    """The stop thread's own way to the terminal. It is another connection: the command link's faults do not touch it."""

    def __init__(self, world: World, terminal: SimTerminal, way: Way) -> None:
        self._world = world
        self._terminal = terminal
        self._way = way

    def send_stop(
        self, *, reason: str, epoch: int, cancel_orders: bool, close_positions: bool, timeout: float
    ) -> StopAnswer:
        if not self._terminal.up:
            return StopAnswer(acknowledged=False, detail="the terminal does not answer")
        if self._way.stop_frames_lost > 0:
            self._way.stop_frames_lost -= 1
            if self._world.chance(0.5):
                return StopAnswer(acknowledged=False, detail="the frame was lost")
            self._terminal.stop(
                reason, epoch, "executor", cancel_orders=cancel_orders, close_positions=close_positions
            )
            return StopAnswer(acknowledged=False, detail="the answer was lost")
        self._terminal.stop(
            reason, epoch, "executor", cancel_orders=cancel_orders, close_positions=close_positions
        )
        return StopAnswer(acknowledged=True, detail="acknowledged")

    def keep_warm(self) -> bool:
        return self._terminal.up

    def close(self) -> None:
        """Nothing is held."""
