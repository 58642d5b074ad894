"""The stop: latched before it is answered, durable, ahead of the queue, and left only by a higher epoch (§6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.protocol import ea_frames as frames

from .wire_client import TAG, Client, Listener, close_args, open_args, place_args, terminal_and_client


def stop_args(*, cancel: bool = False, close: bool = False) -> dict[str, object]:
    return {"reason": "test", "cancel_orders": cancel, "close_positions": close}


async def test_after_a_stop_nothing_is_traded_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        stopped = await client.ask("stop", stop_args())
        assert (stopped.ok, stopped.data["stopped"]) == (True, True)
        stored = json.loads((tmp_path / "ledger.jsonl.state").read_text())
        assert (stored["stopped"], stored["latched_at"]) == (True, stopped.data["latched_at"])
        for command in (("open", open_args()), ("place", place_args("BUY_LIMIT", "1.0"))):
            refused = await client.ask(*command, cid=f"c-{command[0]}")
            assert (refused.ok, refused.code, refused.data["state"]) == (False, "STOPPED", "refused")
        terminal.restart()
        welcome = await client.begin()
        assert (welcome.data["stopped"], welcome.data["stop_reason"]) == (True, "test")
        assert (await client.open("c-again")).code == "STOPPED"
        assert terminal.life.broker.book.last_seq == 0


async def test_a_second_stop_changes_nothing(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        first = await client.ask("stop", stop_args())
        second = await client.ask("stop", stop_args() | {"reason": "other"})
        assert second.data == first.data
        assert (await client.hello()).data["stop_reason"] == "test"


async def test_an_operator_may_reduce_while_stopped(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        ticket = (await client.open("c-1")).data["position"]
        await client.ask("stop", stop_args())
        assert (await client.ask("close", close_args(ticket), cid="c-2")).code == "STOPPED"
        operator = close_args(ticket, operator=True, volume="0.04")
        assert (await client.ask("close", operator, cid="c-3")).data["state"] == "done"
        everything = {"deviation": 20, "tag": TAG, "max_attempts": 1, "operator": True}
        assert (await client.ask("close_all", everything, cid="c-4")).data["state"] == "done"
        assert (await client.ask("open", open_args(operator=True), cid="c-5")).code == "STOPPED"


async def test_a_stop_clears_away_the_executors_own_trades_alone(tmp_path: Path) -> None:
    from app.domain.values import Side, Symbol, Volume
    from app.sim.trade_requests import MarketOrder, Origin

    async with terminal_and_client(tmp_path) as (terminal, client):
        await client.open("c-1")
        await client.ask("place", place_args("BUY_LIMIT", "1.09000"), cid="c-2")
        by_hand = MarketOrder(Symbol("EURUSD"), Side.BUY, Volume("0.01"), "ioc")
        manual = terminal.life.broker.open(by_hand, Origin(reason="client"))
        await client.ask("stop", stop_args(cancel=True))
        await client.ask("heartbeat")
        assert (len(terminal.life.broker.book.orders), len(terminal.life.broker.book.positions)) == (0, 2)
        await client.ask("stop", stop_args(close=True))
        await client.ask("heartbeat")
        assert list(terminal.life.broker.book.positions) == [manual.position]


async def test_resume_needs_an_epoch_above_the_latched_one(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        client.epoch = 4
        await client.ask("stop", stop_args())
        refused = await client.ask("resume")
        assert (refused.code, refused.data["epoch"]) == ("EPOCH_TOO_LOW", 4)
        terminal.restart()
        await client.begin()
        assert (await client.ask("resume", epoch=4)).code == "EPOCH_TOO_LOW"
        assert (await client.ask("resume", epoch=5)).ok
        assert (await client.open("c-old")).code == "EPOCH_TOO_LOW"
        client.epoch = 5
        assert (await client.open("c-new")).data["state"] == "done"


async def test_a_stop_waits_behind_at_most_one_of_500_queued_commands(tmp_path: Path) -> None:
    """The terminal is held in its first command until all other frames have arrived; then the stop comes next."""
    async with terminal_and_client(tmp_path, faults=("slow:ms=400,nth=1",)) as (terminal, client):
        stopper = Client(terminal.command_port, terminal.key, role="stop")
        await stopper.begin()
        for number in range(500):
            await client.send("open", open_args(volume="0.01"), cid=f"c-{number}", ttl=60_000)
        await stopper.send("stop", stop_args())
        reply = await stopper.receive()
        assert reply.data["stopped"] is True
        assert len(terminal.life.broker.book.deals) <= 2
        states = [(await client.receive()).data["state"] for _ in range(500)]
        assert states.count("done") <= 2
        assert states.count("refused") >= 498
        assert len(terminal.life.broker.book.deals) == states.count("done")
        stopper.close()


@pytest.mark.parametrize("epoch", [0, 99])
async def test_a_stop_is_taken_with_any_epoch(tmp_path: Path, epoch: int) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        client.epoch = 7
        await client.ask("heartbeat")
        stopper = Client(terminal.command_port, terminal.key, role="stop")
        stopper.epoch = epoch
        await stopper.begin()
        assert (await stopper.ask("stop", stop_args(), epoch=epoch)).ok
        assert terminal.life.sessions.epoch == 7
        stopper.close()


async def test_everybody_hears_of_a_stop(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        listener = Listener(terminal.stream_port, terminal.key)
        await listener.next("heartbeat")
        await client.ask("stop", stop_args())
        event = await listener.next("stopped")
        assert event.data == {"stopped": True, "reason": "test", "by": "executor"}
        listener.close()


async def test_a_latch_that_cannot_be_written_stops_all_the_same(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        (tmp_path / "ledger.jsonl.state.new").mkdir()
        failed = await client.ask("stop", stop_args())
        assert (failed.ok, failed.code) == (False, "LEDGER_FAILED")
        assert (await client.open("c-1")).code == "STOPPED"
        assert terminal.life.broker.book.deals == []


async def test_a_recorded_stop_frame_is_dropped_like_any_other(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        body = frames.encode_request(client.make("stop", stop_args()))
        await client.send_body(body)
        assert (await client.receive()).ok
        client.epoch = 1
        assert (await client.ask("resume")).ok
        await client.send_body(body)
        await client.silence()
        assert terminal.life.state.stopped is False
