"""Pictures of the windows beside the main one, settings and first start, from invented answers: for review and for the documents.
Nothing is started, asked or written but in a scratch folder.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QWidget

from app.api.client import EngineNotRunning, Target
from app.gui import canned
from app.gui.errand import Errand
from app.gui.session import EngineSession, StartedEngine
from app.gui.settings_dialog import SettingsDialog
from app.gui.settings_way import SettingsWay
from app.gui.theme import Theme
from app.gui.wizard import SetupWizard
from app.gui.wizard_page import WizardDoors, WizardWorld
from app.settings import Settings, load_settings

Save = Callable[[QWidget, str], None]
"""(window, name): as many files as are wanted of it."""
Settle = Callable[[], None]

_CONFIG = """\
brain:
  url: wss://brain.example/executor
  executor_id: exec_001
safety:
  allowed_symbols: [EURUSD, GBPUSD, XAUUSD]
  max_volume_per_order: 0.50
  max_volume_total: 2
  max_daily_loss: 300
  sessions:
    - {days: [mon, tue, wed, thu, fri], start: "08:00", end: "22:00"}
"""
_TERMINAL = "C:\\Users\\ann\\AppData\\Roaming\\MetaQuotes\\Terminal\\D0E8209F77C8CF37AD8BF550E51FF075"


class _StillErrand(Errand):
    """A command that is never run."""

    def __init__(self) -> None:
        super().__init__((), ())

    def _begin(self, program: Any, arguments: Any) -> None:
        return

    def call_off(self) -> None:
        return


class _StillWorld(WizardWorld):
    def errand(
        self, *arguments: str, typed: str = "", listens: bool = False, configured: bool = True
    ) -> Errand:
        return _StillErrand()


class _StillSession(EngineSession):
    """A session that asks nobody."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        def find() -> Target:
            raise EngineNotRunning("a picture has no engine")

        def start() -> StartedEngine:
            raise OSError("a picture starts nothing")

        super().__init__(loop, find, start)


@contextmanager
def _surroundings() -> Iterator[tuple[Settings, EngineSession, asyncio.AbstractEventLoop]]:
    with tempfile.TemporaryDirectory(prefix="medulla-pictures-") as scratch:
        config = Path(scratch) / "config.yaml"
        config.write_text(_CONFIG, encoding="utf-8")
        loop = asyncio.new_event_loop()
        try:
            settings = load_settings(config, {"data_folder": scratch}, {"MEDULLA_LOG__LEVEL": "debug"})
            yield settings, _StillSession(loop), loop
        finally:
            loop.close()


def render_settings(theme: Theme, save: Save, settle: Settle) -> None:
    """The dialog as it opens, with a fault, searched, and the last look before a loosening."""
    with _surroundings() as (settings, session, _loop):
        dialog = SettingsDialog(SettingsWay(session, settings), theme)
        dialog.show()
        while not dialog.complete:
            settle()
        dialog.place.setText("C:\\Users\\ann\\AppData\\Local\\Medulla\\config.yaml")
        settle()
        save(dialog, "settings")
        _type(dialog, "safety.max_volume_per_order", "1.00")
        _type(dialog, "safety.max_volume_per_symbol", "lots of it")
        dialog.look_over()
        settle()
        save(dialog, "settings-fault")
        dialog.rows["safety.max_volume_per_symbol"].take_back()
        _type(dialog, "safety.max_positions", "10")
        _type(dialog, "queue.capacity", "200")
        dialog.look_over()
        settle()
        save(dialog, "settings-review")
        dialog.stack.setCurrentIndex(0)
        dialog.search.setText("loss")
        settle()
        save(dialog, "settings-search")
        dialog.throw_away()
        _close(dialog, settle)


def _type(dialog: SettingsDialog, key: str, value: str) -> None:
    field = dialog.rows[key].field
    if field is not None:
        field.show_value(value)
        field.changed.emit()


def _close(window: QWidget, settle: Settle) -> None:
    window.close()
    settle()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def render_wizard(theme: Theme, save: Save, settle: Settle) -> None:
    """Every page, as it looks when its work is done."""
    with _surroundings() as (settings, session, loop):
        doors = WizardDoors(
            find=lambda _settings: Target(0, ""),
            terminal_stop=lambda _settings, _reason, _closing, _timeout: (False, ""),
            reload=lambda same: same,
            load=lambda _config: settings,
        )
        world = _StillWorld(
            settings=settings,
            program=("medulla",),
            options=(),
            state_file=settings.state_folder / "desktop.ini",
            session=session,
            loop=loop,
            theme=theme,
            now=lambda: canned.connected().at,
            doors=doors,
        )
        wizard = SetupWizard(world)
        wizard.show()
        for place, (page, show) in enumerate(zip(wizard.pages, _SHOWN, strict=True)):
            wizard.go_to(place)
            show(wizard)
            wizard.passed.add(page.name)
            page.changed.emit()
            settle()
            save(wizard, f"wizard-{place + 1}-{page.name}")
        _close(wizard, settle)


def _welcomed(wizard: SetupWizard) -> None:
    wizard.welcome.where.setText(
        "You can leave at any page and go on later; no real account is touched here. Everything is kept in\n"
        "C:\\Users\\ann\\AppData\\Local\\Medulla"
    )


