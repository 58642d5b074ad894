"""The first start against real commands and real processes, page by page and as a whole."""

from __future__ import annotations

import base64
import json
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from end_to_end.harness import Process
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.gui.screenshots import StillWindow
from app.gui.wizard import SetupWizard, wanted_at_start
from app.protocol.pairing import Pairing, encode, fingerprint
from app.settings import load_settings
from app.settings.presets import CONSERVATIVE, PRESET_KEYS, STANDARD

from .wizard_world import FirstStart, first_start

__all__ = ["first_start"]
pytestmark = pytest.mark.processes

PUBLIC = base64.b64encode(bytes(range(32))).decode()
CODE = encode(Pairing("wss://brain.example/x", "exec_7", "brain-1", PUBLIC, "canary-0123456789"))
LONG_MS = 120_000


def wait(qtbot: QtBot, condition: Callable[[], object], timeout: int = LONG_MS) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=timeout)


def texts(wizard: SetupWizard) -> str:
    return (wizard.world.settings.config_path).read_text(encoding="utf-8")


def test_from_the_welcome_to_the_stop_drill(first_start: FirstStart, qtbot: QtBot, tmp_path: Path) -> None:
    wizard = first_start.make()
    wizard.drill._hold_ms = 50
    assert wizard.page is wizard.welcome
    wizard.next.click()

    pairing = wizard.pairing
    assert not wizard.next.isEnabled()
    pairing.code.setPlainText(CODE)
    wait(qtbot, pairing.use.isVisible)
    shown = [pairing.grid.itemAt(place).widget().text() for place in range(pairing.grid.count())]
    assert fingerprint(PUBLIC) in shown
    assert not wizard.world.settings.config_path.exists()
    pairing.use.click()
    wait(qtbot, lambda: pairing.paired)
    assert json.loads((tmp_path / "keyring.json").read_text()) == {
        "Medulla/brain.api_key/exec_7": "canary-0123456789"
    }
    wizard.next.click()

    assert wizard.page is wizard.terminal
    assert wizard.terminal.group.button(0).isChecked()
    wizard.next.click()
    assert wizard.page is wizard.install
    wizard.next.click()
    assert wizard.page is wizard.checks
    wait(qtbot, lambda: wizard.checks.found)
    assert {check["name"] for check in wizard.checks.found} >= {"Settings", "Journal", "Terminal", "Keyring"}
    wizard.next.click()

    assert wizard.page is wizard.limits
    wait(qtbot, wizard.next.isEnabled)
    wizard.next.click()
    wait(qtbot, lambda: wizard.page is wizard.trial)
    settings = load_settings(wizard.world.settings.config_path, {}, {})
    assert settings.safety.max_positions == 3
    assert settings.safety.require_stop_loss
    assert settings.brain.url == "wss://brain.example/x"

    wizard.trial.begin.click()
    wait(qtbot, lambda: wizard.trial.traded)
    assert [line.sign.text() for line in wizard.trial.lines.values()] == ["✓"] * 5
    assert "0.01 lots of EURUSD" in wizard.trial.lines["opened"].more.text()
    wizard.next.click()

    drill = wizard.drill
    assert wizard.page is drill
    folder = wizard.tryout.settings.data_folder
    qtbot.mousePress(drill.block.button, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: {"latched", "terminal"} <= drill.done)
    wait(qtbot, lambda: drill.banner.story and "✓ terminal acknowledged" in drill.banner.story.lines)
    assert not wizard.next.isEnabled()
    drill.banner.reset_button.click()
    dialog = drill.reset_dialog
    wait(qtbot, lambda: dialog.word_label.text().startswith("Type"))
    assert not dialog.isModal()
    qtbot.keyClicks(dialog.word, dialog.word_label.text().split()[-1])
    qtbot.mousePress(dialog.button, Qt.MouseButton.LeftButton)
    wait(qtbot, lambda: drill.ready)
    wizard.next.click()

    assert wizard.page is wizard.last
    with qtbot.waitSignal(wizard.finished_well, timeout=LONG_MS) as ended:
        wizard.next.click()
    assert ended.args == [True, True]
    wait(qtbot, lambda: not folder.exists())
    assert not wanted_at_start(first_start.world(), settings)

    engine = Process(
        "engine",
        ["run", "--headless", "--exit-with-parent", "--config", str(settings.config_path)],
        tmp_path,
        {
            "MEDULLA_DATA_FOLDER": str(first_start.folder),
            "MEDULLA_API__PORT": "0",
            "MEDULLA_BRAIN__API_KEY": "canary-0123456789",
        },
    )
    try:
        assert engine.said("started")["journal"].startswith(str(first_start.folder))
    finally:
        assert engine.end() == 0


