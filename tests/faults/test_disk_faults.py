"""The short form of a disk that fails or is changed by others: told once, nothing confirmed lost, nothing written afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.faults.disk_cuts import memory_folder
from tests.faults.disk_shim import environment
from tests.mql5_host.build import ROOT

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def trials() -> list[dict[str, Any]]:
    """All trials of one process."""
    with TemporaryDirectory(prefix="medulla-disk-", dir=memory_folder()) as temporary:
        folder = Path(temporary)
        (folder / "files").mkdir()
        (folder / "rules").write_text("")
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.disk_faults", str(folder), "0", "3", "--quick"],
            env={**os.environ, **environment(folder / "files", faults=folder / "rules")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_no_trial_loses_what_was_confirmed_or_keeps_silent(trials: list[dict[str, Any]]) -> None:
    assert [(trial["name"], trial["wrong"]) for trial in trials if trial["wrong"]] == []
    assert len(trials) >= 28
    assert sum(1 for trial in trials if trial["told"]) >= 14


@pytest.mark.parametrize("what", ["removed", "replaced by rubbish", "replaced by a copy of itself"])
def test_a_log_that_others_take_away_stops_trading_and_is_saved(
    trials: list[dict[str, Any]], what: str
) -> None:
    """SQLite went on into the nameless file, and a killed process took every confirmed commit with it."""
    [trial] = [trial for trial in trials if trial["name"] == f"the write-ahead log is {what}"]
    assert "another program has removed or replaced" in trial["told"]
    assert (trial["closed"], trial["killed"]) == ("kept", "kept")


@pytest.mark.parametrize("what", ["the database is removed", "the folder is moved away"])
def test_a_database_that_others_take_away_stops_trading_with_the_next_commit(
    trials: list[dict[str, Any]], what: str
) -> None:
    [trial] = [trial for trial in trials if trial["name"] == what]
    assert "another program has removed or replaced" in trial["told"]
    assert trial["confirmed"] == 4
