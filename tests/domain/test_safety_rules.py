"""The gate, rule by rule: at the limit less a step, at it, and a step over; exact decimals, exact codes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    Origin,
    TradeCommand,
)
from app.domain.entry_rules import (
    CODES_OF_LATCHES,
    daily_loss_limit,
    daily_loss_reached,
    drawdown_percent,
    drawdown_reached,
)
from app.domain.limits import SafetyLimits, Session
from app.domain.market import Permissions, TradeMode
from app.domain.safety_rules import check
from app.domain.safety_view import InFlight, Refusal, View
from app.domain.trading_state import TradingState
from app.domain.values import OrderKind, Price, Side, Symbol, Ticket, Volume
from tests.domain.making import (
    ACCOUNT,
    EURUSD,
    QUOTE,
    SPEC,
    XAUUSD,
    buy,
    by_operator,
    command,
    order,
    pending,
    position,
    sell,
    view,
)

NONE = SafetyLimits()
D = Decimal


def code(
    action: Action | TradeCommand | None = None, seen: View | None = None, limits: SafetyLimits = NONE
) -> str | None:
    asked = action if isinstance(action, TradeCommand) else command(action)
    refusal = check(asked, seen if seen is not None else view(), limits)
    return refusal.code if refusal is not None else None


EXITS: list[Action] = [ClosePosition(Ticket(7)), CancelOrder(Ticket(9)), CloseAll(), CloseAll(symbol=EURUSD)]
AMENDMENTS: list[Action] = [
    ModifyPosition(Ticket(7), stop_loss=None),
    ModifyOrder(Ticket(9), price=Price("1.08")),
]
ENTRIES: list[Action] = [buy(), sell(), pending(OrderKind.BUY_LIMIT, "1.09")]


@pytest.mark.parametrize("action", [*EXITS, *AMENDMENTS, *ENTRIES])
def test_with_nothing_in_the_way_all_may_go(action: Action) -> None:
    assert code(action) is None


# ------------------------------------------------------------------ trading state


@pytest.mark.parametrize("origin", list(Origin))
@pytest.mark.parametrize("action", [*EXITS, *AMENDMENTS, *ENTRIES])
def test_halted_lets_nothing_pass_but_exits_that_the_operator_asks_for(
    action: Action, origin: Origin
) -> None:
    passes = action in EXITS and origin is not Origin.BRAIN
    asked = command(action, origin=origin)
    assert code(asked, view(state=TradingState.HALTED)) == (None if passes else "HALTED")


@pytest.mark.parametrize("origin", list(Origin))
def test_reducing_refuses_entries_whoever_asks_and_nothing_else(origin: Origin) -> None:
    paused = view(state=TradingState.REDUCING)
    for action in ENTRIES:
        assert code(command(action, origin=origin), paused) == "REDUCE_ONLY"
    for action in [*EXITS, *AMENDMENTS]:
        assert code(command(action, origin=origin), paused) is None


# ------------------------------------------------------------------ links


@pytest.mark.parametrize("action", [*EXITS, *AMENDMENTS, *ENTRIES])
def test_without_a_terminal_nothing_can_go(action: Action) -> None:
    assert code(action, view(terminal_up=False)) == "TERMINAL_LOST"
    assert code(action, view(account=None)) == "TERMINAL_LOST"


@pytest.mark.parametrize(
    ("lack", "name"),
    [
        ({"connected": False}, "broker connection"),
        ({"synchronised": False}, "synchronised data"),
        ({"terminal_trade_allowed": False}, "Algo Trading button"),
        ({"ea_trade_allowed": False}, "EA's 'Allow Algo Trading'"),
        ({"account_trade_allowed": False}, "account's permission to trade"),
        ({"account_expert_allowed": False}, "account's permission for Expert Advisors"),
        ({"investor_login": True}, "trading password"),
        ({"investor_login": True, "account_trade_allowed": False}, "trading password"),
    ],
)
def test_each_missing_permission_is_named(lack: dict[str, bool], name: str) -> None:
    refusal = check(command(), view(permissions=Permissions(**lack)), NONE)
    assert refusal is not None
    assert refusal.code == "TERMINAL_LOST"
    assert name in refusal.message
    assert len(Permissions(**lack).missing()) == 1


def test_a_lost_brain_refuses_its_own_entries_only() -> None:
    lost = view(brain_lost=True)
    for action in ENTRIES:
        assert code(action, lost) == "BRAIN_LOST"
        assert code(by_operator(action), lost) is None
    for action in [*EXITS, *AMENDMENTS]:
        assert code(action, lost) is None


# ------------------------------------------------------------------ exits are never held up by a limit

TIGHTEST = SafetyLimits(
    allowed_symbols=frozenset({XAUUSD}),
    max_volume_per_order=D("0.01"),
    max_volume_per_symbol=D("0.01"),
    max_volume_total=D("0.01"),
    max_positions=1,
    max_positions_per_symbol=1,
    price_collar_percent=D("0.0001"),
    max_spread_points=1,
    margin_cushion=D(1000),
    sessions=(Session(frozenset({6}), time(1), time(2)),),
    require_stop_loss=True,
    max_daily_loss=D(1),
    max_daily_loss_percent=D("0.01"),
    max_drawdown_percent=D("0.01"),
    max_consecutive_failures=1,
    repeat_throttle=1,
    max_quote_age=D(1),
)
WORST = view(
    brain_lost=True,
    account=replace(ACCOUNT, equity=D(1), free_margin=D(0)),
    positions={Ticket(7): position()},
    orders={Ticket(9): order()},
    quotes={EURUSD: replace(QUOTE, received=0.0)},
    in_flight=(InFlight(EURUSD, D(50)),),
    symbols_in_doubt=frozenset({EURUSD}),
    daily_profit=D(-9999),
    consecutive_failures=99,
    identical_entries=99,
    tripped=dict.fromkeys(CODES_OF_LATCHES, "tripped"),
)


@pytest.mark.parametrize("action", [*EXITS, *AMENDMENTS])
def test_no_limit_holds_up_an_exit_or_an_amendment(action: Action) -> None:
    assert code(action, WORST, TIGHTEST) is None
    assert code(buy(), WORST, TIGHTEST) is not None


# ------------------------------------------------------------------ latched limits


@pytest.mark.parametrize(("name", "expected"), CODES_OF_LATCHES.items())
def test_a_latched_limit_refuses_entries_whatever_the_figures_say(name: str, expected: str) -> None:
    refusal = check(command(), view(tripped={name: "because"}), NONE)
    assert refusal is not None
    assert refusal.code == expected
    assert name in refusal.message
    assert "because" in refusal.message


def test_the_names_of_the_latches() -> None:
    assert CODES_OF_LATCHES == {
        "daily_loss": "DAILY_LOSS_LIMIT",
        "drawdown": "DRAWDOWN_LIMIT",
        "repeat_throttle": "REPEAT_THROTTLE",
        "consecutive_failures": "REPEAT_THROTTLE",
    }


# ------------------------------------------------------------------ symbols and market


def test_allowed_symbols() -> None:
    assert code(buy(), limits=SafetyLimits(allowed_symbols=frozenset({XAUUSD}))) == "SYMBOL_NOT_ALLOWED"
    assert code(buy(), limits=SafetyLimits(allowed_symbols=frozenset({XAUUSD, EURUSD}))) is None


def test_a_symbol_that_the_terminal_does_not_know() -> None:
    assert code(buy(symbol=Symbol("NOSUCH"))) == "SYMBOL_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("mode", "buys", "sells"),
    [
        (TradeMode.FULL, True, True),
        (TradeMode.LONG_ONLY, True, False),
        (TradeMode.SHORT_ONLY, False, True),
        (TradeMode.CLOSE_ONLY, False, False),
        (TradeMode.DISABLED, False, False),
    ],
)
def test_the_brokers_trade_mode(mode: TradeMode, buys: bool, sells: bool) -> None:
    seen = view(specs={EURUSD: replace(SPEC, trade_mode=mode)})
    expected = {True: None, False: "SYMBOL_NOT_ALLOWED"}
    assert code(buy(), seen) == expected[buys]
    assert code(sell(), seen) == expected[sells]
    assert code(pending(OrderKind.SELL_LIMIT, "1.2"), seen) == expected[sells]


def test_a_closed_market() -> None:
    assert code(buy(), view(specs={EURUSD: replace(SPEC, session_open=False)})) == "MARKET_CLOSED"


def test_a_symbol_in_doubt_holds_its_own_entries_only() -> None:
    assert code(buy(), view(symbols_in_doubt=frozenset({EURUSD}))) == "SYMBOL_IN_DOUBT"
    assert code(buy(), view(symbols_in_doubt=frozenset({XAUUSD}))) is None


@pytest.mark.parametrize(("age", "expected"), [(59.999, None), (60.0, None), (60.001, "STALE_QUOTE")])
def test_the_age_of_a_quote(age: float, expected: str | None) -> None:
    assert code(buy(), view(monotonic=1000.0 + age)) == expected


def test_no_quote_at_all() -> None:
    assert code(buy(), view(quotes={})) == "STALE_QUOTE"


# ------------------------------------------------------------------ sessions

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> View:
    return view(broker_time=MONDAY + timedelta(days=day, hours=hour, minutes=minute, seconds=second))


@pytest.mark.parametrize(
    ("seen", "allowed"),
    [
        (at(0, 7, 59, 59), False),
        (at(0, 8), True),
        (at(0, 16, 59, 59), True),
        (at(0, 17), False),
        (at(1, 12), False),
    ],
)
def test_a_session_within_a_day(seen: View, allowed: bool) -> None:
    limits = SafetyLimits(sessions=(Session(frozenset({0}), time(8), time(17)),))
    assert code(buy(), seen, limits) == (None if allowed else "OUTSIDE_SESSION")


@pytest.mark.parametrize(
    ("seen", "allowed"),
    [
        (at(0, 21, 59, 59), False),
        (at(0, 22), True),
        (at(1, 0), True),
        (at(1, 1, 59, 59), True),
        (at(1, 2), False),
        (at(1, 22), False),
        (at(0, 1), False),
    ],
)
def test_a_session_over_midnight_belongs_to_the_day_it_begins(seen: View, allowed: bool) -> None:
    limits = SafetyLimits(sessions=(Session(frozenset({0}), time(22), time(2)),))
    assert code(buy(), seen, limits) == (None if allowed else "OUTSIDE_SESSION")


def test_a_session_from_sunday_night_into_monday() -> None:
    limits = SafetyLimits(sessions=(Session(frozenset({6}), time(23), time(1)),))
    assert code(buy(), at(6, 23, 30), limits) is None
    assert code(buy(), at(7, 0, 30), limits) is None
    assert code(buy(), at(0, 0, 30), limits) is None
    assert code(buy(), at(1, 0, 30), limits) == "OUTSIDE_SESSION"


def test_any_of_several_sessions_will_do() -> None:
    limits = SafetyLimits(
        sessions=(Session(frozenset({0}), time(8), time(9)), Session(frozenset({0}), time(10), time(11)))
    )
    allowed = [code(buy(), at(0, 8, 30), limits), code(buy(), at(0, 10), limits)]
    assert allowed == [None, None]
    assert code(buy(), at(0, 9, 30), limits) == "OUTSIDE_SESSION"


# ------------------------------------------------------------------ volume


@pytest.mark.parametrize(
    ("volume", "expected"), [("0.49", None), ("0.50", None), ("0.51", "VOLUME_TOO_LARGE")]
)
def test_volume_per_order(volume: str, expected: str | None) -> None:
    limits = SafetyLimits(max_volume_per_order=D("0.5"))
    assert code(buy(volume), limits=limits) == expected
    assert code(pending(OrderKind.BUY_LIMIT, "1.09", volume), limits=limits) == expected


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ("0.01", "VOLUME_TOO_SMALL"),
        ("0.02", None),
        ("0.020", None),
        ("0.03", "VOLUME_STEP"),
        ("0.04", None),
        ("0.0400000001", "VOLUME_STEP"),
        ("5.00", None),
        ("5.02", "VOLUME_TOO_LARGE"),
    ],
)
def test_the_brokers_volumes(volume: str, expected: str | None) -> None:
    spec = replace(SPEC, volume_min=D("0.02"), volume_step=D("0.02"), volume_max=D(5), margin_per_lot=D(1))
    assert code(buy(volume), view(specs={EURUSD: spec})) == expected


def test_a_step_that_binary_floats_cannot_hold() -> None:
    for tenths in range(1, 60):
        assert code(buy(str(D(tenths) / 10)), view(account=replace(ACCOUNT, free_margin=D(10**6)))) is None


# ------------------------------------------------------------------ exposure

HELD = {
    "positions": {Ticket(7): position(7, "0.30")},
    "orders": {Ticket(9): order(9, "0.20")},
    "in_flight": (InFlight(EURUSD, D("0.10")), InFlight(XAUUSD, D("1.00"))),
}
"""0.60 lots of EURUSD, 1.60 in all, four items of which three are EURUSD's."""