def test_it_can_be_left_and_taken_up_again(first_start: FirstStart, qtbot: QtBot) -> None:
    assert wanted_at_start(first_start.world(), first_start.world().settings)
    first = first_start.at("limits")
    wait(qtbot, first.next.isEnabled)
    first.limits.buttons[1].setChecked(True)
    first.next.click()
    wait(qtbot, lambda: first.page is first.trial)
    first.go_to(2)
    first.later.click()
    wait(qtbot, lambda: not first_start.wizards)
    # A configuration is there by now, but the person was not through.
    assert wanted_at_start(first_start.world(), first_start.world().settings)
    second = first_start.make()
    assert second.page is second.terminal
    assert second.passed == {"limits"}
    assert second.steps.item(5).text().startswith("✓")
    second.quiet.setChecked(True)
    assert not wanted_at_start(first_start.world(), first_start.world().settings)


def test_a_damaged_code_is_said_and_changes_nothing(first_start: FirstStart, qtbot: QtBot) -> None:
    wizard = first_start.at("pair")
    page = wizard.pairing
    page.code.setPlainText(CODE[:-9])
    wait(qtbot, lambda: page.said.sign.text() == "✕")
    assert "pairing code" in page.said.text.text()
    assert not page.use.isVisible()
    assert not wizard.next.isEnabled()
    assert wizard.skip.text() == "Go on without a brain"
    page.code.setPlainText("")
    assert page.said.sign.text() == "○"


