"""Today's result and the peak: days change, deposits are no profit, another login is another story."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.equity import EquityDay
from app.domain.market import Account
from tests.domain.making import ACCOUNT, NOW

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def worth(equity: str | Decimal, login: str = ACCOUNT.login) -> Account:
    return replace(ACCOUNT, equity=Decimal(equity), login=login)


def test_a_day_begins_where_it_is_first_seen() -> None:
    day = EquityDay.begin(worth("10000"), MONDAY)
    assert day.profit(worth("9990.5")) == Decimal("-9.5")
    assert (day.start_equity, day.peak_equity, day.deposits) == (Decimal(10000), Decimal(10000), Decimal(0))


def test_the_peak_rises_and_never_falls_within_a_day() -> None:
    day = EquityDay.begin(worth("10000"), MONDAY)
    day = day.seen(worth("10100"), MONDAY)
    assert day.peak_equity == 10100
    assert day.seen(worth("9000"), MONDAY) is day


def test_the_next_day_counts_anew_and_keeps_the_peak() -> None:
    day = EquityDay.begin(worth("10000"), MONDAY).seen(worth("10500"), MONDAY).deposited(Decimal(5))
    day = day.seen(worth("9800"), TUESDAY)
    assert (day.day, day.start_equity, day.deposits, day.peak_equity) == (
        TUESDAY,
        Decimal(9800),
        Decimal(0),
        Decimal(10505),
    )
    assert day.profit(worth("9700")) == -100


def test_a_date_that_goes_back_begins_nothing() -> None:
    day = EquityDay.begin(worth("10000"), TUESDAY)
    assert day.seen(worth("9000"), MONDAY).start_equity == 10000


def test_a_deposit_is_no_profit_and_a_withdrawal_no_loss() -> None:
    day = EquityDay.begin(worth("10000"), MONDAY)
    richer = day.deposited(Decimal(500))
    assert richer.profit(worth("10500")) == 0
    assert richer.peak_equity == 10500
    poorer = day.deposited(Decimal(-2000)).seen(worth("8000"), MONDAY)
    assert poorer.profit(worth("8000")) == 0
    assert poorer.peak_equity == 8000


def test_another_login_is_another_account() -> None:
    day = EquityDay.begin(worth("10000"), MONDAY).seen(worth("20000"), MONDAY)
    other = day.seen(worth("300", "99"), MONDAY)
    assert (other.account, other.start_equity, other.peak_equity) == ("99", Decimal(300), Decimal(300))


def test_a_sample_brings_the_day_back() -> None:
    day = EquityDay.begin(worth("10000"), MONDAY).seen(worth("10400"), MONDAY).deposited(Decimal("12.34"))
    sample = day.sample(worth("10200"), NOW)
    assert EquityDay.restored(sample) == day
    assert (sample.at, sample.broker_day, sample.equity) == (NOW, "2026-03-02", Decimal(10200))


money = st.decimals(min_value="-100000", max_value="100000", places=2)


@given(st.lists(st.tuples(st.booleans(), money), max_size=20))
def test_profit_is_what_trading_made_whatever_is_paid_in_and_out(
    steps: list[tuple[bool, Decimal]],
) -> None:
    equity = made = Decimal(0)
    day = EquityDay.begin(worth(equity), MONDAY)
    for paid, amount in steps:
        equity += amount
        if paid:
            day = day.deposited(amount)
        else:
            made += amount
        day = day.seen(worth(equity), MONDAY)
        assert day.profit(worth(equity)) == made
        assert day.peak_equity >= equity
