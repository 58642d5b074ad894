"""Who may speak to the EA, in which order, until when: EA_PROTOCOL sections 2 and 3."""

from __future__ import annotations

import json
import secrets

import pytest

from .conftest import Rig, RigMaker
from .executor import Executor, Link, close_args, open_args, seal

pytestmark = pytest.mark.processes


def test_hello_says_who_answers(rig: Rig) -> None:
    hello = rig.executor.hello_reply
    assert len(hello["boot"]) == 32
    assert hello["terminal"].startswith("Medulla EA")
    assert (hello["login"], hello["epoch"], hello["stopped"], hello["stop_reason"]) == (
        "5001",
        0,
        False,
        None,
    )
    assert (hello["mode"], hello["protocol"]) == ("demo_only", 1)


def test_heartbeat_carries_permissions_account_and_numbers(rig: Rig) -> None:
    data = rig.executor.ask("heartbeat")["data"]
    assert data["permissions"]["connected"] is True
    assert data["permissions"]["investor_login"] is False
    assert (data["stopped"], data["epoch"], data["queue"], data["trade_seq"]) == (False, 0, 0, 0)
    assert data["account"]["login"] == "5001"
    rig.terminal.control("advance 5000")
    # The session clock as the terminal reads it: by this a frame's age can be told, however late the greeting was read.
    later = rig.executor.ask("heartbeat", ts=rig.executor.now() + 5000)["data"]["clock"]
    assert 5000 <= later - data["clock"] < 5000 + 30_000


def test_frames_that_prove_nothing_get_no_answer(rig: Rig) -> None:
    executor, link = rig.executor, rig.link
    good = executor.body("heartbeat")
    other_key = seal(b"x" * 32, good)
    executor.link.send("command", [good, other_key])
    assert executor.silent()
    for parts in (
        [good],
        [good, seal(link.key, good), b"more"],
        [b"", b""],
        [good, b""],
        [good, seal(link.key, good)[:31]],
    ):
        link.send("command", parts)
    assert executor.silent()


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": "1"},
        {"from": "terminal"},
        {"id": "7"},
        {"id": 1.5},
        {"epoch": None},
        {"ts": True},
        {"ttl": 10**30},
        {"args": []},
        {"cid": 5},
        {"cmd": 5},
        {"sid": None},
    ],
)
def test_bodies_that_break_the_form_get_no_answer(zmq_rig: Rig, changes: dict[str, object]) -> None:
    body = json.loads(zmq_rig.executor.body("heartbeat")) | changes
    zmq_rig.executor.send(json.dumps(body).encode())
    assert zmq_rig.executor.silent()


@pytest.mark.parametrize(
    "text",
    [
        b'{"v":1,"v":1}',
        b'{"v":NaN}',
        b"{} {}",
        b"[]",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":"\xc0\xaf"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b'{"a":1e999}',
        b'{"a":' + b"1" * 41 + b"}",
        b"",
        b"{",
        b'{"a"',
        b'{"a":"\\x"}',
        b'{"a":-}',
        b'{"a":tru}',
        b'{"a":1.}',
        b'{"a":1e}',
        b"{" + b",".join(b'"%d":1' % i for i in range(100)) + b"}",
        b'{"a":[' + b",".join([b"1"] * 9000) + b"]}",
    ],
)
def test_json_that_is_not_strict_gets_no_answer(zmq_rig: Rig, text: bytes) -> None:
    zmq_rig.executor.send(text)
    assert zmq_rig.executor.silent()


def test_numbers_only_rise(rig: Rig) -> None:
    executor = rig.executor
    first = executor.body("heartbeat")
    executor.send(first)
    assert executor.reply()["ok"]
    executor.send(first)
    assert executor.silent()


def test_a_recorded_hello_changes_nothing(rig: Rig) -> None:
    executor = rig.executor
    again = Executor(rig.link, instance=executor.instance, name="command2")
    assert again.hello()["ok"]
    assert executor.ask("heartbeat")["ok"]
    assert executor.open("c1")["data"]["state"] == "done"


def test_a_fresh_session_of_the_same_executor_replaces_the_old_one(rig: Rig) -> None:
    old = rig.executor
    fresh = rig.fresh_session()
    assert fresh.sid != old.sid
    old.send(old.body("heartbeat"))
    assert fresh.silent()


def test_another_executor_is_refused_while_the_first_is_heard(zmq_rig: Rig) -> None:
    other = Executor(zmq_rig.link, name="other")
    reply = other.hello()
    assert (reply["ok"], reply["code"]) == (False, "SESSION_TAKEN")
    zmq_rig.terminal.control("advance 10500")
    assert other.connect().open("c1")["data"]["state"] == "done"
    zmq_rig.executor.send(zmq_rig.executor.body("heartbeat"))
    assert other.silent()


def test_two_hellos_race_and_one_wins(zmq_rig: Rig) -> None:
    zmq_rig.terminal.control("advance 10500")
    one, two = (Executor(zmq_rig.link, name=name) for name in ("one", "two"))
    assert one.hello()["ok"]
    assert two.hello()["ok"]
    assert one.ask("heartbeat")["ok"]
    assert two.ask("heartbeat")["code"] == "SESSION_TAKEN"


