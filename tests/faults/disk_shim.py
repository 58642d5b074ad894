"""Compiles disk_shim.cpp once for each content of it, and says how a process is started over it.

Linux and a C++ compiler only.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.mql5_host.build import ROOT, compiler

SOURCE = Path(__file__).with_suffix(".cpp")
FOLDER = ROOT / "build" / "faults"


@functools.cache
def library() -> Path:
    """The compiled shim. Raises BuildFailed without a compiler, CalledProcessError with what it said."""
    command = [*compiler(), "-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra"]
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(command).encode()).hexdigest()[:16]
    made = FOLDER / f"disk_shim-{digest}.so"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:  # two test runs at once must not build over each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            fresh = made.with_suffix(".new")
            subprocess.run([*command, "-o", str(fresh), str(SOURCE), "-ldl"], check=True)
            os.replace(fresh, made)
    return made


def environment(root: Path | None = None, *, faults: Path | None = None) -> Mapping[str, str]:
    """What puts the shim under a process; with `faults`, calls on files below `root` fail by the rules in that file."""
    found = {"LD_PRELOAD": str(library())}
    if root is not None and faults is not None:
        found |= {"DISK_SHIM_ROOT": str(root), "DISK_SHIM_FAULTS": str(faults)}
    return found


def begin(root: Path, log: Path) -> None:
    """Within a process over the shim: from here on write down what happens to the files below `root`."""
    ctypes.CDLL(None).disk_shim_begin(str(root).encode(), str(log).encode())


def mark(word: str, **fields: Any) -> None:
    """Within a recorded process: put a word of its own into the record, at its place among the file operations."""
    ctypes.CDLL(None).disk_shim_mark(json.dumps({"mark": word, **fields}).encode())