def test_a_key_that_cannot_be_stored_is_not_called_paired(
    first_start: FirstStart, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    wizard = first_start.at("pair")
    page = wizard.pairing
    page.code.setPlainText(CODE)
    wait(qtbot, page.use.isVisible)
    page.use.click()
    wait(qtbot, lambda: page.said.sign.text() == "✕")
    assert "MEDULLA_BRAIN__API_KEY" in page.said.more.text()
    assert not page.paired
    assert "canary" not in page.said.more.text() + texts(wizard)


def test_found_terminals_are_offered_and_the_choice_is_kept(
    first_start: FirstStart, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard = first_start.at("terminal")
    page = wizard.terminal
    wait(qtbot, lambda: page.said.sign.text() == "●")
    assert "No MetaTrader 5 was found" in page.said.text.text()
    assert wizard.next.isEnabled()
    page._have({"terminals": [{"data": "/mt5/AB", "origin": "C:\\Broker", "build": 4755, "portable": False}]})
    assert [button.text() for button in page.group.buttons()] == [
        "Simulated terminal",
        "MetaTrader 5: C:\\Broker",
    ]
    page.group.button(1).setChecked(True)
    assert wizard.world.terminal == "/mt5/AB"
    wizard.close()
    again = first_start.make()
    assert again.world.terminal == "/mt5/AB"
    assert again.terminal.group.button(1).isChecked()
    again.terminal.take_folder(str(tmp_path))
    assert again.world.terminal == str(tmp_path)


def test_an_installation_that_cannot_be_is_said_line_by_line(
    first_start: FirstStart, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard = first_start.at("terminal")
    wizard.terminal.take_folder(str(tmp_path))
    wizard.go_to(3)
    page = wizard.install
    assert not wizard.next.isEnabled()
    assert wizard.skip.text() == "I install it later"
    page.begin.click()
    assert page.cancel.isEnabled()
    wait(qtbot, page.begin.isEnabled)
    said = [page.lines.itemAt(place).widget() for place in range(page.lines.count() - 1)]
    assert "holds neither MQL5 nor" in said[-1].more.text()


def script(folder: Path, *lines: str) -> tuple[str, ...]:
    """A program that says these lines and then waits for its end."""
    file = folder / "said.py"
    body = "".join(f"print({line!r}, flush=True)\n" for line in lines)
    file.write_text(f"import sys, threading\n{body}threading.Event().wait(60)\n")
    return (sys.executable, str(file))


def test_an_installation_is_followed_and_can_be_called_off(
    first_start: FirstStart, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard = first_start.at("terminal")
    wizard.terminal.take_folder(str(tmp_path))
    wizard.go_to(3)
    wizard.world.program = script(
        tmp_path, json.dumps({"event": "step", "kind": "good", "text": "sources: 9 new"})
    )
    page = wizard.install
    page.begin.click()
    wait(qtbot, lambda: page.lines.count() > 1)
    assert page.lines.itemAt(0).widget().text.text() == "sources: 9 new"
    assert page.bar.isVisible()
    page.cancel.click()
    wait(qtbot, page.begin.isEnabled)
    assert not wizard.next.isEnabled()


def test_after_an_installation_the_rest_is_by_hand(
    first_start: FirstStart, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard = first_start.at("terminal")
    wizard.terminal.take_folder(str(tmp_path))
    wizard.go_to(3)
    page = wizard.install
    page.without_dll.setChecked(True)
    file = tmp_path / "ok.py"
    file.write_text(f"print({json.dumps({'ok': True, 'terminals': [], 'todo': ['Attach it.']})!r})\n")
    wizard.world.program = (sys.executable, str(file))
    page.begin.click()
    wait(qtbot, wizard.next.isEnabled)
    said = [page.lines.itemAt(place).widget() for place in range(page.lines.count() - 1)]
    assert "1. Attach it." in [
        line.text.text() for line in said if hasattr(line, "text") and not callable(line.text)
    ]
    assert load_settings(wizard.world.settings.config_path, {}, {}).terminal.transport == "listen"


def test_own_limits_are_checked_beside_their_field(first_start: FirstStart, qtbot: QtBot) -> None:
    wizard = first_start.at("limits")
    page = wizard.limits
    wait(qtbot, wizard.next.isEnabled)
    assert not page.fields["safety.max_positions"].isEnabled()
    page.buttons[2].setChecked(True)
    field = page.fields["safety.max_positions"]
    assert field.isEnabled()
    field.edit.setText("none")
    wizard.next.click()
    assert page.faults["safety.max_positions"].isVisible()
    assert "a whole number from 1" in page.faults["safety.max_positions"].text()
    assert not wizard.world.settings.config_path.exists()
    field.edit.setText("2")
    wizard.next.click()
    wait(qtbot, lambda: wizard.page is wizard.trial)
    assert load_settings(wizard.world.settings.config_path, {}, {}).safety.max_positions == 2


def test_limits_that_were_there_are_kept_unless_loosened_with_a_reason(
    first_start: FirstStart, qtbot: QtBot
) -> None:
    config = first_start.folder / "config.yaml"
    config.write_text("safety:\n  max_positions: 2  # mine\n")
    wizard = first_start.at("limits")
    page = wizard.limits
    wait(qtbot, wizard.next.isEnabled)
    assert page.buttons[2].isChecked()
    page.buttons[1].setChecked(True)
    wizard.next.click()
    assert page.stack.currentWidget() is page.review
    assert not page.review.apply.isEnabled()
    page.review.reason.setText("more capital")
    page.review.confirm.setChecked(True)
    page.review.apply.click()
    wait(qtbot, lambda: wizard.page is wizard.trial)
    assert "max_positions: 10  # mine" in config.read_text()


def test_the_try_out_can_be_called_off_and_leaves_nothing(first_start: FirstStart, qtbot: QtBot) -> None:
    wizard = first_start.at("tryout")
    page = wizard.trial
    assert not wizard.next.isEnabled()
    page.begin.click()
    wait(qtbot, lambda: page.lines["terminal"].sign.text() == "✓")
    page.cancel.click()
    assert page.begin.isEnabled()
    assert "Called off" in page.said.text.text()
    wizard.skip.click()
    assert wizard.page is wizard.last


def test_the_drill_without_a_try_out_says_so(first_start: FirstStart, qtbot: QtBot) -> None:
    wizard = first_start.at("drill")
    assert wizard.drill.said.text.text() == "The try-out does not run."
    qtbot.mousePress(wizard.drill.block.button, Qt.MouseButton.LeftButton)
    assert wizard.drill.done == set()
    assert "nothing to stop" in wizard.drill.said.text.text()


def test_it_opens_by_itself_while_nothing_is_configured(
    first_start: FirstStart, still: StillWindow, qtbot: QtBot
) -> None:
    world = first_start.world()

    guest = first_start.beside(still.window, world, None)
    guest.begin()
    assert guest.wizard is None
    made = first_start.beside(still.window, world, world.doors)
    made.begin()
    assert made.wizard is not None
    assert made.wizard.isVisible()
    assert not made.wizard.isModal()
    first = made.wizard
    made.open_wizard()
    assert made.wizard is first
    still.window.setup_wanted.connect(made.open_wizard)
    still.window.settings_wanted.connect(made.open_settings)
    texts = {
        action.text(): action for menu in still.window.menus.actions() for action in menu.menu().actions()
    }
    texts["Settings…\tCtrl+,"].trigger()
    assert made.settings_dialog is not None
    made.close()
    wait(qtbot, lambda: made.wizard is None and made.settings_dialog is None)
    texts["First start…"].trigger()
    assert made.wizard is not None
    made.wizard.quiet.setChecked(True)
    made.close()
    wait(qtbot, lambda: made.wizard is None)
    again = first_start.beside(still.window, world, world.doors)
    again.begin()
    assert again.wizard is None


def free_ports(number: int) -> list[int]:
    """Free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def test_the_simulated_terminal_that_is_asked_for_ends_with_the_window(
    first_start: FirstStart, still: StillWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_port, stream_port = free_ports(2)
    monkeypatch.setenv("MEDULLA_TERMINAL__COMMAND_PORT", str(command_port))
    monkeypatch.setenv("MEDULLA_TERMINAL__STREAM_PORT", str(stream_port))
    world = first_start.world()
    beside = first_start.beside(still.window, world, world.doors)
    said: list[dict[str, object]] = []
    beside._set_up(True, True)
    simulated = beside._simulated
    assert simulated is not None
    simulated.told.connect(said.append)
    wait(qtbot, lambda: any(line.get("command_port") == command_port for line in said))
    beside.close()
    assert not simulated.running


@pytest.mark.parametrize("preset", [CONSERVATIVE, STANDARD])
def test_the_presets_are_limits_that_the_settings_allow(tmp_path: Path, preset: dict[str, str]) -> None:
    assert tuple(preset) == PRESET_KEYS
    settings = load_settings(None, {**preset, "data_folder": str(tmp_path)}, {})
    assert settings.warnings == ()
    assert settings.safety.max_daily_loss_percent is not None
