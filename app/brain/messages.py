"""What an executor's messages mean to the brain: acknowledgements and results settle commands, the rest is told to observers.

Runs between two frames on the event loop: no awaiting, no disk, no trade decisions.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from app.brain.clock import BrainClock
from app.brain.errors import StoreFailed
from app.brain.executors import Executor, ExecutorRegistry
from app.brain.observers import Observer
from app.brain.session import ExecutorSession
from app.brain.signals import Command, status_after
from app.brain.store import BrainStore, ResultRow
from app.domain.errors import InvalidValue
from app.domain.market import Quote
from app.domain.values import Price, Symbol
from app.protocol import brain_fields as fields
from app.protocol import brain_messages as wire
from app.protocol.strict_json import dumps

_LONGEST_LOGGED = 500


class Dispatcher:
    """Takes frames of all sessions; knows the executors, their queues and the observers."""

    def __init__(
        self,
        registry: ExecutorRegistry,
        store: BrainStore,
        clock: BrainClock,
        *,
        symbols: Sequence[str],
        subscribe_interval: int,
        state_wait: float,
    ) -> None:
        self.observers: list[Observer] = []
        self._registry = registry
        self._store = store
        self._clock = clock
        self._symbols = symbols
        self._subscribe_interval = subscribe_interval
        self._state_wait = state_wait

    # -------------------------------------------------------------- a session's life

    def begins(self, session: ExecutorSession, hello_wait: float) -> None:
        """An executor that says no HELLO is served all the same, once it has had time to say it."""
        loop = asyncio.get_running_loop()
        session.opening = loop.call_later(hello_wait, self._open, session)
        self.notice(
            "connected", {"executorId": session.executor.executor_id, "sessionId": session.session_id}
        )

    def ends(self, session: ExecutorSession) -> None:
        executor = session.executor
        if self._registry.disconnected(executor, session):
            for observer in self.observers:
                observer.on_lost(executor)
        self.notice("disconnected", {"executorId": executor.executor_id, "sessionId": session.session_id})

    def _open(self, session: ExecutorSession) -> None:
        """Commands may go out: first those that the last session left without an acknowledgement."""
        executor = session.executor
        if session.gate_open or executor.link is not session:
            return
        if session.opening is not None:
            session.opening.cancel()
        executor.ready = True
        executor.queue.after_reconnection()
        session.open_gate()
        self.notice(
            "executor_ready",
            {
                "executorId": executor.executor_id,
                "tradingState": executor.trading_state,
                "epoch": executor.epoch,
                "unacknowledged": executor.queue.depth,
            },
        )
        for observer in self.observers:
            observer.on_ready(executor)

    # -------------------------------------------------------------- frames

    def on_frame(self, session: ExecutorSession, frame: str, at_ns: int) -> None:
        executor = session.executor
        try:
            said = wire.read_executor_frame(frame)
            if isinstance(said, wire.ResultReceived):
                self._on_result(executor, said, frame, at_ns)
            elif isinstance(said, wire.AckReceived):
                self._on_ack(executor, said, at_ns)
            elif isinstance(said, wire.OtherReceived):
                self._on_other(session, said)
            elif isinstance(said, wire.HelloReceived):
                self._on_hello(session, said)
            else:
                self._on_error(executor, said, at_ns)
        except InvalidValue as fault:
            self.notice(
                "frame_refused", {"executorId": executor.executor_id, "rule": str(fault), "frame": frame[:64]}
            )

    def _on_hello(self, session: ExecutorSession, hello: wire.HelloReceived) -> None:
        executor = session.executor
        if hello.executor_id != executor.executor_id:
            self.notice(
                "wrong_executor", {"executorId": executor.executor_id, "hello": hello.executor_id[:64]}
            )
            return
        executor.app_version = hello.app_version
        executor.trading_state = hello.trading_state
        executor.epoch = hello.epoch
        executor.accounts = hello.accounts
        executor.last_heard = at = self._clock.utc()
        session.greeted = True
        session.say(wire.welcome(session.session_id, at=at))
        if self._symbols:
            session.say(wire.subscribe(self._symbols, at=at, min_interval=self._subscribe_interval))
        if executor.queue.in_doubt():
            session.say(wire.get_state(secrets.token_hex(4), at=at))
        if session.opening is not None and not session.gate_open:
            session.opening.cancel()
            session.opening = asyncio.get_running_loop().call_later(self._state_wait, self._open, session)

    def _on_ack(self, executor: Executor, ack: wire.AckReceived, at_ns: int) -> None:
        command = executor.queue.find(ack.command_id)
        if command is None:
            self.notice("unknown_command", {"commandId": ack.command_id, "ack": ack.status})
        elif ack.status in ("ACCEPTED", "DUPLICATE"):
            fresh = not command.acked_ns
            executor.queue.acknowledge(command, at_ns)
            if fresh:
                for observer in self.observers:
                    observer.on_acknowledged(command)
        elif ack.status == "REJECTED":
            self._refuse(executor, command, ack.code or "REJECTED", ack.message or "", at_ns)
        else:
            self.notice("command_ack", {"commandId": ack.command_id, "status": ack.status, "code": ack.code})

    def _refuse(self, executor: Executor, command: Command, code: str, message: str, at_ns: int) -> None:
        if executor.queue.refuse(command, code, message, at_ns):
            self.ended(command)
        else:
            self.notice("late_refusal", {"commandId": command.id, "code": code})

    def _on_result(self, executor: Executor, said: wire.ResultReceived, frame: str, at_ns: int) -> None:
        result = said.result
        outcome = result.outcome
        command = executor.queue.find(result.command_id)

        def stored(fault: StoreFailed | None) -> None:
            if fault is not None:
                # Not acknowledged: the executor keeps it and sends it again.
                self.notice("result_not_stored", {"commandId": result.command_id, "reason": str(fault)})
            elif executor.link is not None:
                executor.link.acknowledge_result(result.command_id)

        if command is None:
            # Of an earlier run, long finished: its acknowledgement was lost.
            self._store.record_result(
                ResultRow(
                    result.command_id,
                    outcome.value,
                    status_after(outcome),
                    executor.executor_id,
                    frame,
                    self._clock.utc(),
                ),
                stored,
            )
            self.notice("result_of_old_command", {"commandId": result.command_id, "outcome": outcome.value})
            return
        if outcome in command.outcomes:
            command.repeated += 1
            if outcome in command.stored:
                stored(None)
            else:
                executor.queue.store_result(command, outcome, frame, stored)
            return
        if command.status.final:
            self.notice(
                "contradiction",
                {
                    "commandId": command.id,
                    "status": command.status.value,
                    "outcome": outcome.value,
                    "meaning": "two final outcomes for one command: look at the account",
                },
            )
        executor.queue.settle(command, outcome, result.code, frame, at_ns, stored)
        for observer in self.observers:
            observer.on_result(command, result)

    def _on_error(self, executor: Executor, error: wire.ErrorReceived, at_ns: int) -> None:
        """A frame that was refused before the journal; when it was a command's, that command is over."""
        self.notice(
            "executor_error",
            {
                "executorId": executor.executor_id,
                "code": error.code,
                "message": error.message[:_LONGEST_LOGGED],
            },
        )
        command = executor.queue.find(error.ref)
        if command is not None:
            self._refuse(executor, command, error.code, error.message, at_ns)

    def _on_other(self, session: ExecutorSession, said: wire.OtherReceived) -> None:
        executor = session.executor
        body = said.body
        match said.type:
            case "MARKET_UPDATE":
                quote = _quote(body)
                for observer in self.observers:
                    observer.on_quote(executor, quote)
            case "POSITIONS_UPDATE":
                positions = _rows(body, "positions")
                for observer in self.observers:
                    observer.on_positions(executor, positions)
            case "HEARTBEAT":
                executor.last_heard = self._clock.utc()
                metrics = body.get("metrics")
                executor.metrics = metrics if isinstance(metrics, dict) else {}
                self._store.heartbeat(session.session_id, executor.last_heard)
            case "STATE":
                self._on_state(session, body)
            case "TRADING_STATE":
                self._take_state(executor, body)
                self.notice("trading_state", _shown(executor, body))
            case "ALERT" | "TRADE_EVENT":
                self.notice(said.type.lower(), _shown(executor, body))
            case "ACCOUNT_UPDATE":
                pass
            case _:
                self.notice("unknown_type", {"executorId": executor.executor_id, "type": said.type})

    # -------------------------------------------------------------- STATE

    def _on_state(self, session: ExecutorSession, body: Mapping[str, Any]) -> None:
        """What the executor knows of our commands settles what got lost on the way; then the gate opens."""
        executor = session.executor
        self._take_state(executor, body)
        for entry in (*_rows(body, "unresolved"), *_rows(body, "recent")):
            command_id = entry.get("commandId")
            command = executor.queue.find(command_id) if isinstance(command_id, str) else None
            if command is None or command.status.final:
                continue
            result = entry.get("result")
            if isinstance(result, dict):
                self._settle_from_state(executor, body, command, result)
            elif entry.get("state") != "TURNED_AWAY":
                executor.queue.acknowledge(command, 0)
        positions = _rows(body, "positions")
        for observer in self.observers:
            observer.on_positions(executor, positions)
        self._open(session)

    def _settle_from_state(
        self, executor: Executor, state: Mapping[str, Any], command: Command, result: Mapping[str, Any]
    ) -> None:
        frame = dumps(
            {
                "type": "EXECUTION_RESULT",
                "timestamp": state.get("timestamp"),
                "result": dict(result),
                "commandId": command.id,
                "executorId": executor.executor_id,
                "strategyId": command.strategy_id,
            }
        )
        said = wire.read_executor_frame(frame)
        if isinstance(said, wire.ResultReceived) and said.result.outcome not in command.outcomes:
            self._on_result(executor, said, frame, 0)

    def _take_state(self, executor: Executor, body: Mapping[str, Any]) -> None:
        executor.trading_state = str(body.get("tradingState") or executor.trading_state)
        epoch = body.get("epoch")
        if isinstance(epoch, int):
            executor.epoch = epoch

    # -------------------------------------------------------------- telling

    def pushed(self, command: Command, fault: StoreFailed | None) -> None:
        """A command is on disk, or could not be stored and will never be sent."""
        if fault is not None:
            self.notice("command_not_stored", {"commandId": command.id, "reason": str(fault)})
            self.ended(command)

    def ended(self, command: Command) -> None:
        self.notice(
            "command_ended",
            {"commandId": command.id, "status": command.status.value, "code": command.code},
        )
        for observer in self.observers:
            observer.on_ended(command)

    def notice(self, event: str, about: Mapping[str, Any]) -> None:
        for observer in self.observers:
            observer.on_notice(event, about)


def _quote(body: Mapping[str, Any]) -> Quote:
    data = fields.required(body, "data")
    if not isinstance(data, dict):
        raise InvalidValue("data", "must be an object")
    volume = data.get("volume")
    return Quote(
        Symbol(fields.required(data, "symbol")),
        Price(fields.number(fields.required(data, "bid"), "bid"), "bid"),
        Price(fields.number(fields.required(data, "ask"), "ask"), "ask"),
        fields.moment(fields.required(body, "timestamp")),
        volume=volume if isinstance(volume, int) else 0,
    )


def _rows(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = body.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _shown(executor: Executor, body: Mapping[str, Any]) -> dict[str, Any]:
    """A message's own fields for a log, long texts cut."""
    shown: dict[str, Any] = {"executorId": executor.executor_id}
    for name, value in body.items():
        if name not in ("type", "executorId"):
            shown[name] = value[:_LONGEST_LOGGED] if isinstance(value, str) else value
    return shown
