"""How the simulated terminal handles a command that can change something (EA_PROTOCOL §4).

The order is the promise: known id, guard, args, INTENT, guard, broker, RESULT, reply. Faults strike here,
between these steps, and nowhere inside the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.execution import Execution, ExecutionState
from app.domain.values import Price
from app.protocol.ea_frames import Reply, Request, content_hash
from app.protocol.ea_messages import execution_to_wire
from app.protocol.ea_session import Admitted
from app.sim import command_args as args
from app.sim import retcodes
from app.sim.broker import Broker
from app.sim.command_args import Refuse
from app.sim.faults import Faults
from app.sim.ledger import LedgerFailed
from app.sim.life import Life
from app.sim.order_slips import OrderSlip, prepare
from app.sim.retcodes import Retcode
from app.sim.trade_requests import CALM, Answer, Conditions

_REDUCING = frozenset({"cancel", "close", "close_all"})
"""What an operator may still do while the terminal is stopped (§6)."""


class TradeDesk:
    """Takes admitted trade requests of one life, one at a time."""

    def __init__(
        self,
        life: Life,
        faults: Faults,
        *,
        mode: str,
        latency: float,
        later: Callable[[float, Callable[[], None]], None],
        broker: Callable[[], Broker],
        note_asking: Callable[[str, float, float], None],
    ) -> None:
        """`latency`: seconds to the broker and back. `later` runs something after so many seconds, with `broker`
        as it is then: the trade server does not restart with the terminal. `note_asking`: see WireLog.asking."""
        self._life = life
        self._faults = faults
        self._mode = mode
        self._latency = latency
        self._later = later
        self._broker = broker
        self._note_asking = note_asking

    async def handle(self, admitted: Admitted) -> Reply:
        """The one reply. Raises Restarting when that fault strikes."""
        request = admitted.request
        try:
            cid = args.read_cid(request.cid)
            known = self._known(request)
            if known is not None:
                return known
            self._guard(admitted)
            attempts = 1
            if request.cmd in ("open", "place", "close", "close_all"):
                attempts = args.read_attempts(request.args)
            work = prepare(self._life, request)
        except Refuse as refuse:
            return _refused(request, refuse)
        except InvalidValue as fault:
            return _refused(request, Refuse("INVALID_ARGS", str(fault)))
        symbol = request.args.get("symbol") if work is None or isinstance(work, list) else work.symbol
        about = symbol if isinstance(symbol, str) else None
        try:
            self._intent(cid, request, about)
        except LedgerFailed as fault:
            return _refused(request, Refuse("LEDGER_FAILED", str(fault)))
        self._faults.reach("after_intent", request.cmd, about)
        if isinstance(work, list):
            details = [
                replace(await self._carry_out(admitted, item, attempts), ticket=item.ticket) for item in work
            ]
            execution = _sum_up(details)
        else:
            execution = await self._carry_out(admitted, work, attempts)
        self._faults.reach("before_result", request.cmd, about)
        wire = execution_to_wire(execution)
        if execution.state is not ExecutionState.UNKNOWN:
            try:
                self._life.commands.result(cid, wire, self._life.now_ms())
            except LedgerFailed:
                # The effect stands and is told; who asks later finds an INTENT without a RESULT.
                wire["message"] = "the terminal could not store this result"
        self._faults.reach("after_result", request.cmd, about)
        return Reply(request.sid, request.id, ok=True, cid=request.cid, data=wire)

    # ------------------------------------------------------------------ before the broker

    def _known(self, request: Request) -> Reply | None:
        entry = self._life.commands.get(str(request.cid))
        if entry is None:
            return None
        if entry.content != content_hash(request.cmd, request.args):
            raise Refuse("ID_CONFLICT", "this command id is known with other content; nothing was done")
        wire = entry.result
        if wire is None:
            wire = execution_to_wire(Execution(ExecutionState.UNKNOWN, message="no result is known yet"))
        return Reply(request.sid, request.id, ok=True, cid=request.cid, data=wire | {"replayed": True})

    def _guard(self, admitted: Admitted) -> float:
        """Everything that may have changed since the request came; raises Refuse. Gives the monotonic second of its look."""
        life, request = self._life, admitted.request
        now = life.clock.monotonic()
        operator = request.cmd in _REDUCING and request.args.get("operator") is True
        if life.state.stopped and not operator:
            raise Refuse("STOPPED", f"the terminal is stopped: {life.state.stop_reason}")
        code = life.sessions.hindrance(admitted, now)
        if code is not None:
            raise Refuse(
                code or "EXECUTOR_SILENT", _HINDRANCES.get(code, ""), **_epoch(code, life.sessions.epoch)
            )
        if self._mode == "read_only":
            raise Refuse("READ_ONLY", "this terminal only watches")
        missing = life.permissions.missing()
        if not life.permissions.connected:
            raise Refuse(
                "NOT_CONNECTED", "the terminal has no connection to the broker", missing=list(missing)
            )
        if missing:
            raise Refuse("NO_PERMISSION", "missing: " + ", ".join(missing), missing=list(missing))
        return now

    def _intent(self, cid: str, request: Request, symbol: str | None) -> None:
        fails = self._faults.find("ledger_fails", request.cmd, symbol) is not None
        self._life.commands.file.failing = fails
        try:
            self._life.commands.intent(cid, content_hash(request.cmd, request.args), self._life.now_ms())
        finally:
            self._life.commands.file.failing = False

    # ------------------------------------------------------------------ the broker

    async def _carry_out(self, admitted: Admitted, order: OrderSlip, attempts: int) -> Execution:
        """Ask the broker, again only after what certainly did nothing and may pass by itself."""
        answer, quote, attempt = Answer(Retcode.ERROR), None, 0
        while attempt < attempts:
            try:
                looked = self._guard(admitted)
                if attempt > 0:
                    self._intent(str(admitted.request.cid), admitted.request, order.symbol)
            except (Refuse, LedgerFailed) as fault:
                if attempt == 0:  # a later part of a close_all: time has passed since the first
                    return Execution(ExecutionState.REFUSED, requested=order.volume, message=str(fault))
                break
            attempt += 1
            quote = order.side_price() if order.side_price is not None else None
            self._note_asking(str(admitted.request.cid), looked, admitted.deadline - looked)
            answer = await self._ask(admitted.request, order)
            if answer.retcode not in retcodes.TRANSIENT:
                break
        return _execution(answer, order, quote, attempt)

    async def _ask(self, request: Request, order: OrderSlip) -> Answer:
        life, cmd, symbol = self._life, order.cmd, order.symbol
        slow = self._faults.find("slow", cmd, symbol)
        delay = self._latency + (slow.options["ms"] / 1000 if slow is not None else 0)
        lost = self._faults.find("disconnect", cmd, symbol, at="before_send")
        if lost is not None:
            self._disconnect(lost.options["seconds"])
            return Answer(Retcode.CONNECTION, "no connection")
        self._faults.reach("before_send", cmd, symbol)
        life.commands.asking(str(request.cid))
        if delay > 0:
            await asyncio.sleep(delay)
        conditions = self._conditions(cmd, symbol)
        late = self._faults.find("late_fill", cmd, symbol)
        if late is not None:
            self._later(late.options["delay"], lambda: _done(order.ask(self._broker(), conditions)))
            return Answer(Retcode.TIMEOUT, "request timed out")
        if self._faults.find("requote", cmd, symbol) is not None:
            return Answer(Retcode.REQUOTE, "requote")
        lie = self._faults.find("retcode", cmd, symbol)
        if lie is not None and not lie.options["executed"]:
            return Answer(lie.options["code"])
        try:
            answer = order.ask(life.broker, conditions)
        except LedgerFailed as fault:  # the broker's own books: what is not written has not happened
            answer = Answer(Retcode.REJECT, str(fault))
        self._faults.reach("after_effect", cmd, symbol)
        lost = self._faults.find("disconnect", cmd, symbol, at="after_effect")
        if lost is not None:
            self._disconnect(lost.options["seconds"])
            return Answer(Retcode.CONNECTION, "no connection")
        return answer if lie is None else Answer(lie.options["code"])

    def _conditions(self, cmd: str, symbol: str | None) -> Conditions:
        if not self._faults.items:
            return CALM
        slippage = self._faults.find("slippage", cmd, symbol)
        partial = self._faults.find("partial", cmd, symbol)
        comment = self._faults.find("comment", cmd, symbol)
        return Conditions(
            slippage=0 if slippage is None else slippage.options["points"],
            fraction=None if partial is None else partial.options["fraction"],
            comment=None if comment is None else comment.options["text"],
        )

    def _disconnect(self, seconds: float) -> None:
        life = self._life
        life.permissions = replace(life.permissions, connected=False, synchronised=False)

        def reconnect() -> None:
            life.permissions = replace(life.permissions, connected=True, synchronised=True)

        self._later(seconds, reconnect)


_HINDRANCES = {
    "": "this session has ended",
    "EXPIRED": "too old to begin; nothing was done",
    "EXECUTOR_SILENT": "the executor was silent for too long; a fresh session is needed",
    "EPOCH_TOO_LOW": "sent before the last reset",
}


def _epoch(code: str, epoch: int) -> dict[str, Any]:
    return {"epoch": epoch} if code == "EPOCH_TOO_LOW" else {}


def _refused(request: Request, refuse: Refuse) -> Reply:
    data = execution_to_wire(Execution(ExecutionState.REFUSED, message=refuse.message)) | refuse.data
    return Reply(
        request.sid,
        request.id,
        ok=False,
        code=refuse.code,
        message=refuse.message,
        cid=request.cid,
        data=data,
    )


def _done(_answer: Answer) -> None:
    """A fill that nobody waits for any more: the effect in the ledger is all there is."""


def _execution(answer: Answer, order: OrderSlip, quote: Price | None, attempts: int) -> Execution:
    code = answer.retcode
    unchanged = code == Retcode.NO_CHANGES and order.cmd == "modify"  # all is as it was asked to be
    if code == Retcode.DONE or unchanged or (code == Retcode.PLACED and order.cmd == "place"):
        state = ExecutionState.DONE
    elif code == Retcode.DONE_PARTIAL:
        state = ExecutionState.PARTIAL
    elif code in retcodes.CERTAIN_REFUSALS:
        state = ExecutionState.REJECTED
    else:
        state = ExecutionState.UNKNOWN
    return Execution(
        state=state,
        retcode=code,
        order=answer.order,
        deal=answer.deal,
        position=answer.position,
        volume=answer.volume,
        requested=order.volume,
        price=answer.price,
        quote=quote,
        attempts=attempts,
        message=answer.message or None,
    )


def _sum_up(details: list[Execution]) -> Execution:
    """The whole of a close_all (§4)."""
    states = [detail.state for detail in details]
    if ExecutionState.UNKNOWN in states:
        state = ExecutionState.UNKNOWN
    elif all(one is ExecutionState.DONE for one in states):
        state = ExecutionState.DONE
    elif ExecutionState.DONE in states or ExecutionState.PARTIAL in states:
        state = ExecutionState.PARTIAL
    else:
        state = ExecutionState.REJECTED
    return Execution(
        state=state,
        volume=sum((detail.volume for detail in details), Decimal(0)),
        requested=sum((detail.requested or Decimal(0) for detail in details), Decimal(0)),
        attempts=max((detail.attempts for detail in details), default=0),
        details=tuple(details),
    )
