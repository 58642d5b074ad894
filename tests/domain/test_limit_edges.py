"""Every limit one step below its value, on it and one step above: where exactly it begins to refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.domain.commands import TradeCommand
from app.domain.limits import SafetyLimits, Session
from app.domain.safety_rules import check
from app.domain.safety_view import InFlight, View
from app.domain.values import Price, Ticket
from tests.domain.making import ACCOUNT, EURUSD, NOW, QUOTE, SPEC, XAUUSD, buy, command, order, position, view

D = Decimal
Situation = tuple[TradeCommand, View]
Arranged = Callable[[Any], Situation]
"""The measured quantity -> a command and what is known."""


def volume_of(lots: Decimal) -> Situation:
    return command(buy(str(lots))), view()


def held(count: int, **about: Any) -> Situation:
    return command(), view(positions={Ticket(n): position(n, "0.10", **about) for n in range(1, count + 1)})


def lots_on_symbol(lots: Decimal) -> Situation:
    """A position, an order and an entry under way of 0.30 each, and the rest asked for."""
    seen = view(
        positions={Ticket(1): position(1, "0.30")},
        orders={Ticket(9): order(9, "0.30")},
        in_flight=(InFlight(EURUSD, D("0.30")),),
    )
    return command(buy(str(lots - D("0.90")))), seen


def lots_in_all(lots: Decimal) -> Situation:
    asked, seen = lots_on_symbol(lots)
    return asked, replace(seen, positions={Ticket(1): position(1, "0.30", symbol=XAUUSD)})


def price_away(percent: Decimal) -> Situation:
    quote = replace(QUOTE, bid=Price("0.99999"), ask=Price("1.00000"))
    asked = Price(D("1.00000") * (1 + percent / 100))
    return command(buy(price=asked)), view(quotes={EURUSD: quote})


def spread_of(points: int) -> Situation:
    quote = replace(QUOTE, bid=Price("1.10000"), ask=Price(D("1.10000") + SPEC.point * points))
    return command(), view(quotes={EURUSD: quote})


def free_margin(amount: Decimal) -> Situation:
    return command(), view(account=replace(ACCOUNT, free_margin=amount))


def at_time(clock: datetime) -> Situation:
    return command(), view(broker_time=clock)


def lost_today(amount: Decimal) -> Situation:
    return command(), view(daily_profit=-amount)


def below_peak(percent: Decimal) -> Situation:
    equity = D(10000) * (100 - percent) / 100
    return command(), view(account=replace(ACCOUNT, equity=equity), peak_equity=D(10000))


def failed(times: int) -> Situation:
    return command(), view(consecutive_failures=times)


def repeated(times: int) -> Situation:
    return command(), view(identical_entries=times)


def quote_aged(seconds: Decimal) -> Situation:
    return command(), view(monotonic=QUOTE.received + float(seconds))


EIGHT = NOW.replace(hour=8, minute=0, second=0, microsecond=0)
FIVE = NOW.replace(hour=17, minute=0, second=0, microsecond=0)
TICK = timedelta(microseconds=1)
WORKDAY = (Session(frozenset({NOW.weekday()}), time(8), time(17)),)

EDGES: list[tuple[str, Any, Arranged, list[Any], list[str | None]]] = [
    # limit, its value, what is measured, (value - step, value, value + step), what is refused
    (
        "max_volume_per_order",
        D(1),
        volume_of,
        [D("0.99"), D("1.00"), D("1.01")],
        [None, None, "VOLUME_TOO_LARGE"],
    ),
    (
        "max_volume_per_symbol",
        D(1),
        lots_on_symbol,
        [D("0.99"), D("1.00"), D("1.01")],
        [None, None, "MAX_EXPOSURE"],
    ),
    ("max_volume_total", D(1), lots_in_all, [D("0.99"), D("1.00"), D("1.01")], [None, None, "MAX_EXPOSURE"]),
    ("max_positions", 3, lambda n: held(n - 1, symbol=XAUUSD), [2, 3, 4], [None, None, "MAX_POSITIONS"]),
    ("max_positions_per_symbol", 3, lambda n: held(n - 1), [2, 3, 4], [None, None, "MAX_POSITIONS"]),
    (
        "price_collar_percent",
        D(1),
        price_away,
        [D("0.99"), D("1.00"), D("1.01")],
        [None, None, "PRICE_COLLAR"],
    ),
    ("max_spread_points", 20, spread_of, [19, 20, 21], [None, None, "SPREAD_TOO_WIDE"]),
    # 0.10 lots need 110; 1.5 times that is 165
    (
        "margin_cushion",
        D("1.5"),
        free_margin,
        [D("165.01"), D(165), D("164.99")],
        [None, None, "INSUFFICIENT_MARGIN"],
    ),
    ("max_quote_age", D(5), quote_aged, [D("4.999"), D(5), D("5.001")], [None, None, "STALE_QUOTE"]),
    # Losses and repetitions are reached at their value: at the limit it is enough.
    (
        "max_daily_loss",
        D(100),
        lost_today,
        [D("99.99"), D(100), D("100.01")],
        [None, *["DAILY_LOSS_LIMIT"] * 2],
    ),
    (
        "max_daily_loss_percent",
        D(1),
        lost_today,
        [D("99.99"), D(100), D("100.01")],
        [None, *["DAILY_LOSS_LIMIT"] * 2],
    ),
    (
        "max_drawdown_percent",
        D(10),
        below_peak,
        [D("9.99"), D(10), D("10.01")],
        [None, *["DRAWDOWN_LIMIT"] * 2],
    ),
    ("max_consecutive_failures", 3, failed, [2, 3, 4], [None, *["REPEAT_THROTTLE"] * 2]),
    ("repeat_throttle", 3, repeated, [2, 3, 4], [None, *["REPEAT_THROTTLE"] * 2]),
    ("sessions", WORKDAY, at_time, [EIGHT - TICK, EIGHT, EIGHT + TICK], ["OUTSIDE_SESSION", None, None]),
    ("sessions", WORKDAY, at_time, [FIVE - TICK, FIVE, FIVE + TICK], [None, *["OUTSIDE_SESSION"] * 2]),
]
OTHERWISE = {
    "allowed_symbols": "no quantity: below",
    "require_stop_loss": "no quantity: below",
    "max_orders_per_second": "counted at the door: tests/engine/test_limit_edges.py",
    "max_orders_per_minute": "counted at the door: tests/engine/test_limit_edges.py",
    "max_slippage_points": "goes to the terminal: tests/engine/test_limit_edges.py",
    "strategies": "test_strategy_rules.py",
    "strategies_only": "test_strategy_rules.py",
    "on_brain_lost": "refuses nothing",
    "stop_closes_positions": "refuses nothing",
}


@pytest.mark.parametrize(
    ("limit", "value", "arranged", "quantity", "code"),
    [
        pytest.param(limit, value, arranged, quantity, code, id=f"{limit}-{quantity}")
        for limit, value, arranged, quantities, codes in EDGES
        for quantity, code in zip(quantities, codes, strict=True)
    ],
)
def test_where_a_limit_begins(
    limit: str, value: Any, arranged: Arranged, quantity: Any, code: str | None
) -> None:
    asked, seen = arranged(quantity)
    refusal = check(asked, seen, replace(SafetyLimits(), **{limit: value}))
    assert (refusal.code if refusal is not None else None) == code
    if limit != "margin_cushion":
        free = check(asked, seen, SafetyLimits(max_quote_age=D(86400)))
        assert free is None, "nothing but this limit may refuse here"


def test_every_limit_is_looked_at_here_or_said_where() -> None:
    names = {field.name for field in fields(SafetyLimits)}
    assert {limit for limit, *_ in EDGES} | OTHERWISE.keys() == names
    assert not {limit for limit, *_ in EDGES} & OTHERWISE.keys()


@pytest.mark.parametrize(
    ("symbols", "code"), [({EURUSD}, None), ({XAUUSD}, "SYMBOL_NOT_ALLOWED"), (set(), None)]
)
def test_allowed_symbols(symbols: set[Any], code: str | None) -> None:
    refusal = check(command(), view(), SafetyLimits(allowed_symbols=frozenset(symbols)))
    assert (refusal.code if refusal is not None else None) == code


@pytest.mark.parametrize(("stop", "code"), [(None, "STOP_LOSS_REQUIRED"), (Price("1.09000"), None)])
def test_a_stop_loss_if_it_is_required(stop: Price | None, code: str | None) -> None:
    refusal = check(command(buy(stop_loss=stop)), view(), SafetyLimits(require_stop_loss=True))
    assert (refusal.code if refusal is not None else None) == code
