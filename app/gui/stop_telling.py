"""What the banner says of a stop: the engine's own picture and receipt where it answers, otherwise what the press could prove."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from app.api.schemas import SnapshotModel, StopReceiptModel
from app.api.stop_client import StopReport
from app.gui import formats
from app.gui.formats import Zone
from app.gui.halt_banner import HaltBanner, StopStory, story_of_picture, story_of_report
from app.gui.session import EngineSession, EngineState
from app.gui.stopping import EmergencyStop

_RECEIPT_MS = 1000


class StopTelling(QObject):
    """Follows a stop from the press to the reset. `zone`: in whose time it is told."""

    def __init__(self, banner: HaltBanner, session: EngineSession, stop: EmergencyStop) -> None:
        super().__init__(banner)
        self.zone = Zone.LOCAL
        self._banner = banner
        self._session = session
        self._stop = stop
        self._picture: SnapshotModel | None = None
        self._receipt: StopReceiptModel | None = None
        self._report: StopStory | None = None
        self._receipts = QTimer(self)
        self._receipts.setInterval(_RECEIPT_MS)
        self._receipts.timeout.connect(self._ask_receipt)
        stop.reported.connect(self._reported)

    def state_changed(self, picture: SnapshotModel) -> None:
        """Trading is in another state than before."""
        self._receipt = None
        if picture.status.state == "HALTED":
            self._receipts.start()
            self._ask_receipt()
        else:
            self._receipts.stop()
            self._report = None

    def show_picture(self, picture: SnapshotModel | None) -> None:
        """A newer one, or None: nothing is known yet."""
        self._picture = picture
        self._show()

    def have_receipt(self, receipt: StopReceiptModel) -> None:
        """What the engine has proved so far."""
        self._receipt = receipt
        self._show()

    def _reported(self, report: StopReport) -> None:
        self._report = story_of_report(report, formats.clock(self._stop.pressed_at, self.zone))
        self._show()
        if report.engine_latched:
            self._ask_receipt()

    def _ask_receipt(self) -> None:
        if self._session.state.state is EngineState.CONNECTED:
            self._session.ask(
                "Stop", lambda client: client.stop_receipt(), self.have_receipt, lambda _why: None
            )

    def _show(self) -> None:
        picture = self._picture
        connected = self._session.state.state is EngineState.CONNECTED
        if picture is not None and connected and picture.status.state == "HALTED":
            self._banner.tell(story_of_picture(picture, self._receipt, self.zone), len(picture.positions))
        else:
            self._banner.tell(self._report, 0)
