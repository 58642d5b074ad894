"""It always stops: the EA's latch from every side, its durability, and what still passes (EA_PROTOCOL section 6)."""

from __future__ import annotations

import time

import pytest

from .conftest import Rig, RigMaker
from .executor import Executor, close_args, open_args, wall_ms

pytestmark = pytest.mark.processes

STOP = {"reason": "test", "cancel_orders": False, "close_positions": False}


def stop_code(executor: Executor, cid: str) -> str | None:
    return executor.open(cid)["code"]  # type: ignore[no-any-return]


def test_a_stop_refuses_everything_but_the_operators_exits(rig: Rig) -> None:
    executor = rig.executor
    first, second = (executor.open(f"o{number}")["data"]["position"] for number in range(2))
    order = executor.place("o3")["data"]["order"]
    reply = rig.stop_session().ask("stop", STOP)
    assert reply["ok"]
    assert reply["data"]["stopped"] is True
    assert abs(reply["data"]["latched_at"] - wall_ms()) < 60_000
    event = rig.link.event(lambda one: one["ev"] == "stopped")
    assert event["data"] == {"stopped": True, "reason": "test", "by": "executor"}
    for number, (cmd, args) in enumerate(
        [
            ("open", open_args()),
            ("place", open_args(kind="BUY_LIMIT", price="1.09")),
            ("modify", {"target": "position", "ticket": first, "sl": "1.0"}),
            ("close", close_args(ticket=first)),
            ("cancel", {"ticket": order}),
            ("close_all", close_args()),
            ("open", open_args(operator=True)),
            ("modify", {"target": "position", "ticket": first, "sl": "1.0", "operator": True}),
        ]
    ):
        assert executor.ask(cmd, args, f"c{number}")["code"] == "STOPPED", cmd
    assert executor.ask("cancel", {"ticket": order, "operator": True}, "x1")["data"]["state"] == "done"
    assert executor.ask("close", close_args(ticket=first, operator=True), "x2")["data"]["state"] == "done"
    swept = executor.ask("close_all", close_args(operator=True), "x3")["data"]
    assert [detail["ticket"] for detail in swept["details"]] == [second]
    assert executor.ask("snapshot")["ok"]
    assert executor.ask("heartbeat")["data"]["stopped"] is True


def test_either_role_stops_and_a_second_stop_changes_nothing(rig: Rig) -> None:
    first = rig.executor.ask("stop", STOP)["data"]
    second = rig.stop_session().ask("stop", STOP | {"reason": "again"})["data"]
    assert first == second
    rig.fresh_session()
    assert (rig.executor.hello_reply["stopped"], rig.executor.hello_reply["stop_reason"]) == (True, "test")


def test_a_stop_is_taken_with_any_epoch(rig: Rig) -> None:
    rig.fresh_session(epoch=9)
    stop = Executor(rig.link, "stop", epoch=9).connect()
    assert stop.ask("heartbeat", epoch=2)["code"] == "EPOCH_TOO_LOW"
    assert stop.ask("stop", STOP, epoch=2)["ok"]
    assert stop_code(rig.executor, "c1") == "STOPPED"


def test_the_latch_outlives_crash_restart_chart_change_and_new_settings(rig: Rig) -> None:
    rig.executor.ask("stop", STOP)
    for reason in (3, 5, 2):
        rig.terminal.control(f"reinit {reason}")
        if reason != 3:
            rig.link.forget_peers()
        rig.fresh_session()
        assert stop_code(rig.executor, f"c{reason}") == "STOPPED"
    rig.restart()
    assert stop_code(rig.executor, "c9") == "STOPPED"


