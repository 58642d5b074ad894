"""Puts the tones onto Qt: palette, style sheet and font, and follows the system from light to dark and back."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from app.gui.tones import DARK, LIGHT, ON_RED, STOP_GROUND, STOP_PRESSED, STOP_RED, STOP_TEXT, Tones

_FAMILIES = ["Segoe UI", "Inter", "Noto Sans", "DejaVu Sans Condensed", "DejaVu Sans"]
_TICKS = (Path(__file__).parent / "marks").as_posix()
FOLLOW, LIGHT_CHOICE, DARK_CHOICE = "system", "light", "dark"


def number_font(size: float | None = None, *, bold: bool = False) -> QFont:
    """The window's font with figures of equal width."""
    font = QFont(QGuiApplication.font())
    if size is not None:
        font.setPointSizeF(size)
    font.setBold(bold)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


class Theme(QObject):
    """The look that is in force. `changed` tells whoever paints by hand."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: str = FOLLOW) -> None:
        super().__init__()
        self._app = app
        self._choice = choice
        self.tones = DARK
        app.setStyle("Fusion")
        font = QFont(_FAMILIES)
        font.setFamilies(_FAMILIES)
        font.setPointSizeF(9.75)
        font.setFeature(QFont.Tag("tnum"), 1)
        app.setFont(font)
        app.styleHints().colorSchemeChanged.connect(self._follow)
        self.apply()

    @property
    def choice(self) -> str:
        return self._choice

    def choose(self, choice: str) -> None:
        """`system`, `light` or `dark`."""
        self._choice = choice
        self.apply()

    def _follow(self, _scheme: Qt.ColorScheme) -> None:
        if self._choice == FOLLOW:
            self.apply()

    def apply(self) -> None:
        if self._choice == FOLLOW:
            dark = self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        else:
            dark = self._choice == DARK_CHOICE
        self.tones = DARK if dark else LIGHT
        self._app.setPalette(palette_of(self.tones))
        sheet = _sheet(self.tones)
        if self._app.styleSheet() != sheet:
            self._app.setStyleSheet(sheet)
        self.changed.emit()


def palette_of(tones: Tones) -> QPalette:
    palette = QPalette()
    roles = QPalette.ColorRole
    for role, colour in (
        (roles.Window, tones.ground),
        (roles.WindowText, tones.text),
        (roles.Base, tones.panel),
        (roles.AlternateBase, tones.row),
        (roles.Text, tones.text),
        (roles.Button, tones.panel),
        (roles.ButtonText, tones.text),
        (roles.ToolTipBase, tones.panel),
        (roles.ToolTipText, tones.text),
        (roles.PlaceholderText, tones.dim),
        (roles.Highlight, tones.accent),
        (roles.HighlightedText, tones.ground if tones.dark else "#ffffff"),
        (roles.Link, tones.accent),
        (roles.Mid, tones.line),
        (roles.Dark, tones.line),
        (roles.Shadow, tones.ground),
    ):
        palette.setColor(role, QColor(colour))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(tones.dim))
    return palette


def _sheet(tones: Tones) -> str:
    return f"""
QMainWindow, QDialog {{ background: {tones.ground}; }}
QMainWindow::separator {{ background: {tones.line}; width: 1px; height: 1px; }}
QMainWindow::separator:hover {{ background: {tones.accent}; }}
QToolTip {{ background: {tones.panel}; color: {tones.text}; border: 1px solid {tones.line}; padding: 4px; }}
QMenuBar {{ background: {tones.ground}; color: {tones.dim}; border-bottom: 1px solid {tones.line}; }}
QMenuBar::item {{ padding: 4px 10px; background: transparent; }}
QMenuBar::item:selected {{ background: {tones.row}; color: {tones.text}; }}
QMenu {{ background: {tones.panel}; color: {tones.text}; border: 1px solid {tones.line}; padding: 4px 0; }}
QMenu::item {{ padding: 5px 26px 5px 22px; }}
QMenu::item:selected {{ background: {tones.chosen}; }}
QMenu::item:disabled {{ color: {tones.dim}; }}
QMenu::separator {{ height: 1px; background: {tones.line}; margin: 4px 0; }}
QStatusBar {{ background: {tones.panel}; color: {tones.dim}; border-top: 1px solid {tones.line}; }}
QStatusBar::item {{ border: 0; }}
QTabBar {{ background: {tones.panel}; qproperty-drawBase: 0; }}
QTabBar::tab {{ color: {tones.dim}; background: {tones.panel}; padding: 6px 12px; border: 1px solid transparent;
  border-bottom: 1px solid {tones.line}; }}
