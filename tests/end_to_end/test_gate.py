"""The safety gate's codes on the wire: each refusal names its rule and its number, and nothing of it reaches the broker."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from .conftest import MakeWorld
from .harness import World, until
from .scripted_brain import Message, outcome

pytestmark = pytest.mark.processes

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LIMITS = {
    "allowed_symbols": ["EURUSD", "GBPUSD", "USDJPY", "XAUUSD", "CLOSED.x", "EXIT.x", "LONG.x"],
    "max_volume_per_order": 50, "max_volume_per_symbol": 55, "max_positions_per_symbol": 4,
    "price_collar_percent": 2, "max_spread_points": 500, "require_stop_loss": True,
}  # fmt: skip


def buy(symbol: str, volume: float, stop_loss: float = 0.0, **more: Any) -> Message:
    action = {"action": "OPEN_POSITION", "symbol": symbol, "type": "BUY", "volume": volume, **more}
    return action | ({"stopLoss": stop_loss} if stop_loss else {})


@pytest.fixture(scope="module")
def world(module_worlds: MakeWorld) -> World:
    made = module_worlds()
    made.start(safety=LIMITS)
    return made


REFUSED: dict[str, tuple[Message, str, str]] = {
    "not allowed here": (buy("BTCUSD", 0.1, 1), "SYMBOL_NOT_ALLOWED", "BTCUSD"),
    "may only be closed": (buy("EXIT.x", 0.1, 1), "SYMBOL_NOT_ALLOWED", "no new positions"),
    "may only be bought": (
        {**buy("LONG.x", 1, 500), "type": "SELL"}, "SYMBOL_NOT_ALLOWED", "no SELL",
    ),
    "closed market": (buy("CLOSED.x", 1, 1), "MARKET_CLOSED", "CLOSED.x"),
    "too small": (buy("EURUSD", 0.001, 1), "VOLUME_TOO_SMALL", "0.01"),
    "too large": (buy("EURUSD", 50.01, 1), "VOLUME_TOO_LARGE", "max_volume_per_order 50"),
    "off the step": (buy("EURUSD", 0.015, 1), "VOLUME_STEP", "0.01"),
    "no stop loss": (buy("EURUSD", 0.1), "STOP_LOSS_REQUIRED", "safety.require_stop_loss"),
    "stop loss above": (buy("EURUSD", 0.1, 1.5), "INVALID_STOPS", "below"),
    "take profit below": (buy("EURUSD", 0.1, 1, takeProfit=0.9), "INVALID_STOPS", "take profit"),
    "far price": (buy("EURUSD", 0.1, 1, price=1.2), "PRICE_COLLAR", "collar is 2 %"),
    "not enough money": (buy("XAUUSD", 50, 1), "INSUFFICIENT_MARGIN", "cushion 1.5"),
    "pending on the wrong side": (
        {"action": "PLACE_ORDER", "symbol": "EURUSD", "type": "BUY_LIMIT", "volume": 0.1, "price": 1.12, "stopLoss": 1},
        "INVALID_STOPS", "below",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_an_entry_that_breaks_a_rule_is_refused_with_its_code(world: World, case: str) -> None:
    action, code, words = REFUSED[case]
    end = world.brain.do(action)
    assert (end["type"], outcome(end)) == ("EXECUTION_RESULT", f"REJECTED {code}")
    assert words in end["result"]["message"], end["result"]["message"]
    assert (end["result"]["ticket"], end["result"]["retcode"]) == (None, None)
    assert world.ledger(end["commandId"]) == []


def test_a_wide_spread_is_refused(world: World) -> None:
    world.brain.do(buy("USDJPY", 0.1, 100))
    with world.still():
        world.hand("set_price", symbol="USDJPY", bid="149.000", ask="149.600")
        world.sees_price("USDJPY", "149.000", "149.600")
        end = world.brain.do(buy("USDJPY", 0.1, 100))
    assert outcome(end) == "REJECTED SPREAD_TOO_WIDE"
    assert "600 points" in end["result"]["message"]


def test_exposure_and_number_of_positions_are_limited(world: World) -> None:
    assert outcome(world.brain.do(buy("EURUSD", 11, 1))) == "EXECUTED"
    over = world.brain.do(buy("EURUSD", 45, 1))
    assert outcome(over) == "REJECTED MAX_EXPOSURE"
    assert "max_volume_per_symbol 55" in over["result"]["message"]
    ends = [outcome(world.brain.do(buy("GBPUSD", 0.01 * n, 1))) for n in range(1, 6)]
    assert ends == ["EXECUTED"] * 4 + ["REJECTED MAX_POSITIONS"]


def test_an_exit_is_never_held_up_by_a_limit(world: World) -> None:
    opened = world.brain.do(buy("LONG.x", 1, 300))
    assert outcome(opened) == "EXECUTED"
    ticket = opened["result"]["ticket"]
    world.sees_position(ticket)
    more = world.brain.do({"action": "CLOSE_POSITION", "ticket": ticket, "volume": 9})
    assert outcome(more) == "REJECTED VOLUME_TOO_LARGE"
    assert outcome(world.brain.do({"action": "CLOSE_POSITION", "ticket": ticket})) == "EXECUTED"
    assert outcome(world.brain.do({"action": "CLOSE_POSITION", "ticket": ticket})) == "REJECTED NOT_FOUND"


def test_a_symbol_with_an_unknown_outcome_takes_no_entries_until_it_is_settled(world: World) -> None:
    brain = world.brain
    world.hand("add_fault", spec="late_fill:delay=2,cmd=open,times=1")
    late = brain.order(buy("XAUUSD", 0.1, 1))
    brain.wait(lambda: late in brain.told_unknown(), "UNKNOWN")
    doubtful = brain.do(buy("XAUUSD", 0.2, 1))
    assert outcome(doubtful) == "REJECTED SYMBOL_IN_DOUBT"
    assert outcome(brain.end_of(late)) == "EXECUTED"
    assert brain.end_of(late)["result"]["reconciled"] is True
    assert outcome(brain.do(buy("XAUUSD", 0.2, 1))) == "EXECUTED"
    assert len(world.ledger(late)) == 1


def test_a_terminal_that_may_not_trade_refuses_with_what_is_missing(world: World) -> None:
    with world.brain.listening() as heard:
        world.hand("permissions", terminal_trade_allowed=False)
        heard("ALERT", lambda m: m["code"] == "PERMISSION_LOST")
        end = world.brain.do(buy("EURUSD", 0.1, 1))
        assert outcome(end) == "REJECTED TERMINAL_LOST"
        assert "missing" in end["result"]["message"]
        world.hand("permissions", terminal_trade_allowed=True)
        heard("ALERT", lambda m: m["code"] == "PERMISSION_BACK")
    assert outcome(world.brain.do(buy("EURUSD", 0.1, 1))) == "EXECUTED"


def test_limits_that_latch_outlive_a_restart_until_a_person_re_enables_them(world: World) -> None:
    """A daily loss, a throttle of repetitions and trading hours: settings of a second day, on the same account."""
    brain = world.brain
    brain.do({"action": "CLOSE_ALL"})
    _restart_with(world, {"max_daily_loss": 3000, "repeat_throttle": 2})
    for _ in range(2):
        assert outcome(brain.do(buy("GBPUSD", 0.07))) == "EXECUTED"
    third = brain.do(buy("GBPUSD", 0.07))
    assert outcome(third) == "REJECTED REPEAT_THROTTLE"
    assert outcome(brain.do(buy("EURUSD", 0.01))) == "REJECTED REPEAT_THROTTLE"
    assert world.medulla("limits", "reenable", "repeat_throttle", "--note", "looked").returncode == 0
    assert outcome(brain.do(buy("EURUSD", 1))) == "EXECUTED"
    with world.still(), brain.listening() as heard:
        quote = next(q for q in world.hand("state")["quotes"] if q["symbol"] == "EURUSD")
        world.hand("set_price", symbol="EURUSD", bid=str(Decimal(quote["bid"]) - Decimal("0.05")))
        heard("ALERT", lambda m: m["code"] == "DAILY_LOSS")
        assert outcome(brain.do(buy("GBPUSD", 0.01))) == "REJECTED DAILY_LOSS_LIMIT"
    _restart_with(world, {})
    assert outcome(brain.do(buy("GBPUSD", 0.02))) == "REJECTED DAILY_LOSS_LIMIT"
    assert outcome(brain.do({"action": "CLOSE_ALL"})) == "EXECUTED"
    assert world.medulla("limits", "reenable", "daily_loss", "--note", "looked").returncode == 0
    assert outcome(brain.do(buy("GBPUSD", 0.03))) == "EXECUTED"
    another_day = DAYS[(datetime.now(UTC).weekday() + 3) % 7]  # noqa: TID251 — chooses a day that is not today
    hours = {"days": [another_day], "start": "09:00", "end": "17:00"}
    _restart_with(world, {"sessions": [hours], "max_quote_age": 1})
    assert outcome(brain.do(buy("GBPUSD", 0.04))) == "REJECTED OUTSIDE_SESSION"
    with world.still():
        until(
            lambda: outcome(brain.do(buy("GBPUSD", 0.04))) == "REJECTED STALE_QUOTE", "the quote is too old"
        )


def _restart_with(world: World, safety: dict[str, Any]) -> None:
    assert world.executor.end() == 0
    world.configure(safety=safety)
    with world.brain.reconnection():
        world.start_executor()