@pytest.mark.parametrize(("volume", "expected"), [("0.39", None), ("0.40", None), ("0.41", "MAX_EXPOSURE")])
def test_lots_on_a_symbol_count_positions_orders_and_what_is_in_flight(
    volume: str, expected: str | None
) -> None:
    assert code(buy(volume), view(**HELD), SafetyLimits(max_volume_per_symbol=D(1))) == expected
    spec = {EURUSD: replace(SPEC, volume_limit=D(1))}
    assert code(buy(volume), view(**HELD, specs=spec)) == expected


@pytest.mark.parametrize(("volume", "expected"), [("0.39", None), ("0.40", None), ("0.41", "MAX_EXPOSURE")])
def test_lots_in_all(volume: str, expected: str | None) -> None:
    assert code(buy(volume), view(**HELD), SafetyLimits(max_volume_total=D(2))) == expected


@pytest.mark.parametrize(("most", "expected"), [(3, "MAX_POSITIONS"), (4, "MAX_POSITIONS"), (5, None)])
def test_the_number_of_positions(most: int, expected: str | None) -> None:
    assert code(buy(), view(**HELD), SafetyLimits(max_positions=most)) == expected


@pytest.mark.parametrize(("most", "expected"), [(2, "MAX_POSITIONS"), (3, "MAX_POSITIONS"), (4, None)])
def test_the_number_of_positions_on_a_symbol(most: int, expected: str | None) -> None:
    assert code(buy(), view(**HELD), SafetyLimits(max_positions_per_symbol=most)) == expected


