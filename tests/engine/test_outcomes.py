"""From the terminal's answer to the result that the brain is told: codes, tickets, slippage, and the terms of a dispatch."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from app.domain.command_record import CommandRecord
from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyPosition,
    OpenPosition,
)
from app.domain.events import (
    CommandExecuted,
    CommandExpired,
    CommandPartlyExecuted,
    CommandRejected,
    OutcomeUnknown,
)
from app.domain.execution import Execution, ExecutionState
from app.domain.limits import SafetyLimits
from app.domain.results import CommandResult, Outcome
from app.domain.values import CommandId, OrderKind, Price, Side, Ticket
from app.engine.desk import CommandInHand
from app.engine.outcomes import event_of, tag_of, terms_for
from tests.domain.making import NOW, SPEC, buy, command, pending, sell

S = ExecutionState
DONE = Execution(
    S.DONE,
    10009,
    order=Ticket(11),
    position=Ticket(12),
    volume=Decimal("0.10"),
    price=Price("1.10020"),
    attempts=1,
)


def in_hand(action: Action | None = None, **fields: Any) -> CommandInHand:
    asked = command(action)
    item = CommandInHand(CommandRecord(asked.command_id, "print", asked, NOW, 1), asked, 100.0, 105.0)
    for name, value in fields.items():
        setattr(item, name, value)
    return item


def told(item: CommandInHand, execution: Execution, reconciled: bool = False) -> CommandResult:
    event = event_of(item, execution, at=NOW, now=100.15, reconciled=reconciled)
    assert hasattr(event, "result")
    result: CommandResult = event.result
    return result


@pytest.mark.parametrize(
    ("execution", "kind", "outcome"),
    [
        (Execution(S.DONE), CommandExecuted, Outcome.EXECUTED),
        (Execution(S.PARTIAL), CommandPartlyExecuted, Outcome.PARTIAL),
        (Execution(S.REJECTED), CommandRejected, Outcome.REJECTED),
        (Execution(S.REFUSED, code="STOPPED"), CommandRejected, Outcome.REJECTED),
        (Execution(S.REFUSED, code="EXPIRED"), CommandExpired, Outcome.EXPIRED),
        (Execution(S.UNKNOWN), OutcomeUnknown, Outcome.UNKNOWN),
    ],
)
def test_each_answer_is_one_event(execution: Execution, kind: type[object], outcome: Outcome) -> None:
    event = event_of(in_hand(), execution, at=NOW, now=100.15)
    assert type(event) is kind
    assert told(in_hand(), execution).outcome is outcome
    assert told(in_hand(), execution).execution_time == 150


def test_once_it_was_unknown_a_refusal_as_expired_is_a_rejection() -> None:
    late = Execution(S.REFUSED, code="EXPIRED")
    assert isinstance(event_of(in_hand(), late, at=NOW, now=101, reconciled=True), CommandRejected)
    result = told(in_hand(), late, reconciled=True)
    assert (result.outcome, result.code, result.reconciled) == (Outcome.REJECTED, "EXPIRED", True)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("EXPIRED", "EXPIRED"),
        ("STOPPED", "HALTED"),
        ("NO_PERMISSION", "TERMINAL_LOST"),
        ("NOT_CONNECTED", "TERMINAL_LOST"),
        ("EXECUTOR_SILENT", "TERMINAL_LOST"),
        ("SYMBOL_UNKNOWN", "SYMBOL_NOT_ALLOWED"),
        ("NOT_FOUND", "NOT_FOUND"),
        ("VOLUME_INVALID", "VOLUME_STEP"),
        ("STOPS_INVALID", "INVALID_STOPS"),
        ("SOMETHING_NEW", "TERMINAL_REFUSED"),
        (None, "TERMINAL_REFUSED"),
    ],
)
def test_the_terminals_refusals_in_the_brains_words(code: str | None, expected: str) -> None:
    assert told(in_hand(), Execution(S.REFUSED, code=code)).code == expected


def test_the_brokers_refusals_carry_code_and_name() -> None:
    result = told(in_hand(), Execution(S.REJECTED, 10019, message="no money"))
    assert (result.code, result.retcode, result.message) == (
        "BROKER_REJECTED",
        10019,
        "TRADE_RETCODE_NO_MONEY: no money",
    )
    assert told(in_hand(), Execution(S.REJECTED)).message == "no return code"
    assert told(in_hand(), Execution(S.REJECTED, code="NOT_FOUND", message="no 5")).code == "NOT_FOUND"


def test_unknown_says_that_it_is_not_sent_again() -> None:
    result = told(in_hand(), Execution(S.UNKNOWN, 10012))
    assert result.code == "OUTCOME_UNKNOWN"
    assert "not sent again" in (result.message or "")
    assert (result.volume, result.slippage) == (None, None)


@pytest.mark.parametrize(
    ("action", "ticket"),
    [
        (buy(), 12),
        (pending(OrderKind.BUY_LIMIT, "1.09"), 11),
        (ClosePosition(Ticket(5)), 5),
        (CancelOrder(Ticket(6)), 6),
        (ModifyPosition(Ticket(7), stop_loss=None), 7),
        (CloseAll(), None),
    ],
)
def test_the_ticket_that_the_brain_needs_next(action: Action, ticket: int | None) -> None:
    assert told(in_hand(action), DONE).ticket == ticket


@pytest.mark.parametrize(
    ("item", "slippage"),
    [
        (in_hand(buy(), intended=Price("1.10000")), "0.00020"),
        (in_hand(buy(), intended=Price("1.10030")), "-0.00010"),
        (in_hand(sell(), intended=Price("1.10030")), "0.00010"),
        (in_hand(ClosePosition(Ticket(5)), intended=Price("1.10030"), closing_side=Side.BUY), "0.00010"),
        (in_hand(ClosePosition(Ticket(5)), intended=Price("1.10030"), closing_side=Side.SELL), "-0.00010"),
        (in_hand(ClosePosition(Ticket(5)), intended=Price("1.10030")), None),
        (in_hand(CancelOrder(Ticket(5)), intended=Price("1.10030")), None),
        (in_hand(buy()), None),
    ],
)
def test_slippage_is_positive_when_it_hurts(item: CommandInHand, slippage: str | None) -> None:
    expected = Decimal(slippage) if slippage is not None else None
    assert told(item, DONE).slippage == expected


def test_without_an_intended_price_the_terminals_quote_counts() -> None:
    assert told(in_hand(buy()), replace(DONE, quote=Price("1.10010"))).slippage == Decimal("0.00010")


@pytest.mark.parametrize(("most", "code"), [("0.00019", "SLIPPAGE_EXCEEDED"), ("0.00020", None)])
def test_too_much_slippage_is_a_warning_on_a_success(most: str, code: str | None) -> None:
    item = in_hand(buy(max_slippage=Decimal(most)), intended=Price("1.10000"))
    result = told(item, DONE)
    assert (result.outcome, result.code) == (Outcome.EXECUTED, code)


def test_a_close_all_tells_each_position() -> None:
    parts = (replace(DONE, ticket=Ticket(31)), Execution(S.REJECTED, 10018, ticket=Ticket(32)))
    details = told(in_hand(CloseAll()), Execution(S.PARTIAL, details=parts)).details
    assert [(one.ticket, one.outcome) for one in details] == [
        (Ticket(31), Outcome.EXECUTED),
        (Ticket(32), Outcome.REJECTED),
    ]


# ------------------------------------------------------------------ terms


def test_a_tag_is_8_characters_and_the_same_for_ever() -> None:
    assert tag_of(CommandId("cmd_xyz789")) == tag_of(CommandId("cmd_xyz789"))
    tags = {tag_of(CommandId(f"cmd-{number}")) for number in range(2000)}
    assert len(tags) == 2000
    assert all(len(tag) == 8 and tag[0] == "m" and tag.isalnum() and tag.isascii() for tag in tags)


@pytest.mark.parametrize(
    ("comment", "tail"),
    [("AI_1", "-AI_1"), ("", ""), ("ü €", ""), ("a b;c", "-abc"), ("x" * 40, "-" + "x" * 18)],
)
def test_the_brokers_comment_begins_with_the_tag_and_fits(comment: str, tail: str) -> None:
    item = in_hand(buy(comment=comment))
    terms = terms_for(item, SPEC, SafetyLimits(), seconds_left=5, max_attempts=3)
    assert terms.comment == terms.tag + tail
    assert len(terms.comment) <= 27


@pytest.mark.parametrize(
    ("most", "limit", "points"),
    [
        (None, None, 20),
        (None, 7, 7),
        ("0.00030", None, 30),
        ("0.00030", 7, 7),
        ("0.000051", 7, 6),
        ("0", None, 0),
    ],
)
def test_the_price_may_move_as_far_as_command_and_limit_allow(
    most: str | None, limit: int | None, points: int
) -> None:
    action: OpenPosition = buy(max_slippage=Decimal(most) if most is not None else None)
    limits = SafetyLimits(max_slippage_points=limit)
    terms = terms_for(in_hand(action), SPEC, limits, seconds_left=5, max_attempts=3)
    assert terms.deviation == points


@pytest.mark.parametrize(("left", "ttl"), [(5.0, 5000), (0.0419, 41), (0.0001, 1)])
def test_the_terminal_gets_what_is_left_of_the_time(left: float, ttl: int) -> None:
    assert terms_for(in_hand(), SPEC, SafetyLimits(), seconds_left=left, max_attempts=3).ttl == ttl
