"""What stands in the columns of positions and of pending orders: each cell out of its row's facts, made when it is seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from app.api.schemas import CommandModel, OrderModel, PositionModel, SnapshotModel
from app.gui import formats, words
from app.gui.rows import Cell, Column
from app.gui.tones import Tone


class Openers:
    """Which command opened what, as far back as the engine shows. Looked through again only when the commands are others."""

    def __init__(self) -> None:
        self._commands: tuple[CommandModel, ...] = ()
        self._by_ticket: dict[str, CommandModel] = {}

    def of(self, picture: SnapshotModel) -> dict[str, CommandModel]:
        """By ticket."""
        if picture.commands is not self._commands:
            self._commands = picture.commands
            self._by_ticket = {
                command.result.ticket: command
                for command in reversed(picture.commands)
                if command.action in {"OPEN_POSITION", "PLACE_ORDER"}
                and command.result is not None
                and command.result.ticket is not None
            }
        return self._by_ticket


class SymbolDigits:
    """Places behind the point of each symbol, as its quotes show them. A symbol keeps its digits, so it is looked at once."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def look(self, picture: SnapshotModel) -> None:
        for quote in picture.quotes:
            if quote.symbol not in self.known:
                self.known[quote.symbol] = formats.digits_of(quote.bid, quote.ask)


@dataclass(frozen=True, slots=True)
class PositionFacts:
    """What a row of a position is made of."""

    trade: PositionModel
    quoted: int
    """Places behind the point that its symbol's quotes have; 0: not quoted now."""
    age: int
    """Seconds since it was opened."""
    opener: CommandModel | None

    @property
    def digits(self) -> int:
        """Places behind the point that its symbol's prices have."""
        return max(self.quoted, formats.digits_of(self.trade.open_price))

    @property
    def gain(self) -> Decimal | None:
        """Points; None: no price now."""
        difference = gained(self.trade)
        return None if difference is None else difference.scaleb(self.digits)


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What a row of a pending order is made of."""

    trade: OrderModel
    market: Decimal | None
    """The side of the market at which it would be filled."""
    quoted: int
    """Places behind the point that its symbol's quotes have; 0: not quoted now."""
    left: int | None
    """Seconds until it expires; None: it does not."""
    age: int
    """Seconds since it was placed."""
    opener: CommandModel | None

    @property
    def digits(self) -> int:
        """Places behind the point that its symbol's prices have."""
        return max(self.quoted, formats.digits_of(self.trade.price))


def gained(position: PositionModel) -> Decimal | None:
    """Price gained since it was opened, price units; None: no price now."""
    if position.current_price is None:
        return None
    difference = position.current_price - position.open_price
    return difference if position.side == "BUY" else -difference


@lru_cache(maxsize=1024)
def _price(value: Decimal | None, digits: int) -> Cell:
    return Cell(formats.price(value, digits), sort=-1.0 if value is None else float(value))


@lru_cache(maxsize=1024)
def _stop(value: Decimal | None, digits: int, *, warn: bool) -> Cell:
    if value is None:
        return Cell("none", Tone.WARN if warn else Tone.DIM, sort=-1.0)
    return _price(value, digits)


def _signed(value: Decimal | None, text: str) -> Cell:
    if value is None or value == 0:
        return Cell(text, sort=0.0)
    return Cell(text, Tone.UP if value > 0 else Tone.DOWN, sort=float(value))


@lru_cache(maxsize=1024)
def _plain(text: str, tone: Tone = Tone.PLAIN) -> Cell:
    return Cell(text, tone)


@lru_cache(maxsize=1024)
def _lots(volume: Decimal) -> Cell:
    return Cell(formats.lots(volume), sort=float(volume))


@lru_cache(maxsize=1024)
def _number_of(text: str) -> Cell:
    """A ticket or magic number."""
    return Cell(text, Tone.DIM, sort=float(text))


def _side(name: str) -> Cell:
    phrase = words.side(name)
    return _plain(str(phrase), phrase.tone)


