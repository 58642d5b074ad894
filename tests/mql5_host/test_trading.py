"""What the EA does with orders and positions: EA_PROTOCOL section 4, on both fronts, counted in the broker's own book."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Rig, RigMaker
from .executor import Executor, close_args, open_args, wall_ms

pytestmark = pytest.mark.processes


def positions(executor: Executor) -> list[dict[str, Any]]:
    return list(executor.ask("positions")["data"]["positions"])


def orders(executor: Executor) -> list[dict[str, Any]]:
    return list(executor.ask("orders")["data"]["orders"])


def refusal(reply: dict[str, Any]) -> str:
    """The code of a refused trade; nothing may have been done."""
    assert not reply["ok"]
    assert reply["data"]["state"] == "refused"
    return str(reply["code"])


def test_open_modify_partial_close_and_close(rig: Rig) -> None:
    executor = rig.executor
    opened = executor.open("c1", volume="0.30", sl="1.09000")["data"]
    assert (opened["state"], opened["retcode"], opened["volume"], opened["requested"]) == (
        "done",
        10009,
        "0.30",
        "0.30",
    )
    assert (opened["price"], opened["quote"], opened["attempts"], opened["replayed"]) == (
        "1.10010",
        "1.10010",
        1,
        False,
    )
    ticket = opened["position"]
    assert (
        executor.ask("modify", {"target": "position", "ticket": ticket, "tp": "1.12000"}, "c2")["data"][
            "state"
        ]
        == "done"
    )
    (position,) = positions(executor)
    assert (position["sl"], position["tp"], position["comment"], position["magic"]) == (
        "1.09000",
        "1.12000",
        "Mabc1234#test",
        "77",
    )
    assert abs(position["opened_at"] - wall_ms()) < 60_000
    assert (
        executor.ask("modify", {"target": "position", "ticket": ticket, "sl": "0"}, "c3")["data"]["state"]
        == "done"
    )
    assert positions(executor)[0]["sl"] is None
    part = executor.close("c4", ticket, volume="0.10")["data"]
    assert (part["state"], part["volume"], part["price"], part["position"]) == (
        "done",
        "0.10",
        "1.10000",
        ticket,
    )
    assert positions(executor)[0]["volume"] == "0.20"
    assert executor.close("c5", ticket)["data"]["state"] == "done"
    assert positions(executor) == []
    assert [len(rig.terminal.effects(f"c{number}")) for number in range(1, 6)] == [1] * 5
    assert {effect["comment"] for effect in rig.terminal.effects("c1")} == {"Mabc1234#test"}


def test_place_modify_cancel(rig: Rig) -> None:
    executor = rig.executor
    expiration = (wall_ms() // 1000 + 86_400) * 1000
    placed = executor.place("c1", expiration=expiration, sl="1.08000")["data"]
    assert (placed["state"], placed["price"]) == ("done", "1.09000")
    (order,) = orders(executor)
    assert (order["ticket"], order["kind"], order["expiration"]) == (placed["order"], "BUY_LIMIT", expiration)
    changes = {"target": "order", "ticket": placed["order"], "price": "1.08500", "sl": "0", "expiration": 0}
    assert executor.ask("modify", changes, "c2")["data"]["state"] == "done"
    (order,) = orders(executor)
    assert (order["price"], order["sl"], order["expiration"]) == ("1.08500", None, None)
    assert executor.ask("cancel", {"ticket": placed["order"]}, "c3")["data"]["state"] == "done"
    assert orders(executor) == []
    assert [effect["effect"] for effect in rig.terminal.effects()] == [
        "order_placed",
        "order_modified",
        "order_cancelled",
    ]


@pytest.mark.parametrize(
    ("kind", "price", "more"),
    [
        ("SELL_LIMIT", "1.11000", {}),
        ("BUY_STOP", "1.11000", {}),
        ("SELL_STOP", "1.09000", {}),
        ("BUY_STOP_LIMIT", "1.11000", {"stop_limit": "1.10500"}),
        ("SELL_STOP_LIMIT", "1.09000", {"stop_limit": "1.09500"}),
    ],
)
def test_every_kind_of_pending_order(zmq_rig: Rig, kind: str, price: str, more: dict[str, str]) -> None:
    assert zmq_rig.executor.place("c1", kind=kind, price=price, **more)["data"]["state"] == "done"
    (order,) = orders(zmq_rig.executor)
    assert (order["kind"], order["price"], order["stop_limit"]) == (kind, price, more.get("stop_limit"))
    wrong_side = {"BUY": "1.05000", "SELL": "1.15000"}[kind[:4].strip("_")] if "STOP" in kind else "1.05000"
    assert refusal(zmq_rig.executor.place("c2", kind=kind, price=wrong_side, **more)) == "STOPS_INVALID"


def test_netting_adds_reduces_and_reverses(make_rig: RigMaker, front: str) -> None:
    rig = make_rig(front, connect=False)
    rig.terminal.control("account margin 0")
    executor = rig.executor.connect()
    first = executor.open("c1", volume="0.10")["data"]["position"]
    assert executor.open("c2", volume="0.20")["data"]["position"] == first
    assert positions(executor)[0]["volume"] == "0.30"
    reversed_ = executor.open("c3", side="SELL", volume="0.50")["data"]
    (position,) = positions(executor)
    assert (position["side"], position["volume"], position["ticket"]) == (
        "SELL",
        "0.20",
        reversed_["position"],
    )
    assert position["identifier"] == first
    assert position["ticket"] != first
    assert executor.close("c4", position["ticket"])["data"]["state"] == "done"
    assert positions(executor) == []
    assert executor.ask("account")["data"]["margin_mode"] == "netting"


def test_close_all_tells_each_position_and_leaves_orders(rig: Rig) -> None:
    executor = rig.executor
    tickets = {executor.open(f"o{number}")["data"]["position"] for number in range(3)}
    executor.open("gold", symbol="XAUUSD")
    executor.place("p1")
    swept = executor.ask("close_all", close_args(symbol="EURUSD"), "c1")["data"]
    assert (swept["state"], swept["volume"]) == ("done", "0.3")
    assert {detail["ticket"] for detail in swept["details"]} == tickets
    assert {detail["state"] for detail in swept["details"]} == {"done"}
    assert len(rig.terminal.effects("c1")) == 3
    again = executor.ask("close_all", close_args(symbol="EURUSD"), "c1")["data"]
    assert again == swept | {"replayed": True}
    assert len(positions(executor)) == 1
    assert len(orders(executor)) == 1
    by_magic = executor.ask("close_all", close_args(magic="78"), "c2")["data"]
    assert (by_magic["state"], by_magic["volume"], by_magic["details"]) == ("done", "0", [])
    assert executor.ask("close_all", close_args(symbol="NOPE"), "c3")["code"] == "SYMBOL_UNKNOWN"
    assert executor.ask("close_all", close_args(magic=5), "c4")["code"] == "INVALID_ARGS"
    assert executor.ask("close_all", {"deviation": 5}, "c5")["code"] == "INVALID_ARGS"


def test_close_all_sums_up_what_went_wrong(zmq_rig: Rig) -> None:
    executor = zmq_rig.executor
    for number in range(3):
        executor.open(f"o{number}")
    zmq_rig.terminal.control("fault 10018 noexec")
    partly = executor.ask("close_all", close_args(), "c1")["data"]
    assert partly["state"] == "partial"
    assert sorted(detail["state"] for detail in partly["details"]) == ["done", "done", "rejected"]
    zmq_rig.terminal.control("fault 10018 noexec")
    assert executor.ask("close_all", close_args(), "c2")["data"]["state"] == "rejected"
    zmq_rig.terminal.control("fault 10012 exec")
    assert executor.ask("close_all", close_args(), "c3")["data"]["state"] == "unknown"
    assert executor.ask("close_all", close_args(), "c3")["data"]["state"] == "unknown"
    assert len(zmq_rig.terminal.effects("c3")) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPE"}, "SYMBOL_UNKNOWN"),
        ({"symbol": 5}, "INVALID_ARGS"),
        ({"side": "HOLD"}, "INVALID_ARGS"),
        ({"volume": "0"}, "INVALID_ARGS"),
        ({"volume": 0.1}, "INVALID_ARGS"),
        ({"volume": "1e2"}, "INVALID_ARGS"),
        ({"volume": "-1"}, "INVALID_ARGS"),
        ({"volume": "0.015"}, "VOLUME_INVALID"),
        ({"volume": "0.001"}, "VOLUME_INVALID"),
        ({"volume": "9.99", "symbol": "GBPUSD"}, "VOLUME_INVALID"),
        ({"sl": "1.20000"}, "STOPS_INVALID"),
        ({"tp": "1.00000"}, "STOPS_INVALID"),
        ({"sl": 1.2}, "INVALID_ARGS"),
        ({"deviation": -1}, "INVALID_ARGS"),
        ({"deviation": "5"}, "INVALID_ARGS"),
        ({"magic": 77}, "INVALID_ARGS"),
        ({"magic": "-1"}, "INVALID_ARGS"),
        ({"comment": "other#test"}, "INVALID_ARGS"),
        ({"comment": "Mabc1234 and a space"}, "INVALID_ARGS"),
        ({"comment": "Mabc1234" + "x" * 20}, "INVALID_ARGS"),
        ({"tag": "short", "comment": "short"}, "INVALID_ARGS"),
        ({"max_attempts": 0}, "INVALID_ARGS"),
        ({"max_attempts": 4}, "INVALID_ARGS"),
    ],
)
def test_an_open_that_breaks_a_rule_is_refused(zmq_rig: Rig, changes: dict[str, object], code: str) -> None:
    zmq_rig.terminal.control("symbol GBPUSD volume_max 5")
    assert refusal(zmq_rig.executor.open("c1", **changes)) == code
    assert zmq_rig.terminal.effects() == []
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"


def test_other_trades_that_break_a_rule(zmq_rig: Rig) -> None:
    executor = zmq_rig.executor
    ticket = executor.open("o1")["data"]["position"]
    order = executor.place("o2")["data"]["order"]
    for number, (cmd, args, code) in enumerate(
        [
            ("close", close_args(ticket="999"), "NOT_FOUND"),
            ("close", close_args(ticket=5), "INVALID_ARGS"),
            ("close", close_args(ticket=ticket, volume="0.20"), "VOLUME_INVALID"),
            ("close", close_args(ticket=ticket, volume="0.015"), "VOLUME_INVALID"),
            ("close", close_args(ticket=ticket, volume=1), "INVALID_ARGS"),
            ("cancel", {"ticket": "999"}, "NOT_FOUND"),
            ("cancel", {"ticket": ticket}, "NOT_FOUND"),
            ("modify", {"target": "deal", "ticket": ticket}, "INVALID_ARGS"),
            ("modify", {"target": "position", "ticket": "999"}, "NOT_FOUND"),
            ("modify", {"target": "position", "ticket": ticket, "sl": "1.20000"}, "STOPS_INVALID"),
            ("modify", {"target": "position", "ticket": ticket, "tp": "1.00000"}, "STOPS_INVALID"),
            ("modify", {"target": "position", "ticket": ticket, "tp": "x"}, "INVALID_ARGS"),
            ("modify", {"target": "order", "ticket": "999"}, "NOT_FOUND"),
            ("modify", {"target": "order", "ticket": order, "price": "1.20000"}, "STOPS_INVALID"),
            ("modify", {"target": "order", "ticket": order, "price": "0"}, "INVALID_ARGS"),
            ("modify", {"target": "order", "ticket": order, "expiration": "x"}, "INVALID_ARGS"),
            ("place", open_args(kind="BUY", price="1.09"), "INVALID_ARGS"),
            ("place", open_args(kind="BUY_LIMIT"), "INVALID_ARGS"),
            ("place", open_args(kind="BUY_LIMIT", price="1.09", stop_limit="1.08"), "INVALID_ARGS"),
            ("place", open_args(kind="BUY_LIMIT", price="1.09", expiration=-5), "INVALID_ARGS"),
        ]
    ):
        assert refusal(executor.ask(cmd, args, f"c{number}")) == code, (cmd, args)
    assert refusal(executor.ask("open", open_args())) == "INVALID_ARGS"
    assert refusal(executor.ask("open", open_args(), "a b")) == "INVALID_ARGS"
    assert len(zmq_rig.terminal.effects()) == 2


def test_stops_level_and_freeze_level(zmq_rig: Rig) -> None:
    executor, terminal = zmq_rig.executor, zmq_rig.terminal
    terminal.control("symbol EURUSD stops_level 100")
    assert refusal(executor.open("c1", sl="1.09950")) == "STOPS_INVALID"
    ticket = executor.open("c2", sl="1.09800")["data"]["position"]
    order = executor.place("c3", price="1.09800")["data"]["order"]
    assert refusal(executor.place("c4", price="1.09950")) == "STOPS_INVALID"
    terminal.control("symbol EURUSD stops_level 0 freeze_level 300")
    assert (
        refusal(executor.ask("modify", {"target": "position", "ticket": ticket, "sl": "1.09"}, "c5"))
        == "STOPS_INVALID"
    )
    assert (
        refusal(executor.ask("modify", {"target": "order", "ticket": order, "price": "1.09"}, "c6"))
        == "STOPS_INVALID"
    )
    assert executor.close("c7", ticket)["data"]["state"] == "done"


def test_prices_are_put_on_the_tick_grid(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("symbol EURUSD tick_size 0.00005")
    zmq_rig.executor.open("c1", sl="1.09007")
    assert positions(zmq_rig.executor)[0]["sl"] == "1.09005"
    assert zmq_rig.executor.ask("symbol", {"symbol": "EURUSD"})["data"]["tick_size"] == "0.00005"


@pytest.mark.parametrize(
    ("flags", "execution", "listed"),
    [
        (1, 2, ["fok"]),
        (2, 2, ["ioc"]),
        (3, 3, ["fok", "ioc", "return"]),
        (0, 3, ["return"]),
        (0, 1, ["return"]),
        (4, 2, ["boc"]),
    ],
)
def test_the_filling_mode_fits_the_symbol(
    zmq_rig: Rig, flags: int, execution: int, listed: list[str]
) -> None:
    zmq_rig.terminal.control(f"symbol EURUSD filling {flags} execution {execution}")
    state = zmq_rig.executor.open("c1")["data"]["state"]
    assert state == ("rejected" if (flags, execution) == (4, 2) else "done")
    assert zmq_rig.executor.ask("symbol", {"symbol": "EURUSD"})["data"]["filling"] == listed


def test_a_wrong_filling_mode_is_replaced_by_the_next(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("fault 10030 noexec")
    reply = zmq_rig.executor.open("c1")["data"]
    assert (reply["state"], reply["attempts"]) == ("done", 2)
    assert len([line for line in zmq_rig.terminal.ledger_lines() if line["t"] == "intent"]) == 2
    zmq_rig.terminal.control("fault 10030 noexec 3")
    reply = zmq_rig.executor.open("c2")["data"]
    assert (reply["state"], reply["retcode"], reply["attempts"]) == ("rejected", 10030, 2)


@pytest.mark.parametrize("retcode", [10004, 10020, 10021, 10024])
def test_what_passes_by_itself_is_tried_again_as_often_as_allowed(zmq_rig: Rig, retcode: int) -> None:
    zmq_rig.terminal.control(f"fault {retcode} noexec 2")
    reply = zmq_rig.executor.open("c1", max_attempts=3)["data"]
    assert (reply["state"], reply["attempts"]) == ("done", 3)
    zmq_rig.terminal.control(f"fault {retcode} noexec 5")
    reply = zmq_rig.executor.open("c2", max_attempts=2)["data"]
    assert (reply["state"], reply["attempts"], reply["retcode"]) == ("rejected", 2, retcode)
    assert [len(zmq_rig.terminal.effects(cid)) for cid in ("c1", "c2")] == [1, 0]


def test_no_second_attempt_after_the_time_is_over(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("latency 300")
    zmq_rig.terminal.control("fault 10004 noexec 3")
    reply = zmq_rig.executor.ask("open", open_args(max_attempts=3), "c1", ttl=200)["data"]
    assert (reply["state"], reply["attempts"]) == ("rejected", 1)


@pytest.mark.parametrize(
    "retcode", [10006, 10013, 10014, 10016, 10017, 10018, 10019, 10026, 10029, 10036, 10040, 10046]
)
def test_a_refusal_of_the_broker_is_passed_through(zmq_rig: Rig, retcode: int) -> None:
    zmq_rig.terminal.control(f"fault {retcode} noexec")
    reply = zmq_rig.executor.open("c1", max_attempts=3)
    assert reply["ok"]
    assert (reply["data"]["state"], reply["data"]["retcode"], reply["data"]["attempts"]) == (
        "rejected",
        retcode,
        1,
    )
    assert reply["data"]["message"]
    again = zmq_rig.executor.open("c1", max_attempts=3)["data"]
    assert again == reply["data"] | {"replayed": True}


def test_a_partial_fill_says_how_much(rig: Rig) -> None:
    rig.terminal.control("partial 0.4")
    reply = rig.executor.open("c1", volume="1.00")["data"]
    assert (reply["state"], reply["retcode"], reply["volume"], reply["requested"]) == (
        "partial",
        10010,
        "0.40",
        "1.00",
    )


def test_nothing_to_change_is_done(zmq_rig: Rig) -> None:
    ticket = zmq_rig.executor.open("c1", sl="1.09000")["data"]["position"]
    reply = zmq_rig.executor.ask("modify", {"target": "position", "ticket": ticket, "sl": "1.09000"}, "c2")[
        "data"
    ]
    assert (reply["state"], reply["retcode"]) == ("done", 10025)


def test_the_market_is_closed(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("symbol EURUSD session_open 0")
    reply = zmq_rig.executor.open("c1")["data"]
    assert (reply["state"], reply["retcode"], reply["message"]) == ("rejected", 10018, "market closed")
    assert zmq_rig.executor.ask("symbol", {"symbol": "EURUSD"})["data"]["session_open"] is False


def test_expiration_that_the_broker_does_not_take(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("symbol EURUSD expiration_mode 2")
    later = (wall_ms() // 1000 + 86_400) * 1000
    assert refusal(zmq_rig.executor.place("c1", expiration=later)) == "INVALID_ARGS"
    assert zmq_rig.executor.place("c2")["data"]["state"] == "done"


def test_symbols_by_suffix_and_by_map(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", connect=False, InpSymbolSuffix=".a", InpSymbolMap="GOLD=XAUUSD, OIL=WTI")
    rig.terminal.control("symbol EURUSD.a digits 5")
    rig.terminal.control("price EURUSD.a 1.2 1.20010")
    executor = rig.executor.connect()
    assert executor.open("c1")["data"]["price"] == "1.20010"
    assert executor.open("c2", symbol="GOLD")["data"]["price"] == "2650.25"
    assert executor.open("c3", symbol="GBPUSD")["data"]["state"] == "done"
    assert refusal(executor.open("c4", symbol="OIL")) == "SYMBOL_UNKNOWN"
    assert {position["symbol"] for position in positions(executor)} == {"EURUSD", "GOLD", "GBPUSD"}
    assert {effect["symbol"] for effect in rig.terminal.effects()} == {"EURUSD.a", "XAUUSD", "GBPUSD"}


def test_positions_of_others_are_left_alone(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla")
    executor = rig.executor
    foreign = rig.terminal.control("by_hand EURUSD 0 0.5").strip()
    own = executor.open("c1")["data"]["position"]
    assert refusal(executor.close("c2", foreign)) == "LIMIT"
    assert (
        refusal(executor.ask("modify", {"target": "position", "ticket": foreign, "sl": "1.0"}, "c3"))
        == "LIMIT"
    )
    swept = executor.ask("close_all", close_args(), "c4")["data"]
    assert [detail["ticket"] for detail in swept["details"]] == [own]
    assert executor.ask("close", close_args(ticket=foreign, operator=True), "c5")["data"]["state"] == "done"


def test_positions_of_others_are_touched_when_told_so(make_rig: RigMaker) -> None:
    choices: list[dict[str, object]] = [{"InpTouchForeign": True}, {"InpOwnMagics": "5, 0-3"}]
    for number, inputs in enumerate(choices):
        rig = make_rig("Medulla", **inputs)
        foreign = rig.terminal.control("by_hand EURUSD 0 0.5").strip()
        assert rig.executor.close(f"c{number}", foreign)["data"]["state"] == "done"
