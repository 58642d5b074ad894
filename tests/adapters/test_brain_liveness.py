"""The link while a session lives: heartbeats, dead and silent peers, confirmed results, and what overtakes what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from websockets.exceptions import ConnectionClosed

from app.adapters.brain_websocket import WebSocketBrainLink
from app.adapters.system_clock import SystemClock
from app.domain.values import CommandId
from app.engine.broker import LinkState
from app.engine.ports import (
    AlertReport,
    CommandAck,
)
from app.protocol import brain_messages as brain
from tests.fakes.brain_server import (
    QUICK,
    BrainServer,
    RecordingListener,
    linked,
)
from tests.fakes.brain_story import PATIENT, market, report, welcomed

HEARTBEAT = '{"type":"HEARTBEAT","timestamp":"2026-01-01T00:00:00Z","seq":1}'

# ------------------------------------------------------------------ liveness


async def test_heartbeats_go_out_at_the_brains_interval_with_metrics() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await server.peer()
        await peer.welcome(heartbeat_interval=100)
        third = await peer.wait_for("HEARTBEAT", 3)
        assert [beat["seq"] for beat in peer.of("HEARTBEAT")[:3]] == [1, 2, 3]
        assert third["metrics"] == {"queueDepth": 0}
        assert third["timestamp"].endswith("Z")


@asynccontextmanager
async def linked_to_the_deaf(
    listener: RecordingListener, *, pong_timeout: float
) -> AsyncIterator[tuple[BrainServer, WebSocketBrainLink]]:
    """An open session with a brain that reads nothing, and so answers no ping."""
    timings = replace(QUICK, ping_interval=0.02, pong_timeout=pong_timeout)
    async with BrainServer.running() as server:
        server.deaf = True
        async with linked(server.url, listener, timings=timings) as link:
            await listener.wait_for("up")
            yield server, link


async def test_a_half_open_connection_is_found_and_opened_again() -> None:
    listener = RecordingListener()
    async with linked_to_the_deaf(listener, pong_timeout=0.2) as (server, _):
        session, _, _ = await listener.wait_for("up")
        server.deaf = False
        down, reason = await listener.wait_for("down")
        assert down == session
        assert "no pong" in reason
        await (await server.peer(2)).wait_for("HELLO")


async def test_a_pong_that_waits_behind_messages_is_no_dead_connection() -> None:
    listener = RecordingListener()
    async with linked_to_the_deaf(listener, pong_timeout=0.3) as (server, _):
        peer = await server.peer()
        begun = time.monotonic()
        while time.monotonic() - begun < 3 * 0.3:
            await peer.send(HEARTBEAT)
            await asyncio.sleep(0.02)
        assert listener.of("down") == []
        _, reason = await listener.wait_for("down")
        assert "no pong" in reason


async def test_a_thin_line_is_given_the_time_that_state_needs() -> None:
    """What stands before the ping has to pass first; cut there, the next session would begin with it again."""
    listener = RecordingListener()
    timings = replace(PATIENT, ping_interval=0.02, pong_timeout=0.15)
    async with (
        BrainServer.running(max_queue=1) as server,
        linked(server.url, listener, timings=timings) as link,
    ):
        peer = await welcomed(server, listener)
        peer.connection.transport.pause_reading()
        assert link.send(AlertReport("info", "LONG", "x" * 20_000))
        for _ in range(int(3 * timings.pong_timeout / 0.02)):
            await asyncio.sleep(0.02)
        peer.connection.transport.resume_reading()
        await peer.wait_for("ALERT")
        assert listener.of("down") == []


async def test_a_brain_that_never_answers_a_ping_is_left_however_much_it_says() -> None:
    listener = RecordingListener()
    async with linked_to_the_deaf(listener, pong_timeout=0.1) as (server, _):
        peer = await server.peer()
        with suppress(ConnectionClosed):
            while not listener.of("down"):
                await peer.send(HEARTBEAT)
                await asyncio.sleep(0.02)
        _, reason = await listener.wait_for("down")
        assert "no pong" in reason


async def test_a_silent_brain_is_degraded_and_given_up_after_a_minute() -> None:
    """A pong proves the brain's event loop, not that anybody thinks: in a full session only messages count."""
    listener = RecordingListener()
    timings = replace(PATIENT, degraded_after=0.1, lost_after=0.4)
    async with BrainServer.running() as server, linked(server.url, listener, timings=timings) as link:
        await welcomed(server, listener)
        (first,) = await listener.wait_for("degraded")
        assert first > 0.1
        assert link.state is LinkState.DEGRADED
        (second,) = await listener.wait_for("degraded", 2)
        assert second > first
        _, reason = await listener.wait_for("down")
        assert "silent" in reason
        assert max(silent for (silent,) in listener.of("degraded")) > 0.4
        peer = await server.peer(2)
        await peer.welcome()
        await listener.wait_for("up", 2)


