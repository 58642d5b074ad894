"""The EA's own gates: modes, logins, permissions named one by one, hard limits, one EA an account, keys, addresses."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Rig, RigMaker
from .executor import Executor, Link, close_args, open_args
from .host import BenchError

pytestmark = pytest.mark.processes


def refused(reply: dict[str, Any]) -> tuple[str, str]:
    assert not reply["ok"]
    assert reply["data"]["state"] == "refused"
    return reply["code"], reply["message"]


def test_read_only_touches_nothing(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", InpMode=0)
    assert rig.executor.hello_reply["mode"] == "read_only"
    assert refused(rig.executor.open("c1"))[0] == "READ_ONLY"
    assert refused(rig.executor.ask("close_all", close_args(), "c2"))[0] == "READ_ONLY"
    assert rig.executor.ask("positions")["ok"]


@pytest.mark.parametrize(
    ("account", "mode", "code"), [(2, 1, "DEMO_ONLY"), (1, 1, None), (0, 1, None), (2, 2, None)]
)
def test_demo_only_is_the_default_and_full_has_to_be_chosen(
    make_rig: RigMaker, account: int, mode: int, code: str | None
) -> None:
    rig = make_rig("Medulla", InpMode=mode)
    rig.terminal.control(f"account mode {account}")
    assert rig.executor.open("c1")["code"] == code
    assert rig.executor.ask("account")["data"]["mode"] == ["demo", "contest", "real"][account]


def test_only_logins_on_the_list(make_rig: RigMaker) -> None:
    assert refused(make_rig("Medulla", InpLogins="1,2").executor.open("c1"))[0] == "LOGIN_NOT_ALLOWED"
    assert make_rig("Medulla", InpLogins="1, 5001").executor.open("c1")["data"]["state"] == "done"


@pytest.mark.parametrize(
    ("permission", "code", "missing", "field"),
    [
        ("connected", "NOT_CONNECTED", "broker connection", "connected"),
        ("synchronised", "NO_PERMISSION", "synchronised data", "synchronised"),
        ("terminal", "NO_PERMISSION", "Algo Trading button", "terminal_trade_allowed"),
        ("expert", "NO_PERMISSION", "EA's 'Allow Algo Trading'", "ea_trade_allowed"),
        (
            "account",
            "NO_PERMISSION",
            "trading password (logged in with the investor password)",
            "account_trade_allowed",
        ),
        (
            "account_expert",
            "NO_PERMISSION",
            "account's permission for Expert Advisors",
            "account_expert_allowed",
        ),
    ],
)
def test_the_missing_permission_is_named(
    zmq_rig: Rig, permission: str, code: str, missing: str, field: str
) -> None:
    zmq_rig.terminal.control(f"permission {permission} 0")
    reply = zmq_rig.executor.open("c1")
    assert refused(reply)[0] == code
    assert reply["data"]["missing"] == [missing]
    permissions = zmq_rig.executor.ask("heartbeat")["data"]["permissions"]
    assert permissions[field] is False
    assert permissions["investor_login"] is (permission == "account")
    assert zmq_rig.terminal.panel_shows("missing: ")
    zmq_rig.terminal.control(f"permission {permission} 1")
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"


@pytest.mark.parametrize(
    ("inputs", "changes", "words"),
    [
        ({"InpMaxVolumePerOrder": 1.0}, {"volume": "1.01"}, "volume per order"),
        ({"InpMaxVolumePerSymbol": 0.25}, {"volume": "0.16"}, "volume per symbol"),
        ({"InpMaxVolumeTotal": 0.25}, {"volume": "0.16", "symbol": "GBPUSD"}, "volume in all"),
        ({"InpMaxPositions": 1}, {}, "number of positions"),
        ({"InpMaxOrdersPerMinute": 1}, {}, "new trades a minute"),
        ({"InpAllowedSymbols": "EURUSD, XAUUSD"}, {"symbol": "GBPUSD"}, "symbol"),
        ({"InpMaxSpreadPoints": 11}, {"symbol": "GBPUSD"}, "spread"),
        ({"InpRequireStopLoss": True}, {}, "stop loss"),
    ],
)
def test_hard_limits(
    make_rig: RigMaker, inputs: dict[str, object], changes: dict[str, object], words: str
) -> None:
    rig = make_rig("Medulla", **inputs)
    first = rig.executor.open("c0", sl="1.09000")["data"]
    assert first["state"] == "done"
    code, message = refused(rig.executor.open("c1", **changes))
    assert (code, words in message) == ("LIMIT", True)
    assert rig.executor.close("c2", first["position"])["data"]["state"] == "done"


def test_the_minute_of_the_throttle_passes(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", InpMaxOrdersPerMinute=1)
    assert rig.executor.open("c0")["data"]["state"] == "done"
    assert rig.executor.open("c1")["code"] == "LIMIT"
    rig.terminal.control("advance 61000")
    rig.fresh_session()
    assert rig.executor.open("c1")["data"]["state"] == "done"


def test_a_daily_loss_latches(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", InpMaxDailyLoss=100)
    rig.executor.open("c0", volume="1.00")
    rig.executor.close("c1", rig.executor.open("c2", volume="0.10")["data"]["position"])
    rig.terminal.control("price EURUSD 1.09950 1.09960")
    assert rig.executor.ask("heartbeat")["data"]["stopped"] is False
    rig.terminal.control("price EURUSD 1.09890 1.09900")
    event = rig.link.event(lambda one: one["ev"] == "stopped")
    assert event["data"]["by"] == "limit"
    assert "daily loss" in event["data"]["reason"]
    assert rig.executor.open("c3")["code"] == "STOPPED"


def test_silence_latches_where_that_is_wanted(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", InpStopOnSilence=True)
    rig.terminal.control("advance 10500")
    assert rig.link.event(lambda one: one["ev"] == "stopped")["data"]["by"] == "silence"


def test_one_ea_an_account(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla")
    second = make_rig("Medulla", connect=False)
    second.terminal.close()
    second.terminal.common = rig.terminal.common
    second.terminal.start()
    assert second.terminal.panel_shows("another Medulla EA serves this account")
    other = Executor(second.link)
    other.send(other.body("hello"))
    assert second.link.receive("command", 0.1) is None
    rig.terminal.kill()
    assert second.terminal.panel_shows("no executor")


def test_another_account_has_its_own_ledger_and_latch(zmq_rig: Rig) -> None:
    zmq_rig.executor.open("c1")
    boot = zmq_rig.executor.hello_reply["boot"]
    zmq_rig.terminal.control("account login 7007")
    zmq_rig.link.event(lambda one: one["ev"] == "heartbeat" and one["boot"] != boot)
    executor = zmq_rig.fresh_session()
    assert executor.hello_reply["login"] == "7007"
    assert executor.open("c1")["data"]["replayed"] is False


def test_no_account_yet(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla")
    rig.terminal.control("account login 0")
    assert rig.executor.ask("heartbeat")["data"]["permissions"]["synchronised"] is False
    rig.terminal.control("reinit 5")
    assert rig.terminal.panel_shows("waiting for an account")
    rig.terminal.control("account login 5001")
    assert rig.fresh_session().open("c1")["data"]["state"] == "done"


def test_the_key_is_made_when_there_is_none(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla")
    rig.terminal.close()
    key_file = rig.terminal.files / "Medulla/key.txt"
    key_file.unlink()
    rig.terminal.start()
    text = key_file.read_text()
    assert len(bytes.fromhex(text.strip())) == 32
    assert text.strip() != rig.terminal.key.hex()
    rig.terminal.key = bytes.fromhex(text.strip())
    with Link(rig.terminal) as link:
        assert Executor(link).connect().open("c1")["data"]["state"] == "done"


@pytest.mark.parametrize("text", ["", "xyz", "00" * 31, "0G" * 32, "AB" * 32, "00" * 64])
def test_a_key_that_is_none_starts_nothing(make_rig: RigMaker, text: str) -> None:
    rig = make_rig("Medulla")
    rig.terminal.close()
    (rig.terminal.files / "Medulla/key.txt").write_text(text)
    rig.terminal.start()
    assert rig.terminal.panel_shows("must hold 64 hex digits")


def test_a_key_in_the_common_folder(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", connect=False, InpKeyInCommon=True)
    rig.link.key = bytes.fromhex((rig.terminal.common / "Medulla/key.txt").read_text().strip())
    rig.link.events.clear()
    assert rig.executor.connect().open("c1")["data"]["state"] == "done"


def test_a_ledger_that_cannot_be_opened_starts_nothing(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla")
    rig.terminal.close()
    rig.terminal.ledger.unlink()
    rig.terminal.ledger.mkdir()
    rig.terminal.start()
    assert rig.terminal.panel_shows("the ledger cannot be opened")


def test_only_addresses_of_this_machine(make_rig: RigMaker) -> None:
    with pytest.raises(BenchError, match=r"127\.x\.x\.x"):
        make_rig("Medulla", InpHost="0.0.0.0")


def test_a_port_that_is_taken_is_named_and_tried_again(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla")
    second = make_rig("Medulla", connect=False, InpStreamPort=rig.terminal.stream_port)
    assert second.terminal.panel_shows(f"port {rig.terminal.stream_port} is taken by another program")
    rig.terminal.close()
    assert second.terminal.panel_shows("no executor")


def test_the_panel_tells_what_is_going_on(rig: Rig) -> None:
    assert rig.terminal.panel_shows("executor connected")
    rig.executor.open("c1")
    assert rig.terminal.panel_shows("positions 1  orders 0")
    assert rig.terminal.panel_shows("last: open c1")
    rig.executor.ask("stop", {"reason": "enough"})
    assert rig.terminal.panel_shows("STOPPED: enough")
    rig.terminal.control("advance 11000")
    assert rig.terminal.panel_shows("executor silent")


def test_the_self_test_passes_and_nothing_is_served(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", connect=False, InpSelfTest=True)
    assert rig.terminal.panel_shows("self-test passed")
    lines = [line for line in rig.terminal.log().splitlines() if line.startswith("EA: ")]
    assert sum(line.startswith("EA: PASS") for line in lines) >= 35
    assert [line for line in lines if line.startswith("EA: FAIL")] == []
    assert any(line.endswith(" 0 failed") for line in lines)


def test_commands_from_a_session_that_ended_inside_a_job_do_not_begin(zmq_rig: Rig) -> None:
    for number in range(5):
        zmq_rig.executor.open(f"o{number}")
    zmq_rig.terminal.control("latency 50")
    old = zmq_rig.executor
    old.send(old.body("close_all", close_args(), "c1", ttl=60_000))
    fresh = Executor(zmq_rig.link, instance=old.instance, name="fresh").connect()
    reply = old.reply()
    assert reply["data"]["state"] in ("partial", "refused")
    assert any(
        detail["message"] == "this session has ended; nothing was done" for detail in reply["data"]["details"]
    )
    assert fresh.open("c2")["data"]["state"] == "done"


def test_at_most_so_many_close_all_at_once(zmq_rig: Rig) -> None:
    for number in range(6):
        zmq_rig.executor.open(f"o{number}")
    zmq_rig.terminal.control("latency 100")
    executor = zmq_rig.executor
    first = executor.id + 1
    for number in range(33):
        executor.send(executor.body("close_all", close_args(), f"c{number}", ttl=60_000))
    replies = [executor.reply(first + 32)]
    assert replies[0]["code"] in (None, "LIMIT")
    assert executor.ask("open", open_args(), "last", ttl=60_000)["data"]["state"] == "done"
