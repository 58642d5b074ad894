"""What canned pictures are made of: positions, orders, quotes, limits, commands. All figures are invented; they add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.api.schemas import CommandModel, LimitModel, LinkModel, PositionModel, QuoteModel

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


def link(name: str, state: str, detail: str, latency: float | None) -> LinkModel:
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


COUNTERS = (
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


def counters(**known: int) -> dict[str, int]:
    return {name: known.get(name, 0) for name in COUNTERS}


def position(place: int) -> PositionModel:
    symbol, opened, now, stop, target = _SYMBOLS[place % 5]
    side, volume, profit, swap, _strategy, minutes = _POSITIONS[place % 5]
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
        comment=f"M{place + 0x9E04:x}",
        opened_at=AT - timedelta(minutes=minutes + place),
        current_price=Decimal(now),
    )


def orders() -> tuple[dict[str, Any], ...]:
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
            "comment": f"M{place + 0x9F0A:x}",
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
    return tuple(command(*row) for row in rows)


def command(
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
