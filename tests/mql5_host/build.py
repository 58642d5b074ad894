"""Compiles a translated Expert Advisor with the runtime into one executable, once for each content of the sources.

Compilers: g++ if there is one, else `python -m ziglang c++`. Results lie under
build/mql5_host, named by a hash of all that went in.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .translator import Translator

ROOT = Path(__file__).resolve().parents[2]
EA_FOLDER = ROOT / "mql5_ea"
RUNTIME = Path(__file__).with_name("runtime")
BUILD_FOLDER = ROOT / "build" / "mql5_host"

_COMMON = ["-std=c++17", "-O1", "-g"]
# What MetaEditor warns about, or leaves to chance, is an error here. Locals start with a pattern, not with luck.
_EA_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wconversion",
    "-Wno-sign-conversion",
    "-Wshadow",
    "-Wno-unused-parameter",
    "-Wno-misleading-indentation",
    "-Wno-parentheses",
    "-Wno-unused-function",
    "-Wno-unused-variable",
    "-Wno-unused-but-set-variable",
    "-Wno-missing-field-initializers",
]
FLAVOURS: dict[str, list[str]] = {
    "plain": [],
    "sanitized": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"],
    "coverage": ["--coverage", "-fprofile-update=atomic"],
}


class BuildFailed(Exception):
    """The compiler refused; the message holds what it said, with lines of the MQL5 source."""


@dataclass(frozen=True, slots=True)
class Build:
    """An executable, and the folder in which its objects (and coverage notes) lie."""

    executable: Path
    folder: Path


def compiler() -> list[str]:
    """Raises BuildFailed when there is none."""
    found = shutil.which("g++")
    if found:
        return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    raise BuildFailed("No C++ compiler: install g++, or `pip install ziglang`.")


@functools.cache
def build(program: Path, flavour: str = "plain") -> Build:
    """Translate and compile `program` (.mq5) unless exactly this was built before; sources are read once a process.

    Raises SourceError, BuildFailed.
    """
    translated = Translator(EA_FOLDER / "Include").translate(program)
    command = compiler()
    runtime_hash = _hash([*sorted(RUNTIME.iterdir())], [*command, flavour])
    runtime_folder = BUILD_FOLDER / f"runtime-{flavour}-{runtime_hash}"
    ea_hash = hashlib.sha256(f"{runtime_hash}{translated.text}{_EA_WARNINGS}".encode()).hexdigest()[:16]
    folder = BUILD_FOLDER / f"{program.stem}-{flavour}-{ea_hash}"
    executable = folder / "ea"
    BUILD_FOLDER.mkdir(parents=True, exist_ok=True)
    with (BUILD_FOLDER / "lock").open("w") as lock:  # two test runs at once must not build over each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        if executable.exists():
            return Build(executable, folder)
        objects = _runtime_objects(runtime_folder, command, FLAVOURS[flavour])
        folder.mkdir(exist_ok=True)
        source = folder / "ea.cpp"
        source.write_text(translated.text)
        warnings = _EA_WARNINGS if command[0].endswith("g++") else []
        pattern = ["-ftrivial-auto-var-init=pattern"]
        flags = [*_COMMON, *FLAVOURS[flavour], *pattern, *warnings, "-isystem", str(RUNTIME)]
        _run([*command, *flags, "-c", str(source), "-o", str(folder / "ea.o")])
        link = [*command, *FLAVOURS[flavour], "-rdynamic", str(folder / "ea.o"), *map(str, objects), "-ldl"]
        _run([*link, "-o", str(folder / "ea.new")])
        os.replace(folder / "ea.new", executable)
    return Build(executable, folder)


def _runtime_objects(folder: Path, command: list[str], flavour_flags: list[str]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    objects = []
    for source in sorted(RUNTIME.glob("*.cpp")):
        target = folder / f"{source.stem}.o"
        objects.append(target)
        if not target.exists():
            # coverage counts the EA's lines, not the bench's
            flags = [flag for flag in flavour_flags if "coverage" not in flag and "profile" not in flag]
            _run([*command, *_COMMON, *flags, "-Wall", "-Wextra", "-c", str(source), "-o", f"{target}.new"])
            os.replace(f"{target}.new", target)
    return objects


def _hash(files: Sequence[Path], words: Sequence[str]) -> str:
    digest = hashlib.sha256(" ".join(words).encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _run(command: list[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise BuildFailed(finished.stderr[-20000:] or finished.stdout[-20000:])
