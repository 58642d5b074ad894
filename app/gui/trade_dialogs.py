"""Small questions about one position or order: close it (all or a part), change its stops, cancel, take note of a reason.

They collect what is asked for; whether it is allowed, the engine says.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.api.asks import OperateAsk
from app.api.schemas import OrderModel, PositionModel
from app.gui import formats, words


class AskDialog(QDialog):
    """A sentence, some fields, and one act. `decided` carries what to do."""

    decided = Signal(object)

    def __init__(self, title: str, sentence: str, act: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.setMinimumWidth(400)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        self.sentence = QLabel(sentence)
        self.sentence.setWordWrap(True)
        column.addWidget(self.sentence)
        self.form = QFormLayout()
        column.addLayout(self.form)
        self.fault = QLabel()
        self.fault.setWordWrap(True)
        self.fault.hide()
        column.addWidget(self.fault)
        line = QHBoxLayout()
        line.addStretch()
        leave = QPushButton("Leave it")
        leave.setAutoDefault(False)
        leave.clicked.connect(self.reject)
        self.act = QPushButton(act)
        self.act.setDefault(True)
        self.act.clicked.connect(self._decide)
        line.addWidget(leave)
        line.addWidget(self.act)
        column.addLayout(line)

    def field(self, label: str, text: str, tip: str = "") -> QLineEdit:
        edit = QLineEdit(text)
        edit.setToolTip(tip)
        edit.setAccessibleName(label)
        self.form.addRow(label, edit)
        return edit

    def complain(self, text: str) -> None:
        self.fault.setText(f"✕ {text}")
        self.fault.show()

    def answer(self) -> object | None:
        """What is to be done; None after a complaint."""
        return True

    def _decide(self) -> None:
        decided = self.answer()
        if decided is not None:
            self.accept()
            self.decided.emit(decided)


class CloseDialog(AskDialog):
    """Close a position, or a part of it."""

    def __init__(self, position: PositionModel, parent: QWidget) -> None:
        side = words.side(position.side)
        super().__init__(
            "Close position",
            f"{position.symbol}  {side}  {formats.lots(position.volume)} lots  #{position.ticket}\n"
            f"Profit now {formats.money(position.profit, signed=True)}. It is closed at the market.",
            "Close",
            parent,
        )
        self._position = position
        self.volume = self.field("Lots", str(position.volume), "Less than all of it closes a part.")
        self.volume.textChanged.connect(self._name_act)
        self.volume.selectAll()
        self._name_act()

    def _name_act(self) -> None:
        asked = read_number(self.volume.text())
        part = asked is not None and asked < self._position.volume
        self.act.setText(f"Close {formats.lots(asked)} lots" if part else "Close all of it")

    def answer(self) -> OperateAsk | None:
        asked = read_number(self.volume.text())
        if asked is None or asked <= 0 or asked > self._position.volume:
            self.complain(f"Lots: a number above 0 and at most {formats.lots(self._position.volume)}.")
            return None
        ticket = self._position.ticket
        if asked == self._position.volume:
            return OperateAsk(action="CLOSE_POSITION", ticket=ticket, by="desktop")
        return OperateAsk(action="CLOSE_POSITION", ticket=ticket, volume=asked, by="desktop")


class StopsDialog(AskDialog):
    """Change stop loss and take profit of a position, or also the price of a pending order. Empty removes."""

    def __init__(self, item: PositionModel | OrderModel, parent: QWidget) -> None:
        self._item = item
        is_order = isinstance(item, OrderModel)
        name = "order" if is_order else "position"
        kind = item.kind if isinstance(item, OrderModel) else item.side
        super().__init__(
            f"Change {name}",
            f"{item.symbol}  {words.side(kind)}  {formats.lots(item.volume)} lots  #{item.ticket}",
            "Change",
            parent,
        )
        self.price = self.field("Price", str(item.price)) if isinstance(item, OrderModel) else None
        self.stop_loss = self.field("Stop loss", _text(item.stop_loss), "Empty: no stop loss.")
        self.take_profit = self.field("Take profit", _text(item.take_profit), "Empty: no take profit.")

    def answer(self) -> OperateAsk | None:
        asked: dict[str, Decimal] = {}
        fields = (
            ("price", self.price, getattr(self._item, "price", None)),
            ("stop_loss", self.stop_loss, self._item.stop_loss),
            ("take_profit", self.take_profit, self._item.take_profit),
        )
        for name, edit, before in fields:
            if edit is None:
                continue
            text = edit.text().strip()
            value = Decimal(0) if not text and name != "price" else read_number(text)
            if value is None or value < 0 or (name == "price" and value == 0):
                self.complain(f"{name.replace('_', ' ').capitalize()}: a price such as {self._example()}.")
                return None
            if value != (before or Decimal(0)):
                asked[name] = value
        if not asked:
            self.complain("Nothing is different from before.")
            return None
        action = "MODIFY_ORDER" if isinstance(self._item, OrderModel) else "MODIFY_POSITION"
        return OperateAsk.model_validate(
            {"action": action, "ticket": self._item.ticket, "by": "desktop", **asked}
        )

    def _example(self) -> str:
        return str(self._item.price if isinstance(self._item, OrderModel) else self._item.open_price)


class NoteDialog(AskDialog):
    """An act that needs a reason, which the journal keeps."""

    def __init__(self, title: str, sentence: str, act: str, parent: QWidget) -> None:
        super().__init__(title, sentence, act, parent)
        self.note = self.field("Why", "")
        self.note.setMaxLength(500)
        self.note.setPlaceholderText("It is kept in the journal.")

    def answer(self) -> str | None:
        text = self.note.text().strip()
        if not text:
            self.complain("Why: a few words; the journal keeps them.")
            return None
        return text


def read_number(text: str) -> Decimal | None:
    """A number as a person types it: spaces between thousands and a comma for the point are understood."""
    cleaned = "".join(text.split()).replace(formats.MINUS, "-").replace(",", ".")
    try:
        value = Decimal(cleaned)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _text(value: Decimal | None) -> str:
    return "" if value is None else str(value)
