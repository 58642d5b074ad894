"""The brain as a real process: it is killed without warning and comes back with every command, and it ends when it should."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.protocol import pairing, strict_json
from app.protocol.signing import SigningKeys
from tests.brain.hand_executor import API_KEY, EXECUTOR, WAIT, Player, executor, outcome_of

pytestmark = pytest.mark.processes
START = 30.0


class Running:
    def __init__(self, process: Process) -> None:
        self.process = process
        self.ready: dict[str, Any] = {}

    @property
    def port(self) -> int:
        return int(self.ready["port"])

    @property
    def keys(self) -> SigningKeys:
        return SigningKeys({str(self.ready["keyId"]): str(self.ready["publicKey"])})

    async def event(self, name: str) -> dict[str, Any]:
        """The next line of stdout with this event."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START):
            while True:
                line = await self.process.stdout.readline()
                assert line, "the brain ended before it said so"
                event = strict_json.loads(line)
                if event["event"] == name:
                    return event

    async def ended(self) -> int:
        async with asyncio.timeout(WAIT):
            return await self.process.wait()


@asynccontextmanager
async def brain_process(folder: Path, *options: str, api_key: str | None = API_KEY) -> AsyncIterator[Running]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDULLA_")}
    if api_key is not None:
        environment["MEDULLA_BRAIN_API_KEY"] = api_key
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app.cli.brain", "--port", "0", "--executor-id", EXECUTOR, "--exit-with-parent"),
        *("--db", str(folder / "brain.db"), "--key-file", str(folder / "signing.key")),
        *options,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        # Reading to the end closes the pipes; an open one would be a warning when the loop is gone.
        await process.communicate()


@asynccontextmanager
async def ready_brain(folder: Path, *options: str) -> AsyncIterator[Running]:
    async with brain_process(folder, *options) as running:
        running.ready = await running.event("ready")
        yield running


async def test_a_killed_brain_forgets_no_command_and_sends_the_same_frames_again(tmp_path: Path) -> None:
    async with (
        ready_brain(tmp_path, "--commands", "8", "--window", "8", "--strategy", "load:expiry=60000") as brain,
        executor(brain.port, brain.keys) as hand,
    ):
        await hand.ready()
        await hand.quote("EURUSD", "1.10000", "1.10002")
        await hand.quote("GBPUSD", "1.27000", "1.27002")
        await hand.quote("USDJPY", "149.850", "149.860")
        first = [await hand.until("TRADE_SIGNAL") for _ in range(8)]
        await hand.ack(first[0].command_id)
        await hand.ack(first[1].command_id)
        await hand.result(outcome_of(first[1].command_id))
        await hand.until("RESULT_ACK")
        brain.process.kill()
        await brain.ended()
    async with ready_brain(tmp_path, "--json") as brain, executor(brain.port, brain.keys) as hand:
        await hand.hello()
        assert (await hand.until("GET_STATE")).type == "GET_STATE"
        # The first was acknowledged, which may not have reached the disk: STATE settles it.
        await hand.state(unresolved=((first[0].command_id, "QUEUED", None),))
        again = [await hand.until("TRADE_SIGNAL") for _ in range(6)]
        assert [each.text for each in again] == [each.text for each in first[2:]]
        for each in (first[0], *again):
            await hand.result(outcome_of(each.command_id))
        acknowledged: set[str] = set()
        while len(acknowledged) < 7:
            acknowledged |= set((await hand.until("RESULT_ACK")).message["commandIds"])
        assert acknowledged == {each.command_id for each in (first[0], *first[2:])}


async def test_a_campaign_reports_and_the_process_ends_with_0(tmp_path: Path) -> None:
    async with ready_brain(tmp_path, "--commands", "40", "--rate", "200", "--exit-when-done") as brain:
        async with executor(brain.port, brain.keys) as hand:
            await hand.ready()
            for symbol, bid, ask in (
                ("EURUSD", "1.10000", "1.10002"),
                ("GBPUSD", "1.27000", "1.27002"),
                ("USDJPY", "149.850", "149.860"),
            ):
                await hand.quote(symbol, bid, ask)
            await Player(hand).run(40)
            report = await brain.event("report")
        assert await brain.ended() == 0
    assert (report["commands"], report["executed"], report["complete"]) == (40, 40, True)
    assert report["p50_ms"] > 0
    assert report["p50_ms"] <= report["p99_ms"]


async def test_the_brain_ends_with_its_parent(tmp_path: Path) -> None:
    async with ready_brain(tmp_path) as brain:
        assert brain.process.stdin is not None
        brain.process.stdin.close()
        assert await brain.ended() == 0


async def test_the_brain_ends_on_sigterm(tmp_path: Path) -> None:
    async with ready_brain(tmp_path) as brain:
        brain.process.send_signal(signal.SIGTERM)
        assert await brain.ended() == 0


async def test_a_first_start_offers_a_pairing_code_that_opens_the_door(tmp_path: Path) -> None:
    async with brain_process(tmp_path, api_key=None) as brain:
        brain.ready = await brain.event("ready")
        assert brain.process.stderr is not None
        async with asyncio.timeout(WAIT):
            await brain.process.stderr.readline()
            line = (await brain.process.stderr.readline()).decode()
        paired = pairing.decode(line.removeprefix("  medulla pair "))
        assert paired.url == f"ws://127.0.0.1:{brain.port}/"
        assert paired.key_id == brain.ready["keyId"]
        async with executor(brain.port, brain.keys, api_key=paired.api_key) as hand:
            assert (await hand.hello()).type == "WELCOME"
    assert paired.api_key.encode() not in (tmp_path / "brain.db").read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--host", "0.0.0.0"), "TLS"),
        (("--strategy", "nonsense"), "nonsense"),
        (("--strategy", "load"), "--commands"),
        (("--tls-cert", "missing.pem"), "TLS"),
    ],
)
async def test_wrong_options_end_with_2_and_one_line(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    async with brain_process(tmp_path, *options) as brain:
        async with asyncio.timeout(START):
            _out, err = await brain.process.communicate()
        assert brain.process.returncode == 2
        assert says in err.decode()
        assert len(err.decode().strip().splitlines()) == 1
