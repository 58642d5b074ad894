"""The session rules over real sockets: strangers, replays, reflections, old sessions, expired frames."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
import zmq

from app.protocol import ea_frames as frames
from app.protocol.ea_frames import Reply
from app.sim.sockets import PortInUse
from app.sim.terminal import SimulatedTerminal

from .wire_client import Client, config, open_args, terminal_and_client


async def test_the_welcome_says_who_and_in_which_state(tmp_path: Path) -> None:
    async with SimulatedTerminal(config(tmp_path)) as terminal:
        client = Client(terminal.command_port, terminal.key)
        welcome = await client.hello()
        client.close()
        assert len(welcome.sid) == 32
        assert welcome.data["boot"] == terminal.life.boot
        assert {**welcome.data, "nonce": "", "boot": ""} == {
            "nonce": "", "boot": "", "terminal": "simulated 0.1.0", "login": "50012345", "epoch": 0,
            "stopped": False, "stop_reason": None, "mode": "full", "protocol": 1,
        }  # fmt: skip


async def test_nobody_without_the_key_is_heard_or_answered(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        stranger = Client(terminal.command_port, b"x" * 32)
        await stranger.send_body(stranger.hello_body())
        await stranger.socket.send_multipart([b"{}"])
        await stranger.socket.send_multipart([b"{}", b"short"])
        await stranger.socket.send_multipart([b"a", b"b", b"c", b"d"])
        while sum(terminal.dropped.values()) < 4:
            await client.ask("heartbeat")
        assert terminal.dropped == {"wrong mac": 2, "parts": 2}
        assert not await stranger.socket.poll(0)
        stranger.close()


async def test_one_changed_bit_of_a_trade_and_nothing_happens(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        body = bytearray(frames.encode_request(client.make("open", open_args(), cid="cmd-1")))
        mac = frames.seal(client.key, bytes(body))
        body[body.index(b'"0.10"') + 3] ^= 1
        await client.send_body(bytes(body), mac)
        await client.silence()
        assert terminal.dropped["wrong mac"] == 1
        assert terminal.life.broker.book.deals == []


@pytest.mark.parametrize(
    "text",
    [
        '{"v":1,"from":"executor","sid":"","sid":"","id":0}',
        '{"v":1,"from":"executor","id":NaN}',
        '{"v":2,"from":"executor"}',
        '{"v":1,"from":"executor"} trailing',
        "[" * 40 + "]" * 40,
        "no json at all",
    ],
)
async def test_sealed_nonsense_is_dropped(tmp_path: Path, text: str) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        await client.send_body(text.encode())
        await client.silence()
        assert sum(terminal.dropped.values()) == 1


async def test_a_reply_that_is_reflected_is_no_request(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        reply = frames.encode_reply(Reply(client.sid, 99, ok=True))
        await client.send_body(reply)
        await client.silence()
        assert terminal.dropped["not from the executor"] == 1


async def test_a_recorded_hello_changes_nothing(tmp_path: Path) -> None:
    async with SimulatedTerminal(config(tmp_path)) as terminal:
        client = Client(terminal.command_port, terminal.key)
        recorded = client.hello_body()
        await client.send_body(recorded)
        client.sid = (await client.receive()).sid
        assert (await client.open("cmd-1")).data["state"] == "done"
        thief = Client(terminal.command_port, b"unknown key, recorded frames....")
        await thief.send_body(recorded, frames.seal(terminal.key, recorded))
        while not terminal.life.sessions.pending:
            await client.ask("heartbeat")
        assert (await client.open("cmd-2")).data["state"] == "done"
        thief.close()
        client.close()


async def test_a_recorded_trade_is_not_traded_again(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        body = frames.encode_request(client.make("open", open_args(), cid="cmd-1"))
        await client.send_body(body)
        assert (await client.receive()).data["state"] == "done"
        for _ in range(5):
            await client.send_body(body)
        await client.silence()
        assert terminal.dropped["repeated or late number"] == 5
        assert len(terminal.life.broker.book.deals) == 1


async def test_frames_of_a_replaced_session_are_dropped(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        old = client.sid
        await client.begin()
        await client.send("open", open_args(), cid="cmd-1", sid=old, id=50)
        await client.silence()
        assert terminal.dropped["unknown session"] == 1
        assert terminal.life.broker.book.deals == []


async def test_two_executors_cannot_share_a_terminal(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        other = Client(terminal.command_port, terminal.key)
        refused = await other.hello()
        assert (refused.ok, refused.code) == (False, "SESSION_TAKEN")
        await client.ask("bye")
        assert (await other.begin()).ok
        other.close()


async def test_a_frame_past_its_time_begins_nothing(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        late = await client.ask("open", open_args(), cid="cmd-1", ts=client.now() - 6000, ttl=5000)
        assert (late.ok, late.code, late.data["state"]) == (False, "EXPIRED", "refused")
        assert len(terminal.life.commands) == 0
        assert (await client.open("cmd-1")).data["state"] == "done"


async def test_the_epoch_fences_and_is_durable(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        assert (await client.ask("heartbeat", epoch=8)).data["epoch"] == 8
        low = await client.ask("open", open_args(), cid="cmd-1", epoch=7)
        assert (low.code, low.data["epoch"]) == ("EPOCH_TOO_LOW", 8)
        assert json.loads((tmp_path / "ledger.jsonl.state").read_text())["epoch"] == 8
        terminal.restart()
        assert (await client.hello()).data["epoch"] == 8


async def test_a_restart_drops_every_session(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        boot = terminal.life.boot
        terminal.restart()
        await client.send("open", open_args(), cid="cmd-1")
        welcome = await client.begin()
        assert welcome.data["boot"] != boot
        assert terminal.dropped["unknown session"] == 1
        assert terminal.life.broker.book.deals == []


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    async with SimulatedTerminal(config(tmp_path)) as terminal:
        second = SimulatedTerminal(config(tmp_path, command_port=terminal.command_port, ledger=None))
        with pytest.raises(PortInUse, match=f"command port {terminal.command_port}: .*in use"):
            async with second:
                pass


async def test_only_loopback_is_bound(tmp_path: Path) -> None:
    async with SimulatedTerminal(config(tmp_path)) as terminal:
        for socket in (terminal._router, terminal._pub):
            assert str(socket.get(zmq.LAST_ENDPOINT)).startswith("b'tcp://127.0.0.1:")


async def test_the_key_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    async with SimulatedTerminal(config(tmp_path)) as terminal:
        key = terminal.key
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert bytes.fromhex((tmp_path / "key").read_text()) == key
    async with SimulatedTerminal(config(tmp_path)) as terminal:
        assert terminal.key == key
    assert sorted(os.listdir(tmp_path)) == [
        "key", "ledger.jsonl", "ledger.jsonl.commands", "ledger.jsonl.state",
    ]  # fmt: skip


async def test_without_a_ledger_nothing_is_left_behind(tmp_path: Path) -> None:
    async with SimulatedTerminal(config(tmp_path, ledger=None)) as terminal:
        folder = terminal.ledger_path.parent
        assert await asyncio.to_thread(folder.exists)
    assert not folder.exists()
