"""The field in which one setting is edited, by its kind. A field gives the value as it is written in the file, or None for "not
set"; whether it is allowed, the settings say.
"""

from __future__ import annotations

import re
from typing import Any

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QFontMetrics, QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QLineEdit, QPlainTextEdit, QWidget

from app.api.settings_schemas import SettingModel


class _Framed(QWidget):
    """An editor on a line of its own; `changed` when the person edits it."""

    changed = Signal()

    def __init__(self, editor: QWidget) -> None:
        super().__init__()
        self.editor = editor
        """What gets the focus."""
        self.line = QHBoxLayout(self)
        self.line.setContentsMargins(0, 0, 0, 0)
        self.line.addWidget(editor)


class TextField(_Framed):
    """One line: texts, numbers, paths, and lists with commas."""

    def __init__(self, *, is_list: bool, hint: str) -> None:
        self.edit = QLineEdit()
        super().__init__(self.edit)
        self._is_list = is_list
        self.edit.setPlaceholderText(hint)
        self.edit.textEdited.connect(lambda _text: self.changed.emit())

    def value(self) -> Any:
        text = self.edit.text().strip()
        if not text:
            return None
        return [part.strip() for part in text.split(",") if part.strip()] if self._is_list else text

    def show_value(self, value: Any) -> None:
        self.edit.setText(", ".join(value) if isinstance(value, list | tuple) else str(value or ""))
        self.edit.setCursorPosition(0)


class NumberField(TextField):
    """A number as a person writes it: a comma for the point and spaces between thousands are understood."""

    def __init__(self, hint: str, unit: str) -> None:
        super().__init__(is_list=False, hint=hint)
        self.edit.setFixedWidth(150)
        self.unit = QLabel(unit)
        self.unit.setObjectName("dim")
        self.line.addSpacing(8)
        self.line.addWidget(self.unit)
        self.line.addStretch()

    def value(self) -> Any:
        text = self.edit.text().strip()
        figures = "".join(text.split()).replace(",", ".").replace("−", "-")
        # What is no number is handed on as it was typed, so that the complaint shows it so.
        return (figures if _FIGURES.match(figures) else text) or None


class ChoiceField(_Framed):
    """One of a few words."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.box = _CalmBox()
        super().__init__(self.box)
        self.box.addItems(list(choices))
        self.box.activated.connect(lambda _index: self.changed.emit())
        self.line.addStretch()

    def value(self) -> Any:
        return self.box.currentText()

    def show_value(self, value: Any) -> None:
        self.box.setCurrentText(str(value))


class FlagField(_Framed):
    """On or off."""

    def __init__(self) -> None:
        self.check = QCheckBox()
        super().__init__(self.check)
        self.check.toggled.connect(lambda _on: self._word())
        self.check.clicked.connect(lambda _on: self.changed.emit())
        self.line.addStretch()

    def value(self) -> Any:
        return "true" if self.check.isChecked() else "false"

    def show_value(self, value: Any) -> None:
        self.check.setChecked(value == "true")
        self._word()

    def _word(self) -> None:
        self.check.setText("on" if self.check.isChecked() else "off")


class LinesField(_Framed):
    """Several values, one a line: sessions as `mon tue 08:00-22:00`, keys as `id: key`, strategies as `name: limit=value, …`."""

    def __init__(self, kind: str) -> None:
        self.edit = _ShortText()
        super().__init__(self.edit)
        self._kind = kind
        hints = {
            "sessions": "mon tue wed thu fri 08:00-22:00",
            "keys": "brain-1: base64 of the public key",
            "strategies": "ma_cross: max_positions=2, max_volume_per_order=0.10",
        }
        self.edit.setPlaceholderText(hints.get(kind, "one a line"))
        self.edit.setTabChangesFocus(True)
        self._silent = False
        self.edit.textChanged.connect(self._edited)

    def _edited(self) -> None:
        if not self._silent:
            self.changed.emit()

    def value(self) -> Any:
        lines = [line.strip() for line in self.edit.toPlainText().splitlines() if line.strip()]
        if not lines:
            return None
        if self._kind == "sessions":
            return [_session_of(line) for line in lines]
        named = [(name.strip(), rest.strip()) for name, _, rest in (line.partition(":") for line in lines)]
        return {name: rest if self._kind == "keys" else _limits_of(rest) for name, rest in named}

    def show_value(self, value: Any) -> None:
        self._silent = True
        if isinstance(value, dict):
            self.edit.setPlainText("\n".join(f"{name}: {_limits_line(rest)}" for name, rest in value.items()))
        else:
            self.edit.setPlainText("\n".join(_line_of(item) for item in value or ()))
        self._silent = False


def _session_of(line: str) -> Any:
    """What cannot be read goes on as it is: the settings say what is allowed."""
    *days, span = line.replace(",", " ").split()
    start, dash, end = span.replace("–", "-").partition("-")
    return {"days": days, "start": start, "end": end} if dash and days else line


def _limits_of(text: str) -> Any:
    """`max_positions=2, allowed_symbols=EURUSD+GBPUSD`; what has no sign of equality goes on as it is."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(equals for _name, equals, _value in pairs):
        return text
    return {
        name.strip(): value.strip().split("+") if name.strip().endswith("symbols") else value.strip()
        for name, _equals, value in pairs
    }


