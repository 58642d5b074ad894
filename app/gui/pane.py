"""What every pane shares: tools above, content, a line below, words for when there is nothing. A pane that is hidden or behind
a tab costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.api.schemas import SnapshotModel
from app.gui.row_view import RowView
from app.gui.rows import Column, Row
from app.gui.still_labels import FootLine
from app.gui.theme import Theme


class Pane(QWidget):
    """A part of the window that follows the engine's picture."""

    title_changed = Signal(str)

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.setObjectName("pane")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.name = name
        self.title = title
        self._waiting: SnapshotModel | None = None
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(0)

    def take(self, picture: SnapshotModel) -> None:
        """A newer picture; drawn at once if the pane can be seen, otherwise when it can."""
        self.notice(picture)
        if self.seen:
            self._waiting = None
            self.draw(picture)
        else:
            self._waiting = picture

    @property
    def seen(self) -> bool:
        """Whether a part of it can be seen. To Qt a pane behind a tab is visible too; it only lies outside the window."""
        window = self.window()
        if self is window or not self.isVisible():
            return self.isVisible()
        return window.rect().intersects(QRect(self.mapTo(window, QPoint()), self.size()))

    def come_in_front(self) -> None:
        """Its tab was chosen: what was kept back is drawn."""
        self._catch_up()

    def notice(self, picture: SnapshotModel) -> None:
        """What must be kept of every picture, seen or not (curves, counts in the title)."""

    def draw(self, picture: SnapshotModel) -> None:
        """Show it."""

    def set_title(self, text: str) -> None:
        if text != self.title:
            self.title = text
            self.title_changed.emit(text)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self._catch_up()

    def _catch_up(self) -> None:
        if self._waiting is not None:
            picture, self._waiting = self._waiting, None
            self.draw(picture)

    def foot(self) -> FootLine:
        """The line below, made when asked for."""
        line = FootLine()
        self.column.addWidget(line)
        return line


class Empty(QWidget):
    """What stands in a pane without content: what will appear, and how to try it."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 12, 24, 12)
        column.setSpacing(4)
        column.addStretch()
        self.heading = QLabel(title)
        self.heading.setObjectName("emptyTitle")
        self.words = QLabel(text)
        self.words.setObjectName("emptyText")
        for label in (self.heading, self.words):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            column.addWidget(label)
        column.addStretch()


class TablePane(Pane):
    """A pane that is a table, with a filter."""

    def __init__(
        self,
        name: str,
        title: str,
        columns: Sequence[Column],
        theme: Theme,
        empty: tuple[str, str],
    ) -> None:
        super().__init__(name, title)
        self.setMinimumSize(200, 90)
        self.tools = QWidget()
        self.tools.setObjectName("paneTools")
        line = QHBoxLayout(self.tools)
        line.setContentsMargins(8, 4, 8, 4)
        line.setSpacing(6)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter  (Ctrl+F)")
        self.filter.setAccessibleName(f"Filter of {title}")
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(230)
        line.addWidget(self.filter)
        line.addStretch()
        self.tool_line = line
        self.column.addWidget(self.tools)
        self.view = RowView(columns, theme, title)
        self.empty = Empty(*empty)
        self._stack = QStackedLayout()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.view)
        self.column.addLayout(self._stack, 1)
        self.filter.textChanged.connect(self._filtered)
        self.view.menu_wanted.connect(self._menu)
        self._nothing = empty

    def put(self, rows: Sequence[Row]) -> None:
        self.view.rows.put(rows)
        self._judge_emptiness()

    def add_tool(self, text: str, tip: str) -> QToolButton:
        """A button at the right of the tools."""
        button = QToolButton()
        button.setObjectName("flat")
        button.setText(text)
        button.setToolTip(tip)
        self.tool_line.addWidget(button)
        return button

    def _filtered(self, text: str) -> None:
        self.view.rows.set_filter(text)
        self._judge_emptiness()

    def _judge_emptiness(self) -> None:
        model = self.view.rows
        if model.shown:
            self._stack.setCurrentWidget(self.view)
            return
        title, text = self._nothing
        if model.total:
            title, text = "Nothing matches the filter", f"{model.total} rows are hidden by it."
        self.empty.heading.setText(title)
        self.empty.words.setText(text)
        self._stack.setCurrentWidget(self.empty)

    def _menu(self, rows: list[Row], where: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu, rows)
        copy = menu.addAction("Copy rows\tCtrl+C", self.view.copy)
        copy.setEnabled(bool(self.view.rows.shown))
        cell = menu.addAction("Copy cell\tCtrl+Shift+C", self.view.copy_cell)
        cell.setEnabled(self.view.currentIndex().isValid())
        menu.popup(where)

    def fill_menu(self, menu: QMenu, rows: list[Row]) -> None:
        """What can be done with the chosen rows."""
