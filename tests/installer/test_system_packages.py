"""System packages are looked for first, installed by apt-get only when root asks, and otherwise named in one line."""

from pathlib import Path

import pytest

from installer import system_packages
from installer.console import Progress, SetUpError
from installer.system_packages import Need


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that notes how it was called, on a system where this person is root; the file of notes."""
    notes = tmp_path / "calls"
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> "{notes}"\n'
        'case "$*" in *unheard-of*) echo "E: Unable to locate package unheard-of"; exit 100;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return notes


def test_only_what_is_not_there_is_missing_and_only_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_packages, "_known_libraries", lambda: {"libhere.so.1"})
    monkeypatch.setattr(
        "shutil.which", lambda name, **_: name if name in ("dpkg-query", "tool-here") else None
    )
    (tmp_path / "tests").mkdir()
    needs = [
        Need("here", "libhere.so.1", "a library that is there"),
        Need("tool", "tool-here", "a program that is there"),
        Need("gone", "libgone.so.2", "a library that is not there"),
        Need("compiler", "c++-gone", "needed by tests that exist", "tests"),
        Need("other", "other-gone", "needed by tests that do not exist", "tests/later"),
    ]
    assert system_packages.missing(needs, tmp_path) == ["gone", "compiler"]


def test_nothing_is_looked_for_where_there_is_no_dpkg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert system_packages.missing([Need("gone", "libgone.so.2", "not there")], tmp_path) == []


def test_nothing_missing_leaves_apt_alone(apt: Path) -> None:
    system_packages.install_or_explain([], "the tests need libraries", Progress())
    assert not apt.exists()


def test_root_gets_them_installed_without_a_question(apt: Path) -> None:
    system_packages.install_or_explain(["libegl1", "g++"], "the tests need libraries", Progress())
    update, install = apt.read_text().splitlines()
    assert update.endswith(" update")
    assert install.startswith("noninteractive ")
    assert install.endswith(" install -y --no-install-recommends libegl1 g++")


def test_what_apt_refuses_is_one_sentence(apt: Path) -> None:
    with pytest.raises(
        SetUpError, match=r"^the tests need x, and apt-get could not install unheard-of \(Unable to locate"
    ):
        system_packages.install_or_explain(["unheard-of"], "the tests need x", Progress())


def test_anybody_else_is_told_the_command(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SetUpError, match=r"sudo apt-get install libegl1 g\+\+$"):
        system_packages.install_or_explain(["libegl1", "g++"], "the tests need libraries", Progress())
    assert not apt.exists()


@pytest.mark.parametrize("needs", [system_packages.FOR_TESTS, system_packages.FOR_WINDOW])
def test_every_need_says_why_and_is_listed_once(needs: tuple[Need, ...]) -> None:
    assert all(len(need.reason.split()) >= 4 for need in needs)
    assert len({need.package for need in needs}) == len(needs)
