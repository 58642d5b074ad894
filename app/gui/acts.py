"""What a person may do from the window, each as one request to the engine, with the dialog that collects it and the line that
answers it.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QDialog

from app.api.asks import OperateAsk
from app.api.schemas import CommandHistoryModel, OrderModel, PositionModel, ResultModel, TargetsModel
from app.gui import formats, words
from app.gui.commands_pane import HistoryDialog
from app.gui.formats import Zone
from app.gui.reset_dialog import ResetDialog
from app.gui.session import EngineSession
from app.gui.trade_dialogs import AskDialog, CloseDialog, NoteDialog, StopsDialog

if TYPE_CHECKING:
    from app.gui.window import MainWindow

_BY = "desktop"


class TradingActs:
    """Every act ends in one line of notice: done, or refused and why."""

    def __init__(self, window: MainWindow, session: EngineSession, stop_file: Path) -> None:
        self._window = window
        self._session = session
        self._stop_file = stop_file
        self.dialog: QDialog | None = None
        """The dialog that was opened last; for tests."""

    def _open(self, dialog: QDialog) -> None:
        self.dialog = dialog
        dialog.destroyed.connect(self._closed)
        dialog.open()

    def _closed(self) -> None:
        self.dialog = None

    def _good(self, text: str) -> None:
        self._session.notice.emit("good", text)

    # ------------------------------------------------------------ trading state

    def pause_or_resume(self) -> None:
        picture = self._window.picture
        if picture is not None and picture.status.state == "REDUCING":
            self._session.ask(
                "Resume",
                lambda client: client.resume(by=_BY),
                lambda _done: self._good("Trading is active: entries are taken again."),
            )
            return
        self._session.ask(
            "Pause",
            lambda client: client.pause(reason="paused in the window", by=_BY),
            lambda _done: self._good("Paused: entries are refused, closing goes on."),
        )

    def reset(self) -> None:
        dialog = ResetDialog(self._session, self._stop_file, self._window)
        dialog.done_well.connect(
            lambda: self._good(
                "Reset. Trading is paused; nothing from before the stop will run. Resume with F9."
            )
        )
        self._open(dialog)

    def retry_brain(self) -> None:
        self._session.ask(
            "Brain", lambda client: client.retry_brain(), lambda _done: self._good("Trying the brain again.")
        )

    # ------------------------------------------------------------ positions and orders

    def close_position(self, position: PositionModel) -> None:
        dialog = CloseDialog(position, self._window)
        dialog.decided.connect(self._operate)
        self._open(dialog)

    def change(self, item: PositionModel | OrderModel) -> None:
        dialog = StopsDialog(item, self._window)
        dialog.decided.connect(self._operate)
        self._open(dialog)

    def cancel_order(self, order: OrderModel) -> None:
        dialog = AskDialog(
            "Cancel order",
            f"{order.symbol}  {words.side(order.kind)}  {formats.lots(order.volume)} lots at {order.price}  "
            f"#{order.ticket}",
            "Cancel the order",
            self._window,
        )
        ask = OperateAsk(action="CANCEL_ORDER", ticket=order.ticket, by=_BY)
        dialog.decided.connect(lambda _yes: self._operate(ask))
        self._open(dialog)

    def close_all(self) -> None:
        picture = self._window.picture
        rows = picture.positions if picture is not None else ()
        floating = sum((row.profit for row in rows), Decimal(0))
        dialog = AskDialog(
            "Close all positions",
            f"{formats.count(len(rows), 'position')} will be closed at the market, one after the other. "
            f"Floating now {formats.money(floating, signed=True)}.",
            "Close all",
            self._window,
        )
        dialog.decided.connect(lambda _yes: self._operate(OperateAsk(action="CLOSE_ALL", by=_BY)))
        self._open(dialog)

    def _operate(self, ask: OperateAsk) -> None:
        self._session.notice.emit("info", f"{_NAMES[ask.action]} …")
        self._session.ask(
            _NAMES[ask.action], lambda client: client.operate(ask), lambda done: self._told(ask, done)
        )

    def _told(self, ask: OperateAsk, result: ResultModel) -> None:
        name = _NAMES[ask.action]
        if result.details:
            bad = [detail for detail in result.details if detail.outcome != "EXECUTED"]
            done = len(result.details) - len(bad)
            said = f"{name}: {done} of {len(result.details)} done"
            for detail in bad[:3]:
                said += f" — #{detail.ticket} {detail.message or detail.outcome.lower()}"
            self._session.notice.emit("bad" if bad else "good", said + ".")
        elif result.outcome in {"EXECUTED", "PARTIAL"}:
            price = "" if result.price is None else f" at {formats.number(result.price)}"
            part = " in part" if result.outcome == "PARTIAL" else ""
            self._good(f"{name}: done{part}{price}.")
        elif result.outcome == "UNKNOWN":
            self._session.notice.emit(
                "warning",
                f"{name}: the outcome is not known; the terminal is being asked. It is not sent again.",
            )
        else:
            code = "" if result.retcode is None else f" ({result.retcode})"
            self._session.notice.emit(
                "bad", f"{name}: {result.message or result.code or result.outcome}{code}"
            )

    # ------------------------------------------------------------ what only a person can settle

    def reenable(self, limit: str) -> None:
        dialog = NoteDialog(
            f"Re-enable: {words.limit_name(limit)}",
            f"{words.remedy(limit)} The limit then counts anew.",
            "Re-enable",
            self._window,
        )
        dialog.decided.connect(lambda note: self._reenable(limit, str(note)))
        self._open(dialog)

    def _reenable(self, limit: str, note: str) -> None:
        self._session.ask(
            "Re-enable",
            lambda client: client.reenable_limit(limit, note=note, by=_BY),
            lambda _done: self._good(f"{words.limit_name(limit)} counts anew."),
        )

    def acknowledge(self, command_id: str) -> None:
        dialog = NoteDialog(
            "Take over an unknown outcome",
            f"{command_id}: look at the account first. From then on it is yours and no longer asked for.",
            "Take over",
            self._window,
        )
        dialog.decided.connect(lambda note: self._acknowledge(command_id, str(note)))
        self._open(dialog)

    def _acknowledge(self, command_id: str, note: str) -> None:
        self._session.ask(
            "Take over",
            lambda client: client.acknowledge_unknown(command_id, note=note, by=_BY),
            lambda _done: self._good(f"{command_id} is yours now."),
        )

    # ------------------------------------------------------------ alerts

    def acknowledge_alert(self, alert_id: str) -> None:
        self._session.ask(
            "Acknowledge",
            lambda client: client.acknowledge_alert(alert_id, by=_BY),
            lambda done: self._good(f"{formats.count(done, 'alert')} acknowledged."),
        )

    def test_alerts(self) -> None:
        self._session.notice.emit("info", "Sending a test message to every target …")
        self._session.ask("Test", lambda client: client.test_alerts(by=_BY), self._tested)

    def _tested(self, found: TargetsModel) -> None:
        lost = [f"{target.name}: {target.fault}" for target in found.targets if target.fault is not None]
        if lost:
            self._session.notice.emit("bad", f"The test did not reach {'; '.join(lost)}")
        else:
            self._good("The test was taken by " + ", ".join(target.name for target in found.targets) + ".")

    def show_history(self, command_id: str, zone: Zone) -> None:
        dialog = HistoryDialog(command_id, zone, self._window)
        here = [dialog]
        dialog.destroyed.connect(here.clear)

        def have(history: CommandHistoryModel) -> None:
            if here:
                dialog.show_history(history)

        def have_not(why: str) -> None:
            if here:
                dialog.show_fault(why)

        self._open(dialog)
        self._session.ask("History", lambda client: client.command(command_id), have, have_not)


_NAMES = {
    "CLOSE_POSITION": "Close",
    "CLOSE_ALL": "Close all",
    "CANCEL_ORDER": "Cancel",
    "MODIFY_POSITION": "Change",
    "MODIFY_ORDER": "Change",
}
