"""What the engine does when the brain speaks, or falls silent (PROTOCOL §3, §4, §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.domain.commands import TradeCommand
from app.domain.events import BrainSessionClosed, BrainSessionOpened
from app.domain.trading_state import Actor
from app.domain.values import CommandId, Symbol
from app.domain.watchdog_rules import Episode, Turn
from app.engine.core import EngineCore
from app.engine.desk import CommandInHand, last_result
from app.engine.ports import Arrival, CommandBrief, StateReport, UnreadableCommand

_RECENT = 100
_PATIENCE_WITH_DISK = 2.0
_MOST_SKEW = 2.0


class BrainSide:
    """Implements BrainListener."""

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        core.processor.brain_clock_counts = core.link is not None
        self._silence = Episode()
        self.session_id = ""
        self.clock_offset: float | None = None
        """Seconds by which the brain's clock is ahead of ours, as last measured."""
        self.round_trip: float | None = None
        """Seconds of the last ping's way to the brain and back."""
        self.on_round_trip: Callable[[float], None] = lambda _seconds: None
        self.before_command: Callable[[], None] = lambda: None
        """Called before a command is judged: whoever watches the clocks looks at them."""

    # ------------------------------------------------------------ messages

    async def on_command(self, command: TradeCommand | UnreadableCommand, arrival: Arrival) -> None:
        self.before_command()
        self.clock_offset = arrival.clock_offset
        await self._core.inbox.command(command, arrival)

    async def on_withdraw(self, command_id: CommandId, arrival: Arrival) -> None:
        await self._core.inbox.withdraw(command_id)

    async def on_emergency_stop(self, reason: str, close_positions: bool, signed: bool) -> None:
        """Stopping is always allowed, signed or not; only closing positions needs the brain's signature or our own setting."""
        closing = True if close_positions and (signed or self._core.options.unsigned_allowed) else None
        self._core.stop.engage(reason=f"brain: {reason}", by=Actor.BRAIN, close_positions=closing)

    async def on_subscribe(self, symbols: Sequence[Symbol], min_interval: int) -> None:
        unknown = await self._core.market.subscribe(symbols, min_interval)
        if unknown:
            names = ", ".join(unknown)
            self._core.alarm(
                "warning", "SYMBOL_UNKNOWN", f"the terminal does not know {names}: no market data for it"
            )

    async def on_unsubscribe(self, symbols: Sequence[Symbol]) -> None:
        self._core.market.unsubscribe(symbols)

    async def on_results_stored(self, command_ids: Sequence[CommandId]) -> None:
        self._core.outbox.stored(command_ids)

    async def on_results_delivered(self, outbox_ids: Sequence[int]) -> None:
        self._core.outbox.delivered(outbox_ids)

    async def on_state_wanted(self, request_id: str | None) -> None:
        self._core.tell_brain(await self._state(request_id))

    # ------------------------------------------------------------ session

    async def on_brain_up(self, session_id: str, plain: bool, clock_offset: float | None) -> None:
        core = self._core
        self.session_id = session_id
        self.clock_offset = clock_offset
        core.links.brain_time_doubtful = False
        if core.links.brain_lost:
            core.links.brain_lost = False
            self._silence.see(bad=False)
            core.alarm(
                "info",
                "BRAIN_BACK",
                "a fresh session with the brain is open: entries are taken again",
                ends=("BRAIN_LOST", "BRAIN_SILENT"),
            )
        self.heard_again()
        core.write(BrainSessionOpened(core.clock.now(), session_id, plain, clock_offset))
        core.log("brain_connected", session=session_id, plain=plain, clock_offset=clock_offset)
        if clock_offset is not None and abs(clock_offset) > _MOST_SKEW:
            core.alarm(
                "warning",
                "CLOCK_SKEW",
                f"the brain's clock and this machine's differ by {clock_offset:+.1f} s: entries are refused until they agree",
            )
        core.market.reconnected()
        core.processor.judge_taken_up(clock_offset)
        await core.outbox.catch_up()
        core.bus.mark("links")

    async def on_brain_degraded(self, silent_for: float) -> None:
        """Nothing heard for a while; the link is still there."""
        if self._silence.see(bad=True) is Turn.BEGUN:
            self._core.alarm("warning", "BRAIN_SILENT", f"nothing heard of the brain for {silent_for:.0f} s")
        self._core.bus.mark("links")

    def measured(self, seconds: float) -> None:
        """A ping came back."""
        self.round_trip = seconds
        self.on_round_trip(seconds)

    def heard_again(self) -> None:
        """It speaks. After 60 s of silence that is no fresh session yet, and so not the end of it."""
        if self._core.links.brain_lost:
            return
        if self._silence.see(bad=False) is Turn.OVER:
            self._core.alarm("info", "BRAIN_BACK", "the brain is heard again", ends=("BRAIN_SILENT",))

    async def on_brain_down(self, session_id: str, reason: str) -> None:
        core = self._core
        core.outbox.disconnected()
        if session_id:
            core.write(BrainSessionClosed(core.clock.now(), session_id, reason))
            core.log("brain_disconnected", session=session_id, reason=reason)
        self.session_id = ""
        core.bus.mark("links")

    async def on_brain_refused(self, code: str, message: str) -> None:
        self._core.alarm("critical", code, message)
        self._core.bus.mark("links")

    def heartbeat_metrics(self) -> Mapping[str, Any]:
        core = self._core
        account = core.book.account
        latest = {view.hop: round(view.p50, 3) for view in core.latencies.views()}
        return {
            "queueDepth": core.processor.depth,
            "openPositions": len(core.book.positions),
            "floating": account.floating if account is not None else None,
            "dailyProfit": core.gate.day.profit(account)
            if core.gate.day is not None and account is not None
            else None,
            "latencyMs": {hop: str(value) for hop, value in latest.items()},
            "links": {"terminal": core.broker.state.value, "ready": core.ready},
        }

    # ------------------------------------------------------------ state

    async def _state(self, request_id: str | None) -> StateReport:
        core = self._core
        items = core.desk.latest(1000)
        under_way = {item.durable for item in items if item.durable is not None and not item.durable.done()}
        if under_way:
            await asyncio.wait(under_way, timeout=_PATIENCE_WITH_DISK)
        unresolved = tuple(_brief(item) for item in items if not item.record.final)
        recent = [_brief(item) for item in items if item.record.final][:_RECENT]
        if len(recent) < _RECENT:
            seen = {brief.command_id for brief in recent}
            for record in await core.journal.recent(_RECENT):
                if record.command_id not in seen and len(recent) < _RECENT:
                    recent.append(CommandBrief(record.command_id, record.state.name, last_result(record)))
        return StateReport(
            request_id=request_id,
            status=core.latch.status,
            unresolved=unresolved,
            recent=tuple(recent),
            positions=core.book.live_positions(),
            orders=tuple(core.book.orders.values()),
            account=core.book.account,
        )


def _brief(item: CommandInHand) -> CommandBrief:
    """Its result only if that is on disk: what a failed or a slow disk does not hold yet is told when it does."""
    result = last_result(item.record) if item.on_disk else None
    return CommandBrief(item.command_id, item.record.state.name, result)
