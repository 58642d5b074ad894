"""Safeguards that a test build can leave out, one at a time, to show that the stop campaign notices: its negative controls.

Each entry takes away one thing and nothing else. A name that no longer exists in app/ is an error, never a silent no-op.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.adapters import latch_file
from app.adapters.journal_sqlite import SqliteJournal
from app.adapters.mt5_stop_channel import ZmqStopChannel
from app.domain.commands import TradeCommand
from app.domain.errors import JournalFailed
from app.domain.events import Event, TradingStateChanged
from app.domain.safety_view import Refusal
from app.domain.trading_state import Actor, StateAct, TradingState, TradingStatus
from app.engine import stop_socket
from app.engine.broker import StopAnswer
from app.engine.command_processor import CommandProcessor
from app.engine.core import EngineCore
from app.engine.inbox import Inbox
from app.engine.latch import Latch
from app.engine.ports import LatchReading
from app.engine.safety import RateWindow, SafetyGate
from app.engine.stop import StopThread
from app.engine.supervisor import Engine
from app.engine.terminal_side import TerminalSide


@dataclass(frozen=True, slots=True)
class Weakening:
    """`says`: what is missing, for the report."""

    says: str
    leave_out: Callable[[], None]


def _replace(owner: Any, name: str, made: Any) -> None:
    """Put another function in the place of one that is there."""
    if not hasattr(owner, name):
        raise AttributeError(f"{owner} has no {name}: the safeguard has moved, this control must follow it")
    setattr(owner, name, made)


def _latch_check_before_send() -> None:
    check = SafetyGate.check

    def without(self: SafetyGate, command: TradeCommand) -> Refusal | None:
        refusal = check(self, command)
        return None if refusal is not None and refusal.code == "HALTED" else refusal

    _replace(SafetyGate, "check", without)


def _slow_hand_over() -> None:
    """No safeguard less: only a pause between the last look and the send, in which an unsound lock would let a stop slip."""
    send = CommandProcessor._send

    def slowly(self: CommandProcessor, item: Any, now: float) -> Refusal | None:
        threading.Event().wait(0.004)
        return send(self, item, now)

    _replace(CommandProcessor, "_send", slowly)


def _nothing() -> None:
    """The executor as it is."""


def _latch_lock() -> None:
    _slow_hand_over()

    def hold(_self: Latch) -> AbstractContextManager[object]:
        return nullcontext()

    _replace(Latch, "hold", hold)


def _durable_latch() -> None:
    append = SqliteJournal.append

    def save(_self: latch_file.FileLatchStore, status: TradingStatus) -> None:
        if status.state is not TradingState.HALTED:
            stored(_self, status)

    def forgetful(self: SqliteJournal, *events: Event) -> asyncio.Future[tuple[int, ...]]:
        kept = [
            event
            for event in events
            if not (isinstance(event, TradingStateChanged) and event.state is TradingState.HALTED)
        ]
        return append(self, *kept)

    stored = latch_file.FileLatchStore.save
    _replace(latch_file.FileLatchStore, "save", save)
    _replace(SqliteJournal, "append", forgetful)


def _journal_agreement() -> None:
    from app import bootstrap

    def trusting(reading: LatchReading, journalled: TradingStatus | None, at: datetime) -> TradingStatus:
        if reading.status is not None:
            return reading.status
        epoch = journalled.epoch if journalled is not None else 1
        return TradingStatus(TradingState.HALTED, epoch, "started stopped", Actor.SYSTEM, at)

    _replace(bootstrap, "starting_status", trusting)


def _damaged_is_halted() -> None:
    from app import bootstrap
    from app.engine.latch import starting_status

    def lenient(reading: LatchReading, journalled: TradingStatus | None, at: datetime) -> TradingStatus:
        found = starting_status(reading, journalled, at)
        if reading.status is None and found.state is TradingState.HALTED:
            return TradingStatus(TradingState.ACTIVE, found.epoch, "first start", Actor.SYSTEM, at)
        return found

    _replace(bootstrap, "starting_status", lenient)


def _checksum() -> None:
    def constant(_status: dict[str, Any]) -> str:
        return "0" * 64

    _replace(latch_file, "_checksum", constant)


def _stop_thread() -> None:
    """The thread is there, but does its work in the event loop's turn."""
    loops: list[asyncio.AbstractEventLoop] = []
    start, serve, look = Engine.start, stop_socket.StopSocket.serve, StopThread._look_for_stop_file

    async def remember(self: Engine) -> None:
        loops.append(asyncio.get_running_loop())
        await start(self)

    def wait_for_turn() -> None:
        if loops:
            turn = threading.Event()
            loops[0].call_soon_threadsafe(turn.set)
            turn.wait(10)

    def serve_in_turn(self: stop_socket.StopSocket, descriptor: int) -> None:
        wait_for_turn()
        serve(self, descriptor)

    def look_in_turn(self: StopThread) -> None:
        wait_for_turn()
        look(self)

    _replace(Engine, "start", remember)
    _replace(stop_socket.StopSocket, "serve", serve_in_turn)
    _replace(StopThread, "_look_for_stop_file", look_in_turn)


