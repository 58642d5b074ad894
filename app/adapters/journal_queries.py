"""What can be asked of a journal's tables, over any connection to it: the engine's own or a reader's.

Only SELECT. Records of commands are replayed from their events, never read from the projection.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, select

from app.adapters.event_codec import decode_event, decode_result, instant, instant_text
from app.adapters.journal_batch import Position
from app.adapters.journal_chain import ChainRow
from app.adapters.journal_schema import chain_head, commands, equity_samples, events, limits, outbox, sessions
from app.domain import events as ev
from app.domain.command_record import CommandRecord
from app.domain.command_states import TRANSITIONS
from app.domain.errors import IllegalTransition, JournalDamaged
from app.domain.results import Outcome
from app.domain.trading_state import TradingState, TradingStatus
from app.domain.values import CommandId, Ticket
from app.engine.ports import JournalRow, OutboxItem

Kind = TypeVar("Kind", bound=ev.Event)
_MOST_NAMES = 500
"""In one IN list: SQLite takes a limited number of variables."""
_MOST_STEPS = 400
_COMMAND_KINDS = frozenset(kind.__name__ for arrows in TRANSITIONS.values() for kind in arrows)
_ALERT_KINDS = (ev.AlertRaised.__name__, ev.AlertAcknowledged.__name__)
_ALERTS_WITHIN = 50_000
"""Rows that are looked through for alerts at a start: some tens of milliseconds."""
_EVENT_COLUMNS = (events.c.kind, events.c.at, events.c.command_id, events.c.payload)


def position(connection: Connection) -> Position:
    """Where the journal stands. Raises JournalDamaged if head, events and outbox do not agree on it."""
    head = connection.execute(select(chain_head.c.seq, chain_head.c.hash)).one_or_none()
    last = connection.execute(
        select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
    ).one_or_none()
    if head is None or tuple(head) != (tuple(last) if last is not None else (0, head.hash)):
        raise JournalDamaged("the last row of the journal is not the one that was written last")
    newest = connection.execute(select(outbox.c.id).order_by(outbox.c.id.desc()).limit(1)).scalar()
    return Position(head.seq, head.hash, newest or 0)


def known_ids(connection: Connection) -> Iterator[str]:
    """Every command id there ever was."""
    yield from connection.execute(select(commands.c.id)).scalars()


def _replay(rows: Iterable[Row[Any]]) -> tuple[CommandRecord, ...]:
    """Records by the order in which their commands were received."""
    records: dict[str, CommandRecord] = {}
    for row in rows:
        kind, at, command_id, payload = row.kind, row.at, row.command_id, row.payload
        if kind == ev.CommandReceived.__name__:
            received = decode_event(kind, at, command_id, payload)
            if isinstance(received, ev.CommandReceived):
                records[command_id] = CommandRecord.received(received)
        elif kind in _COMMAND_KINDS:
            event: Any = decode_event(kind, at, command_id, payload)
            try:
                records[command_id].apply(event)
            except (KeyError, IllegalTransition) as fault:
                raise JournalDamaged(f"the history of command {command_id} makes no sense: {fault}") from None
    return tuple(records.values())


def command(connection: Connection, command_id: CommandId) -> CommandRecord | None:
    """The record of one command."""
    query = select(*_EVENT_COLUMNS).where(events.c.command_id == str(command_id)).order_by(events.c.seq)
    return next(iter(_replay(connection.execute(query))), None)


def _records_of(connection: Connection, ids: Select[Any]) -> tuple[CommandRecord, ...]:
    query = select(*_EVENT_COLUMNS).where(events.c.command_id.in_(ids)).order_by(events.c.seq)
    return _replay(connection.execute(query))


def unfinished(connection: Connection) -> tuple[CommandRecord, ...]:
    """Commands in no final state, oldest first."""
    return _records_of(connection, select(commands.c.id).where(commands.c.final == 0))


def recent(connection: Connection, limit: int) -> tuple[CommandRecord, ...]:
    """Commands that finished last, newest first."""
    newest = (
        select(commands.c.id)
        .where(commands.c.finished_seq.is_not(None))
        .order_by(commands.c.finished_seq.desc())
        .limit(limit)
    )
    order = {name: number for number, name in enumerate(connection.execute(newest).scalars())}
    return tuple(sorted(_records_of(connection, newest), key=lambda record: order[record.command_id]))


def unacknowledged(connection: Connection, after: int, limit: int) -> tuple[OutboxItem, ...]:
    """Outbox rows above `after` that the brain has not confirmed."""
    query = (
        select(outbox.c.id, outbox.c.created_at, outbox.c.result)
        .where(outbox.c.acknowledged_at.is_(None), outbox.c.id > after)
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return tuple(
        OutboxItem(row.id, instant(row.created_at), decode_result(row.result))
        for row in connection.execute(query)
    )


def last_equity(connection: Connection, account: str) -> ev.EquitySampled | None:
    """The newest sample of an account."""
    table = equity_samples.c
    query = select(equity_samples).where(table.account == account).order_by(table.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _sampled(row)


def equity_since(connection: Connection, account: str, since: datetime) -> tuple[ev.EquitySampled, ...]:
    """Samples of an account from `since` on, oldest first."""
    table = equity_samples.c
    query = (
        select(equity_samples)
        .where(table.account == account, table.at >= instant_text(since))
        .order_by(table.seq)
    )
    return tuple(_sampled(row) for row in connection.execute(query))


def _sampled(row: Row[Any]) -> ev.EquitySampled:
    return ev.EquitySampled(
        at=instant(row.at),
        account=row.account,
        broker_day=row.broker_day,
        balance=Decimal(row.balance),
        equity=Decimal(row.equity),
        day_start_equity=Decimal(row.day_start_equity),
        peak_equity=Decimal(row.peak_equity),
        deposits=Decimal(row.deposits),
    )


def last_status(connection: Connection) -> TradingStatus | None:
    """The trading state as last journalled."""
    event = _last(connection, ev.TradingStateChanged, "a change of the trading state cannot be read")
    if event is None:
        return None
    return TradingStatus(event.state, event.epoch, event.reason, event.by, event.at)


def _last(connection: Connection, kind: type[Kind], unreadable: str) -> Kind | None:
    """The newest event of one kind. Raises JournalDamaged with `unreadable` if it is none."""
    query = (
        select(*_EVENT_COLUMNS).where(events.c.kind == kind.__name__).order_by(events.c.seq.desc()).limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    event = decode_event(*row)
    if not isinstance(event, kind):
        raise JournalDamaged(unreadable)
    return event


def last_login(connection: Connection) -> str | None:
    """The account of the terminal's last session."""
    query = (
        select(sessions.c.login).where(sessions.c.peer == "terminal").order_by(sessions.c.seq.desc()).limit(1)
    )
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def recent_alerts(connection: Connection, limit: int) -> tuple[ev.Event, ...]:
    """Alerts and their acknowledgements among the last rows, oldest first. What lies further back is no news any more."""
    last = select(chain_head.c.seq).scalar_subquery()
    query = (
        select(*_EVENT_COLUMNS)
        .where(events.c.seq > last - _ALERTS_WITHIN, events.c.kind.in_(_ALERT_KINDS))
        .order_by(events.c.seq.desc())
        .limit(limit)
    )
    return tuple(decode_event(*row) for row in reversed(connection.execute(query).all()))


