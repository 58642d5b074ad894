"""One setting in the dialog: name, field, what it means, what is allowed, where its value came from, what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.api.settings_schemas import SettingModel
from app.gui.setting_fields import Field, field_for, name_of, quoted
from app.gui.theme import Theme

_NAME_WIDTH = 210


class SettingRow(QFrame):
    """`edited` when its value is another; `secret_given` carries a secret to be stored."""

    edited = Signal()
    secret_given = Signal(str, str)

    def __init__(self, setting: SettingModel, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("settingRow")
        self.setting = setting
        self._theme = theme
        self.field: Field | None = None if setting.secret else field_for(setting)
        self.name = QLabel(name_of(setting.key))
        self.name.setStyleSheet("font-weight: 600")
        self.name.setWordWrap(True)
        key = _dim(setting.key)
        key.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.mark = QLabel()
        self.undo = _flat("Undo", "Back to the value it had")
        self.to_default = _flat("Default", "Take it out of the file: the default counts")
        self.undo.clicked.connect(self.take_back)
        self.to_default.clicked.connect(self._default)
        self.fault = QLabel()
        self.fault.setWordWrap(True)
        self.fault.hide()
        self._lay_out(key)
        if self.field is not None:
            self.field.changed.connect(self._changed)
        theme.changed.connect(self._colour)
        self._show_state()

    def _lay_out(self, key: QLabel) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(16, 10, 16, 10)
        grid.setHorizontalSpacing(18)
        grid.setColumnMinimumWidth(0, _NAME_WIDTH)
        grid.setColumnStretch(1, 1)
        left = QVBoxLayout()
        left.setSpacing(2)
        for widget in (self.name, key, self.mark):
            left.addWidget(widget)
        left.addStretch()
        grid.addLayout(left, 0, 0)
        right = QVBoxLayout()
        right.setSpacing(4)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.field if self.field is not None else self._secret_field(), 1)
        line.addWidget(self.undo)
        line.addWidget(self.to_default)
        right.addLayout(line)
        right.addWidget(self.fault)
        setting = self.setting
        right.addWidget(_sentence(_joined(setting.meaning, setting.money)))
        right.addWidget(_dim(f"Allowed: {setting.allowed}."))
        right.addWidget(_dim(_facts(setting)))
        grid.addLayout(right, 0, 1)

    def _secret_field(self) -> QWidget:
        whole = QWidget()
        line = QHBoxLayout(whole)
        line.setContentsMargins(0, 0, 0, 0)
        self.secret = QLineEdit()
        self.secret.setEchoMode(QLineEdit.EchoMode.Password)
        self.secret.setPlaceholderText("a new one, kept in the keyring of this machine")
        self.secret.setAccessibleName(name_of(self.setting.key))
        self.store = QPushButton("Store")
        self.store.setAutoDefault(False)
        self.store.setEnabled(False)
        self.secret.textChanged.connect(lambda text: self.store.setEnabled(bool(text.strip())))
        self.store.clicked.connect(self._give_secret)
        line.addWidget(self.secret, 1)
        line.addWidget(self.store)
        if self.setting.key != "brain.api_key" or self.setting.locked:
            # Others have a way of their own, which their meaning names.
            self.secret.setEnabled(False)
            self.secret.setPlaceholderText("")
        return whole

    def _give_secret(self) -> None:
        text = self.secret.text().strip()
        self.secret.clear()
        self.secret_given.emit(self.setting.key, text)

    # ------------------------------------------------------------ its value

    @property
    def is_changed(self) -> bool:
        return self.field is not None and self.asked() != self._kept()

    def asked(self) -> Any:
        """What is in the field, as it would be written; None: take it out of the file."""
        value = None if self.field is None else self.field.value()
        return None if value == self.setting.default or value in ([], {}) else value

    def _kept(self) -> Any:
        value = self.setting.value
        return None if value == self.setting.default or value in ([], {}, "") else value

    def take_back(self) -> None:
        """The value it had."""
        if self.field is not None:
            self.field.show_value(self.setting.value)
            self._changed()

    def _default(self) -> None:
        if self.field is not None:
            self.field.show_value(self.setting.default)
            self._changed()

    def _changed(self) -> None:
        self.complain("")
        self._show_state()
        self.edited.emit()

    # ------------------------------------------------------------ how it looks

    def complain(self, rule: str) -> None:
        """What is wrong with it; empty: nothing."""
        self.fault.setText(quoted(f"✕ {rule[:1].upper()}{rule[1:]}.") if rule else "")
        self.fault.setVisible(bool(rule))
        if self.field is not None:
            self.field.editor.setProperty("wrong", bool(rule))
            self.field.editor.setStyleSheet(f"border-color: {self._theme.tones.down}" if rule else "")
        self._colour()

    @property
    def is_wrong(self) -> bool:
        return bool(self.fault.text())

    def matches(self, text: str) -> bool:
        """Whether every word of `text` stands in it."""
        setting = self.setting
        whole = f"{setting.key} {name_of(setting.key)} {setting.meaning} {setting.money} {setting.allowed}".lower()
        return all(word in whole for word in text.lower().split())

    def _show_state(self) -> None:
        changed = self.is_changed
        self.mark.setText("● changed" if changed else "")
        self.mark.setVisible(changed)
        self.undo.setVisible(changed)
        at_default = self.field is None or self.asked() is None
        self.to_default.setVisible(not at_default and not self.setting.locked)
        self._colour()

    def _colour(self) -> None:
        tones = self._theme.tones
        self.mark.setStyleSheet(f"color: {tones.accent}; font-weight: 600")
        self.fault.setStyleSheet(f"color: {tones.down}; font-weight: 600")


def _facts(setting: SettingModel) -> str:
    when = (
        "A change counts at once"
        if setting.effect == "live"
        else "A change counts from the engine's next start"
    )
    where = {"default": "This is the default"}.get(setting.origin, f"Set in {_short(setting.origin)}")
    if setting.secret:
        where = f"Now: {setting.origin}"
    if setting.locked:
        where = f"Set by {setting.origin}, which counts more than the file: change it there"
    pending = (
        "  ▲ The engine still works with another value until it is started again." if setting.pending else ""
    )
    return f"{where}. {when}.{pending}"


def _short(origin: str) -> str:
    """File and line without its folders."""
    path, colon, line = origin.rpartition(":")
    return f"{Path(path).name}, line {line}" if colon and line.isdigit() else origin


def _joined(meaning: str, money: str) -> str:
    return meaning if meaning == money else f"{meaning} {money}"


def _sentence(text: str) -> QLabel:
    label = QLabel(quoted(text))
    label.setWordWrap(True)
    return label


def _dim(text: str) -> QLabel:
    label = _sentence(text)
    label.setObjectName("dim")
    return label


def _flat(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName("flat")
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleDescription(tip)
    return button
