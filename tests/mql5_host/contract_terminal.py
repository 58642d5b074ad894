"""The compiled EA under the protocol that the contract suite asks of a terminal (tests/contract/terminals.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.adapters.mt5_zmq import Transport

from .host import HostTerminal


class EaTerminal:
    """`Medulla.mq5` or `MedullaNoDll.mq5`, compiled for this machine, behind real sockets."""

    def __init__(
        self,
        folder: Path,
        front: str = "Medulla",
        inputs: Mapping[str, object] | None = None,
        *,
        remembers: bool = True,
    ) -> None:
        self._host = HostTerminal(folder, front, inputs=inputs, remembers=remembers)
        self.transport: Transport = "connect" if front == "Medulla" else "listen"
        self.key = self._host.key
        self.command_port = self._host.command_port
        self.stream_port = self._host.stream_port

    @property
    def pid(self) -> int:
        return self._host.pid

    async def start(self) -> None:
        await asyncio.to_thread(self._host.start)

    def kill(self) -> None:
        self._host.kill()

    def close(self) -> None:
        self._host.kill()

    def effects(self, command_id: str) -> list[dict[str, Any]]:
        return self._host.effects(command_id)

    async def set_price(self, symbol: str, bid: str, ask: str) -> None:
        await self._control(f"price {symbol} {bid} {ask}")

    async def buy_by_hand(self, symbol: str, volume: str, times: int) -> None:
        await self._control(f"by_hand {symbol} 0 {volume} {times}")

    async def slow_down(self, milliseconds: int, times: int | None = None) -> None:
        await self._control(f"latency {milliseconds} {-1 if times is None else times}")

    async def die_after_next_effect(self) -> None:
        await self._control("crash after_send")

    async def swallow_next_reply(self) -> None:
        await self._control("swallow")

    async def _control(self, command: str) -> None:
        await asyncio.to_thread(self._host.control, command)