def _stop_file() -> None:
    def blind(_self: StopThread) -> None:
        return None

    _replace(StopThread, "_look_for_stop_file", blind)


def _stop_frame() -> None:
    def silent(_self: ZmqStopChannel, **_: object) -> StopAnswer:
        return StopAnswer(acknowledged=True, detail="acknowledged")

    _replace(ZmqStopChannel, "send_stop", silent)


def _drain() -> None:
    def kept(_self: CommandProcessor) -> int:
        return 0

    _replace(CommandProcessor, "drain", kept)


def _epoch() -> None:
    after = TradingStatus.after

    def same(self: TradingStatus, act: StateAct, *, reason: str, by: Actor, at: datetime) -> TradingStatus:
        return replace(after(self, act, reason=reason, by=by, at=at), epoch=self.epoch)

    _replace(TradingStatus, "after", same)


def _memory_of_ids() -> None:
    async def unknown(*_: object) -> tuple[None, None]:
        return None, None

    from app.engine.desk import CommandDesk

    _replace(CommandDesk, "find", unknown)


def _old_timestamps() -> None:
    def never(*_: object) -> bool:
        return False

    _replace(Inbox, "_is_from_before_a_stop", never)


def _throttle() -> None:
    def never(_self: RateWindow, _now: float) -> bool:
        return False

    _replace(RateWindow, "full", never)


def _throttle_latch() -> None:
    def forgetful(_self: SafetyGate, _limit: str, _message: str) -> None:
        return None

    _replace(SafetyGate, "trip", forgetful)


def _journal_failure() -> None:
    def careless(_self: EngineCore, _fault: JournalFailed) -> None:
        return None

    _replace(EngineCore, "journal_failed", careless)


def _terminal_button() -> None:
    def deaf(_self: TerminalSide, _reason: str, _by: str) -> None:
        return None

    beat = TerminalSide.on_heartbeat

    def believing(self: TerminalSide, heartbeat: Any) -> None:
        beat(self, replace(heartbeat, stopped=False))

    _replace(TerminalSide, "on_terminal_stopped", deaf)
    _replace(TerminalSide, "on_heartbeat", believing)


SOUND = ("slow_hand_over", "slow_terminal")
"""Controls of the controls: nothing is left out, nothing may be noticed."""
WEAKENINGS: dict[str, Weakening] = {
    "latch_check_before_send": Weakening(
        "the last look at the latch before a send", _latch_check_before_send
    ),
    "latch_lock": Weakening(
        "the lock that a send and a stop share (with a pause in which it matters)", _latch_lock
    ),
    "slow_hand_over": Weakening("nothing: the same pause with the lock in place", _slow_hand_over),
    "slow_terminal": Weakening("nothing: the same slow terminal", _nothing),
    "stop_thread": Weakening("the stop's own thread: it waits for the event loop", _stop_thread),
    "stop_file": Weakening("the look at the stop file", _stop_file),
    "stop_frame": Weakening("the stop frame to the terminal (claimed all the same)", _stop_frame),
    "terminal_button": Weakening("listening to the terminal's own button", _terminal_button),
    "journal_failure": Weakening("the stop after a failed journal write", _journal_failure),
    "drain": Weakening("the drain of the queue", _drain),
    "epoch": Weakening("the new epoch of a reset", _epoch),
    "memory_of_ids": Weakening("the memory of command ids", _memory_of_ids),
    "old_timestamps": Weakening("turning away what was made before the reset", _old_timestamps),
    "durable_latch": Weakening("writing HALTED to latch file and journal", _durable_latch),
    "journal_agreement": Weakening("comparing the latch file with the journal", _journal_agreement),
    "damaged_is_halted": Weakening("HALTED when the latch file is damaged or missing", _damaged_is_halted),
    "checksum": Weakening("the checksum of the latch file", _checksum),
    "throttle": Weakening("the throttle of orders per second and minute", _throttle),
    "throttle_latch": Weakening("latching what has tripped", _throttle_latch),
}
