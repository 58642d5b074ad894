"""The last look before settings are applied: what changes from what to what, what becomes looser, and the reason for it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.api.settings_schemas import SettingChangeModel
from app.gui import formats
from app.gui.setting_fields import name_of
from app.gui.theme import Theme


class ReviewPage(QWidget):
    """`decided` carries (reason, confirmed); `left` goes back to the fields."""

    decided = Signal(str, bool)
    left = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._looser = 0
        self._live = False
        self.headline = QLabel()
        self.headline.setStyleSheet("font-size: 13pt; font-weight: 600")
        self.grid = QGridLayout()
        self.reason = QLineEdit()
        self.reason.setMaxLength(500)
        self.reason.setPlaceholderText("Why? It is kept in the journal.")
        self.reason.setAccessibleName("Reason")
        self.confirm = QCheckBox("I mean it: more can be lost than before")
        self.warning = QLabel()
        self.warning.setWordWrap(True)
        self.fault = QLabel()
        self.fault.setWordWrap(True)
        self.fault.hide()
        self.back = QPushButton("Back to the fields")
        self.back.setAutoDefault(False)
        self.apply = QPushButton("Apply")
        self.apply.setAutoDefault(False)
        self._lay_out()
        self.back.clicked.connect(self.left)
        self.apply.clicked.connect(self._decide)
        self.reason.textChanged.connect(lambda _text: self._judge())
        self.confirm.toggled.connect(lambda _on: self._judge())
        self.reason.returnPressed.connect(self._decide)
        theme.changed.connect(self._colour)
        self._colour()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 12)
        column.setSpacing(10)
        column.addWidget(self.headline)
        inside = QWidget()
        self.grid.setHorizontalSpacing(18)
        self.grid.setVerticalSpacing(8)
        self.grid.setColumnStretch(4, 1)
        inside.setObjectName("settingsInside")
        inner = QVBoxLayout(inside)
        inner.setContentsMargins(16, 14, 16, 14)
        inner.setSpacing(18)
        inner.addLayout(self.grid)
        self.box = QFrame()
        self.box.setObjectName("caution")
        box = QVBoxLayout(self.box)
        box.setContentsMargins(14, 10, 14, 12)
        box.setSpacing(8)
        for widget in (self.warning, self.reason, self.confirm):
            box.addWidget(widget)
        inner.addWidget(self.box)
        inner.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(inside)
        column.addWidget(scroll, 1)
        column.addWidget(self.fault)
        line = QHBoxLayout()
        line.addStretch()
        line.addWidget(self.back)
        line.addWidget(self.apply)
        column.addLayout(line)

    def show_changes(self, changes: Sequence[SettingChangeModel], *, live: bool) -> None:
        """Anew, with an empty reason. `live`: an engine runs that takes over what it can."""
        self._live = live
        while (item := self.grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for column, title in enumerate(("Setting", "Now", "", "Then", "What it means")):
            self.grid.addWidget(_label(title, dim=True), 0, column)
        for row, change in enumerate(changes, 1):
            self._add(row, change)
        looser = [change for change in changes if change.loosens]
        self._looser = len(looser)
        self.headline.setText(
            f"{formats.count(len(changes), 'change')} to apply"
            + (f", {len(looser)} of them lets more through than before" if looser else "")
        )
        names = ", ".join(name_of(change.key) for change in looser)
        self.warning.setText(
            f"▲ Looser than before: {names}. More can be lost before trading is refused or stops."
        )
        self.reason.clear()
        self.confirm.setChecked(False)
        self.box.setVisible(bool(looser))
        self.say("")
        self._judge()
        (self.reason if looser else self.apply).setFocus()

    def _add(self, row: int, change: SettingChangeModel) -> None:
        name = _label(name_of(change.key))
        name.setToolTip(change.key)
        old, new = _label(change.old), _label(change.new)
        new.setStyleSheet("font-weight: 600")
        at_once = self._live and change.effect == "live"
        when = "in force at once" if at_once else "from the engine's next start"
        meaning = _label(f"▲ looser, {when}" if change.loosens else f"✓ {when}")
        if change.loosens:
            meaning.setStyleSheet(f"color: {self._theme.tones.warn}; font-weight: 600")
        for column, widget in enumerate((name, old, _label("→", dim=True), new, meaning)):
            self.grid.addWidget(widget, row, column, Qt.AlignmentFlag.AlignTop)
        name.setAccessibleName(change.words)

    def say(self, why: str) -> None:
        """Why it was not applied; empty: nothing to say."""
        self.fault.setText(f"✕ {why[:1].upper()}{why[1:]}" if why else "")
        self.fault.setVisible(bool(why))

    def _judge(self) -> None:
        ready = not self._looser or (bool(self.reason.text().strip()) and self.confirm.isChecked())
        self.apply.setEnabled(ready)
        self.apply.setDefault(ready)
        self.apply.setToolTip("" if ready else "A reason and the confirmation are needed first.")

    def _decide(self) -> None:
        if self.apply.isEnabled():
            self.decided.emit(self.reason.text().strip(), bool(self._looser))

    def _colour(self) -> None:
        tones = self._theme.tones
        self.box.setStyleSheet(
            f"QFrame#caution {{ border: 1px solid {tones.warn}; border-radius: 8px; background: {tones.row}; }}"
        )
        self.warning.setStyleSheet(
            f"color: {tones.warn}; font-weight: 600; border: 0; background: transparent"
        )
        self.fault.setStyleSheet(f"color: {tones.down}; font-weight: 600")


def _label(text: str, *, dim: bool = False) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(len(text) > 40)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if dim:
        label.setObjectName("dim")
    return label
