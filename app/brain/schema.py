"""The brain's tables. `commands` and `executor_sessions` have the columns that the platform's architecture gives them.

JSON is kept as text, so that a command can be sent again byte for byte; times are UTC. No query belongs here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class CommandStatus(Enum):
    """How far a command has come, as the brain knows it. Stored by value."""

    PENDING = "pending"
    """Durable here; not sent by this process yet."""
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    """The executor has it on disk; exactly one result follows (after UNKNOWN, one more)."""
    EXECUTED = "executed"
    """In full or in part; the outcome stands in `result`."""
    FAILED = "failed"
    """Certainly nothing was done: rejected, expired, withdrawn, stopped."""
    REFUSED = "refused"
    """Turned away by the executor before its queue; no result follows."""
    UNKNOWN = "unknown"
    """The executor does not know either, yet; one more result follows."""
    OPERATOR = "operator"
    """The machines cannot know; a person looks at the account."""
    UNANSWERED = "unanswered"
    """Expired without an acknowledgement. A later answer or STATE still settles it."""

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = frozenset(
    {CommandStatus.EXECUTED, CommandStatus.FAILED, CommandStatus.REFUSED, CommandStatus.OPERATOR}
)


class UtcTime(TypeDecorator[datetime]):
    """Stored without a zone (SQLite has none), always meant in UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None


metadata = MetaData()

commands = Table(
    "commands",
    metadata,
    Column("id", String, primary_key=True),
    Column("strategy_id", String, nullable=False),
    Column("executor_id", String),
    Column("type", String, nullable=False),
    # The frame's exact text: what is sent again after a restart has to be the same bytes under the same signature.
    Column("payload", Text, nullable=False),
    Column("status", String, nullable=False, server_default="pending"),
    Column("priority", String, nullable=False, server_default="normal"),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("acknowledged_at", UtcTime),
    Column("executed_at", UtcTime),
    Column("result", Text),
    Column("retry_count", Integer, nullable=False, server_default="0"),
    Index("commands_by_state", "executor_id", "status"),
)

executor_sessions = Table(
    "executor_sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("executor_id", String, nullable=False),
    Column("api_key_hash", String, nullable=False),
    Column("ip_address", String),
    Column("connected_at", UtcTime, nullable=False),
    Column("last_heartbeat", UtcTime),
    Column("disconnected_at", UtcTime),
    Column("status", String, nullable=False, server_default="online"),
)

command_results = Table(
    "command_results",
    metadata,
    # The protocol's key of deduplication (§5.2).
    Column("command_id", String, primary_key=True),
    Column("outcome", String, primary_key=True),
    Column("executor_id", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", String, primary_key=True),
    Column("executor_id", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)
