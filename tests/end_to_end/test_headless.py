"""The engine without a screen and without Qt, and the demo that a newcomer runs first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import MakeWorld
from .harness import run_medulla
from .scripted_brain import outcome

pytestmark = pytest.mark.processes

WITHOUT_QT = '''
import atexit, importlib.abc, json, os, sys


class Missing(importlib.abc.MetaPathFinder):
    """As on a machine where they were never installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PySide6", "shiboken6", "qasync", "pyqtgraph"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def tell():
    with open(os.environ["MODULES_FILE"], "w") as file:
        json.dump(sorted(sys.modules), file)


sys.meta_path.insert(0, Missing())
atexit.register(tell)
'''
DEMO_KEYS = {
    "commands", "accepted", "executed", "rejected", "unknown", "duplicates", "p50_ms", "p95_ms", "p99_ms", "commands_per_s",
}  # fmt: skip


def test_the_engine_trades_where_qt_is_not_installed_and_imports_none_of_it(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    blocked, modules = tmp_path / "blocked", tmp_path / "modules.json"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(WITHOUT_QT)
    world = make_world()
    world.brain.open()
    world.start_terminal()
    world.configure()
    world.start_executor(environment={"PYTHONPATH": str(blocked), "MODULES_FILE": str(modules)})
    world.brain.heard("STATE")
    buy = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.1}
    assert outcome(world.brain.do(buy)) == "EXECUTED"
    assert world.executor.end() == 0
    imported = json.loads(modules.read_text())
    assert "app.engine.core" in imported
    assert [name for name in imported if "pyside" in name.lower() or "qt" in name.split(".")[0].lower()] == []
    assert [name for name in imported if name.startswith("app.gui")] == []


def test_the_demo_counts_every_command_once(tmp_path: Path) -> None:
    done = run_medulla(
        tmp_path, "demo", "--headless", "--commands", "300", "--rate", "100", "--json", "--keep", str(tmp_path / "kept"),
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout.splitlines()[-1])
    assert set(counted) >= DEMO_KEYS
    assert (counted["commands"], counted["accepted"]) == (300, 300)
    assert (counted["duplicates"], counted["lost"], counted["unasked"], counted["unknown"]) == (0, 0, 0, 0)
    assert counted["executed"] + counted["rejected"] + counted["expired"] == 300
    assert 0 < counted["p50_ms"] <= counted["p95_ms"] <= counted["p99_ms"]
    assert counted["commands_per_s"] > 0
    verified = run_medulla(tmp_path, "journal", "verify", "--journal", str(tmp_path / "kept" / "journal.db"))
    assert verified.returncode == 0, verified.stderr
    listed = run_medulla(
        tmp_path,
        "journal",
        "list",
        "--json",
        "--limit",
        "1000",
        "--journal",
        str(tmp_path / "kept" / "journal.db"),
    )
    states = [json.loads(line)["state"] for line in listed.stdout.splitlines()]
    assert states.count("EXECUTED") + states.count("PARTIAL") == counted["executed"]
    assert len(states) == 300