def test_a_chart_change_keeps_the_session(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("reinit 3")
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"


def test_resume_needs_a_higher_epoch_than_the_latched_one(rig: Rig) -> None:
    executor = rig.fresh_session(epoch=4)
    executor.ask("stop", STOP)
    reply = executor.ask("resume")
    assert (reply["code"], reply["data"]["epoch"]) == ("EPOCH_TOO_LOW", 4)
    executor.epoch = 5
    reply = executor.ask("resume")
    assert (reply["ok"], reply["data"]) == (True, {"stopped": False, "epoch": 5})
    assert executor.open("c1")["data"]["state"] == "done"
    assert executor.ask("open", open_args(), "c2", epoch=4)["code"] == "EPOCH_TOO_LOW"
    assert executor.ask("resume")["ok"]


def test_a_stop_cancels_and_closes_what_is_the_executors(rig: Rig) -> None:
    executor = rig.executor
    for number in range(3):
        executor.open(f"o{number}")
        executor.place(f"p{number}")
    foreign = rig.terminal.control("by_hand EURUSD 0 0.5").strip()
    reply = rig.stop_session().ask("stop", STOP | {"cancel_orders": True, "close_positions": True})
    assert reply["ok"]
    for _ in range(3):
        assert rig.link.trade_event("order_cancelled")["order"] is None
    closed = [
        rig.link.event(lambda one: one["ev"] == "trade" and one["data"].get("deal", {}).get("entry") == "out")
        for _ in range(3)
    ]
    assert all("cid" not in event["data"] for event in closed)
    snapshot = executor.ask("snapshot")["data"]
    assert ([one["ticket"] for one in snapshot["positions"]], snapshot["orders"]) == ([foreign], [])
    kinds = [effect["effect"] for effect in rig.terminal.effects() if str(effect["cid"]).startswith("stop:")]
    assert kinds == ["order_cancelled"] * 3 + ["deal"] * 3


def test_what_a_stop_does_is_never_done_twice(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("account margin 0")
    executor = zmq_rig.executor
    executor.open("o1")
    zmq_rig.terminal.control("fault 10012 later")
    everything = STOP | {"cancel_orders": True, "close_positions": True}
    assert executor.ask("stop", everything)["ok"]
    assert executor.ask("stop", everything)["ok"]
    assert executor.ask("heartbeat")["data"]["queue"] == 0
    assert zmq_rig.terminal.control("stats").split()[0] == "2"
    zmq_rig.terminal.control("settle")
    assert executor.ask("positions")["data"]["positions"] == []


def test_a_refused_closing_is_tried_again_by_the_next_stop(zmq_rig: Rig) -> None:
    executor = zmq_rig.executor
    executor.open("o1")
    zmq_rig.terminal.control("symbol EURUSD session_open 0")
    executor.ask("stop", STOP | {"close_positions": True})
    assert len(executor.ask("positions")["data"]["positions"]) == 1
    zmq_rig.terminal.control("symbol EURUSD session_open 1")
    executor.ask("stop", STOP | {"close_positions": True})
    zmq_rig.link.event(lambda one: one["ev"] == "trade" and one["data"].get("deal", {}).get("entry") == "out")
    assert executor.ask("positions")["data"]["positions"] == []


def test_the_button_stops_without_an_executor(make_rig: RigMaker, front: str) -> None:
    rig = make_rig(front, connect=False)
    rig.terminal.control("click Medulla.line0")
    rig.terminal.control("click Medulla.STOP")
    rig.executor.connect()
    assert rig.executor.hello_reply["stop_reason"] == "STOP button on the chart"
    assert stop_code(rig.executor, "c1") == "STOPPED"


def test_the_stop_file_stops(rig: Rig) -> None:
    (rig.terminal.files / "Medulla/STOP").write_text("")
    event = rig.link.event(lambda one: one["ev"] == "stopped")
    assert event["data"]["by"] == "file"
    rig.executor.epoch = 5
    assert rig.executor.ask("resume")["code"] == "STOPPED"
    (rig.terminal.files / "Medulla/STOP").unlink()
    assert rig.executor.ask("resume")["ok"]
    assert rig.executor.open("c1")["data"]["state"] == "done"


def test_the_stop_file_is_seen_right_before_the_broker_is_asked(zmq_rig: Rig) -> None:
    (zmq_rig.terminal.files / "Medulla/STOP").write_text("")
    assert stop_code(zmq_rig.executor, "c1") == "STOPPED"


def test_the_button_works_before_the_ea_has_started(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla")
    second = make_rig("Medulla", connect=False, InpCommandPort=rig.terminal.command_port)
    second.terminal.control("click Medulla.STOP")
    assert second.terminal.panel_shows("is taken by another program")
    assert (second.terminal.files / "Medulla/STOP").exists()


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"garbage", None])
def test_a_damaged_or_missing_latch_means_stopped(zmq_rig: Rig, damage: bytes | None) -> None:
    zmq_rig.executor.open("c1")
    zmq_rig.terminal.kill()
    state = zmq_rig.terminal.files / "Medulla/state_5001.json"
    if damage is None:
        state.unlink()
    else:
        state.write_bytes(damage)
    executor = zmq_rig.restart()
    assert executor.hello_reply["stopped"] is True
    assert stop_code(executor, "c2") == "STOPPED"


def test_a_crash_while_the_latch_is_replaced_keeps_it(zmq_rig: Rig) -> None:
    zmq_rig.executor.ask("stop", STOP)
    zmq_rig.terminal.kill()
    state = zmq_rig.terminal.files / "Medulla/state_5001.json"
    state.rename(state.with_name(state.name + ".new"))
    assert zmq_rig.restart().hello_reply["stop_reason"] == "test"


def test_a_stop_that_cannot_be_written_says_so_and_holds(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("files writes_fail 1")
    reply = zmq_rig.executor.ask("stop", STOP)
    assert (reply["ok"], reply["code"]) == (False, "LEDGER_FAILED")
    assert stop_code(zmq_rig.executor, "c1") == "STOPPED"
    zmq_rig.executor.epoch = 5
    assert zmq_rig.executor.ask("resume")["code"] == "LEDGER_FAILED"
    zmq_rig.terminal.control("files writes_fail 0")
    assert zmq_rig.executor.ask("stop", STOP)["ok"]
    assert zmq_rig.restart().hello_reply["stopped"] is True


def test_an_epoch_that_cannot_be_written_stops_new_trades(zmq_rig: Rig) -> None:
    ticket = zmq_rig.executor.open("c0")["data"]["position"]
    zmq_rig.terminal.control("files opens_fail 1")
    zmq_rig.executor.epoch = 8
    assert zmq_rig.executor.open("c1")["code"] == "LEDGER_FAILED"
    assert zmq_rig.executor.close("c2", ticket)["data"]["state"] == "done"
    zmq_rig.terminal.control("files opens_fail 0")
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"
    assert zmq_rig.restart().hello_reply["epoch"] == 8


def test_a_stop_does_not_wait_behind_five_hundred_commands(rig: Rig) -> None:
    stop = rig.stop_session()
    rig.terminal.control("latency 20")
    executor = rig.executor
    for number in range(500):
        executor.send(executor.body("open", open_args(volume="0.01"), f"c{number}", ttl=60_000))
    assert executor.reply(1 + 1)["data"]["state"] == "done"
    begun = time.monotonic()
    assert stop.ask("stop", STOP)["ok"]
    took = time.monotonic() - begun
    assert took < 2.5, f"the acknowledgement took {took:.3f} s"
    print(f"stop acknowledged after {took * 1000:.0f} ms")
    assert executor.reply(timeout=30)["code"] == "STOPPED"
    done = len(rig.terminal.effects())
    assert done < 500
    intents = [line for line in rig.terminal.ledger_lines() if line["t"] == "intent"]
    assert len(intents) == done


def test_a_stop_interrupts_close_all(rig: Rig) -> None:
    for number in range(40):
        rig.executor.open(f"o{number}", volume="0.01")
    stop = rig.stop_session()
    rig.terminal.control("latency 20")
    rig.executor.send(rig.executor.body("close_all", close_args(), "c1", ttl=60_000))
    rig.link.event(lambda one: one["ev"] == "trade" and one["data"].get("deal", {}).get("entry") == "out")
    assert stop.ask("stop", STOP)["ok"]
    swept = rig.executor.reply()["data"]
    assert swept["state"] == "partial"
    states = [detail["state"] for detail in swept["details"]]
    assert states.count("done") < 40
    assert set(states) == {"done", "refused"}
