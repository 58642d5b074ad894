"""What the simulated trade server takes, at which price, and why it refuses."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.values import OrderKind, Price, Ticket
from app.sim.broker import MAX_ORDERS
from app.sim.retcodes import Retcode
from app.sim.trade_requests import Conditions, OrderTerms, Origin

from .broker_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "ledger")


def test_a_buy_opens_at_ask_and_a_sell_at_bid(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10012")
    assert bench.open("BUY").price == Decimal("1.10012")
    assert bench.open("SELL").price == Decimal("1.10000")


def test_order_and_position_share_a_number_and_the_deal_has_another(bench: Bench) -> None:
    first, second = bench.open(), bench.open()
    assert (first.order, first.position) == (10001234, 10001234)
    assert (second.order, second.position) == (10001235, 10001235)
    assert first.deal is not None
    assert first.deal not in (first.order, second.order)


@pytest.mark.parametrize(
    ("symbol", "side", "volume", "expected"),
    [
        ("EURUSD", "BUY", "0.01", Retcode.DONE),
        ("EURUSD", "BUY", "0.009", Retcode.INVALID_VOLUME),
        ("EURUSD", "BUY", "0.015", Retcode.INVALID_VOLUME),
        ("EURUSD", "BUY", "100.01", Retcode.INVALID_VOLUME),
        ("EURUSD", "BUY", "100", Retcode.NO_MONEY),
        ("CLOSED.x", "BUY", "1", Retcode.MARKET_CLOSED),
        ("EXIT.x", "BUY", "0.01", Retcode.CLOSE_ONLY),
        ("LONG.x", "SELL", "1", Retcode.LONG_ONLY),
        ("LONG.x", "BUY", "1", Retcode.DONE),
        ("US500", "BUY", "0.1", Retcode.DONE),
    ],
)
def test_symbol_and_volume_rules(
    bench: Bench, symbol: str, side: str, volume: str, expected: Retcode
) -> None:
    assert bench.open(side, volume, symbol).retcode == expected
    assert len(bench.broker.book.deals) == (1 if expected is Retcode.DONE else 0)


@pytest.mark.parametrize(
    ("side", "sl", "tp", "good"),
    [
        ("BUY", "149.839", "149.860", True),
        ("BUY", "149.841", None, False),  # nearer than the stops level of 10 points
        ("BUY", "149.900", None, False),  # on the wrong side
        ("BUY", None, "149.859", False),
        ("BUY", "149.8395", None, False),  # between two ticks
        ("SELL", "149.870", "149.850", True),
        ("SELL", "149.869", None, False),
        ("SELL", None, "149.900", False),
    ],
)
def test_stops_keep_their_side_and_their_distance(
    bench: Bench, side: str, sl: str | None, tp: str | None, good: bool
) -> None:
    bench.price("USDJPY", "149.850", "149.860")
    answer = bench.open(side, "0.10", "USDJPY", sl=sl, tp=tp)
    assert answer.retcode == (Retcode.DONE if good else Retcode.INVALID_STOPS)


def test_filling_must_be_one_that_the_symbol_takes(bench: Bench) -> None:
    assert bench.open(symbol="XAUUSD", filling="fok").retcode == Retcode.INVALID_FILL
    assert bench.open(symbol="US500", filling="ioc").retcode == Retcode.INVALID_FILL
    assert bench.open(symbol="EURUSD", filling="return").retcode == Retcode.INVALID_FILL


def test_immediate_or_cancel_takes_what_is_there(bench: Bench) -> None:
    answer = bench.open(volume="0.11", conditions=Conditions(fraction=Decimal("0.5")))
    assert (answer.retcode, answer.volume) == (Retcode.DONE_PARTIAL, Decimal("0.05"))
    assert bench.only().volume == Decimal("0.05")


def test_fill_or_kill_takes_nothing_rather_than_a_part(bench: Bench) -> None:
    answer = bench.open(symbol="US500", volume="1.0", conditions=Conditions(fraction=Decimal("0.5")))
    assert answer.retcode == Retcode.REJECT
    assert bench.broker.book.positions == {}


def test_slippage_is_always_against_the_trader(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    slipped = Conditions(slippage=7)
    buy = bench.open("BUY", conditions=slipped)
    assert buy.price == Decimal("1.10017")
    assert bench.open("SELL", conditions=slipped).price == Decimal("1.09993")
    assert buy.position is not None
    assert bench.close(buy.position, conditions=slipped).price == Decimal("1.09993")


@pytest.mark.parametrize(
    ("kind", "price", "good"),
    [
        (OrderKind.BUY_LIMIT, "1.09900", True),
        (OrderKind.BUY_LIMIT, "1.10020", False),
        (OrderKind.SELL_LIMIT, "1.10100", True),
        (OrderKind.SELL_LIMIT, "1.09990", False),
        (OrderKind.BUY_STOP, "1.10100", True),
        (OrderKind.BUY_STOP, "1.10000", False),
        (OrderKind.SELL_STOP, "1.09900", True),
        (OrderKind.SELL_STOP, "1.10010", False),
        (OrderKind.BUY_STOP, "1.101005", False),
    ],
)
def test_pending_prices_lie_on_their_side_of_the_market(
    bench: Bench, kind: OrderKind, price: str, good: bool
) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    answer = bench.place(kind.value, price)
    assert answer.retcode == (Retcode.DONE if good else Retcode.INVALID_PRICE)
    assert len(bench.broker.book.orders) == int(good)


def test_a_stop_limit_has_its_limit_behind_its_stop(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    above = bench.place("BUY_STOP_LIMIT", "1.10100", stop_limit=Price("1.10150"))
    below = bench.place("BUY_STOP_LIMIT", "1.10100", stop_limit=Price("1.10050"))
    assert (above.retcode, below.retcode) == (Retcode.INVALID_PRICE, Retcode.DONE)


def test_an_expiration_in_the_past_is_refused(bench: Bench) -> None:
    answer = bench.place("BUY_LIMIT", "1.05000", expiration=bench.clock.now)
    assert answer.retcode == Retcode.INVALID_EXPIRATION


def test_changes_that_change_nothing_and_tickets_that_are_gone(bench: Bench) -> None:
    opened = bench.open(sl="1.09000")
    assert opened.position is not None
    broker, origin = bench.broker, Origin("cmd")
    same = broker.modify_position(opened.position, Price("1.09000"), None, origin)
    assert same.retcode == Retcode.NO_CHANGES
    assert bench.close(opened.position).retcode == Retcode.DONE
    assert bench.close(opened.position).retcode == Retcode.POSITION_CLOSED
    assert broker.modify_position(opened.position, None, None, origin).retcode == Retcode.POSITION_CLOSED
    assert broker.cancel(Ticket(opened.position), origin).retcode == Retcode.INVALID


def test_within_the_freeze_level_nothing_may_be_changed(bench: Bench) -> None:
    bench.price("US500", "5230.0", "5230.5")
    placed = bench.place("BUY_LIMIT", "5229.0", "0.1", "US500")
    assert placed.order is not None
    bench.price("US500", "5228.8", "5229.3")
    terms = OrderTerms(Price("5220.0"), None, None, None, None)
    assert bench.broker.modify_order(placed.order, terms, Origin("cmd")).retcode == Retcode.FROZEN
    assert bench.broker.cancel(placed.order, Origin("cmd")).retcode == Retcode.FROZEN
    bench.price("US500", "5240.0", "5240.5")
    assert bench.broker.cancel(placed.order, Origin("cmd")).retcode == Retcode.DONE


def test_no_more_than_the_position_can_be_closed(bench: Bench) -> None:
    opened = bench.open(volume="0.10")
    assert opened.position is not None
    assert bench.close(opened.position, "0.11").retcode == Retcode.INVALID_CLOSE_VOLUME
    assert bench.close(opened.position, "0.055").retcode == Retcode.INVALID_VOLUME
    assert bench.close(opened.position, "0.04").retcode == Retcode.DONE
    assert bench.only().volume == Decimal("0.06")


def test_the_volume_limit_counts_what_is_open_on_the_side(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger", deposit=Decimal(10**9))
    for _ in range(2):
        assert bench.open(symbol="US500", volume="250").retcode == Retcode.DONE
    assert bench.open(symbol="US500", volume="0.1").retcode == Retcode.LIMIT_VOLUME
    assert bench.open("SELL", "0.1", "US500").retcode == Retcode.DONE


def test_the_brokers_own_switch_stops_experts_and_not_people(bench: Bench) -> None:
    bench.broker.autotrading_allowed = False
    assert bench.open().retcode == Retcode.SERVER_DISABLES_AT


def test_tickets_above_2_to_the_53_stay_exact(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger", first_ticket=2**53 + 1)
    opened = bench.open()
    assert opened.position == 2**53 + 1
    assert list(bench.reopened().book.positions) == [2**53 + 1]
    assert '"ticket":"9007199254740993"' in (tmp_path / "ledger").read_text()


def test_instant_execution_requotes_beyond_the_deviation(bench: Bench) -> None:
    slipped = Conditions(slippage=7)
    assert (
        bench.open(symbol="US500", volume="0.1", deviation=6, conditions=slipped).retcode == Retcode.REQUOTE
    )
    assert bench.open(symbol="US500", volume="0.1", deviation=7, conditions=slipped).retcode == Retcode.DONE
    assert bench.open(symbol="EURUSD", deviation=0, conditions=slipped).retcode == Retcode.DONE


def test_pending_orders_are_limited_in_number(bench: Bench) -> None:
    for _ in range(MAX_ORDERS):
        assert bench.place("BUY_LIMIT", "1.05000").retcode == Retcode.DONE
    assert bench.place("BUY_LIMIT", "1.05000").retcode == Retcode.LIMIT_ORDERS
