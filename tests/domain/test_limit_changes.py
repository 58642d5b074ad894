"""Which way each limit loosens; the text that the journal keeps of it; what is said of a text that cannot be read."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import time
from decimal import Decimal
from typing import Any

import pytest

from app.domain.limit_changes import (
    LimitChange,
    compare,
    compare_with_texts,
    limit_texts,
    loosened,
)
from app.domain.limits import OnBrainLost, SafetyLimits, Session, StrategyLimits
from app.domain.values import Symbol

EUR, GBP, XAU = Symbol("EURUSD"), Symbol("GBPUSD"), Symbol("XAUUSD")
WEEK = frozenset(range(5))
CAPS = (
    "max_volume_per_order",
    "max_volume_per_symbol",
    "max_volume_total",
    "price_collar_percent",
    "max_daily_loss",
    "max_daily_loss_percent",
    "max_drawdown_percent",
)
WHOLE_CAPS = (
    "max_positions",
    "max_positions_per_symbol",
    "max_spread_points",
    "max_slippage_points",
    "max_consecutive_failures",
)
COUNTERS = ("max_orders_per_second", "max_orders_per_minute", "repeat_throttle")


def session(start: str, end: str, days: frozenset[int] = WEEK) -> Session:
    return Session(days, time.fromisoformat(start), time.fromisoformat(end))


def own(name: str = 'αlpha, "1"', **limits: Any) -> StrategyLimits:
    return StrategyLimits(name, **limits)


def tighter_to_looser() -> list[tuple[str, Any, Any]]:
    """(limit, tighter value, looser value)."""
    steps: list[tuple[str, Any, Any]] = []
    for name in CAPS:
        steps += [(name, Decimal("1.50"), Decimal("1.51")), (name, Decimal("1.5"), None)]
    for name in WHOLE_CAPS:
        steps += [(name, 3, 4), (name, 3, None)]
    for name in COUNTERS:
        steps += [(name, 3, 4), (name, 3, 0)]
    return [
        *steps,
        ("max_quote_age", Decimal(5), Decimal(6)),
        ("margin_cushion", Decimal("1.5"), Decimal("1.4")),
        ("margin_cushion", Decimal(1), Decimal(0)),
        ("require_stop_loss", True, False),
        ("stop_closes_positions", True, False),
        ("on_brain_lost", OnBrainLost.CLOSE_ALL, OnBrainLost.CANCEL_ORDERS),
        ("on_brain_lost", OnBrainLost.CANCEL_ORDERS, OnBrainLost.HOLD),
        ("strategies_only", True, False),
        ("strategies", (own(max_positions=3),), ()),
        ("strategies", (own(max_positions=3),), (own(max_positions=4),)),
        ("strategies", (own(max_daily_loss=Decimal("0.1")),), (own(),)),
        (
            "strategies",
            (own(allowed_symbols=frozenset({EUR})),),
            (own(allowed_symbols=frozenset({EUR, GBP})),),
        ),
        ("allowed_symbols", frozenset({EUR}), frozenset({EUR, GBP})),
        ("allowed_symbols", frozenset({EUR}), frozenset()),
        ("sessions", (session("08:00", "17:00"),), (session("08:00", "17:01"),)),
        ("sessions", (session("08:00", "17:00"),), ()),
        (
            "sessions",
            (session("22:00", "02:00", frozenset({6})),),
            (session("22:00", "02:01", frozenset({6})),),
        ),
    ]


@pytest.mark.parametrize(("name", "tight", "loose"), tighter_to_looser())
def test_each_limit_loosens_one_way_and_tightens_the_other(name: str, tight: Any, loose: Any) -> None:
    narrow, wide = (replace(SafetyLimits(), **{name: value}) for value in (tight, loose))
    assert [(change.name, change.loosens) for change in compare(narrow, wide)] == [(name, True)]
    assert [(change.name, change.loosens) for change in compare(wide, narrow)] == [(name, False)]


def test_every_limit_has_been_looked_at() -> None:
    assert {name for name, _, _ in tighter_to_looser()} == {field.name for field in fields(SafetyLimits)}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("allowed_symbols", frozenset({EUR, GBP}), frozenset({EUR, XAU})),
        ("sessions", (session("08:00", "12:00"),), (session("11:00", "13:00"),)),
    ],
)
def test_a_change_that_lets_something_new_through_loosens_even_if_it_shuts_something_else(
    name: str, old: Any, new: Any
) -> None:
    (change,) = compare(replace(SafetyLimits(), **{name: old}), replace(SafetyLimits(), **{name: new}))
    assert change.loosens


def test_the_same_hours_cut_otherwise_are_not_looser() -> None:
    whole = SafetyLimits(sessions=(session("08:00", "17:00"),))
    halves = SafetyLimits(sessions=(session("08:00", "12:00"), session("12:00", "17:00")))
    assert loosened(compare(whole, halves)) == loosened(compare(halves, whole)) == ()


def test_the_same_number_written_otherwise_is_no_change() -> None:
    assert (
        compare(SafetyLimits(max_daily_loss=Decimal("300")), SafetyLimits(max_daily_loss=Decimal("300.00")))
        == ()
    )


def test_a_change_says_from_what_to_what() -> None:
    (change,) = compare(SafetyLimits(max_daily_loss=Decimal(300)), SafetyLimits())
    assert change == LimitChange("max_daily_loss", "300", "off", True)
    assert str(change) == "max_daily_loss 300 → off"


@pytest.mark.parametrize(("name", "tight", "loose"), tighter_to_looser())
def test_what_the_journal_keeps_is_compared_as_if_it_were_the_value(
    name: str, tight: Any, loose: Any
) -> None:
    narrow, wide = (replace(SafetyLimits(), **{name: value}) for value in (tight, loose))
    assert compare_with_texts(limit_texts(narrow), narrow) == ()
    assert compare_with_texts(limit_texts(wide), wide) == ()
    assert compare_with_texts(limit_texts(narrow), wide) == compare(narrow, wide)
    assert compare_with_texts(limit_texts(wide), narrow) == compare(wide, narrow)


def test_a_limit_that_an_older_version_did_not_know_has_not_changed() -> None:
    assert (
        compare_with_texts({"max_daily_loss": "off", "gone_since": "7"}, SafetyLimits(max_positions=3)) == ()
    )


@pytest.mark.parametrize(
    "name", ["max_daily_loss", "max_positions", "sessions", "on_brain_lost", "require_stop_loss"]
)
def test_a_text_that_cannot_be_read_counts_as_loosened(name: str) -> None:
    changes = compare_with_texts({name: "half a word"}, SafetyLimits())
    assert [(change.name, change.old, change.loosens) for change in changes] == [(name, "half a word", True)]


def test_a_further_strategy_loosens_only_where_no_other_may_trade() -> None:
    one, two = (own("a", max_positions=1),), (own("a", max_positions=1), own("b", max_positions=1))
    for only in (True, False):
        (change,) = compare(
            SafetyLimits(strategies=one, strategies_only=only),
            SafetyLimits(strategies=two, strategies_only=only),
        )
        assert (change.name, change.loosens) == ("strategies", only)
