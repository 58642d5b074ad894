"""The first schema: the event log with its chain, and the tables that views need."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text()
_WHOLE = sa.Integer()


def _required(name: str, kind: sa.Text | sa.Integer = _TEXT) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)


def _key(name: str, *more: sa.ForeignKey) -> sa.Column[object]:
    return sa.Column(name, _WHOLE, *more, primary_key=True, autoincrement=False)


def upgrade() -> None:
    """Create everything; the head stands at row 0."""
    op.create_table(
        "events",
        _key("seq"),
        _required("at"),
        _required("kind"),
        sa.Column("command_id", _TEXT),
        _required("payload"),
        _required("prev_hash"),
        _required("hash"),
    )
    op.create_index(
        "events_of_command", "events", ["command_id"], sqlite_where=sa.text("command_id IS NOT NULL")
    )
    op.create_index(
        "events_of_state", "events", ["seq"], sqlite_where=sa.text("kind = 'TradingStateChanged'")
    )
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_no_{act.lower()} BEFORE {act} ON events "
            "BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
        )

    op.create_table("chain_head", _key("id"), _required("seq", _WHOLE), _required("hash"))
    op.execute(f"INSERT INTO chain_head (id, seq, hash) VALUES (1, 0, '{'0' * 64}')")

    op.create_table(
        "commands",
        _key("seq", sa.ForeignKey("events.seq")),
        sa.Column("id", _TEXT, nullable=False, unique=True),
        _required("fingerprint"),
        *[
            sa.Column(name, _TEXT)
            for name in (
                "action", "symbol", "side", "volume", "ticket", "magic", "strategy_id", "account", "priority", "origin",
            )
        ],
        _required("state"),
        _required("final", _WHOLE),
        _required("received_at"),
        *[
            sa.Column(name, _TEXT)
            for name in ("issued_at", "expires_at", "dispatched_at", "tag", "answered_at", "finished_at")
        ],
        sa.Column("finished_seq", _WHOLE),
        sa.Column("outcome", _TEXT),
        sa.Column("code", _TEXT),
        sa.Column("retcode", _WHOLE),
        *[sa.Column(name, _TEXT) for name in ("result_ticket", "price", "slippage", "done_volume")],
        sa.Column("execution_time", _WHOLE),
        sa.Column("message", _TEXT),
    )  # fmt: skip
    op.create_index("commands_unfinished", "commands", ["seq"], sqlite_where=sa.text("final = 0"))
    op.create_index(
        "commands_finished", "commands", ["finished_seq"], sqlite_where=sa.text("finished_seq IS NOT NULL")
    )

    op.create_table(
        "outbox",
        _key("id"),
        sa.Column("command_id", _TEXT, sa.ForeignKey("commands.id"), nullable=False),
        sa.Column("event_seq", _WHOLE, sa.ForeignKey("events.seq"), nullable=False),
        _required("result"),
        _required("created_at"),
        sa.Column("acknowledged_at", _TEXT),
    )
    op.create_index(
        "outbox_unacknowledged", "outbox", ["id"], sqlite_where=sa.text("acknowledged_at IS NULL")
    )

    op.create_table(
        "sessions",
        _key("seq", sa.ForeignKey("events.seq")),
        _required("peer"),
        _required("session_id"),
        _required("opened_at"),
        sa.Column("plain", _WHOLE),
        sa.Column("clock_offset", sa.REAL()),
        *[sa.Column(name, _TEXT) for name in ("boot", "login", "terminal", "closed_at", "reason")],
    )
    op.create_index("sessions_open", "sessions", ["session_id"], sqlite_where=sa.text("closed_at IS NULL"))

    op.create_table(
        "equity_samples",
        _key("seq", sa.ForeignKey("events.seq")),
        *[
            _required(name)
            for name in (
                "at", "account", "broker_day", "balance", "equity", "day_start_equity", "peak_equity", "deposits",
            )
        ],
    )  # fmt: skip
    op.create_index("equity_of_account", "equity_samples", ["account", "seq"])

    op.create_table(
        "limits",
        sa.Column("name", _TEXT, primary_key=True),
        _required("message"),
        _required("tripped_at"),
        sa.Column("seq", _WHOLE, sa.ForeignKey("events.seq"), nullable=False),
    )
