"""Open positions and pending orders as they stand at the terminal, and what a person may do with them."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu

from app.api.schemas import CommandModel, OrderModel, PositionModel, SnapshotModel
from app.gui import formats, words
from app.gui.formats import Zone
from app.gui.pane import TablePane
from app.gui.rows import Cell, Column, Row, RowMaker
from app.gui.theme import Theme
from app.gui.tones import Tone

_POSITIONS = (
    Column("Symbol", "EURUSDx"),
    Column("Side", "▼ Selll"),
    Column("Volume", "10.00", right=True, tip="lots"),
    Column("Open", "2 345.79", right=True),
    Column("Now", "2 345.79", right=True),
    Column("SL", "2 345.79", right=True, tip="Stop loss"),
    Column("TP", "2 345.79", right=True, tip="Take profit"),
    Column("Swap", "−10.42", right=True),
    Column("Points", "+1 135", right=True, tip="Price gained, in the symbol's smallest step"),
    Column("Profit", "−1 167.50", right=True, tip="Account currency, without swap"),
    Column("Age", "1 h 12 m", right=True),
    Column("Strategy", "ma_cross"),
    Column("Ticket", "100012340"),
    Column("Magic", "123456", right=True),
    Column("Command", "cmd-0123"),
)
_ORDERS = (
    Column("Symbol", "EURUSDx"),
    Column("Kind", "▼ Sell stop limit"),
    Column("Volume", "10.00", right=True, tip="lots"),
    Column("Price", "2 345.79", right=True),
    Column("Market", "2 345.79", right=True, tip="The side of the market at which it would be filled"),
    Column("SL", "2 345.79", right=True, tip="Stop loss"),
    Column("TP", "2 345.79", right=True, tip="Take profit"),
    Column("Expires", "10 h 12 m", right=True),
    Column("Age", "1 h 12 m", right=True),
    Column("Strategy", "ma_cross"),
    Column("Ticket", "100012340"),
    Column("Magic", "123456", right=True),
    Column("Command", "cmd-0123"),
)


def commands_by_ticket(picture: SnapshotModel) -> dict[str, CommandModel]:
    """Which command opened what, as far back as the engine shows."""
    return {
        command.result.ticket: command
        for command in reversed(picture.commands)
        if command.action in {"OPEN_POSITION", "PLACE_ORDER"}
        and command.result is not None
        and command.result.ticket is not None
    }


def symbol_digits(picture: SnapshotModel) -> dict[str, int]:
    """Places behind the point, as the quotes show them."""
    return {quote.symbol: formats.digits_of(quote.bid, quote.ask) for quote in picture.quotes}


class PositionsPane(TablePane):
    """`close_wanted`, `change_wanted` carry a PositionModel."""

    close_wanted = Signal(object)
    change_wanted = Signal(object)
    close_all_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(
            "positions",
            "Positions",
            _POSITIONS,
            theme,
            (
                "No position is open",
                "What the brain opens appears here, with its profit. To try it without money: medulla demo.",
            ),
        )
        self._rows = RowMaker(_position_cells)
        self._foot = self.foot()
        self.close_tool = self.add_tool("Close…  (Del)", "Close the chosen position, or a part of it")
        self.change_tool = self.add_tool(
            "Change stops…  (F2)", "Stop loss and take profit of the chosen position"
        )
        self.close_tool.clicked.connect(self._close)
        self.change_tool.clicked.connect(self._change)
        self.view.activated_row.connect(lambda row: self.close_wanted.emit(row.source))
        self.view.delete_pressed.connect(self._close)
        self.view.change_pressed.connect(self._change)

    def notice(self, picture: SnapshotModel) -> None:
        self.set_title(f"Positions  {len(picture.positions)}" if picture.positions else "Positions")

    def draw(self, picture: SnapshotModel) -> None:
        commands = commands_by_ticket(picture)
        digits = symbol_digits(picture)
        rows = []
        for position in picture.positions:
            command = commands.get(position.ticket)
            places = digits.get(position.symbol, 0)
            rows.append(
                self._rows.row(
                    position.ticket,
                    position,
                    position,
                    max(places, formats.digits_of(position.open_price)),
                    formats.span((picture.at - position.opened_at).total_seconds()),
                    command.strategy_id if command is not None else None,
                    command.command_id if command is not None else None,
                )
            )
        self._rows.keep({row.key for row in rows})
        self.put(rows)
        self._foot.setText(_positions_foot(picture))
        self._foot.setVisible(bool(picture.positions))

    def fill_menu(self, menu: QMenu, rows: list[Row]) -> None:
        one = len(rows) == 1
        menu.addAction("Close…", self._close).setEnabled(one)
        menu.addAction("Change stop loss and take profit…", self._change).setEnabled(one)
        menu.addSeparator()
        menu.addAction("Close all positions…", self.close_all_wanted.emit).setEnabled(
            bool(self.view.rows.total)
        )
        menu.addSeparator()

    def _close(self) -> None:
        for row in self.view.chosen()[:1]:
            self.close_wanted.emit(row.source)

    def _change(self) -> None:
        for row in self.view.chosen()[:1]:
            self.change_wanted.emit(row.source)


class OrdersPane(TablePane):
    """`cancel_wanted`, `change_wanted` carry an OrderModel."""

    cancel_wanted = Signal(object)
    change_wanted = Signal(object)

    def __init__(self, theme: Theme, zone: Zone = Zone.LOCAL) -> None:
        super().__init__(
            "orders",
            "Orders",
            _ORDERS,
            theme,
            (
                "No order is pending",
                "Limit and stop orders wait here until the market fills them or they expire.",
            ),
        )
        self._rows = RowMaker(_order_cells)
        self.zone = zone
        self.cancel_tool = self.add_tool("Cancel  (Del)", "Cancel the chosen order")
        self.change_tool = self.add_tool("Change…  (F2)", "Price and stops of the chosen order")
        self.cancel_tool.clicked.connect(self._cancel)
        self.change_tool.clicked.connect(self._change)
        self.view.activated_row.connect(lambda row: self.change_wanted.emit(row.source))
        self.view.delete_pressed.connect(self._cancel)
        self.view.change_pressed.connect(self._change)

    def notice(self, picture: SnapshotModel) -> None:
        self.set_title(f"Orders  {len(picture.orders)}" if picture.orders else "Orders")

    def draw(self, picture: SnapshotModel) -> None:
        commands = commands_by_ticket(picture)
        quotes = {quote.symbol: quote for quote in picture.quotes}
        rows = []
        for order in picture.orders:
            command = commands.get(order.ticket)
            quote = quotes.get(order.symbol)
            market = None if quote is None else (quote.ask if order.kind.startswith("BUY") else quote.bid)
            left = None if order.expiration is None else (order.expiration - picture.at).total_seconds()
            rows.append(
                self._rows.row(
                    order.ticket,
                    order,
                    order,
                    market,
                    max(formats.digits_of(order.price, market), 0),
                    formats.NONE if left is None else formats.span(left),
                    formats.span((picture.at - order.placed_at).total_seconds()),
                    command.strategy_id if command is not None else None,
                    command.command_id if command is not None else None,
                )
            )
        self._rows.keep({row.key for row in rows})
        self.put(rows)

    def fill_menu(self, menu: QMenu, rows: list[Row]) -> None:
        one = len(rows) == 1
        menu.addAction("Cancel", self._cancel).setEnabled(one)
        menu.addAction("Change…", self._change).setEnabled(one)
        menu.addSeparator()

    def _cancel(self) -> None:
        for row in self.view.chosen()[:1]:
            self.cancel_wanted.emit(row.source)

    def _change(self) -> None:
        for row in self.view.chosen()[:1]:
            self.change_wanted.emit(row.source)


def gained(position: PositionModel) -> Decimal | None:
    """Price gained since it was opened, price units; None: no price now."""
    if position.current_price is None:
        return None
    difference = position.current_price - position.open_price
    return difference if position.side == "BUY" else -difference


def _position_cells(
    position: PositionModel, digits: int, age: str, strategy: str | None, command_id: str | None
) -> tuple[Cell, ...]:
    side = words.side(position.side)
    gain = gained(position)
    points = None if gain is None else gain.scaleb(digits)
    return (
        Cell(position.symbol, Tone.STRONG),
        Cell(str(side), side.tone),
        Cell(formats.lots(position.volume), sort=float(position.volume)),
        _price(position.open_price, digits),
        _price(position.current_price, digits),
        _stop(position.stop_loss, digits, warn=True),
        _stop(position.take_profit, digits, warn=False),
        Cell(formats.money(position.swap, signed=True), sort=float(position.swap)),
        _signed(points, formats.NONE if points is None else formats.number(points, 0, signed=True)),
        _signed(position.profit, formats.money(position.profit, signed=True)),
        Cell(age, Tone.DIM, sort=-position.opened_at.timestamp()),
        Cell(strategy or formats.NONE, Tone.PLAIN if strategy else Tone.DIM),
        Cell(position.ticket, Tone.DIM, sort=float(position.ticket)),
        Cell(position.magic, Tone.DIM, sort=float(position.magic)),
        Cell(command_id or position.comment or formats.NONE, Tone.DIM),
    )


def _order_cells(
    order: OrderModel,
    market: Decimal | None,
    digits: int,
    left: str,
    age: str,
    strategy: str | None,
    command_id: str | None,
) -> tuple[Cell, ...]:
    kind = words.order_kind(order)
    return (
        Cell(order.symbol, Tone.STRONG),
        Cell(str(kind), kind.tone),
        Cell(formats.lots(order.volume), sort=float(order.volume)),
        _price(order.price, digits),
        _price(market, digits),
        _stop(order.stop_loss, digits, warn=False),
        _stop(order.take_profit, digits, warn=False),
        Cell(left, Tone.DIM),
        Cell(age, Tone.DIM, sort=-order.placed_at.timestamp()),
        Cell(strategy or formats.NONE, Tone.PLAIN if strategy else Tone.DIM),
        Cell(order.ticket, Tone.DIM, sort=float(order.ticket)),
        Cell(order.magic, Tone.DIM, sort=float(order.magic)),
        Cell(command_id or order.comment or formats.NONE, Tone.DIM),
    )


@lru_cache(maxsize=8192)
def _price(value: Decimal | None, digits: int) -> Cell:
    return Cell(formats.price(value, digits), sort=-1.0 if value is None else float(value))


@lru_cache(maxsize=8192)
def _stop(value: Decimal | None, digits: int, *, warn: bool) -> Cell:
    if value is None:
        return Cell("none", Tone.WARN if warn else Tone.DIM, sort=-1.0)
    return _price(value, digits)


def _signed(value: Decimal | None, text: str) -> Cell:
    if value is None or value == 0:
        return Cell(text, sort=0.0)
    return Cell(text, Tone.UP if value > 0 else Tone.DOWN, sort=float(value))


def _positions_foot(picture: SnapshotModel) -> str:
    positions = picture.positions
    volume = sum((position.volume for position in positions), Decimal(0))
    floating = sum((position.profit + position.swap for position in positions), Decimal(0))
    bare = sum(position.stop_loss is None for position in positions)
    parts = [
        formats.count(len(positions), "position"),
        f"{formats.lots(volume)} lots",
        f"floating <b>{formats.money(floating, signed=True)}</b>",
    ]
    if bare:
        parts.append(f"▲ {bare} without a stop loss")
    return " &nbsp;&nbsp;·&nbsp;&nbsp; ".join(parts)
