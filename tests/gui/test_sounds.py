"""What is heard: a stop always, alerts only where the person wants it."""

from __future__ import annotations

from PySide6.QtWidgets import QMenu, QSystemTrayIcon
from pytestqt.qtbot import QtBot

from app.gui import canned
from app.gui.screenshots import StillWindow
from app.gui.sounds import Sound, Sounds
from app.gui.tray import Tray


def test_a_stop_always_sounds_and_alerts_when_switched_on() -> None:
    heard: list[Sound] = []
    sounds = Sounds(heard.append)
    sounds.alert("critical")
    assert heard == []
    sounds.stop()
    assert heard == [Sound.STOP]
    sounds.set_alerts(True)
    for severity in ("info", "warning", "critical"):
        sounds.alert(severity)
    assert heard == [Sound.STOP, Sound.WARNING, Sound.CRITICAL]


def test_a_stop_is_told_once_and_not_at_the_windows_start(still: StillWindow) -> None:
    told: list[int] = []
    still.window.stopped.connect(lambda: told.append(1))
    still.show(canned.halted())
    assert told == []
    still.show(canned.connected())
    still.show(canned.halted())
    still.window.take(canned.moved(canned.halted(), 1))
    assert told == [1]


def test_the_choice_is_off_at_first_and_remembered(still: StillWindow) -> None:
    window = still.window
    assert not window.sound_action.isChecked()
    window.sound_action.setChecked(True)
    window.fade_action.setChecked(False)
    window.remember()
    again = StillWindow(window._options.state_file.parent, window._theme)
    assert again.window.sound_action.isChecked()
    assert not again.window.fade_action.isChecked()
    again.close()


class ShownTray(Tray):
    """A tray where there is none: off the screen Qt has no place for it."""

    @property
    def available(self) -> bool:
        return True


def test_the_tray_carries_state_stop_and_alerts(qtbot: QtBot, still: StillWindow) -> None:
    tray = ShownTray()
    tray.show_picture(canned.connected())
    assert tray.icon.toolTip() == "Medulla: ● ACTIVE\ntoday +182.17, 5 open"
    with qtbot.waitSignal(tray.stop):
        tray.stop_action.trigger()
    menu = tray.icon.contextMenu()
    assert isinstance(menu, QMenu)
    assert menu.actions()[0].text() == "EMERGENCY STOP"
    told: list[tuple[str, QSystemTrayIcon.MessageIcon]] = []
    tray.notify = lambda text, icon: told.append((text, icon))  # type: ignore[method-assign]
    tray.show()
    tray.tell("critical", "the terminal is lost")
    tray.tell("info", "back")
    icons = QSystemTrayIcon.MessageIcon
    assert told == [("the terminal is lost", icons.Critical), ("back", icons.Information)]
    tray.close()
    tray.tell("critical", "nobody hears this")
    assert len(told) == 2
