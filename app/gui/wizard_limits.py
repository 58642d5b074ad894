"""The first start's page about limits: a safe set of figures or one's own, shown side by side, written to the configuration.

Which values are allowed and what loosens is the settings' to say.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QLabel,
    QRadioButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.api.settings_schemas import AppliedModel, JudgedModel, SettingModel, SettingsModel
from app.gui.setting_fields import Field, field_for, name_of, quoted, unit_of
from app.gui.settings_review import ReviewPage
from app.gui.wizard_page import SignLine, WizardPage, WizardWorld, sentence
from app.settings.presets import CONSERVATIVE, PRESET_KEYS, STANDARD

_COLUMNS = ("Conservative", "Standard", "Your own")
_OWN = 2
_SETS = (CONSERVATIVE, STANDARD)


class LimitsPage(WizardPage):
    name, step = "limits", "Limits"

    def __init__(self, world: WizardWorld) -> None:
        super().__init__(
            world,
            "How much may be lost?",
            "Whatever the brain asks for, nothing is opened beyond these limits. Begin tight: a limit is loosened later in the "
            "settings, with a reason.",
        )
        self.group = QButtonGroup(self)
        self.buttons: list[QRadioButton] = []
        self.fields: dict[str, Field] = {}
        self.faults: dict[str, QLabel] = {}
        self._cells: list[list[QLabel]] = [[], []]
        self._settings: dict[str, SettingModel] = {}
        self._begun = False
        self.said = SignLine(world.theme)
        self.said.hide()
        self.grid = QGridLayout()
        self.grid.setHorizontalSpacing(24)
        self.grid.setVerticalSpacing(5)
        self.grid.setColumnStretch(4, 1)
        inside = QWidget()
        inside.setObjectName("wizardInside")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.addLayout(self.grid)
        column.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(inside)
        self.review = ReviewPage(world.theme)
        self.stack = QStackedWidget()
        self.stack.addWidget(area)
        self.stack.addWidget(self.review)
        self.column.addWidget(self.said)
        self.column.addWidget(self.stack, 1)
        for number, text in enumerate(_COLUMNS):
            button = QRadioButton(text)
            button.setStyleSheet("font-weight: 600")
            self.buttons.append(button)
            self.group.addButton(button, number)
        self.buttons[0].setChecked(True)
        self.group.idToggled.connect(lambda _number, _on: self._stress())
        self.review.left.connect(lambda: self.stack.setCurrentIndex(0))
        self.review.decided.connect(self._write)
        world.theme.changed.connect(self._stress)

    @property
    def next_text(self) -> str:
        return "Set these limits"

    @property
    def ready(self) -> bool:
        return bool(self._settings) and self.stack.currentIndex() == 0

    def enter(self) -> None:
        self.stack.setCurrentIndex(0)
        self.world.way.describe(self.have, self._tell)

    def _tell(self, why: str) -> None:
        self.said.tell("bad", why)
        self.said.show()
        self.changed.emit()

    def have(self, found: SettingsModel) -> None:
        """The settings as they are: they fill the column of one's own."""
        self._settings = {each.key: each for each in found.settings if each.key in PRESET_KEYS}
        self.said.hide()
        if not self._begun:
            self._begun = True
            self._fill()
            if any(each.origin != "default" for each in self._settings.values()):
                # Somebody has chosen already; that must not be replaced by a click on Next.
                self.buttons[_OWN].setChecked(True)
        self.changed.emit()

    def _fill(self) -> None:
        for place, button in enumerate(self.buttons):
            self.grid.addWidget(button, 0, place + 1)
        for row, key in enumerate(PRESET_KEYS, 1):
            setting = self._settings[key]
            name = sentence(name_of(key))
            name.setToolTip(setting.money)
            name.setMinimumWidth(190)
            self.grid.addWidget(name, 2 * row, 0)
            for place, preset in enumerate(_SETS):
                label = QLabel(_figure(preset[key], setting))
                label.setAlignment(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
                self._cells[place].append(label)
                self.grid.addWidget(label, 2 * row, place + 1)
            started = setting if setting.origin != "default" else _with(setting, CONSERVATIVE[key])
            field = field_for(started)
            field.changed.connect(lambda key=key: self._complain(key, ""))
            self.fields[key] = field
            self.grid.addWidget(field, 2 * row, _OWN + 1)
            fault = sentence("")
            fault.hide()
            self.faults[key] = fault
            self.grid.addWidget(fault, 2 * row + 1, 1, 1, 4)
        self._stress()

    def _stress(self) -> None:
        """The chosen column in bold; one's own can be written in when it is chosen."""
        tones = self.world.theme.tones
        chosen = self.group.checkedId()
        for place, cells in enumerate(self._cells):
            look = f"color: {tones.text}; font-weight: 600" if place == chosen else f"color: {tones.dim}"
            for cell in cells:
                cell.setStyleSheet(look)
        for key, field in self.fields.items():
            field.setEnabled(chosen == _OWN and not self._settings[key].locked)
        for fault in self.faults.values():
            fault.setStyleSheet(f"color: {tones.down}; font-weight: 600")

    # ------------------------------------------------------------ setting them

    def asked(self) -> dict[str, Any]:
        """The chosen figures by key, without those that a variable or option sets."""
        chosen = self.group.checkedId()
        values = (
            {key: field.value() for key, field in self.fields.items()} if chosen == _OWN else _SETS[chosen]
        )
        return {key: value for key, value in values.items() if not self._settings[key].locked}

    def go_on(self) -> None:
        self.world.way.check(self.asked(), self._judged, self._tell)

    def _judged(self, found: JudgedModel) -> None:
        faults = {fault.key: fault.rule for fault in found.errors}
        for key in self.fields:
            self._complain(key, faults.get(key, ""))
        if faults:
            if not faults.keys() <= self.fields.keys():
                self._tell("; ".join(f"{key} {rule}".strip() for key, rule in faults.items()))
            first = next((key for key in self.fields if key in faults), None)
            if first is not None:
                self.fields[first].editor.setFocus()
            return
        if any(change.loosens for change in found.changes):
            self.review.show_changes(found.changes, live=self.world.way.live)
            self.stack.setCurrentIndex(1)
            self.changed.emit()
            return
        self._write("", False)

    def _complain(self, key: str, rule: str) -> None:
        self.faults[key].setText(quoted(f"✕ {rule[:1].upper()}{rule[1:]}.") if rule else "")
        self.faults[key].setVisible(bool(rule))

    def _write(self, reason: str, confirm: bool) -> None:
        self.world.way.apply(
            self.asked(), reason=reason, confirm=confirm, done=self._done, failed=self._not_written
        )

    def _done(self, _applied: AppliedModel) -> None:
        self.stack.setCurrentIndex(0)
        trouble = self.world.reload()
        if trouble:
            self._tell(trouble)
            return
        self.passed.emit()

    def _not_written(self, why: str) -> None:
        self.review.say(why)
        if self.stack.currentIndex() == 0:
            self._tell(why)


def _figure(value: str, setting: SettingModel) -> str:
    if setting.kind == "flag":
        return "on" if value == "true" else "off"
    unit = unit_of(setting.allowed)
    return f"{value} {unit}".strip() if len(unit) < 6 else value


def _with(setting: SettingModel, value: str) -> SettingModel:
    return setting.model_copy(update={"value": value})
