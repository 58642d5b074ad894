"""The settings in a window of their own: by section, searchable, checked while they are typed, and looked over before they count.

It never blocks the main window, so that the emergency stop stays in reach. Rules are the settings' own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.api.settings_schemas import AppliedModel, JudgedModel, SettingsModel
from app.gui import formats
from app.gui.notice_line import NoticeLine
from app.gui.setting_row import SettingRow
from app.gui.settings_list import SettingsList, section_title
from app.gui.settings_review import ReviewPage
from app.gui.settings_way import SettingsWay
from app.gui.theme import Theme

_CHECK_MS = 300


class SettingsDialog(QDialog):
    """Show it with `show()`. `applied` carries the AppliedModel."""

    applied = Signal(object)

    def __init__(self, way: SettingsWay, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Settings")
        self.setModal(False)
        self.resize(1000, 720)
        self._way = way
        self._theme = theme
        self._here = [self]
        """Emptied when the window goes: an answer that comes later finds nobody."""
        self.destroyed.connect(self._here.clear)
        self._asked_at = 0
        self._may_close = False
        self._typed: dict[str, Any] = {}
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search: name, meaning, key  (Ctrl+F)")
        self.search.setAccessibleName("Search the settings")
        self.search.setClearButtonEnabled(True)
        self.sections = QListWidget()
        self.sections.setObjectName("steps")
        self.sections.setAccessibleName("Sections")
        self.sections.setFixedWidth(170)
        self.notice = NoticeLine(theme)
        self.place = QLabel()
        self.place.setObjectName("dim")
        self.place.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.said = QLabel()
        self.said.setObjectName("dim")
        self.list = SettingsList(theme)
        self.discard = QPushButton("Undo all")
        self.leave = QPushButton("Close")
        self.review_button = QPushButton("Review changes…")
        # Bold while it is the default; a style sheet's weight is not in the size hint.
        self.review_button.setMinimumWidth(150)
        self.review = ReviewPage(theme)
        self.stack = QStackedWidget()
        self._lay_out()
        self._join()
        self.reload()

    # ------------------------------------------------------------ parts

    def _lay_out(self) -> None:
        fields = QWidget()
        column = QVBoxLayout(fields)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = QHBoxLayout()
        head.setContentsMargins(16, 12, 16, 10)
        head.addWidget(self.search, 1)
        column.addLayout(head)
        column.addWidget(self.notice)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.sections)
        middle.addWidget(self.list, 1)
        column.addLayout(middle, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 10, 16, 12)
        foot.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.said)
        words.addWidget(self.place)
        foot.addLayout(words, 1)
        for button in (self.discard, self.leave, self.review_button):
            button.setAutoDefault(False)
            foot.addWidget(button)
        column.addLayout(foot)
        self.stack.addWidget(fields)
        self.stack.addWidget(self.review)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.stack)

    def _join(self) -> None:
        self._checks = QTimer(self)
        self._checks.setSingleShot(True)
        self._checks.setInterval(_CHECK_MS)
        self._checks.timeout.connect(self._check)
        self.list.edited.connect(self._edited)
        self.list.secret_given.connect(self._store_secret)
        self.list.completed.connect(self._all_there)
        self.search.textChanged.connect(lambda _text: self._filter())
        self.sections.currentRowChanged.connect(lambda _row: self._filter())
        self.discard.clicked.connect(self._undo_all)
        self.leave.clicked.connect(self.close)
        self.review_button.clicked.connect(self.look_over)
        self.review.left.connect(lambda: self.stack.setCurrentIndex(0))
        self.review.decided.connect(self._apply)
        for keys, act in (
            (QKeySequence.StandardKey.Find, self.search.setFocus),
            (QKeySequence.StandardKey.Save, self.look_over),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(act)

    def reload(self) -> None:
        """Ask for all settings and show them anew; what was typed is kept where its setting still is."""
        self._way.describe(self._have, self._have_not)

    def _have(self, found: SettingsModel) -> None:
        if not self._here:
            return
        self._typed = {key: row.asked() for key, row in self.rows.items() if row.is_changed}
        self.place.setText(found.file)
        if found.warnings:
            self.notice.say("warning", found.warnings[0], stays=True)
        if not self._way.live:
            self.notice.say(
                "info",
                "No engine runs: changes go into the file and count from its next start, which journals them.",
                stays=True,
            )
        self._show_rows(found)
        self._count()

    def _have_not(self, why: str) -> None:
        if self._here:
            self.notice.say("bad", f"The settings cannot be shown: {why}", stays=True)
            self._count()

    def _show_rows(self, found: SettingsModel) -> None:
        chosen = self._chosen()
        names = self.list.section_names(found)
        self.sections.blockSignals(True)
        self.sections.clear()
        for name in names:
            item = QListWidgetItem(section_title(name))
            item.setData(Qt.ItemDataRole.UserRole, name)
            self.sections.addItem(item)
        first = chosen if chosen in names else names[0]
        self.sections.setCurrentRow(names.index(first))
        self.sections.blockSignals(False)
        self.list.show_settings(found, first)

    def _chosen(self) -> str | None:
        item = self.sections.currentItem()
        return None if item is None else str(item.data(Qt.ItemDataRole.UserRole))

    @property
    def rows(self) -> dict[str, SettingRow]:
        return self.list.rows

    @property
    def complete(self) -> bool:
        """Whether every setting has its row."""
        return self.list.complete

    def _all_there(self) -> None:
        for key, value in self._typed.items():
            row = self.rows.get(key)
            if row is not None and row.field is not None and not row.is_changed:
                row.field.show_value(row.setting.default if value is None else value)
                row.field.changed.emit()
        self._typed = {}
        self._count()

    def _filter(self) -> None:
        """The chosen section; while something is searched for, whatever has the words, wherever it is."""
        self.list.look_for(self.search.text(), self._chosen())

    # ------------------------------------------------------------ changing

    def changes(self) -> dict[str, Any]:
        """What is asked for, by key; None: take it out of the file."""
        return {key: row.asked() for key, row in self.rows.items() if row.is_changed}

    def _edited(self) -> None:
        self._may_close = False
        self._count()
        self._checks.start()

    def _count(self) -> None:
        number = len(self.changes())
        wrong = sum(row.is_wrong for row in self.rows.values())
        self.said.setText(
            f"✕ {formats.count(wrong, 'value')} not allowed"
            if wrong
            else formats.count(number, "change")
            if number
            else "Nothing is changed."
        )
        self.review_button.setEnabled(bool(number) and not wrong)
        self.review_button.setDefault(bool(number))
        self.discard.setEnabled(bool(number))

    def _undo_all(self) -> None:
        for row in self.rows.values():
            if row.is_changed:
                row.take_back()

    def _check(self) -> None:
        self._ask_to_check(partial(self._judged, show=False))

    def _ask_to_check(self, done: Any) -> None:
        changes = self.changes()
        self._asked_at += 1
        mine = self._asked_at

        def judged(found: JudgedModel) -> None:
            # Typed on meanwhile: a newer answer is on its way.
            if self._here and mine == self._asked_at:
                done(found)

        if changes:
            self._way.check(changes, judged, self._have_not_checked)
        else:
            self._judged(JudgedModel(changes=(), errors=()), show=False)

    def _have_not_checked(self, why: str) -> None:
        if self._here:
            self.notice.say("bad", f"Not checked: {why}")

    def _judged(self, found: JudgedModel, *, show: bool) -> None:
        faults = {fault.key: fault.rule for fault in found.errors}
        for key, row in self.rows.items():
            row.complain(faults.get(key, ""))
        for key, rule in faults.items():
            if key not in self.rows:
                self.notice.say("bad", f"{key}: {rule}".removeprefix(": "))
        self._count()
        if not show:
            return
        if faults:
            self._go_to(next((key for key in self.rows if key in faults), ""))
        elif not found.changes:
            self.notice.say("info", "These values mean the same as before: there is nothing to apply.")
        else:
            self.review.show_changes(found.changes, live=self._way.live)
            self.stack.setCurrentIndex(1)

    def _go_to(self, key: str) -> None:
        row = self.rows.get(key)
        if row is None:
            return
        if row.isHidden():
            self.search.clear()
            for place in range(self.sections.count()):
                if self.sections.item(place).data(Qt.ItemDataRole.UserRole) == row.setting.section:
                    self.sections.setCurrentRow(place)
        self.list.ensureWidgetVisible(row)
        if row.field is not None:
            row.field.editor.setFocus()

    def look_over(self) -> None:
        """Check once more, then show what would be applied."""
        self._checks.stop()
        self._ask_to_check(partial(self._judged, show=True))

    def _apply(self, reason: str, confirm: bool) -> None:
        self.review.apply.setEnabled(False)
        self._way.apply(
            self.changes(), reason=reason, confirm=confirm, done=self._done, failed=self._not_applied
        )

    def _not_applied(self, why: str) -> None:
        if self._here:
            self.review.say(why)
            self.review.apply.setEnabled(True)

    def _done(self, applied: AppliedModel) -> None:
        if not self._here:
            return
        self.list.rows.clear()
        self.stack.setCurrentIndex(0)
        self.notice.say("good", applied_in_words(applied, live=self._way.live))
        self.applied.emit(applied)
        self.reload()

    def _store_secret(self, key: str, value: str) -> None:
        def done() -> None:
            if self._here:
                self.notice.say("good", "Stored in the keyring. The engine uses it from its next start.")
                self.reload()

        def failed(why: str) -> None:
            if self._here:
                self.notice.say("bad", f"Not stored: {why}")

        self._way.store_secret(key, value, done, failed)

    # ------------------------------------------------------------ leaving

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Esc goes back from the review, and does not throw away what was typed."""
        if event.key() == Qt.Key.Key_Escape:
            if self.stack.currentIndex() == 1:
                self.stack.setCurrentIndex(0)
            else:
                self.close()
            return
        super().keyPressEvent(event)

    def throw_away(self) -> None:
        """The next close asks nothing."""
        self._may_close = True

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        number = len(self.changes())
        if number and not self._may_close:
            event.ignore()
            self._may_close = True
            self.notice.say(
                "warning",
                f"{formats.count(number, 'change')} not applied. Close once more to throw them away.",
                stays=True,
            )
            return
        super().closeEvent(event)


def applied_in_words(applied: AppliedModel, *, live: bool) -> str:
    """One sentence after it is done. `live`: by an engine that runs."""
    if not live:
        return f"{formats.count(len(applied.changes), 'change')} written to {applied.file}. They count from the engine's start."
    at_once = len(applied.changes) - len(applied.restart)
    parts = []
    if at_once:
        parts.append(f"{formats.count(at_once, 'change')} in force")
    if applied.restart:
        parts.append(f"{formats.count(len(applied.restart), 'change')} from the engine's next start")
    return f"Applied: {', '.join(parts) or 'nothing had to change'}. It is in the journal."
