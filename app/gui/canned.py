"""Pictures of an engine that never ran: for screenshots and tests of the window. All figures are invented and add up."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from math import sin
from typing import Any

from app.api.schemas import AlertModel, CommandHistoryModel, JournalRowModel, SnapshotModel, StopReceiptModel
from app.gui.canned_parts import (
    ACCOUNT,
    AT,
    COUNTERS,
    PERMISSIONS,
    alert,
    commands,
    counters,
    limits,
    link,
    orders,
    position,
    quotes,
)


def connected() -> SnapshotModel:
    """A quiet day: five positions, two orders, all links up."""
    return SnapshotModel.model_validate(
        {
            "at": AT,
            "executor_id": "exec_001",
            "version": "0.1.0",
            "ready": True,
            "status": {
                "state": "ACTIVE",
                "epoch": 7,
                "reason": "operator: resumed",
                "by": "operator",
                "since": AT - timedelta(hours=5),
            },
            "links": (
                link("brain", "up", "s_1", 41.0),
                link("terminal", "up", "EA 1.0", 0.6),
                link("broker", "up", "Broker-Demo", None),
                link("journal", "up", "durable", 0.3),
            ),
            "account": ACCOUNT,
            "permissions": PERMISSIONS,
            "daily_profit": Decimal("182.17"),
            "queue_depth": 0,
            "unknown_commands": ("cmd-9f1b",),
            "limits": limits(),
            "latencies": (
                {"hop": "queue", "count": 1000, "p50": 0.2, "p95": 0.6, "p99": 1.4},
                {"hop": "broker", "count": 1000, "p50": 86.0, "p95": 160.0, "p99": 238.0},
                {"hop": "total", "count": 1000, "p50": 88.0, "p95": 164.0, "p99": 241.0},
            ),
            "counters": counters(
                received=1284, accepted=1270, executed=1241, refused=21, rejected=3, expired=4
            ),
            "unsigned_allowed": False,
            "server_utc_offset": 7200,
            "positions": tuple(position(place) for place in range(5)),
            "orders": orders(),
            "quotes": quotes(),
            "commands": commands(),
            "alerts": (
                alert(
                    1, "warning", "OUTCOME_UNKNOWN", "cmd-9f1b has an unknown outcome; the terminal is asked"
                ),
            ),
            "alert_targets": ({"name": "1 tgram", "sent": 3, "dropped": 0, "fault": None},),
        }
    )


def first_start() -> SnapshotModel:
    """An engine without brain, terminal or account."""
    picture = connected()
    return picture.model_copy(
        update={
            "ready": False,
            "links": (
                link("brain", "down", "no brain is configured (medulla pair CODE)", None),
                link("terminal", "connecting", "not connected", None),
                link("broker", "down", "unknown without the terminal", None),
                link("journal", "up", "durable", 0.4),
            ),
            "account": None,
            "permissions": None,
            "daily_profit": None,
            "unknown_commands": (),
            "alerts": (),
            "limits": tuple(
                limit.model_copy(update={"now": Decimal(0), "state": "ok"}) for limit in limits()
            ),
            "latencies": (),
            "counters": connected().counters.model_copy(update=dict.fromkeys(COUNTERS, 0)),
            "positions": (),
            "orders": (),
            "quotes": (),
            "commands": (),
        }
    )


def empty() -> SnapshotModel:
    """Everything connected, nothing traded yet."""
    picture = connected()
    account = picture.account
    flat = Decimal("10391.40")
    return first_start().model_copy(
        update={
            "ready": True,
            "links": picture.links,
            "account": None
            if account is None
            else account.model_copy(
                update={
                    "equity": flat,
                    "free_margin": flat,
                    "margin": Decimal(0),
                    "floating": Decimal(0),
                    "margin_level": None,
                }
            ),
            "permissions": picture.permissions,
            "daily_profit": Decimal(0),
            "quotes": picture.quotes,
        }
    )


def degraded() -> SnapshotModel:
    """The brain comes back, the account may not trade."""
    picture = connected()
    missing = ("Algo Trading is switched off in the terminal",)
    permissions = picture.permissions
    return picture.model_copy(
        update={
            "links": (
                link("brain", "connecting", "connecting", None),
                link("terminal", "up", "EA 1.0", 0.6),
                link("broker", "degraded", f"missing: {missing[0]}", None),
                link("journal", "up", "durable", 0.3),
            ),
            "permissions": None
            if permissions is None
            else permissions.model_copy(update={"ea_trade_allowed": False, "missing": missing}),
            "warnings": (
                "safety.max_volume_per_order: not set; one order may be as large as the margin allows",
            ),
        }
    )


def paused() -> SnapshotModel:
    picture = connected()
    status = picture.status.model_copy(
        update={"state": "REDUCING", "reason": "desktop: paused in the window"}
    )
    return picture.model_copy(update={"status": status})


def halted() -> SnapshotModel:
    """Stopped by hand, four orders cancelled, five positions kept."""
    picture = connected()
    status = picture.status.model_copy(
        update={"state": "HALTED", "reason": "emergency stop pressed in the window", "since": AT}
    )
    return picture.model_copy(update={"status": status, "orders": picture.orders[:1]})


def halted_receipt() -> StopReceiptModel:
    return StopReceiptModel(
        latched=True,
        epoch=7,
        reason="emergency stop pressed in the window",
        by="operator",
        at=AT,
        proofs=(
            "latched",
            "terminal acknowledged",
            "latch on disk",
            "queue drained: 37",
            "pending orders left: 1",
            "open positions: 5",
        ),
        todo=(),
    )


def limit_tripped() -> SnapshotModel:
    """The day's loss limit has latched."""
    picture = connected()
    account = picture.account
    tripped: dict[str, dict[str, Any]] = {
        "daily_loss": {"now": Decimal("312.40"), "state": "latched"},
        "drawdown": {"now": Decimal("3.97")},
    }
    return picture.model_copy(
        update={
            "daily_profit": Decimal("-312.40"),
            "account": None
            if account is None
            else account.model_copy(update={"equity": Decimal("9987.60"), "free_margin": Decimal("9208.28")}),
            "limits": tuple(limit.model_copy(update=tripped.get(limit.name, {})) for limit in limits()),
            "unknown_commands": (),
            "alerts": (
                AlertModel.model_validate(
                    alert(
                        0,
                        "critical",
                        "DAILY_LOSS",
                        "loss 312.40 of the broker's day is above max_daily_loss 300.00; entries are refused until a "
                        "person re-enables 'daily_loss'",
                    )
                ),
                *picture.alerts,
            ),
        }
    )


