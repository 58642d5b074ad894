"""Runs strategies for one executor: tells them what concerns them, and submits what they want.

A strategy that fails is put aside and said so; the others and the connection go on. No trade is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from app.brain.errors import BrainError
from app.brain.executors import Executor
from app.brain.observers import Observer
from app.brain.server import BrainServer
from app.brain.signals import Command, Signal
from app.brain.strategies.interface import HeldPosition, Strategy
from app.domain.errors import InvalidValue
from app.domain.market import Quote
from app.domain.results import CommandResult
from app.domain.values import Side, Symbol
from app.protocol import brain_fields as fields

_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a strategy's own mistake looks like."""


class StrategyHost(Observer):
    """Observes a server on behalf of strategies. Close it to stop their clocks."""

    def __init__(self, server: BrainServer, executor_id: str, strategies: Sequence[Strategy]) -> None:
        self._server = server
        self._executor_id = executor_id
        self._strategies = list(strategies)
        self._clocks: dict[Strategy, asyncio.TimerHandle] = {}

    @property
    def running(self) -> tuple[Strategy, ...]:
        """Those that have not failed."""
        return tuple(self._strategies)

    def start(self) -> None:
        self._server.observe(self)
        for strategy in self._strategies:
            self._wind(strategy)

    def close(self) -> None:
        self._server.forget(self)
        for handle in self._clocks.values():
            handle.cancel()
        self._clocks.clear()

    # -------------------------------------------------------------- what happens

    def on_quote(self, executor: Executor, quote: Quote) -> None:
        if executor.executor_id == self._executor_id:
            for strategy in self.running:
                if quote.symbol in strategy.symbols:
                    self._run(strategy, partial(strategy.on_quote, quote))

    def on_positions(self, executor: Executor, positions: Sequence[Mapping[str, Any]]) -> None:
        if executor.executor_id != self._executor_id or not self._strategies:
            return
        try:
            held = [_held(row) for row in positions]
        except InvalidValue as fault:
            self._server.notice("positions_unreadable", {"rule": str(fault)})
            return
        for strategy in self.running:
            self._run(strategy, partial(strategy.on_positions, held))

    def on_result(self, command: Command, result: CommandResult) -> None:
        for strategy in self._of(command):
            self._run(strategy, partial(strategy.on_result, command, result))

    def on_ended(self, command: Command) -> None:
        for strategy in self._of(command):
            self._run(strategy, partial(strategy.on_ended, command))

    # -------------------------------------------------------------- inside

    def _of(self, command: Command) -> tuple[Strategy, ...]:
        if command.executor_id != self._executor_id:
            return ()
        return tuple(s for s in self._strategies if s.strategy_id == command.strategy_id)

    def _wind(self, strategy: Strategy) -> None:
        if strategy.pace is not None:
            loop = asyncio.get_running_loop()
            self._clocks[strategy] = loop.call_later(strategy.pace, self._on_clock, strategy)

    def _on_clock(self, strategy: Strategy) -> None:
        if strategy not in self._strategies:
            return
        self._wind(strategy)
        if self._server.executor(self._executor_id).ready:
            self._run(strategy, strategy.on_clock)

    def _run(self, strategy: Strategy, tell: Callable[[], Sequence[Signal]]) -> None:
        try:
            signals = tell()
        except _FAULTS as fault:
            self._strategies.remove(strategy)
            self._server.notice(
                "strategy_failed",
                {
                    "strategyId": strategy.strategy_id,
                    "fault": f"{type(fault).__name__}: {fault}",
                    "meaning": "it trades no more; its positions stay as they are",
                },
            )
            return
        for signal in signals:
            try:
                self._server.submit(signal, self._executor_id)
            except BrainError as fault:
                self._server.notice(
                    "signal_dropped", {"strategyId": strategy.strategy_id, "reason": str(fault)}
                )


def _held(row: Mapping[str, Any]) -> HeldPosition:
    side = fields.required(row, "type")
    if side not in ("BUY", "SELL"):
        raise InvalidValue("type", "must be BUY or SELL")
    magic = row.get("magicNumber")
    return HeldPosition(
        fields.ticket(row),
        Symbol(fields.required(row, "symbol")),
        Side(side),
        fields.number(fields.required(row, "volume"), "volume"),
        int(magic) if isinstance(magic, int | str) and str(magic).isdigit() else 0,
    )
