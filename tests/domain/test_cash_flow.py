"""Deposits are what trades do not explain, to the cent, whatever the clocks say about the deal at the edge."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cash_flow import DOUBT, booked_by, paid_in
from app.domain.market import Deal, TradeEvent
from tests.domain.making import NOW, deal

D = Decimal
BEFORE = D(1000)


def at(seconds: float, profit: str, **fields: Decimal) -> Deal:
    return deal(profit=D(profit), time=NOW + timedelta(seconds=seconds), **fields)


@pytest.mark.parametrize(
    ("now", "deals", "expected"),
    [
        ("1000", [], "0"),
        ("1500", [], "500"),
        ("700", [], "-300"),
        ("1040", [at(60, "40")], "0"),
        ("1540", [at(60, "50"), at(90, "-10")], "500"),
        ("935", [at(60, "-60", swap=D("-3"), commission=D("-2"))], "0"),
        # Before the look, far enough from it: was in the balance already.
        ("1500", [at(-60, "40")], "500"),
    ],
)
def test_what_trades_do_not_explain(now: str, deals: list[Deal], expected: str) -> None:
    assert paid_in(BEFORE, NOW, D(now), deals) == D(expected)


@pytest.mark.parametrize("seconds", [-9.9, -1, 0, 1, 9.9])
@pytest.mark.parametrize("known", [True, False])
def test_a_deal_at_the_edge_is_never_taken_for_a_deposit(seconds: float, known: bool) -> None:
    now = BEFORE if known else BEFORE + 40
    assert paid_in(BEFORE, NOW, now, [at(seconds, "40")]) == 0


def test_a_deal_well_after_the_look_cannot_have_been_known() -> None:
    late = at(DOUBT.total_seconds() + 1, "40")
    assert paid_in(BEFORE, NOW, BEFORE, [late]) == -40


def test_cents_lost_by_rounding_are_no_deposit() -> None:
    assert paid_in(BEFORE, NOW, D("1079.98"), [at(60, "40"), at(61, "40")]) == 0
    assert paid_in(BEFORE, NOW, D("1079.97"), [at(60, "40"), at(61, "40")]) == D("-0.03")


@given(
    profits=st.lists(st.integers(-5000, 5000), max_size=6),
    deposit=st.integers(-100_000, 100_000),
)
def test_a_deposit_among_clear_trades_is_found_to_the_cent(profits: list[int], deposit: int) -> None:
    deals = [at(60 + number, str(D(profit) / 100)) for number, profit in enumerate(profits)]
    now = BEFORE + D(sum(profits)) / 100 + D(deposit) / 100
    found = paid_in(BEFORE, NOW, now, deals)
    assert found == D(deposit) / 100 or (found == 0 and abs(D(deposit)) <= len(deals))


def test_what_one_event_books() -> None:
    assert booked_by(TradeEvent("balance", 1, NOW, amount=D(500))) == 500
    assert booked_by(TradeEvent("deal", 1, NOW, deal=at(0, "-5", swap=D(-1), commission=D("-0.5")))) == D(
        "-6.5"
    )
    assert booked_by(TradeEvent("order_placed", 1, NOW)) == 0
