"""Pictures of an engine that never ran: for screenshots and tests of the window. All figures are invented and add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sin
from typing import Any

from app.api.schemas import (
    CommandModel,
    LimitModel,
    LinkModel,
    PositionModel,
    QuoteModel,
    SnapshotModel,
    StopReceiptModel,
)

AT = datetime(2026, 11, 20, 12, 3, 22, 418_000, tzinfo=UTC)
_SYMBOLS = (
    ("EURUSD", "1.08412", "1.08547", "1.08210", "1.08900"),
    ("GBPUSD", "1.27105", "1.26988", "1.27400", "1.26300"),
    ("USDJPY", "151.402", "151.377", "151.000", "152.100"),
    ("XAUUSD", "2341.18", "2343.02", "2335.00", "2360.00"),
    ("US500", "5214.3", "5217.4", None, "5180.0"),
)
_POSITIONS = (
    ("BUY", "0.50", "67.50", "-0.42", "ma_cross", 72),
    ("SELL", "0.30", "35.10", "0.00", "ai_001", 38),
    ("BUY", "0.20", "-3.30", "0.10", "ma_cross", 21),
    ("BUY", "0.10", "18.40", "-1.15", "ai_001", 9),
    ("SELL", "1.00", "-3.10", "0.00", "hedge", 2),
)
PERMISSIONS: dict[str, Any] = {
    "connected": True,
    "synchronised": True,
    "terminal_trade_allowed": True,
    "ea_trade_allowed": True,
    "account_trade_allowed": True,
    "account_expert_allowed": True,
    "investor_login": False,
    "missing": (),
}
ACCOUNT: dict[str, Any] = {
    "login": "5001234",
    "server": "Broker-Demo",
    "currency": "USD",
    "mode": "demo",
    "margin_mode": "hedging",
    "leverage": 100,
    "balance": Decimal("10391.40"),
    "credit": Decimal(0),
    "equity": Decimal("10482.17"),
    "margin": Decimal("779.32"),
    "free_margin": Decimal("9702.85"),
    "company": "Broker Ltd",
    "floating": Decimal("114.60"),
    "margin_level": Decimal("1345.04"),
}


def alert(minutes: int, severity: str, code: str, message: str, **more: object) -> dict[str, object]:
    """An alert of some minutes ago."""
    nothing = {"over_at": None, "acknowledged_at": None, "acknowledged_by": None}
    at = AT - timedelta(minutes=minutes)
    told = {
        "alert_id": f"a-{100 - minutes}",
        "at": at,
        "severity": severity,
        "code": code,
        "message": message,
    }
    return {**told, **nothing, **more}


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
                _link("brain", "up", "s_1", 41.0),
                _link("terminal", "up", "EA 1.0", 0.6),
                _link("broker", "up", "Broker-Demo", None),
                _link("journal", "up", "durable", 0.3),
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
            "counters": _counters(
                received=1284, accepted=1270, executed=1241, refused=21, rejected=3, expired=4
            ),
            "unsigned_allowed": False,
            "positions": tuple(_position(place) for place in range(5)),
            "orders": _orders(),
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
                _link("brain", "down", "no brain is configured (medulla pair CODE)", None),
                _link("terminal", "connecting", "not connected", None),
                _link("broker", "down", "unknown without the terminal", None),
                _link("journal", "up", "durable", 0.4),
            ),
            "account": None,
            "permissions": None,
            "daily_profit": None,
            "unknown_commands": (),
            "limits": tuple(
                limit.model_copy(update={"now": Decimal(0), "state": "ok"}) for limit in limits()
            ),
            "latencies": (),
            "counters": connected().counters.model_copy(update=dict.fromkeys(_COUNTERS, 0)),
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
                _link("brain", "connecting", "connecting", None),
                _link("terminal", "up", "EA 1.0", 0.6),
                _link("broker", "degraded", f"missing: {missing[0]}", None),
                _link("journal", "up", "durable", 0.3),
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
            "account": None if account is None else account.model_copy(update={"equity": Decimal("9987.60")}),
            "limits": tuple(limit.model_copy(update=tripped.get(limit.name, {})) for limit in limits()),
            "unknown_commands": (),
        }
    )


def many_positions(number: int = 200) -> SnapshotModel:
    """The heaviest that the window must carry."""
    picture = connected()
    account = picture.account
    return picture.model_copy(
        update={
            "positions": tuple(_position(place) for place in range(number)),
            "account": account,
            "limits": tuple(
                limit.model_copy(update={"limit": Decimal(250), "now": Decimal(number), "state": "warning"})
                if limit.name == "positions"
                else limit
                for limit in limits()
            ),
        }
    )


# ------------------------------------------------------------------ parts


def _link(name: str, state: str, detail: str, latency: float | None) -> LinkModel:
    return LinkModel(name=name, state=state, detail=detail, latency_ms=latency)


def limits() -> tuple[LimitModel, ...]:
    rows = (
        ("daily_loss", "0", "300", "ok"),
        ("drawdown", "1.9", "5", "ok"),
        ("positions", "7", "10", "ok"),
        ("exposure", "2.10", "2.50", "warning"),
        ("orders_per_second", "1", "10", "ok"),
        ("orders_per_minute", "24", "200", "ok"),
        ("consecutive_failures", "0", None, "ok"),
    )
    return tuple(
        LimitModel(
            name=name,
            now=Decimal(now),
            limit=None if limit is None else Decimal(limit),
            state=state,
            explanation=name.replace("_", " "),
        )
        for name, now, limit, state in rows
    )


_COUNTERS = (
    "received",
    "accepted",
    "turned_away",
    "duplicates",
    "executed",
    "partial",
    "rejected",
    "refused",
    "expired",
    "withdrawn",
    "stopped",
    "unknown",
    "operator",
)


def _counters(**known: int) -> dict[str, int]:
    return {name: known.get(name, 0) for name in _COUNTERS}


def _position(place: int) -> PositionModel:
    symbol, opened, now, stop, target = _SYMBOLS[place % 5]
    side, volume, profit, swap, strategy, minutes = _POSITIONS[place % 5]
    return PositionModel(
        ticket=str(10_001_234 + place * 2),
        identifier=str(10_001_234 + place * 2),
        symbol=symbol,
        side=side,
        volume=Decimal(volume),
        open_price=Decimal(opened),
        stop_loss=None if stop is None else Decimal(stop),
        take_profit=Decimal(target),
        swap=Decimal(swap),
        profit=Decimal(profit) + Decimal(place // 5) / 4,
        magic="7701",
        comment=strategy,
        opened_at=AT - timedelta(minutes=minutes + place),
        current_price=Decimal(now),
    )


def _orders() -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "ticket": str(10_001_250 + place),
            "symbol": symbol,
            "kind": kind,
            "volume": Decimal("0.20"),
            "price": Decimal(price),
            "stop_limit_price": None,
            "stop_loss": None,
            "take_profit": None,
            "expiration": AT + timedelta(hours=3),
            "magic": "7701",
            "comment": "hedge",
            "placed_at": AT - timedelta(minutes=14),
        }
        for place, (symbol, kind, price) in enumerate(
            (("GBPUSD", "BUY_LIMIT", "1.26500"), ("EURUSD", "SELL_STOP", "1.08000"))
        )
    )


def quotes() -> tuple[QuoteModel, ...]:
    wide = {"EURUSD": "0.00008", "GBPUSD": "0.00012", "USDJPY": "0.009", "XAUUSD": "0.22", "US500": "0.4"}
    return tuple(
        QuoteModel(
            symbol=symbol,
            bid=Decimal(now),
            ask=Decimal(now) + Decimal(wide[symbol]),
            time=AT - timedelta(seconds=12 if symbol == "US500" else 0),
            volume=10,
        )
        for symbol, _, now, _, _ in _SYMBOLS
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


def commands() -> tuple[CommandModel, ...]:
    rows: tuple[tuple[Any, ...], ...] = (
        ("cmd-9f21", 0.5, "HIGH", "OPEN_POSITION", "BUY", "0.10", "XAUUSD", None, "ai_001", "EXECUTED", 0.2, 86, "0.04"),
        ("cmd-9f20", 2, "LOW", "CLOSE_POSITION", None, "0.10", "EURUSD", "10001231", "ma_cross", "EXECUTED", 0.1, 91, "0.00002"),
        ("cmd-9f1e", 4.3, "NORMAL", "OPEN_POSITION", "SELL", "5.00", "EURUSD", None, "ai_001", "REFUSED", None, None, None),
        ("cmd-9f1b", 24.8, "LOW", "PLACE_ORDER", "BUY_LIMIT", "0.20", "GBPUSD", None, "hedge", "UNKNOWN", 0.4, None, None),
        ("cmd-9f19", 31.4, "CRITICAL", "CLOSE_ALL", None, None, "EURUSD", None, "risk", "EXECUTED", 0.1, 240, "0.00003"),
        ("cmd-9f18", 37.5, "NORMAL", "OPEN_POSITION", "BUY", "0.20", "USDJPY", None, "ma_cross", "EXPIRED", None, None, None),
        ("cmd-9f17", 52.1, "NORMAL", "OPEN_POSITION", "SELL", "0.30", "US500", None, "hedge", "REJECTED", 0.2, 44, None),
        ("cmd-9f12", 140.0, "NORMAL", "OPEN_POSITION", "SELL", "1.00", "US500", None, "hedge", "EXECUTED", 0.2, 63, "0.1"),
    )  # fmt: skip
    return tuple(_command(*row) for row in rows)


def _command(
    command_id: str,
    ago: float,
    priority: str,
    action: str,
    side: str | None,
    volume: str | None,
    symbol: str,
    ticket: str | None,
    strategy: str,
    state: str,
    queue: float | None,
    broker: float | None,
    slip: str | None,
) -> CommandModel:
    said = {
        "REFUSED": ("VOLUME_TOO_LARGE", None, "volume 5.00 is above max_volume_per_order 1.00"),
        "REJECTED": ("BROKER_REJECTED", 10018, "market closed"),
    }
    code, retcode, message = said.get(state, (None, None, None))
    result = {
        "command_id": command_id,
        "outcome": "REJECTED" if state == "REFUSED" else state,
        "execution_time": int(broker or 0),
        "ticket": {"cmd-9f21": "10001240", "cmd-9f12": "10001242"}.get(command_id),
        "price": None,
        "slippage": None if slip is None else Decimal(slip),
        "volume": volume,
        "requested_volume": volume,
        "code": code,
        "retcode": retcode,
        "message": message,
        "attempts": 1,
        "reconciled": False,
        "details": (),
    }
    return CommandModel.model_validate(
        {
            "command_id": command_id,
            "action": action,
            "symbol": symbol,
            "ticket": ticket,
            "volume": volume,
            "side": side,
            "priority": priority,
            "strategy_id": strategy,
            "state": state,
            "received_at": AT - timedelta(seconds=ago),
            "queue_ms": queue,
            "broker_ms": broker,
            "total_ms": None if broker is None else broker + 2,
            "result": None if state == "UNKNOWN" else result,
        }
    )
