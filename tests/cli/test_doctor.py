"""What the doctor finds, what it tells a person to do, and with which code it ends."""

from __future__ import annotations

import base64
import json
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.adapters.key_file import load_or_create_key
from app.cli import doctor_checks
from app.domain.market import Permissions
from app.engine.broker import LinkState
from app.engine.snapshots import LinkView

from .engine_beside import command_line, engine_beside

KEY = base64.b64encode(bytes(32)).decode()
LIMITS = [
    "--set=safety.max_daily_loss=100",
    "--set=safety.max_volume_per_order=1",
    "--set=safety.max_volume_total=2",
    "--set=safety.max_drawdown_percent=20",
    "--set=safety.repeat_throttle=3",
]


def examined(*arguments: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """Exit code, and name -> (state, detail, remedy) of the last check of that name."""
    result = CliRunner().invoke(command_line(), ["doctor", "--json", "--set=api.port=0", *arguments])
    report = json.loads(result.stdout)
    assert report["ok"] == (not any(check["state"] == "fault" for check in report["checks"]))
    for check in report["checks"]:
        assert bool(check["remedy"]) == (check["state"] != "ok"), check
        assert "\n" not in check["detail"] + check["remedy"]
    return result.exit_code, {c["name"]: (c["state"], c["detail"], c["remedy"]) for c in report["checks"]}


@pytest.fixture(autouse=True)
def _terminals_answer_at_once_or_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "_TERMINAL_PATIENCE", 0.2)


def test_a_new_machine_has_warnings_and_no_fault() -> None:
    code, found = examined()
    assert code == 0
    assert found["Journal"][:2] == ("ok", found["Journal"][1])
    assert found["Engine"][0] == "warning"
    assert found["Brain"][2] == "`medulla pair CODE`"
    assert found["Keyring"][0] == "warning"
    for name in ("Daily loss", "Order size", "Exposure", "Drawdown", "Repeats"):
        assert found[name][0] == "warning"
        assert found[name][2].startswith("Set safety.")


def test_limits_that_are_set_are_well() -> None:
    _, found = examined(*LIMITS)
    assert found["Limits"][0] == "ok"
    assert "Daily loss" not in found


def test_a_person_reads_marks_and_remedies() -> None:
    shown = CliRunner().invoke(command_line(), ["doctor", "--set=api.port=0"]).stdout
    assert "✓ Python: " in shown
    assert "! Daily loss: no limit: a bad day has no end\n    Set safety.max_daily_loss.\n" in shown
    assert "0 faults, " in shown


def test_a_wrong_setting_is_the_only_finding(tmp_path: Path) -> None:
    code, found = examined("--set=api.prot=1")
    assert code == 2
    assert list(found) == ["settings"]
    assert "nearest one is api.port" in found["settings"][1]


def test_a_running_engine_is_asked_instead_of_its_journal(data_folder: Path) -> None:
    (data_folder / "journal.db").write_bytes(b"not to be touched")
    with engine_beside(data_folder) as engine:
        code, found = examined()
        assert code == 1
        assert found["Engine"][:2] == ("ok", "runs, ready")
        assert found["Journal"][0] == "ok"
        assert found["Terminal"][0] == "ok"
        assert found["Permissions"][0] == "fault"
        assert "Algo Trading button" in found["Permissions"][1]
        engine.control.now = replace(
            engine.control.now,
            permissions=Permissions(),
            links=(LinkView("terminal", LinkState.DOWN, "silent for 5 s", None),),
            unknown_commands=("c-9",),
        )
        code, found = examined()
        assert found["Terminal"][:2] == ("fault", "down: silent for 5 s")
        assert "c-9" in found["Outcomes"][1]
        engine.control.now = replace(
            engine.control.now, links=(LinkView("journal", LinkState.DOWN, "disk full", None),)
        )
        assert examined()[1]["Journal"][0] == "fault"


def test_a_damaged_journal_is_a_fault(data_folder: Path) -> None:
    (data_folder / "journal.db").write_bytes(b"garbage" * 100)
    code, found = examined()
    assert code == 1
    assert found["Journal"][0] == "fault"
    assert "Restore a backup" in found["Journal"][2]


def test_files_that_others_can_read_are_faults(data_folder: Path) -> None:
    for name in ("api.token", "terminal.key"):
        load_or_create_key(data_folder / name)
    assert examined()[1]["Terminal key"][0] == "ok"
    for name in ("api.token", "terminal.key"):
        (data_folder / name).chmod(stat.S_IRUSR | stat.S_IROTH)
    report = json.loads(CliRunner().invoke(command_line(), ["doctor", "--json", "--set=api.port=0"]).stdout)
    faults = {check["name"] for check in report["checks"] if check["state"] == "fault"}
    assert faults == {"API token", "Terminal key"}


def test_a_synced_folder_is_a_fault(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = data_folder / "OneDrive"
    synced.mkdir()
    monkeypatch.setenv("MEDULLA_DATA_FOLDER", str(synced))
    code, found = examined()
    assert (code, found["Data folder"][0]) == (1, "fault")


def test_a_taken_port_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, found = examined(f"--set=api.port={port}")
    assert (code, found["API port"][0]) == (1, "fault")
    assert str(port) in found["API port"][1]


def test_no_terminal_behind_the_port_is_a_fault(data_folder: Path) -> None:
    load_or_create_key(data_folder / "terminal.key")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code, found = examined(f"--set=terminal.command_port={port}")
    assert (code, found["Terminal"][0]) == (1, "fault")
    assert "medulla ea install" in found["Terminal"][2]


def test_a_brain_needs_keys_and_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "--set=brain.url=wss://brain.example/"
    code, found = examined(url)
    assert code == 1
    assert [found[name][0] for name in ("Signatures", "Keyring", "API key")] == ["fault"] * 3
    monkeypatch.setenv("MEDULLA_BRAIN__API_KEY", "canary-0123456789")
    code, found = examined(url, f"--set=brain.signing_keys.k1={KEY}")
    assert code == 0
    assert found["Signatures"][1] == "required; keys: k1"
    assert found["API key"][1] == "from MEDULLA_BRAIN__API_KEY"
    assert "canary" not in str(found)


def test_a_stop_file_is_seen(data_folder: Path) -> None:
    (data_folder / "STOP").write_text("{}")
    assert examined()[1]["Stop file"][0] == "warning"
