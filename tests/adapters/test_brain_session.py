"""The link and a brain over a real WebSocket: opening, commands, stops and refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from app.adapters.brain_websocket import WebSocketBrainLink
from app.adapters.system_clock import SystemClock
from app.domain.commands import TradeCommand
from app.engine.broker import LinkState
from app.engine.ports import (
    AlertReport,
    UnreadableCommand,
)
from app.engine.tasks import TaskKeeper
from app.protocol import brain_messages as brain
from app.protocol.signing import sign
from tests.fakes.brain_server import (
    ACCOUNT,
    API_KEY,
    EXECUTOR,
    KEY,
    BrainServer,
    Peer,
    RecordingListener,
    ShiftedClock,
    linked,
    options,
)
from tests.fakes.brain_story import BUY, PATIENT, signal, welcomed

# ------------------------------------------------------------------ opening


async def test_the_handshake_names_the_executor_and_proves_the_key() -> None:
    listener = RecordingListener()
    async with (
        BrainServer.running(subprotocols=["brain-executor.v1"]) as server,
        linked(server.url, listener),
    ):
        peer = await server.peer()
        headers = server.requests[0].headers
        assert headers["Authorization"] == f"Bearer {API_KEY}"
        assert headers["X-Executor-Id"] == EXECUTOR
        assert headers["Sec-WebSocket-Protocol"] == "brain-executor.v1"
        assert "Sec-WebSocket-Extensions" not in headers
        hello = await peer.wait_for("HELLO")
        assert peer.inbox[0] is hello
    assert peer.connection.subprotocol == "brain-executor.v1"
    assert hello["executorId"] == EXECUTOR
    assert hello["accounts"][0]["account"] == ACCOUNT.login
    assert (hello["tradingState"], hello["epoch"]) == ("ACTIVE", 7)


async def test_a_welcomed_session_is_told_up_then_state_then_commands() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT) as link:
        peer = await server.peer()
        await peer.wait_for("HELLO")
        assert link.state is LinkState.CONNECTING
        assert link.send(AlertReport("info", "X", "too early")) is False
        await peer.welcome()
        await peer.send_signed(signal())
        command, arrival = await listener.wait_for("command")
        assert link.state is LinkState.UP
    assert listener.names()[:3] == ["up", "state", "command"]
    session, plain, offset = listener.of("up")[0]
    assert (session, plain) == ("s_1", False)
    assert abs(offset) < 5
    assert isinstance(command, TradeCommand)
    assert (command.command_id, command.signed_by, command.action) == ("c1", "k1", BUY)
    assert json.loads(arrival.text)["type"] == "TRADE_SIGNAL"


async def test_commands_wait_until_the_engine_has_sent_state() -> None:
    listener = RecordingListener()
    gate = asyncio.Event()
    listener.hold = {"up": gate}
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT) as link:
        peer = await server.peer()
        await peer.welcome()
        await peer.send_signed(signal())
        await listener.wait_for("up")
        assert link.send(AlertReport("info", "X", "from within on_brain_up")) is True
        await peer.wait_for("ALERT")
        assert listener.names() == ["up"]
        gate.set()
        await listener.wait_for("command")
    assert listener.names()[:3] == ["up", "state", "command"]


async def test_commands_wait_while_a_plain_session_opens_by_itself() -> None:
    listener = RecordingListener()
    gate = asyncio.Event()
    listener.hold = {"up": gate}
    async with BrainServer.running() as server, linked(server.url, listener):
        peer = await server.peer()
        await listener.wait_for("up")
        await peer.send_signed(signal())
        await peer.send('{"type":"EMERGENCY_STOP"}')  # overheard once the link is busy with the signal
        await listener.wait_for("stop")
        assert listener.of("command") == []
        gate.set()
        await listener.wait_for("command")
    assert [name for name in listener.names() if name != "stop"][:3] == ["up", "state", "command"]


async def test_without_welcome_the_session_becomes_plain() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener) as link:
        session, plain, offset = await listener.wait_for("up")
        assert session.startswith("plain ")
        assert (plain, offset) == (True, None)
        await listener.wait_for("state")
        assert link.state is LinkState.UP
        peer = await server.peer()
        await peer.send_signed(signal())
        _, arrival = await listener.wait_for("command")
    assert arrival.brain_now == arrival.at
    assert arrival.clock_offset is None
    assert peer.of("HEARTBEAT") == []


async def test_the_seed_brain_that_begins_with_a_command_is_not_kept_waiting() -> None:
    listener = RecordingListener()
    unsigned = {"signing_keys": {}, "allow_unsigned": True, "timings": PATIENT}
    async with BrainServer.running() as server, linked(server.url, listener, **unsigned):
        peer = await server.peer()
        await peer.send(
            '{"type":"TRADE_SIGNAL","timestamp":"2024-01-01T00:00:00Z","command":{"action":"OPEN_POSITION","symbol":"EURUSD",'
            '"type":"BUY","volume":0.01},"priority":"HIGH","expiry":5000,"strategyId":"str_abc123"}'
        )
        command, _ = await listener.wait_for("command")
    assert listener.names()[:3] == ["up", "state", "command"]
    assert listener.of("up")[0][1] is True
    assert command.strategy_id == "str_abc123"


async def test_a_late_welcome_makes_a_full_session_of_a_plain_one() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener):
        await listener.wait_for("state")
        peer = await server.peer()
        await peer.welcome(heartbeat_interval=100)
        await peer.wait_for("HEARTBEAT")
        await peer.send_signed(signal())
        _, arrival = await listener.wait_for("command")
    assert arrival.clock_offset is not None
    assert len(listener.of("up")) == 1


async def test_the_brains_clock_is_measured() -> None:
    listener = RecordingListener()
    clock = ShiftedClock(timedelta(seconds=-100))
    async with (
        BrainServer.running() as server,
        linked(server.url, listener, clock=clock, timings=PATIENT),
    ):
        peer = await welcomed(server, listener)
        await peer.send_signed(signal())
        command, arrival = await listener.wait_for("command")
        assert arrival.clock_offset == pytest.approx(100, abs=5)
        assert abs((arrival.brain_now - command.issued_at).total_seconds()) < 5
        await peer.send(brain.heartbeat(SystemClock().now() + timedelta(seconds=50), 1))
        await peer.send_signed(signal("c2"))
        _, arrival = await listener.wait_for("command", 2)
    assert arrival.clock_offset == pytest.approx(150, abs=5)


async def test_losing_the_brain_is_told_and_a_fresh_session_follows() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT) as link:
        peer = await welcomed(server, listener)
        await peer.connection.close(1011, "restart\x07")
        session, reason = await listener.wait_for("down")
        assert session == "s_1"
        assert "1011: restart" in reason
        assert reason.isprintable()
        assert link.send(AlertReport("info", "X", "nobody there")) is False
        second = await server.peer(2)
        await second.wait_for("HELLO")
        await second.welcome()
        await listener.wait_for("up", 2)


async def test_shutting_down_says_goodbye() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server:
        async with linked(server.url, listener, timings=PATIENT):
            peer = await welcomed(server, listener)
        async with asyncio.timeout(10):
            await peer.closed.wait()
        assert peer.connection.close_code == 1001
        assert listener.names()[-1] == "down"


async def test_an_error_of_the_engine_reaches_the_one_who_runs_the_link() -> None:
    listener = RecordingListener()
    listener.fault = RuntimeError("a bug")
    keeper = TaskKeeper("test", lambda _name, _fault: None)
    async with BrainServer.running() as server:
        link = WebSocketBrainLink(options(server.url, timings=PATIENT), SystemClock())
        run = keeper.spawn("link", link.run(listener))
        peer = await welcomed(server, listener)
        await peer.send_signed(signal())
        with pytest.raises(RuntimeError, match="a bug"):
            await asyncio.wait_for(run, 10)
    assert listener.names()[-1] == "down"
    assert link.state is LinkState.DOWN


async def test_an_error_while_a_plain_session_opens_reaches_it_too() -> None:
    listener = RecordingListener()

    def fail() -> None:
        raise RuntimeError("a bug in opening")

    listener.on_up = fail
    keeper = TaskKeeper("test", lambda _name, _fault: None)
    async with BrainServer.running() as server:
        link = WebSocketBrainLink(options(server.url), SystemClock())
        run = keeper.spawn("link", link.run(listener))
        with pytest.raises(RuntimeError, match="a bug in opening"):
            await asyncio.wait_for(run, 10)
    assert link.state is LinkState.DOWN


# ------------------------------------------------------------------ messages


async def test_every_message_of_the_brain_reaches_the_engine_in_order() -> None:
    listener = RecordingListener()
    now = SystemClock().now()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await welcomed(server, listener)
        await peer.send_signed(signal())
        await peer.send_signed(signal().replace('"volume":0.01', '"volume":-1'))
        await peer.send_signed(brain.cancel_command("c1", at=now, executor_id=EXECUTOR))
        await peer.send(brain.subscribe(["EURUSD"], at=now, min_interval=250))
        await peer.send(brain.unsubscribe(["EURUSD"], at=now))
        await peer.send(brain.result_ack(["c1", "c2"], at=now))
        await peer.send(brain.get_state("r1", at=now))
        await listener.wait_for("state", 2)
    assert listener.names()[2:9] == [
        "command",
        "command",
        "withdraw",
        "subscribe",
        "unsubscribe",
        "stored",
        "state",
    ]
    unreadable = listener.of("command")[1][0]
    assert isinstance(unreadable, UnreadableCommand)
    assert unreadable.message.startswith("command.volume: ")
    assert listener.of("withdraw")[0][0] == "c1"
    assert listener.of("subscribe") == [(("EURUSD",), 250)]
    assert listener.of("stored") == [("c1", "c2")]
    assert listener.of("state")[1] == ("r1",)


@asynccontextmanager
async def engine_at_work() -> AsyncIterator[tuple[RecordingListener, Peer, asyncio.Event]]:
    """A welcomed session whose engine does not come back from its first command until the gate is set."""
    listener = RecordingListener()
    gate = asyncio.Event()
    listener.hold = {"command": gate}
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        yield listener, await welcomed(server, listener), gate


async def test_the_engines_pace_is_the_links_pace() -> None:
    async with engine_at_work() as (listener, peer, gate):
        for number in range(5):
            await peer.send_signed(signal(f"c{number}"))
        await peer.connection.ping()
        await listener.wait_for("command")
        await (await peer.connection.ping())
        assert len(listener.of("command")) == 1
        gate.set()
        await listener.wait_for("command", 5)
    assert [call[0].command_id for call in listener.of("command")] == ["c0", "c1", "c2", "c3", "c4"]


async def test_a_stop_overtakes_commands_that_the_engine_still_works_on() -> None:
    async with engine_at_work() as (listener, peer, gate):
        await peer.send_signed(signal("c1"))
        await peer.send_signed(signal("c2"))
        await listener.wait_for("command")
        await peer.send_signed(
            brain.emergency_stop("news", at=SystemClock().now(), close_positions=True, executor_id=EXECUTOR)
        )
        assert await listener.wait_for("stop") == ("news", True, True)
        assert len(listener.of("command")) == 1
        gate.set()
        await peer.send(brain.get_state("after", at=SystemClock().now()))
        await listener.wait_for("state", 2)
    assert len(listener.of("stop")) == 1


async def test_a_stop_overtakes_more_commands_than_one_read_brings() -> None:
    """Left in the socket until its turn it would be heard when the flood before it has been worked through."""
    async with engine_at_work() as (listener, peer, gate):
        for number in range(1200):
            await peer.send_signed(signal(f"c{number}"))
        await peer.send('{"type":"EMERGENCY_STOP","reason":"news"}')
        assert await listener.wait_for("stop") == ("news", False, False)
        assert len(listener.of("command")) == 1
        gate.set()


async def test_a_stop_is_carried_out_though_the_connection_breaks_behind_it() -> None:
    listener = RecordingListener()
    commands, stops = asyncio.Event(), asyncio.Event()
    listener.hold = {"command": commands, "stop": stops}
    finished: list[str] = []
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await welcomed(server, listener)
        await peer.send_signed(signal("c1"))
        await listener.wait_for("command")
        await peer.send('{"type":"EMERGENCY_STOP","reason":"one"}')
        await listener.wait_for("stop")
        listener.on_released = finished.append
        peer.connection.transport.abort()
        await peer.closed.wait()
        commands.set()
        stops.set()
        await listener.wait_for("down")
    assert "stop" in finished
    assert listener.of("stop") == [("one", False, False)]


async def test_a_stop_needs_no_session_and_no_signature() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await server.peer()
        await peer.send('{"type":"EMERGENCY_STOP","reason":"news"}')
        assert await listener.wait_for("stop") == ("news", False, False)
    assert listener.names()[0] == "stop"


# ------------------------------------------------------------------ refusals

DEEP = '{"type":"TRADE_SIGNAL","x":' + "[" * 20 + "]" * 20 + "}"
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "duplicate key": ('{"type":"TRADE_SIGNAL","type":"TRADE_SIGNAL"}', "INVALID_JSON"),
    "NaN": ('{"type":"TRADE_SIGNAL","x":NaN}', "INVALID_JSON"),
    "Infinity": ('{"type":"TRADE_SIGNAL","x":-Infinity}', "INVALID_JSON"),
    "overflow": ('{"type":"TRADE_SIGNAL","x":1e999}', "INVALID_JSON"),
    "overflow of everything": ('{"type":"TRADE_SIGNAL","x":1e99999999999999999999}', "INVALID_JSON"),
    "nesting": (DEEP, "INVALID_JSON"),
    "lone surrogate": ('{"type":"TRADE_SIGNAL","x":"\\ud800"}', "INVALID_JSON"),
    "byte order mark": ('\ufeff{"type":"TRADE_SIGNAL"}', "INVALID_JSON"),
    "trailing text": ('{"type":"TRADE_SIGNAL"} x', "INVALID_JSON"),
    "list": ('[{"type":"TRADE_SIGNAL"}]', "INVALID_JSON"),
    "empty": ("", "INVALID_JSON"),
    "binary": (b'{"type":"TRADE_SIGNAL"}', "INVALID_JSON"),
    "empty binary": (b"", "INVALID_JSON"),
    "unknown type": ('{"type":"BUY_NOW"}', "UNKNOWN_TYPE"),
    "no type": ("{}", "UNKNOWN_TYPE"),
    "type of another type": ('{"type":7}', "UNKNOWN_TYPE"),
    "unsigned": (signal(), "SIGNATURE_REQUIRED"),
    "forged": (sign(signal(), "k1", KEY).replace("0.01", "0.02"), "BAD_SIGNATURE"),
    "unknown key": (sign(signal(), "k2", KEY), "BAD_SIGNATURE"),
    "other algorithm": (sign(signal(), "k1", KEY).replace("Ed25519", "none"), "BAD_SIGNATURE"),
    "other executor": (sign(signal(executor_id="exec_002"), "k1", KEY), "WRONG_AUDIENCE"),
    "other account": (sign(signal(account="999"), "k1", KEY), "WRONG_AUDIENCE"),
    "too large": (
        '{"type":"TRADE_SIGNAL","commandId":"' + "x" * (64 * 1024) + '"}',
        "FRAME_TOO_LARGE",
    ),
    "too large by one": (" " * (64 * 1024 + 1), "FRAME_TOO_LARGE"),
    "boolean volume": (
        sign(signal().replace('"volume":0.01', '"volume":true'), "k1", KEY),
        "INVALID_JSON",
    ),
    "bad message": ('{"type":"SUBSCRIBE","symbols":[]}', "INVALID_MESSAGE"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_reaches_nothing_and_the_connection_stays(name: str) -> None:
    frame, code = REFUSED[name]
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await welcomed(server, listener)
        error = await peer.refused(frame)
        assert error["code"] == code
        shown = frame.decode() if isinstance(frame, bytes) else frame
        assert error["ref"] in (shown[:64], "c1")
        assert error["message"]
        await peer.send_signed(signal("after"))
        command, _ = await listener.wait_for("command")
    assert command.command_id == "after"
    assert len(server.peers) == 1
    assert len(listener.of("command")) == 1


async def test_invalid_utf8_is_answered_and_the_connection_stays() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await welcomed(server, listener)
        await peer.connection.send(b'{"type":"\xff\xfe"}', text=True)
        error = await peer.wait_for("ERROR")
        assert error["code"] == "INVALID_JSON"
        await peer.send_signed(signal("after"))
        await listener.wait_for("command")


async def test_a_fragmented_message_is_one_message() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await welcomed(server, listener)
        frame = sign(signal(), "k1", KEY)
        await peer.connection.send([frame[:40], frame[40:100], frame[100:]])
        await peer.connection.send([b"\x00", b"\x01"])
        assert (await peer.wait_for("ERROR"))["code"] == "INVALID_JSON"
        command, _ = await listener.wait_for("command")
    assert command.command_id == "c1"


async def test_a_frame_beyond_all_limits_ends_the_connection_and_a_person_is_told() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await welcomed(server, listener)
        await peer.connection.send("x" * (256 * 1024 + 1))
        code, message = await listener.wait_for("refused")
        assert code == "FRAME_TOO_LARGE"
        assert "256 KiB" in message
        async with asyncio.timeout(10):
            await peer.closed.wait()
        assert peer.connection.close_code == 1009
        await server.peer(2)
    assert listener.of("command") == []


async def test_an_error_never_quotes_the_key() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server, linked(server.url, listener, timings=PATIENT):
        peer = await welcomed(server, listener)
        error = await peer.refused('{"key":"' + API_KEY + '"}')
        assert API_KEY not in json.dumps(error)
        assert "***" in error["ref"]
        error = await peer.refused(b"\x00" + API_KEY.encode(), 2)
        assert API_KEY not in json.dumps(error)
        padded = "x" * 50 + API_KEY
        error = await peer.refused(padded, 3)
        assert API_KEY[:10] not in json.dumps(error)


def test_options_do_not_show_the_key() -> None:
    assert API_KEY not in repr(options("ws://127.0.0.1:1/"))
