"""The stop's own channel: it never raises, repeats until confirmed, and says what a person should do if nobody confirms."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.mt5_stop_channel import ZmqStopChannel
from app.adapters.system_clock import SystemClock
from app.engine.broker import StopAnswer
from app.protocol.ea_client_session import Identity
from tests.adapters.scripted_terminal import ScriptedTerminal, scripted_terminal
from tests.contract.terminals import SimulatedTerminalProcess

Make = Callable[[bytes, int], ZmqStopChannel]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[ZmqStopChannel] = []

    def new(key: bytes, port: int) -> ZmqStopChannel:
        identity = Identity(secrets.token_hex(16), "exec_test", "0.1.0")
        made.append(ZmqStopChannel(key=key, command_port=port, identity=identity, clock=SystemClock()))
        return made[-1]

    yield new
    for channel in made:
        channel.close()


@pytest.fixture
async def terminal() -> AsyncIterator[ScriptedTerminal]:
    async with scripted_terminal() as it:
        yield it


async def press(channel: ZmqStopChannel, timeout: float = 5.0) -> StopAnswer:
    return await asyncio.to_thread(
        channel.send_stop, reason="test", epoch=3, cancel_orders=True, close_positions=False, timeout=timeout
    )


async def test_the_stop_says_what_it_wants(terminal: ScriptedTerminal, make: Make) -> None:
    task = asyncio.get_running_loop().create_task(press(make(terminal.key, terminal.command_port)))
    request = await terminal.next()
    assert (request.cmd, request.epoch, request.cid) == ("stop", 3, None)
    assert request.args == {"reason": "test", "cancel_orders": True, "close_positions": False}
    assert terminal.hellos[0].args["role"] == "stop"
    await terminal.reply(request, {"stopped": True, "epoch": 3, "latched_at": 1})
    assert await task == StopAnswer(acknowledged=True, detail="acknowledged")


async def test_it_repeats_until_it_is_confirmed(terminal: ScriptedTerminal, make: Make) -> None:
    task = asyncio.get_running_loop().create_task(press(make(terminal.key, terminal.command_port)))
    first = await terminal.next()
    second = await terminal.next()
    assert second.id != first.id or second.sid != first.sid
    await terminal.reply(second, {"stopped": True})
    assert (await task).acknowledged


@pytest.mark.parametrize(
    "changes", [{"ok": False, "code": "LEDGER_FAILED", "message": "disk full"}, {"data": {}}]
)
async def test_anything_but_a_confirmation_is_none(
    terminal: ScriptedTerminal, make: Make, changes: dict[str, Any]
) -> None:
    task = asyncio.get_running_loop().create_task(press(make(terminal.key, terminal.command_port), 0.2))
    await terminal.reply(await terminal.next(), changes.pop("data", {"stopped": False}), **changes)
    answer = await task
    assert not answer.acknowledged
    assert "Algo Trading" in answer.detail


async def test_without_a_terminal_it_says_so(make: Make, unused_tcp_port_factory: Callable[[], int]) -> None:
    answer = await press(make(b"k" * 32, unused_tcp_port_factory()), 0.1)
    assert not answer.acknowledged
    assert "no terminal listens" in answer.detail


async def test_a_terminal_that_does_not_answer_is_named(terminal: ScriptedTerminal, make: Make) -> None:
    terminal.polite = False
    answer = await press(make(terminal.key, terminal.command_port), 0.3)
    assert not answer.acknowledged
    assert "does not answer" in answer.detail


async def test_a_stop_that_was_only_handed_over_is_not_called_acknowledged(
    terminal: ScriptedTerminal, make: Make
) -> None:
    answer = await press(make(terminal.key, terminal.command_port), 0.3)
    assert not answer.acknowledged
    assert "has not confirmed" in answer.detail


async def test_a_forged_confirmation_is_none(terminal: ScriptedTerminal, make: Make) -> None:
    task = asyncio.get_running_loop().create_task(press(make(terminal.key, terminal.command_port), 0.3))
    request = await terminal.next()
    body = b'{"v":1,"from":"terminal","sid":"%s","re":%d,"ok":true,"data":{"stopped":true}}' % (
        terminal.sid.encode(),
        request.id,
    )
    await terminal.say_body(body, key=b"f" * 32)
    assert not (await task).acknowledged


async def test_a_refused_greeting_is_not_repeated_in_a_rush(terminal: ScriptedTerminal, make: Make) -> None:
    terminal.polite = False

    async def refuse() -> None:
        for number in range(3):
            await terminal.until(lambda seen=number: len(terminal.hellos) > seen)  # type: ignore[misc]
            await terminal.reply(
                terminal.hellos[number], {}, sid="", ok=False, code="INVALID_ARGS", message="nonce"
            )

    async with asyncio.TaskGroup() as group:
        refusing = group.create_task(refuse())
        answer = await press(make(terminal.key, terminal.command_port), 0.6)
        refusing.cancel()
    assert not answer.acknowledged
    assert "INVALID_ARGS" in answer.detail
    assert 2 <= len(terminal.hellos) <= 4


@pytest.mark.processes
async def test_a_warm_channel_survives_the_terminals_restart(make: Make, tmp_path: Path) -> None:
    terminal = SimulatedTerminalProcess(tmp_path)
    try:
        await terminal.start()
        channel = make(terminal.key, terminal.command_port)
        assert await asyncio.to_thread(channel.keep_warm, 5.0)
        assert await asyncio.to_thread(channel.keep_warm)
        terminal.kill()
        await terminal.start()
        assert (await press(channel)).acknowledged
        assert (await press(channel)).acknowledged
        terminal.kill()
        answer = await press(channel, 0.3)
        assert not answer.acknowledged
    finally:
        terminal.close()
