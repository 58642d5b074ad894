"""One group commit: events turned into the rows of every table, then written in one transaction.

The tables beside `events` are projections; what each event does to them stands here and nowhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.adapters import journal_schema as sql
from app.adapters.event_codec import EncodedEvent, encode_result, instant_text
from app.adapters.journal_chain import chain_hash
from app.domain import events as ev
from app.domain.command_states import TRANSITIONS, CommandState
from app.domain.commands import PlaceOrder, TradeCommand
from app.domain.errors import JournalFailed
from app.domain.results import CommandResult


def _target_states() -> dict[type[ev.Event], CommandState]:
    """What each event makes of a command. The table gives one answer for every event, whatever the state before."""
    targets: dict[type[ev.Event], CommandState] = {}
    for arrows in TRANSITIONS.values():
        for event, target in arrows.items():
            if targets.setdefault(event, target) is not target:
                raise TypeError(
                    f"{event.__name__} leads to more than one state: the projection must know the state before"
                )
    return targets


_TARGETS = _target_states()
_RESULT_EVENTS = (
    ev.CommandRefused,
    ev.CommandExpired,
    ev.CommandWithdrawn,
    ev.CommandStopped,
    ev.CommandExecuted,
    ev.CommandPartlyExecuted,
    ev.CommandRejected,
    ev.OutcomeUnknown,
    ev.LeftToOperator,
)

_NO_RESULT = (None,) * 6
_NOTHING_YET = (None,) * 14
_COLUMNS = [column.name for column in sql.commands.columns]
_FINAL = _COLUMNS.index("final")
_QUEUED = (_COLUMNS.index("state"),)
_DISPATCHED = tuple([_COLUMNS.index(name) for name in sql.DISPATCH_COLUMNS])
_FINISHED = tuple([_COLUMNS.index(name) for name in sql.RESULT_COLUMNS])


def result_of(event: ev.Event) -> CommandResult | None:
    """The result an event carries to the outbox."""
    return event.result if isinstance(event, _RESULT_EVENTS) else None


@dataclass(slots=True)
class Position:
    """Where the journal stands: what the next rows follow."""

    seq: int
    hash: str
    outbox_id: int


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _of_command(command: TradeCommand | None) -> tuple[Any, ...]:
    """The columns action … origin of `commands`."""
    if command is None:
        return (None,) * 10
    action = command.action
    side = action.kind.side if isinstance(action, PlaceOrder) else getattr(action, "side", None)
    return (
        command.action_name,
        _text(command.symbol),
        None if side is None else side.name,
        _text(command.volume),
        _text(command.ticket),
        _text(getattr(action, "magic", None)),
        command.strategy_id,
        command.account,
        command.priority.name,
        command.origin.name,
    )


class Batch:
    """Collects the rows of a group; `write` puts them into the open transaction and gives the new position."""

    def __init__(self, position: Position) -> None:
        self._seq = position.seq
        self._hash = position.hash
        self._outbox_id = position.outbox_id
        self.events: list[tuple[Any, ...]] = []
        self._received: list[list[Any]] = []
        self._new: dict[str, list[Any]] = {}
        """Rows of commands that arrived in this group: what happens to them in it is folded into their one INSERT."""
        self._refused: list[str] = []
        self._queued: list[tuple[Any, ...]] = []
        self._dispatched: list[tuple[Any, ...]] = []
        self._finished: list[tuple[Any, ...]] = []
        self._outbox: list[tuple[Any, ...]] = []
        self._acknowledged: list[tuple[Any, ...]] = []
        self._opened: list[tuple[Any, ...]] = []
        self._closed: list[tuple[Any, ...]] = []
        self._equity: list[tuple[Any, ...]] = []
        # Tripping and re-enabling the same limit may meet in one group: their order is kept.
        self._limits: list[tuple[sql.Statement, tuple[Any, ...]]] = []

    def add(self, event: ev.Event, row: EncodedEvent) -> int | None:
        """Take an event; the outbox id of its result, if it carries one."""
        self._seq += 1
        seq = self._seq
        kind, at, command_id, payload = row
        digest = chain_hash(self._hash, seq, at, kind, command_id, payload)
        self.events.append((seq, at, kind, command_id, payload, self._hash, digest))
        self._hash = digest
        match event:
            case ev.CommandReceived():
                command = event.command
                fresh = [
                    seq,
                    command_id,
                    event.fingerprint,
                    *_of_command(command),
                    "RECEIVED",
                    0,
                    at,
                    None if command is None else instant_text(command.issued_at),
                    None if command is None else instant_text(command.expires_at),
                    *_NOTHING_YET,
                ]
                self._received.append(fresh)
                self._new[event.command_id] = fresh
            case ev.CommandQueued():
                self._change(self._queued, _QUEUED, ("QUEUED", command_id))
            case ev.CommandDispatched():
                self._change(self._dispatched, _DISPATCHED, ("DISPATCHED", at, event.tag, command_id))
            case ev.CommandTurnedAway():
                self._change(
                    self._finished,
                    _FINISHED,
                    ("TURNED_AWAY", 1, at, at, seq, None, event.code, *_NO_RESULT, event.message, command_id),
                )
            case ev.ResultsAcknowledged():
                self._acknowledged.extend((at, outbox_id) for outbox_id in event.outbox_ids)
            case ev.BrainSessionOpened():
                self._opened.append(
                    (seq, "brain", event.session_id, at, int(event.plain), event.clock_offset, *(None,) * 5)
                )
            case ev.TerminalSessionOpened():
                self._opened.append(
                    (
                        seq,
                        "terminal",
                        event.session_id,
                        at,
                        None,
                        None,
                        event.boot,
                        event.login,
                        event.terminal,
                        None,
                        None,
                    )
                )
            case ev.BrainSessionClosed():
                self._closed.append((at, event.reason, event.session_id, "brain"))
            case ev.TerminalSessionLost():
                self._closed.append((at, event.reason, event.session_id, "terminal"))
            case ev.EquitySampled():
                self._equity.append(
                    (
                        seq,
                        at,
                        event.account,
                        event.broker_day,
                        str(event.balance),
                        str(event.equity),
                        str(event.day_start_equity),
                        str(event.peak_equity),
                        str(event.deposits),
                    )
                )
            case ev.LimitTripped():
                self._limits.append((sql.TRIP_LIMIT, (event.limit, event.message, at, seq)))
            case ev.LimitReenabled():
                self._limits.append((sql.REENABLE_LIMIT, (event.limit,)))
        result = result_of(event)
        if result is None:
            return None
        return self._take_result(event, result, seq, at)

    def _take_result(self, event: ev.Event, result: CommandResult, seq: int, at: str) -> int:
        state = _TARGETS[type(event)]
        final = state.final
        self._change(
            self._finished,
            _FINISHED,
            (
                state.name,
                int(final),
                at,
                at if final else None,
                seq if final else None,
                result.outcome.name,
                result.code,
                result.retcode,
                _text(result.ticket),
                _text(result.price),
                _text(result.slippage),
                _text(result.volume),
                result.execution_time,
                result.message,
                result.command_id,
            ),
        )
        self._outbox_id += 1
        self._outbox.append((self._outbox_id, result.command_id, seq, encode_result(result), at, None))
        return self._outbox_id

    def _change(
        self, updates: list[tuple[Any, ...]], columns: Sequence[int], values: tuple[Any, ...]
    ) -> None:
        """`values` for `columns` of the command whose id stands last in `values`."""
        row = self._new.get(values[-1])
        if row is None:
            updates.append(values)
        elif row[_FINAL]:
            self._refused.append(values[-1])
        else:
            for column, value in zip(columns, values, strict=False):
                row[column] = value

    def write(self, cursor: sqlite3.Cursor) -> Position:
        """Put everything into the open transaction of `cursor`. Raises JournalFailed for an event that cannot follow."""
        if not self.events:
            return Position(self._seq, self._hash, self._outbox_id)
        if self._refused:
            raise JournalFailed(_impossible(self._refused))
        sql.INSERT_EVENT.run(cursor, self.events)
        if self._received:
            sql.INSERT_COMMAND.run(cursor, self._received)
        # A command goes through these tables in this order, so statement by statement is event by event.
        for statement, rows in (
            (sql.QUEUE_COMMAND, self._queued),
            (sql.DISPATCH_COMMAND, self._dispatched),
            (sql.FINISH_COMMAND, self._finished),
        ):
            if rows and statement.run(cursor, rows) != len(rows):
                raise JournalFailed(_impossible([row[-1] for row in rows]))
        for statement, rows in (
            (sql.INSERT_OUTBOX, self._outbox),
            (sql.ACKNOWLEDGE, self._acknowledged),
            (sql.INSERT_SESSION, self._opened),
            (sql.CLOSE_SESSION, self._closed),
            (sql.INSERT_EQUITY, self._equity),
        ):
            if rows:
                statement.run(cursor, rows)
        for statement, row in self._limits:
            statement.run(cursor, [row])
        sql.MOVE_HEAD.run(cursor, [(self._seq, self._hash)])
        return Position(self._seq, self._hash, self._outbox_id)


def _impossible(commands: Sequence[str]) -> str:
    ids = ", ".join(sorted(set(commands)))
    return f"an event was to be written for a command that the journal does not hold or that is finished already (of {ids})"