@pytest.mark.parametrize(
    ("free", "expected"), [("1649.99", "INSUFFICIENT_MARGIN"), ("1650.00", None), ("1650.01", None)]
)
def test_the_margin_cushion(free: str, expected: str | None) -> None:
    seen = view(account=replace(ACCOUNT, free_margin=D(free)))
    assert code(buy("1.00"), seen) == expected  # 1100 a lot, times 1.5


@pytest.mark.parametrize(("free", "expected"), [("2199.99", "INSUFFICIENT_MARGIN"), ("2200.00", None)])
def test_entries_in_flight_will_need_margin_too(free: str, expected: str | None) -> None:
    seen = view(
        account=replace(ACCOUNT, free_margin=D(free)),
        in_flight=(InFlight(EURUSD, D("0.50")), InFlight(Symbol("NOSPEC"), D(1))),
    )
    assert code(buy("1.00"), seen) == expected


# ------------------------------------------------------------------ losses


@pytest.mark.parametrize(
    ("profit", "expected"),
    [("-99.99", None), ("-100.00", "DAILY_LOSS_LIMIT"), ("-100.01", "DAILY_LOSS_LIMIT")],
)
@pytest.mark.parametrize(
    "limits",
    [
        SafetyLimits(max_daily_loss=D(100)),
        SafetyLimits(max_daily_loss_percent=D(1)),
        SafetyLimits(max_daily_loss=D(100), max_daily_loss_percent=D(5)),
        SafetyLimits(max_daily_loss=D(5000), max_daily_loss_percent=D(1)),
    ],
    ids=["absolute", "percent", "absolute is tighter", "percent is tighter"],
)
def test_daily_loss(limits: SafetyLimits, profit: str, expected: str | None) -> None:
    refusal = check(command(), view(daily_profit=D(profit)), limits)
    assert (refusal.code if refusal else None) == expected
    assert (refusal.latch if refusal else "daily_loss") == "daily_loss"
    assert daily_loss_limit(limits, D(10000)) == 100


