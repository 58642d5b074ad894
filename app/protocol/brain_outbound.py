"""What the executor says, written from domain values (PROTOCOL §3, §5). Every function returns the text of one frame.

Prices and volumes keep their digits; nothing here decides what is sent or when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.market import Account, Deal, PendingOrder, Position, Quote, TradeEvent
from app.domain.results import CloseDetail, CommandResult
from app.domain.trading_state import TradingStatus
from app.protocol.brain_fields import exact, stamp
from app.protocol.strict_json import dumps

PROTOCOL_VERSION = 1
CAPABILITIES = ("signed", "result_ack", "market_data", "state")
_CENT = Decimal("0.01")
Brief = tuple[str, str, CommandResult | None]
"""(command id, state, result): a command in STATE."""


def hello(
    at: datetime,
    executor_id: str,
    *,
    app_version: str,
    accounts: Sequence[Account],
    trading_state: str,
    epoch: int,
) -> str:
    return dumps(
        {
            "type": "HELLO",
            "timestamp": stamp(at),
            "protocol": PROTOCOL_VERSION,
            "executorId": executor_id,
            "appVersion": app_version,
            "capabilities": CAPABILITIES,
            "accounts": [
                {
                    "account": account.login,
                    "broker": "mt5",
                    "currency": account.currency,
                    "mode": account.mode.value,
                    "marginMode": account.margin_mode.value,
                }
                for account in accounts
            ],
            "tradingState": trading_state,
            "epoch": epoch,
        }
    )


def heartbeat(at: datetime, seq: int, metrics: Mapping[str, Any] | None = None) -> str:
    """The executor's carries `metrics`, the brain's does not."""
    body: dict[str, Any] = {"type": "HEARTBEAT", "timestamp": stamp(at), "seq": seq}
    if metrics is not None:
        body["metrics"] = dict(metrics)
    return dumps(body)


def command_ack(
    at: datetime,
    executor_id: str,
    command_id: str,
    status: str,
    *,
    code: str | None = None,
    message: str | None = None,
) -> str:
    """`status`: ACCEPTED | DUPLICATE | REJECTED | TOO_LATE."""
    return dumps(
        {
            "type": "COMMAND_ACK",
            "timestamp": stamp(at),
            "commandId": command_id,
            "executorId": executor_id,
            "status": status,
            "code": code,
            "message": message,
        }
    )


def execution_result(at: datetime, executor_id: str, result: CommandResult) -> str:
    """`at` is when the result happened, so that a repetition is the same message."""
    return dumps(
        {
            "type": "EXECUTION_RESULT",
            "timestamp": stamp(at),
            "result": result_to_wire(result),
            "commandId": result.command_id,
            "executorId": executor_id,
            "strategyId": result.strategy_id,
            "account": result.account,
        }
    )


def result_to_wire(result: CommandResult) -> dict[str, Any]:
    """The seed's five fields are always there (null: unknown); the others are additions."""
    wire: dict[str, Any] = {
        "success": result.outcome.success,
        "ticket": exact(result.ticket),
        "openPrice": result.price,
        "executionTime": result.execution_time,
        "slippage": result.slippage,
        "outcome": result.outcome.value,
        "volume": result.volume,
        "requestedVolume": result.requested_volume,
        "code": result.code,
        "retcode": result.retcode,
        "message": result.message,
        "attempts": result.attempts,
    }
    if result.reconciled:
        wire["reconciled"] = True
    if result.details is not None:
        wire["details"] = [_detail(detail) for detail in result.details]
    return wire


def market_update(at: datetime, quote: Quote, spread_points: Decimal) -> str:
    return dumps(
        {
            "type": "MARKET_UPDATE",
            "timestamp": stamp(at),
            "data": {
                "symbol": quote.symbol,
                "bid": quote.bid,
                "ask": quote.ask,
                "spread": spread_points,
                "volume": quote.volume,
            },
        }
    )


def account_update(at: datetime, executor_id: str, account: Account, daily_profit: Decimal) -> str:
    return dumps(
        {
            "type": "ACCOUNT_UPDATE",
            "timestamp": stamp(at),
            "executorId": executor_id,
            **account_to_wire(account),
            "dailyProfit": daily_profit,
        }
    )


def positions_update(at: datetime, executor_id: str, positions: Iterable[Position]) -> str:
    return dumps(
        {
            "type": "POSITIONS_UPDATE",
            "timestamp": stamp(at),
            "executorId": executor_id,
            "positions": [position_to_wire(position) for position in positions],
        }
    )


