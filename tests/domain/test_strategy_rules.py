"""A strategy's own limits: each on its value, one step below and above; another strategy's holdings never count."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.domain.commands import ClosePosition
from app.domain.limits import SafetyLimits, StrategyLimits
from app.domain.safety_rules import check
from app.domain.safety_view import InFlight, View
from app.domain.strategy_rules import daily_loss_reached
from app.domain.values import Ticket
from tests.domain.making import EURUSD, XAUUSD, buy, command, order, position, view


def judged(
    own: dict[str, Any], seen: View, strategy: str | None = "alpha", volume: str = "0.10", **account: Any
) -> str | None:
    limits = SafetyLimits(strategies=(StrategyLimits("alpha", **own),), **account)
    refusal = check(command(buy(volume), strategy_id=strategy), seen, limits)
    if refusal is not None and strategy is not None and not account:
        assert strategy in refusal.message
    return refusal.code if refusal is not None else None


def holding(*owned: str) -> View:
    """A position of 0.20 and an order of 0.10 lots; the first `owned` names the position's strategy, the second the order's."""
    owners = {Ticket(ticket): name for ticket, name in zip((7, 9), owned, strict=False)}
    return view(
        positions={Ticket(7): position(7, "0.20")}, orders={Ticket(9): order(9, "0.10")}, owners=owners
    )


@pytest.mark.parametrize(("most", "code"), [("0.09", "VOLUME_TOO_LARGE"), ("0.10", None), ("0.11", None)])
def test_volume_of_one_order(most: str, code: str | None) -> None:
    assert judged({"max_volume_per_order": Decimal(most)}, view()) == code


@pytest.mark.parametrize(("most", "code"), [("0.39", "MAX_EXPOSURE"), ("0.40", None), ("0.41", None)])
def test_lots_of_the_strategy_alone(most: str, code: str | None) -> None:
    own = {"max_volume_total": Decimal(most)}
    assert judged(own, holding("alpha", "alpha")) == code
    assert judged(own, holding("alpha", "beta")) is None
    assert judged(own, holding("beta", "beta")) is None
    assert judged(own, holding()) is None


@pytest.mark.parametrize(("most", "code"), [(2, "MAX_POSITIONS"), (3, None), (4, None)])
def test_positions_orders_and_entries_under_way_count_as_one_each(most: int, code: str | None) -> None:
    seen = holding("alpha", "beta")
    with_flight = view(
        positions=seen.positions,
        orders=seen.orders,
        owners=seen.owners,
        in_flight=(InFlight(EURUSD, Decimal("0.1"), "alpha"), InFlight(EURUSD, Decimal("0.1"), "beta")),
    )
    assert judged({"max_positions": most}, with_flight) == code


@pytest.mark.parametrize(
    ("profit", "code"), [("-99.99", None), ("-100", "DAILY_LOSS_LIMIT"), ("-100.01", "DAILY_LOSS_LIMIT")]
)
def test_its_own_loss_of_the_day_latches_under_its_own_name(profit: str, code: str | None) -> None:
    own = StrategyLimits("alpha", max_daily_loss=Decimal(100))
    assert judged({"max_daily_loss": Decimal(100)}, view(strategy_profit=Decimal(profit))) == code
    refusal = daily_loss_reached(own, Decimal(profit))
    assert (refusal.latch if refusal is not None else None) == ("daily_loss:alpha" if code else None)


def test_a_loss_that_is_not_known_yet_refuses_and_does_not_latch() -> None:
    refusal = daily_loss_reached(StrategyLimits("alpha", max_daily_loss=Decimal(100)), None)
    assert refusal is not None
    assert (refusal.code, refusal.latch) == ("DAILY_LOSS_LIMIT", None)


def test_its_own_symbols() -> None:
    assert judged({"allowed_symbols": frozenset({XAUUSD})}, view()) == "SYMBOL_NOT_ALLOWED"
    assert judged({"allowed_symbols": frozenset({EURUSD, XAUUSD})}, view()) is None


@pytest.mark.parametrize(
    ("account", "own", "code"),
    [
        ("0.05", "0.50", "VOLUME_TOO_LARGE"),
        ("0.50", "0.05", "VOLUME_TOO_LARGE"),
        ("0.50", "0.10", None),
    ],
)
def test_of_account_and_strategy_the_tighter_holds(account: str, own: str, code: str | None) -> None:
    assert (
        judged({"max_volume_per_order": Decimal(own)}, view(), max_volume_per_order=Decimal(account)) == code
    )


@pytest.mark.parametrize("strategy", ["beta", None])
def test_a_strategy_without_limits_has_those_of_the_account_alone(strategy: str | None) -> None:
    own = {"max_volume_per_order": Decimal("0.01"), "max_positions": 1, "max_daily_loss": Decimal(1)}
    assert judged(own, holding("alpha", "alpha"), strategy) is None


@pytest.mark.parametrize(
    ("strategy", "code"), [("alpha", None), ("beta", "INVALID_COMMAND"), (None, "INVALID_COMMAND")]
)
def test_strategies_only_refuses_strangers(strategy: str | None, code: str | None) -> None:
    assert judged({}, view(), strategy, strategies_only=True) == code


def test_strategies_only_never_holds_up_an_exit() -> None:
    limits = SafetyLimits(strategies_only=True)
    assert check(command(ClosePosition(Ticket(7))), holding(), limits) is None


def test_a_latch_of_one_strategy_refuses_that_strategy_alone() -> None:
    seen = view(tripped={"daily_loss:alpha": "lost too much"})
    assert judged({}, seen) == "DAILY_LOSS_LIMIT"
    assert judged({}, seen, "beta") is None
    assert (
        judged({}, view(tripped={"daily_loss": "the account lost"}), "beta", max_daily_loss=None)
        == "DAILY_LOSS_LIMIT"
    )


def test_a_latch_that_only_another_version_knows_still_refuses() -> None:
    assert judged({}, view(tripped={"moon_phase": "full"}), "beta", max_daily_loss=None) == "REPEAT_THROTTLE"
