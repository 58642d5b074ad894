"""The first start's pages about the terminal: which one, and the Expert Advisor into it. `medulla ea` looks and installs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.gui.errand import Errand
from app.gui.wizard_page import SIMULATED, SignLine, WizardPage, WizardWorld, heading, sentence


class TerminalPage(WizardPage):
    """Which terminal; the simulated one unless another is chosen."""

    name, step = "terminal", "Terminal"
    chosen = Signal(str)

    def __init__(self, world: WizardWorld) -> None:
        super().__init__(
            world,
            "Which terminal?",
            "Begin with the simulated terminal: nothing to install and no money at stake. You can come back here for MetaTrader "
            "5 at any time.",
        )
        self._errand: Errand | None = None
        self._found: list[dict[str, Any]] = []
        self.group = QButtonGroup(self)
        self.group.idToggled.connect(self._choose)
        self.choices = QVBoxLayout()
        self.choices.setSpacing(10)
        self.column.addLayout(self.choices)
        self.said = SignLine(world.theme)
        self.column.addWidget(self.said)
        line = QHBoxLayout()
        self.again = QPushButton("Look again")
        self.other = QPushButton("Another data folder…")
        for button in (self.again, self.other):
            button.setAutoDefault(False)
            line.addWidget(button)
        line.addStretch()
        self.again.clicked.connect(self.look)
        self.other.clicked.connect(self._browse)
        self.column.addLayout(line)
        self.column.addStretch()
        self._show([])

    def enter(self) -> None:
        self.look()

    def leave(self) -> None:
        if self._errand is not None:
            errand, self._errand = self._errand, None
            errand.ended.connect(errand.deleteLater)
            errand.call_off()

    def look(self) -> None:
        """For terminals of this user."""
        self.leave()
        self.said.tell("busy", "Looking for MetaTrader 5 …")
        self._errand = errand = self.world.errand("ea", "list", "--json", configured=False)
        errand.told.connect(self._have)
        errand.ended.connect(lambda code, words: self._ended(errand, code, words))

    def _have(self, message: dict[str, Any]) -> None:
        self._show([row for row in message.get("terminals", ()) if isinstance(row, dict)])
        if self._found:
            self.said.tell("good", f"{len(self._found)} found on this machine.")
        else:
            self.said.tell(
                "info",
                "No MetaTrader 5 was found on this machine.",
                "Start it once, then look again, or name its data folder (in MetaTrader: File > Open Data Folder).",
            )

    def _ended(self, errand: Errand, code: int, words: str) -> None:
        if errand is self._errand:
            self._errand = None
            if code != 0:
                self.said.tell("bad", words or "This machine could not be searched.")
        errand.deleteLater()

    def _show(self, found: list[dict[str, Any]]) -> None:
        self._found = found
        known = {str(row["data"]) for row in found}
        if self.world.terminal != SIMULATED and self.world.terminal not in known:
            self._found.append({"data": self.world.terminal, "origin": "", "build": None, "portable": False})
        while (item := self.choices.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()  # it goes a turn of the loop later, and would show through until then
                widget.deleteLater()
        for button in self.group.buttons():
            self.group.removeButton(button)
        self._offer(0, "Simulated terminal", "Built in; prices are invented, so is the money.", SIMULATED)
        for number, row in enumerate(self._found, 1):
            build = f"build {row['build']}" if row.get("build") else "build unknown"
            where = "portable" if row.get("portable") else row.get("origin") or "named by hand"
            self._offer(number, f"MetaTrader 5: {where}", f"{build}\n{row['data']}", str(row["data"]))

    def _offer(self, number: int, text: str, more: str, value: str) -> None:
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        button = QRadioButton(text)
        button.setStyleSheet("font-weight: 600")
        button.setAccessibleDescription(more)
        button.setChecked(value == self.world.terminal)
        about = sentence(more)
        about.setObjectName("dim")
        about.setContentsMargins(24, 0, 0, 0)
        column.addWidget(button)
        column.addWidget(about)
        self.group.addButton(button, number)
        self.choices.addWidget(whole)

    def _choose(self, number: int, on: bool) -> None:
        if on:
            self.world.terminal = SIMULATED if number == 0 else str(self._found[number - 1]["data"])
            self.chosen.emit(self.world.terminal)

    def _browse(self) -> None:
        dialog = QFileDialog(self, "Data folder of MetaTrader 5")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(self.take_folder)
        dialog.open()

    def take_folder(self, folder: str) -> None:
        """One that a person named."""
        self.world.terminal = str(Path(folder))
        self._show([row for row in self._found if row.get("origin")])


class InstallPage(WizardPage):
    """The Expert Advisor into the chosen terminal."""

    name, step = "install", "Expert Advisor"

    def __init__(self, world: WizardWorld) -> None:
        super().__init__(world, "Install the Expert Advisor", "")
        self._errand: Errand | None = None
        self._result: dict[str, Any] | None = None
        self.installed_in = SIMULATED
        self.without_dll = QCheckBox("Without any DLL (MedullaNoDll): the EA connects to Medulla by itself")
        self.replace = QCheckBox("Replace files that were changed; a copy of each is kept beside it")
        self.begin = QPushButton("Install")
        self.cancel = QPushButton("Call it off")
        for button in (self.begin, self.cancel):
            button.setAutoDefault(False)
        self.begin.clicked.connect(self.install)
        self.cancel.clicked.connect(self.call_off)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.choices = QWidget()
        choices = QVBoxLayout(self.choices)
        choices.setContentsMargins(0, 0, 0, 0)
        choices.addWidget(self.without_dll)
        choices.addWidget(self.replace)
        line = QHBoxLayout()
        line.addWidget(self.begin)
        line.addWidget(self.cancel)
        line.addStretch()
        choices.addLayout(line)
        self.column.addWidget(self.choices)
        self.column.addWidget(self.bar)
        inside = QWidget()
        inside.setObjectName("wizardInside")
        self.lines = QVBoxLayout(inside)
        self.lines.setContentsMargins(0, 0, 8, 0)
        self.lines.setSpacing(6)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QScrollArea.Shape.NoFrame)
        self.area.setWidget(inside)
        self.column.addWidget(self.area, 1)

    @property
    def _simulated(self) -> bool:
        return self.world.terminal == SIMULATED

    @property
    def ready(self) -> bool:
        return self._simulated or self.installed_in == self.world.terminal

    @property
    def skip_text(self) -> str:
        return "" if self.ready or self._errand is not None else "I install it later"

    def enter(self) -> None:
        self._clear()
        self.choices.setVisible(not self._simulated)
        self.bar.hide()
        self.cancel.setEnabled(self._errand is not None)
        if self._simulated:
            self.about.setText("You chose the simulated terminal: there is nothing to install.")
            self._line("good", "Nothing to do here.", "The try-out starts a simulated terminal of its own.")
            return
        self.about.setText(
            "Copies the Expert Advisor, its library, the shared key and a preset with your ports and limits into the terminal, "
            "and compiles it. Nothing that is not Medulla's own is overwritten without your word.\n"
            f"{self.world.terminal}"
        )
        if self.ready and self._result is not None:
            self._show_todo(self._result)

    def leave(self) -> None:
        self.call_off()

    # ------------------------------------------------------------ installing

    def install(self) -> None:
        """As a process: it downloads, writes and compiles while the window lives."""
        if self._errand is not None:
            return
        self._clear()
        self._result = None
        arguments = ["ea", "install", "--terminal", self.world.terminal, "--json", "--follow"]
        arguments += ["--no-dll"] if self.without_dll.isChecked() else []
        arguments += ["--yes"] if self.replace.isChecked() else []
        self._errand = errand = self.world.errand(*arguments)
        errand.told.connect(self._hear)
        errand.ended.connect(lambda code, words: self._ended(errand, code, words))
        self.bar.show()
        self.begin.setEnabled(False)
        self.cancel.setEnabled(True)
        self.changed.emit()

    def call_off(self) -> None:
        """What is on the disk by then is whole; a second run completes it."""
        if self._errand is not None:
            self._line(
                "warning", "Called off.", "Install again to complete it; every file that is there is whole."
            )
            self._errand.call_off()

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("event") == "step":
            self._line(str(message.get("kind", "info")), str(message.get("text", "")))
        else:
            self._result = message

    def _ended(self, errand: Errand, code: int, words: str) -> None:
        self._errand = None
        errand.deleteLater()
        self.bar.hide()
        self.begin.setEnabled(True)
        self.cancel.setEnabled(False)
        result = self._result
        if result is not None and result.get("ok"):
            self.installed_in = self.world.terminal
            self._listen()
            self._show_todo(result)
        elif result is not None:
            for each in result.get("terminals", ()):
                if each.get("trouble"):
                    self._line("bad", "Not installed.", str(each["trouble"]))
        elif code >= 0:
            self._line("bad", "Not installed.", words)
        self.changed.emit()

    def _listen(self) -> None:
        """The EA without DLL connects to us: that is a setting of ours."""
        wanted = "listen" if self.without_dll.isChecked() else "connect"
        if self.world.settings.terminal.transport == wanted:
            return

        def done(_applied: object) -> None:
            self._line(
                "good", f"terminal.transport is {wanted} now", "It counts from the engine's next start."
            )
            self.world.reload()

        self.world.way.apply(
            {"terminal.transport": wanted},
            reason="",
            confirm=False,
            done=done,
            failed=lambda why: self._line("bad", f"terminal.transport must be {wanted}", why),
        )

    def _show_todo(self, result: dict[str, Any]) -> None:
        todo = [str(text) for text in result.get("todo", ())]
        if todo:
            self._put(heading("Now, in MetaTrader 5, by your hand:"))
        for number, text in enumerate(todo, 1):
            self._line("open", f"{number}. {text}")

    def _line(self, kind: str, text: str, more: str = "") -> None:
        line = SignLine(self.world.theme)
        line.tell(kind, text, more)
        self._put(line)

    def _put(self, widget: QWidget) -> None:
        """Before the stretch that keeps the lines together at the top."""
        if self.lines.count() == 0:
            self.lines.addStretch()
        self.lines.insertWidget(self.lines.count() - 1, widget)

    def _clear(self) -> None:
        while (item := self.lines.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
