"""From a terminal's answer to the event and the result that the journal and the brain get. Pure translation, no decisions."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from app.domain.commands import (
    NO_MAGIC,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
    TradeCommand,
)
from app.domain.events import (
    CommandEvent,
    CommandExecuted,
    CommandExpired,
    CommandPartlyExecuted,
    CommandRejected,
    OutcomeUnknown,
)
from app.domain.execution import Execution, ExecutionState
from app.domain.limits import SafetyLimits
from app.domain.market import SymbolSpec
from app.domain.results import CloseDetail, CommandResult, Outcome
from app.domain.retcodes import retcode_name
from app.domain.values import CommandId, Magic, Price, Side, Ticket
from app.engine.broker import DispatchTerms
from app.engine.desk import CommandInHand

_COMMENT_LENGTH = 27
_DEFAULT_DEVIATION = 20
"""Points of price deviation that a market order accepts when neither the command nor a limit says otherwise."""

_TERMINAL_CODES = {
    "EXPIRED": "EXPIRED",
    "STOPPED": "HALTED",
    "NO_PERMISSION": "TERMINAL_LOST",
    "NOT_CONNECTED": "TERMINAL_LOST",
    "EXECUTOR_SILENT": "TERMINAL_LOST",
    "SYMBOL_UNKNOWN": "SYMBOL_NOT_ALLOWED",
    "NOT_FOUND": "NOT_FOUND",
    "VOLUME_INVALID": "VOLUME_STEP",
    "STOPS_INVALID": "INVALID_STOPS",
}
"""The terminal's own refusals (EA_PROTOCOL §7) in the brain's words (PROTOCOL §6); the rest is TERMINAL_REFUSED."""


def tag_of(command_id: CommandId) -> str:
    """8 characters that find a trade again by its broker comment; the same for the same command for ever."""
    digest = hashlib.sha256(command_id.encode()).digest()
    return "m" + base64.b32encode(digest).decode()[:7].lower()


def terms_for(
    item: CommandInHand,
    spec: SymbolSpec | None,
    limits: SafetyLimits,
    *,
    seconds_left: float,
    max_attempts: int,
    magic: Magic = NO_MAGIC,
    counted_from: float | None = None,
) -> DispatchTerms:
    """How to send it: what is left of its time at the monotonic second `counted_from`, and how far the price may move."""
    tag = item.record.tag or tag_of(item.command_id)
    words = re.sub(r"[^A-Za-z0-9_#-]", "", getattr(item.command.action, "comment", "") or "")
    comment = f"{tag}-{words}"[:_COMMENT_LENGTH] if words else tag
    deviation = limits.max_slippage_points if limits.max_slippage_points is not None else _DEFAULT_DEVIATION
    action = item.command.action
    if isinstance(action, OpenPosition) and action.max_slippage is not None and spec is not None:
        wanted = int((action.max_slippage / spec.point).to_integral_value(ROUND_CEILING))
        deviation = min(wanted, deviation) if limits.max_slippage_points is not None else wanted
    return DispatchTerms(
        ttl=max(1, int(seconds_left * 1000)),
        tag=tag,
        comment=comment,
        deviation=deviation,
        max_attempts=max_attempts,
        magic=magic,
        counted_from=counted_from,
    )


def milliseconds(start: float, end: float) -> int:
    return max(0, round((end - start) * 1000))


def plain_result(
    item: CommandInHand,
    outcome: Outcome,
    *,
    now: float,
    code: str | None,
    message: str | None,
    reconciled: bool = False,
) -> CommandResult:
    """A result without an execution: refused, expired, withdrawn, stopped, unknown, left to the operator."""
    command = item.command
    return CommandResult(
        command_id=item.command_id,
        outcome=outcome,
        execution_time=milliseconds(item.arrived, now),
        requested_volume=command.volume,
        code=code,
        message=message,
        strategy_id=command.strategy_id,
        account=command.account,
        reconciled=reconciled,
    )


def event_of(
    item: CommandInHand, execution: Execution, *, at: datetime, now: float, reconciled: bool = False
) -> CommandEvent:
    """The event that an answer stands for. `now`: monotonic seconds at which the answer came."""
    result = _result(item, execution, now, reconciled)
    match execution.state:
        case ExecutionState.DONE:
            return CommandExecuted(at, item.command_id, result)
        case ExecutionState.PARTIAL:
            return CommandPartlyExecuted(at, item.command_id, result)
        case ExecutionState.UNKNOWN:
            return OutcomeUnknown(at, item.command_id, result)
        case ExecutionState.REFUSED if execution.code == "EXPIRED" and not reconciled:
            return CommandExpired(at, item.command_id, result)
        case _:
            return CommandRejected(at, item.command_id, result)


_OUTCOMES = {
    ExecutionState.DONE: Outcome.EXECUTED,
    ExecutionState.PARTIAL: Outcome.PARTIAL,
    ExecutionState.REJECTED: Outcome.REJECTED,
    ExecutionState.REFUSED: Outcome.REJECTED,
    ExecutionState.UNKNOWN: Outcome.UNKNOWN,
}


def _result(item: CommandInHand, execution: Execution, now: float, reconciled: bool) -> CommandResult:
    command = item.command
    outcome = _OUTCOMES[execution.state]
    if execution.state is ExecutionState.REFUSED and execution.code == "EXPIRED" and not reconciled:
        outcome = Outcome.EXPIRED
    code, message = _code_and_message(execution)
    slippage = _slippage(item, execution) if outcome.success else None
    if slippage is not None and isinstance(command.action, OpenPosition):
        most = command.action.max_slippage
        if most is not None and slippage > most:
            code, message = "SLIPPAGE_EXCEEDED", f"slippage {slippage} is more than maxSlippage {most}"
    return CommandResult(
        command_id=item.command_id,
        outcome=outcome,
        execution_time=milliseconds(item.arrived, now),
        ticket=_ticket(command, execution),
        price=execution.price,
        slippage=slippage,
        volume=execution.volume if outcome.success else None,
        requested_volume=execution.requested if execution.requested is not None else command.volume,
        code=code,
        retcode=execution.retcode,
        message=message,
        attempts=execution.attempts,
        reconciled=reconciled,
        details=tuple(_detail(detail) for detail in execution.details)
        if isinstance(command.action, CloseAll)
        else None,
        strategy_id=command.strategy_id,
        account=command.account,
    )


def _code_and_message(execution: Execution) -> tuple[str | None, str | None]:
    if execution.state is ExecutionState.UNKNOWN:
        reason = execution.message or "the terminal's answer was ambiguous"
        return "OUTCOME_UNKNOWN", f"{reason}; it is not sent again, the terminal is being asked"
    if execution.state is ExecutionState.REFUSED:
        code = _TERMINAL_CODES.get(execution.code or "", "TERMINAL_REFUSED")
        return code, f"the terminal refused ({execution.code}): {execution.message or 'no reason given'}"
    if execution.state is ExecutionState.REJECTED:
        if execution.code == "NOT_FOUND":
            return "NOT_FOUND", execution.message
        name = retcode_name(execution.retcode) if execution.retcode is not None else "no return code"
        return "BROKER_REJECTED", f"{name}: {execution.message}" if execution.message else name
    return None, execution.message


def _ticket(command: TradeCommand, execution: Execution) -> Ticket | None:
    """What the brain needs to act on it later: the position of an open, the order of a pending, else what it named."""
    match command.action:
        case OpenPosition():
            return execution.position or execution.order
        case PlaceOrder():
            return execution.order
        case ClosePosition() | ModifyPosition() | ModifyOrder() | CancelOrder():
            return command.action.ticket
        case _:
            return None


def _slippage(item: CommandInHand, execution: Execution) -> Decimal | None:
    """Positive: worse than intended. Closing a buy sells, so there a lower price is worse."""
    action = item.command.action
    intended: Price | None = item.intended or execution.quote
    if execution.price is None or intended is None:
        return None
    if isinstance(action, OpenPosition):
        side = action.side
    elif isinstance(action, ClosePosition) and item.closing_side is not None:
        side = item.closing_side.opposite
    else:
        return None
    return (execution.price - intended) * (1 if side is Side.BUY else -1)


def _detail(execution: Execution) -> CloseDetail:
    _, message = _code_and_message(execution)
    return CloseDetail(
        ticket=execution.ticket or execution.position or Ticket(1),
        outcome=_OUTCOMES[execution.state],
        volume=execution.volume,
        price=execution.price,
        retcode=execution.retcode,
        message=message,
    )
