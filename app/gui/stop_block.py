"""The emergency stop as it stands in the window: red on yellow, large, one click. Never disabled and never asking back."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QEnterEvent, QFont, QFontMetrics
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.gui.formats import count
from app.gui.theme import number_font

STOP_KEYS = "Ctrl+Alt+Shift+S"


class StopButton(QPushButton):
    """A push button that cannot be switched off by code or by a style."""

    def __init__(self) -> None:
        super().__init__("EMERGENCY\nSTOP")
        self.setObjectName("stop")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Expanding)
        font = number_font(13, bold=True)
        font.setWeight(QFont.Weight.ExtraBold)
        self.setMinimumSize(QFontMetrics(font).horizontalAdvance("EMERGENCY") + 40, 58)
        self.setAccessibleName("Emergency stop")

    def setEnabled(self, _enabled: bool) -> None:  # noqa: N802 - Qt's name
        """Stays enabled."""
        super().setEnabled(True)

    def setDisabled(self, _disabled: bool) -> None:  # noqa: N802 - Qt's name
        """Stays enabled."""
        super().setEnabled(True)

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: N802 - Qt's name
        super().enterEvent(event)
        self.setCursor(Qt.CursorShape.PointingHandCursor)


class StopBlock(QWidget):
    """The button, and beside it what it will do."""

    pressed = Signal()

    def __init__(self, *, closes_positions: bool) -> None:
        super().__init__()
        self.setObjectName("stopBlock")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._closes = closes_positions
        self._told: tuple[int | None, int | None, bool] | None = None
        line = QHBoxLayout(self)
        line.setContentsMargins(10, 6, 6, 6)
        line.setSpacing(10)
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.button = StopButton()
        # On the press, not on the release: a hand that slips off still stops.
        self.button.pressed.connect(self.pressed)
        line.addWidget(self.words)
        line.addWidget(self.button)
        self.show_effect(None, None)

    def show_effect(self, positions: int | None, orders: int | None) -> None:
        """What a press would do now."""
        if (positions, orders, self._closes) == self._told:
            return
        self._told = (positions, orders, self._closes)
        first = "Cancels our orders" if orders is None else f"Cancels {count(orders, 'order')}"
        held = "all positions" if positions is None else count(positions, "position")
        second = f"<b>Closes {held}</b>" if self._closes else f"<b>Keeps {held}</b>"
        third = "at the market." if self._closes else "and their stop losses."
        self.words.setText(f"{first}.<br>{second}<br>{third}<br>{STOP_KEYS}")
        plain = f"{first}. {'Closes' if self._closes else 'Keeps'} {held} {third}"
        self.button.setAccessibleDescription(plain)
        self.button.setToolTip(f"{plain} Stays stopped until it is reset at this machine. {STOP_KEYS}")

    def set_closes(self, closes: bool) -> None:
        """The setting has changed while the window is open."""
        self._closes = closes
        self.show_effect(None, None)

    def show_latched(self, latched: bool) -> None:
        """Darker while the stop is in force; it can still be pressed."""
        if bool(self.button.property("latched")) != latched:
            self.button.setProperty("latched", latched)
            style = self.button.style()
            style.unpolish(self.button)
            style.polish(self.button)
