"""The shortest way through everything: hello, snapshot, open, close, ledger."""

from __future__ import annotations

import json
from pathlib import Path

from .wire_client import close_args, terminal_and_client


async def test_open_and_close_leave_two_deals_in_the_ledger(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        opened = await client.open("cmd-1")
        assert opened.ok, opened
        assert opened.data["state"] == "done"
        assert opened.data["retcode"] == 10009
        assert opened.data["price"] == "1.10508"
        snapshot = (await client.ask("snapshot")).data
        assert [position["ticket"] for position in snapshot["positions"]] == [opened.data["position"]]
        closed = await client.ask("close", close_args(opened.data["position"]), cid="cmd-2")
        assert closed.data["state"] == "done"
        assert terminal.life.broker.book.positions == {}
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [(line["effect"], line["cid"], line["side"]) for line in lines] == [
        ("deal", "cmd-1", "BUY"),
        ("deal", "cmd-2", "SELL"),
    ]
    leading = ["seq", "time", "effect", "cid", "ticket", "symbol", "side", "volume", "price", "reason"]
    assert list(lines[0])[:10] == leading
