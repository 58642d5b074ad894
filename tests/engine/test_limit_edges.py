"""Limits that are quantities, through the whole engine: one step below the value, on it and above, as the brain sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.execution import Execution, ExecutionState
from app.domain.limits import SafetyLimits
from app.domain.values import Price, Symbol
from tests.domain.making import order, position
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import ACCOUNT

D = Decimal
Act = Callable[[Bench, Any], Awaitable[str | None]]
"""The measured quantity -> the code that the brain gets for an entry, None: executed."""
XAU = Symbol("XAUUSD")


async def code(bench: Bench, volume: str = "0.10", **fields: Any) -> str | None:
    command = await bench.send(buy(volume, **fields))
    ack = await bench.ack(command)
    if ack.status == "REJECTED":
        return ack.code
    return (await bench.result(command)).code


async def of_volume(bench: Bench, lots: Decimal) -> str | None:
    return await code(bench, str(lots))


async def with_lots(bench: Bench, lots: Decimal) -> str | None:
    bench.broker.positions, bench.broker.orders = [position(1, "0.30")], [order(9, "0.30")]
    await bench.engine.terminal.refresh()
    return await code(bench, str(lots - D("0.60")))


async def with_lots_elsewhere(bench: Bench, lots: Decimal) -> str | None:
    bench.broker.positions = [position(1, "0.60", symbol=XAU)]
    await bench.engine.terminal.refresh()
    return await code(bench, str(lots - D("0.60")))


async def as_number(bench: Bench, number: int) -> str | None:
    """As the n-th position or order of its symbol."""
    bench.broker.positions = [position(ticket) for ticket in range(1, number)]
    await bench.engine.terminal.refresh()
    return await code(bench)


async def as_command(bench: Bench, number: int) -> str | None:
    """As the n-th command within a moment; each of another volume, so that none repeats another."""
    for earlier in range(1, number):
        assert await code(bench, f"0.{earlier + 10}") is None
    return await code(bench, "0.50")


async def after_repeats(bench: Bench, number: int) -> str | None:
    """As the n-th of its kind."""
    for _ in range(1, number):
        assert await code(bench) is None
    return await code(bench)


async def after_failures(bench: Bench, number: int) -> str | None:
    bench.broker.answers.extend([Execution(ExecutionState.REJECTED, 10019)] * number)
    for _ in range(number):
        assert await code(bench) == "BROKER_REJECTED"
    return await code(bench)


async def after_loss(bench: Bench, amount: Decimal) -> str | None:
    bench.broker.account = replace(ACCOUNT, equity=ACCOUNT.equity - amount)
    bench.broker.emit_heartbeat()
    return await code(bench)


async def with_free_margin(bench: Bench, amount: Decimal) -> str | None:
    bench.broker.account = replace(ACCOUNT, free_margin=amount)
    bench.broker.emit_heartbeat()
    return await code(bench)


async def with_spread(bench: Bench, points: int) -> str | None:
    bench.price("EURUSD", "1.10000", str(D("1.10000") + D("0.00001") * points))
    return await code(bench)


async def with_price_away(bench: Bench, percent: Decimal) -> str | None:
    bench.price("EURUSD", "0.99999", "1.00000")
    return await code(bench, price=Price(1 + percent / 100))


async def with_quote_age(bench: Bench, seconds: Decimal) -> str | None:
    bench.price("EURUSD", "1.10000", "1.10010")
    bench.clock.advance(float(seconds))
    return await code(bench)


NONE_NONE = (None, None)
EDGES: list[tuple[str, Any, Act, list[Any], tuple[str | None, ...]]] = [
    ("max_volume_per_order", D(1), of_volume, [D("0.99"), D(1), D("1.01")], (*NONE_NONE, "VOLUME_TOO_LARGE")),
    ("max_volume_per_symbol", D(1), with_lots, [D("0.99"), D(1), D("1.01")], (*NONE_NONE, "MAX_EXPOSURE")),
    ("max_volume_total", D(1), with_lots_elsewhere, [D("0.99"), D(1), D("1.01")], (*NONE_NONE, "MAX_EXPOSURE")),
    ("max_positions", 3, as_number, [2, 3, 4], (*NONE_NONE, "MAX_POSITIONS")),
    ("max_positions_per_symbol", 3, as_number, [2, 3, 4], (*NONE_NONE, "MAX_POSITIONS")),
    ("max_orders_per_second", 3, as_command, [2, 3, 4], (*NONE_NONE, "RATE_LIMITED")),
    ("max_orders_per_minute", 3, as_command, [2, 3, 4], (*NONE_NONE, "RATE_LIMITED")),
    ("repeat_throttle", 3, after_repeats, [2, 3, 4], (*NONE_NONE, "REPEAT_THROTTLE")),
    ("max_spread_points", 20, with_spread, [19, 20, 21], (*NONE_NONE, "SPREAD_TOO_WIDE")),
    ("price_collar_percent", D(1), with_price_away, [D("0.99"), D(1), D("1.01")], (*NONE_NONE, "PRICE_COLLAR")),
    ("max_quote_age", D(5), with_quote_age, [D("4.999"), D(5), D("5.001")], (*NONE_NONE, "STALE_QUOTE")),
    (
        "margin_cushion", D("1.5"), with_free_margin, [D("165.01"), D(165), D("164.99")],
        (*NONE_NONE, "INSUFFICIENT_MARGIN"),
    ),
    ("max_consecutive_failures", 3, after_failures, [2, 3], (None, "REPEAT_THROTTLE")),
    ("max_daily_loss", D(100), after_loss, [D("99.99"), D(100), D("100.01")], (None, *["DAILY_LOSS_LIMIT"] * 2)),
    ("max_daily_loss_percent", D(1), after_loss, [D("99.99"), D(100), D("100.01")], (None, *["DAILY_LOSS_LIMIT"] * 2)),
    ("max_drawdown_percent", D(1), after_loss, [D("99.99"), D(100), D("100.01")], (None, *["DRAWDOWN_LIMIT"] * 2)),
]  # fmt: skip
LATCHING = {
    "max_daily_loss": "daily_loss",
    "max_daily_loss_percent": "daily_loss",
    "max_drawdown_percent": "drawdown",
    "max_consecutive_failures": "consecutive_failures",
    "repeat_throttle": "repeat_throttle",
}


@pytest.mark.parametrize(
    ("limit", "value", "act", "quantity", "expected"),
    [
        pytest.param(limit, value, act, quantity, expected, id=f"{limit}-{quantity}")
        for limit, value, act, quantities, codes in EDGES
        for quantity, expected in zip(quantities, codes, strict=True)
    ],
)
async def test_where_a_limit_begins(
    tmp_path: Path, limit: str, value: Any, act: Act, quantity: Any, expected: str | None
) -> None:
    limits = replace(SafetyLimits(max_orders_per_second=0), **{limit: value})
    async with running(tmp_path, limits=limits) as bench:
        assert await act(bench, quantity) == expected
        latched = [LATCHING[limit]] if limit in LATCHING and expected is not None else []
        assert list(bench.core.gate.tripped) == latched


@pytest.mark.parametrize(
    ("limit", "wanted", "sent"), [(9, 10, 9), (10, 10, 10), (11, 10, 10), (5, None, 5), (None, None, 20)]
)
async def test_slippage_is_the_terminals_to_hold(
    tmp_path: Path, limit: int | None, wanted: int | None, sent: int
) -> None:
    async with running(tmp_path, limits=SafetyLimits(max_slippage_points=limit)) as bench:
        slippage = D("0.00001") * wanted if wanted is not None else None
        assert await code(bench, max_slippage=slippage) is None
        assert bench.broker.sent[0].terms.deviation == sent
