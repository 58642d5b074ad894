"""The panes in docks: the default layout, titles that count, and which dock shows its own title bar."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QByteArray, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

from app.gui.pane import Pane


class PaneDocks:
    """Puts panes into a main window. The layout's names are stable: a saved layout finds its docks again."""

    def __init__(self, window: QMainWindow, groups: Sequence[Sequence[Pane]]) -> None:
        """`groups`: four lists of panes that share tabs: top left, top right, bottom left, bottom right."""
        self._window = window
        self._groups = groups
        self.docks: dict[str, QDockWidget] = {}
        window.setDockNestingEnabled(True)
        window.setDockOptions(
            QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
            | QMainWindow.DockOption.GroupedDragging
        )
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        for group in groups:
            for pane in group:
                self.docks[pane.name] = self._dock(pane)
        self._settle = QTimer(window)
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self.settle_titles)

    def _dock(self, pane: Pane) -> QDockWidget:
        dock = QDockWidget(pane.title, self._window)
        dock.setObjectName(f"dock.{pane.name}")
        dock.setWidget(pane)
        dock.setAllowedAreas(Qt.DockWidgetArea.AllDockWidgetAreas)
        pane.title_changed.connect(dock.setWindowTitle)
        dock.visibilityChanged.connect(lambda visible: pane.come_in_front() if visible else None)
        # Later: while a dock moves, Qt does not know its neighbours yet.
        dock.topLevelChanged.connect(lambda _floating: self._settle.start(0))
        dock.dockLocationChanged.connect(lambda _area: self._settle.start(0))
        return dock

    def restore(self, layout: QByteArray) -> bool:
        """A remembered layout; False: it cannot be used, and the default is in place."""
        for dock in self.docks.values():
            self._window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        if self._window.restoreState(layout):
            self._settle.start(0)
            return True
        self.lay_out()
        return False

    def lay_out(self) -> None:
        """The default layout."""
        window = self._window
        for dock in self.docks.values():
            dock.setFloating(False)
            window.removeDockWidget(dock)
        first = [self.docks[group[0].name] for group in self._groups]
        top_left, top_right, bottom_left, bottom_right = first
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, top_left)
        window.splitDockWidget(top_left, top_right, Qt.Orientation.Horizontal)
        window.splitDockWidget(top_left, bottom_left, Qt.Orientation.Vertical)
        window.splitDockWidget(top_right, bottom_right, Qt.Orientation.Vertical)
        for group, leader in zip(self._groups, first, strict=True):
            for pane in group[1:]:
                window.tabifyDockWidget(leader, self.docks[pane.name])
        for dock in self.docks.values():
            dock.show()
        for leader in first:
            leader.raise_()
        self.share_room()
        self.settle_titles()
        self._settle.start(0)

    def share_room(self) -> None:
        """The proportions of the default layout, for the window's present size."""
        first = [self.docks[group[0].name] for group in self._groups]
        width, height = self._window.width(), self._window.height()
        self._window.resizeDocks(
            [first[0], first[1]], [int(width * 0.71), int(width * 0.29)], Qt.Orientation.Horizontal
        )
        self._window.resizeDocks(
            [first[0], first[2]], [int(height * 0.5), int(height * 0.5)], Qt.Orientation.Vertical
        )
        self._window.resizeDocks(
            [first[1], first[3]], [int(height * 0.5), int(height * 0.5)], Qt.Orientation.Vertical
        )

    def settle_titles(self) -> None:
        """A dock among tabs needs no bar of its own; one that floats or stands alone does."""
        for dock in self.docks.values():
            bare = not dock.isFloating() and bool(self._window.tabifiedDockWidgets(dock))
            has_own = dock.titleBarWidget() is not None
            if bare and not has_own:
                dock.setTitleBarWidget(QWidget(dock))
            elif not bare and has_own:
                dock.setTitleBarWidget(None)  # type: ignore[arg-type]  # Qt's way to give the bar back

    def bring(self, name: str) -> None:
        """Show a pane and put the keyboard there."""
        dock = self.docks[name]
        dock.show()
        dock.raise_()
        pane = dock.widget()
        target = getattr(pane, "view", pane)
        target.setFocus(Qt.FocusReason.ShortcutFocusReason)
