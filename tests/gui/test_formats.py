"""Numbers and times as a trader reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from app.gui import formats
from app.gui.formats import Zone


@pytest.mark.parametrize(
    ("value", "places", "signed", "text"),
    [
        ("10482.17", 2, False, "10\u00a0482.17"),
        ("-1234567.5", 2, False, "−1\u00a0234\u00a0567.50"),
        ("0.004", 2, True, "0.00"),
        ("-0.004", 2, True, "0.00"),
        ("182.17", 2, True, "+182.17"),
        ("1.10500", None, False, "1.10500"),
        ("1E+3", None, False, "1\u00a0000"),
    ],
)
def test_numbers_are_spaced_and_have_a_real_minus(
    value: str, places: int | None, signed: bool, text: str
) -> None:
    assert formats.number(Decimal(value), places, signed=signed) == text


def test_what_is_not_known_is_a_dash_and_not_a_zero() -> None:
    assert formats.money(None) == formats.price(None, 5) == formats.milliseconds(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (59.9, "59 s"), (60, "1 m"), (3600, "1 h 00 m"), (4320, "1 h 12 m"), (90_000, "1 d 1 h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert formats.span(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.61, "0.6 ms"), (88.4, "88 ms"), (12_000.0, "12.0 s")])
def test_latencies(value: float, text: str) -> None:
    assert formats.milliseconds(value) == text


def test_volumes_keep_their_digits_and_have_at_least_two() -> None:
    assert (formats.lots(Decimal("0.1")), formats.lots(Decimal("0.001"))) == ("0.10", "0.001")


def test_utc_is_utc_whatever_the_moment_came_in() -> None:
    moment = datetime(2026, 11, 20, 14, 3, 22, 418_900, tzinfo=timezone(timedelta(hours=2)))
    assert formats.clock(moment, Zone.UTC, fine=True) == "12:03:22.418"
    assert formats.in_zone(moment, Zone.LOCAL) == datetime(2026, 11, 20, 12, 3, 22, 418_900, tzinfo=UTC)
