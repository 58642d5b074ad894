"""The icon beside the clock: shows the trading state, carries the stop, and tells of alerts. Never the only way to anything."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app.api.schemas import SnapshotModel
from app.gui import formats, words
from app.gui.icons import state_icon
from app.gui.session import EngineLink, EngineState

_TIP_MS = 1000


class Tray(QObject):
    """`shown`: bring the window; `stop`: the emergency stop; `leave`: end."""

    shown = Signal()
    stop = Signal()
    leave = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._state = ""
        self._menu = QMenu()
        self.stop_action = self._menu.addAction("EMERGENCY STOP", self.stop.emit)
        self._menu.addSeparator()
        self._menu.addAction("Show the window", self.shown.emit)
        self._menu.addAction("Leave…", self.leave.emit)
        self.icon = QSystemTrayIcon(state_icon())
        self.icon.setContextMenu(self._menu)
        self._tip = "Medulla"
        self._tips = QTimer(self)
        self._tips.setSingleShot(True)
        self._tips.setInterval(_TIP_MS)
        self._tips.timeout.connect(self._show_tip)
        self.icon.setToolTip(self._tip)
        self.icon.activated.connect(self._touched)

    @property
    def available(self) -> bool:
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show(self) -> None:
        if self.available:
            self.icon.show()

    def close(self) -> None:
        self.icon.hide()

    def show_picture(self, picture: SnapshotModel) -> None:
        state = picture.status.state
        changed = state != self._state
        if changed:
            self._state = state
            self.icon.setIcon(state_icon(state))
        profit = formats.money(picture.daily_profit, signed=True)
        self._tip = f"Medulla: {words.trading(state)}\ntoday {profit}, {len(picture.positions)} open"
        if changed or not self._tips.isActive():
            self._show_tip()

    def _show_tip(self) -> None:
        """At most once a second: each time the system's shell is asked."""
        if self._tip != self.icon.toolTip():
            self.icon.setToolTip(self._tip)
            self._tips.start()

    def show_link(self, link: EngineLink) -> None:
        if link.state is not EngineState.CONNECTED:
            self._state = ""
            self.icon.setIcon(state_icon())
            self._tip = f"Medulla: {link.words}"
            self._show_tip()

    def tell(self, severity: str, message: str) -> None:
        """A desktop notification; the alert stands in the Alerts pane as well."""
        icons = QSystemTrayIcon.MessageIcon
        icon = {"critical": icons.Critical, "warning": icons.Warning}.get(severity, icons.Information)
        if self.icon.isVisible():
            self.notify(message, icon)

    def notify(self, message: str, icon: QSystemTrayIcon.MessageIcon) -> None:
        self.icon.showMessage("Medulla", message, icon)

    def _touched(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in {QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick}:
            self.shown.emit()
