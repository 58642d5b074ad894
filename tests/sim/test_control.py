"""The control channel: what a test can do to the simulated world, and that nobody else can."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import InvalidValue
from app.sim.control import control, serve_control

from .wire_client import terminal_and_client


async def test_prices_faults_money_permissions_and_manual_trades(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        port = serve_control(terminal, 0)

        async def do(cmd: str, **args: Any) -> Any:
            return await asyncio.to_thread(control, port, terminal.key, cmd, args)

        assert (await do("set_price", symbol="EURUSD", bid="1.10000", ask="1.10020"))["ask"] == "1.10020"
        assert (await client.open("c-1", sl="1.09900")).data["price"] == "1.10020"
        await do("set_price", symbol="EURUSD", bid="1.09890")
        assert terminal.life.broker.book.positions == {}
        await do("add_fault", spec="requote:times=1")
        assert (await client.open("c-2")).data["attempts"] == 2
        await do("clear_faults")
        assert (await do("deposit", amount="500.25"))["balance"] == str(terminal.life.broker.book.balance)
        assert terminal.faults.items == []
        manual = await do("manual_open", symbol="XAUUSD", side="SELL", volume="0.01")
        assert terminal.life.broker.book.deals[-1].reason.value == "client"
        assert (await do("manual_close", ticket=manual["position"]))["retcode"] == 10009
        await do("permissions", terminal_trade_allowed=False)
        assert (await client.open("c-3")).code == "NO_PERMISSION"
        await do("permissions", terminal_trade_allowed=True, autotrading_allowed=False)
        assert (await client.open("c-4")).data["retcode"] == 10026
        await do("session", symbol="EURUSD", open=False)
        assert (await do("freeze"))["frozen"] is True
        await do("press_stop", reason="by hand")
        state = await do("state")
        assert (state["stopped"], state["deals"], len(state["positions"])) == (True, 5, 1)
        boot = state["boot"]
        assert (await do("restart"))["boot"] != boot


async def test_mistakes_are_answered_and_strangers_are_told_nothing(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, _client):
        port = serve_control(terminal, 0)
        for cmd, args in (
            ("dance", {}),
            ("set_price", {"symbol": "NOPE", "bid": "1"}),
            ("set_price", {"symbol": "EURUSD", "bid": "-1"}),
            ("add_fault", {"spec": "nonsense"}),
            ("permissions", {"everything": True}),
        ):
            with pytest.raises(InvalidValue):
                await asyncio.to_thread(control, port, terminal.key, cmd, args)
        with pytest.raises(InvalidValue, match="wrong mac"):
            await asyncio.to_thread(control, port, b"x" * 32, "state")