def _paired(wizard: SetupWizard) -> None:
    page = wizard.pairing
    page.code.blockSignals(True)
    page.code.setPlainText(
        "eyJ2IjoxLCJ1cmwiOiJ3c3M6Ly9icmFpbi5leGFtcGxlL2V4ZWN1dG9yIiwiZXhlY3V0b3JJZCI6ImV4ZWNfMDAxIiwia2V5" * 3
    )
    page.code.blockSignals(False)
    page._hear(
        {
            "url": "wss://brain.example/executor",
            "executor_id": "exec_001",
            "key_id": "brain-2026-01",
            "fingerprint": "SHA256:Y8N1gS2mQfT0cKpJ6o7D4wq1bq2X9hJ3uVx5zLrTt0E",
            "notes": [],
        }
    )
    page._seen(0, "")


def _found(wizard: SetupWizard) -> None:
    wizard.terminal._have(
        {
            "terminals": [
                {
                    "data": _TERMINAL,
                    "origin": "C:\\Program Files\\Broker MT5",
                    "build": 5320,
                    "portable": False,
                },
                {"data": "D:\\Portable\\MT5", "origin": "D:\\Portable\\MT5", "build": 5260, "portable": True},
            ]
        }
    )
    button = wizard.terminal.group.button(1)
    if button is not None:
        button.setChecked(True)


def _installed(wizard: SetupWizard) -> None:
    page = wizard.install
    for kind, text in (
        ("good", "sources: 37 new"),
        ("good", "pyzmq-27.1.0: SHA-256 is the pinned one"),
        ("good", "preset: MQL5/Presets/Medulla.set: ports, demo accounts only, the executor's limits"),
        ("good", "key: in MQL5/Files/Medulla, for this user alone"),
        ("good", "compiled Medulla.mq5: 0 errors, 0 warnings"),
        ("good", "verified: 42 files read back, hashes right"),
    ):
        page._hear({"event": "step", "kind": kind, "text": text})
    todo = [
        "Navigator > Expert Advisors: Refresh (or restart the terminal).",
        "Attach Medulla to ONE chart. Common tab: Allow Algo Trading. Inputs tab: Load > Medulla.set.",
        "The same window, Dependencies/Common tab: Allow DLL imports, for Medulla alone.",
        "Switch on Algo Trading in the toolbar.",
    ]
    page.installed_in = wizard.world.terminal
    page._show_todo({"todo": todo})


def _checked(wizard: SetupWizard) -> None:
    checks = (
        ("Python", "ok", "Python 3.11.9 on Windows AMD64", ""),
        ("Settings", "ok", "C:\\Users\\ann\\AppData\\Local\\Medulla\\config.yaml; 4 set", ""),
        ("Data folder", "ok", "C:\\Users\\ann\\AppData\\Local\\Medulla", ""),
        ("Journal", "ok", "none yet; the engine makes it when it first starts", ""),
        (
            "Terminal",
            "fault",
            "no answer on port 5555",
            "Start MetaTrader 5 with the Medulla EA on a chart (`medulla ea install`), or `medulla sim` for a try.",
        ),
        ("Daily loss", "warning", "no limit: a bad day has no end", "Set safety.max_daily_loss."),
        ("Brain", "ok", "wss://brain.example/executor as exec_001", ""),
        ("API key", "ok", "from the keyring", ""),
    )
    report = [
        {"name": name, "state": state, "detail": detail, "remedy": remedy}
        for name, state, detail, remedy in checks
    ]
    wizard.checks.leave()
    wizard.checks.have({"checks": report})


def _limited(wizard: SetupWizard) -> None:
    wizard.limits.buttons[0].setChecked(True)


def _traded(wizard: SetupWizard) -> None:
    page = wizard.trial
    for name, detail in (
        ("terminal", "simulated, port 41231"),
        ("brain", "port 41237, signs with brain-0b87629571b22c29"),
        ("engine", "connected and reconciled"),
        ("opened", "0.01 lots of EURUSD at 1.10512, answered within 3.1 ms"),
        ("closed", "at 1.10518, balance 10 000.06"),
    ):
        page._step(name, detail)
    page.traded = True
    page.begin.setText("Start it again")
    page.said.tell("good", "It works: signed, checked, journalled, executed once.", "Now the stop.")
    page.said.show()


def _drilled(wizard: SetupWizard) -> None:
    page = wizard.drill
    page.done.update({"pressed", "latched", "terminal"})
    picture = canned.halted()
    page.take(picture.model_copy(update={"positions": ()}))
    page.have_receipt(canned.halted_receipt())
    page.said.hide()


def _ready(wizard: SetupWizard) -> None:
    wizard.last.about.setText(
        "Everything is kept in C:\\Users\\ann\\AppData\\Local\\Medulla\\config.yaml. All of it can be changed in the "
        "settings (Ctrl+,)."
    )


_SHOWN: tuple[Callable[[SetupWizard], None], ...] = (
    _welcomed,
    _paired,
    _found,
    _installed,
    _checked,
    _limited,
    _traded,
    _drilled,
    _ready,
)
"""What each page is told before its picture, in the pages' order."""
