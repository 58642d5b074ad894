"""The named moments of a command's way at which the campaign kills the executor, and the adapters that pass them.

Every adapter here is the product's own with a look at the switch around what it does; none of them changes what is done.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from enum import StrEnum
from typing import Any

import app.adapters.journal_sqlite
import app.bootstrap
from app.domain.commands import TradeCommand
from app.domain.events import CommandDispatched, CommandReceived, ResultsAcknowledged
from app.domain.execution import Execution
from app.engine.broker import DispatchTerms
from app.engine.ports import BrainMessage, CommandAck, ResultReport

COMPOSED = vars(app.bootstrap)
"""The names by which the composition root finds adapters: what is put here is what it builds."""
JOURNAL = vars(app.adapters.journal_sqlite)
"""The same for the journal, which builds its own thread."""
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class Point(StrEnum):
    """Where the executor can end. Before a commit: its rows are written, COMMIT is not; after it: COMMIT is back."""

    BEFORE_RECEIPT_COMMIT = "before_receipt_commit"
    """RECEIVED and QUEUED, and DISPATCHED where nothing waits."""
    AFTER_RECEIPT_COMMIT = "after_receipt_commit"
    BEFORE_SEND = "before_send"
    AFTER_SEND = "after_send"
    AFTER_REPLY = "after_reply"
    """The terminal's answer is here and nothing is done with it yet."""
    BEFORE_RESULT_COMMIT = "before_result_commit"
    AFTER_RESULT_COMMIT = "after_result_commit"
    BEFORE_REPORT = "before_report"
    AFTER_REPORT = "after_report"
    BEFORE_ACKNOWLEDGEMENT = "before_acknowledgement"
    AFTER_ACKNOWLEDGEMENT = "after_acknowledgement"
    BEFORE_CONFIRMATION_COMMIT = "before_confirmation_commit"
    """The brain's RESULT_ACK on its way into the outbox."""
    AFTER_CONFIRMATION_COMMIT = "after_confirmation_commit"


class KillSwitch:
    """Ends this process, as the kernel does, when it passes its point for the nth time.

    `linger`: seconds between the point and the end, in which the process' other threads go on.
    """

    def __init__(self, point: Point | None, nth: int, linger: float) -> None:
        self._point = point
        self._left = nth
        self._linger = linger

    def passing(self, point: Point) -> None:
        if point is not self._point:
            return
        self._left -= 1
        if self._left == 0:
            if self._linger > 0:
                time.sleep(self._linger)
            os.kill(os.getpid(), KILL)


class _Cursor:
    """A cursor that looks at the switch on both sides of COMMIT."""

    def __init__(
        self, cursor: sqlite3.Cursor, switch: KillSwitch, before: list[Point], after: list[Point]
    ) -> None:
        self._cursor = cursor
        self._switch = switch
        self._before = before
        self._after = after

    def execute(self, statement: str, *values: Any) -> Any:
        commits = statement == "COMMIT"
        for point in self._before if commits else ():
            self._switch.passing(point)
        done = self._cursor.execute(statement, *values)
        for point in self._after if commits else ():
            self._switch.passing(point)
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def install(switch: KillSwitch) -> None:
    """Have the composition root build the adapters of this file."""

    base_thread: Any = JOURNAL["JournalThread"]

    class Thread(base_thread):  # type: ignore[misc]
        def _commit(self, cursor: Any, group: Any) -> None:
            events = [event for item in group for event, _row in item.rows]
            before: list[Point] = []
            after: list[Point] = []
            if any(isinstance(event, CommandReceived | CommandDispatched) for event in events):
                before.append(Point.BEFORE_RECEIPT_COMMIT)
                after.append(Point.AFTER_RECEIPT_COMMIT)
            if any(getattr(event, "result", None) is not None for event in events):
                before.append(Point.BEFORE_RESULT_COMMIT)
                after.append(Point.AFTER_RESULT_COMMIT)
            if any(isinstance(event, ResultsAcknowledged) for event in events):
                before.append(Point.BEFORE_CONFIRMATION_COMMIT)
                after.append(Point.AFTER_CONFIRMATION_COMMIT)
            super()._commit(_Cursor(cursor, switch, before, after), group)

    base_broker: Any = COMPOSED["ZmqBroker"]

    class Broker(base_broker):  # type: ignore[misc]
        def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
            switch.passing(Point.BEFORE_SEND)
            answer: asyncio.Future[Execution] = super().send(command, terms)
            switch.passing(Point.AFTER_SEND)
            answer.add_done_callback(lambda _got: switch.passing(Point.AFTER_REPLY))
            return answer

    base_link: Any = COMPOSED["WebSocketBrainLink"]

    class Link(base_link):  # type: ignore[misc]
        def send(self, message: BrainMessage) -> bool:
            points: tuple[Point, Point] | None = None
            if isinstance(message, ResultReport):
                points = (Point.BEFORE_REPORT, Point.AFTER_REPORT)
            elif isinstance(message, CommandAck) and message.status == "ACCEPTED":
                points = (Point.BEFORE_ACKNOWLEDGEMENT, Point.AFTER_ACKNOWLEDGEMENT)
            if points is not None:
                switch.passing(points[0])
            sent: bool = super().send(message)
            if points is not None:
                switch.passing(points[1])
            return sent

    JOURNAL["JournalThread"] = Thread
    COMPOSED["ZmqBroker"] = Broker
    COMPOSED["WebSocketBrainLink"] = Link
