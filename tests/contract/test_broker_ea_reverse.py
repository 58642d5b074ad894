"""The executor as the one that listens, against the Expert Advisor without DLL, compiled for this machine.

The contract is the same for all terminals; what cannot be asked of this one is answered here by what takes its place.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq

from app.domain.execution import ExecutionState
from app.protocol.ea_frames import Request, encode_request, seal
from tests.contract.broker_contract import TAG, TerminalContract, ZmqRig, command, open_, running, zmq_broker
from tests.contract.terminals import started
from tests.fakes.broker_listener import RecordingListener
from tests.mql5_host.contract_terminal import EaTerminal

from .broker_contract import TERMS


@pytest.mark.processes
class TestMedullaNoDll(TerminalContract):
    @pytest.fixture
    async def terminal(self, tmp_path: Path) -> AsyncIterator[EaTerminal]:
        async with started(EaTerminal(tmp_path, "MedullaNoDll")) as terminal:
            yield terminal

    async def test_one_executor_an_account(self, rig: ZmqRig) -> None:
        """The system gives the port to one: a second executor is told so before it could greet anybody."""
        await rig.up()
        heard = RecordingListener()
        other = zmq_broker(rig.terminal)
        async with running(other, heard):
            await heard.until(lambda: heard.refusals)
            assert heard.refusals[0][0] == "PORT_TAKEN"
            assert other.session_id == ""
        assert (await rig.do("c1", open_())).state is ExecutionState.DONE

    async def test_a_stranger_gets_nothing_and_changes_nothing(self, rig: ZmqRig) -> None:
        """Strangers connect to the executor here, before a session and during one; they hear nothing, whatever they say."""
        rig.terminal.kill()
        context = zmq.Context()
        try:
            stranger = context.socket(zmq.DEALER)
            stranger.connect(f"tcp://127.0.0.1:{rig.terminal.command_port}")
            false_knock = b'{"v":1,"from":"terminal","here":"command","boot":"00"}'
            junk = [
                [false_knock, seal(b"x" * 32, false_knock)],
                [false_knock, b""],
                [false_knock],
                [b"", b"", b""],
                [b"\xff" * 300_000],
            ]
            for parts in junk:
                stranger.send_multipart(parts)
            await rig.heard.until(lambda: rig.heard.refusals)
            assert rig.heard.refusals[0][0] == "NO_ANSWER"
            await rig.terminal.start()
            await rig.up(sessions=len(rig.heard.ups) + 1)
            for parts in junk:
                stranger.send_multipart(parts)
            assert (await rig.do("c1", open_())).state is ExecutionState.DONE
            assert stranger.poll(0) == 0
        finally:
            context.destroy(linger=0)

    async def test_a_recorded_knock_wins_a_greeting_and_no_more(self, terminal: EaTerminal) -> None:
        """A knock can be played again; the greeting that it wins is of use to nobody without the key."""
        heard = RecordingListener()
        broker = zmq_broker(terminal)
        knock = b'{"v":1,"from":"terminal","here":"command","boot":"' + secrets.token_hex(16).encode() + b'"}'
        terminal.kill()
        context = zmq.Context()
        try:
            stranger = context.socket(zmq.DEALER)
            stranger.setsockopt(zmq.RCVTIMEO, 5000)
            stranger.connect(f"tcp://127.0.0.1:{terminal.command_port}")
            stranger.send_multipart([knock, seal(terminal.key, knock)])
            async with running(broker, heard):
                said = [await asyncio.to_thread(stranger.recv_multipart)]
                await terminal.start()
                await heard.until(heard.has_session)
                theft = encode_request(
                    Request("open", id=99, sid=broker.session_id, epoch=99, ts=0, ttl=10**15, cid="theft")
                )
                stranger.send_multipart([theft, seal(terminal.key, theft)])
                answer = await broker.send(command("c1", open_()), TERMS)
                assert answer.state is ExecutionState.DONE
                while stranger.poll(0):
                    said.append(stranger.recv_multipart())
                assert all(b'"cmd":"hello"' in body for body, _mac in said)
                assert TAG.encode() not in b"".join(body for body, _mac in said)
                assert heard.downs == []
        finally:
            context.destroy(linger=0)

    async def test_the_stop_stays_warm_over_a_terminals_death(self, rig: ZmqRig) -> None:
        await rig.up()
        with rig.stop_channel() as channel:
            assert await asyncio.to_thread(channel.keep_warm, 5.0)
            rig.terminal.kill()
            await rig.terminal.start()
            assert await rig.stop(channel) == (True, "acknowledged")
        await rig.up(sessions=2)
        assert rig.heard.ups[-1].stopped or rig.heard.stops

    async def test_a_stop_whose_port_is_held_says_so(self, rig: ZmqRig) -> None:
        await rig.up()
        with rig.stop_channel() as first, rig.stop_channel() as second:
            assert await asyncio.to_thread(first.keep_warm, 5.0)
            answer = await asyncio.to_thread(
                second.send_stop,
                reason="test",
                epoch=0,
                cancel_orders=False,
                close_positions=False,
                timeout=0.3,
            )
            assert not answer.acknowledged
            assert "held by another program" in answer.detail
            assert await rig.stop(first) == (True, "acknowledged")

    async def test_strangers_at_the_stops_port_hold_nothing_up(self, rig: ZmqRig) -> None:
        await rig.up()
        context = zmq.Context()
        try:
            stranger = context.socket(zmq.DEALER)
            stranger.setsockopt(zmq.SNDHWM, 0)
            stranger.connect(f"tcp://127.0.0.1:{rig.terminal.stream_port}")
            false_knock = b'{"v":1,"from":"terminal","here":"stop","boot":"00"}'
            for _ in range(500):
                stranger.send_multipart([false_knock, seal(b"x" * 32, false_knock)])
                stranger.send_multipart([b""] * 5)
            # An authentic knock that is played again: greeted, and then no more.
            stranger.send_multipart([false_knock, seal(rig.terminal.key, false_knock)])
            with rig.stop_channel() as channel:
                assert await rig.stop(channel) == (True, "acknowledged")
            while stranger.poll(0):
                assert b'"cmd":"hello"' in stranger.recv_multipart()[0]
        finally:
            context.destroy(linger=0)
