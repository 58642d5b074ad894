"""Builds of the executor with one safeguard left out, to show that the campaigns of this folder would notice.

Nothing of app/ knows of them; they are chosen by name when a tests-only executor starts (kill_executor.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import app.adapters.journal_file
from app.domain.commands import TradeCommand
from app.domain.events import CommandDispatched, CommandReceived, Event
from app.domain.execution import Execution, ExecutionState
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.domain.values import CommandId
from app.engine.broker import DispatchTerms
from app.engine.inbox import Inbox
from app.engine.ports import Arrival
from app.settings import Settings

from .kill_points import COMPOSED, JOURNAL

_SLOW_DISK = 0.03
"""Seconds that the disk of `no_journal_before_send` lags behind the send: what a busy disk takes anyway."""
_NEVER = 3600.0


def ids_in_memory(settings: Settings) -> None:
    """What was known is forgotten with the process: every start begins with an empty journal."""
    for name in ("", "-wal", "-shm"):
        settings.journal.path.with_name(settings.journal.path.name + name).unlink(missing_ok=True)
    # The latch store would notice a journal that is gone, and stop.
    COMPOSED["starting_status"] = lambda _reading, _journalled, at: TradingStatus(
        TradingState.ACTIVE, 1, "as if for the first time", Actor.SYSTEM, at
    )


def no_journal_before_send(_settings: Settings) -> None:
    """Whoever waits for RECEIVED or DISPATCHED on disk is told at once that it is there."""
    base: Any = COMPOSED["SqliteJournal"]

    class Journal(base):  # type: ignore[misc]
        def append(self, *events: Event) -> asyncio.Future[tuple[int, ...]]:
            written: asyncio.Future[tuple[int, ...]] = super().append(*events)
            if not any(isinstance(event, CommandReceived | CommandDispatched) for event in events):
                return written
            told: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
            told.set_result(())
            return told

    base_thread: Any = JOURNAL["JournalThread"]

    class Thread(base_thread):  # type: ignore[misc]
        def _commit(self, cursor: Any, group: Any) -> None:
            if any(isinstance(event, CommandDispatched) for item in group for event, _row in item.rows):
                time.sleep(_SLOW_DISK)
            super()._commit(cursor, group)

    COMPOSED["SqliteJournal"] = Journal
    JOURNAL["JournalThread"] = Thread


def resend_on_timeout(_settings: Settings) -> None:
    """No answer: ask again, as a request of its own, the way a retry loop around `order_send` does it."""
    base: Any = COMPOSED["ZmqBroker"]

    class Broker(base):  # type: ignore[misc]
        def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Execution] = loop.create_future()

            def again(first: asyncio.Future[Execution]) -> None:
                if first.result().state is not ExecutionState.UNKNOWN or self.session_id == "":
                    answer.set_result(first.result())
                    return
                retry = replace(command, command_id=CommandId(f"{command.command_id}-r"))
                second = super(Broker, self).send(retry, terms)
                second.add_done_callback(lambda got: answer.set_result(got.result()))

            super().send(command, terms).add_done_callback(again)
            return answer

    COMPOSED["ZmqBroker"] = Broker


def no_fencing(_settings: Settings) -> None:
    """Neither the journal's lock nor the executor's own number: a second executor looks like the first."""
    COMPOSED["instance_of"] = lambda _: "0" * 32
    vars(app.adapters.journal_file)["_lock"] = lambda _: True


def no_expiry_check(_settings: Settings) -> None:
    """The expiry is looked at when the command arrives and never again."""
    in_hand = Inbox._in_hand

    def endless(self: Inbox, command: TradeCommand, arrival: Arrival, received: CommandReceived) -> Any:
        item = in_hand(self, command, arrival, received)
        item.deadline += _NEVER
        return item

    Inbox._in_hand = endless  # type: ignore[method-assign]


WEAKENED: Mapping[str, Callable[[Settings], None]] = {
    "ids_in_memory": ids_in_memory,
    "no_journal_before_send": no_journal_before_send,
    "resend_on_timeout": resend_on_timeout,
    "no_fencing": no_fencing,
    "no_expiry_check": no_expiry_check,
}
