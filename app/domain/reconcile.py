"""What became of a command whose answer was lost: (our record, the terminal's report) -> a settlement, or wait.

Pure. The rule that decides every doubt: *not found is not not-executed*. Orders have been seen to appear 8 s and 90 s after their
request was reported as failed, so absence becomes final only after 180 s, and then it is a person's to judge, never a resend.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.command_record import CommandRecord
from app.domain.commands import (
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
)
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.market import Deal
from app.domain.values import Price

ABSENCE_IS_FINAL_AFTER = timedelta(seconds=180)


@dataclass(frozen=True, slots=True)
class Settled:
    """The terminal or the broker proves what became of it."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly never reached the broker, and never will."""

    reason: str


@dataclass(frozen=True, slots=True)
class NobodyKnows:
    """Looked long enough: a person has to look at the account."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Nothing is proved yet."""

    reason: str


Settlement = Settled | NotSent | NobodyKnows | AskAgain


def settle(
    record: CommandRecord,
    finding: Finding,
    *,
    session: str,
    expired: bool,
    now: datetime,
    watched: timedelta = timedelta(0),
) -> Settlement:
    """Decide from what the terminal reports.

    `session`: the terminal session in which `finding` was asked. `expired`: the command's time to be sent has passed. `watched`:
    for how long it has been asked for, on a clock that does not jump: a wall clock that was set back must not keep it open.
    """
    if finding.ledger == "result" and finding.execution is not None:
        if finding.execution.state is not ExecutionState.UNKNOWN:
            return Settled(finding.execution)
        return _look_at_broker(record, finding, now, watched)
    if finding.ledger == "never_seen":
        # A session's frames are handled in order, and those of a dead session are dropped: what the terminal has not seen when a
        # later session asks, or once the time to send is over, it will never begin (EA_PROTOCOL §3, §4).
        if expired or record.session != session:
            return NotSent("the terminal never received it")
        return AskAgain("the terminal has not received it yet")
    if finding.ledger == "claimed":
        if expired or record.session != session:
            return NotSent("the terminal received it and did not begin")
        return AskAgain("the terminal has not begun it yet")
    return _look_at_broker(record, finding, now, watched)


def _look_at_broker(record: CommandRecord, finding: Finding, now: datetime, watched: timedelta) -> Settlement:
    execution = _evidence(record, finding)
    if execution is not None:
        return Settled(execution)
    if not finding.connected or not finding.synchronised:
        return AskAgain("the terminal is not connected to the broker")
    since = finding.sent_at or record.dispatched_at or record.received_at
    if max(now - since, watched) < ABSENCE_IS_FINAL_AFTER:
        return AskAgain("the broker shows nothing of it yet")
    own = _tagged(record, list(finding.deals))
    if own and record.command is not None and isinstance(record.command.action, CloseAll):
        # Its closing deals prove themselves, and nothing proves that they are all.
        return NobodyKnows(
            f"it was cut short: the broker shows {len(own)} deals of it, and nothing tells whether that was all; look at the "
            "account's positions by hand"
        )
    return NobodyKnows("the broker shows nothing of it after 180 s; look at the account's history by hand")


def _evidence(record: CommandRecord, finding: Finding) -> Execution | None:
    """A trace at the broker that can only be this command's, as an execution."""
    if record.command is None:
        return None
    match record.command.action:
        case OpenPosition() as action:
            own = [
                deal for deal in finding.deals if deal.entry in ("in", "inout") and deal.side is action.side
            ]
            return _from_deals(_tagged(record, own) or _alike(own, action, record), action.volume)
        case PlaceOrder() as place:
            for order in finding.orders:
                if _carries(record.tag, order.comment):
                    return Execution(
                        ExecutionState.DONE,
                        order=order.ticket,
                        volume=order.volume,
                        requested=place.volume,
                        price=order.price,
                    )
            # It may have been filled already: then its deal carries the tag.
            return _from_deals(_tagged(record, list(finding.deals)), place.volume)
        case ClosePosition() as close:
            out = [deal for deal in finding.deals if deal.entry != "in" and deal.position == close.ticket]
            return _from_deals(_tagged(record, out), close.volume)
        case ModifyPosition() | ModifyOrder() | CancelOrder() | CloseAll():
            # What a modification or a cancel asked for may have come about by another hand; only the ledger can tell.
            return None


def _carries(tag: str | None, comment: str) -> bool:
    return bool(tag) and tag is not None and comment.startswith(tag)


def _tagged(record: CommandRecord, deals: list[Deal]) -> list[Deal]:
    return [deal for deal in deals if _carries(record.tag, deal.comment)]


def _alike(deals: list[Deal], action: OpenPosition, record: CommandRecord) -> list[Deal]:
    """By magic, symbol, side, volume and time, when the broker rewrote the comment; only if exactly one fits.

    A magic of 0 is everybody's and proves nothing.
    """
    if action.magic == 0 or record.dispatched_at is None:
        return []
    start = record.dispatched_at - timedelta(seconds=2)
    fits = [
        deal
        for deal in deals
        if deal.magic == action.magic
        and deal.symbol == action.symbol
        and deal.volume == action.volume
        and start <= deal.time <= start + ABSENCE_IS_FINAL_AFTER
        # A comment that begins with another command's tag is that command's.
        and not _looks_tagged(deal.comment)
    ]
    return fits if len(fits) == 1 else []


def _looks_tagged(comment: str) -> bool:
    head = comment[:8]
    return len(head) == 8 and head.startswith("m") and head.isalnum()


def _from_deals(deals: list[Deal], requested: Decimal | None) -> Execution | None:
    if not deals:
        return None
    volume = sum((deal.volume for deal in deals), Decimal(0))
    last = deals[-1]
    paid = sum((deal.volume * deal.price for deal in deals), Decimal(0))
    partial = requested is not None and volume < requested
    return Execution(
        ExecutionState.PARTIAL if partial else ExecutionState.DONE,
        order=last.order,
        deal=last.ticket,
        position=last.position,
        volume=volume,
        requested=requested,
        price=last.price if len(deals) == 1 else Price(round(paid / volume, _decimals(last.price))),
    )


def _decimals(price: Price) -> int:
    exponent = price.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0