def tripped_limits(connection: Connection) -> Mapping[str, str]:
    """Latched limits: name -> message, in the order they tripped."""
    query = select(limits.c.name, limits.c.message).order_by(limits.c.seq)
    return {row.name: row.message for row in connection.execute(query)}


def limits_in_force(connection: Connection) -> Mapping[str, str] | None:
    """All limits as last journalled. There is a row at every start: the search goes back one run at most."""
    event = _last(connection, ev.LimitsInForce, "the limits in force cannot be read")
    return None if event is None else {limit.name: limit.value for limit in event.limits}


def taken_over(connection: Connection) -> frozenset[CommandId]:
    """Acknowledged by a person and not settled since."""
    query = select(events.c.command_id).where(
        events.c.command_id.in_(select(commands.c.id).where(commands.c.final == 0)),
        events.c.kind == ev.UnknownAcknowledged.__name__,
    )
    return frozenset(CommandId(found) for found in connection.execute(query).scalars())


def stop_steps(connection: Connection) -> tuple[ev.StopStepTaken, ...]:
    """Since the last trading state that was not HALTED: while it is, little else is written."""
    states = (
        select(events.c.seq, *_EVENT_COLUMNS)
        .where(events.c.kind == ev.TradingStateChanged.__name__)
        .order_by(events.c.seq.desc())
    )
    since = 0
    for row in connection.execute(states):
        event = decode_event(row.kind, row.at, row.command_id, row.payload)
        if isinstance(event, ev.TradingStateChanged) and event.state is not TradingState.HALTED:
            since = row.seq
            break
    query = (
        select(*_EVENT_COLUMNS)
        .where(events.c.seq > since, events.c.kind == ev.StopStepTaken.__name__)
        .order_by(events.c.seq.desc())
        .limit(_MOST_STEPS)
    )
    found = [decode_event(*row) for row in connection.execute(query)]
    return tuple(step for step in reversed(found) if isinstance(step, ev.StopStepTaken))


