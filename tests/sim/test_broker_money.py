"""Money and triggers of the simulated broker: balance, margin, netting, stops, pending orders, stop-out, swap."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.values import Price, Side
from app.sim import triggers
from app.sim.account import cents
from app.sim.retcodes import Retcode

from .broker_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "ledger")


@pytest.fixture
def netting(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "ledger", margin_mode="netting")


def test_profit_swap_and_commission_move_the_balance(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    opened = bench.open(volume="1.00")
    assert bench.broker.book.balance == Decimal("9996.50")
    bench.price("EURUSD", "1.10110", "1.10120")
    assert bench.broker.money.equity() == Decimal("10096.50")
    assert opened.position is not None
    bench.close(opened.position)
    assert bench.broker.book.balance == Decimal("10093.00")


def test_a_profit_in_yen_is_told_in_dollars(bench: Bench) -> None:
    bench.price("USDJPY", "150.000", "150.000")
    opened = bench.open("SELL", "1.00", "USDJPY")
    bench.price("USDJPY", "149.000", "149.000")
    assert opened.position is not None
    bench.close(opened.position)
    assert bench.broker.book.deals[-1].profit == Decimal("671.14")  # 100000 yen at 149.000


def test_margin_of_each_kind_of_symbol(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10000")
    bench.price("USDJPY", "150.000", "150.000")
    bench.price("XAUUSD", "2000.00", "2000.00")
    margins = {name: bench.broker.money.spec(name).margin_per_lot for name in ("EURUSD", "USDJPY", "XAUUSD")}
    assert margins == {"EURUSD": Decimal(1100), "USDJPY": Decimal(1000), "XAUUSD": Decimal(4000)}


def test_of_a_hedge_the_larger_side_needs_margin(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10000")
    bench.open("BUY", "0.30")
    bench.open("SELL", "0.20")
    assert bench.broker.money.used_margin() == Decimal("330.00")


def test_netting_adds_averages_reduces_and_reverses(netting: Bench) -> None:
    netting.price("EURUSD", "1.10000", "1.10000")
    first = netting.open("BUY", "0.10")
    netting.price("EURUSD", "1.10200", "1.10200")
    second = netting.open("BUY", "0.30")
    assert second.position == first.position
    assert (netting.only().volume, netting.only().open_price) == (Decimal("0.40"), Decimal("1.1015"))
    netting.open("SELL", "0.10")
    assert netting.only().volume == Decimal("0.30")
    reversal = netting.open("SELL", "0.50")
    position = netting.only()
    assert (position.side, position.volume, position.open_price) == (
        Side.SELL,
        Decimal("0.20"),
        Decimal("1.10200"),
    )
    assert position.ticket == reversal.position == reversal.order
    assert position.identifier == first.position
    assert [deal.entry for deal in netting.broker.book.deals] == ["in", "in", "out", "inout"]
    assert sum(deal.profit for deal in netting.broker.book.deals) == Decimal("20.00")
    assert netting.open("BUY", "0.20").retcode == Retcode.DONE
    assert netting.broker.book.positions == {}


def test_netting_reduces_on_a_symbol_that_may_only_be_closed(netting: Bench) -> None:
    from app.domain.market import TradeMode

    netting.open("BUY", "0.20")
    netting.market.set_trade_mode("EURUSD", TradeMode.CLOSE_ONLY)
    assert netting.open("SELL", "0.30").retcode == Retcode.CLOSE_ONLY
    assert netting.open("SELL", "0.20").retcode == Retcode.DONE


@pytest.mark.parametrize(
    ("side", "bid", "reason"),
    [
        ("BUY", "1.09500", "sl"),
        ("BUY", "1.10500", "tp"),
        ("SELL", "1.10490", "sl"),
        ("SELL", "1.09490", "tp"),
    ],
)
def test_the_market_hits_stops(bench: Bench, side: str, bid: str, reason: str) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    low, high = "1.09500", "1.10500"
    bench.open(side, sl=low if side == "BUY" else high, tp=high if side == "BUY" else low)
    before = Decimal(bid) + (Decimal("0.00001") if Decimal(bid) < Decimal("1.1") else Decimal("-0.00001"))
    bench.price("EURUSD", str(before), str(before + Decimal("0.00010")))
    assert len(bench.broker.book.positions) == 1
    bench.price("EURUSD", bid, str(Decimal(bid) + Decimal("0.00010")))
    assert bench.broker.book.positions == {}
    assert bench.reasons() == ["expert", reason]


def test_a_gap_fills_a_stop_loss_at_the_market(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    bench.open("BUY", sl="1.09500")
    bench.price("EURUSD", "1.08000", "1.08010")
    assert bench.broker.book.deals[-1].price == Decimal("1.08000")


def test_stops_that_were_moved_hit_at_their_new_place(bench: Bench) -> None:
    from app.sim.trade_requests import Origin

    bench.price("EURUSD", "1.10000", "1.10010")
    opened = bench.open("BUY", sl="1.09500")
    assert opened.position is not None
    bench.broker.modify_position(opened.position, Price("1.09000"), None, Origin("cmd"))
    bench.price("EURUSD", "1.09400", "1.09410")
    assert len(bench.broker.book.positions) == 1
    bench.price("EURUSD", "1.09000", "1.09010")
    assert bench.broker.book.positions == {}


@pytest.mark.parametrize(
    ("kind", "price", "bid"),
    [
        ("BUY_LIMIT", "1.09900", "1.09890"),
        ("SELL_LIMIT", "1.10100", "1.10100"),
        ("BUY_STOP", "1.10100", "1.10090"),
        ("SELL_STOP", "1.09900", "1.09900"),
    ],
)
def test_pending_orders_become_positions_when_their_price_comes(
    bench: Bench, kind: str, price: str, bid: str
) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    placed = bench.place(kind, price, stop_loss=None)
    assert len(bench.broker.book.deals) == 0
    bench.price("EURUSD", bid, str(Decimal(bid) + Decimal("0.00010")))
    assert bench.broker.book.orders == {}
    position = bench.only()
    assert (position.ticket, position.side.value) == (placed.order, kind.split("_", maxsplit=1)[0])
    assert bench.broker.book.owners == {placed.order: "cmd"}


def test_a_stop_limit_becomes_a_limit_first(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    placed = bench.place("BUY_STOP_LIMIT", "1.10100", stop_limit=Price("1.10050"))
    bench.price("EURUSD", "1.10095", "1.10105")
    (order,) = bench.broker.book.orders.values()
    assert (order.ticket, order.kind.value, order.price) == (placed.order, "BUY_LIMIT", Decimal("1.10050"))
    bench.price("EURUSD", "1.10030", "1.10040")
    assert bench.only().open_price == Decimal("1.10040")


def test_pending_orders_expire(bench: Bench) -> None:
    bench.place("BUY_LIMIT", "1.05000", expiration=bench.clock.now + timedelta(seconds=60))
    triggers.on_time(bench.broker, bench.clock.now + timedelta(seconds=59))
    assert len(bench.broker.book.orders) == 1
    triggers.on_time(bench.broker, bench.clock.now + timedelta(seconds=60))
    assert bench.broker.book.orders == {}
    assert '"reason":"expired"' in bench.path.read_text().splitlines()[-1]


def test_an_order_without_money_for_it_is_cancelled_when_its_price_comes(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")
    bench.place("BUY_LIMIT", "1.09900", volume="50")
    bench.price("EURUSD", "1.09890", "1.09900")
    assert (bench.broker.book.orders, bench.broker.book.positions) == ({}, {})


def test_the_worst_position_goes_first_when_the_margin_is_used_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger", deposit=Decimal(2200))
    bench.price("EURUSD", "1.10000", "1.10000")
    bench.price("USDJPY", "150.000", "150.000")
    bench.open("BUY", "1.00")
    bench.open("BUY", "0.10", "USDJPY")
    bench.price("EURUSD", "1.08460", "1.08460")  # 1540 lost: 652.65 of 1200 margin, 54 %
    assert len(bench.broker.book.positions) == 2
    bench.price("EURUSD", "1.08390", "1.08390")
    assert [str(position.symbol) for position in bench.broker.book.positions.values()] == ["USDJPY"]
    assert bench.reasons()[-1] == "so"


def test_a_night_costs_swap_and_closing_books_it(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10000")
    opened = bench.open("BUY", "0.20")
    triggers.roll_over(bench.broker)
    assert bench.only().swap == Decimal("-1.30")
    assert opened.position is not None
    bench.close(opened.position, "0.05")
    assert (bench.broker.book.deals[-1].swap, bench.only().swap) == (Decimal("-0.33"), Decimal("-0.97"))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["BUY", "SELL", "close", "part", "price", "BUY_LIMIT", "SELL_STOP", "cancel", "deposit"]
        ),
        st.integers(1, 40),
        st.integers(-300, 300),
    ),
    max_size=25,
)


def play(bench: Bench, actions: list[tuple[str, int, int]]) -> Decimal:
    """Trade as told; returns what was paid in and out."""
    paid = Decimal(0)
    for action, size, move in actions:
        positions = sorted(bench.broker.book.positions)
        volume = str(Decimal(size) / 100)
        bid = Decimal("1.10000") + Decimal(move) / 100000
        match action:
            case "BUY" | "SELL":
                bench.open(action, volume, sl=str(bid - Decimal("0.00900")) if action == "BUY" else None)
            case "close" if positions:
                bench.close(positions[size % len(positions)])
            case "part" if positions:
                bench.close(positions[size % len(positions)], "0.01")
            case "price":
                bench.price("EURUSD", str(bid), str(bid + Decimal("0.00008")))
            case "BUY_LIMIT" | "SELL_STOP":
                bench.place(action, str(bid - Decimal("0.00050")), volume)
            case "cancel":
                for order in list(bench.broker.book.orders.values())[:1]:
                    from app.sim.trade_requests import Origin

                    bench.broker.cancel(order.ticket, Origin("cmd"))
            case "deposit":
                bench.broker.deposit(Decimal(size))
                paid += size
    return paid


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, mode=st.sampled_from(["hedging", "netting"]))
def test_books_add_up_and_come_back_from_the_ledger(actions: list[tuple[str, int, int]], mode: str) -> None:
    """Balance = deposits + deals; equity = balance + positions; lots in = lots out + open; replay = life."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "ledger", margin_mode=mode)
        bench.price("EURUSD", "1.10000", "1.10008")
        paid = play(bench, actions)
        broker = bench.broker
        book, money = broker.book, broker.money
        deals = sum((d.profit + d.swap + d.commission for d in book.deals), Decimal(0))
        assert book.balance == Decimal(10000) + paid + deals
        valued = [money.valued(position) for position in book.positions.values()]
        shown = sum((position.profit + position.swap for position in valued), Decimal(0))
        if mode == "hedging":
            assert money.equity() == book.balance + shown
        else:  # a netting average keeps five digits more than the symbol
            assert abs(money.equity() - book.balance - shown) <= Decimal("0.01")
        signed = sum((p.side.sign * p.volume for p in book.positions.values()), Decimal(0))
        assert signed == sum((d.side.sign * d.volume for d in book.deals), Decimal(0))
        account = money.account()
        assert account.free_margin == account.equity - account.margin
        assert account.floating == cents(account.floating)
        again = bench.reopened().book
        assert (again.balance, again.positions, again.orders) == (book.balance, book.positions, book.orders)
        assert (again.deals, again.owners, again.last_seq) == (book.deals, book.owners, book.last_seq)
        assert (again.highest_ticket, again.highest_deal) == (book.highest_ticket, book.highest_deal)
