"""The first start's last pages: the real stop button pressed once on the try-out's engine and reset by hand; and the end."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QCheckBox, QHBoxLayout

from app.api.schemas import SnapshotModel, StopReceiptModel
from app.gui import formats
from app.gui.formats import Zone
from app.gui.halt_banner import HaltBanner, story_of_picture, story_of_report
from app.gui.reset_dialog import HOLD_MS, ResetDialog
from app.gui.session import EngineState
from app.gui.stop_block import StopBlock
from app.gui.stopping import EmergencyStop
from app.gui.tryout import Tryout
from app.gui.wizard_page import SIMULATED, SignLine, WizardPage, WizardWorld


class DrillPage(WizardPage):
    """The real stop button, on the try-out's engine."""

    name, step = "drill", "Stop drill"

    def __init__(self, world: WizardWorld, tryout: Tryout, hold_ms: int = HOLD_MS) -> None:
        super().__init__(
            world,
            "Press the emergency stop",
            "It is the same button as in the window, joined to the try-out's engine: press it, see what is proved, and reset it. "
            "So you have done it once before you need it.",
        )
        self._tryout = tryout
        self._hold_ms = hold_ms
        self._picture: SnapshotModel | None = None
        self._receipt: StopReceiptModel | None = None
        self._heard: EmergencyStop | None = None
        self.reset_dialog: ResetDialog | None = None
        self.done: set[str] = set()
        line = QHBoxLayout()
        self.block = StopBlock(closes_positions=False)
        self.block.setMaximumHeight(92)
        self.block.pressed.connect(self.press)
        line.addWidget(self.block)
        line.addStretch()
        self.column.addLayout(line)
        self.banner = HaltBanner()
        self.banner.reset.connect(self.reset)
        self.column.addWidget(self.banner)
        self.lines: dict[str, SignLine] = {}
        for name in _DRILL:
            self.lines[name] = SignLine(world.theme)
            self.column.addWidget(self.lines[name])
        self.said = SignLine(world.theme)
        self.column.addWidget(self.said)
        self.column.addStretch()
        tryout.picture.connect(self.take)
        tryout.running.connect(self._begin_anew)
        tryout.ended.connect(lambda _why: self._show())
        self._show()

    @property
    def ready(self) -> bool:
        return "reset" in self.done

    @property
    def skip_text(self) -> str:
        return "" if self.ready else "Skip the drill"

    def enter(self) -> None:
        self._show()

    def _begin_anew(self) -> None:
        self.done.clear()
        self._picture = self._receipt = None
        self.banner.tell(None, 0)
        self._show()

    def press(self) -> None:
        """At once, by a thread of its own, as in the window."""
        stop = self._tryout.stop
        if stop is None:
            self.said.tell("bad", "No try-out runs, so there is nothing to stop.", "Go back and start it.")
            self.said.show()
            return
        self.done.add("pressed")
        if self._heard is not stop:
            stop.reported.connect(self._reported)
            self._heard = stop
        stop.press("stop drill of the first start")
        self._show()

    def _reported(self, report: Any) -> None:
        if report.engine_latched:
            self.done.add("latched")
        if report.terminal_stopped:
            self.done.add("terminal")
        if self._picture is None or self._picture.status.state != "HALTED":
            at = formats.clock(self.world.now(), Zone.LOCAL)
            self.banner.tell(story_of_report(report, at), 0)
        self._ask_receipt()
        self._show()

    def _ask_receipt(self) -> None:
        session = self._tryout.session
        if session is not None and session.state.state is EngineState.CONNECTED:
            session.ask("Stop", lambda client: client.stop_receipt(), self.have_receipt, lambda _why: None)

    def have_receipt(self, receipt: StopReceiptModel) -> None:
        """What the engine has proved so far."""
        self._receipt = receipt
        if receipt.latched:
            self.done.add("latched")
        if any("terminal acknowledged" in proof for proof in receipt.proofs):
            self.done.add("terminal")
        self._show_banner()
        self._show()

    def take(self, picture: SnapshotModel) -> None:
        """The try-out engine's newest picture."""
        before = self._picture.status.state if self._picture is not None else ""
        self._picture = picture
        state = picture.status.state
        if state == "HALTED" and "pressed" in self.done:
            self.done.add("latched")
            if "terminal" not in self.done or before != state:
                self._ask_receipt()
        elif state == "REDUCING" and before == "HALTED":
            self.done.add("reset")
            self._receipt = None
        self._show_banner()
        if state != before:
            self._show()

    def _show_banner(self) -> None:
        picture = self._picture
        if picture is not None and picture.status.state == "HALTED":
            self.banner.tell(story_of_picture(picture, self._receipt, Zone.LOCAL), len(picture.positions))
        elif picture is not None:
            self.banner.tell(None, 0)
        self.block.show_latched(picture is not None and picture.status.state == "HALTED")

    def _show(self) -> None:
        """Each line once it is true, never before."""
        following = True
        for name, (todo, told) in _DRILL.items():
            done = name in self.done
            self.lines[name].tell("good" if done else "busy" if following else "open", told if done else todo)
            following = following and done
        if self.ready:
            self.said.tell(
                "good",
                "You have stopped and reset trading.",
                "After a reset trading is paused: exits pass, entries do not, until you press Resume (F9).",
            )
            self.said.show()
        elif self._tryout.session is None:
            self.said.tell(
                "warning", "The try-out does not run.", "Go back one page and start it; the button needs it."
            )
            self.said.show()
        else:
            self.said.hide()
        self.changed.emit()

    def reset(self) -> None:
        """The same two deliberate steps as in the window."""
        session, settings = self._tryout.session, self._tryout.settings
        if session is None or settings is None or self.reset_dialog is not None:
            return
        dialog = ResetDialog(session, settings.stop_file, self.window(), self._hold_ms)
        # Not modal: the real stop stays in reach whatever is open.
        dialog.setModal(False)
        self.reset_dialog = dialog
        dialog.destroyed.connect(self._forget_dialog)
        dialog.show()

    def _forget_dialog(self) -> None:
        self.reset_dialog = None

    def leave(self) -> None:
        if self.reset_dialog is not None:
            self.reset_dialog.close()


