"""The seven actions: every one is read, every broken rule is named, nothing else can be asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.commands import (
    UNCHANGED,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
)
from app.domain.values import Magic, OrderKind, Price, Priority, Side, Symbol, Ticket, Volume
from app.protocol import brain_inbound as inbound
from app.protocol import brain_messages as brain
from tests.fakes.brain_frames import (
    NOW,
    action,
    command,
    message,
    read,
    refusal,
)

# ------------------------------------------------------------------ actions


def test_every_action_is_read() -> None:
    assert action(
        action="PLACE_ORDER",
        symbol="EURUSD",
        type="BUY_STOP_LIMIT",
        volume=1,
        price=1.2,
        stopLimitPrice=1.1,
        stopLoss=1.0,
        takeProfit=1.5,
        expiration="2024-01-02T00:00:00.123456789Z",
    ) == PlaceOrder(
        Symbol("EURUSD"),
        OrderKind.BUY_STOP_LIMIT,
        Volume(1),
        Price("1.2"),
        Price("1.1"),
        Price("1.0"),
        Price("1.5"),
        datetime(2024, 1, 2, 0, 0, 0, 123456, tzinfo=UTC),
    )
    assert action(action="MODIFY_POSITION", ticket=7, stopLoss=1.5) == ModifyPosition(Ticket(7), Price("1.5"))
    assert action(action="MODIFY_ORDER", ticket="7", price=2) == ModifyOrder(Ticket(7), price=Price(2))
    assert action(action="CLOSE_POSITION", ticket=7) == ClosePosition(Ticket(7))
    assert action(action="CLOSE_POSITION", ticket=7, volume=0.5) == ClosePosition(Ticket(7), Volume("0.5"))
    assert action(action="CANCEL_ORDER", ticket=2**64 - 1) == CancelOrder(Ticket(2**64 - 1))
    assert action(action="CLOSE_ALL") == CloseAll()
    assert action(action="CLOSE_ALL", symbol="EURUSD", magicNumber=0) == CloseAll(Symbol("EURUSD"), Magic(0))


def test_open_position_with_everything() -> None:
    found = action(
        action="OPEN_POSITION", symbol="X", type="SELL", volume=1, price=1.1005, maxSlippage=0.0002
    )
    assert found.price == Price("1.1005")
    assert found.max_slippage == Decimal("0.0002")


def test_amendments_tell_unchanged_from_removed() -> None:
    found = action(action="MODIFY_POSITION", ticket=7, stopLoss=0)
    assert found.stop_loss is None
    assert found.take_profit is UNCHANGED
    assert action(action="MODIFY_POSITION", ticket=7, takeProfit=0.0).take_profit is None
    order = action(action="MODIFY_ORDER", ticket=7, stopLoss=0, takeProfit=-0.0, expiration=0)
    assert (order.stop_loss, order.take_profit, order.expiration) == (None, None, None)
    assert (order.price, order.stop_limit_price) == (UNCHANGED, UNCHANGED)


@pytest.mark.parametrize(
    "instance",
    [
        OpenPosition(
            Symbol("EURUSD.a"), Side.SELL, Volume("0.10"), Price("1.20"), None, Price("1.1"), Decimal("0.1")
        ),
        PlaceOrder(Symbol("#AAPL"), OrderKind.SELL_LIMIT, Volume(2), Price("99.90"), expiration=NOW),
        ModifyPosition(Ticket(2**60), None, UNCHANGED),
        ModifyOrder(Ticket(1), Price("1.5"), expiration=None),
        ClosePosition(Ticket(5), Volume("0.01")),
        CancelOrder(Ticket(2**53 + 1)),
        CloseAll(Symbol("EURUSD"), Magic(2**62)),
        CloseAll(),
    ],
    ids=lambda instance: type(instance).__name__,
)
def test_what_a_brain_builds_is_what_the_executor_reads(instance: Any) -> None:
    text = brain.trade_signal(
        instance, at=NOW, command_id="c", account="12345678", priority=Priority.CRITICAL, expiry=1
    )
    found = command(text)
    assert found.action == instance
    assert (found.command_id, found.account, found.priority) == ("c", "12345678", Priority.CRITICAL)


@pytest.mark.parametrize("spelling", ["critical", "Critical", "CRITICAL", "cRiTiCaL"])
def test_priority_in_any_case(spelling: str) -> None:
    assert command(message(priority=spelling)).priority is Priority.CRITICAL


# ------------------------------------------------------------------ broken rules

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no timestamp": ({"timestamp": ...}, "timestamp"),
    "timestamp as number": ({"timestamp": 1704067200}, "timestamp"),
    "timestamp with an offset": ({"timestamp": "2024-01-01T00:00:00+00:00"}, "timestamp"),
    "timestamp without a zone": ({"timestamp": "2024-01-01T00:00:00"}, "timestamp"),
    "timestamp with ten digits": ({"timestamp": "2024-01-01T00:00:00.1234567891Z"}, "timestamp"),
    "timestamp with a space": ({"timestamp": "2024-01-01 00:00:00Z"}, "timestamp"),
    "timestamp with a line break": ({"timestamp": "2024-01-01T00:00:00Z\n"}, "timestamp"),
    "timestamp in other digits": ({"timestamp": "２024-01-01T00:00:00Z"}, "timestamp"),
    "day that does not exist": ({"timestamp": "2023-02-29T00:00:00Z"}, "timestamp"),
    "end of all calendars": ({"timestamp": "9999-12-31T23:59:59.999Z"}, "timestamp"),
    "expiry 0": ({"expiry": 0}, "expiry"),
    "expiry negative": ({"expiry": -5}, "expiry"),
    "expiry too long": ({"expiry": 60001}, "expiry"),
    "expiry fraction": ({"expiry": 5000.5}, "expiry"),
    "expiry text": ({"expiry": "5000"}, "expiry"),
    "unknown priority": ({"priority": "URGENT"}, "priority"),
    "priority number": ({"priority": 1}, "priority"),
    "command id with spaces": ({"commandId": "a b"}, "commandId"),
    "command id too long": ({"commandId": "a" * 65}, "commandId"),
    "command id empty": ({"commandId": ""}, "commandId"),
    "command id number": ({"commandId": 7}, "commandId"),
    "strategy as number": ({"strategyId": 7}, "strategyId"),
    "strategy with control characters": ({"strategyId": "a\n"}, "strategyId"),
    "account as number": ({"account": 12345678}, "account"),
    "no command": ({"command": ...}, "command"),
    "command as text": ({"command": "OPEN_POSITION"}, "command"),
    "command as list": ({"command": []}, "command"),
    "no action": ({"command__action": ...}, "command.action"),
    "no symbol": ({"command__symbol": ...}, "command.symbol"),
    "symbol empty": ({"command__symbol": ""}, "command.symbol"),
    "symbol number": ({"command__symbol": 7}, "command.symbol"),
    "symbol list": ({"command__symbol": ["EURUSD"]}, "command.symbol"),
    "symbol with path": ({"command__symbol": "../x"}, "command.symbol"),
    "symbol too long": ({"command__symbol": "E" * 32}, "command.symbol"),
    "no type": ({"command__type": ...}, "command.type"),
    "type in another case": ({"command__type": "buy"}, "command.type"),
    "pending type on a market order": ({"command__type": "BUY_LIMIT"}, "command.type"),
    "no volume": ({"command__volume": ...}, "command.volume"),
    "volume null": ({"command__volume": None}, "command.volume"),
    "volume 0": ({"command__volume": 0}, "command.volume"),
    "volume negative": ({"command__volume": -0.01}, "command.volume"),
    "volume text": ({"command__volume": "0.01"}, "command.volume"),
    "volume list": ({"command__volume": [0.01]}, "command.volume"),
    "stop loss negative": ({"command__stopLoss": -1}, "command.stopLoss"),
    "stop loss 0 on an entry": ({"command__stopLoss": 0}, "command.stopLoss"),
    "stop loss text": ({"command__stopLoss": "1.09"}, "command.stopLoss"),
    "take profit object": ({"command__takeProfit": {}}, "command.takeProfit"),
    "max slippage negative": ({"command__maxSlippage": -1}, "command.maxSlippage"),
    "magic negative": ({"command__magicNumber": -1}, "command.magicNumber"),
    "magic too large": ({"command__magicNumber": 2**63}, "command.magicNumber"),
    "magic fraction": ({"command__magicNumber": 1.5}, "command.magicNumber"),
    "comment number": ({"command__comment": 7}, "command.comment"),
    "comment too long": ({"command__comment": "x" * 65}, "command.comment"),
    "comment with a line break": ({"command__comment": "a\nb"}, "command.comment"),
    "comment with a terminal escape": ({"command__comment": "\x1b[2J"}, "command.comment"),
    "no ticket": ({"command": {"action": "CLOSE_POSITION"}}, "command.ticket"),
    "ticket 0": ({"command": {"action": "CLOSE_POSITION", "ticket": 0}}, "command.ticket"),
    "ticket fraction": ({"command": {"action": "CLOSE_POSITION", "ticket": 1.0}}, "command.ticket"),
    "ticket above 2^64": ({"command": {"action": "CLOSE_POSITION", "ticket": 2**64}}, "command.ticket"),
    "ticket words": ({"command": {"action": "CLOSE_POSITION", "ticket": "seven"}}, "command.ticket"),
    "ticket with space": ({"command": {"action": "CLOSE_POSITION", "ticket": " 7"}}, "command.ticket"),
    "ticket with sign": ({"command": {"action": "CLOSE_POSITION", "ticket": "+7"}}, "command.ticket"),
    "partial close of 0": (
        {"command": {"action": "CLOSE_POSITION", "ticket": 7, "volume": 0}},
        "command.volume",
    ),
    "nothing to modify": ({"command": {"action": "MODIFY_POSITION", "ticket": 7}}, "command.stopLoss"),
    "null in an amendment": (
        {"command": {"action": "MODIFY_POSITION", "ticket": 7, "stopLoss": None}},
        "command.stopLoss",
    ),
    "price 0 in an amendment": (
        {"command": {"action": "MODIFY_ORDER", "ticket": 7, "price": 0}},
        "command.price",
    ),
    "pending order without price": (
        {"command": {"action": "PLACE_ORDER", "symbol": "X", "type": "BUY_STOP", "volume": 1}},
        "command.price",
    ),
    "stop limit without its price": (
        {
            "command": {
                "action": "PLACE_ORDER",
                "symbol": "X",
                "type": "BUY_STOP_LIMIT",
                "volume": 1,
                "price": 1,
            }
        },
        "command.stopLimitPrice",
    ),
    "market type on a pending order": (
        {"command": {"action": "PLACE_ORDER", "symbol": "X", "type": "BUY", "volume": 1, "price": 1}},
        "command.type",
    ),
    "expiration number": (
        {
            "command": {
                "action": "PLACE_ORDER",
                "symbol": "X",
                "type": "BUY_STOP",
                "volume": 1,
                "price": 1,
                "expiration": 1704067200,
            }
        },
        "command.expiration",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_names_its_field(name: str) -> None:
    changes, field = BROKEN[name]
    body = message(**changes)
    found = read(body)
    assert isinstance(found, inbound.UnreadableSignal)
    assert found.code == "INVALID_COMMAND"
    assert found.message.startswith(f"{field}: ")
    if field == "commandId":
        assert found.command_id.startswith("sha256:")
    else:
        assert found.command_id == "cmd_1"
    assert len(found.fingerprint) == 64


@pytest.mark.parametrize("name", ["BUY", "open_position", "", 7, ["OPEN_POSITION"], {}, True])
def test_an_unknown_action_has_a_code_of_its_own(name: Any) -> None:
    found = read(message(command__action=name))
    assert isinstance(found, inbound.UnreadableSignal)
    assert found.code == "UNKNOWN_ACTION"
    assert found.command_id == "cmd_1"
    assert found.message.startswith("command.action: ")


@pytest.mark.parametrize(
    "path",
    [
        "expiry",
        "command__volume",
        "command__stopLoss",
        "command__takeProfit",
        "command__price",
        "command__maxSlippage",
        "command__magicNumber",
    ],
)
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_where_a_number_stands_refuses_the_frame(path: str, value: bool) -> None:
    found = refusal(message(**{path: value}))
    assert found.code == "INVALID_JSON"
    assert path.rsplit("__", maxsplit=1)[-1] in found.rule
    assert found.ref == "cmd_1"


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "CLOSE_POSITION", "ticket": True},
        {"action": "MODIFY_POSITION", "ticket": 7, "stopLoss": False},
    ],
)
def test_a_boolean_ticket_or_stop_refuses_the_frame(fields: dict[str, Any]) -> None:
    assert refusal(message(command=fields)).code == "INVALID_JSON"


def test_unknown_fields_are_ignored() -> None:
    found = command(message(confidence=0.9, command__reasoning={"model": ["x"]}))
    assert found.action == command(message()).action


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "action",
                "symbol",
                "type",
                "volume",
                "price",
                "stopLoss",
                "takeProfit",
                "ticket",
                "expiration",
                "magicNumber",
                "comment",
            ]
        ),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=8)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(["OPEN_POSITION", "CLOSE_ALL", "MODIFY_ORDER", "BUY", "EURUSD"]),
    )
)
def test_any_command_is_read_or_refused_and_nothing_else(fields: dict[str, Any]) -> None:
    code = None
    try:
        found = read(message(command=fields))
    except inbound.FrameRefused as refused:
        found, code = None, refused.code
    assert code == "INVALID_JSON" or isinstance(found, inbound.Signal | inbound.UnreadableSignal)