async def test_pongs_keep_a_plain_session_alive() -> None:
    listener = RecordingListener()
    timings = replace(QUICK, degraded_after=5.0, lost_after=0.3, ping_interval=0.02)
    async with BrainServer.running() as server, linked(server.url, listener, timings=timings) as link:
        await listener.wait_for("up")
        for outbox_id in range(1, 25):  # each confirmation is a pong later than the one before
            link.send(report(outbox_id))
            await listener.wait_for("delivered", outbox_id)
        assert listener.of("down") == []
        assert listener.of("degraded") == []
        assert link.last_heard is not None


async def test_the_engine_learns_of_silence_while_there_is_no_connection() -> None:
    listener = RecordingListener()
    timings = replace(QUICK, degraded_after=0.05)
    async with BrainServer.running() as server:
        server.answer = (500, {})
        async with linked(server.url, listener, timings=timings):
            (first,) = await listener.wait_for("degraded")
            (second,) = await listener.wait_for("degraded", 2)
    assert second > first > 0.05


# ------------------------------------------------------------------ results


async def test_in_plain_mode_a_pong_confirms_the_results_before_it() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener) as link:
        await listener.wait_for("up")
        assert link.send(report(4))
        assert link.send(report(5))
        assert await listener.wait_for("delivered") == (4, 5)
        assert link.send(report(6))
        assert await listener.wait_for("delivered", 2) == (6,)
        peer = await server.peer()
        assert len(peer.of("EXECUTION_RESULT")) == 3


async def test_a_pong_confirms_nothing_that_the_brain_acknowledges_itself() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT) as link:
        peer = await server.peer()
        await peer.welcome(heartbeat_interval=100)
        await listener.wait_for("state")
        link.send(report(4))
        await peer.wait_for("EXECUTION_RESULT")
        # Two heartbeats later some ten pings have come back.
        await peer.wait_for("HEARTBEAT", len(peer.of("HEARTBEAT")) + 2)
        assert listener.of("delivered") == []
        await peer.send(brain.result_ack(["c1"], at=SystemClock().now()))
        assert await listener.wait_for("stored") == ("c1",)


async def test_a_brain_that_cannot_acknowledge_is_confirmed_by_pong() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT) as link:
        peer = await server.peer()
        await peer.welcome(capabilities=["signed"])
        await listener.wait_for("up")
        link.send(report(4))
        assert await listener.wait_for("delivered") == (4,)


async def test_no_pong_no_confirmation() -> None:
    listener = RecordingListener()
    async with linked_to_the_deaf(listener, pong_timeout=0.2) as (_, link):
        assert link.send(report(4)) is True
        await listener.wait_for("down")
    assert listener.of("delivered") == []


async def test_results_and_acks_overtake_market_data_that_a_slow_brain_does_not_read() -> None:
    listener = RecordingListener()
    async with BrainServer.running(max_queue=1) as server, linked(
        server.url, listener, timings=replace(PATIENT, ping_interval=30.0)
    ) as link:  # fmt: skip
        peer = await welcomed(server, listener)
        peer.connection.transport.pause_reading()
        # Fill the sockets until the link has to hold messages back.
        padding = "x" * 8000
        sent = 0
        while sent < 4000 and not _blocked(link):
            assert link.send(AlertReport("info", "FILL", padding))
            sent += 1
        assert _blocked(link)
        for number in range(1, 200):
            assert link.send(market("EURUSD", f"1.{number:05d}"))
            assert link.send(market("GBPUSD", f"1.{number:05d}"))
        assert link.send(CommandAck(CommandId("c1"), "ACCEPTED"))
        assert link.send(report(1))
        peer.connection.transport.resume_reading()
        await peer.wait_for("MARKET_UPDATE", 2)
    kinds = [message["type"] for message in peer.inbox if message["type"] not in ("HELLO", "HEARTBEAT")]
    assert kinds == ["ALERT"] * sent + ["COMMAND_ACK", "EXECUTION_RESULT", "MARKET_UPDATE", "MARKET_UPDATE"]
    latest = {update["data"]["symbol"]: update["data"]["bid"] for update in peer.of("MARKET_UPDATE")}
    assert latest == {"EURUSD": 1.00199, "GBPUSD": 1.00199}


def _blocked(link: Any) -> bool:
    return bool(link._session._connection.blocked)


async def test_a_result_is_on_the_socket_before_send_returns() -> None:
    listener = RecordingListener()
    written: list[bytes] = []
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT) as link:
        peer = await welcomed(server, listener)
        transport: Any = link._session._connection.transport  # type: ignore[union-attr]
        original = transport.write
        transport.write = lambda data: (written.append(bytes(data)), original(data))[1]
        try:
            assert link.send(report(1))
            assert written
        finally:
            del transport.write
        await peer.wait_for("EXECUTION_RESULT")


async def test_a_brain_that_never_reads_is_given_up() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(
        server.url, listener, timings=replace(PATIENT, ping_interval=30.0)
    ) as link:  # fmt: skip
        peer = await welcomed(server, listener)
        peer.connection.transport.pause_reading()
        padding = "x" * 4000
        while link.send(AlertReport("info", "FILL", padding)):
            pass
        _, reason = await listener.wait_for("down")
        assert "does not read" in reason
        await server.peer(2)
