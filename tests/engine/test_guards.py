"""The engine watches what watches it: a stop thread that has ended, a snapshot that an event has overtaken."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from app.domain.market import TerminalSnapshot
from app.domain.trading_state import TradingState
from tests.engine.bench import running


async def test_trading_stops_when_the_stop_thread_has_ended(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await asyncio.to_thread(bench.stop.close)
        await bench.pass_time(0.2)
        assert bench.core.latch.state is TradingState.HALTED
        assert [report.code for report in bench.core.alerts.views].count("STOP_THREAD_LOST") == 1


async def test_a_snapshot_that_an_event_has_overtaken_is_not_taken(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        take = bench.broker.snapshot

        async def overtaken() -> TerminalSnapshot:
            old = await take()
            bench.broker.emit_trade_event("position_modified")
            return replace(old, trade_seq=old.trade_seq)

        bench.broker.snapshot = overtaken  # type: ignore[method-assign]
        before = bench.core.book.trade_seq
        await bench.engine.terminal.refresh()
        assert bench.core.book.trade_seq == before + 1
