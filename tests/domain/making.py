"""Plain values for the tests of the pure rules: one symbol, one account, one view in which everything is allowed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.commands import Action, OpenPosition, Origin, PlaceOrder, TradeCommand
from app.domain.market import (
    Account,
    AccountMode,
    Deal,
    DealReason,
    MarginMode,
    PendingOrder,
    Permissions,
    Position,
    Quote,
    SymbolSpec,
    TradeMode,
)
from app.domain.safety_view import View
from app.domain.trading_state import TradingState
from app.domain.values import CommandId, Magic, OrderKind, Price, Side, Symbol, Ticket, Volume

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""A Monday."""
EURUSD = Symbol("EURUSD")
XAUUSD = Symbol("XAUUSD")

SPEC = SymbolSpec(
    symbol=EURUSD,
    digits=5,
    point=Decimal("0.00001"),
    tick_size=Decimal("0.00001"),
    tick_value=Decimal("1"),
    contract_size=Decimal("100000"),
    volume_min=Decimal("0.01"),
    volume_max=Decimal("100"),
    volume_step=Decimal("0.01"),
    volume_limit=Decimal("0"),
    stops_level=10,
    freeze_level=0,
    trade_mode=TradeMode.FULL,
    filling=("fok", "ioc"),
    execution="market",
    margin_per_lot=Decimal("1100"),
    currency_profit="USD",
    session_open=True,
)
ACCOUNT = Account(
    login="5000123",
    server="Demo",
    currency="USD",
    mode=AccountMode.DEMO,
    margin_mode=MarginMode.HEDGING,
    leverage=100,
    balance=Decimal("10000.00"),
    credit=Decimal("0.00"),
    equity=Decimal("10000.00"),
    margin=Decimal("0.00"),
    free_margin=Decimal("10000.00"),
)
QUOTE = Quote(EURUSD, Price("1.10000"), Price("1.10010"), NOW, 1000.0)


def buy(volume: str = "0.10", symbol: Symbol = EURUSD, **fields: Any) -> OpenPosition:
    return OpenPosition(symbol, Side.BUY, Volume(volume), **fields)


def sell(volume: str = "0.10", symbol: Symbol = EURUSD, **fields: Any) -> OpenPosition:
    return OpenPosition(symbol, Side.SELL, Volume(volume), **fields)


def pending(kind: OrderKind, price: str, volume: str = "0.10", **fields: Any) -> PlaceOrder:
    return PlaceOrder(EURUSD, kind, Volume(volume), Price(price), **fields)


def command(action: Action | None = None, **fields: Any) -> TradeCommand:
    made = TradeCommand(
        command_id=CommandId("cmd-1"),
        action=action if action is not None else buy(),
        issued_at=NOW,
        expires_at=NOW + timedelta(seconds=5),
        fingerprint="print",
    )
    return replace(made, **fields)


def by_operator(action: Action) -> TradeCommand:
    return command(action, origin=Origin.OPERATOR)


def position(ticket: int = 7, volume: str = "0.10", side: Side = Side.BUY, **fields: Any) -> Position:
    made = Position(
        ticket=Ticket(ticket),
        identifier=Ticket(ticket),
        symbol=EURUSD,
        side=side,
        volume=Volume(volume),
        open_price=Price("1.10000"),
        stop_loss=None,
        take_profit=None,
        swap=Decimal(0),
        profit=Decimal(0),
        magic=Magic(0),
        comment="",
        opened_at=NOW,
    )
    return replace(made, **fields)


def order(ticket: int = 9, volume: str = "0.10", **fields: Any) -> PendingOrder:
    made = PendingOrder(
        ticket=Ticket(ticket),
        symbol=EURUSD,
        kind=OrderKind.BUY_LIMIT,
        volume=Volume(volume),
        price=Price("1.09000"),
        stop_limit_price=None,
        stop_loss=None,
        take_profit=None,
        expiration=None,
        magic=Magic(0),
        comment="",
        placed_at=NOW,
    )
    return replace(made, **fields)


def deal(ticket: int = 21, volume: str = "0.10", **fields: Any) -> Deal:
    made = Deal(
        ticket=Ticket(ticket),
        order=Ticket(11),
        position=Ticket(11),
        symbol=EURUSD,
        side=Side.BUY,
        volume=Volume(volume),
        price=Price("1.10010"),
        profit=Decimal(0),
        swap=Decimal(0),
        commission=Decimal(0),
        magic=Magic(77),
        comment="",
        reason=DealReason.EXPERT,
        entry="in",
        time=NOW,
    )
    return replace(made, **fields)


def view(**fields: Any) -> View:
    """Everything is there and nothing is in the way."""
    made = View(
        state=TradingState.ACTIVE,
        terminal_up=True,
        brain_lost=False,
        permissions=Permissions(),
        account=ACCOUNT,
        positions={},
        orders={},
        specs={EURUSD: SPEC},
        quotes={EURUSD: QUOTE},
        in_flight=(),
        symbols_in_doubt=frozenset(),
        monotonic=1000.0,
        broker_time=NOW,
        daily_profit=Decimal(0),
        day_start_equity=Decimal(10000),
        peak_equity=Decimal(10000),
        consecutive_failures=0,
        identical_entries=0,
        tripped={},
    )
    return replace(made, **fields)
