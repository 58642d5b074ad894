"""What the brain or the operator asks for: imperative, frozen, valid by construction (PROTOCOL §4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from app.domain.errors import InvalidValue
from app.domain.values import CommandId, Magic, OrderKind, Price, Priority, Side, Symbol, Ticket, Volume

NO_MAGIC = Magic(0)


class CommandClass(Enum):
    """What a command does to exposure; decides precedence at equal priority and what a stop lets through."""

    EXIT = 0
    AMENDMENT = 1
    ENTRY = 2


@dataclass(frozen=True, slots=True)
class OpenPosition:
    symbol: Symbol
    side: Side
    volume: Volume
    stop_loss: Price | None = None
    take_profit: Price | None = None
    price: Price | None = None
    """The price the brain saw: base of slippage and of the price collar."""
    max_slippage: Decimal | None = None
    """Price units."""
    magic: Magic = NO_MAGIC
    comment: str = ""


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    symbol: Symbol
    kind: OrderKind
    volume: Volume
    price: Price
    stop_limit_price: Price | None = None
    stop_loss: Price | None = None
    take_profit: Price | None = None
    expiration: datetime | None = None
    magic: Magic = NO_MAGIC
    comment: str = ""

    def __post_init__(self) -> None:
        if self.kind.is_stop_limit != (self.stop_limit_price is not None):
            rule = (
                "is required for a stop-limit order"
                if self.kind.is_stop_limit
                else "only for stop-limit orders"
            )
            raise InvalidValue("stopLimitPrice", rule)


class Keep(Enum):
    """Marks a field of an amendment that stays as it is (absent in the message; `0` removes it)."""

    UNCHANGED = "unchanged"


UNCHANGED = Keep.UNCHANGED


@dataclass(frozen=True, slots=True)
class ModifyPosition:
    """Set or remove (None) the stops of a position."""

    ticket: Ticket
    stop_loss: Price | Keep | None = UNCHANGED
    take_profit: Price | Keep | None = UNCHANGED

    def __post_init__(self) -> None:
        if self.stop_loss is UNCHANGED and self.take_profit is UNCHANGED:
            raise InvalidValue("stopLoss", "stopLoss or takeProfit is required")


@dataclass(frozen=True, slots=True)
class ModifyOrder:
    """Change a pending order; None removes stops or the expiration."""

    ticket: Ticket
    price: Price | Keep = UNCHANGED
    stop_limit_price: Price | Keep = UNCHANGED
    stop_loss: Price | Keep | None = UNCHANGED
    take_profit: Price | Keep | None = UNCHANGED
    expiration: datetime | Keep | None = UNCHANGED

    def __post_init__(self) -> None:
        fields = (self.price, self.stop_limit_price, self.stop_loss, self.take_profit, self.expiration)
        if all(value is UNCHANGED for value in fields):
            raise InvalidValue(
                "price", "one of price, stopLimitPrice, stopLoss, takeProfit, expiration is required"
            )


@dataclass(frozen=True, slots=True)
class ClosePosition:
    ticket: Ticket
    volume: Volume | None = None
    """None: all of it."""


@dataclass(frozen=True, slots=True)
class CancelOrder:
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class CloseAll:
    symbol: Symbol | None = None
    magic: Magic | None = None


Action = OpenPosition | PlaceOrder | ModifyPosition | ModifyOrder | ClosePosition | CancelOrder | CloseAll

ACTION_NAMES: dict[type[Action], str] = {
    OpenPosition: "OPEN_POSITION",
    PlaceOrder: "PLACE_ORDER",
    ModifyPosition: "MODIFY_POSITION",
    ModifyOrder: "MODIFY_ORDER",
    ClosePosition: "CLOSE_POSITION",
    CancelOrder: "CANCEL_ORDER",
    CloseAll: "CLOSE_ALL",
}

_CLASSES: dict[type[Action], CommandClass] = {
    OpenPosition: CommandClass.ENTRY,
    PlaceOrder: CommandClass.ENTRY,
    ModifyPosition: CommandClass.AMENDMENT,
    ModifyOrder: CommandClass.AMENDMENT,
    ClosePosition: CommandClass.EXIT,
    CancelOrder: CommandClass.EXIT,
    CloseAll: CommandClass.EXIT,
}


class Origin(Enum):
    """Who asked. An operator's command comes from this machine and passes a stop if it only reduces."""

    BRAIN = "brain"
    OPERATOR = "operator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class TradeCommand:
    """One request to trade, with the envelope that identifies, dates and ranks it."""

    command_id: CommandId
    action: Action
    issued_at: datetime
    expires_at: datetime
    """On the sender's clock, like `issued_at`: the last moment at which it may be *sent to the broker*."""
    fingerprint: str
    """SHA-256 (hex) of the content, so that the same id with other content is found out."""
    priority: Priority = Priority.NORMAL
    strategy_id: str | None = None
    account: str | None = None
    origin: Origin = Origin.BRAIN
    signed_by: str | None = None
    """Key id of the verified signature; None: unsigned."""

    @property
    def command_class(self) -> CommandClass:
        return _CLASSES[type(self.action)]

    @property
    def action_name(self) -> str:
        return ACTION_NAMES[type(self.action)]

    @property
    def symbol(self) -> Symbol | None:
        """The symbol that the command names itself; commands by ticket name none."""
        return getattr(self.action, "symbol", None)

    @property
    def ticket(self) -> Ticket | None:
        return getattr(self.action, "ticket", None)

    @property
    def volume(self) -> Volume | None:
        return getattr(self.action, "volume", None)