QTabBar::tab:selected {{ color: {tones.text}; background: {tones.ground}; border: 1px solid {tones.line};
  border-top: 2px solid {tones.accent}; border-bottom-color: {tones.ground}; }}
QTabBar::tab:hover {{ color: {tones.text}; }}
QDockWidget {{ color: {tones.text}; }}
QDockWidget::title {{ background: {tones.panel}; padding: 6px 10px; border-bottom: 1px solid {tones.line}; }}
QWidget#pane {{ background: {tones.panel}; }}
QWidget#paneTools {{ background: {tones.ground}; border-bottom: 1px solid {tones.line}; }}
QLabel#paneFoot {{ color: {tones.dim}; border-top: 1px solid {tones.line}; padding: 5px 10px; background: {tones.panel}; }}
QLabel#emptyTitle {{ font-size: 12pt; font-weight: 600; color: {tones.text}; }}
QStatusBar QLabel {{ color: {tones.dim}; padding: 1px 10px; }}
QLabel#dim, QLabel#emptyText {{ color: {tones.dim}; }}
QTableView {{ background: {tones.panel}; border: 0; gridline-color: {tones.line}; outline: 0; }}
QHeaderView {{ background: {tones.panel}; }}
QHeaderView::section {{ background: {tones.panel}; color: {tones.dim}; border: 0; border-bottom: 1px solid {tones.line};
  padding: 5px 7px; }}
QHeaderView::section:hover {{ color: {tones.text}; }}
QTableCornerButton::section {{ background: {tones.panel}; border: 0; }}
QWidget#topBar {{ background: {tones.panel}; border-bottom: 1px solid {tones.line}; }}
QFrame#rule {{ background: {tones.line}; border: 0; }}
QLineEdit, QPlainTextEdit, QComboBox, QDateEdit, QDoubleSpinBox {{ background: {tones.panel}; color: {tones.text};
  border: 1px solid {tones.line}; border-radius: 5px; padding: 3px 7px; selection-background-color: {tones.accent}; }}
QComboBox::drop-down {{ border: 0; width: 22px; }}
QComboBox::down-arrow {{ width: 13px; height: 13px; image: url("{_TICKS}/down-{"dark" if tones.dark else "light"}.png"); }}
QLineEdit:focus, QPlainTextEdit:focus, QComboBox:focus {{ border: 1px solid {tones.accent}; }}
QPlainTextEdit#log {{ border: 0; border-radius: 0; }}
QFrame#settingRow {{ background: {tones.panel}; border: 0; border-top: 1px solid {tones.line}; }}
QScrollArea, QWidget#settingsInside, QWidget#wizardInside {{ background: {tones.panel}; }}
QListWidget#steps {{ background: {tones.ground}; border: 0; border-right: 1px solid {tones.line}; outline: 0; padding: 6px; }}
QListWidget#steps::item {{ padding: 7px 10px; border-radius: 6px; color: {tones.text}; }}
QListWidget#steps::item:selected {{ background: {tones.chosen}; color: {tones.text}; }}
QListWidget#steps::item:disabled {{ color: {tones.dim}; }}
QProgressBar {{ background: {tones.row}; border: 1px solid {tones.line}; border-radius: 3px; }}
QProgressBar::chunk {{ background: {tones.accent}; border-radius: 2px; }}
QCheckBox, QRadioButton {{ color: {tones.text}; spacing: 8px; }}
QCheckBox::indicator:unchecked {{ width: 13px; height: 13px; border: 1px solid {tones.dim}; border-radius: 3px;
  background: {tones.panel}; }}