def test_a_loss_limit_that_cannot_be_checked_refuses_and_latches_nothing() -> None:
    for limits in (SafetyLimits(max_daily_loss=D(1)), SafetyLimits(max_daily_loss_percent=D(1))):
        refusal = check(command(), view(daily_profit=None, day_start_equity=None), limits)
        assert refusal is not None
        assert (refusal.code, refusal.latch) == ("DAILY_LOSS_LIMIT", None)
    assert daily_loss_reached(D(-5000), D(10000), NONE) is None


@pytest.mark.parametrize(
    ("equity", "expected"), [("9000.01", None), ("9000.00", "DRAWDOWN_LIMIT"), ("8999.99", "DRAWDOWN_LIMIT")]
)
def test_drawdown(equity: str, expected: str | None) -> None:
    seen = view(account=replace(ACCOUNT, equity=D(equity)))
    refusal = check(command(), seen, SafetyLimits(max_drawdown_percent=D(10)))
    assert (refusal.code if refusal else None) == expected
    assert (refusal.latch if refusal else "drawdown") == "drawdown"


def test_a_drawdown_that_cannot_be_known() -> None:
    limits = SafetyLimits(max_drawdown_percent=D(10))
    for peak in (None, D(0), D(-5)):
        refusal = check(command(), view(peak_equity=peak), limits)
        assert refusal is not None
        assert (refusal.code, refusal.latch) == ("DRAWDOWN_LIMIT", None)
    assert drawdown_reached(ACCOUNT, D(20000), NONE) is None
    assert drawdown_percent(ACCOUNT, D(9000)) == 0


