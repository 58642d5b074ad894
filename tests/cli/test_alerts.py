"""`medulla alerts`: what a person reads and acknowledges, and addresses that go to the keyring and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.adapters import keyring_secrets
from app.engine.control import Refused
from app.engine.snapshots import AlertView, TargetView
from tests.adapters.test_keyring_secrets import Backend

from .engine_beside import EngineBeside, command_line, engine_beside

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADDRESS = "json://ann:geheim@example.test/hook"


def ran(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(command_line(), ["alerts", *arguments], input=typed)


@pytest.fixture
def engine(data_folder: Path) -> Iterator[EngineBeside]:
    with engine_beside(data_folder) as engine:
        engine.control.now = replace(
            engine.control.now,
            alerts=(
                AlertView("r-2", AT, "critical", "TERMINAL_LOST", "the terminal is gone", over_at=AT),
                AlertView("r-1", AT, "warning", "X", "y", acknowledged_at=AT, acknowledged_by="bob"),
            ),
            alert_targets=(TargetView("1 json", 3, 1, "no answer"), TargetView("2 tgram", 2, 0, None)),
        )
        yield engine


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    made = Backend()
    monkeypatch.setattr(keyring_secrets, "system_backend", lambda: made)
    return made


# ------------------------------------------------------------------ seen by a person


def test_alerts_are_for_people_and_for_programs(engine: EngineBeside) -> None:
    shown = ran()
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert (
        "r-2  2026-11-20 12:00:00  critical TERMINAL_LOST: the terminal is gone (over since 12:00:00)"
        in lines[0]
    )
    assert "(seen by bob)" in lines[1]
    assert "1 critical not acknowledged" in lines[2]
    assert "target 1 json: 3 sent, 1 dropped; no answer" in lines[3]
    assert "target 2 tgram: 2 sent" in lines[4]
    found = json.loads(ran("--json").stdout)
    assert [alert["alert_id"] for alert in found["alerts"]] == ["r-2", "r-1"]


def test_acknowledging_reaches_the_engine(engine: EngineBeside) -> None:
    assert ran("ack", "r-2", "--note", "on it").stdout == "Acknowledged: 1.\n"
    assert engine.control.asked == [
        ("acknowledge_alert", {"alert_id": "r-2", "by": "command line", "note": "on it"})
    ]
    engine.control.refusal = Refused("UNKNOWN_ALERT", "there is no alert x")
    refused = ran("ack", "x")
    assert (refused.exit_code, "there is no alert x" in refused.stderr) == (3, True)


def test_a_test_that_does_not_arrive_is_a_failure(engine: EngineBeside) -> None:
    shown = ran("test")
    assert shown.exit_code == 1
    assert "target 2 tgram: 0 sent, 1 dropped; no answer" in shown.stdout
    engine.control.refusal = Refused("NO_TARGETS", "no address is set")
    assert ran("test").exit_code == 3


def test_without_an_engine_it_says_so(data_folder: Path) -> None:
    shown = ran()
    assert (shown.exit_code, "No engine is running" in shown.stderr) == (1, True)


# ------------------------------------------------------------------ addresses


def test_an_address_goes_to_the_keyring_and_is_never_shown(data_folder: Path, backend: Backend) -> None:
    added = ran("add", "-", typed=f"{ADDRESS}\n")
    assert (added.exit_code, added.stderr) == (0, "")
    again = ran("add", typed="tgram://123456789:abcdefghijklmnopqrstuvwxyz012345678/12315544/\n")
    assert again.exit_code == 0
    assert backend.kept["Medulla", "alerts.url/exec_001/1"] == ADDRESS
    listed = ran("targets")
    assert listed.stdout == "1 json, in the keyring\n2 tgram, in the keyring\n"
    for result in (added, again, listed):
        assert "geheim" not in result.output
        assert "abcdef" not in result.output
    assert ran("remove", "1").exit_code == 0
    assert ran("targets").stdout == "1 tgram, in the keyring\n"
    assert ran("remove", "2").exit_code == 1
    files = [file for file in data_folder.rglob("*") if file.is_file()]
    assert all("geheim" not in file.read_text() for file in files)


def test_addresses_of_the_environment_are_listed_by_kind(
    data_folder: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "None." in ran("targets").stdout
    monkeypatch.setenv("MEDULLA_ALERTS__URLS", ADDRESS)
    assert ran("targets").stdout == "- json, from the environment\n"


@pytest.mark.parametrize(
    "typed", ["", "no address", "nonsense://x", "json://", "json://a b", "json://" + "x" * 1300]
)
def test_what_is_no_address_is_refused_without_being_echoed(
    data_folder: Path, backend: Backend, typed: str
) -> None:
    refused = ran("add", "-", typed=f"{typed}\n")
    assert refused.exit_code == 2
    assert backend.kept == {}


def test_an_address_on_the_command_line_is_refused(data_folder: Path, backend: Backend) -> None:
    refused = ran("add", ADDRESS)
    assert (refused.exit_code, backend.kept) == (2, {})
    assert "history" in refused.stderr
    assert "geheim" not in refused.output


def test_without_a_keyring_the_variable_is_named(data_folder: Path) -> None:
    refused = ran("add", "-", typed=f"{ADDRESS}\n")
    assert refused.exit_code == 1
    assert "MEDULLA_ALERTS__URLS" in refused.stderr