def _strategy(opener: CommandModel | None) -> Cell:
    name = None if opener is None else opener.strategy_id
    return _plain(name or formats.NONE, Tone.PLAIN if name else Tone.DIM)


def _command(opener: CommandModel | None, comment: str) -> Cell:
    """The command that opened it; where it is not known any more, the comment that the terminal keeps."""
    return _plain((None if opener is None else opener.command_id) or comment or formats.NONE, Tone.DIM)


def _age(seconds: int, since: datetime) -> Cell:
    return Cell(formats.span(seconds), Tone.DIM, sort=-since.timestamp())


def _left(facts: OrderFacts) -> Cell:
    return _plain(formats.NONE if facts.left is None else formats.span(facts.left), Tone.DIM)


def _swap(facts: PositionFacts) -> Cell:
    swap = facts.trade.swap
    return Cell(formats.money(swap, signed=True), sort=float(swap))


def _points(facts: PositionFacts) -> Cell:
    gain = facts.gain
    return _signed(gain, formats.NONE if gain is None else formats.number(gain, 0, signed=True))


def _profit(facts: PositionFacts) -> Cell:
    profit = facts.trade.profit
    return _signed(profit, formats.money(profit, signed=True))


def _stop_loss(*, warn: bool) -> Column:
    """`warn`: that there is none is worth a colour."""
    return Column(
        "SL",
        "2 345.79",
        right=True,
        tip="Stop loss",
        make=lambda of: _stop(of.trade.stop_loss, of.digits, warn=warn),
    )


_SYMBOL = Column("Symbol", "EURUSDx", make=lambda of: _plain(of.trade.symbol, Tone.STRONG))
_VOLUME = Column("Volume", "10.00", right=True, tip="lots", make=lambda of: _lots(of.trade.volume))
_TAKE_PROFIT = Column(
    "TP",
    "2 345.79",
    right=True,
    tip="Take profit",
    make=lambda of: _stop(of.trade.take_profit, of.digits, warn=False),
)
_ORIGIN = (
    Column("Strategy", "ma_cross", make=lambda of: _strategy(of.opener)),
    Column("Ticket", "100012340", make=lambda of: _number_of(of.trade.ticket)),
    Column("Magic", "123456", right=True, make=lambda of: _number_of(of.trade.magic)),
    Column("Command", "cmd-0123", make=lambda of: _command(of.opener, of.trade.comment)),
)
POSITIONS = (
    _SYMBOL,
    Column("Side", "▼ Selll", make=lambda of: _side(of.trade.side)),
    _VOLUME,
    Column("Open", "2 345.79", right=True, make=lambda of: _price(of.trade.open_price, of.digits)),
    Column(
        "Now",
        "2 345.79",
        right=True,
        fades=True,
        make=lambda of: _price(of.trade.current_price, of.digits),
    ),
    _stop_loss(warn=True),
    _TAKE_PROFIT,
    Column("Swap", "−10.42", right=True, make=_swap),
    Column("Points", "+1 135", right=True, tip="Price gained, in the symbol's smallest step", make=_points),
    Column(
        "Profit",
        "−1 167.50",
        right=True,
        tip="Account currency, without swap",
        fades=True,
        make=_profit,
    ),
    Column("Age", "1 h 12 m", right=True, make=lambda of: _age(of.age, of.trade.opened_at)),
    *_ORIGIN,
)
ORDERS = (
    _SYMBOL,
    Column("Kind", "▼ Sell stop limit", make=lambda of: _side(of.trade.kind)),
    _VOLUME,
    Column("Price", "2 345.79", right=True, make=lambda of: _price(of.trade.price, of.digits)),
    Column(
        "Market",
        "2 345.79",
        right=True,
        tip="The side of the market at which it would be filled",
        fades=True,
        make=lambda of: _price(of.market, of.digits),
    ),
    _stop_loss(warn=False),
    _TAKE_PROFIT,
    Column("Expires", "10 h 12 m", right=True, make=_left),
    Column("Age", "1 h 12 m", right=True, make=lambda of: _age(of.age, of.trade.placed_at)),
    *_ORIGIN,
)
