"""The first start's pages about what this is, and about the brain: the code is looked at first, with the key's fingerprint, and
used when the person says so. `medulla pair` does both.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPlainTextEdit, QPushButton, QWidget

from app.gui.errand import Errand
from app.gui.wizard_page import SignLine, WizardPage, WizardWorld, heading, sentence

_TYPED_MS = 400


class WelcomePage(WizardPage):
    name, step = "welcome", "Welcome"

    def __init__(self, world: WizardWorld) -> None:
        super().__init__(
            world,
            "Welcome to Medulla",
            "Medulla takes orders from a web brain, checks them against your limits, has MetaTrader 5 execute them once, writes "
            "everything down, and can stop at any moment.",
        )
        self.column.addWidget(heading("What comes now, about five minutes"))
        for text, more in (
            ("Pair with your brain", "Its code says where it is and with which key it signs."),
            (
                "Choose a terminal",
                "The simulated one to begin with, or MetaTrader 5 with the Expert Advisor.",
            ),
            ("Check this machine", "Line by line, each with its remedy."),
            ("Set your limits", "From a safe set of figures."),
            ("Try it", "One trade on a simulated terminal, then the emergency stop in your own hand."),
        ):
            line = SignLine(world.theme)
            line.tell("open", text, more)
            self.column.addWidget(line)
        self.column.addStretch()
        self.where = sentence(
            f"You can leave at any page and go on later; no real account is touched here. Everything is kept in\n"
            f"{world.settings.data_folder}"
        )
        self.where.setObjectName("dim")
        self.column.addWidget(self.where)


class PairPage(WizardPage):
    name, step = "pair", "Brain"

    def __init__(self, world: WizardWorld) -> None:
        super().__init__(
            world,
            "Pair with a brain",
            "Paste the pairing code that the brain printed. It holds the brain's address, the key that signs its commands, and "
            "your access key, which goes into the keyring of this machine.",
        )
        self._errand: Errand | None = None
        self._looked_at: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None
        self.paired = False
        self.code = QPlainTextEdit()
        self.code.setPlaceholderText("The whole text behind `medulla pair`")
        self.code.setAccessibleName("Pairing code")
        self.code.setFixedHeight(76)
        self.code.setTabChangesFocus(True)
        self.said = SignLine(world.theme)
        self.facts = QWidget()
        self.grid = QGridLayout(self.facts)
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setHorizontalSpacing(18)
        self.grid.setColumnStretch(1, 1)
        self.use = QPushButton("Pair with this brain")
        self.use.setAutoDefault(False)
        self.use.clicked.connect(self.pair)
        self.column.addWidget(self.code)
        self.column.addWidget(self.said)
        self.column.addWidget(self.facts)
        line = QHBoxLayout()
        line.addWidget(self.use)
        line.addStretch()
        self.column.addLayout(line)
        self.column.addStretch()
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(_TYPED_MS)
        self._typed.timeout.connect(self.look)
        self.code.textChanged.connect(self._edited)
        self.facts.hide()
        self.use.hide()

    @property
    def ready(self) -> bool:
        return self.paired or self.world.settings.brain.url is not None

    @property
    def skip_text(self) -> str:
        return "" if self.ready else "Go on without a brain"

    def enter(self) -> None:
        brain = self.world.settings.brain
        if brain.url is not None and not self.code.toPlainText():
            self.said.tell(
                "good",
                f"Paired with {brain.url} as {brain.executor_id}.",
                "A new code replaces that; nothing has to be done here otherwise.",
            )
        elif not self.code.toPlainText():
            self.said.tell(
                "open", "No code yet.", "The reference brain prints one when it starts: medulla brain"
            )
        self.code.setFocus()

    def leave(self) -> None:
        self._typed.stop()
        self._let_go()

    # ------------------------------------------------------------ look, then use

    def _edited(self) -> None:
        self._let_go()
        self._looked_at = None
        self.facts.hide()
        self.use.hide()
        if self.code.toPlainText().strip():
            self.said.tell("busy", "Reading the code …")
            self._typed.start()
        else:
            self.enter()

    def look(self) -> None:
        """What the code holds; nothing is changed."""
        self._ask(["pair", "-", "--check", "--json"], self._seen)

    def pair(self) -> None:
        """Use it."""
        self.use.setEnabled(False)
        self.said.tell("busy", "Storing address and keys …")
        self._ask(["pair", "-", "--json"], self._used)

    def _ask(self, arguments: list[str], done: Any) -> None:
        self._let_go()
        self._last = None
        errand = self.world.errand(*arguments, typed=self.code.toPlainText())
        self._errand = errand
        errand.told.connect(self._hear)
        errand.ended.connect(lambda code, words: self._ended(errand, code, words, done))

    def _hear(self, message: dict[str, Any]) -> None:
        self._last = message

    def _ended(self, errand: Errand, code: int, words: str, done: Any) -> None:
        if errand is not self._errand:
            return
        self._errand = None
        errand.deleteLater()
        self.use.setEnabled(True)
        done(code, words)
        self.changed.emit()

    def _seen(self, _code: int, words: str) -> None:
        found = self._last
        if found is None:
            self.said.tell("bad", words or "The code could not be read.", "Nothing was changed.")
            return
        self._looked_at = found
        while (item := self.grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        rows = (
            ("Brain", found["url"]),
            ("You are", found["executor_id"]),
            ("Signing key", found["key_id"]),
            ("Fingerprint", found["fingerprint"]),
        )
        for row, (name, value) in enumerate(rows):
            label = sentence(name)
            label.setObjectName("dim")
            self.grid.addWidget(label, row, 0)
            self.grid.addWidget(
                heading(str(value)) if name == "Fingerprint" else sentence(str(value)), row, 1
            )
        notes = " ".join(f"{note}." for note in found.get("notes", ()))
        self.said.tell(
            "warning" if notes else "good",
            "The code is whole. Compare the fingerprint with the one the brain shows.",
            notes or "Whoever holds that key can have trades executed, within your limits.",
        )
        self.facts.show()
        self.use.show()

    def _used(self, code: int, words: str) -> None:
        found = self._last
        if code == 0:
            self.paired = True
            trouble = self.world.reload()
            self.said.tell(
                "warning" if trouble else "good",
                trouble or f"Paired with {self.world.settings.brain.url}.",
                "Address and signing key stand in the configuration, the access key in the keyring.",
            )
            self.use.hide()
            return
        trouble = (found or {}).get("trouble") or words or "It did not work."
        self.world.reload()
        self.said.tell("bad", "Not wholly paired." if found else "Not paired.", trouble)

    def _let_go(self) -> None:
        if self._errand is not None:
            errand, self._errand = self._errand, None
            errand.ended.connect(errand.deleteLater)
            errand.call_off()
            self.use.setEnabled(True)