def trade_event(at: datetime, executor_id: str, event: TradeEvent) -> str:
    """What happened at the broker; `reason` of a deal says who did it (sl, tp, so, client, expert)."""
    return dumps(
        {
            "type": "TRADE_EVENT",
            "timestamp": stamp(at),
            "executorId": executor_id,
            "event": event.kind,
            "time": stamp(event.time),
            "commandId": event.command_id,
            "positionTicket": exact(event.position_ticket),
            "orderTicket": exact(event.order_ticket),
            "deal": None if event.deal is None else deal_to_wire(event.deal),
            "position": None if event.position is None else position_to_wire(event.position),
            "order": None if event.order is None else order_to_wire(event.order),
            "amount": event.amount,
        }
    )


def trading_state(at: datetime, executor_id: str, status: TradingStatus) -> str:
    return dumps(
        {
            "type": "TRADING_STATE",
            "timestamp": stamp(at),
            "executorId": executor_id,
            **_status_to_wire(status),
        }
    )


def alert(at: datetime, executor_id: str, severity: str, code: str, message: str) -> str:
    """`severity`: info | warning | critical."""
    return dumps(
        {
            "type": "ALERT",
            "timestamp": stamp(at),
            "executorId": executor_id,
            "severity": severity,
            "code": code,
            "message": message,
        }
    )


def error(at: datetime, code: str, message: str, ref: str) -> str:
    return dumps({"type": "ERROR", "timestamp": stamp(at), "code": code, "message": message, "ref": ref})


def state(
    at: datetime,
    executor_id: str,
    *,
    request_id: str | None,
    status: TradingStatus,
    unresolved: Iterable[Brief],
    recent: Iterable[Brief],
    positions: Iterable[Position],
    orders: Iterable[PendingOrder],
    account: Account | None,
) -> str:
    return dumps(
        {
            "type": "STATE",
            "timestamp": stamp(at),
            "requestId": request_id,
            "executorId": executor_id,
            **_status_to_wire(status),
            "unresolved": [_brief(item) for item in unresolved],
            "recent": [_brief(item) for item in recent],
            "positions": [position_to_wire(position) for position in positions],
            "orders": [order_to_wire(order) for order in orders],
            "account": None if account is None else account_to_wire(account),
        }
    )


# ------------------------------------------------------------------ parts


def account_to_wire(account: Account) -> dict[str, Any]:
    """Money in the account's currency; `marginLevel` in percent, null while no margin is used."""
    level = account.margin_level
    return {
        "account": account.login,
        "currency": account.currency,
        "balance": account.balance,
        "equity": account.equity,
        "margin": account.margin,
        "freeMargin": account.free_margin,
        "marginLevel": None if level is None else level.quantize(_CENT),
    }


def position_to_wire(position: Position) -> dict[str, Any]:
    return {
        "ticket": exact(position.ticket),
        "identifier": exact(position.identifier),
        "symbol": position.symbol,
        "type": position.side.value,
        "volume": position.volume,
        "openPrice": position.open_price,
        "currentPrice": position.current_price,
        "stopLoss": position.stop_loss,
        "takeProfit": position.take_profit,
        "profit": position.profit,
        "swap": position.swap,
        "magicNumber": exact(position.magic),
        "comment": position.comment,
        "openTime": stamp(position.opened_at),
    }


def order_to_wire(order: PendingOrder) -> dict[str, Any]:
    return {
        "ticket": exact(order.ticket),
        "symbol": order.symbol,
        "type": order.kind.value,
        "volume": order.volume,
        "price": order.price,
        "stopLimitPrice": order.stop_limit_price,
        "stopLoss": order.stop_loss,
        "takeProfit": order.take_profit,
        "expiration": None if order.expiration is None else stamp(order.expiration),
        "magicNumber": exact(order.magic),
        "comment": order.comment,
        "placedTime": stamp(order.placed_at),
    }


def deal_to_wire(deal: Deal) -> dict[str, Any]:
    return {
        "ticket": exact(deal.ticket),
        "order": exact(deal.order),
        "position": exact(deal.position),
        "symbol": deal.symbol,
        "type": deal.side.value,
        "entry": deal.entry,
        "reason": deal.reason.value,
        "volume": deal.volume,
        "price": deal.price,
        "profit": deal.profit,
        "swap": deal.swap,
        "commission": deal.commission,
        "magicNumber": exact(deal.magic),
        "comment": deal.comment,
        "time": stamp(deal.time),
    }


def _detail(detail: CloseDetail) -> dict[str, Any]:
    return {
        "ticket": exact(detail.ticket),
        "outcome": detail.outcome.value,
        "volume": detail.volume,
        "price": detail.price,
        "retcode": detail.retcode,
        "message": detail.message,
    }


def _status_to_wire(status: TradingStatus) -> dict[str, Any]:
    return {
        "tradingState": status.state.value,
        "epoch": status.epoch,
        "reason": status.reason,
        "by": status.by.value,
    }


def _brief(brief: Brief) -> dict[str, Any]:
    command_id, where, result = brief
    return {
        "commandId": command_id,
        "state": where,
        "result": None if result is None else result_to_wire(result),
    }
