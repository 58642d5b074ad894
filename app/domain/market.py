"""What a terminal reports: account, symbols, quotes, positions, orders, deals. Frozen facts, domain types.

Prices are in quote units, volumes in lots, money in the account's currency, times in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum

from app.domain.values import Magic, OrderKind, Price, Side, Symbol, Ticket, Volume


class AccountMode(Enum):
    """ENUM_ACCOUNT_TRADE_MODE."""

    DEMO = "demo"
    CONTEST = "contest"
    REAL = "real"


class MarginMode(Enum):
    """ENUM_ACCOUNT_MARGIN_MODE."""

    HEDGING = "hedging"
    NETTING = "netting"
    EXCHANGE = "exchange"


class TradeMode(Enum):
    """ENUM_SYMBOL_TRADE_MODE: which trades the broker takes on a symbol."""

    FULL = "full"
    LONG_ONLY = "long_only"
    SHORT_ONLY = "short_only"
    CLOSE_ONLY = "close_only"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Account:
    """The trading account as the terminal sees it now."""

    login: str
    server: str
    currency: str
    mode: AccountMode
    margin_mode: MarginMode
    leverage: int
    balance: Decimal
    credit: Decimal
    equity: Decimal
    margin: Decimal
    free_margin: Decimal
    company: str = ""

    @property
    def floating(self) -> Decimal:
        """Profit of the open positions."""
        return self.equity - self.balance - self.credit

    @property
    def margin_level(self) -> Decimal | None:
        """Equity / margin in percent; None while no margin is used."""
        return self.equity * 100 / self.margin if self.margin > 0 else None


@dataclass(frozen=True, slots=True)
class Permissions:
    """What may stop a trade before it reaches the broker. Each is named so that the remedy can be named."""

    connected: bool = True
    synchronised: bool = True
    terminal_trade_allowed: bool = True
    ea_trade_allowed: bool = True
    account_trade_allowed: bool = True
    account_expert_allowed: bool = True
    investor_login: bool = False

    def missing(self) -> tuple[str, ...]:
        """Names of what is missing for trading, most outward first; empty when trading is possible."""
        lacks = []
        if not self.connected:
            lacks.append("broker connection")
        if not self.synchronised:
            lacks.append("synchronised data")
        if not self.terminal_trade_allowed:
            lacks.append("Algo Trading button")
        if not self.ea_trade_allowed:
            lacks.append("EA's 'Allow Algo Trading'")
        if self.investor_login:
            lacks.append("trading password (logged in with the investor password)")
        elif not self.account_trade_allowed:
            lacks.append("account's permission to trade")
        if not self.account_expert_allowed:
            lacks.append("account's permission for Expert Advisors")
        return tuple(lacks)


@dataclass(frozen=True, slots=True)
class SymbolSpec:
    """A symbol's contract: what volumes and prices the broker takes, and what a lot costs."""

    symbol: Symbol
    digits: int
    point: Decimal
    tick_size: Decimal
    tick_value: Decimal
    contract_size: Decimal
    volume_min: Decimal
    volume_max: Decimal
    volume_step: Decimal
    volume_limit: Decimal
    """Most lots in one direction on the symbol; 0: unlimited."""
    stops_level: int
    """Least distance of stops and pending prices from the market, points."""
    freeze_level: int
    trade_mode: TradeMode
    filling: tuple[str, ...]
    """What the broker takes: any of 'fok', 'ioc', 'boc', 'return'."""
    execution: str
    """'request' | 'instant' | 'market' | 'exchange'."""
    margin_per_lot: Decimal
    """Margin for one lot at the current price, account currency."""
    currency_profit: str
    session_open: bool
    """Whether the broker's trading session of the symbol is open now."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Best prices of a symbol at `time` (terminal's), received at `received` (monotonic seconds, ours)."""

    symbol: Symbol
    bid: Price
    ask: Price
    time: datetime
    received: float = 0.0
    volume: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """An open position. `ticket` can change (netting reversal, swap re-open); `identifier` never does."""

    ticket: Ticket
    identifier: Ticket
    symbol: Symbol
    side: Side
    volume: Volume
    open_price: Price
    stop_loss: Price | None
    take_profit: Price | None
    swap: Decimal
    profit: Decimal
    magic: Magic
    comment: str
    opened_at: datetime
    current_price: Price | None = None


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order waiting at the broker."""

    ticket: Ticket
    symbol: Symbol
    kind: OrderKind
    volume: Volume
    price: Price
    stop_limit_price: Price | None
    stop_loss: Price | None
    take_profit: Price | None
    expiration: datetime | None
    magic: Magic
    comment: str
    placed_at: datetime


class DealReason(Enum):
    """ENUM_DEAL_REASON, shortened to what a trader asks: who or what closed it."""

    CLIENT = "client"
    EXPERT = "expert"
    STOP_LOSS = "sl"
    TAKE_PROFIT = "tp"
    STOP_OUT = "so"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Deal:
    """An execution at the broker."""

    ticket: Ticket
    order: Ticket
    position: Ticket
    symbol: Symbol
    side: Side
    volume: Volume
    price: Price
    profit: Decimal
    swap: Decimal
    commission: Decimal
    magic: Magic
    comment: str
    reason: DealReason
    entry: str
    """'in' | 'out' | 'inout' | 'out_by' (ENUM_DEAL_ENTRY)."""
    time: datetime


@dataclass(frozen=True, slots=True)
class TerminalSnapshot:
    """Everything open at one moment. A snapshot is the truth; events between two snapshots are hints."""

    account: Account
    permissions: Permissions
    positions: tuple[Position, ...]
    orders: tuple[PendingOrder, ...]
    symbols: tuple[SymbolSpec, ...]
    quotes: tuple[Quote, ...]
    taken_at: datetime
    server_utc_offset: int = 0
    """Seconds by which the broker's server time is ahead of UTC: the broker's day begins there."""
    trade_seq: int = 0
    """Number of the last trade event that this snapshot contains."""


@dataclass(frozen=True, slots=True)
class TradeEvent:
    """Something changed at the broker, by us or not. `position`/`order` is the state after, None: gone."""

    kind: str
    """'deal' | 'order_placed' | 'order_modified' | 'order_cancelled' | 'order_expired' | 'order_triggered' |
    'position_modified' | 'balance'."""
    seq: int
    time: datetime
    command_id: str | None = None
    deal: Deal | None = None
    position_ticket: Ticket | None = None
    position: Position | None = None
    order_ticket: Ticket | None = None
    order: PendingOrder | None = None
    amount: Decimal | None = None
    """For 'balance': the deposit (+) or withdrawal (-), account currency."""
    account: Account | None = field(default=None)