QRadioButton::indicator:unchecked {{ width: 13px; height: 13px; border: 1px solid {tones.dim}; border-radius: 7px;
  background: {tones.panel}; }}
QCheckBox::indicator:checked {{ width: 13px; height: 13px; border: 1px solid {tones.accent}; border-radius: 3px;
  background: {tones.accent}; image: url("{_TICKS}/tick-{"dark" if tones.dark else "light"}.png"); }}
QRadioButton::indicator:checked {{ width: 13px; height: 13px; border: 1px solid {tones.accent}; border-radius: 7px;
  background: qradialgradient(cx: 0.5, cy: 0.5, radius: 0.5, fx: 0.5, fy: 0.5, stop: 0 {tones.accent}, stop: 0.52 {tones.accent},
  stop: 0.6 {tones.panel}, stop: 1 {tones.panel}); }}
QCheckBox::indicator:unchecked:focus, QRadioButton::indicator:unchecked:focus {{ border-color: {tones.accent}; }}
QCheckBox:disabled, QRadioButton:disabled {{ color: {tones.dim}; }}
QCheckBox::indicator:checked:disabled {{ border-color: {tones.dim}; background: {tones.dim}; }}
QLineEdit:disabled, QPlainTextEdit:disabled, QComboBox:disabled {{ color: {tones.dim}; background: {tones.row}; }}
QPushButton, QToolButton {{ background: {tones.panel}; color: {tones.text}; border: 1px solid {tones.line}; border-radius: 6px;
  padding: 4px 12px; }}
QPushButton:hover, QToolButton:hover {{ border-color: {tones.accent}; }}
QPushButton:focus, QToolButton:focus {{ border: 1px solid {tones.accent}; }}
QPushButton:pressed, QToolButton:pressed {{ background: {tones.row}; }}
QPushButton:disabled {{ color: {tones.dim}; }}
QPushButton:default {{ border-color: {tones.accent}; }}
QToolButton#flat {{ border-color: transparent; background: transparent; color: {tones.dim}; padding: 2px 8px; }}
QToolButton#flat:hover, QToolButton#flat:focus {{ color: {tones.text}; border-color: {tones.line}; }}
QAbstractScrollArea::corner {{ background: {tones.panel}; border: 0; }}
QScrollBar:vertical {{ background: {tones.panel}; width: 11px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {tones.line}; border-radius: 4px; min-height: 24px; margin: 2px; }}
QScrollBar:horizontal {{ background: {tones.panel}; height: 11px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {tones.line}; border-radius: 4px; min-width: 24px; margin: 2px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{ width: 0; height: 0; }}
QWidget#stopBlock {{ background: {STOP_GROUND}; border-radius: 10px; }}
QWidget#stopBlock QLabel {{ color: {STOP_TEXT}; background: transparent; }}
QPushButton#stop {{ background: {STOP_RED}; color: {ON_RED}; border: 2px solid {STOP_RED};
  border-bottom: 4px solid {STOP_PRESSED};
  border-radius: 8px; font-size: 13pt; font-weight: 800; padding: 4px 10px; }}
QPushButton#stop:hover {{ background: #dd1620; }}
QPushButton#stop:focus {{ border-color: {STOP_TEXT}; }}
QPushButton#stop:pressed, QPushButton#stop[latched="true"] {{ background: {STOP_PRESSED}; border-color: #4d0509; }}
QWidget#haltBanner {{ background: {STOP_RED}; }}
QWidget#haltBanner QLabel {{ color: {ON_RED}; background: transparent; }}
QWidget#haltBanner QPushButton {{ background: {STOP_RED}; color: {ON_RED}; border: 1px solid {ON_RED}; padding: 6px 14px;
  font-weight: 600; }}
QWidget#haltBanner QPushButton:hover {{ background: {STOP_PRESSED}; }}
QWidget#haltBanner QPushButton#main {{ background: {ON_RED}; color: #a30d14; }}
QWidget#haltBanner QPushButton#main:hover {{ background: #ffe9ea; }}
QWidget#notice {{ background: {tones.row}; border-bottom: 1px solid {tones.line}; }}
"""