_DRILL = {
    "pressed": ("Press the red button", "Pressed"),
    "latched": ("The engine latches", "Latched: nothing new is traded, whatever comes"),
    "terminal": ("The terminal acknowledges", "The terminal acknowledged: it refuses trades by itself"),
    "reset": ("Press Reset…, type the word, hold the button", "Reset by hand"),
}


class DonePage(WizardPage):
    """What is set up now, and what is left."""

    name, step = "done", "Done"

    def __init__(self, world: WizardWorld) -> None:
        super().__init__(world, "Ready", "")
        self.lines = [SignLine(world.theme) for _ in range(4)]
        for line in self.lines:
            self.column.addWidget(line)
        self.start_engine = QCheckBox("Start the engine now")
        self.start_engine.setChecked(True)
        self.start_terminal = QCheckBox("and the simulated terminal, until the window is closed")
        self.start_terminal.setChecked(True)
        self.start_engine.toggled.connect(self.start_terminal.setEnabled)
        self.column.addSpacing(8)
        self.column.addWidget(self.start_engine)
        self.column.addWidget(self.start_terminal)
        self.column.addStretch()

    @property
    def next_text(self) -> str:
        return "Open the window"

    def enter(self) -> None:
        world = self.world
        settings, simulated = world.settings, world.terminal == SIMULATED
        self.about.setText(
            f"Everything is kept in {settings.config_path}. All of it can be changed in the settings (Ctrl+,)."
        )
        brain, terminal, limits, stop = self.lines
        if settings.brain.url is None:
            brain.tell(
                "open", "No brain is paired: nothing will be traded.", "Help > First start, page Brain."
            )
        else:
            brain.tell("good", f"Brain: {settings.brain.url}")
        if simulated:
            terminal.tell("good", "Terminal: the simulated one.", "By hand it is started with `medulla sim`.")
        else:
            terminal.tell("good", f"Terminal: {world.terminal}", "The EA must be attached to a chart there.")
        if settings.config_path.exists():
            limits.tell(
                "good", "Limits are set.", "Trading is refused beyond them, whatever the brain asks for."
            )
        else:
            limits.tell("warning", "No limits are set.", "Go back to the page Limits.")
        stop.tell("info", "Emergency stop: Ctrl+Alt+Shift+S, or the red button.", "It never asks back.")
        running = world.session.state.state in {EngineState.CONNECTED, EngineState.SILENT}
        self.start_engine.setVisible(not running)
        connects = settings.terminal.transport == "connect"
        self.start_terminal.setVisible(not running and simulated and connects)
