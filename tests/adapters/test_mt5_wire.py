"""Every trade in the terminal's words, and every kind of answer in ours."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.adapters.mt5_wire import execution_of, find_args, trade_request
from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    Origin,
    PlaceOrder,
    TradeCommand,
)
from app.domain.execution import ExecutionState
from app.domain.values import CommandId, Magic, OrderKind, Price, Side, Symbol, Ticket, Volume
from app.engine.broker import DispatchTerms, FindHints
from app.protocol.ea_frames import Reply

TERMS = DispatchTerms(ttl=4870, tag="Mabcdefg", comment="Mabcdefg#trend", deviation=15, max_attempts=2)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NOON_MS = 1772452800000
EURUSD = Symbol("EURUSD")


def wire(action: Action, origin: Origin = Origin.BRAIN) -> tuple[str, dict[str, Any]]:
    return trade_request(TradeCommand(CommandId("c1"), action, NOON, NOON, "0" * 64, origin=origin), TERMS)


TAGGED = {"comment": "Mabcdefg#trend", "tag": "Mabcdefg", "max_attempts": 2}


@pytest.mark.parametrize(
    ("action", "cmd", "args"),
    [
        (
            OpenPosition(EURUSD, Side.BUY, Volume("1E+1")),
            "open",
            {"symbol": "EURUSD", "side": "BUY", "volume": "10", "deviation": 15, "magic": "0"} | TAGGED,
        ),
        (
            OpenPosition(
                EURUSD, Side.SELL, Volume("0.10"), stop_loss=Price("1.20000"), take_profit=Price("1.1"),
                price=Price("1.15"), max_slippage=Decimal("0.0001"), magic=Magic(2**63 - 1), comment="not this one",
            ),
            "open",
            {"symbol": "EURUSD", "side": "SELL", "volume": "0.10", "sl": "1.20000", "tp": "1.1", "price": "1.15",
             "deviation": 15, "magic": "9223372036854775807"} | TAGGED,
        ),
        (
            PlaceOrder(EURUSD, OrderKind.BUY_STOP_LIMIT, Volume("0.1"), Price("1.2"), stop_limit_price=Price("1.19"),
                       stop_loss=Price("1.1"), expiration=NOON, magic=Magic(5)),
            "place",
            {"symbol": "EURUSD", "kind": "BUY_STOP_LIMIT", "volume": "0.1", "price": "1.2", "stop_limit": "1.19",
             "sl": "1.1", "expiration": NOON_MS, "magic": "5"} | TAGGED,
        ),
        (
            PlaceOrder(EURUSD, OrderKind.SELL_LIMIT, Volume("0.1"), Price("1.2")),
            "place",
            {"symbol": "EURUSD", "kind": "SELL_LIMIT", "volume": "0.1", "price": "1.2", "magic": "0"} | TAGGED,
        ),
        (ModifyPosition(Ticket(7), stop_loss=None), "modify", {"target": "position", "ticket": "7", "sl": "0"}),
        (
            ModifyPosition(Ticket(2**64 - 1), take_profit=Price("0.00001")),
            "modify",
            {"target": "position", "ticket": "18446744073709551615", "tp": "0.00001"},
        ),
        (
            ModifyOrder(Ticket(7), price=Price("1.1"), stop_loss=None, expiration=None),
            "modify",
            {"target": "order", "ticket": "7", "price": "1.1", "sl": "0", "expiration": 0},
        ),
        (
            ModifyOrder(Ticket(7), stop_limit_price=Price("1.1"), take_profit=Price("2"), expiration=NOON),
            "modify",
            {"target": "order", "ticket": "7", "stop_limit": "1.1", "tp": "2", "expiration": NOON_MS},
        ),
        (
            ClosePosition(Ticket(7)),
            "close",
            {"ticket": "7", "deviation": 15, "tag": "Mabcdefg", "max_attempts": 2},
        ),
        (
            ClosePosition(Ticket(7), Volume("0.05")),
            "close",
            {"ticket": "7", "volume": "0.05", "deviation": 15, "tag": "Mabcdefg", "max_attempts": 2},
        ),
        (CancelOrder(Ticket(7)), "cancel", {"ticket": "7"}),
        (CloseAll(), "close_all", {"deviation": 15, "tag": "Mabcdefg", "max_attempts": 2}),
        (
            CloseAll(EURUSD, Magic(0)),
            "close_all",
            {"symbol": "EURUSD", "magic": "0", "deviation": 15, "tag": "Mabcdefg", "max_attempts": 2},
        ),
    ],
)  # fmt: skip
def test_each_action_has_its_words(action: Action, cmd: str, args: dict[str, Any]) -> None:
    assert wire(action) == (cmd, args)


@pytest.mark.parametrize("origin", [Origin.OPERATOR, Origin.SYSTEM])
def test_only_exits_from_this_machine_pass_the_latch(origin: Origin) -> None:
    for exit_ in (ClosePosition(Ticket(7)), CancelOrder(Ticket(7)), CloseAll()):
        assert wire(exit_, origin)[1]["operator"] is True
        assert "operator" not in wire(exit_)[1]
    for other in (OpenPosition(EURUSD, Side.BUY, Volume("1")), ModifyPosition(Ticket(7), stop_loss=None)):
        assert "operator" not in wire(other, origin)[1]


DONE = {
    "state": "done", "retcode": 10009, "order": "5001", "deal": "7001", "position": "5001", "volume": "0.10",
    "requested": "0.10", "price": "1.10050", "attempts": 1, "replayed": False, "message": None, "quote": "1.10048",
}  # fmt: skip


def reply(data: dict[str, Any], **changes: Any) -> Reply:
    return Reply(**({"sid": "s", "re": 1, "ok": True, "data": data} | changes))


def test_a_done_trade_is_read_whole() -> None:
    execution = execution_of(reply(DONE))
    assert execution.state is ExecutionState.DONE
    assert (execution.order, execution.deal, execution.position) == (5001, 7001, 5001)
    assert (execution.volume, execution.price, execution.quote) == (
        Decimal("0.10"),
        Price("1.10050"),
        Price("1.10048"),
    )


@pytest.mark.parametrize("state", ["partial", "rejected", "unknown"])
def test_other_ends_keep_their_state(state: str) -> None:
    assert execution_of(reply(DONE | {"state": state})).state is ExecutionState(state)


@pytest.mark.parametrize("data", [{"state": "refused"}, {}, {"epoch": 7}])
def test_a_refusal_carries_its_code(data: dict[str, Any]) -> None:
    execution = execution_of(reply(data, ok=False, code="STOPPED", message="by the operator"))
    assert execution.state is ExecutionState.REFUSED
    assert (execution.code, execution.message) == ("STOPPED", "by the operator")


@pytest.mark.parametrize(
    "answer",
    [
        reply({}),
        reply({"state": "finished"}),
        reply(DONE | {"price": "much"}),
        reply(DONE | {"volume": 0.1}),
        reply(DONE | {"order": -1}),
        reply(DONE | {"details": [1]}),
        reply(DONE | {"details": 5}),
        reply(DONE, ok=False, code="STOPPED"),
        reply({"state": "refused"}),
        reply({}, ok=False, code="SOMETHING_NEW"),
        reply({}, ok=False),
    ],
)
def test_an_answer_that_proves_nothing_is_unknown(answer: Reply) -> None:
    execution = execution_of(answer)
    assert execution.state is ExecutionState.UNKNOWN
    assert execution.message


def test_hints_leave_out_what_is_not_known() -> None:
    assert find_args(FindHints(since=NOON)) == {"since": NOON_MS}
    assert find_args(FindHints(NOON, "Mabcdefg", EURUSD, Magic(0), Ticket(9))) == {
        "since": NOON_MS, "tag": "Mabcdefg", "symbol": "EURUSD", "magic": "0", "ticket": "9",
    }  # fmt: skip
