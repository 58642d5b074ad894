"""Events of a command's life for the journal's tests: short to write, complete in what they carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.domain import events as ev
from app.domain.commands import OpenPosition, TradeCommand
from app.domain.results import CommandResult, Outcome
from app.domain.values import CommandId, Price, Side, Symbol, Ticket, Volume

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def open_position(
    name: str, symbol: str = "EURUSD", strategy: str = "str_1", seconds: float = 0
) -> TradeCommand:
    return TradeCommand(
        CommandId(name),
        OpenPosition(
            Symbol(symbol), Side.BUY, Volume("0.10"), Price("1.0950"), Price("1.1050"), comment="AI"
        ),
        at(seconds),
        at(seconds + 5),
        "f" * 64,
        strategy_id=strategy,
        account="12345678",
    )


def received(
    name: str, symbol: str = "EURUSD", strategy: str = "str_1", seconds: float = 0
) -> ev.CommandReceived:
    command = open_position(name, symbol, strategy, seconds)
    return ev.CommandReceived(
        at(seconds), command.command_id, command.fingerprint, command, '{"type":"TRADE_SIGNAL"}', 1
    )


def queued(name: str, seconds: float = 0) -> ev.CommandQueued:
    return ev.CommandQueued(at(seconds), CommandId(name))


def dispatched(name: str, seconds: float = 0) -> ev.CommandDispatched:
    return ev.CommandDispatched(at(seconds), CommandId(name), "aB3dE6gH", "s_1", Price("1.1000"))


def result(name: str, outcome: Outcome, code: str | None = None) -> CommandResult:
    ticket = Ticket(2**63 + 7) if outcome.success else None
    price = Price("1.1005") if outcome.success else None
    return CommandResult(
        CommandId(name),
        outcome,
        150,
        ticket,
        price,
        Decimal("0.0005") if outcome.success else None,
        Decimal("0.10") if outcome.success else None,
        Decimal("0.10"),
        code,
        attempts=1,
    )


def executed(name: str, seconds: float = 0) -> ev.CommandExecuted:
    return ev.CommandExecuted(at(seconds), CommandId(name), result(name, Outcome.EXECUTED))


def unknown(name: str, seconds: float = 0) -> ev.OutcomeUnknown:
    return ev.OutcomeUnknown(at(seconds), CommandId(name), result(name, Outcome.UNKNOWN, "OUTCOME_UNKNOWN"))


def refused(name: str, seconds: float = 0) -> ev.CommandRefused:
    return ev.CommandRefused(at(seconds), CommandId(name), result(name, Outcome.REJECTED, "MAX_VOLUME"))


def turned_away(name: str, seconds: float = 0) -> ev.CommandTurnedAway:
    return ev.CommandTurnedAway(
        at(seconds), CommandId(name), "INVALID_COMMAND", "volume: must be greater than 0"
    )


def life(name: str, seconds: float = 0) -> tuple[ev.Event, ...]:
    return (
        received(name, seconds=seconds),
        queued(name, seconds),
        dispatched(name, seconds),
        executed(name, seconds),
    )


def equity(account: str, amount: str, seconds: float = 0) -> ev.EquitySampled:
    value = Decimal(amount)
    return ev.EquitySampled(at(seconds), account, "2026-11-20", value, value, value, value, Decimal(0))
