"""The house rules bite: a planted forbidden import fails import-linter, and a planted forbidden call fails ruff.

That the real tree keeps the rules is checked by the test command itself; here the checkers are checked, on a skeleton: the
tree's modules by name, without their contents.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def named_in_contracts() -> Iterator[str]:
    """Every module of ours that a contract speaks of."""
    for contract in PROJECT["tool"]["importlinter"]["contracts"]:
        for layer in contract.get("layers", []):
            yield from (part.strip(" ()") for part in layer.split("|"))
        for key in ("source_modules", "forbidden_modules"):
            yield from (name for name in contract.get(key, []) if name.startswith("app"))


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The package's modules, empty, under the real contracts. Rooms that are still to come stand there as well."""
    for source in (ROOT / "app").rglob("*.py"):
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
    for name in named_in_contracts():
        module = tmp_path / Path(*name.split("."))
        if not module.is_dir() and not module.with_suffix(".py").exists():
            module.with_suffix(".py").touch()
    (tmp_path / "pyproject.toml").write_text(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports.exe" if os.name == "nt" else "lint-imports")
    return subprocess.run(
        [program, "--no-cache"],
        cwd=folder,
        env=os.environ | {"COLUMNS": "300"},  # a contract's name and its verdict on one line
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_skeleton_keeps_every_contract(skeleton: Path) -> None:
    kept = lint_imports(skeleton)
    assert kept.returncode == 0, kept.stdout
    assert " 0 broken" in kept.stdout


@pytest.mark.parametrize(
    ("room", "forbidden", "contract"),
    [
        ("domain", "app.engine", "a room imports only what lies below it"),
        ("engine", "app.adapters", "a room imports only what lies below it"),
        ("engine", "app.protocol", "a room imports only what lies below it"),
        ("api", "app.bootstrap", "a room imports only what lies below it"),
        ("sim", "app.engine", "share nothing with the executor but the wire"),
        ("brain", "app.adapters", "share nothing with the executor but the wire"),
        ("domain", "asyncio", "are pure"),
        ("protocol", "time", "are pure"),
        ("engine", "PySide6", "Qt lives in the desktop process alone"),
        ("gui", "app.engine", "The window knows the engine by its local API alone"),
        ("gui", "app.api.server", "The window knows the engine by its local API alone"),
    ],
)
def test_a_planted_import_breaks_its_contract(
    skeleton: Path, room: str, forbidden: str, contract: str
) -> None:
    planted = skeleton / "app" / room
    planted = planted / "planted.py" if planted.is_dir() else planted.with_suffix(".py")
    planted.write_text(f"import {forbidden}\n", encoding="utf-8")
    broken = lint_imports(skeleton)
    assert broken.returncode == 1, broken.stdout
    verdict = next(line for line in broken.stdout.splitlines() if contract in line)
    assert verdict.endswith("BROKEN"), broken.stdout
    assert forbidden in broken.stdout.partition("Broken contracts")[2]


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("import asyncio\n\n\nasync def go() -> None:\n    await asyncio.create_task(go())\n", "TID251"),
        ("import asyncio\n\n\nasync def go() -> None:\n    await asyncio.ensure_future(go())\n", "TID251"),
        ("import datetime\n\nNOW = datetime.datetime.now(datetime.UTC)\n", "TID251"),
        ("import time\n\nNOW = time.time()\n", "TID251"),
        ("try:\n    import app\nexcept Exception:\n    raise SystemExit from None\n", "BLE001"),
        ("assert __name__\n", "S101"),
        ('print("to the trader\'s log?")\n', "T201"),
    ],
)
def test_a_planted_call_is_refused_in_the_product(source: str, rule: str) -> None:
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"),
            *("--stdin-filename", "app/engine/planted.py", "-"),
        ],
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert checked.returncode == 1, checked.stderr
    assert rule in checked.stdout