# ------------------------------------------------------------------ failures and repetition


@pytest.mark.parametrize(("count", "refused"), [(2, False), (3, True), (4, True)])
def test_consecutive_failures(count: int, refused: bool) -> None:
    refusal = check(command(), view(consecutive_failures=count), SafetyLimits(max_consecutive_failures=3))
    assert refusal is not None if refused else refusal is None
    if refusal is not None:
        assert (refusal.code, refusal.latch) == ("REPEAT_THROTTLE", "consecutive_failures")


@pytest.mark.parametrize(("count", "refused"), [(2, False), (3, True), (4, True)])
def test_repetition(count: int, refused: bool) -> None:
    refusal = check(command(), view(identical_entries=count), SafetyLimits(repeat_throttle=3))
    assert refusal is not None if refused else refusal is None
    if refusal is not None:
        assert (refusal.code, refusal.latch) == ("REPEAT_THROTTLE", "repeat_throttle")


def test_no_throttle_is_no_throttle() -> None:
    assert code(buy(), view(identical_entries=1000, consecutive_failures=1000)) is None


# ------------------------------------------------------------------ prices


@pytest.mark.parametrize(
    ("ask", "expected"), [("1.10019", None), ("1.10020", None), ("1.10021", "SPREAD_TOO_WIDE")]
)
def test_the_spread_holds_up_market_entries_only(ask: str, expected: str | None) -> None:
    seen = view(quotes={EURUSD: replace(QUOTE, ask=Price(ask))})
    limits = SafetyLimits(max_spread_points=20)
    assert code(buy(), seen, limits) == expected
    assert code(pending(OrderKind.BUY_LIMIT, "1.09"), seen, limits) is None


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("1.0988999", "PRICE_COLLAR"),
        ("1.0989000", None),
        ("1.1000000", None),
        ("1.1011000", None),
        ("1.1011001", "PRICE_COLLAR"),
    ],
)
def test_the_price_collar_on_both_sides(price: str, expected: str | None) -> None:
    limits = SafetyLimits(price_collar_percent=D("0.1"))
    flat = view(quotes={EURUSD: replace(QUOTE, ask=Price("1.1"), bid=Price("1.1"))})
    assert code(buy(price=Price(price)), flat, limits) == expected
    assert code(sell(price=Price(price)), flat, limits) == expected


def test_the_collar_measures_buys_at_the_ask_and_sells_at_the_bid() -> None:
    limits = SafetyLimits(price_collar_percent=D("0.5"))
    wide = view(quotes={EURUSD: replace(QUOTE, bid=Price("1.00"), ask=Price("2.00"))})
    assert code(buy(price=Price("2.00")), wide, limits) is None
    assert code(buy(price=Price("1.00")), wide, limits) == "PRICE_COLLAR"
    assert code(sell(price=Price("1.00")), wide, limits) is None
    assert code(sell(price=Price("2.00")), wide, limits) == "PRICE_COLLAR"
    assert code(pending(OrderKind.BUY_LIMIT, "1.80"), wide, limits) == "PRICE_COLLAR"
    assert code(buy(), wide, limits) is None


