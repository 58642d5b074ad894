"""The first start's page that looks at the machine: what `medulla doctor` finds, line by line, each with its remedy."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.gui import formats
from app.gui.errand import Errand
from app.gui.wizard_page import SIMULATED, SignLine, WizardPage, WizardWorld

_KINDS = {"ok": "good", "warning": "warning", "fault": "bad"}
_LATER = {"Engine", "Daily loss", "Order size", "Exposure", "Drawdown", "Repeats"}
"""Warnings that the next pages answer."""


class ChecksPage(WizardPage):
    name, step = "checks", "Checks"

    def __init__(self, world: WizardWorld) -> None:
        super().__init__(
            world,
            "Is everything in its place?",
            "Each line says what was found and what to do about it. Faults that are left do not keep you from going on; trading "
            "waits until they are mended.",
        )
        self._errand: Errand | None = None
        self.found: list[dict[str, Any]] = []
        line = QHBoxLayout()
        self.again = QPushButton("Check again")
        self.again.setAutoDefault(False)
        self.again.clicked.connect(self.check)
        self.said = SignLine(world.theme)
        line.addWidget(self.said, 1, Qt.AlignmentFlag.AlignVCenter)
        line.addWidget(self.again)
        self.column.addLayout(line)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.column.addWidget(self.bar)
        inside = QWidget()
        inside.setObjectName("wizardInside")
        self.lines = QVBoxLayout(inside)
        self.lines.setContentsMargins(0, 0, 8, 0)
        self.lines.setSpacing(8)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QScrollArea.Shape.NoFrame)
        self.area.setWidget(inside)
        self.column.addWidget(self.area, 1)
        self.bar.hide()

    def enter(self) -> None:
        self.check()

    def leave(self) -> None:
        if self._errand is not None:
            errand, self._errand = self._errand, None
            errand.ended.connect(errand.deleteLater)
            errand.call_off()
            self._rest()

    def check(self) -> None:
        """Again from the first line; can be left at any time."""
        self.leave()
        self.said.tell("busy", "Looking …")
        self.bar.show()
        self.again.setEnabled(False)
        self._errand = errand = self.world.errand("doctor", "--json")
        errand.told.connect(self.have)
        errand.ended.connect(lambda code, words: self._ended(errand, code, words))

    def _ended(self, errand: Errand, code: int, words: str) -> None:
        errand.deleteLater()
        if errand is not self._errand:
            return
        self._errand = None
        self._rest()
        if code not in {0, 1} and not self.found:
            self.said.tell("bad", words or "The checks could not be made.")

    def _rest(self) -> None:
        self.bar.hide()
        self.again.setEnabled(True)

    def have(self, report: dict[str, Any]) -> None:
        """What the doctor said."""
        self.found = [check for check in report.get("checks", ()) if isinstance(check, dict)]
        while (item := self.lines.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        # What wants something done stands first.
        order = ("fault", "warning", "ok")
        faults = warnings = 0
        for check in sorted(self.found, key=lambda check: order.index(check["state"])):
            kind, remedy = _KINDS[check["state"]], str(check.get("remedy", ""))
            if kind == "bad" and check["name"] == "Terminal" and self.world.terminal == SIMULATED:
                kind, remedy = "open", "No terminal runs yet; the try-out starts a simulated one of its own."
            elif kind == "warning" and check["name"] in _LATER:
                kind, remedy = "open", f"One of the next pages is about it. {remedy}"
            faults += kind == "bad"
            warnings += kind == "warning"
            line = SignLine(self.world.theme)
            line.tell(kind, f"{check['name']}: {check['detail']}", remedy)
            self.lines.addWidget(line)
        self.lines.addStretch()
        if faults or warnings:
            self.said.tell(
                "bad" if faults else "warning",
                f"{formats.count(faults, 'fault')}, {formats.count(warnings, 'warning')}",
            )
        else:
            self.said.tell("good", "Nothing is in the way.")
