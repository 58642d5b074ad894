"""Tasks that fail are heard of, changes are conflated, and a part of the engine that dies stops trading."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.domain.trading_state import TradingState
from app.engine.event_bus import ChangeBus
from app.engine.ports import AlertReport
from app.engine.tasks import TaskKeeper
from tests.engine.bench import running
from tests.fakes.clock import FakeClock


async def fail() -> None:
    raise LookupError("lost")


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def test_each_failure_is_reported_once_and_a_cancellation_never() -> None:
    heard: list[tuple[str, str]] = []
    keeper = TaskKeeper("test", lambda name, fault: heard.append((name, str(fault))))
    broken = keeper.spawn("broken", fail())
    waiting = keeper.spawn("waiting", wait_for_ever())
    await asyncio.wait([broken])
    await keeper.close()
    assert waiting.cancelled()
    assert heard == [("test.broken", "lost")]


async def test_without_a_handler_the_loop_hears_of_it() -> None:
    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context["message"]))
    keeper = TaskKeeper("test")
    await asyncio.wait([keeper.spawn("broken", fail())])
    await keeper.close()
    assert heard == ["task test.broken failed"]


async def test_a_part_that_dies_stops_trading_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await asyncio.wait([bench.core.keeper.spawn("part", fail())])
        await bench.settle()
        assert bench.core.latch.state is TradingState.HALTED
        assert "LookupError: lost" in bench.core.latch.status.reason
        assert "INTERNAL" in [alert.code for alert in bench.link.of(AlertReport)]


async def test_changes_are_names_conflated_for_each_listener() -> None:
    clock = FakeClock()
    bus = ChangeBus(clock)
    keeper = TaskKeeper("test")
    heard: list[frozenset[str]] = []

    async def listen() -> None:
        async for names in bus.changes():
            heard.append(names)

    keeper.spawn("listener", listen())
    await turn()
    bus.mark("a")
    await turn()
    bus.mark("b")
    bus.mark("c", "b")
    await turn()
    assert heard == [frozenset("a")]  # at most every 50 ms
    clock.advance(0.05)
    await turn()
    assert heard == [frozenset("a"), frozenset("bc")]
    await keeper.close()
    bus.mark("nobody listens")
    await turn()
    assert len(heard) == 2


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
