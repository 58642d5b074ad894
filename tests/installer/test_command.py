"""The words of `start.py`: which profile each needs, what is handed on, and what an old Python is told."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from installer import command

START = Path(__file__).resolve().parents[2] / "installer" / "start.py"


@pytest.mark.parametrize(
    ("arguments", "screen", "planned"),
    [
        (["demo"], True, ("desktop", ["demo"])),
        (["demo"], False, ("run", ["demo", "--headless"])),
        (["demo", "--headless"], True, ("run", ["demo", "--headless"])),
        (["demo", "--help"], True, ("run", ["demo", "--help"])),
        ([], True, ("desktop", [])),
        ([], False, ("run", [])),
        (["doctor"], True, ("run", ["doctor"])),
        (["run", "--headless"], False, ("run", ["run", "--headless"])),
        (["--version"], True, ("run", ["--version"])),
    ],
)
def test_only_a_window_needs_the_desktop_profile(
    arguments: list[str], screen: bool, planned: tuple[str, list[str]]
) -> None:
    assert command.plan(arguments, screen) == planned


def test_a_screen_is_what_the_system_announces() -> None:
    assert command.has_screen("win32", {})
    assert command.has_screen("linux", {"DISPLAY": ":0"})
    assert command.has_screen("linux", {"WAYLAND_DISPLAY": "wayland-0"})
    assert not command.has_screen("linux", {"DISPLAY": ""})


def test_no_word_at_all_is_wrong_usage_and_help_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 2
    assert command.main(["--help"]) == 0
    said = capsys.readouterr()
    assert said.out == said.err == command.USAGE


@pytest.mark.parametrize("words", [["setup", "everything"], ["setup", "run", "test"]])
def test_an_unknown_profile_is_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command.main(words, tmp_path) == 2
    assert "run, desktop, test" in capsys.readouterr().err


def test_what_cannot_be_set_up_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["doctor"], tmp_path) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("medulla set-up: ")
    assert "run.lock cannot be read" in said[-1]


def test_an_old_python_is_told_so_by_a_file_it_can_still_read() -> None:
    ast.parse(START.read_text(encoding="utf-8"), feature_version=(3, 4))
    as_old = f"import sys, runpy; sys.version_info = (3, 9, 2, 'final', 0); runpy.run_path({str(START)!r}, run_name='__main__')"
    told = subprocess.run(
        [sys.executable, "-c", as_old], capture_output=True, text=True, timeout=30, check=False
    )
    assert told.returncode == 1
    assert told.stderr.startswith(
        "medulla set-up: Medulla needs Python 3.11 or newer, and this is Python 3.9."
    )
    assert told.stderr.count("\n") == 1


def test_a_child_on_windows_gives_its_exit_code_and_ctrl_c_is_its_own_affair() -> None:
    assert command.as_child([sys.executable, "-c", "raise SystemExit(5)"]) == 5