def test_a_required_stop_loss() -> None:
    limits = SafetyLimits(require_stop_loss=True)
    assert code(buy(), limits=limits) == "STOP_LOSS_REQUIRED"
    assert code(pending(OrderKind.BUY_LIMIT, "1.09"), limits=limits) == "STOP_LOSS_REQUIRED"
    assert code(buy(stop_loss=Price("1.09")), limits=limits) is None


STOPS = [
    # bid 1.10000, ask 1.10010, 10 points of least distance
    (buy, "stop_loss", "1.09991", False),
    (buy, "stop_loss", "1.09990", True),
    (buy, "stop_loss", "1.09989", True),
    (buy, "take_profit", "1.10009", False),
    (buy, "take_profit", "1.10010", True),
    (buy, "take_profit", "1.10011", True),
    (sell, "stop_loss", "1.10019", False),
    (sell, "stop_loss", "1.10020", True),
    (sell, "stop_loss", "1.10021", True),
    (sell, "take_profit", "1.10001", False),
    (sell, "take_profit", "1.10000", True),
    (sell, "take_profit", "1.09999", True),
]


@pytest.mark.parametrize(("make", "which", "price", "fits"), STOPS)
def test_stops_keep_the_brokers_distance(make: Any, which: str, price: str, fits: bool) -> None:
    assert code(make(**{which: Price(price)})) == (None if fits else "INVALID_STOPS")


@pytest.mark.parametrize(
    ("make", "which", "sign"), [(buy, "stop_loss", -1), (buy, "take_profit", 1), (sell, "stop_loss", 1)]
)
def test_without_a_least_distance_stops_must_still_be_on_their_side(make: Any, which: str, sign: int) -> None:
    seen = view(specs={EURUSD: replace(SPEC, stops_level=0)})
    base = QUOTE.bid if make is buy else QUOTE.ask
    step = SPEC.point * sign
    assert code(make(**{which: Price(base - step)}), seen) == "INVALID_STOPS"
    assert code(make(**{which: Price(base)}), seen) == "INVALID_STOPS"
    assert code(make(**{which: Price(base + step)}), seen) is None


@pytest.mark.parametrize(
    ("kind", "price", "fits"),
    [
        (OrderKind.BUY_LIMIT, "1.10001", False),
        (OrderKind.BUY_LIMIT, "1.10000", True),
        (OrderKind.BUY_LIMIT, "1.09999", True),
        (OrderKind.BUY_STOP, "1.10019", False),
        (OrderKind.BUY_STOP, "1.10020", True),
        (OrderKind.BUY_STOP, "1.10021", True),
        (OrderKind.SELL_LIMIT, "1.10009", False),
        (OrderKind.SELL_LIMIT, "1.10010", True),
        (OrderKind.SELL_STOP, "1.09991", False),
        (OrderKind.SELL_STOP, "1.09990", True),
        (OrderKind.BUY_STOP_LIMIT, "1.10019", False),
        (OrderKind.BUY_STOP_LIMIT, "1.10020", True),
        (OrderKind.SELL_STOP_LIMIT, "1.09991", False),
        (OrderKind.SELL_STOP_LIMIT, "1.09990", True),
    ],
)
def test_a_pending_order_waits_on_its_side_of_the_market(kind: OrderKind, price: str, fits: bool) -> None:
    extra: dict[str, Any] = {"stop_limit_price": Price(price)} if kind.is_stop_limit else {}
    assert code(pending(kind, price, **extra)) == (None if fits else "INVALID_STOPS")


@pytest.mark.parametrize(
    ("kind", "stop_limit", "stop", "fits"),
    [
        (OrderKind.BUY_LIMIT, None, "1.08991", False),
        (OrderKind.BUY_LIMIT, None, "1.08990", True),
        (OrderKind.BUY_STOP_LIMIT, "1.20000", "1.19990", True),
        (OrderKind.BUY_STOP_LIMIT, "1.20000", "1.19991", False),
    ],
)
def test_stops_of_a_pending_order_are_measured_from_its_own_price(
    kind: OrderKind, stop_limit: str | None, stop: str, fits: bool
) -> None:
    price = "1.09000" if stop_limit is None else "1.30000"
    extra: dict[str, Any] = {"stop_limit_price": Price(stop_limit)} if stop_limit else {}
    asked = pending(kind, price, stop_loss=Price(stop), **extra)
    assert code(asked) == (None if fits else "INVALID_STOPS")