def _limits_line(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(
        f"{name}={'+'.join(item) if isinstance(item, list | tuple) else item}" for name, item in value.items()
    )


def _line_of(item: Any) -> str:
    if isinstance(item, dict) and set(item) == {"days", "start", "end"}:
        return f"{' '.join(item['days'])} {item['start']}-{item['end']}"
    return str(item)


Field = TextField | ChoiceField | FlagField | LinesField
"""`value()` gives what stands in the file (None: not set), `show_value()` puts it in without telling anybody."""


def field_for(setting: SettingModel) -> Field:
    """The right field, with the setting's value in it and a name for screen readers."""
    made: Field
    match setting.kind:
        case "flag":
            made = FlagField()
        case "choice":
            made = ChoiceField(setting.choices)
        case "sessions" | "keys" | "strategies":
            made = LinesField(setting.kind)
        case "number":
            made = NumberField(_unset(setting), unit_of(setting.allowed))
        case _:
            made = TextField(is_list=setting.kind == "list", hint=_unset(setting))
    made.show_value(setting.value)
    made.editor.setAccessibleName(name_of(setting.key))
    made.editor.setAccessibleDescription(f"{setting.meaning} Allowed: {setting.allowed}. {setting.money}")
    made.setEnabled(not setting.locked)
    return made


def _unset(setting: SettingModel) -> str:
    """What an empty field means."""
    if setting.default in (None, "", [], {}):
        return "no limit" if "no limit" in setting.allowed else "not set"
    return f"default {setting.default}"


_CODE = re.compile(r"`([^`]*)`")
_FIGURES = re.compile(r"[-+]?[0-9.]+\Z")
_UNITS = {
    "lots": "lots",
    "points": "points",
    "percent": "%",
    "seconds": "s",
    "milliseconds": "ms",
    "minutes": "min",
    "days": "days",
    "money": "in account currency",
}


def unit_of(allowed: str) -> str:
    """What stands behind the number: `lots`, `%`, or nothing."""
    return _UNITS.get(allowed.replace(",", " ").split()[0], "")


_SPELLED = {"url": "address", "api": "API", "ca": "CA", "id": "id", "ms": "(ms)", "urls": "addresses"}


def name_of(key: str) -> str:
    """`safety.max_volume_per_order` as `Max volume per order`."""
    words = [_SPELLED.get(word, word) for word in key.rpartition(".")[2].split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def quoted(text: str) -> str:
    """Commands and keys in a person's quotes instead of a document's."""
    return _CODE.sub("“\\1”", text)


class _CalmBox(QComboBox):
    """Does not change when somebody only scrolls past."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _ShortText(QPlainTextEdit):
    """Three lines high."""

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(super().sizeHint().width(), QFontMetrics(self.font()).lineSpacing() * 3 + 16)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return self.sizeHint()
