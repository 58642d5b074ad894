"""What became of a command whose answer was lost: every state of the terminal's ledger, and what the broker's books can prove."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.domain.command_record import CommandRecord
from app.domain.command_states import CommandState
from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
)
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.reconcile import AskAgain, NobodyKnows, NotSent, Settled, Settlement, settle
from app.domain.values import Magic, OrderKind, Price, Side, Ticket
from tests.domain.making import NOW, XAUUSD, buy, command, deal, order, pending

TAG = "mabcdefg"
OURS = "session-1"
SECOND = timedelta(seconds=1)
OPEN = buy("0.10", magic=Magic(77))


def record(action: Action = OPEN, **fields: Any) -> CommandRecord:
    made = CommandRecord(
        command().command_id, "print", command(action), NOW, 1, CommandState.UNKNOWN, TAG, OURS, NOW
    )
    return replace(made, **fields)


def finding(ledger: str = "sent", execution: Execution | None = None, **fields: Any) -> Finding:
    return replace(Finding(ledger, execution, NOW, True, True), **fields)


def decide(
    found: Finding,
    held: CommandRecord | None = None,
    *,
    session: str = OURS,
    expired: bool = True,
    after: timedelta = SECOND,
) -> Settlement:
    return settle(held or record(), found, session=session, expired=expired, now=NOW + after)


# ------------------------------------------------------------------ the terminal's ledger


@pytest.mark.parametrize(
    "state", [ExecutionState.DONE, ExecutionState.PARTIAL, ExecutionState.REJECTED, ExecutionState.REFUSED]
)
@pytest.mark.parametrize("expired", [True, False])
@pytest.mark.parametrize("session", [OURS, "session-2"])
def test_a_stored_result_is_the_result(state: ExecutionState, expired: bool, session: str) -> None:
    stored = Execution(state, 10009)
    assert decide(finding("result", stored), expired=expired, session=session) == Settled(stored)


@pytest.mark.parametrize("ledger", ["never_seen", "claimed"])
@pytest.mark.parametrize(("expired", "session"), [(True, OURS), (True, "session-2"), (False, "session-2")])
def test_what_the_terminal_did_not_begin_is_not_sent_once_it_cannot_begin_any_more(
    ledger: str, expired: bool, session: str
) -> None:
    assert isinstance(decide(finding(ledger), expired=expired, session=session), NotSent)


@pytest.mark.parametrize("ledger", ["never_seen", "claimed"])
def test_while_its_frame_may_still_be_on_its_way_nothing_is_concluded(ledger: str) -> None:
    for after in (SECOND, timedelta(hours=1)):
        assert isinstance(decide(finding(ledger), expired=False, after=after), AskAgain)


@pytest.mark.parametrize("ledger", ["never_seen", "claimed"])
def test_a_terminal_that_never_began_it_outweighs_lookalikes_at_the_broker(ledger: str) -> None:
    assert isinstance(decide(finding(ledger, deals=(deal(),))), NotSent)


@pytest.mark.parametrize(
    "found",
    [finding("sent"), finding("result", Execution(ExecutionState.UNKNOWN, 10012)), finding("result")],
    ids=["sent", "result unknown", "result lost"],
)
@pytest.mark.parametrize("expired", [True, False])
@pytest.mark.parametrize("session", [OURS, "session-2"])
def test_what_was_sent_is_looked_for_at_the_broker(found: Finding, expired: bool, session: str) -> None:
    proof = replace(found, deals=(deal(comment=TAG),))
    assert isinstance(decide(proof, expired=expired, session=session), Settled)
    assert isinstance(decide(found, expired=expired, session=session), AskAgain)


# ------------------------------------------------------------------ absence


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (timedelta(seconds=179, milliseconds=999), AskAgain),
        (timedelta(seconds=180), NobodyKnows),
        (timedelta(seconds=180, milliseconds=1), NobodyKnows),
    ],
)
def test_absence_is_final_after_180_seconds_and_then_a_persons_to_judge(
    after: timedelta, kind: type[Settlement]
) -> None:
    assert isinstance(decide(finding(), after=after), kind)


@pytest.mark.parametrize("lack", [{"connected": False}, {"synchronised": False}])
def test_a_terminal_without_its_broker_proves_no_absence(lack: dict[str, Any]) -> None:
    assert isinstance(decide(finding(**lack), after=timedelta(days=1)), AskAgain)
    assert isinstance(decide(finding(deals=(deal(comment=TAG),), **lack)), Settled)


def test_the_180_seconds_count_from_the_sending_at_the_terminal_then_from_ours() -> None:
    late = finding(sent_at=NOW + timedelta(seconds=100))
    assert isinstance(decide(late, after=timedelta(seconds=279)), AskAgain)
    assert isinstance(decide(late, after=timedelta(seconds=280)), NobodyKnows)
    unsaid = finding(sent_at=None)
    ours = record(dispatched_at=NOW + timedelta(seconds=50))
    assert isinstance(decide(unsaid, ours, after=timedelta(seconds=229)), AskAgain)
    assert isinstance(decide(unsaid, ours, after=timedelta(seconds=230)), NobodyKnows)
    neither = record(dispatched_at=None)
    assert isinstance(decide(unsaid, neither, after=timedelta(seconds=179)), AskAgain)
    assert isinstance(decide(unsaid, neither, after=timedelta(seconds=180)), NobodyKnows)


def test_a_command_that_cannot_be_read_any_more_is_never_guessed() -> None:
    assert isinstance(decide(finding(deals=(deal(comment=TAG),)), record(command=None)), AskAgain)


# ------------------------------------------------------------------ evidence: the tag


def test_the_tag_in_a_deals_comment_proves_it() -> None:
    found = decide(finding(deals=(deal(comment=f"{TAG}-AI_1", magic=Magic(0)),)))
    assert isinstance(found, Settled)
    execution = found.execution
    assert execution.state is ExecutionState.DONE
    assert (execution.deal, execution.order, execution.position) == (21, 11, 11)
    assert (execution.volume, execution.requested, execution.price) == (
        Decimal("0.10"),
        Decimal("0.10"),
        Price("1.10010"),
    )


def test_several_deals_of_one_order_add_up() -> None:
    parts = (deal(21, "0.04", comment=TAG), deal(22, "0.06", comment=TAG))
    found = decide(finding(deals=parts))
    assert isinstance(found, Settled)
    assert (found.execution.state, found.execution.volume) == (ExecutionState.DONE, Decimal("0.10"))


def test_less_than_asked_is_partial() -> None:
    found = decide(finding(deals=(deal(volume="0.09", comment=TAG),)))
    assert isinstance(found, Settled)
    assert found.execution.state is ExecutionState.PARTIAL


@pytest.mark.parametrize(
    "alien",
    [
        deal(comment="mzzzzzzz"),
        deal(comment=f"x{TAG}", magic=Magic(5)),
        deal(comment=TAG, side=Side.SELL),
        deal(comment=TAG, entry="out"),
        deal(comment=TAG, entry="out_by"),
    ],
    ids=["another tag", "tag not at the head", "other side", "a close", "a close by"],
)
def test_what_is_not_an_opening_of_ours_proves_nothing(alien: Any) -> None:
    assert isinstance(decide(finding(deals=(alien,))), AskAgain)


# ------------------------------------------------------------------ evidence: look-alikes


def test_exactly_one_deal_with_our_magic_symbol_side_volume_and_time_is_ours() -> None:
    assert isinstance(decide(finding(deals=(deal(comment="broker wrote this"),))), Settled)


def test_two_lookalikes_prove_nothing() -> None:
    two = (deal(21), deal(22))
    assert isinstance(decide(finding(deals=two)), AskAgain)
    assert isinstance(decide(finding(deals=two), after=timedelta(seconds=181)), NobodyKnows)


def test_a_tagged_deal_decides_among_lookalikes() -> None:
    found = decide(finding(deals=(deal(21), deal(22, comment=TAG))))
    assert isinstance(found, Settled)
    assert found.execution.deal == 22


def test_a_lookalike_that_carries_another_commands_tag_is_not_ours() -> None:
    assert isinstance(decide(finding(deals=(deal(comment="mzyxwvut-AI"),))), AskAgain)
    found = decide(finding(deals=(deal(21, comment="mzyxwvut"), deal(22, comment=""))))
    assert isinstance(found, Settled)
    assert found.execution.deal == 22


def test_magic_0_is_everybodys_and_proves_nothing() -> None:
    anybodys = record(buy("0.10", magic=Magic(0)))
    assert isinstance(decide(finding(deals=(deal(magic=Magic(0)),)), anybodys), AskAgain)
    assert isinstance(decide(finding(deals=(deal(magic=Magic(0), comment=TAG),)), anybodys), Settled)


@pytest.mark.parametrize(
    "fields",
    [
        {"magic": Magic(78)},
        {"symbol": XAUUSD},
        {"side": Side.SELL},
        {"volume": deal(volume="0.11").volume},
        {"volume": deal(volume="0.09").volume},
        {"time": NOW - timedelta(seconds=2, milliseconds=1)},
        {"time": NOW + timedelta(seconds=178, milliseconds=1)},
        {"entry": "out"},
    ],
)
def test_a_lookalike_must_be_alike_in_everything(fields: dict[str, Any]) -> None:
    assert isinstance(decide(finding(deals=(replace(deal(), **fields),))), AskAgain)


@pytest.mark.parametrize("time", [NOW - timedelta(seconds=2), NOW + timedelta(seconds=178)])
def test_the_span_of_a_lookalike(time: Any) -> None:
    assert isinstance(decide(finding(deals=(deal(time=time),))), Settled)


def test_without_a_moment_of_dispatch_nothing_is_alike() -> None:
    assert isinstance(decide(finding(deals=(deal(),)), record(dispatched_at=None)), AskAgain)


# ------------------------------------------------------------------ evidence: the other actions

PLACE = pending(OrderKind.BUY_LIMIT, "1.09", magic=Magic(77))


def test_a_pending_order_is_known_by_its_tag_alone() -> None:
    held = record(PLACE)
    found = decide(finding(orders=(order(8), order(9, comment=TAG))), held)
    assert isinstance(found, Settled)
    assert (found.execution.state, found.execution.order) == (ExecutionState.DONE, 9)
    assert isinstance(decide(finding(orders=(order(9, magic=Magic(77)),)), held), AskAgain)
    assert isinstance(decide(finding(orders=(order(9, comment=TAG),)), replace(held, tag=None)), AskAgain)
    assert isinstance(decide(finding(orders=(order(9, comment=""),)), replace(held, tag="")), AskAgain)


def test_a_pending_order_may_have_been_filled_already() -> None:
    found = decide(finding(deals=(deal(comment=TAG),)), record(PLACE))
    assert isinstance(found, Settled)
    assert found.execution.order == 11
    assert isinstance(decide(finding(deals=(deal(),)), record(PLACE)), AskAgain)


def test_a_close_is_known_by_its_tag_on_its_position() -> None:
    held = record(ClosePosition(Ticket(11)))
    ours = deal(side=Side.SELL, entry="out", comment=TAG)
    assert isinstance(decide(finding(deals=(ours,)), held), Settled)
    # A stop loss may have closed it: closed, but not by us.
    assert isinstance(decide(finding(deals=(replace(ours, comment="[sl 1.09]"),)), held), AskAgain)
    assert isinstance(decide(finding(deals=(replace(ours, position=Ticket(12)),)), held), AskAgain)
    assert isinstance(decide(finding(deals=(replace(ours, entry="in"),)), held), AskAgain)


@pytest.mark.parametrize(
    "action",
    [
        ModifyPosition(Ticket(11), stop_loss=None),
        ModifyOrder(Ticket(11), price=Price("1")),
        CancelOrder(Ticket(11)),
        CloseAll(),
    ],
)
def test_of_amendments_and_cancels_only_the_ledger_can_tell(action: Action) -> None:
    books = finding(deals=(deal(comment=TAG),), orders=(order(11, comment=TAG),))
    assert isinstance(decide(books, record(action)), AskAgain)
    assert isinstance(decide(books, record(action), after=timedelta(seconds=180)), NobodyKnows)


def test_a_close_all_that_was_cut_short_is_not_called_undone() -> None:
    ours = (replace(deal(), comment=f"{TAG}#1"), replace(deal(), comment=f"{TAG}#2"))
    told = decide(finding(deals=ours), record(CloseAll()), after=timedelta(seconds=181))
    assert isinstance(told, NobodyKnows)
    assert "the broker shows 2 deals of it" in told.reason
