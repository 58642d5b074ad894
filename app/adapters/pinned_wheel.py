"""Libraries out of a wheel of the package index: one exact wheel, known by its SHA-256, and each file in it known by its own.

Nothing that is not what was pinned leaves this file; where the files then go is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOWNLOAD_TIMEOUT: Final = 300.0
"""Seconds."""

Runner = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


class WheelTrouble(Exception):
    """The wheel cannot be had or is not the pinned one; the message is for a person."""


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file inside a wheel."""

    member: str
    name: str
    """What it is called where it is used."""
    sha256: str
    size: int
    system_has_it: bool = False
    """Windows may have it already, in a newer version; then that one is used."""


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel and the files taken from it."""

    requirement: str
    filename: str
    sha256: str
    python: str
    platform: str
    files: tuple[PinnedFile, ...]


LIBZMQ: Final = PinnedWheel(
    requirement="pyzmq==25.1.2",
    filename="pyzmq-25.1.2-cp311-cp311-win_amd64.whl",
    sha256="25c2dbb97d38b5ac9fd15586e048ec5eb1e38f3d47fe7d92167b0c77bb3584e9",
    python="311",
    platform="win_amd64",
    files=(
        PinnedFile(
            "pyzmq.libs/libzmq-v141-mt-4_3_4-0a6f51ca.dll",
            "libzmq.dll",
            "b2d32d44a52ce88a71c53ef9386fe00476f7a4dbca8a4c48699f17b38214599b",
            525312,
        ),
        PinnedFile(
            "pyzmq.libs/libsodium-ac42d648.dll",
            "libsodium-ac42d648.dll",
            "ac42d648d80b67cb4d286b21a784c889ece77842ed0eb06563127b3491819178",
            308224,
        ),
        PinnedFile(
            "pyzmq.libs/msvcp140.dll",
            "msvcp140.dll",
            "052b1978b08e2219fa53e6b2f58846a63150bcf002bd36e54b6bc10644684482",
            621960,
            system_has_it=True,
        ),
    ),
)
"""The last pyzmq for Windows that carries libzmq as a library of its own (4.3.4); later ones link it into the extension. Its
imports beside Windows' own: libsodium, MSVCP140 and VCRUNTIME140, the last of which no wheel of pyzmq carries."""


def fetch(wheel: PinnedWheel, folder: Path, run: Runner | None = None) -> Path:
    """Have pip download the wheel into `folder`; pip checks the hash, and so do we. Raises WheelTrouble."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"]
    command += ["--no-deps", "--only-binary", ":all:", "--platform", wheel.platform]
    command += ["--python-version", wheel.python, "--implementation", "cp"]
    command += ["--require-hashes", "-r", str(requirements), "-d", str(folder)]
    try:
        done = (run or _run)(command)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise WheelTrouble(f"pip could not be run ({fault}); {_by_hand(wheel)}") from None
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()
        if "DO NOT MATCH THE HASHES" in done.stderr:
            raise WheelTrouble(
                f"the index gave another {wheel.filename} than the pinned one (SHA-256 differs): it was thrown away and nothing"
                " was installed. Do not use what that index gives; try another network or index"
            )
        raise WheelTrouble(
            f"{wheel.filename} could not be downloaded ({told[-1] if told else f'pip ended with {done.returncode}'});"
            f" {_by_hand(wheel)}"
        )
    path = folder / wheel.filename
    check(wheel, path)
    return path


def check(wheel: PinnedWheel, path: Path) -> None:
    """Raises WheelTrouble unless `path` is exactly the pinned wheel."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise WheelTrouble(f"{path}: cannot be read ({fault.strerror}); {_by_hand(wheel)}") from None
    if found != wheel.sha256:
        raise WheelTrouble(
            f"{path}: is not the pinned {wheel.filename}: SHA-256 is {found}, must be {wheel.sha256}. Nothing of it was used:"
            " a changed library could trade by itself. Download it again"
        )


def files_of(wheel: PinnedWheel, path: Path, wanted: Sequence[PinnedFile]) -> dict[str, bytes]:
    """Contents of `wanted` by name, each checked. Raises WheelTrouble."""
    check(wheel, path)
    contents: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for file in wanted:
                with archive.open(file.member) as member:
                    content = member.read(file.size + 1)
                if hashlib.sha256(content).hexdigest() != file.sha256:
                    raise WheelTrouble(
                        f"{path}: {file.member} is not the pinned file (SHA-256 differs); nothing was used"
                    )
                contents[file.name] = content
    except (zipfile.BadZipFile, KeyError, OSError) as fault:
        raise WheelTrouble(f"{path}: cannot be unpacked ({fault}); nothing was used") from None
    return contents


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_TIMEOUT, check=False
    )


def _by_hand(wheel: PinnedWheel) -> str:
    return (
        f"nothing was installed. On a machine with a network: pip download {wheel.requirement} --no-deps --only-binary :all:"
        f" --platform {wheel.platform} --python-version {wheel.python}; then give the file with --wheel {wheel.filename}."
        " Or take the EA that needs no library: --no-dll"
    )
