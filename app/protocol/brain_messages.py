"""The brain's side of the wire (PROTOCOL §4, §5): builds what a brain sends, reads what an executor answers.

The reference brain and the tests speak through this file; the executor's own side is brain_inbound.py and brain_outbound.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.commands import (
    ACTION_NAMES,
    UNCHANGED,
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    Keep,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
)
from app.domain.errors import InvalidValue
from app.domain.results import CloseDetail, CommandResult, Outcome
from app.domain.values import CommandId, Magic, Priority, Ticket
from app.protocol import brain_fields as f
from app.protocol.brain_outbound import heartbeat
from app.protocol.strict_json import dumps, loads

__all__ = [
    "AckReceived",
    "ErrorReceived",
    "ExecutorSaid",
    "HelloReceived",
    "OtherReceived",
    "ResultReceived",
    "action_to_wire",
    "cancel_command",
    "emergency_stop",
    "get_state",
    "heartbeat",
    "read_executor_frame",
    "result_ack",
    "subscribe",
    "trade_signal",
    "unsubscribe",
    "welcome",
]

# ------------------------------------------------------------------ building


def trade_signal(
    action: Action,
    *,
    at: datetime,
    command_id: str | None = None,
    executor_id: str | None = None,
    account: str | None = None,
    strategy_id: str | None = None,
    priority: Priority = Priority.NORMAL,
    expiry: int = 5000,
) -> str:
    """One TRADE_SIGNAL. Without the last four it is the seed's message; `expiry` in milliseconds after `at`."""
    body: dict[str, Any] = {
        "type": "TRADE_SIGNAL",
        "timestamp": f.stamp(at),
        "command": action_to_wire(action),
        "priority": priority.name,
        "expiry": expiry,
    }
    for name, value in (
        ("strategyId", strategy_id),
        ("commandId", command_id),
        ("executorId", executor_id),
        ("account", account),
    ):
        if value is not None:
            body[name] = value
    return dumps(body)


def cancel_command(command_id: str, *, at: datetime, executor_id: str | None = None) -> str:
    return _addressed("CANCEL_COMMAND", at, executor_id, None, {"commandId": command_id})


def emergency_stop(
    reason: str, *, at: datetime, close_positions: bool = False, executor_id: str | None = None
) -> str:
    return _addressed(
        "EMERGENCY_STOP", at, executor_id, None, {"reason": reason, "closePositions": close_positions}
    )


def subscribe(symbols: Iterable[str], *, at: datetime, min_interval: int = 100) -> str:
    """`min_interval`: milliseconds."""
    return _plain("SUBSCRIBE", at, {"symbols": list(symbols), "minInterval": min_interval})


def unsubscribe(symbols: Iterable[str], *, at: datetime) -> str:
    return _plain("UNSUBSCRIBE", at, {"symbols": list(symbols)})


def result_ack(command_ids: Iterable[str], *, at: datetime) -> str:
    return _plain("RESULT_ACK", at, {"commandIds": list(command_ids)})


def get_state(request_id: str, *, at: datetime) -> str:
    return _plain("GET_STATE", at, {"requestId": request_id})


def welcome(
    session_id: str,
    *,
    at: datetime,
    heartbeat_interval: int = 5000,
    capabilities: Iterable[str] = ("signed", "result_ack"),
) -> str:
    """`heartbeat_interval`: milliseconds."""
    return _plain(
        "WELCOME",
        at,
        {
            "sessionId": session_id,
            "serverTime": f.stamp(at),
            "heartbeatInterval": heartbeat_interval,
            "capabilities": list(capabilities),
        },
    )


def action_to_wire(action: Action) -> dict[str, Any]:
    """`command` of a TRADE_SIGNAL; what is absent in the domain is absent in the message."""
    wire: dict[str, Any] = {"action": ACTION_NAMES[type(action)]}
    match action:
        case OpenPosition():
            wire |= {"symbol": action.symbol, "type": action.side.value, "volume": action.volume}
            _put(
                wire,
                stopLoss=action.stop_loss,
                takeProfit=action.take_profit,
                price=action.price,
                maxSlippage=action.max_slippage,
            )
            _marks(wire, action.magic, action.comment)
        case PlaceOrder():
            wire |= {"symbol": action.symbol, "type": action.kind.value, "volume": action.volume}
            _put(
                wire,
                price=action.price,
                stopLimitPrice=action.stop_limit_price,
                stopLoss=action.stop_loss,
                takeProfit=action.take_profit,
                expiration=None if action.expiration is None else f.stamp(action.expiration),
            )
            _marks(wire, action.magic, action.comment)
        case ModifyPosition():
            wire["ticket"] = f.exact(action.ticket)
            _change(wire, stopLoss=action.stop_loss, takeProfit=action.take_profit)
        case ModifyOrder():
            wire["ticket"] = f.exact(action.ticket)
            _change(
                wire,
                price=action.price,
                stopLimitPrice=action.stop_limit_price,
                stopLoss=action.stop_loss,
                takeProfit=action.take_profit,
                expiration=action.expiration,
            )
        case ClosePosition():
            wire["ticket"] = f.exact(action.ticket)
            _put(wire, volume=action.volume)
        case CancelOrder():
            wire["ticket"] = f.exact(action.ticket)
        case CloseAll():
            _put(wire, symbol=action.symbol, magicNumber=f.exact(action.magic))
    return wire


def _put(wire: dict[str, Any], **fields: Any) -> None:
    wire.update({name: value for name, value in fields.items() if value is not None})


