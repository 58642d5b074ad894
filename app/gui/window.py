"""The main window: puts the parts together and carries what is clicked to the session or to the stop. No rule is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QElapsedTimer, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QMainWindow, QMenuBar, QVBoxLayout, QWidget

from app.api.schemas import SnapshotModel, StopReceiptModel
from app.gui import keys, words
from app.gui.acts import TradingActs
from app.gui.alerts_pane import AlertsPane
from app.gui.commands_pane import CommandsPane
from app.gui.docks import PaneDocks
from app.gui.equity_pane import EquityPane
from app.gui.formats import Zone
from app.gui.halt_banner import HaltBanner
from app.gui.icons import state_icon
from app.gui.journal_pane import JournalPane
from app.gui.latency_pane import LatencyPane
from app.gui.log_panes import LogPane
from app.gui.market_pane import MarketPane
from app.gui.notice_line import NoticeLine
from app.gui.pane import Pane, TablePane
from app.gui.positions_pane import OrdersPane, PositionsPane
from app.gui.safety_pane import SafetyPane
from app.gui.session import EngineLink, EngineSession, EngineState
from app.gui.status_line import StatusLine
from app.gui.stop_telling import StopTelling
from app.gui.stopping import EmergencyStop
from app.gui.theme import Theme
from app.gui.top_bar import TopBar
from app.gui.window_memory import WindowMemory
from app.gui.window_menus import make_menus

FRAME_MS = 100
"""Pictures that come faster than an eye can use them are folded into one."""
_PAST_HOURS = 24


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """What the window needs to know of the configuration."""

    state_file: Path
    """Where its size and layout are remembered."""
    stop_file: Path
    stop_closes_positions: bool
    program: tuple[str, ...]
    """How `medulla` is started."""
    program_options: tuple[str, ...]
    """Which configuration it is given."""


class MainWindow(QMainWindow):
    """`leaving` when the person closes it: whoever owns the program asks what is to become of the engine. `stopped` when trading
    has been stopped, by whomever, while the window looked on.
    """

    leaving = Signal()
    stopped = Signal()
    settings_wanted = Signal()
    setup_wanted = Signal()

    def __init__(
        self, options: WindowOptions, theme: Theme, session: EngineSession, stop: EmergencyStop
    ) -> None:
        super().__init__()
        self._options = options
        self._theme = theme
        self._session = session
        self._stop = stop
        self._picture: SnapshotModel | None = None
        self._waiting: SnapshotModel | None = None
        self._zone = Zone.LOCAL
        self._zone_name = "local"
        self._memory = WindowMemory(options.state_file)
        self._may_close = False
        self._icon_of = ""
        self.setWindowTitle("Medulla")
        self.setWindowIcon(state_icon())
        self.setMinimumSize(960, 540)
        self._make_panes()
        self._make_head()
        self.panes_docked = PaneDocks(
            self,
            (
                (self.positions, self.orders, self.journal),
                (self.equity, self.latency),
                (self.commands, self.alerts, self.log),
                (self.safety, self.market),
            ),
        )
        self.stop_telling = StopTelling(self.banner, session, stop)
        self.status_line = StatusLine(self.statusBar())
        self.acts = TradingActs(self, session, options.stop_file)
        made = make_menus(self, self.menus, theme, session.start_engine)
        self.start_action, self.fade_action, self.sound_action = made.start, made.fade, made.sounds
        self._keys = keys.bind(self, self.act)
        self._join()
        self._frame = QTimer(self)
        self._frame.setSingleShot(True)
        self._drawn = QElapsedTimer()
        self._frame.timeout.connect(self._draw)
        self._queue: list[tuple[Pane, SnapshotModel]] = []
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.timeout.connect(self._draw_one)
        self._recall()

    # ------------------------------------------------------------ parts

    def _make_panes(self) -> None:
        theme = self._theme
        self.positions = PositionsPane(theme)
        self.orders = OrdersPane(theme)
        self.commands = CommandsPane(theme)
        self.safety = SafetyPane(theme)
        self.market = MarketPane(theme)
        self.equity = EquityPane(theme)
        self.latency = LatencyPane(theme)
        self.alerts = AlertsPane(theme)
        self.log = LogPane(theme)
        self.journal = JournalPane(theme, self._options.program, self._options.program_options)
        self.panes: tuple[Pane, ...] = (
            self.positions,
            self.orders,
            self.commands,
            self.safety,
            self.market,
            self.equity,
            self.latency,
            self.alerts,
            self.log,
            self.journal,
        )

    def _make_head(self) -> None:
        """Menu, banner, figures and notices: above the docks, where nothing docked can cover them."""
        head = QWidget()
        column = QVBoxLayout(head)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.menus = QMenuBar()
        self.banner = HaltBanner()
        self.top = TopBar(self._theme, closes_positions=self._options.stop_closes_positions)
        self.engine_line = NoticeLine(self._theme, "Start the engine")
        self.engine_line.away.hide()
        self.notices = NoticeLine(self._theme)
        for widget in (self.menus, self.banner, self.top, self.engine_line, self.notices):
            column.addWidget(widget)
        self.setMenuWidget(head)

    def _join(self) -> None:
        session, acts = self._session, self.acts
        session.picture.connect(self.take)
        session.link.connect(self.show_link)
        session.notice.connect(self.notices.say)
        self.equity.past_wanted.connect(self._ask_past)
        self.top.stop_block.pressed.connect(self.press_stop)
        self.top.pause.connect(acts.pause_or_resume)
        self.top.resume.connect(acts.pause_or_resume)
        self.banner.close_all.connect(acts.close_all)
        self.banner.reset.connect(acts.reset)
        self.engine_line.button.clicked.connect(session.start_engine)
        self.positions.close_wanted.connect(acts.close_position)
        self.positions.change_wanted.connect(acts.change)
        self.positions.close_all_wanted.connect(acts.close_all)
        self.orders.cancel_wanted.connect(acts.cancel_order)
        self.orders.change_wanted.connect(acts.change)
        self.commands.history_wanted.connect(self.show_history)
        self.journal.history_wanted.connect(self.show_history)
        self.commands.acknowledge_wanted.connect(acts.acknowledge)
        self.safety.reenable_wanted.connect(acts.reenable)
        self.alerts.acknowledge_wanted.connect(acts.acknowledge_alert)
        self.alerts.test_wanted.connect(acts.test_alerts)
        self.show_link(session.state)

    # ------------------------------------------------------------ what the engine says

    @property
    def picture(self) -> SnapshotModel | None:
        return self._picture

    @property
    def zone(self) -> Zone:
        return self._zone

    @property
    def drawing(self) -> bool:
        """Whether panes still wait for the picture that is being drawn."""
        return bool(self._queue)

    def take(self, picture: SnapshotModel) -> None:
        """A newer picture; a stop is shown at once, all else with the next frame."""
        before = self._picture.status.state if self._picture is not None else ""
        self._picture = self._waiting = picture
        self._settle_zone()
        if picture.status.state != before:
            if picture.status.state == "HALTED" and before:
                self.stopped.emit()
            self.stop_telling.state_changed(picture)
            self._draw()
        elif not self._queue:
            self._await_frame()

    def _await_frame(self) -> None:
        """At once, unless the last picture is not old enough yet: what comes in between is folded into one."""
        if not self._frame.isActive():
            self._frame.start(max(0, FRAME_MS - self._drawn.elapsed()) if self._drawn.isValid() else 0)

    def draw_now(self) -> None:
        """What waits for the next frame, at once."""
        self._frame.stop()
        self._draw()

    def _draw(self) -> None:
        picture, self._waiting = self._waiting, None
        if picture is None:
            return
        if self._session.state.state not in {EngineState.SILENT, EngineState.LOST}:
            self.top.show_picture(picture)
        self.stop_telling.show_picture(self._picture)
        self.status_line.show_picture(picture)
        self._drawn.start()
        self._queue = [(pane, picture) for pane in reversed(self.panes)]
        self._turn.start(0)
        title, state = words.title(picture), picture.status.state
        if title != self.windowTitle():
            self.setWindowTitle(title)
        if state != self._icon_of:
            self._icon_of = state
            self.setWindowIcon(state_icon(state))

    def _draw_one(self) -> None:
        """One pane a turn of the loop, so that clicks and paints come in between."""
        if not self._queue:
            return
        pane, picture = self._queue.pop()
        # The next one is called for first: a pane that fails must not keep the others from being drawn.
        if self._queue:
            self._turn.start(0)
        elif self._waiting is not None:
            # It waited until now: begun anew each time, a slow machine would never come to the last pane.
            self._await_frame()
        pane.take(picture)

    def show_link(self, link: EngineLink) -> None:
        """Connected again: the engine's line goes; anything else: it says what is known."""
        connected = link.state is EngineState.CONNECTED
        idle = link.state in {EngineState.NONE, EngineState.LOST}
        self.engine_line.button.setVisible(idle)
        self.start_action.setEnabled(idle)
        if connected:
            self.engine_line.hide()
            if self._picture is not None:
                self._waiting = self._picture
                self._draw()
        else:
            kind = "info" if link.state in {EngineState.SEARCHING, EngineState.STARTING} else "warning"
            self.engine_line.say(kind, f"{link.words[:1].upper()}{link.words[1:]}.", stays=True)
            self.top.show_link(link)
            self.stop_telling.show_picture(self._picture)

    def _ask_past(self) -> None:
        """The equity curve survives this window: the journal has one point a minute."""
        self._session.ask(
            "Equity",
            lambda client: client.equity(_PAST_HOURS),
            self.equity.have_past,
            lambda _why: None,
        )

    # ------------------------------------------------------------ the stop

    def press_stop(self) -> None:
        """At once, in a thread of its own."""
        self._stop.press()

    def have_receipt(self, receipt: StopReceiptModel) -> None:
        """What the engine has proved so far."""
        self.stop_telling.have_receipt(receipt)

    # ------------------------------------------------------------ what the person does

    def act(self, name: str) -> None:
        """By the names of keys.KEYS."""
        if name.startswith("pane:"):
            self.panes_docked.bring(name.removeprefix("pane:"))
            return
        {
            "stop": self.press_stop,
            "pause_or_resume": self.acts.pause_or_resume,
            "show_keys": self.show_keys,
            "filter": self._focus_filter,
            "toggle_zone": self.toggle_zone,
            "default_layout": self.default_layout,
            "settings": self.settings_wanted.emit,
            "leave": self.close,
        }[name]()

    def show_keys(self) -> None:
        keys.KeysDialog(self).open()

    def show_history(self, command_id: str) -> None:
        self.acts.show_history(command_id, self._zone)

    def _focus_filter(self) -> None:
        focused = self.focusWidget()
        for pane in self.panes:
            if isinstance(pane, TablePane) and focused is not None and pane.isAncestorOf(focused):
                pane.filter.setFocus()
                return
        self.positions.filter.setFocus()

    def toggle_zone(self) -> None:
        """Local, UTC, the broker's own: round and round."""
        names = ["local", "UTC", "broker"]
        self._zone_name = names[(names.index(self._zone_name) + 1) % len(names)]
        self._settle_zone()
        if self._zone.name != self._zone_name:
            self._session.notice.emit(
                "info", "The broker's time is not known yet; until then times are local."
            )

    def _settle_zone(self) -> None:
        """The broker's clock is known when its terminal has said so, and changes with summer and winter."""
        offset = self._picture.server_utc_offset if self._picture is not None else None
        zones = {"UTC": Zone.UTC, "broker": Zone.LOCAL if offset is None else Zone.broker(offset)}
        zone = zones.get(self._zone_name, Zone.LOCAL)
        if zone == self._zone:
            return
        self._zone = zone
        for pane in (self.commands, self.alerts, self.log):
            pane.set_zone(zone)
        self.journal.zone = zone
        self.status_line.zone = zone
        self.stop_telling.zone = zone
        self.equity.set_zone(zone)
        if self._picture is not None:
            self.status_line.show_picture(self._picture)

    def set_fading(self, wanted: bool) -> None:
        """Whether values that change are lit for a moment."""
        for pane in (self.positions, self.orders, self.market):
            pane.view.set_fading(wanted)

    def default_layout(self) -> None:
        self.panes_docked.lay_out()

    # ------------------------------------------------------------ coming and going

    def _recall(self) -> None:
        kept = self._memory.recall(self)
        if kept.layout is None:
            self.panes_docked.lay_out()
        else:
            self.panes_docked.restore(kept.layout)
        self.positions.view.setFocus()
        self._zone_name = kept.zone if kept.zone in {"UTC", "broker"} else "local"
        self._settle_zone()
        self.fade_action.setChecked(kept.fades)
        self.sound_action.setChecked(kept.sounds)

    def remember(self) -> None:
        """Size, layout and choices for the next start."""
        self._memory.remember(
            self,
            zone=self._zone_name,
            colours=self._theme.choice,
            fades=self.fade_action.isChecked(),
            sounds=self.sound_action.isChecked(),
        )

    def come_forward(self) -> None:
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def let_close(self) -> None:
        """The next close is not asked about."""
        self._may_close = True

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        self.remember()
        if self._may_close:
            event.accept()
            return
        event.ignore()
        self.leaving.emit()
