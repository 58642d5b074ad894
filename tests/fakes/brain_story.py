"""The beginnings that stories between the link and a brain have in common: a welcomed session, a signal, a result."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.adapters.system_clock import SystemClock
from app.domain.commands import OpenPosition
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome
from app.domain.values import CommandId, Price, Side, Symbol, Volume
from app.engine.ports import (
    MarketReport,
    ResultReport,
)
from app.protocol import brain_messages as brain
from tests.fakes.brain_server import (
    ACCOUNT,
    EXECUTOR,
    QUICK,
    BrainServer,
    Peer,
    RecordingListener,
)

PATIENT = replace(QUICK, welcome=30.0)
"""The session opens by WELCOME alone."""
BUY = OpenPosition(Symbol("EURUSD"), Side.BUY, Volume("0.01"), stop_loss=Price("1.0950"))


def signal(command_id: str = "c1", **fields: Any) -> str:
    fields = {"at": SystemClock().now(), "executor_id": EXECUTOR, "account": ACCOUNT.login} | fields
    return brain.trade_signal(BUY, command_id=command_id, **fields)


def report(outbox_id: int, command_id: str = "c1") -> ResultReport:
    result = CommandResult(CommandId(command_id), Outcome.EXECUTED, 12, price=Price("1.1005"))
    return ResultReport(outbox_id, datetime(2026, 1, 1, tzinfo=UTC), result)


def market(symbol: str, bid: str) -> MarketReport:
    quote = Quote(Symbol(symbol), Price(bid), Price("2"), datetime(2026, 1, 1, tzinfo=UTC))
    return MarketReport(quote, Decimal(2))


async def welcomed(server: BrainServer, listener: RecordingListener) -> Peer:
    peer = await server.peer()
    await peer.wait_for("HELLO")
    await peer.welcome()
    await listener.wait_for("state")
    return peer
