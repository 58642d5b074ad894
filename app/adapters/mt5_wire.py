"""Trade commands and answers between the engine's words and the terminal's (EA_PROTOCOL §4), shared by ways to a terminal.

Translation only: no socket, no session, no decision. What cannot be read as an answer to a trade is UNKNOWN, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from app.domain.commands import (
    CancelOrder,
    CloseAll,
    ClosePosition,
    Keep,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    Origin,
    PlaceOrder,
    TradeCommand,
)
from app.domain.execution import Execution, ExecutionState
from app.engine.broker import DispatchTerms, FindHints, TerminalHeartbeat
from app.protocol.ea_fields import bool_field, int_field, to_ms
from app.protocol.ea_frames import Reply
from app.protocol.ea_messages import account_from_wire, execution_from_wire, permissions_from_wire
from app.protocol.strict_json import plain_number

UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError)
"""What reading a malformed but authentic payload can raise."""
REFUSAL_CODES: Final = frozenset(
    {
        "INVALID_ARGS",
        "UNKNOWN_CMD",
        "ROLE_NOT_ALLOWED",
        "EPOCH_TOO_LOW",
        "SESSION_TAKEN",
        "EXPIRED",
        "STOPPED",
        "EXECUTOR_SILENT",
        "ID_CONFLICT",
        "READ_ONLY",
        "DEMO_ONLY",
        "LOGIN_NOT_ALLOWED",
        "NO_PERMISSION",
        "NOT_CONNECTED",
        "LIMIT",
        "SYMBOL_UNKNOWN",
        "NOT_FOUND",
        "VOLUME_INVALID",
        "STOPS_INVALID",
        "LEDGER_FAILED",
    }
)
"""§7: with each of these nothing was done. An error code that is not listed proves nothing."""


def trade_request(command: TradeCommand, terms: DispatchTerms) -> tuple[str, dict[str, Any]]:
    """`cmd` and `args` of a trade."""
    action = command.action
    args: dict[str, Any]
    match action:
        case OpenPosition():
            args = {
                "symbol": str(action.symbol),
                "side": action.side.value,
                "volume": plain_number(action.volume),
            }
            _put(args, sl=action.stop_loss, tp=action.take_profit, price=action.price)
            args |= {
                "deviation": terms.deviation,
                "magic": str(action.magic or terms.magic),
                "comment": terms.comment,
                "tag": terms.tag,
                "max_attempts": terms.max_attempts,
            }
            return "open", args
        case PlaceOrder():
            args = {
                "symbol": str(action.symbol),
                "kind": action.kind.value,
                "volume": plain_number(action.volume),
                "price": plain_number(action.price),
            }
            _put(args, stop_limit=action.stop_limit_price, sl=action.stop_loss, tp=action.take_profit)
            _put(args, expiration=action.expiration)
            args |= {
                "magic": str(action.magic or terms.magic),
                "comment": terms.comment,
                "tag": terms.tag,
                "max_attempts": terms.max_attempts,
            }
            return "place", args
        case ModifyPosition():
            args = {"target": "position", "ticket": str(action.ticket)}
            _amend(args, sl=action.stop_loss, tp=action.take_profit)
            return "modify", args
        case ModifyOrder():
            args = {"target": "order", "ticket": str(action.ticket)}
            _amend(args, sl=action.stop_loss, tp=action.take_profit)
            _amend(args, price=action.price, stop_limit=action.stop_limit_price)
            if not isinstance(action.expiration, Keep):
                args["expiration"] = 0 if action.expiration is None else to_ms(action.expiration)
            return "modify", args
        case ClosePosition():
            args = {"ticket": str(action.ticket)}
            _put(args, volume=action.volume)
            args |= {"deviation": terms.deviation, "tag": terms.tag, "max_attempts": terms.max_attempts}
            return "close", args | _operator(command)
        case CancelOrder():
            return "cancel", {"ticket": str(action.ticket)} | _operator(command)
        case CloseAll():
            args = {}
            if action.symbol is not None:
                args["symbol"] = str(action.symbol)
            if action.magic is not None:
                args["magic"] = str(action.magic)
            args |= {"deviation": terms.deviation, "tag": terms.tag, "max_attempts": terms.max_attempts}
            return "close_all", args | _operator(command)


def execution_of(reply: Reply) -> Execution:
    """What a reply to a trade proves."""
    if not reply.ok and "state" not in reply.data:
        if reply.code not in REFUSAL_CODES:
            return unknown(
                f"the terminal answered with an error that proves nothing ({reply.code}: {reply.message})"
            )
        return Execution(ExecutionState.REFUSED, code=reply.code, message=reply.message)
    wire: Mapping[str, Any] = {
        **reply.data,
        "code": reply.data.get("code") or reply.code,
        "message": reply.data.get("message") or reply.message,
    }
    try:
        execution = execution_from_wire(wire)
    except UNREADABLE:
        return unknown("the terminal's answer cannot be read: the trade may or may not have been done")
    # An answer that contradicts itself proves nothing.
    if reply.ok is (execution.state is ExecutionState.REFUSED):
        return unknown("the terminal's answer contradicts itself: the trade may or may not have been done")
    return execution


def unknown(message: str) -> Execution:
    """It may or may not have been done; the message says why nobody knows."""
    return Execution(ExecutionState.UNKNOWN, message=message)


def find_args(hints: FindHints) -> dict[str, Any]:
    args: dict[str, Any] = {"since": to_ms(hints.since)}
    for name, value in (
        ("symbol", hints.symbol),
        ("magic", hints.magic),
        ("tag", hints.tag),
        ("ticket", hints.ticket),
    ):
        if value is not None:
            args[name] = str(value)
    return args


def heartbeat_from_wire(data: Mapping[str, Any], round_trip: float | None) -> TerminalHeartbeat:
    """Raises one of UNREADABLE."""
    return TerminalHeartbeat(
        permissions=permissions_from_wire(data["permissions"]),
        account=account_from_wire(data["account"]),
        stopped=bool_field(data, "stopped"),
        trade_seq=int_field(data, "trade_seq"),
        round_trip=round_trip,
    )


def _put(args: dict[str, Any], **fields: Decimal | datetime | None) -> None:
    """Absent is left out."""
    for name, value in fields.items():
        if value is not None:
            args[name] = to_ms(value) if isinstance(value, datetime) else plain_number(value)


def _amend(args: dict[str, Any], **fields: Decimal | Keep | None) -> None:
    """Unchanged is left out, None removes with "0"."""
    for name, value in fields.items():
        if not isinstance(value, Keep):
            args[name] = "0" if value is None else plain_number(value)


def _operator(command: TradeCommand) -> dict[str, Any]:
    """Lets an exit that was asked for at this machine, or by the stop itself, through the terminal's latch (§6)."""
    return {} if command.origin is Origin.BRAIN else {"operator": True}