# ------------------------------------------------------------------ amendments and exits


@pytest.mark.parametrize(
    ("side", "stop", "fits"),
    [
        (Side.BUY, "1.09991", False),
        (Side.BUY, "1.09990", True),
        (Side.SELL, "1.10019", False),
        (Side.SELL, "1.10020", True),
    ],
)
def test_new_stops_of_a_position(side: Side, stop: str, fits: bool) -> None:
    held = view(positions={Ticket(7): position(side=side)})
    asked = ModifyPosition(Ticket(7), stop_loss=Price(stop))
    assert code(asked, held) == (None if fits else "INVALID_STOPS")
    assert code(ModifyPosition(Ticket(7), stop_loss=None), held) is None
    assert code(replace(asked, ticket=Ticket(8)), held) is None  # only the terminal can say NOT_FOUND


@pytest.mark.parametrize(("stop", "fits"), [("1.08991", False), ("1.08990", True)])
def test_new_stops_of_an_order_are_measured_from_its_old_or_new_price(stop: str, fits: bool) -> None:
    held = view(orders={Ticket(9): order()})
    assert code(ModifyOrder(Ticket(9), stop_loss=Price(stop)), held) == (None if fits else "INVALID_STOPS")
    moved = ModifyOrder(Ticket(9), price=Price("1.05"), stop_loss=Price("1.04991"))
    assert code(moved, held) == "INVALID_STOPS"
    assert code(replace(moved, stop_loss=Price("1.0499")), held) is None
    assert code(replace(moved, ticket=Ticket(8)), held) is None


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ("0.09", None),
        ("0.10", None),
        ("0.11", "VOLUME_TOO_LARGE"),
        ("0.005", "VOLUME_TOO_SMALL"),
        ("0.015", "VOLUME_STEP"),
    ],
)
def test_a_partial_close_fits_its_position_and_the_step(volume: str, expected: str | None) -> None:
    held = view(positions={Ticket(7): position()})
    assert code(ClosePosition(Ticket(7), Volume(volume)), held) == expected


def test_a_position_may_be_closed_whole_whatever_the_broker_calls_a_volume() -> None:
    odd = view(positions={Ticket(7): position(volume="0.105")})
    assert code(ClosePosition(Ticket(7), Volume("0.105")), odd) is None
    assert code(ClosePosition(Ticket(7)), odd) is None
    assert code(ClosePosition(Ticket(8), Volume("77")), odd) is None
    unknown = view(positions={Ticket(7): position()}, specs={})
    assert code(ClosePosition(Ticket(7), Volume("0.05")), unknown) is None


def test_every_refusal_speaks_in_a_sentence_with_numbers() -> None:
    refusal = check(command(buy("0.51")), view(), SafetyLimits(max_volume_per_order=D("0.5")))
    assert refusal == Refusal("VOLUME_TOO_LARGE", "volume 0.51 is above max_volume_per_order 0.5 lots")


def test_the_first_rule_that_refuses_speaks() -> None:
    """From the most general to the most particular, so that a person hears the reason that matters most."""
    order_of_rules: list[tuple[str, dict[str, Any]]] = [
        ("HALTED", {"state": TradingState.HALTED}),
        ("TERMINAL_LOST", {"terminal_up": False}),
        ("BRAIN_LOST", {"brain_lost": True}),
        ("DAILY_LOSS_LIMIT", {"tripped": {"daily_loss": "x"}}),
        ("MARKET_CLOSED", {"specs": {EURUSD: replace(SPEC, session_open=False)}}),
        ("SYMBOL_IN_DOUBT", {"symbols_in_doubt": frozenset({EURUSD})}),
        ("STALE_QUOTE", {"quotes": {}}),
    ]
    for index, (expected, _) in enumerate(order_of_rules):
        worse: dict[str, Any] = {}
        for _, fields in order_of_rules[index:]:
            worse |= fields
        assert code(buy(), view(**worse)) == expected
