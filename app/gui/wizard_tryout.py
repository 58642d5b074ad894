"""The first start's page on which one trade happens, on the try-out's simulated terminal, seen from the price to the profit."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton

from app.api.schemas import CommandModel, SnapshotModel
from app.gui import formats
from app.gui.tryout import Tryout
from app.gui.wizard_page import SignLine, WizardPage, WizardWorld


class TryoutPage(WizardPage):
    """One trade, seen from the price to the profit."""

    name, step = "tryout", "Try it"

    def __init__(self, world: WizardWorld, tryout: Tryout) -> None:
        super().__init__(
            world,
            "One trade, to see it work",
            "Starts a simulated terminal, a brain and an engine, each as a process of its own and in a folder of its own. The "
            "brain then has 0.01 lots of EURUSD bought and closed again. Your own account is not part of it.",
        )
        self._tryout = tryout
        self.traded = False
        line = QHBoxLayout()
        self.begin = QPushButton("Start the try-out")
        self.cancel = QPushButton("Call it off")
        for button in (self.begin, self.cancel):
            button.setAutoDefault(False)
            line.addWidget(button)
        line.addStretch()
        self.column.addLayout(line)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.hide()
        self.column.addWidget(self.bar)
        self.lines: dict[str, SignLine] = {}
        for name, text in _STEPS.items():
            self.lines[name] = SignLine(world.theme)
            self.lines[name].tell("open", text)
            self.column.addWidget(self.lines[name])
        self.said = SignLine(world.theme)
        self.said.hide()
        self.column.addWidget(self.said)
        self.column.addStretch()
        self.begin.clicked.connect(self.start)
        self.cancel.clicked.connect(self.call_off)
        self.cancel.setEnabled(False)
        tryout.told.connect(self._step)
        tryout.picture.connect(self.take)
        tryout.ended.connect(self._ended)

    @property
    def ready(self) -> bool:
        return self.traded

    @property
    def skip_text(self) -> str:
        return "" if self.traded else "Skip the try-out and the drill"

    def start(self) -> None:
        """Everything from the beginning."""
        if self._tryout.begun:
            return
        self.traded = False
        for name, text in _STEPS.items():
            self.lines[name].tell("open", text)
        self.lines["terminal"].tell("busy", "Starting …")
        self.said.hide()
        self.bar.show()
        self._tryout.begin()
        self._show_buttons()

    def call_off(self) -> None:
        self._tryout.end()
        self._ended("")
        self.said.tell("warning", "Called off.", "Nothing of it is left.")
        self.said.show()

    def close_down(self) -> None:
        self._tryout.end_now()

    def _show_buttons(self) -> None:
        self.begin.setEnabled(not self._tryout.begun)
        self.begin.setText("Start it again" if self.traded else "Start the try-out")
        self.cancel.setEnabled(self._tryout.begun and not self.traded)
        self.changed.emit()

    def _step(self, name: str, detail: str) -> None:
        if name in self.lines:
            self.lines[name].tell("good", _STEPS[name], detail)
        names = list(_STEPS)
        if name in names and names.index(name) + 1 < len(names):
            following = names[names.index(name) + 1]
            self.lines[following].tell("busy", f"{_STEPS[following]} …")

    def take(self, picture: SnapshotModel) -> None:
        """The try-out engine's newest picture."""
        if self.traded:
            return
        opened, closed = _done(picture, "OPEN_POSITION"), _done(picture, "CLOSE_POSITION")
        if opened is not None and opened.result is not None:
            price = "" if opened.result.price is None else f" at {formats.number(opened.result.price)}"
            took = (
                ""
                if opened.total_ms is None
                else f", answered within {formats.milliseconds(opened.total_ms)}"
            )
            self._step("opened", f"{formats.lots(opened.volume)} lots of {opened.symbol}{price}{took}")
            if picture.positions:
                profit = formats.money(picture.positions[0].profit, signed=True)
                self.lines["closed"].tell("busy", f"{_STEPS['closed']} …", f"floating now {profit}")
        if closed is not None and closed.result is not None and not picture.positions:
            price = "" if closed.result.price is None else f"at {formats.number(closed.result.price)}"
            balance = "" if picture.account is None else f", balance {formats.money(picture.account.balance)}"
            self.lines["closed"].tell("good", _STEPS["closed"], f"{price}{balance}")
            self.traded = True
            self.bar.hide()
            self.said.tell("good", "It works: signed, checked, journalled, executed once.", "Now the stop.")
            self.said.show()
            self._show_buttons()

    def _ended(self, why: str) -> None:
        self.bar.hide()
        if why and not self.traded:
            self.said.tell("bad", "The try-out did not come through.", why)
            self.said.show()
        for name, line in self.lines.items():
            if line.text.text().endswith("…"):
                line.tell("open", _STEPS[name])
        self._show_buttons()


_STEPS = {
    "terminal": "Simulated terminal",
    "brain": "Brain, with a key of its own",
    "engine": "Engine",
    "opened": "Position opened",
    "closed": "Position closed",
}


def _done(picture: SnapshotModel, action: str) -> CommandModel | None:
    return next(
        (row for row in picture.commands if row.action == action and row.state in {"EXECUTED", "PARTIAL"}),
        None,
    )
