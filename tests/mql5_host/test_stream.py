"""The stream: ticks, trade events without gaps whatever the platform's transactions do, heartbeat (EA_PROTOCOL sections 5, 8)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Rig, RigMaker
from .executor import Message

pytestmark = pytest.mark.processes


def tick(bid: str) -> Any:
    return lambda one: one["ev"] == "tick" and one["data"]["bid"] == bid


def trade_seqs(rig: Rig, count: int) -> list[int]:
    return [int(rig.link.event(lambda one: one["ev"] == "trade")["seq"]) for _ in range(count)]


def test_heartbeats_come_by_themselves(rig: Rig) -> None:
    first = rig.link.event(lambda one: one["ev"] == "heartbeat")
    second = rig.link.event(lambda one: one["ev"] == "heartbeat")
    assert second["seq"] == first["seq"] + 1
    assert first["boot"] == rig.executor.hello_reply["boot"]
    assert first["data"]["account"]["equity"] == "10000.00"
    assert first["data"]["ping_us"] == 1500


def test_ticks_of_what_is_subscribed(rig: Rig) -> None:
    reply = rig.executor.ask("subscribe", {"symbols": ["EURUSD", "XAUUSD"], "min_interval": 0})
    assert reply["data"] == {"symbols": ["EURUSD", "XAUUSD"]}
    rig.terminal.control("price EURUSD 1.20000 1.20010")
    rig.terminal.control("price GBPUSD 1.30000 1.30010")
    rig.terminal.control("price XAUUSD 2700.5 2700.75")
    event = rig.link.event(tick("2700.50"))
    assert (event["data"]["symbol"], event["data"]["ask"]) == ("XAUUSD", "2700.75")
    assert rig.link.event(tick("1.20000"))["data"]["volume"] == 1
    assert not [one for one in rig.link.events if one["ev"] == "tick" and one["data"]["symbol"] == "GBPUSD"]
    assert rig.executor.ask("unsubscribe", {"symbols": ["EURUSD"]})["data"] == {"symbols": ["XAUUSD"]}
    rig.terminal.control("price EURUSD 1.30000 1.30010")
    rig.terminal.control("price XAUUSD 2800 2801")
    rig.link.event(tick("2800.00"))
    assert not [one for one in rig.link.events if one["ev"] == "tick" and one["data"]["bid"] == "1.30000"]


def test_an_unknown_symbol_subscribes_nothing(zmq_rig: Rig) -> None:
    executor = zmq_rig.executor
    assert (
        executor.ask("subscribe", {"symbols": ["EURUSD", "NOPE"], "min_interval": 0})["code"]
        == "SYMBOL_UNKNOWN"
    )
    assert executor.ask("subscribe", {"symbols": [], "min_interval": 0})["data"] == {"symbols": []}
    for args in (
        {"symbols": "EURUSD", "min_interval": 0},
        {"symbols": [5], "min_interval": 0},
        {"symbols": [], "min_interval": -1},
    ):
        assert executor.ask("subscribe", args)["code"] == "INVALID_ARGS"
    assert executor.ask("unsubscribe", {"symbols": 5})["code"] == "INVALID_ARGS"


def test_ticks_are_conflated_to_the_interval(zmq_rig: Rig) -> None:
    zmq_rig.executor.ask("subscribe", {"symbols": ["EURUSD"], "min_interval": 0})
    zmq_rig.link.event(tick("1.10000"))
    zmq_rig.executor.ask("subscribe", {"symbols": ["EURUSD"], "min_interval": 60_000})
    assert zmq_rig.link.event(tick("1.10000"))["seq"] == 2  # one of each symbol at once
    for number in range(5):
        zmq_rig.terminal.control(f"price EURUSD 1.2000{number} 1.20020")
    zmq_rig.executor.ask("heartbeat")
    assert not [one for one in zmq_rig.link.events if one["ev"] == "tick"]
    zmq_rig.terminal.control("permission connected 0")
    zmq_rig.terminal.control("advance 60000")
    zmq_rig.link.event(lambda one: one["ev"] == "heartbeat" and not one["data"]["permissions"]["connected"])
    assert not [one for one in zmq_rig.link.events if one["ev"] == "tick"]
    zmq_rig.terminal.control("permission connected 1")
    assert zmq_rig.link.event(tick("1.20004"))["seq"] == 3


def test_lossless_ticks_miss_none(rig: Rig) -> None:
    rig.executor.ask("subscribe", {"symbols": ["EURUSD"], "min_interval": 0, "lossless": True})
    rig.link.event(tick("1.10000"))
    for number in range(300):
        rig.terminal.control(f"price EURUSD {1.2 + number / 100_000:.5f} 1.30000")
    rig.link.event(tick("1.20299"))
    bids = [one["data"]["bid"] for one in rig.link.events if one["ev"] == "tick"]
    assert bids == [f"{1.2 + number / 100_000:.5f}" for number in range(299)]
    seqs = [one["seq"] for one in rig.link.events if one["ev"] == "tick"]
    assert seqs == list(range(2, 301))


def test_what_the_executor_does_comes_with_its_id(rig: Rig) -> None:
    ticket = rig.executor.open("c1")["data"]["position"]
    opened = rig.link.trade_event("deal")
    assert (opened["cid"], opened["position_ticket"], opened["position"]["volume"]) == ("c1", ticket, "0.10")
    assert (opened["deal"]["entry"], opened["deal"]["reason"]) == ("in", "expert")
    assert opened["account"]["login"] == "5001"
    rig.executor.ask("modify", {"target": "position", "ticket": ticket, "sl": "1.0"}, "c2")
    assert rig.link.trade_event("position_modified")["position"]["sl"] == "1.00000"
    rig.executor.close("c3", ticket)
    closed = rig.link.trade_event("deal")
    assert (closed["cid"], closed["position"], closed["deal"]["entry"]) == ("c3", None, "out")


def test_pending_orders_through_their_life(rig: Rig) -> None:
    expiration = rig.executor.now() // 1000 * 1000 + 60_000
    order = rig.executor.place("c1", expiration=expiration)["data"]["order"]
    placed = rig.link.trade_event("order_placed")
    assert (placed["cid"], placed["order_ticket"], placed["order"]["price"]) == ("c1", order, "1.09000")
    rig.executor.ask("modify", {"target": "order", "ticket": order, "price": "1.08"}, "c2")
    assert rig.link.trade_event("order_modified")["order"]["price"] == "1.08000"
    # In steps, with a sign of life between: over one connection nothing is streamed to nobody.
    for _ in range(16):
        rig.terminal.control("advance 4000")
        assert rig.executor.ask("heartbeat")["ok"]
    assert rig.link.trade_event("order_expired")["order"] is None
    rig.fresh_session()
    second = rig.executor.place("c3")["data"]["order"]
    rig.terminal.control("price EURUSD 1.08990 1.09000")
    assert rig.link.trade_event("order_triggered")["order_ticket"] == second
    filled = rig.link.trade_event("deal")
    assert ("cid" in filled, filled["order_ticket"], filled["order"]) == (False, second, None)


def test_a_netting_reversal_ends_the_old_ticket_first(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("account margin 0")
    old = zmq_rig.executor.open("c1")["data"]["position"]
    zmq_rig.link.trade_event("deal")
    new = zmq_rig.executor.open("c2", side="SELL", volume="0.30")["data"]["position"]
    gone = zmq_rig.link.event(lambda one: one["ev"] == "trade")["data"]
    assert (gone["kind"], gone["position_ticket"], gone["position"]) == ("position_modified", old, None)
    turned = zmq_rig.link.trade_event("deal")
    assert (turned["deal"]["entry"], turned["position_ticket"], turned["position"]["side"]) == (
        "inout",
        new,
        "SELL",
    )


def test_a_stop_limit_order_turns_into_a_limit_order(zmq_rig: Rig) -> None:
    zmq_rig.executor.place("c1", kind="BUY_STOP_LIMIT", price="1.11000", stop_limit="1.10500")
    zmq_rig.terminal.control("price EURUSD 1.10990 1.11000")
    assert zmq_rig.link.trade_event("order_modified")["order"]["kind"] == "BUY_LIMIT"
    zmq_rig.terminal.control("price EURUSD 1.10400 1.10410")
    assert zmq_rig.link.trade_event("order_triggered")["order"] is None


def test_stop_losses_deposits_and_strangers_are_told_too(rig: Rig) -> None:
    rig.executor.open("c1", sl="1.09500", tp="1.20000")
    rig.link.trade_event("deal")
    rig.terminal.control("price EURUSD 1.09400 1.09410")
    stopped = rig.link.trade_event("deal")
    assert (stopped["deal"]["reason"], stopped["position"]) == ("sl", None)
    rig.executor.open("c2", tp="1.12000")
    rig.link.trade_event("deal")
    rig.terminal.control("price EURUSD 1.12100 1.12110")
    assert rig.link.trade_event("deal")["deal"]["reason"] == "tp"
    rig.terminal.control("deposit 250")
    assert rig.link.trade_event("balance")["amount"] == "250.00"
    rig.terminal.control("by_hand EURUSD 1 0.5")
    by_hand = rig.link.trade_event("deal")
    assert (by_hand["deal"]["reason"], by_hand["deal"]["magic"], "cid" in by_hand) == ("client", "0", False)


@pytest.mark.parametrize("accident", ["reverse", "drop"])
def test_transactions_in_any_order_or_lost_leave_no_gap(zmq_rig: Rig, accident: str) -> None:
    zmq_rig.terminal.control("transactions hold")
    order = zmq_rig.executor.place("p1")["data"]["order"]
    zmq_rig.executor.ask("modify", {"target": "order", "ticket": order, "price": "1.08"}, "p2")
    zmq_rig.terminal.control("by_hand EURUSD 0 0.1")
    zmq_rig.terminal.control(f"transactions {accident}")
    zmq_rig.terminal.control("transactions release")
    zmq_rig.link.event(lambda one: one["ev"] == "trade" and "deal" in one["data"])
    rest = [one for one in zmq_rig.link.events if one["ev"] == "trade"]
    snapshot = zmq_rig.executor.ask("snapshot")["data"]
    assert snapshot["orders"][0]["price"] == "1.08000"
    seqs = [one["seq"] for one in rest]
    assert len(set(seqs)) == len(seqs)
    assert snapshot["trade_seq"] >= max([*seqs, 1])


def test_a_snapshot_is_one_moment_and_names_the_last_event(rig: Rig) -> None:
    rig.executor.open("c1")
    rig.executor.place("c2", symbol="XAUUSD", kind="SELL_LIMIT", price="2700")
    rig.executor.ask("subscribe", {"symbols": ["GBPUSD"], "min_interval": 0})
    data: Message = rig.executor.ask("snapshot")["data"]
    assert [one["symbol"] for one in data["positions"]] == ["EURUSD"]
    assert [one["price"] for one in data["orders"]] == ["2700.00"]
    assert [one["symbol"] for one in data["symbols"]] == ["GBPUSD", "EURUSD", "XAUUSD"]
    assert {one["symbol"] for one in data["quotes"]} == {"EURUSD", "GBPUSD", "XAUUSD"}
    assert (data["server_utc_offset"], data["trade_seq"]) == (7200, 2)
    assert trade_seqs(rig, 2) == [1, 2]


def test_symbol_and_quotes(rig: Rig) -> None:
    data = rig.executor.ask("symbol", {"symbol": "XAUUSD"})["data"]
    assert data == {
        "symbol": "XAUUSD", "digits": 2, "point": "0.01", "tick_size": "0.01", "tick_value": "1", "contract_size": "100",
        "volume_min": "0.01", "volume_max": "100", "volume_step": "0.01", "volume_limit": "0", "stops_level": 0,
        "freeze_level": 0, "trade_mode": "full", "filling": ["ioc"], "execution": "market", "margin_per_lot": "2650.25",
        "currency_profit": "USD", "session_open": True,
    }  # fmt: skip
    assert rig.executor.ask("symbol", {"symbol": "NOPE"})["code"] == "SYMBOL_UNKNOWN"
    assert rig.executor.ask("symbol", {"symbol": 5})["code"] == "INVALID_ARGS"
    quotes = rig.executor.ask("quotes", {"symbols": ["EURUSD"]})["data"]["quotes"]
    assert [(one["bid"], one["ask"]) for one in quotes] == [("1.10000", "1.10010")]
    assert abs(quotes[0]["time"] - rig.executor.now()) < 60_000
    assert rig.executor.ask("quotes", {"symbols": ["NOPE"]})["code"] == "SYMBOL_UNKNOWN"


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ("trade_mode 0", "trade_mode", "disabled"),
        ("trade_mode 1", "trade_mode", "long_only"),
        ("trade_mode 2", "trade_mode", "short_only"),
        ("trade_mode 3", "trade_mode", "close_only"),
        ("execution 0", "execution", "request"),
        ("execution 1", "execution", "instant"),
        ("execution 3", "execution", "exchange"),
    ],
)
def test_symbol_modes(zmq_rig: Rig, settings: str, field: str, value: str) -> None:
    zmq_rig.terminal.control(f"symbol EURUSD {settings}")
    assert zmq_rig.executor.ask("symbol", {"symbol": "EURUSD"})["data"][field] == value


def test_nothing_is_told_as_gone_while_the_connection_is(zmq_rig: Rig) -> None:
    zmq_rig.executor.open("c1")
    zmq_rig.link.trade_event("deal")
    zmq_rig.terminal.control("permission connected 0")
    beat = zmq_rig.link.event(
        lambda one: one["ev"] == "heartbeat" and not one["data"]["permissions"]["connected"]
    )
    assert beat["data"]["trade_seq"] == 1
    zmq_rig.terminal.control("permission connected 1")
    assert zmq_rig.executor.open("c2")["data"]["state"] == "done"


def test_an_average_price_keeps_its_digits(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", connect=False)
    rig.terminal.control("account margin 1")
    executor = rig.executor.connect()
    executor.open("c1", volume="0.10")
    rig.terminal.control("price EURUSD 1.10000 1.10011")
    executor.open("c2", volume="0.20")
    assert executor.ask("positions")["data"]["positions"][0]["open_price"] == "1.10010667"
    assert executor.ask("account")["data"]["margin_mode"] == "exchange"
