"""The window's menus: names and keys of what it can do. What happens then is the window's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QMenuBar

from app.gui.theme import DARK_CHOICE, FOLLOW, LIGHT_CHOICE, Theme

if TYPE_CHECKING:
    from app.gui.window import MainWindow


@dataclass(frozen=True, slots=True)
class Menus:
    """The entries that change with the window's state, or are choices."""

    start: QAction
    fade: QAction
    sounds: QAction


def make_menus(window: MainWindow, bar: QMenuBar, theme: Theme, start_engine: Callable[[], None]) -> Menus:
    engine = bar.addMenu("&Engine")
    start = engine.addAction("Start the engine", start_engine)
    engine.addAction("Try the brain again now", window.acts.retry_brain)
    engine.addSeparator()
    engine.addAction("Settings…\tCtrl+,", window.settings_wanted.emit)
    engine.addSeparator()
    engine.addAction("Leave…\tCtrl+Q", window.close)
    trading = bar.addMenu("&Trading")
    trading.addAction("Pause entries, or resume\tF9", window.acts.pause_or_resume)
    trading.addAction("Close all positions…", window.acts.close_all)
    trading.addAction("Reset the emergency stop…", window.acts.reset)
    view = bar.addMenu("&View")
    for name, dock in window.panes_docked.docks.items():
        shown = dock.toggleViewAction()
        shown.setText(name.capitalize())
        view.addAction(shown)
    view.addSeparator()
    view.addAction("Default layout\tCtrl+Shift+L", window.default_layout)
    view.addAction("Times: local, UTC or the broker's\tCtrl+T", window.toggle_zone)
    fade = _choice(view, "Light up values that change")
    fade.toggled.connect(window.set_fading)
    sounds = _choice(view, "Sound for alerts (a stop always sounds)")
    sounds.setChecked(False)
    _add_looks(window, view.addMenu("Colours"), theme)
    helps = bar.addMenu("&Help")
    helps.addAction("First start…", window.setup_wanted.emit)
    helps.addAction("Keys\tF1", window.show_keys)
    return Menus(start, fade, sounds)


def _choice(menu: QMenu, text: str) -> QAction:
    action = menu.addAction(text)
    action.setCheckable(True)
    action.setChecked(True)
    return action


def _add_looks(window: MainWindow, menu: QMenu, theme: Theme) -> None:
    group = QActionGroup(window)
    for choice, text in ((FOLLOW, "As the system"), (LIGHT_CHOICE, "Light"), (DARK_CHOICE, "Dark")):
        action = QAction(text, window, checkable=True, checked=choice == theme.choice)
        action.triggered.connect(partial(theme.choose, choice))
        group.addAction(action)
        menu.addAction(action)
