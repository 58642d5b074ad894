"""Settings and first start as they are rendered for review: every page and state, with no text cut off."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.gui.screenshots import settle
from app.gui.side_pictures import render_settings, render_wizard
from app.gui.theme import Theme

from .cut_texts import cut


def test_no_text_is_cut_on_any_page(theme: Theme, qtbot: QtBot) -> None:
    seen: list[str] = []
    faults: list[str] = []

    def look(window: QWidget, name: str) -> None:
        seen.append(name)
        faults.extend(f"{name}: {fault}" for fault in cut(window))

    render_settings(theme, look, settle)
    render_wizard(theme, look, settle)
    assert faults == []
    assert [name for name in seen if name.startswith("settings")] == [
        "settings",
        "settings-fault",
        "settings-review",
        "settings-search",
    ]
    assert [name.split("-")[2] for name in seen if name.startswith("wizard")] == [
        "welcome",
        "pair",
        "terminal",
        "install",
        "checks",
        "limits",
        "tryout",
        "drill",
        "done",
    ]
