"""What can be asked of the simulated broker, and what it answers. Plain values, no rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.domain.commands import NO_MAGIC
from app.domain.values import Magic, OrderKind, Price, Side, Symbol, Ticket, Volume
from app.sim.retcodes import Retcode


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks: a command (`cid`), the terminal's stop, or a person at the terminal (`client`)."""

    cid: str | None = None
    reason: str = "expert"
    comment: str | None = None
    """What its closing deals carry: a request to close has a comment of its own. None: the position's."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Weather of one execution, made by faults: slippage in points against the trader, and what part fills."""

    slippage: int = 0
    fraction: Decimal | None = None
    comment: str | None = None
    """What the broker writes instead of the order's comment."""


CALM = Conditions()


@dataclass(frozen=True, slots=True)
class MarketOrder:
    """Buy or sell now. `filling`: 'fok' | 'ioc' | 'return'."""

    symbol: Symbol
    side: Side
    volume: Volume
    filling: str
    stop_loss: Price | None = None
    take_profit: Price | None = None
    magic: Magic = NO_MAGIC
    comment: str = ""
    deviation: int | None = None
    """Points that the price may differ; counts for instant execution only. None: any."""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """Buy or sell later, at a price."""

    symbol: Symbol
    kind: OrderKind
    volume: Volume
    price: Price
    stop_limit: Price | None = None
    stop_loss: Price | None = None
    take_profit: Price | None = None
    expiration: datetime | None = None
    magic: Magic = NO_MAGIC
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What can be changed of a pending order: always all of it, as MT5's TRADE_ACTION_MODIFY wants."""

    price: Price
    stop_limit: Price | None
    stop_loss: Price | None
    take_profit: Price | None
    expiration: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The trade server's answer (MqlTradeResult). A retcode may be any number: faults can invent some."""

    retcode: int
    message: str = ""
    order: Ticket | None = None
    deal: Ticket | None = None
    position: Ticket | None = None
    volume: Decimal = field(default=Decimal(0))
    price: Price | None = None


def refusal(retcode: Retcode, message: str = "") -> Answer:
    return Answer(retcode, message or retcode.name.lower().replace("_", " "))
