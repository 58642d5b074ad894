"""Hundreds of commands through random faults, each sent again and again: the ledger shows no command twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from .wire_client import Client, open_args, terminal_and_client

FAULTS = (
    "reply_lost:p=0.10",
    "duplicate:p=0.20",
    "retcode:code=10012,executed=true,p=0.10",
    "retcode:code=10031,executed=false,p=0.10",
    "requote:p=0.20",
    "partial:p=0.05",
    "late_fill:delay=0.01,p=0.05",
    "restart:at=after_effect,p=0.02",
    "restart:at=after_intent,p=0.02",
    "restart:at=before_reply,p=0.02",
    "ledger_fails:p=0.05",
)


async def insist(client: Client, cid: str) -> list[str]:
    """Send a command four times over, whatever comes back; returns the states that were answered."""
    states = []
    for _ in range(4):
        request = await client.send("open", open_args(volume="0.02"), cid=cid)
        beat = await client.send("heartbeat", {})
        while True:
            try:
                reply = await client.receive(timeout=0.3)
            except TimeoutError:
                await client.begin()
                break
            if reply.re == request.id:
                states.append(reply.data["state"])
            if reply.re == beat.id:
                break
    return states


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_command_is_traded_twice_and_none_is_called_undone_that_was(
    tmp_path: Path, seed: int
) -> None:
    async with terminal_and_client(tmp_path, faults=FAULTS, seed=seed) as (terminal, client):
        answers = {f"c-{n}": await insist(client, f"c-{n}") for n in range(70)}
        terminal.faults.clear()
        await client.begin()
        known = {cid: (await client.open(cid, volume="0.02")).data for cid in answers}
        assert terminal.restarts > 1
    fills = Counter(json.loads(line)["cid"] for line in (tmp_path / "ledger.jsonl").read_text().splitlines())
    assert set(fills.values()) == {1}
    assert set(fills) <= set(answers)
    for cid, states in answers.items():
        final = known[cid]["state"]
        assert final in {"done", "partial", "rejected", "unknown"}
        for state in set(states) - {"unknown", "refused"}:
            assert state == final
        if final in {"done", "partial"}:
            assert fills[cid] == 1
        if final == "rejected":
            assert fills[cid] == 0
    assert Counter(data["state"] for data in known.values())["unknown"] > 3
