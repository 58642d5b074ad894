"""An engine on fakes: real parts, real stop thread, a journal, a broker and a brain in memory, and a clock that stands still."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.domain.commands import Action, OpenPosition, TradeCommand
from app.domain.limits import SafetyLimits
from app.domain.results import CommandResult
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId, Priority, Side, Symbol, Volume
from app.domain.watchdog_rules import WatchLimits
from app.engine.command_processor import ProcessorOptions
from app.engine.core import EngineCore, EngineOptions
from app.engine.latch import Latch
from app.engine.ports import Arrival, CommandAck, LatchReading, ResultReport
from app.engine.stop import StopOrder, StopThread
from app.engine.supervisor import Engine
from tests.fakes.brain_link import FakeBrainLink
from tests.fakes.broker import FakeBroker, FakeStopChannel, quote
from tests.fakes.clock import FakeClock
from tests.fakes.journal_memory import MemoryJournal

ids = itertools.count(1)


@dataclass
class MemoryLatchStore:
    saved: list[TradingStatus] = field(default_factory=list)
    broken: bool = False

    def load(self) -> LatchReading:
        return LatchReading(self.saved[-1] if self.saved else None, None, first_use=not self.saved)

    def save(self, status: TradingStatus) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.saved.append(status)


def buy(volume: str = "0.10", symbol: str = "EURUSD", **fields: Any) -> OpenPosition:
    return OpenPosition(Symbol(symbol), Side.BUY, Volume(volume), **fields)


class Bench:
    """One engine and everything around it."""

    def __init__(self, tmp_path: Path, **options: Any) -> None:
        self.clock = FakeClock()
        self.journal: MemoryJournal = options.pop("journal", None) or MemoryJournal()
        self.broker: FakeBroker = options.pop("broker", None) or FakeBroker()
        self.link = FakeBrainLink()
        self.channel = FakeStopChannel(broker=self.broker)
        self.store = MemoryLatchStore()
        watch = options.pop("watch", WatchLimits())
        alerts = {name: options.pop(name) for name in ("alert_rules", "alert_sender") if name in options}
        self.logged: list[tuple[str, dict[str, Any]]] = []
        status = options.pop(
            "status", TradingStatus(TradingState.ACTIVE, 1, "first start", Actor.SYSTEM, self.clock.now())
        )
        self.stop = StopThread(
            latch=Latch(status),
            store=self.store,
            channel=self.channel,
            clock=self.clock,
            stop_file=tmp_path / "STOP",
            token="t" * 32,
            close_positions=False,
            on_stopped=self._stopped,
        )
        self.core = EngineCore(
            options=EngineOptions(
                executor_id="exec_001",
                version="0.1.0",
                limits=options.pop("limits", SafetyLimits()),
                processor=options.pop("processor", ProcessorOptions()),
                **options,
            ),
            journal=self.journal,
            broker=self.broker,
            link=self.link,
            clock=self.clock,
            stop=self.stop,
            log=lambda event, **fields: self.logged.append((event, fields)),
            **alerts,
        )
        self.engine = Engine(
            self.core,
            new_word=lambda: "harbor",
            new_id=lambda: f"{next(ids):04d}",
            watch=watch,
            uptime=self.clock.uptime,
        )

    def _stopped(self, order: StopOrder) -> None:
        self.engine.stopped(order)

    async def start(self) -> None:
        for name, bid, ask in (("EURUSD", "1.10000", "1.10010"), ("XAUUSD", "2340.00", "2340.30")):
            self.broker.latest[Symbol(name)] = quote(name, bid, ask, received=self.clock.monotonic())
        self.stop.start()
        await self.engine.start()
        await self.until(lambda: self.core.ready)
        await self.pass_time(0.1)
        await self.link.connect()
        await self.until(lambda: bool(self.link.sent))

    async def close(self) -> None:
        await self.engine.close()
        await asyncio.to_thread(self.stop.close)

    # ---- what a brain does

    def command(self, action: Action | None = None, **fields: Any) -> TradeCommand:
        command_id = CommandId(fields.pop("command_id", f"cmd-{next(ids)}"))
        issued = fields.pop("issued_at", self.clock.now())
        expiry = fields.pop("expiry", 5.0)
        made = TradeCommand(
            command_id=command_id,
            action=action or buy(),
            issued_at=issued,
            expires_at=issued + timedelta(seconds=expiry),
            fingerprint=fields.pop("fingerprint", f"print of {command_id}"),
            priority=fields.pop("priority", Priority.NORMAL),
        )
        return replace(made, **fields)

    def arrival(self, **fields: Any) -> Arrival:
        made = Arrival("{}", self.clock.now(), self.clock.monotonic(), self.clock.now(), 0.0)
        return replace(made, **fields)

    async def send(self, action: Action | None = None, **fields: Any) -> TradeCommand:
        command = self.command(action, **fields)
        await self.link.command(command, self.arrival())
        return command

    async def give(self, command: TradeCommand, **arrival: Any) -> None:
        await self.link.command(command, self.arrival(**arrival))

    # ---- what it hears

    def acks(self, command: TradeCommand) -> list[CommandAck]:
        return [ack for ack in self.link.of(CommandAck) if ack.command_id == command.command_id]

    def results(self, command: TradeCommand) -> list[CommandResult]:
        return [
            report.result
            for report in self.link.of(ResultReport)
            if report.result.command_id == command.command_id
        ]

    async def ack(self, command: TradeCommand) -> CommandAck:
        await self.until(lambda: bool(self.acks(command)))
        return self.acks(command)[0]

    async def result(self, command: TradeCommand, number: int = 1) -> CommandResult:
        await self.until(lambda: len(self.results(command)) >= number)
        return self.results(command)[number - 1]

    # ---- waiting without sleeping

    async def until(self, condition: Callable[[], bool], turns: int = 20000) -> None:
        """Let the loop turn until something is so. The clock stands still meanwhile."""
        for _ in range(turns):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it did not come about")

    async def settle(self, turns: int = 50) -> None:
        """Let everything that can happen now happen."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Time goes by in the steps of the engine's housekeeping."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            left -= step
            await self.settle(10)

    def price(self, symbol: str, bid: str, ask: str) -> None:
        self.broker.emit_quote(quote(symbol, bid, ask, at=self.clock.now(), received=self.clock.monotonic()))


@asynccontextmanager
async def running(tmp_path: Path, **options: Any) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, **options)
    await bench.start()
    try:
        yield bench
    finally:
        await bench.close()
