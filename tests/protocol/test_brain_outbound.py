"""What the executor says: the seed's fields exactly, every digit kept, and a brain reads back what was written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidValue
from app.domain.market import (
    Account,
    AccountMode,
    Deal,
    DealReason,
    MarginMode,
    PendingOrder,
    Position,
    Quote,
    TradeEvent,
)
from app.domain.results import CloseDetail, CommandResult, Outcome
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId, Magic, OrderKind, Price, Side, Symbol, Ticket, Volume
from app.protocol import brain_messages as brain
from app.protocol import brain_outbound as wire

AT = datetime(2024, 1, 1, 0, 0, 1, 500, tzinfo=UTC)
STATUS = TradingStatus(TradingState.ACTIVE, 7, "resumed", Actor.OPERATOR, AT)
ACCOUNT = Account(
    "12345678",
    "Broker-Demo",
    "USD",
    AccountMode.DEMO,
    MarginMode.HEDGING,
    100,
    balance=Decimal("10000.00"),
    credit=Decimal(0),
    equity=Decimal("10010.50"),
    margin=Decimal("30.00"),
    free_margin=Decimal("9980.50"),
)
POSITION = Position(
    Ticket(10001234),
    Ticket(10001234),
    Symbol("EURUSD"),
    Side.BUY,
    Volume("0.01"),
    Price("1.10050"),
    Price("1.0950"),
    None,
    Decimal("-0.10"),
    Decimal("1.50"),
    Magic(123456),
    "note",
    AT,
)
ORDER = PendingOrder(
    Ticket(2**53 + 1),
    Symbol("EURUSD"),
    OrderKind.BUY_STOP_LIMIT,
    Volume("0.10"),
    Price("1.2"),
    Price("1.1"),
    None,
    None,
    AT,
    Magic(0),
    "",
    AT,
)
RESULT = CommandResult(
    CommandId("cmd_xyz789"),
    Outcome.EXECUTED,
    150,
    ticket=Ticket(10001234),
    price=Price("1.1005"),
    slippage=Decimal("0.0002"),
    volume=Decimal("0.01"),
    requested_volume=Decimal("0.01"),
    retcode=10009,
    attempts=1,
    strategy_id="str_abc123",
    account="12345678",
)


def test_the_result_is_the_documented_message_to_the_letter() -> None:
    assert wire.execution_result(AT, "exec_001", RESULT) == (
        '{"type":"EXECUTION_RESULT","timestamp":"2024-01-01T00:00:01.000Z",'
        '"result":{"success":true,"ticket":10001234,"openPrice":1.1005,"executionTime":150,"slippage":0.0002,'
        '"outcome":"EXECUTED","volume":0.01,"requestedVolume":0.01,"code":null,"retcode":10009,"message":null,"attempts":1},'
        '"commandId":"cmd_xyz789","executorId":"exec_001","strategyId":"str_abc123","account":"12345678"}'
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_the_seeds_five_fields_are_always_there(outcome: Outcome) -> None:
    body = json.loads(wire.execution_result(AT, "e", CommandResult(CommandId("c"), outcome, 3)))
    assert {name: body["result"][name] for name in ("ticket", "openPrice", "slippage")} == {
        "ticket": None,
        "openPrice": None,
        "slippage": None,
    }
    assert body["result"]["success"] is (outcome in (Outcome.EXECUTED, Outcome.PARTIAL))
    assert body["result"]["executionTime"] == 3


@pytest.mark.parametrize(
    ("ticket", "written"), [(2**53, 2**53), (2**53 + 1, str(2**53 + 1)), (2**64 - 1, str(2**64 - 1))]
)
def test_tickets_beyond_a_double_are_strings(ticket: int, written: Any) -> None:
    result = CommandResult(CommandId("c"), Outcome.EXECUTED, 3, ticket=Ticket(ticket))
    text = wire.execution_result(AT, "e", result)
    assert json.loads(text)["result"]["ticket"] == written
    received = brain.read_executor_frame(text)
    assert isinstance(received, brain.ResultReceived)
    assert received.result.ticket == ticket


_amounts = st.decimals("0.00001", "100000", places=5)


@given(
    st.builds(
        CommandResult,
        command_id=st.just(CommandId("c")),
        outcome=st.sampled_from(Outcome),
        execution_time=st.integers(0, 10**6),
        ticket=st.none() | st.integers(1, 2**64 - 1).map(Ticket),
        price=st.none() | _amounts.map(Price),
        slippage=st.none() | st.decimals(-1, 1, places=5),
        volume=st.none() | _amounts,
        requested_volume=st.none() | _amounts,
        code=st.none() | st.just("BROKER_REJECTED"),
        retcode=st.none() | st.integers(10000, 10050),
        message=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        attempts=st.integers(0, 3),
        reconciled=st.booleans(),
        details=st.lists(
            st.builds(
                CloseDetail,
                ticket=st.integers(1, 2**64 - 1).map(Ticket),
                outcome=st.sampled_from(Outcome),
                volume=_amounts,
                price=st.none() | _amounts.map(Price),
            ),
            max_size=2,
        ).map(tuple),
        strategy_id=st.none() | st.just("s"),
        account=st.none() | st.just("1"),
    )
)
def test_a_brain_reads_every_result_as_it_was_written(result: CommandResult) -> None:
    received = brain.read_executor_frame(wire.execution_result(AT, "exec_001", result))
    assert isinstance(received, brain.ResultReceived)
    assert received.result == result
    assert received.executor_id == "exec_001"
    assert received.key == ("c", result.outcome.value)


def test_market_update_is_the_seeds() -> None:
    quote = Quote(Symbol("EURUSD"), Price("1.1000"), Price("1.1002"), AT, volume=1234567)
    assert wire.market_update(AT, quote, Decimal(2)) == (
        '{"type":"MARKET_UPDATE","timestamp":"2024-01-01T00:00:01.000Z",'
        '"data":{"symbol":"EURUSD","bid":1.1000,"ask":1.1002,"spread":2,"volume":1234567}}'
    )


def test_hello() -> None:
    text = wire.hello(
        AT, "exec_001", app_version="0.1.0", accounts=[ACCOUNT], trading_state="ACTIVE", epoch=7
    )
    assert json.loads(text) == {
        "type": "HELLO",
        "timestamp": "2024-01-01T00:00:01.000Z",
        "protocol": 1,
        "executorId": "exec_001",
        "appVersion": "0.1.0",
        "capabilities": ["signed", "result_ack", "market_data", "state"],
        "accounts": [
            {
                "account": "12345678",
                "broker": "mt5",
                "currency": "USD",
                "mode": "demo",
                "marginMode": "hedging",
            }
        ],
        "tradingState": "ACTIVE",
        "epoch": 7,
    }
    received = brain.read_executor_frame(text)
    assert isinstance(received, brain.HelloReceived)
    assert (received.executor_id, received.epoch, len(received.accounts)) == ("exec_001", 7, 1)


def test_acks_and_errors_are_read_back() -> None:
    text = wire.command_ack(AT, "e", "c1", "REJECTED", code="EXPIRED", message="too old")
    assert brain.read_executor_frame(text) == brain.AckReceived("c1", "REJECTED", "EXPIRED", "too old")
    assert brain.read_executor_frame(wire.command_ack(AT, "e", "c1", "ACCEPTED")) == brain.AckReceived(
        "c1", "ACCEPTED", None, None
    )
    text = wire.error(AT, "INVALID_JSON", "no", "{{{")
    assert brain.read_executor_frame(text) == brain.ErrorReceived("INVALID_JSON", "no", "{{{")


def test_account_update() -> None:
    body = json.loads(wire.account_update(AT, "e", ACCOUNT, Decimal("-5.00")), parse_float=Decimal)
    assert body["balance"] == Decimal("10000.00")
    assert body["freeMargin"] == Decimal("9980.50")
    assert body["marginLevel"] == Decimal("33368.33")
    assert body["dailyProfit"] == Decimal("-5.00")
    assert body["currency"] == "USD"


def test_positions_orders_and_deals_keep_their_digits() -> None:
    text = wire.positions_update(AT, "e", [POSITION])
    assert '"openPrice":1.10050' in text
    assert json.loads(text)["positions"][0]["takeProfit"] is None
    order = wire.order_to_wire(ORDER)
    assert order["ticket"] == str(2**53 + 1)
    assert order["type"] == "BUY_STOP_LIMIT"


def test_a_stop_loss_hit_is_told_with_its_reason() -> None:
    deal = Deal(
        Ticket(5),
        Ticket(6),
        Ticket(7),
        Symbol("EURUSD"),
        Side.SELL,
        Volume("0.01"),
        Price("1.09"),
        Decimal("-11.5"),
        Decimal(0),
        Decimal(0),
        Magic(1),
        "",
        DealReason.STOP_LOSS,
        "out",
        AT,
    )
    event = TradeEvent("deal", 3, AT, deal=deal, position_ticket=Ticket(7))
    body = json.loads(wire.trade_event(AT, "e", event))
    assert body["event"] == "deal"
    assert body["deal"]["reason"] == "sl"
    assert body["positionTicket"] == 7
    assert body["position"] is None


def test_state() -> None:
    text = wire.state(
        AT,
        "e",
        request_id="r1",
        status=STATUS,
        unresolved=[("c1", "UNKNOWN", None)],
        recent=[("c2", "EXECUTED", RESULT)],
        positions=[POSITION],
        orders=[ORDER],
        account=ACCOUNT,
    )
    body = json.loads(text)
    assert (body["requestId"], body["tradingState"], body["epoch"]) == ("r1", "ACTIVE", 7)
    assert body["unresolved"] == [{"commandId": "c1", "state": "UNKNOWN", "result": None}]
    assert body["recent"][0]["result"]["ticket"] == 10001234
    assert len(body["positions"]) == len(body["orders"]) == 1
    received = brain.read_executor_frame(text)
    assert isinstance(received, brain.OtherReceived)
    assert received.type == "STATE"


def test_small_messages() -> None:
    assert json.loads(wire.trading_state(AT, "e", STATUS))["by"] == "operator"
    assert json.loads(wire.alert(AT, "e", "critical", "X", "y"))["severity"] == "critical"
    beat = json.loads(wire.heartbeat(AT, 17, {"queueDepth": 0, "dailyProfit": Decimal("1.50")}))
    assert beat["seq"] == 17
    assert beat["metrics"]["queueDepth"] == 0
    assert "metrics" not in json.loads(wire.heartbeat(AT, 17))


def test_times_are_utc_whatever_zone_they_came_in() -> None:
    zoned = datetime(2024, 1, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))
    assert '"timestamp":"2024-01-01T00:00:00.000Z"' in wire.heartbeat(zoned, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"type":7}',
        '{"type":"EXECUTION_RESULT","timestamp":"2024-01-01T00:00:00Z","commandId":"c"}',
        '{"type":"EXECUTION_RESULT","timestamp":"2024-01-01T00:00:00Z","commandId":"c","result":{"executionTime":1,"outcome":"FINE"}}',
        '{"type":"COMMAND_ACK","status":"ACCEPTED"}',
    ],
)
def test_a_brain_refuses_what_no_executor_writes(text: str) -> None:
    with pytest.raises(InvalidValue):
        brain.read_executor_frame(text)
