"""The simulated terminal as a real process: ready line, exit codes, kill -9 at every point, and coming back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.sim.control import control

from .wire_client import Client, close_args, open_args, place_args

PROGRAM = [sys.executable, "-c", "import typer; from app.cli.sim import sim; typer.run(sim)"]


def options(folder: Path, *more: str) -> list[str]:
    return [
        *PROGRAM, "--command-port", "0", "--stream-port", "0", "--control-port", "0", "--tick-rate", "0",
        "--key-file", str(folder / "key"), "--ledger", str(folder / "ledger"), "--exit-with-parent", *more,
    ]  # fmt: skip


@contextmanager
def running(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A process that serves, and what it said when it was ready."""
    with subprocess.Popen(
        options(folder, *more), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


async def connect(folder: Path, ready: dict[str, Any]) -> Client:
    client = Client(ready["command_port"], bytes.fromhex((folder / "key").read_text()))
    await client.begin()
    return client


def fails(folder: Path, *more: str) -> tuple[int, str]:
    done = subprocess.run(
        options(folder, *more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.processes
def test_it_says_when_it_is_ready_and_ends_when_told(tmp_path: Path) -> None:
    with running(tmp_path) as (process, ready):
        assert (ready["event"], ready["login"]) == ("ready", "50012345")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.processes
def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _ready):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.processes
def test_wrong_usage_is_2_and_a_port_in_use_is_1_with_one_line_each(tmp_path: Path) -> None:
    with running(tmp_path) as (_process, ready):
        other = ["--ledger", str(tmp_path / "other")]
        code, said = fails(tmp_path, *other, "--command-port", str(ready["command_port"]))
        assert (code, said.count("\n")) == (1, 1)
        assert f"command port {ready['command_port']}" in said
    for wrong in (
        ["--fault", "nonsense"],
        ["--symbols", "NOPE"],
        ["--account", "both"],
        ["--balance", "much"],
    ):
        code, said = fails(tmp_path, *wrong)
        assert (code, said.count("\n")) == (2, 1)
        assert wrong[0] in said


@pytest.mark.processes
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path, "--balance", "50000") as (process, ready):
        client = await connect(tmp_path, ready)
        replies = {f"c-{n}": (await client.open(f"c-{n}", sl="1.09000")).data for n in range(20)}
        closed = await client.ask("close", close_args(replies["c-3"]["position"]), cid="x-1")
        placed = await client.ask("place", place_args("BUY_LIMIT", "1.09500"), cid="p-1")
        before = (await client.ask("snapshot")).data
        await client.ask(
            "stop", {"reason": "before the kill", "cancel_orders": False, "close_positions": False}
        )
        client.close()
        process.kill()
        process.wait(30)
    with running(tmp_path) as (_process, ready):
        client = await connect(tmp_path, ready)
        welcome = await client.hello()
        assert (welcome.data["stopped"], welcome.data["stop_reason"]) == (True, "before the kill")
        await client.ask("resume", epoch=1)
        client.epoch = 1
        after = (await client.ask("snapshot")).data
        assert after["positions"] == before["positions"]
        assert after["orders"] == before["orders"]
        assert after["account"] == before["account"]
        for cid, data in replies.items():
            assert (await client.open(cid, sl="1.09000")).data == {**data, "replayed": True}
        fresh = (await client.open("c-new")).data
        known = {data["position"] for data in replies.values()} | {closed.data["order"], placed.data["order"]}
        assert fresh["position"] not in known
        assert fresh["deal"] not in {data["deal"] for data in replies.values()} | {closed.data["deal"]}
        client.close()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("at", "fills", "state"),
    [
        ("after_intent", 0, "unknown"),
        ("after_effect", 1, "unknown"),
        ("before_result", 1, "unknown"),
        ("after_result", 1, "done"),
        ("before_reply", 1, "done"),
    ],
)
async def test_a_crash_in_the_middle_of_a_trade_never_trades_twice(
    tmp_path: Path, at: str, fills: int, state: str
) -> None:
    with running(tmp_path, "--fault", f"crash:at={at},nth=2") as (process, ready):
        client = await connect(tmp_path, ready)
        await client.open("c-1")
        await client.send("open", open_args(), cid="c-2")
        assert process.wait(30) == 137
        client.close()
    with running(tmp_path) as (_process, ready):
        client = await connect(tmp_path, ready)
        again = (await client.open("c-2")).data
        assert (again["state"], again["replayed"]) == (state, True)
        found = (await client.ask("find", {"tag": "Mabcdefg", "since": 0}, cid="c-2")).data
        assert found["ledger"] == ("result" if state == "done" else "sent")
        client.close()
    effects = [json.loads(line)["cid"] for line in (tmp_path / "ledger").read_text().splitlines()]
    assert effects == ["c-1"] + ["c-2"] * fills


@pytest.mark.processes
def test_the_control_channel_of_a_process(tmp_path: Path) -> None:
    with running(tmp_path, "--first-ticket", str(2**53 + 5)) as (_process, ready):
        key = bytes.fromhex((tmp_path / "key").read_text())
        opened = control(
            ready["control_port"], key, "manual_open", {"symbol": "EURUSD", "side": "BUY", "volume": "0.01"}
        )
        assert opened["position"] == str(2**53 + 5)
    line = json.loads((tmp_path / "ledger").read_text())
    assert (line["ticket"], line["cid"], line["reason"]) == (str(2**53 + 5), None, "client")
