"""Never twice: the EA's ledger over repeats, conflicts, ambiguous answers, crashes and a disk that refuses."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Rig
from .executor import Executor, close_args, open_args

pytestmark = pytest.mark.processes

AMBIGUOUS = (0, 10008, 10011, 10012, 10028, 10031, 10999)


def find(executor: Executor, cid: str, **hints: object) -> dict[str, Any]:
    reply = executor.ask("find", {"since": 0} | hints, cid)
    assert reply["ok"], reply
    return dict(reply["data"])


def found_in_time(executor: Executor, cid: str) -> dict[str, Any]:
    """Ask until the EA has a result; the EA is asked at most a hundred times."""
    for _ in range(100):
        finding = find(executor, cid)
        if finding["ledger"] == "result":
            return dict(finding["execution"])
    raise AssertionError(f"{cid} has no result")


def test_a_command_that_comes_again_has_one_effect_and_one_answer(rig: Rig) -> None:
    first = rig.executor.open("c1")["data"]
    again = rig.executor.open("c1")["data"]
    assert again == first | {"replayed": True}
    rig.fresh_session()
    assert rig.executor.open("c1")["data"] == again
    rig.restart()
    assert rig.executor.open("c1")["data"] == again
    assert len(rig.terminal.effects("c1")) == 1


def test_the_same_id_with_other_content_is_a_conflict(rig: Rig) -> None:
    rig.executor.open("c1")
    reply = rig.executor.open("c1", volume="0.20")
    assert (reply["code"], reply["data"]["state"]) == ("ID_CONFLICT", "refused")
    reply = rig.executor.ask("close", open_args(), "c1")
    assert reply["code"] == "ID_CONFLICT"
    assert len(rig.terminal.effects()) == 1


def test_what_was_refused_may_come_again(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("permission terminal 0")
    assert zmq_rig.executor.open("c1")["code"] == "NO_PERMISSION"
    zmq_rig.terminal.control("permission terminal 1")
    assert find(zmq_rig.executor, "c1")["ledger"] == "never_seen"
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"


def test_the_intent_is_on_disk_before_the_broker_is_asked(zmq_rig: Rig) -> None:
    zmq_rig.executor.open("c1")
    kinds = [(line["t"], line["cid"]) for line in zmq_rig.terminal.ledger_lines()]
    assert kinds == [("intent", "c1"), ("result", "c1")]
    # The broker read the ledger from the disk at the moment of OrderSend: an unflushed intent would not have been there.
    assert [effect["cid"] for effect in zmq_rig.terminal.effects()] == ["c1"]


@pytest.mark.parametrize("retcode", AMBIGUOUS)
@pytest.mark.parametrize("mode", ["exec", "noexec"])
def test_an_ambiguous_answer_is_unknown_and_never_sent_again(zmq_rig: Rig, retcode: int, mode: str) -> None:
    zmq_rig.terminal.control(f"fault {retcode} {mode}")
    reply = zmq_rig.executor.open("c1", max_attempts=3)
    assert reply["ok"]
    assert (reply["data"]["state"], reply["data"]["attempts"]) == ("unknown", 1)
    done = mode == "exec"
    if done:
        execution = found_in_time(zmq_rig.executor, "c1")
        assert (execution["state"], execution["volume"], execution["price"]) == ("done", "0.10", "1.10010")
    again = zmq_rig.executor.open("c1", max_attempts=3)["data"]
    assert (again["state"], again["replayed"]) == ("done" if done else "unknown", True)
    finding = find(zmq_rig.executor, "c1", tag="Mabc1234")
    assert finding["ledger"] == ("result" if done else "sent")
    assert len(finding["positions"]) == len(finding["deals"]) == int(done)
    assert len(zmq_rig.terminal.effects("c1")) == int(done)
    assert zmq_rig.terminal.control("stats").split()[0] == "1"


def test_an_execution_that_comes_late_is_found(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("fault 10012 later")
    assert zmq_rig.executor.open("c1")["data"]["state"] == "unknown"
    finding = find(zmq_rig.executor, "c1")
    assert (finding["ledger"], finding["execution"]) == ("sent", None)
    zmq_rig.terminal.control("settle")
    assert found_in_time(zmq_rig.executor, "c1")["state"] == "done"
    assert len(zmq_rig.terminal.effects()) == 1


def test_every_kind_of_trade_is_looked_up(zmq_rig: Rig) -> None:
    executor, control = zmq_rig.executor, zmq_rig.terminal.control
    ticket = executor.open("o1", volume="0.30")["data"]["position"]
    order = executor.place("o2")["data"]["order"]
    trades: list[tuple[str, dict[str, Any]]] = [
        ("close", close_args(ticket=ticket, volume="0.10")),
        (
            "place",
            {
                **open_args(kind="SELL_LIMIT", price="1.12000", tag="Mplace01", comment="Mplace01"),
                "side": None,
            },
        ),
        ("modify", {"target": "position", "ticket": ticket, "sl": "1.05000"}),
        ("modify", {"target": "order", "ticket": order, "price": "1.08000"}),
        ("cancel", {"ticket": order}),
    ]
    for number, (cmd, args) in enumerate(trades):
        control("fault 10012 later")
        assert executor.ask(cmd, args, f"c{number}")["data"]["state"] == "unknown"
        assert find(executor, f"c{number}")["ledger"] == "sent"
        control("settle")
        assert found_in_time(executor, f"c{number}")["state"] == "done", cmd
        assert executor.ask(cmd, args, f"c{number}")["data"]["replayed"]
        assert len(zmq_rig.terminal.effects(f"c{number}")) == 1


def test_an_order_that_was_filled_instead_of_cancelled(zmq_rig: Rig) -> None:
    order = zmq_rig.executor.place("o1")["data"]["order"]
    zmq_rig.terminal.control("fault 10012 noexec")
    assert zmq_rig.executor.ask("cancel", {"ticket": order}, "c1")["data"]["state"] == "unknown"
    assert find(zmq_rig.executor, "c1")["ledger"] == "sent"
    zmq_rig.terminal.control("price EURUSD 1.08900 1.08910")
    execution = found_in_time(zmq_rig.executor, "c1")
    assert (execution["state"], execution["message"]) == ("rejected", "the order was filled or had expired")


def test_a_placed_order_that_has_gone_is_found_in_history(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("fault 10012 exec")
    assert zmq_rig.executor.place("c1")["data"]["state"] == "unknown"
    zmq_rig.terminal.control("price EURUSD 1.08900 1.08910")
    assert found_in_time(zmq_rig.executor, "c1")["state"] == "done"


def test_the_brokers_number_finds_a_trade_whose_comment_was_rewritten(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("rewrite_comments 1")
    zmq_rig.terminal.control("fault 10008 exec")
    assert zmq_rig.executor.open("c1")["data"]["state"] == "unknown"
    # Without a number and without the comment nothing is certain: it stays unknown, for the executor to reconcile.
    finding = find(zmq_rig.executor, "c1", symbol="EURUSD", magic="77")
    assert finding["ledger"] == "sent"
    assert len(finding["positions"]) == len(finding["deals"]) == 1
    zmq_rig.terminal.control("hide_results 0")
    zmq_rig.terminal.control("fault 10008 exec")
    opened = zmq_rig.executor.open("c2")["data"]
    assert (opened["state"], opened["order"] is None) == ("unknown", False)
    zmq_rig.terminal.control("fault 10012 exec")
    assert zmq_rig.executor.place("c3")["data"]["state"] == "unknown"
    assert [line["cid"] for line in zmq_rig.terminal.ledger_lines() if line["t"] == "note"] == ["c2", "c3"]
    executor = zmq_rig.restart()
    for cid in ("c2", "c3"):
        assert found_in_time(executor, cid)["state"] == "done"
    zmq_rig.terminal.control("rewrite_comments 1")
    zmq_rig.terminal.control("hide_results 0")
    zmq_rig.terminal.control("fault 10012 exec")
    assert executor.close("c4", found_in_time(executor, "c2")["position"])["data"]["state"] == "unknown"
    assert found_in_time(executor, "c4")["state"] == "done"
    assert [len(zmq_rig.terminal.effects(f"c{number}")) for number in (1, 2, 3, 4)] == [1] * 4


def test_find_matches_by_ticket_tag_or_marks(zmq_rig: Rig) -> None:
    executor = zmq_rig.executor
    ticket = executor.open("c1")["data"]["position"]
    order = executor.place("c2", comment="Mother12", tag="Mother12", magic="78")["data"]["order"]
    by_ticket = find(executor, "nobody", ticket=ticket)
    assert (by_ticket["ledger"], by_ticket["sent_at"], len(by_ticket["positions"])) == ("never_seen", None, 1)
    assert [one["ticket"] for one in find(executor, "nobody", ticket=order)["orders"]] == [order]
    assert [one["ticket"] for one in find(executor, "nobody", tag="Mother12")["orders"]] == [order]
    assert len(find(executor, "nobody", symbol="EURUSD", magic="77")["positions"]) == 1
    assert find(executor, "nobody", symbol="EURUSD")["positions"] == []
    for args in ({"since": -1}, {}, {"since": 0, "ticket": "x"}):
        assert executor.ask("find", args, "c1")["code"] == "INVALID_ARGS"
    assert executor.ask("find", {"since": 0})["code"] == "INVALID_ARGS"


@pytest.mark.parametrize("moment", ["before_send", "after_send"])
def test_a_crash_between_intent_and_result(rig: Rig, moment: str) -> None:
    rig.executor.open("c0")
    rig.terminal.control(f"crash {moment}")
    rig.executor.send(rig.executor.body("open", open_args(comment="Mcrash01", tag="Mcrash01"), "c1"))
    assert rig.terminal.wait_for_end() == 9
    assert [line["t"] for line in rig.terminal.ledger_lines() if line["cid"] == "c1"] == ["intent"]
    executor = rig.restart()
    done = moment == "after_send"
    again = executor.open("c1", comment="Mcrash01", tag="Mcrash01")["data"]
    assert (again["state"], again["replayed"]) == ("done" if done else "unknown", True)
    assert find(executor, "c1")["ledger"] == ("result" if done else "sent")
    assert [len(rig.terminal.effects(cid)) for cid in ("c0", "c1")] == [1, int(done)]
    assert executor.open("c2")["data"]["state"] == "done"


def test_a_crash_in_the_middle_of_close_all_stays_unknown(zmq_rig: Rig) -> None:
    for number in range(3):
        zmq_rig.executor.open(f"o{number}")
    zmq_rig.terminal.control("crash after_send")
    zmq_rig.executor.send(zmq_rig.executor.body("close_all", close_args(), "c1"))
    assert zmq_rig.terminal.wait_for_end() == 9
    executor = zmq_rig.restart()
    again = executor.ask("close_all", close_args(), "c1")["data"]
    assert (again["state"], again["replayed"]) == ("unknown", True)
    assert len(zmq_rig.terminal.effects("c1")) == 1
    assert len(executor.ask("positions")["data"]["positions"]) == 2


def test_a_torn_line_does_not_spoil_the_ledger(zmq_rig: Rig) -> None:
    first = zmq_rig.executor.open("c1")["data"]
    zmq_rig.terminal.kill()
    with zmq_rig.terminal.ledger.open("a") as ledger:
        ledger.write('{"t":"intent","cid":"c2","ha')
    executor = zmq_rig.restart()
    assert executor.open("c1")["data"] == first | {"replayed": True}
    assert find(executor, "c2")["ledger"] == "never_seen"
    assert executor.open("c3")["data"]["state"] == "done"
    executor = zmq_rig.restart()
    assert executor.open("c3")["data"]["replayed"]


def test_a_disk_that_refuses_stops_trading(zmq_rig: Rig) -> None:
    executor, terminal = zmq_rig.executor, zmq_rig.terminal
    ticket = executor.open("c0")["data"]["position"]
    terminal.control("files writes_fail 1")
    reply = executor.open("c1")
    assert (reply["code"], reply["data"]["state"]) == ("LEDGER_FAILED", "refused")
    assert executor.close("c2", ticket)["code"] == "LEDGER_FAILED"
    assert len(terminal.effects()) == 1
    terminal.control("files writes_fail 0")
    assert executor.open("c1")["data"]["state"] == "done"
    assert executor.open("c0")["data"]["replayed"]


def test_questions_that_read_history(rig: Rig) -> None:
    executor = rig.executor
    ticket = executor.open("c1")["data"]["position"]
    executor.close("c2", ticket)
    rig.terminal.control("deposit 500")
    reply = executor.ask("history", {"from": 0, "to": executor.now() + 1000})["data"]
    assert [(deal["entry"], deal["side"], deal["position"]) for deal in reply["deals"]] == [
        ("in", "BUY", ticket),
        ("out", "SELL", ticket),
    ]
    assert reply["deals"][1]["reason"] == "expert"
    assert "more" not in reply
    assert executor.ask("history", {"from": 5, "to": 4})["code"] == "INVALID_ARGS"
    assert executor.ask("history", {"from": 0, "to": 1000})["data"]["deals"] == []
    rig.terminal.control("permission synchronised 0")
    assert executor.ask("history", {"from": 0, "to": 5})["code"] == "NOT_CONNECTED"


def test_a_long_history_is_cut(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("by_hand EURUSD 0 0.01 1001")
    reply = zmq_rig.executor.ask("history", {"from": 0, "to": 10**13})["data"]
    assert (len(reply["deals"]), reply["more"]) == (1000, True)
