"""A pinned wheel: what pip is asked for, and that nothing but the pinned bytes comes out."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.pinned_wheel import PinnedFile, PinnedWheel, WheelTrouble, fetch, files_of

CONTENT = b"a library"
FILE = PinnedFile("made.libs/x-1.dll", "x.dll", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def pinned(folder: Path, content: bytes = CONTENT) -> tuple[PinnedWheel, Path]:
    path = folder / "made-1.0-cp311-cp311-win_amd64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(FILE.member, content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PinnedWheel("made==1.0", path.name, digest, "311", "win_amd64", (FILE,)), path


class Pip:
    """Stands for pip: keeps the command line, leaves a file, ends as told."""

    def __init__(self, code: int = 0, stderr: str = "", wheel: Path | None = None) -> None:
        self.command: list[str] = []
        self.requirements = ""
        self._code, self._stderr, self._wheel = code, stderr, wheel

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.command = list(command)
        self.requirements = Path(command[command.index("-r") + 1]).read_text()
        if self._wheel is not None:
            (Path(command[command.index("-d") + 1]) / self._wheel.name).write_bytes(self._wheel.read_bytes())
        return subprocess.CompletedProcess(self.command, self._code, "", self._stderr)


def test_pip_is_asked_for_one_exact_wheel(tmp_path: Path) -> None:
    wheel, path = pinned(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    pip = Pip(wheel=path)
    got = fetch(wheel, scratch, pip)
    assert got == scratch / path.name
    assert pip.requirements == f"made==1.0 --hash=sha256:{wheel.sha256}\n"
    for words in (
        ["--require-hashes"],
        ["--only-binary", ":all:"],
        ["--platform", "win_amd64"],
        ["--no-deps"],
    ):
        at = pip.command.index(words[0])
        assert pip.command[at : at + len(words)] == words
    assert files_of(wheel, got, wheel.files) == {"x.dll": CONTENT}


@pytest.mark.parametrize(
    ("pip", "words"),
    [
        (
            Pip(1, "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."),
            "SHA-256 differs",
        ),
        (Pip(1, "ERROR: No matching distribution found for made==1.0"), "No matching distribution"),
        (Pip(0), "cannot be read"),
        (Pip(2), "pip ended with 2"),
    ],
)
def test_what_pip_could_not_do_is_said_with_a_way_out(tmp_path: Path, pip: Pip, words: str) -> None:
    wheel, _path = pinned(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(WheelTrouble, match=words) as caught:
        fetch(wheel, scratch, pip)
    assert "nothing" in str(caught.value)


def test_a_pip_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    def no_pip(_command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError("no such program")

    with pytest.raises(WheelTrouble, match="--wheel"):
        fetch(pinned(tmp_path)[0], tmp_path, no_pip)


def test_another_wheel_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    wheel, path = pinned(tmp_path)
    path.write_bytes(b"PK" + path.read_bytes()[2:] + b"\0")
    with pytest.raises(WheelTrouble, match="is not the pinned"):
        files_of(wheel, path, wheel.files)


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """Also when somebody pinned a wheel whose files are others: each file has a hash of its own."""
    wheel, path = pinned(tmp_path, b"a changed library")
    with pytest.raises(WheelTrouble, match=r"made\.libs/x-1\.dll is not the pinned file"):
        files_of(wheel, path, wheel.files)


def test_a_pinned_wheel_that_cannot_be_unpacked_is_said(tmp_path: Path) -> None:
    wheel, path = pinned(tmp_path)
    path.write_bytes(b"no archive at all")
    broken = replace(wheel, sha256=hashlib.sha256(b"no archive at all").hexdigest())
    with pytest.raises(WheelTrouble, match="cannot be unpacked"):
        files_of(broken, path, wheel.files)
    missing = replace(FILE, member="made.libs/other.dll")
    wheel, path = pinned(tmp_path)
    with pytest.raises(WheelTrouble, match="cannot be unpacked"):
        files_of(wheel, path, (missing,))
