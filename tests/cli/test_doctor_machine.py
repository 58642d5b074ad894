"""The doctor's look at the machine: what it says of key, targets, clock, sleep and disk, with its remedy."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import doctor_checks, doctor_machine
from app.cli.doctor_machine import idle_seconds, sleep_check
from app.cli.doctor_report import State
from app.engine.snapshots import HotkeyView, TargetView

from .engine_beside import EngineBeside, command_line, engine_beside

Usage = namedtuple("Usage", "total used free")
QUERY = """Power Scheme GUID: 381b4222-f694-41f0-9685-ff5bb260df2e  (Balanced)
  Subgroup GUID: 238c9fa8-0aad-41ed-83f4-97be242c8f20  (Sleep)
    Power Setting GUID: 29f6c1db-86da-48c5-9fdb-f2b67b1f44da  (Sleep after)
      Minimum Possible Setting: 0x00000000
      Maximum Possible Setting: 0xffffffff
      Possible Settings increment: 0x00000001
      Possible Settings units: Seconds
    Current AC Power Setting Index: {ac}
    Current DC Power Setting Index: {dc}
"""
NEVER = QUERY.format(ac="0x00000000", dc="0x00000000")


def examined(*arguments: str) -> dict[str, tuple[str, str, str]]:
    """Name -> (state, detail, remedy) of the last check of that name."""
    result = CliRunner().invoke(command_line(), ["doctor", "--json", "--set=api.port=0", *arguments])
    checks = json.loads(result.stdout)["checks"]
    assert all(bool(check["remedy"]) == (check["state"] != "ok") for check in checks)
    return {c["name"]: (c["state"], c["detail"], c["remedy"]) for c in checks}


@pytest.fixture(autouse=True)
def _terminals_answer_at_once_or_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "_TERMINAL_PATIENCE", 0.1)


@pytest.fixture
def engine(data_folder: Path) -> Iterator[EngineBeside]:
    with engine_beside(data_folder) as engine:
        yield engine


# ------------------------------------------------------------------ stop key and alerts


def test_without_an_engine_it_says_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine.sys, "platform", "linux")
    found = examined()
    assert found["Stop key"][0] == "ok"
    assert "there is none on" in found["Stop key"][1]
    assert found["Alerts"][0] == "warning"
    assert "medulla alerts add" in found["Alerts"][2]
    assert "switched off" in examined("--set=stop.hotkey=off")["Stop key"][1]
    monkeypatch.setenv("MEDULLA_ALERTS__URLS", "json://a json://b")
    assert examined()["Alerts"][:2] == ("ok", "2 addresses are set; `medulla alerts test` tries them")


@pytest.mark.parametrize(
    ("state", "expected"), [("registered", "ok"), ("taken", "warning"), ("failed", "warning"), ("off", "ok")]
)
def test_a_running_engine_knows_its_stop_key(engine: EngineBeside, state: str, expected: str) -> None:
    engine.control.now = replace(
        engine.control.now, hotkey=HotkeyView("Ctrl+Alt+Shift+S", state, "the detail")
    )
    assert examined()["Stop key"][:2] == (expected, "Ctrl+Alt+Shift+S: the detail")


@pytest.mark.parametrize(
    ("targets", "state", "said"),
    [
        ((), "warning", "nobody hears"),
        ((TargetView("1 json", 2, 0, None),), "ok", "1 json"),
        (
            (TargetView("1 json", 2, 0, None), TargetView("2 tgram", 0, 0, "HTTP 401")),
            "warning",
            "2 tgram: HTTP 401",
        ),
    ],
)
def test_a_running_engine_knows_whether_alerts_arrive(
    engine: EngineBeside, targets: tuple[TargetView, ...], state: str, said: str
) -> None:
    engine.control.now = replace(engine.control.now, alert_targets=targets)
    found = examined()["Alerts"]
    assert (found[0], said in found[1]) == (state, True)


# ------------------------------------------------------------------ clock, sleep, disk


@pytest.mark.parametrize(
    ("offset", "state", "said"),
    [
        (None, "ok", "not measured"),
        (0.2, "ok", "+0.2 s"),
        (-0.8, "warning", "-0.8 s"),
        (2.1, "fault", "entries are refused"),
        (-30.0, "fault", "-30.0 s"),
    ],
)
def test_the_clock_is_held_against_the_brains(
    engine: EngineBeside, offset: float | None, state: str, said: str
) -> None:
    engine.control.now = replace(engine.control.now, brain_clock_offset=offset)
    found = examined("--set=brain.url=ws://127.0.0.1:9/")["Clock"]
    assert (found[0], said in found[1]) == (state, True)
    assert "Clock" not in examined()


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        (NEVER, (0, 0)),
        (QUERY.format(ac="0x00000708", dc="0x0000012c"), (1800, 300)),
        ("Der angegebene Parameter ist ungültig", None),
        ("", None),
    ],
)
def test_idle_times_are_read_in_any_language(text: str, idle: tuple[int, int] | None) -> None:
    assert idle_seconds(text) == idle


def test_a_machine_that_may_sleep_is_said_with_the_command_that_ends_it() -> None:
    sleepy = QUERY.format(ac="0x00000708", dc="0x0000012c")
    found = sleep_check({"STANDBYIDLE": sleepy, "HIBERNATEIDLE": NEVER})
    assert found.state is State.WARNING
    assert "sleeps after 30 min plugged in, sleeps after 5 min on battery" in found.detail
    assert found.remedy == "`powercfg /change standby-timeout-ac 0` `powercfg /change standby-timeout-dc 0`"
    assert sleep_check({"STANDBYIDLE": NEVER, "HIBERNATEIDLE": NEVER}).state is State.OK
    unread = sleep_check({"STANDBYIDLE": NEVER})
    assert (unread.state, "did not say" in unread.detail) == (State.WARNING, True)


@pytest.mark.parametrize(
    ("free", "state", "said"),
    [(5 * 2**30, "ok", "5.0 GB"), (2**30, "warning", "1.0 GB"), (100 * 2**20, "fault", "100 MB")],
)
def test_little_room_is_said_before_the_journal_fails(
    monkeypatch: pytest.MonkeyPatch, free: int, state: str, said: str
) -> None:
    monkeypatch.setattr(doctor_machine.shutil, "disk_usage", lambda _place: Usage(2**40, 0, free))
    found = examined()["Disk"]
    assert (found[0], said in found[1]) == (state, True)


def test_on_windows_alone_sleep_and_session_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine.sys, "platform", "linux")
    assert not {"Sleep", "Session"} & set(examined())
