"""What each MT5 return code proves, written out a second time: moving a code between groups must be meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.retcodes import Verdict, retcode_name, verdict

REJECTED = {
    10006: "REJECT", 10007: "CANCEL", 10013: "INVALID", 10014: "INVALID_VOLUME", 10015: "INVALID_PRICE",
    10016: "INVALID_STOPS", 10017: "TRADE_DISABLED", 10018: "MARKET_CLOSED", 10019: "NO_MONEY", 10022: "INVALID_EXPIRATION",
    10023: "ORDER_CHANGED", 10025: "NO_CHANGES", 10026: "SERVER_DISABLES_AT", 10027: "CLIENT_DISABLES_AT", 10029: "FROZEN",
    10030: "INVALID_FILL", 10032: "ONLY_REAL", 10033: "LIMIT_ORDERS", 10034: "LIMIT_VOLUME", 10035: "INVALID_ORDER",
    10036: "POSITION_CLOSED", 10038: "INVALID_CLOSE_VOLUME", 10039: "CLOSE_ORDER_EXIST", 10040: "LIMIT_POSITIONS",
    10041: "REJECT_CANCEL", 10042: "LONG_ONLY", 10043: "SHORT_ONLY", 10044: "CLOSE_ONLY", 10045: "FIFO_CLOSE",
    10046: "HEDGE_PROHIBITED",
}  # fmt: skip
TRANSIENT = {10004: "REQUOTE", 10020: "PRICE_CHANGED", 10021: "PRICE_OFF", 10024: "TOO_MANY_REQUESTS"}
AMBIGUOUS = {10011: "ERROR", 10012: "TIMEOUT", 10028: "LOCKED", 10031: "CONNECTION"}
DONE = {10008: "PLACED", 10009: "DONE"}
PARTIAL = {10010: "DONE_PARTIAL"}
GROUPS = [
    (REJECTED, Verdict.REJECTED),
    (TRANSIENT, Verdict.TRANSIENT),
    (AMBIGUOUS, Verdict.AMBIGUOUS),
    (DONE, Verdict.DONE),
    (PARTIAL, Verdict.PARTIAL),
]
LISTED = [(code, name, meaning) for group, meaning in GROUPS for code, name in group.items()]


@pytest.mark.parametrize(("code", "name", "meaning"), LISTED)
def test_every_listed_code(code: int, name: str, meaning: Verdict) -> None:
    assert verdict(code, market_order=False) is meaning
    assert retcode_name(code) == f"TRADE_RETCODE_{name}"


@pytest.mark.parametrize(("code", "name", "meaning"), LISTED)
def test_on_a_market_order_only_placed_means_something_else(code: int, name: str, meaning: Verdict) -> None:
    expected = Verdict.AMBIGUOUS if name == "PLACED" else meaning
    assert verdict(code, market_order=True) is expected


@pytest.mark.parametrize(("code", "name", "meaning"), LISTED)
def test_on_a_modification_only_no_changes_means_something_else(
    code: int, name: str, meaning: Verdict
) -> None:
    expected = Verdict.DONE if name == "NO_CHANGES" else meaning
    assert verdict(code, market_order=False, modification=True) is expected


@given(st.integers(min_value=-(2**31), max_value=2**32))
def test_whatever_is_not_listed_is_ambiguous(code: int) -> None:
    if code in {known for known, _, _ in LISTED}:
        return
    assert verdict(code, market_order=False) is Verdict.AMBIGUOUS
    assert verdict(code, market_order=True, modification=True) is Verdict.AMBIGUOUS
    assert retcode_name(code) == f"TRADE_RETCODE_{code}"


def test_the_ambiguous_codes_of_a_market_order_are_exactly_these() -> None:
    found = {code for code in range(20000) if verdict(code, market_order=True) is Verdict.AMBIGUOUS}
    listed = {code for code, _, _ in LISTED}
    assert found & listed == {10008, 10011, 10012, 10028, 10031}
    assert found - listed == set(range(20000)) - listed  # 0 among them
    assert verdict(0, market_order=True) is Verdict.AMBIGUOUS
    assert verdict(10037, market_order=True) is Verdict.AMBIGUOUS


def test_only_what_certainly_did_nothing_may_be_tried_again() -> None:
    found = {code for code in range(20000) if verdict(code, market_order=True) is Verdict.TRANSIENT}
    assert found == {10004, 10020, 10021, 10024}