def entries(
    connection: Connection, tags: Collection[str], tickets: Collection[Ticket]
) -> tuple[Mapping[str, str | None], Mapping[Ticket, str | None]]:
    """Entries of ours by tag and by result ticket, each with its strategy.

    Neither column has an index of its own: asked once after a start, not for each trade.
    """
    table = commands.c
    by_tag: dict[str, str | None] = {}
    by_ticket: dict[Ticket, str | None] = {}
    is_entry = table.action.in_(("OPEN_POSITION", "PLACE_ORDER"))
    query = select(table.strategy_id, table.tag, table.result_ticket)
    for column, wanted in ((table.tag, list(tags)), (table.result_ticket, [str(one) for one in tickets])):
        for start in range(0, len(wanted), _MOST_NAMES):
            some = column.in_(wanted[start : start + _MOST_NAMES])
            for row in connection.execute(query.where(is_entry, some)):
                if row.tag is not None:
                    by_tag[row.tag] = row.strategy_id
                if row.result_ticket is not None:
                    by_ticket[Ticket(row.result_ticket)] = row.strategy_id
    return by_tag, by_ticket


def rows(
    connection: Connection, *, after: int = 0, limit: int = 500, command_id: str | None = None
) -> tuple[JournalRow, ...]:
    """Rows of the event log above `after`."""
    query = select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
    if command_id is not None:
        query = query.where(events.c.command_id == str(command_id))
    return tuple(
        JournalRow(row.seq, instant(row.at), row.kind, row.command_id, json.loads(row.payload), row.hash)
        for row in connection.execute(query)
    )


def chain_page(
    connection: Connection, after: int, limit: int
) -> tuple[list[ChainRow], tuple[int, str] | None]:
    """Rows as they are stored, and the head as the journal itself remembers it, in one transaction."""
    # From the very first row, even one numbered 0 or below, which nobody but a forger would write.
    query = select(events).order_by(events.c.seq).limit(limit)
    if after:
        query = query.where(events.c.seq > after)
    found = [ChainRow(*row) for row in connection.execute(query)]
    row = connection.execute(select(chain_head.c.seq, chain_head.c.hash)).one_or_none()
    return found, None if row is None else (row.seq, row.hash)


# ------------------------------------------------------------------ lists for people


@dataclass(frozen=True, slots=True)
class CommandFilter:
    """Which commands a list or an export takes; None: all."""

    day: date | None = None
    """UTC day on which it was received."""
    symbol: str | None = None
    strategy: str | None = None
    outcome: Outcome | None = None


def command_rows(
    connection: Connection,
    wanted: CommandFilter,
    *,
    after: int = 0,
    limit: int = 500,
    newest_first: bool = False,
) -> list[dict[str, Any]]:
    """Rows of the `commands` table as they stand, by the order received, above row number `after`."""
    table = commands.c
    query = select(commands).limit(limit)
    query = query.order_by(table.seq.desc() if newest_first else table.seq).where(table.seq > after)
    if wanted.day is not None:
        query = query.where(table.received_at.startswith(wanted.day.isoformat()))
    if wanted.symbol is not None:
        query = query.where(table.symbol == wanted.symbol)
    if wanted.strategy is not None:
        query = query.where(table.strategy_id == wanted.strategy)
    if wanted.outcome is not None:
        query = query.where(table.outcome == wanted.outcome.name)
    return [dict(row._mapping) for row in connection.execute(query)]
