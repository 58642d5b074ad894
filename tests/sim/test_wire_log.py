"""The wire log: frames, effects and stops in the order in which they happened, on the machine's monotonic clock."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError
from app.sim.clock import MachineClock
from app.sim.wire_log import WireLog

from .wire_client import close_args, terminal_and_client


async def test_what_was_heard_and_done_stands_in_order(tmp_path: Path) -> None:
    log = tmp_path / "wire.jsonl"
    begun = time.monotonic()
    async with terminal_and_client(tmp_path, wire_log=log) as (terminal, client):
        ticket = (await client.open("c-1")).data["position"]
        await client.ask("stop", {"reason": "test", "cancel_orders": False, "close_positions": False})
        assert (await client.ask("close", close_args(ticket), cid="c-2")).code == "STOPPED"
        terminal.press_stop("by hand")
        client.epoch = 9
        assert (await client.ask("resume", {})).ok
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [(line["what"], line.get("cid") or line.get("by") or line.get("epoch")) for line in lines]
    wanted = [
        ("frame", "c-1"), ("effect", "c-1"), ("stopped", "executor"), ("frame", "c-2"), ("stopped", "button"), ("resumed", 9),
    ]  # fmt: skip
    assert [one for one in told if one in wanted] == wanted
    moments = [float(line["mono"]) for line in lines]
    assert moments == sorted(moments)
    assert begun - 0.001 <= moments[0] <= moments[-1] <= time.monotonic()


async def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        await client.open("c-1")
    assert not any("wire" in name for name in os.listdir(tmp_path))


def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--wire-log"):
        WireLog(tmp_path / "nowhere" / "wire.jsonl", MachineClock())
