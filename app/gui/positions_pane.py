"""Open positions and pending orders as they stand at the terminal, and what a person may do with them."""

from __future__ import annotations

from decimal import Decimal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu

from app.api.schemas import SnapshotModel
from app.gui import formats
from app.gui.formats import Zone
from app.gui.pane import TablePane
from app.gui.rows import Row, RowMaker
from app.gui.theme import Theme
from app.gui.trade_columns import (
    ORDERS,
    POSITIONS,
    Openers,
    OrderFacts,
    PositionFacts,
    SymbolDigits,
)


class PositionsPane(TablePane):
    """`close_wanted`, `change_wanted` carry a PositionModel."""

    close_wanted = Signal(object)
    change_wanted = Signal(object)
    close_all_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(
            "positions",
            "Positions",
            POSITIONS,
            theme,
            (
                "No position is open",
                "What the brain opens appears here, with its profit. To try it without money: medulla demo.",
            ),
        )
        self._rows = RowMaker(POSITIONS, PositionFacts)
        self._digits = SymbolDigits()
        self._openers = Openers()
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
        commands = self._openers.of(picture)
        self._digits.look(picture)
        row, digits, at = self._rows.row, self._digits.known, picture.at
        rows = [
            row(
                position.ticket,
                position,
                digits.get(position.symbol, 0),
                formats.whole_span((at - position.opened_at).total_seconds()),
                commands.get(position.ticket),
            )
            for position in picture.positions
        ]
        self._rows.keep(rows)
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
            ORDERS,
            theme,
            (
                "No order is pending",
                "Limit and stop orders wait here until the market fills them or they expire.",
            ),
        )
        self._rows = RowMaker(ORDERS, OrderFacts)
        self._digits = SymbolDigits()
        self._openers = Openers()
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
        commands = self._openers.of(picture)
        self._digits.look(picture)
        quotes = {quote.symbol: quote for quote in picture.quotes}
        rows = []
        for order in picture.orders:
            quote = quotes.get(order.symbol)
            market = None if quote is None else (quote.ask if order.kind.startswith("BUY") else quote.bid)
            left = None if order.expiration is None else (order.expiration - picture.at).total_seconds()
            rows.append(
                self._rows.row(
                    order.ticket,
                    order,
                    market,
                    self._digits.known.get(order.symbol, 0),
                    None if left is None else formats.whole_span(left),
                    formats.whole_span((picture.at - order.placed_at).total_seconds()),
                    commands.get(order.ticket),
                )
            )
        self._rows.keep(rows)
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