def many_positions(number: int = 200) -> SnapshotModel:
    """The heaviest that the window must carry."""
    picture = connected()
    account = picture.account
    return picture.model_copy(
        update={
            "positions": tuple(position(place) for place in range(number)),
            "account": account,
            "limits": tuple(
                limit.model_copy(update={"limit": Decimal(250), "now": Decimal(number), "state": "warning"})
                if limit.name == "positions"
                else limit
                for limit in limits()
            ),
        }
    )


def moved(picture: SnapshotModel, step: int) -> SnapshotModel:
    """The same, a moment later: prices and profits have moved. Deterministic."""
    shift = Decimal(round(14 * sin(step / 5) + 7 * sin(step / 2.3)))
    return picture.model_copy(
        update={
            "at": picture.at + timedelta(milliseconds=50 * step),
            "quotes": tuple(
                quote.model_copy(
                    update={
                        "bid": quote.bid + shift.scaleb(_exponent(quote.bid)),
                        "ask": quote.ask + shift.scaleb(_exponent(quote.bid)),
                    }
                )
                for quote in picture.quotes
            ),
            "positions": tuple(
                position.model_copy(update={"profit": position.profit + shift / 10})
                for position in picture.positions
            ),
        }
    )


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def history() -> CommandHistoryModel:
    """A close from its arrival to its result, as the journal has it."""
    command_id, received = "cmd-9f20", AT - timedelta(seconds=2)
    steps: tuple[tuple[str, int, dict[str, Any]], ...] = (
        (
            "CommandReceived",
            0,
            {"action": "CLOSE_POSITION", "ticket": "10001231", "volume": "0.10", "strategy": "ma_cross"},
        ),
        ("CommandQueued", 0, {}),
        ("CommandDispatched", 1, {"tag": "M9f20", "attempt": 1}),
        ("CommandExecuted", 92, {"price": "1.08551", "volume": "0.10", "deal": "20004711", "retcode": 10009}),
    )
    return CommandHistoryModel(
        command_id=command_id,
        state="EXECUTED",
        received_at=received,
        dispatched_at=received + timedelta(milliseconds=1),
        tag="M9f20",
        results=(),
        rows=tuple(
            JournalRowModel(
                seq=48_207 + place,
                at=received + timedelta(milliseconds=after),
                kind=kind,
                command_id=command_id,
                payload=payload,
                hash=sha256(f"{command_id}{place}".encode()).hexdigest(),
            )
            for place, (kind, after, payload) in enumerate(steps)
        ),
    )
