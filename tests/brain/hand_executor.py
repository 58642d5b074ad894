"""An executor played by hand for the brain's tests: a real WebSocket client that says what the test tells it to.

It verifies every signed frame as the real one does; it decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.brain.clock import MachineClock
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId, Price, Symbol, Ticket
from app.protocol import brain_outbound as say
from app.protocol import strict_json
from app.protocol.signing import SigningKeys

EXECUTOR = "exec_test"
API_KEY = "test-key-0123456789abcdef"
WAIT = 10.0


def now() -> datetime:
    return MachineClock().utc()


@dataclass(frozen=True)
class Received:
    """One frame of the brain: its exact text, and the message in it (of the payload, if it is signed)."""

    text: str
    message: dict[str, Any]
    signed: bool

    @property
    def type(self) -> str:
        return str(self.message["type"])

    @property
    def command_id(self) -> str:
        return str(self.message["commandId"])


class HandExecutor:
    def __init__(self, connection: ClientConnection, keys: SigningKeys) -> None:
        self.connection = connection
        self._keys = keys
        self.seen: list[Received] = []

    async def receive(self) -> Received:
        async with asyncio.timeout(WAIT):
            text = await self.connection.recv()
        assert isinstance(text, str)
        body = strict_json.loads(text)
        signed = body["type"] == "SIGNED"
        if signed:
            body = strict_json.loads(self._keys.verify(body).text)
        received = Received(text, body, signed)
        self.seen.append(received)
        return received

    async def until(self, kind: str) -> Received:
        """The next message of this type; others are passed over (and kept in `seen`)."""
        while True:
            received = await self.receive()
            if received.type == kind:
                return received

    async def send(self, frame: str) -> None:
        await self.connection.send(frame)

    async def hello(self, trading_state: str = "ACTIVE") -> Received:
        await self.send(
            say.hello(now(), EXECUTOR, app_version="0", accounts=(), trading_state=trading_state, epoch=1)
        )
        return await self.until("WELCOME")

    async def state(
        self,
        *,
        unresolved: tuple[say.Brief, ...] = (),
        recent: tuple[say.Brief, ...] = (),
        request_id: str | None = None,
    ) -> None:
        status = TradingStatus(TradingState.ACTIVE, 1, "test", Actor.OPERATOR, now())
        await self.send(
            say.state(
                now(),
                EXECUTOR,
                request_id=request_id,
                status=status,
                unresolved=unresolved,
                recent=recent,
                positions=(),
                orders=(),
                account=None,
            )
        )

    async def ready(self) -> None:
        await self.hello()
        await self.state()

    async def ack(self, command_id: str, status: str = "ACCEPTED", code: str | None = None) -> None:
        await self.send(say.command_ack(now(), EXECUTOR, command_id, status, code=code))

    async def result(self, result: CommandResult) -> None:
        await self.send(say.execution_result(now(), EXECUTOR, result))

    async def quote(self, symbol: str, bid: str, ask: str) -> None:
        quote = Quote(Symbol(symbol), Price(bid), Price(ask), now())
        await self.send(say.market_update(now(), quote, Decimal(2)))

    async def expect_closed(self) -> int:
        """Read to the end; the close code."""
        with suppress(ConnectionClosed):
            while True:
                await self.receive()
        return int(self.connection.close_code or 0)


def outcome_of(command_id: str, outcome: Outcome = Outcome.EXECUTED, **fields: Any) -> CommandResult:
    return CommandResult(CommandId(command_id), outcome, 1, **fields)


@asynccontextmanager
async def executor(
    port: int,
    keys: SigningKeys,
    *,
    api_key: str | None = API_KEY,
    executor_id: str | None = EXECUTOR,
    subprotocols: tuple[Subprotocol, ...] = (Subprotocol("brain-executor.v1"),),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[HandExecutor]:
    sent = dict(headers or {})
    if api_key is not None:
        sent["Authorization"] = f"Bearer {api_key}"
    if executor_id is not None:
        sent["X-Executor-Id"] = executor_id
    async with connect(
        f"ws://127.0.0.1:{port}/",
        additional_headers=sent,
        subprotocols=subprotocols or None,
        compression=None,
        proxy=None,
        open_timeout=WAIT,
        close_timeout=2,
    ) as connection:
        yield HandExecutor(connection, keys)


class Player:
    """An executor that accepts and executes everything at once, as a perfect broker would."""

    def __init__(self, hand: HandExecutor) -> None:
        self.hand = hand
        self.executed: list[str] = []
        self._ticket = 1000

    async def run(self, most: int) -> None:
        while len(self.executed) < most:
            received = await self.hand.until("TRADE_SIGNAL")
            await self.hand.ack(received.command_id)
            await self.hand.result(self.answer(received))
            self.executed.append(received.command_id)

    def answer(self, received: Received) -> CommandResult:
        self._ticket += 1
        command = received.message["command"]
        volume = command.get("volume")
        ticket = command.get("ticket", self._ticket)
        return outcome_of(
            received.command_id,
            ticket=Ticket(ticket),
            volume=None if volume is None else Decimal(volume),
            requested_volume=None if volume is None else Decimal(volume),
        )