def test_bye_ends_the_session_at_once(rig: Rig) -> None:
    executor = rig.executor
    assert executor.ask("bye")["ok"]
    assert Executor(rig.link).hello()["ok"]
    executor.send(executor.body("heartbeat"))
    other = Executor(rig.link).connect()
    assert other.silent()


def test_the_stop_role_may_only_stop(rig: Rig) -> None:
    stop = rig.stop_session()
    for cmd in ("account", "resume", "bye", "nonsense"):
        assert stop.ask(cmd)["code"] == "ROLE_NOT_ALLOWED"
    assert stop.ask("open", {}, "c1")["code"] == "ROLE_NOT_ALLOWED"
    assert rig.executor.ask("heartbeat")["ok"]


def test_eight_stop_sessions_are_kept(zmq_rig: Rig) -> None:
    sessions = [zmq_rig.stop_session(f"stop{number}") for number in range(9)]
    sessions[0].send(sessions[0].body("heartbeat"))
    assert sessions[8].ask("heartbeat")["ok"]
    assert sessions[1].ask("heartbeat")["ok"]
    assert zmq_rig.link.receive("stop0", 0.05) is None


def test_a_hello_that_breaks_its_rules(zmq_rig: Rig) -> None:
    for changes in (
        {"role": "trader"},
        {"nonce": "xyz"},
        {"instance": secrets.token_hex(15)},
        {"instance": 5},
    ):
        assert Executor(zmq_rig.link, name="other").hello(**changes)["code"] == "INVALID_ARGS"


def test_an_epoch_below_the_terminals_is_refused(rig: Rig, make_rig: RigMaker) -> None:
    rig.fresh_session(epoch=7)
    assert rig.executor.ask("heartbeat")["data"]["epoch"] == 7
    reply = rig.executor.ask("heartbeat", epoch=6)
    assert (reply["code"], reply["data"]["epoch"]) == ("EPOCH_TOO_LOW", 7)
    reply = rig.executor.ask("open", {}, "c1", epoch=6)
    assert reply["code"] == "EPOCH_TOO_LOW"
    rig.restart()
    assert rig.executor.hello_reply["epoch"] == 7


def test_unknown_commands_are_named(rig: Rig) -> None:
    assert rig.executor.ask("dance")["code"] == "UNKNOWN_CMD"


def test_a_stepped_calendar_changes_no_deadline(rig: Rig) -> None:
    rig.terminal.control("wall -7200000")
    assert rig.executor.open("c1")["data"]["state"] == "done"
    rig.terminal.control("wall 100000000")
    assert rig.executor.open("c2")["data"]["state"] == "done"
    assert rig.executor.ask("heartbeat")["ok"]


def test_after_silence_no_new_trade_until_a_fresh_session(rig: Rig) -> None:
    opened = rig.executor.open("c1")["data"]
    rig.terminal.control("advance 10500")
    late = rig.executor.now() + 10_500
    assert rig.executor.ask("heartbeat", ts=late)["ok"]
    reply = rig.executor.ask("open", open_args(), "c2", ts=late)
    assert (reply["ok"], reply["code"], reply["data"]["state"]) == (False, "EXECUTOR_SILENT", "refused")
    reply = rig.executor.ask("close", close_args(ticket=opened["position"]), "c3", ts=late)
    assert reply["code"] == "EXECUTOR_SILENT"
    rig.fresh_session()
    assert rig.executor.close("c3", opened["position"])["data"]["state"] == "done"
    assert rig.executor.open("c2")["data"]["state"] == "done"


def test_a_command_past_its_time_is_not_begun(rig: Rig) -> None:
    rig.terminal.control("advance 6000")
    reply = rig.executor.open("c1")
    assert (reply["code"], reply["data"]["state"]) == ("EXPIRED", "refused")
    assert rig.terminal.effects() == []
    reply = rig.executor.ask("open", open_args(), "c2", ts=rig.executor.now() + 60_000)
    assert reply["data"]["state"] == "done"


def test_the_terminal_that_cannot_listen_says_where_it_is(make_rig: RigMaker) -> None:
    rig = make_rig("MedullaNoDll")
    assert {one["here"] for one in rig.link.announced} == {"command", "stop"}
    assert {one["boot"] for one in rig.link.announced} == {rig.executor.hello_reply["boot"]}


def test_a_new_life_has_a_new_boot(rig: Rig) -> None:
    before = rig.executor.hello_reply["boot"]
    rig.restart()
    assert rig.executor.hello_reply["boot"] != before


def test_large_frames_pass(rig: Rig) -> None:
    reply = rig.executor.ask("subscribe", {"symbols": [], "min_interval": 0, "padding": "é" * 100_000})
    assert reply["data"] == {"symbols": []}


def test_reconnects_when_the_executor_comes_back(make_rig: RigMaker) -> None:
    rig = make_rig("MedullaNoDll")
    rig.link.__exit__(None, None, None)
    with Link(rig.terminal) as link:
        executor = Executor(link, instance=rig.executor.instance).connect()
        assert executor.open("c1")["data"]["state"] == "done"
