"""The first start: pages in a row, from pairing to the stop drill. It can be left at any page and is taken up again there.

A window beside the main one, never in front of it: the emergency stop stays in reach. What a page does is in its own file.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui.tryout import Tryout
from app.gui.wizard_checks import ChecksPage
from app.gui.wizard_drill import DonePage, DrillPage
from app.gui.wizard_limits import LimitsPage
from app.gui.wizard_page import WizardPage, WizardWorld
from app.gui.wizard_pairing import PairPage, WelcomePage
from app.gui.wizard_terminal import InstallPage, TerminalPage
from app.gui.wizard_tryout import TryoutPage
from app.settings import Settings

_PAGE, _PASSED, _OVER, _QUIET, _TERMINAL = (
    "setup/page",
    "setup/passed",
    "setup/over",
    "setup/quiet",
    "setup/terminal",
)


def wanted_at_start(world: WizardWorld, settings: Settings) -> bool:
    """Nothing is configured yet, or it was begun and left; not after the person said that it need not come by itself."""
    kept = world.kept
    if str(kept.value(_OVER, "")) == "yes" or str(kept.value(_QUIET, "")) == "yes":
        return False
    return not settings.config_path.exists() or bool(kept.value(_PAGE, ""))


class SetupWizard(QDialog):
    """Show it with `show()`. `finished_well`: (whether the engine is to be started, whether the simulated terminal is)."""

    finished_well = Signal(bool, bool)

    def __init__(self, world: WizardWorld, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("First start")
        self.setModal(False)
        self.resize(940, 660)
        self.world = world
        world.terminal = str(world.kept.value(_TERMINAL, "") or "")
        self.tryout = Tryout(world)
        self.welcome = WelcomePage(world)
        self.pairing = PairPage(world)
        self.terminal = TerminalPage(world)
        self.install = InstallPage(world)
        self.checks = ChecksPage(world)
        self.limits = LimitsPage(world)
        self.trial = TryoutPage(world, self.tryout)
        self.drill = DrillPage(world, self.tryout)
        self.last = DonePage(world)
        self.pages: tuple[WizardPage, ...] = (
            self.welcome,
            self.pairing,
            self.terminal,
            self.install,
            self.checks,
            self.limits,
            self.trial,
            self.drill,
            self.last,
        )
        self.passed = {name for name in str(world.kept.value(_PASSED, "") or "").split("+") if name}
        self.steps = QListWidget()
        self.steps.setObjectName("steps")
        self.steps.setAccessibleName("Steps")
        self.steps.setFixedWidth(180)
        self.stack = QStackedWidget()
        self.back = QPushButton("Back")
        self.skip = QPushButton()
        self.next = QPushButton("Next")
        self.next.setMinimumWidth(160)
        self.later = QPushButton("Leave for now")
        self.quiet = QCheckBox("Do not open by itself again")
        self._lay_out()
        self._join()
        self._place = -1
        self.go_to(self._first())

    def _lay_out(self) -> None:
        for page in self.pages:
            self.stack.addWidget(page)
            self.steps.addItem(QListWidgetItem())
        body = QHBoxLayout()
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addWidget(self.steps)
        body.addWidget(self.stack, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 10, 16, 12)
        foot.setSpacing(8)
        foot.addWidget(self.later)
        foot.addWidget(self.quiet)
        foot.addStretch()
        for button in (self.skip, self.back, self.next):
            foot.addWidget(button)
        for button in (self.skip, self.back, self.next, self.later):
            button.setAutoDefault(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(body, 1)
        column.addLayout(foot)

    def _join(self) -> None:
        self.back.clicked.connect(lambda: self.go_to(self._place - 1))
        self.next.clicked.connect(self._next)
        self.skip.clicked.connect(self._skip)
        self.later.clicked.connect(self.close)
        self.quiet.setChecked(str(self.world.kept.value(_QUIET, "")) == "yes")
        self.quiet.toggled.connect(lambda on: self._keep(_QUIET, "yes" if on else ""))
        self.terminal.chosen.connect(lambda folder: self._keep(_TERMINAL, folder))
        self.steps.currentRowChanged.connect(self.go_to)
        for page in self.pages:
            page.changed.connect(self._show_buttons)
            page.passed.connect(partial(self._page_passed, page))

    @property
    def page(self) -> WizardPage:
        """The one that is shown."""
        return self.pages[self._place]

    def _first(self) -> int:
        """Where it was left; the try-out begins anew, since its processes ended with the window."""
        kept = str(self.world.kept.value(_PAGE, "") or "")
        place = next((place for place, page in enumerate(self.pages) if page.name == kept), 0)
        return min(place, self.pages.index(self.trial)) if kept == self.drill.name else place

    def _keep(self, name: str, value: str) -> None:
        kept = self.world.kept
        kept.setValue(name, value)
        kept.sync()

    # ------------------------------------------------------------ from page to page

    def go_to(self, place: int) -> None:
        if not 0 <= place < len(self.pages) or place == self._place:
            return
        if self._place >= 0:
            self.page.leave()
        self._place = place
        self.stack.setCurrentIndex(place)
        self._keep(_PAGE, self.page.name)
        self.page.enter()
        self._show_buttons()

    def _next(self) -> None:
        self.page.go_on()

    def _page_passed(self, page: WizardPage) -> None:
        self.passed.add(page.name)
        self._keep(_PASSED, "+".join(sorted(self.passed)))
        if page is self.last:
            self._finish()
        elif page is self.page:
            self.go_to(self._place + 1)

    def _skip(self) -> None:
        # Without the try-out there is nothing to drill on.
        self.go_to(self._place + (2 if self.page is self.trial else 1))

    def _finish(self) -> None:
        self._keep(_OVER, "yes")
        self._keep(_PAGE, "")
        engine, terminal = self.last.start_engine, self.last.start_terminal
        start = engine.isChecked() and not engine.isHidden()
        with_terminal = start and terminal.isChecked() and not terminal.isHidden()
        self.close()
        self.finished_well.emit(start, with_terminal)

    def _show_buttons(self) -> None:
        page = self.page
        self.back.setEnabled(self._place > 0)
        self.next.setText(page.next_text)
        self.next.setEnabled(page.ready)
        self.next.setDefault(page.ready)
        self.skip.setVisible(bool(page.skip_text))
        self.skip.setText(page.skip_text)
        self.quiet.setVisible(page is not self.last)
        self.later.setVisible(page is not self.last)
        self.steps.blockSignals(True)
        for place, each in enumerate(self.pages):
            item = self.steps.item(place)
            sign = "●" if each is page else "✓" if each.name in self.passed else "○"
            item.setText(f"{sign}  {each.step}")
            reachable = place <= self._place or all(
                before.name in self.passed for before in self.pages[:place]
            )
            flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
            item.setFlags(flags if reachable else Qt.ItemFlag.NoItemFlags)
        self.steps.setCurrentRow(self._place)
        self.steps.blockSignals(False)

    # ------------------------------------------------------------ leaving

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Esc leaves for now; what was done stays done."""
        if event.key() == Qt.Key.Key_Escape:
            self.close()
            return
        super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        for page in self.pages:
            page.close_down()
        super().closeEvent(event)
