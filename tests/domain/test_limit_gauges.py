"""When a limit is near, reached, latched; that the warning rings once; that the words name figures, consequence and remedy."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain.entry_rules import CODES_OF_LATCHES
from app.domain.limit_gauges import _WORDS, Gauge, Level, WarningBell, explanation, level


def gauge(now: str, limit: str | None = "100", name: str = "daily_loss", **fields: bool) -> Gauge:
    return Gauge(
        name, "max_daily_loss", Decimal(now), Decimal(limit) if limit is not None else None, "USD", **fields
    )


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("79.99", Level.OK),
        ("80.00", Level.WARNING),
        ("80.01", Level.WARNING),
        ("99.99", Level.WARNING),
        ("100", Level.REACHED),
        ("100.01", Level.REACHED),
    ],
)
def test_the_levels_begin_at_80_and_100_percent(now: str, expected: Level) -> None:
    assert level(gauge(now), {}) is expected
    assert level(gauge(now), {"daily_loss": "why"}) is Level.LATCHED
    assert level(gauge(now, None), {}) is Level.OK


def test_the_bell_rings_once_while_the_value_stays_near() -> None:
    bell = WarningBell()
    rings = [
        bell.rings(gauge(now), float(second))
        for second, now in enumerate(["10", "80", "81", "99", "79", "80"])
    ]
    assert rings == [False, True, False, False, False, False]


def test_it_rings_again_only_after_a_minute_well_below() -> None:
    bell = WarningBell()
    assert bell.rings(gauge("80"), 0.0)
    assert not bell.rings(gauge("69.99"), 1.0)
    assert not bell.rings(gauge("85"), 60.0)  # not calm for long enough: begins anew
    assert not bell.rings(gauge("69.99"), 70.0)
    assert not bell.rings(gauge("70"), 131.0)  # not below enough
    assert not bell.rings(gauge("69.99"), 140.0)
    assert not bell.rings(gauge("60"), 200.0)
    assert bell.rings(gauge("80"), 200.1)


def test_each_limit_has_its_own_bell() -> None:
    bell = WarningBell()
    assert bell.rings(gauge("80"), 0.0)
    assert bell.rings(gauge("80", name="exposure"), 0.0)


@pytest.mark.parametrize(("limit", "rings"), [("4", False), ("5", True)])
def test_a_few_of_a_kind_are_not_warned_of(limit: str, rings: bool) -> None:
    assert WarningBell().rings(gauge(limit, limit, "positions", whole=True), 0.0) is rings
    assert WarningBell().rings(gauge(limit, limit, "exposure"), 0.0)


@pytest.mark.parametrize("limit", [None, "0"])
def test_what_has_no_limit_never_rings(limit: str | None) -> None:
    assert not WarningBell().rings(gauge("500", limit), 0.0)


@pytest.mark.parametrize("name", sorted(_WORDS))
def test_each_limit_explains_itself_in_each_state(name: str) -> None:
    near, over = gauge("81", name=name), gauge("120", name=name)
    warned = explanation(near, Level.WARNING)
    assert "81.00 USD of 100.00 USD" in warned
    assert "81 % of safety.max_daily_loss" in warned
    assert warned.endswith(f"{_WORDS[name].to_do}.")
    reached = explanation(over, Level.REACHED)
    assert "is reached" in reached
    assert _WORDS[name].at_limit in reached
    assert "No limit is set" in explanation(gauge("81", None, name), Level.OK)
    assert _WORDS[name].to_do not in explanation(gauge("1", name=name), Level.OK)


@pytest.mark.parametrize("name", sorted(CODES_OF_LATCHES))
def test_a_latched_limit_tells_why_and_the_way_back(name: str) -> None:
    words = explanation(
        gauge("120", name=name), Level.LATCHED, "today's result is -120.00; the limit is -100.00"
    )
    assert words.startswith(
        "today's result is -120.00; the limit is -100.00. Entries are refused, exits pass"
    )
    assert f"medulla limits reenable {name}" in words


def test_a_percentage_whose_base_is_not_known_says_so() -> None:
    assert "not known yet" in explanation(gauge("0", "0"), Level.REACHED)