def _change(wire: dict[str, Any], **fields: Decimal | datetime | Keep | None) -> None:
    for name, value in fields.items():
        if value is not UNCHANGED:
            wire[name] = 0 if value is None else f.stamp(value) if isinstance(value, datetime) else value


def _marks(wire: dict[str, Any], magic: Magic, comment: str) -> None:
    if magic:
        wire["magicNumber"] = f.exact(magic)
    if comment:
        wire["comment"] = comment


def _plain(kind: str, at: datetime, fields: Mapping[str, Any]) -> str:
    return dumps({"type": kind, "timestamp": f.stamp(at), **fields})


def _addressed(
    kind: str, at: datetime, executor_id: str | None, account: str | None, fields: Mapping[str, Any]
) -> str:
    body: dict[str, Any] = {"type": kind, "timestamp": f.stamp(at), **fields}
    _put(body, executorId=executor_id, account=account)
    return dumps(body)


# ------------------------------------------------------------------ reading


@dataclass(frozen=True, slots=True)
class HelloReceived:
    executor_id: str
    app_version: str
    accounts: tuple[Mapping[str, Any], ...]
    trading_state: str
    epoch: int


@dataclass(frozen=True, slots=True)
class AckReceived:
    command_id: str
    status: str
    code: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class ResultReceived:
    """A brain that has stored it answers RESULT_ACK; it deduplicates on `key`."""

    at: datetime
    executor_id: str
    result: CommandResult

    @property
    def key(self) -> tuple[str, str]:
        return self.result.command_id, self.result.outcome.value


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    code: str
    message: str
    ref: str


@dataclass(frozen=True, slots=True)
class OtherReceived:
    """Everything whose fields a brain only shows or stores: MARKET_UPDATE, STATE, HEARTBEAT, ALERT, …"""

    type: str
    body: Mapping[str, Any]


ExecutorSaid = HelloReceived | AckReceived | ResultReceived | ErrorReceived | OtherReceived


def read_executor_frame(frame: str) -> ExecutorSaid:
    """Read one frame of an executor. Raises InvalidValue (InvalidJson for a frame that is not strict JSON)."""
    body = loads(frame)
    kind = f.text(f.required(body, "type"), "type", 40)
    match kind:
        case "HELLO":
            accounts = f.required(body, "accounts")
            return HelloReceived(
                f.text(f.required(body, "executorId"), "executorId", 128),
                str(body.get("appVersion") or ""),
                tuple(item for item in accounts if isinstance(item, dict)),
                str(body.get("tradingState") or ""),
                f.whole(body.get("epoch", 0), "epoch", 0, f.EXACT_IN_A_DOUBLE),
            )
        case "COMMAND_ACK":
            return AckReceived(
                CommandId(f.required(body, "commandId")),
                f.text(f.required(body, "status"), "status", 40),
                _maybe_str(body, "code"),
                _maybe_str(body, "message"),
            )
        case "EXECUTION_RESULT":
            return ResultReceived(
                f.moment(f.required(body, "timestamp")),
                str(body.get("executorId") or ""),
                _result(body),
            )
        case "ERROR":
            return ErrorReceived(str(body.get("code")), str(body.get("message")), str(body.get("ref")))
    return OtherReceived(kind, body)


def _result(body: Mapping[str, Any]) -> CommandResult:
    wire = f.required(body, "result")
    if not isinstance(wire, dict):
        raise InvalidValue("result", "must be an object")
    ticket = wire.get("ticket")
    return CommandResult(
        command_id=CommandId(f.required(body, "commandId")),
        outcome=_outcome(wire),
        execution_time=f.whole(f.required(wire, "executionTime"), "executionTime", 0, f.EXACT_IN_A_DOUBLE),
        ticket=None if ticket is None else Ticket(f.exact_whole(ticket, "ticket")),
        price=f.maybe_price(wire, "openPrice"),
        slippage=_maybe_number(wire, "slippage"),
        volume=_maybe_number(wire, "volume"),
        requested_volume=_maybe_number(wire, "requestedVolume"),
        code=_maybe_str(wire, "code"),
        retcode=wire.get("retcode"),
        message=_maybe_str(wire, "message"),
        attempts=f.whole(wire.get("attempts", 0), "attempts", 0, 1000),
        reconciled=wire.get("reconciled") is True,
        details=None if wire.get("details") is None else tuple(_detail(item) for item in wire["details"]),
        strategy_id=_maybe_str(body, "strategyId"),
        account=_maybe_str(body, "account"),
    )


def _detail(wire: Mapping[str, Any]) -> CloseDetail:
    return CloseDetail(
        ticket=f.ticket(wire),
        outcome=_outcome(wire),
        volume=f.number(f.required(wire, "volume"), "volume"),
        price=f.maybe_price(wire, "price"),
        retcode=wire.get("retcode"),
        message=_maybe_str(wire, "message"),
    )


def _outcome(wire: Mapping[str, Any]) -> Outcome:
    try:
        return Outcome(f.required(wire, "outcome"))
    except ValueError as fault:
        if isinstance(fault, InvalidValue):
            raise
        raise InvalidValue("outcome", "must be an outcome of PROTOCOL §5.2") from None


def _maybe_number(wire: Mapping[str, Any], name: str) -> Decimal | None:
    value = wire.get(name)
    return None if value is None else f.number(value, name)


def _maybe_str(wire: Mapping[str, Any], name: str) -> str | None:
    value = wire.get(name)
    return value if isinstance(value, str) else None
