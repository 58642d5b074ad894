"""The faults: their grammar, when they strike, and what a trader then sees on the wire and in the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import ConfigurationError
from app.sim.faults import Faults, parse_fault
from app.sim.terminal import SimulatedTerminal

from .wire_client import TAG, Client, Listener, close_args, open_args, terminal_and_client, until


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonsense", "unknown fault 'nonsense'"),
        ("retcode", "code=… is required"),
        ("retcode:code=abc", "code must be a whole number"),
        ("retcode:code=10012,executed=maybe", "executed must be true or false"),
        ("slow:ms=-1", "ms must be a number that is not negative"),
        ("slow:ms=nan", "ms must be a number that is not negative"),
        ("slow:seconds=1", "is not name=value with one of ms, every, nth"),
        ("slow:ms", "is not name=value"),
        ("crash:at=lunch", "at must be one of after_intent"),
        ("reply_lost:p=2", "p must be a number from 0 to 1"),
        ("reply_lost:every=0", "every must be at least 1"),
    ],
)
def test_a_wrong_spec_is_one_line_that_says_where(spec: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        parse_fault(spec)
    assert str(fault.value).startswith(f"--fault {spec}: ")
    assert says in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("selector", "struck"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        (":nth=2", [2]),
        (":every=3", [3, 6]),
        (":times=2", [1, 2]),
        (":every=2,times=1", [2]),
        (":cmd=close", []),
        (":symbol=EURUSD", [1, 2, 3, 4, 5, 6]),
        (":symbol=USDJPY", []),
        (":p=0", []),
        (":p=1", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_selectors(selector: str, struck: list[int]) -> None:
    faults = Faults()
    faults.add("requote" + selector)
    hits = [n for n in range(1, 7) if faults.find("requote", "open", "EURUSD") is not None]
    assert hits == struck


def test_the_same_seed_chooses_the_same_victims() -> None:
    def victims(seed: int) -> list[int]:
        faults = Faults(seed=seed)
        faults.add("reply_lost:p=0.3")
        return [n for n in range(200) if faults.find("reply_lost", "open", None) is not None]

    assert victims(5) == victims(5)
    assert 20 < len(victims(5)) < 100
    assert victims(5) != victims(6)


async def find(client: Client, cid: str) -> dict[str, Any]:
    data = (await client.ask("find", {"tag": TAG, "since": 0}, cid=cid)).data
    return dict(data)


async def deals(terminal: SimulatedTerminal, count: int) -> None:
    await until(lambda: len(terminal.life.broker.book.deals) >= count)


async def test_a_lost_reply_leaves_one_fill_and_a_result_to_ask_for(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("reply_lost:cmd=open,nth=1",)) as (terminal, client):
        await client.send("open", open_args(), cid="c-1")
        await client.silence()
        found = await find(client, "c-1")
        assert (found["ledger"], found["execution"]["state"]) == ("result", "done")
        assert (await client.open("c-1")).data["replayed"] is True
        assert len(terminal.life.broker.book.deals) == 1


@pytest.mark.parametrize(("executed", "fills"), [("true", 1), ("false", 0)])
@pytest.mark.parametrize("code", [0, 10011, 10012, 10028, 10031, 10008, 10099])
async def test_an_ambiguous_code_is_unknown_whatever_happened(
    tmp_path: Path, code: int, executed: str, fills: int
) -> None:
    fault = f"retcode:code={code},executed={executed}"
    async with terminal_and_client(tmp_path, faults=(fault,)) as (terminal, client):
        reply = await client.open("c-1")
        assert (reply.ok, reply.data["state"], reply.data["retcode"]) == (True, "unknown", code)
        assert reply.data["attempts"] == 1
        again = await client.open("c-1")
        assert (again.data["state"], again.data["replayed"]) == ("unknown", True)
        found = await find(client, "c-1")
        assert (found["ledger"], found["execution"], len(found["deals"])) == ("sent", None, fills)
        assert len(terminal.life.broker.book.deals) == fills


async def test_a_close_whose_answer_says_nothing_is_found_by_its_own_tag(tmp_path: Path) -> None:
    """As MT5 keeps the comment of a closing order; found by tests/faults/ambiguity_campaign.py, 10012 on a close."""
    own = "Mclosing"
    async with terminal_and_client(tmp_path, faults=("retcode:code=10012,executed=true,cmd=close",)) as (
        terminal,
        client,
    ):
        opened = await client.open("c-1")
        reply = await client.ask("close", close_args(opened.data["position"], tag=own), cid="c-2")
        assert reply.data["state"] == "unknown"
        found = (await client.ask("find", {"tag": own, "since": 0}, cid="c-2")).data
        assert [(deal["entry"], deal["comment"]) for deal in found["deals"]] == [("out", own)]
        assert terminal.life.broker.book.positions == {}


async def test_a_late_fill_is_unknown_first_and_found_later(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("late_fill:delay=0.2",)) as (terminal, client):
        reply = await client.open("c-1")
        assert (reply.data["state"], reply.data["retcode"]) == ("unknown", 10012)
        assert (await find(client, "c-1"))["deals"] == []
        await deals(terminal, 1)
        found = await find(client, "c-1")
        assert (found["ledger"], len(found["deals"]), len(found["positions"])) == ("sent", 1, 1)
        assert json.loads((tmp_path / "ledger.jsonl").read_text())["cid"] == "c-1"


async def test_a_late_fill_comes_even_after_a_restart(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("late_fill:delay=0.2",)) as (terminal, client):
        await client.open("c-1")
        terminal.restart()
        await deals(terminal, 1)
        assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 1
        await client.begin()
        assert (await find(client, "c-1"))["ledger"] == "sent"


async def test_requotes_are_tried_again_and_counted(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("requote:times=2",)) as (terminal, client):
        reply = await client.open("c-1")
        assert (reply.data["state"], reply.data["attempts"]) == ("done", 3)
        assert len(terminal.life.broker.book.deals) == 1
        intents = [
            line for line in (tmp_path / "ledger.jsonl.commands").read_text().splitlines() if "INTENT" in line
        ]
        assert len(intents) == 3


async def test_requotes_without_end_end_at_max_attempts(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("requote",)) as (_terminal, client):
        reply = await client.open("c-1", max_attempts=2)
        assert (reply.data["state"], reply.data["retcode"], reply.data["attempts"]) == ("rejected", 10004, 2)


async def test_a_stop_between_two_attempts_ends_them(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("requote:every=1", "slow:ms=150")) as (terminal, client):
        await client.send("open", open_args(), cid="c-1")
        await until(lambda: len(terminal.life.commands) > 0)
        terminal.press_stop("button pressed")
        reply = await client.receive()
        assert (reply.data["state"], reply.data["retcode"], reply.data["attempts"]) == ("rejected", 10004, 1)


async def test_partial_fill_slippage_and_a_comment_of_the_brokers_own(tmp_path: Path) -> None:
    faults = ("partial:fraction=0.5", "slippage:points=3", "comment:text=broker-1")
    async with terminal_and_client(tmp_path, faults=faults) as (terminal, client):
        reply = await client.open("c-1", volume="0.10")
        assert (reply.data["state"], reply.data["retcode"]) == ("partial", 10010)
        assert (reply.data["volume"], reply.data["requested"]) == ("0.05", "0.10")
        assert (reply.data["quote"], reply.data["price"]) == ("1.10508", "1.10511")
        assert terminal.life.broker.book.deals[0].comment == "broker-1"
        assert (await find(client, "c-1"))["deals"] == []
        by_magic = {"symbol": "EURUSD", "magic": "4711", "since": 0}
        assert len((await client.ask("find", by_magic, cid="c-1")).data["deals"]) == 1


async def test_a_frame_that_is_delivered_twice_trades_once(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("duplicate",)) as (terminal, client):
        assert (await client.open("c-1")).data["state"] == "done"
        await client.silence()
        assert terminal.dropped["repeated or late number"] == 1
        assert len(terminal.life.broker.book.deals) == 1


@pytest.mark.parametrize(("at", "fills"), [("before_send", 0), ("after_effect", 1)])
async def test_a_lost_broker_connection_is_unknown_then_not_connected(
    tmp_path: Path, at: str, fills: int
) -> None:
    fault = f"disconnect:seconds=0.3,at={at},nth=1"
    async with terminal_and_client(tmp_path, faults=(fault,)) as (terminal, client):
        listener = Listener(terminal.stream_port, terminal.key)
        await listener.next("heartbeat")
        first = await client.open("c-1")
        assert (first.data["state"], first.data["retcode"]) == ("unknown", 10031)
        second = await client.open("c-2")
        assert (second.code, second.data["state"]) == ("NOT_CONNECTED", "refused")
        assert (await find(client, "c-1"))["connected"] is False
        await until(lambda: terminal.life.permissions.connected)
        assert (await client.open("c-2")).data["state"] == "done"
        assert [(await listener.next("trade")).data["cid"] for _ in range(fills + 1)] == ["c-1", "c-2"][
            -fills - 1 :
        ]
        listener.close()


@pytest.mark.parametrize(
    ("at", "fills", "ledger"),
    [
        ("after_intent", 0, "sent"),
        ("before_send", 0, "sent"),
        ("after_effect", 1, "sent"),
        ("before_result", 1, "sent"),
        ("after_result", 1, "result"),
        ("before_reply", 1, "result"),
    ],
)
async def test_a_restart_in_the_middle_of_a_trade(tmp_path: Path, at: str, fills: int, ledger: str) -> None:
    async with terminal_and_client(tmp_path, faults=(f"restart:at={at},nth=1",)) as (terminal, client):
        boot = terminal.life.boot
        await client.send("open", open_args(), cid="c-1")
        welcome = await client.begin()
        assert welcome.data["boot"] != boot
        assert len(terminal.life.broker.book.deals) == fills
        found = await find(client, "c-1")
        assert (found["ledger"], len(found["deals"])) == (ledger, fills)
        again = await client.open("c-1")
        assert again.data["replayed"] is True
        assert again.data["state"] == ("done" if ledger == "result" else "unknown")
        assert len(terminal.life.broker.book.deals) == fills


async def test_a_full_disk_lets_no_trade_through(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, faults=("ledger_fails:times=1",)) as (terminal, client):
        refused = await client.open("c-1")
        assert (refused.ok, refused.code, refused.data["state"]) == (False, "LEDGER_FAILED", "refused")
        assert terminal.life.broker.book.deals == []
        assert (await client.open("c-1")).data["state"] == "done"


async def test_latency_is_not_skipped(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, latency=60.0) as (terminal, client):
        before = terminal.clock.monotonic()
        await client.open("c-1")
        assert terminal.clock.monotonic() - before >= 0.06
