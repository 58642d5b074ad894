"""Folders laid out as MetaTrader 5 and Wine lay them out, a MetaEditor that is a script, and a made-up wheel."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from app.adapters.pinned_wheel import PinnedFile, PinnedWheel

HASHES = ("D0E8209F77C8CF37AD8BF550E51FF075", "53785E099C927DB68A545C249CDBCE06")
REPOSITORY = Path(__file__).resolve().parents[2]
EA_SOURCES = REPOSITORY / "mql5_ea"
DLL = b"a library, as far as this test cares"
SODIUM = b"another one"
RUNTIME = b"Microsoft's"

_EDITOR = f"""#!{sys.executable}
import json, os, pathlib, sys
words = sys.argv[1:]
if pathlib.Path(sys.argv[0]).name == "wine":
    words = words[1:]
given = dict(word[1:].split(":", 1) for word in words)
if os.environ.get("EDITOR_HEARD"):
    with open(os.environ["EDITOR_HEARD"], "a") as file:
        file.write(json.dumps([sys.argv, os.environ.get("WINEPREFIX")]) + "\\n")
def local(path):
    if path[:3] == "C:\\\\":
        return pathlib.Path(os.environ["WINEPREFIX"], "drive_c", *path[3:].split("\\\\"))
    return pathlib.Path(path[2:].replace("\\\\", "/") if path[:2] == "Z:" else path)
source, mood = local(given["compile"]), os.environ.get("EDITOR_MOOD", "")
name = source.name
lines = [given["compile"] + " : information: compiling '" + name + "'"]
if mood == "errors":
    lines += [
        local(given["include"]).as_posix() + "/Include/Medulla/Gate.mqh(17,5) : error 256: undeclared identifier",
        given["compile"] + "(3,1) : warning 43: possible loss of data due to type conversion",
        "Result: 1 errors, 1 warnings, 512 msec elapsed",
    ]
else:
    lines.append("Result: 0 errors, 0 warnings, 512 msec elapsed, cpu='X64 Regular'")
    if mood != "lazy":
        source.with_suffix(".ex5").write_bytes(b"EX5" + source.read_bytes())
if mood != "silent":
    local(given["log"]).write_bytes("\\r\\n".join(lines).encode("utf-16"))
sys.exit(1)
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A home folder with a Wine prefix in it."""

    home: Path

    @property
    def prefix(self) -> Path:
        return self.home / ".wine"

    @property
    def programs(self) -> Path:
        return self.prefix / "drive_c" / "Program Files"

    @property
    def roaming(self) -> Path:
        return (
            self.prefix / "drive_c" / "users" / "trader" / "AppData" / "Roaming" / "MetaQuotes" / "Terminal"
        )

    def installation(self, name: str = "MetaTrader 5", build: int = 5200, *, portable: bool = False) -> Path:
        """A folder with terminal64.exe, whose version resource names the build."""
        folder = self.programs / name
        folder.mkdir(parents=True)
        version = struct.pack("<IIII", 0xFEEF04BD, 0x10000, 5 << 16, build)
        (folder / "terminal64.exe").write_bytes(b"MZ" + bytes(100) + version + bytes(32))
        if portable:
            (folder / "MQL5").mkdir()
        return folder

    def data_folder(self, number: int = 0, origin: str = r"C:\Program Files\MetaTrader 5") -> Path:
        """A data folder as a terminal makes it when it first starts; beside it the folders that are none."""
        folder = self.roaming / HASHES[number]
        for inside in ("Experts", "Include", "Libraries", "Files", "Presets"):
            (folder / "MQL5" / inside).mkdir(parents=True)
        (folder / "origin.txt").write_bytes(origin.encode("utf-16"))
        (self.roaming / "Common" / "Files").mkdir(parents=True, exist_ok=True)
        (self.roaming / "Community").mkdir(exist_ok=True)
        return folder


def script(path: Path) -> Path:
    """The editor that is a script; called `wine` it takes the program that follows as its own name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_EDITOR)
    path.chmod(0o755)
    return path


def made_up_wheel(folder: Path) -> tuple[PinnedWheel, Path]:
    """A small wheel laid out like the real one, and its pin."""
    members = {
        "made.libs/zmq-x.dll": ("libzmq.dll", DLL, False),
        "made.libs/sodium.dll": ("sodium.dll", SODIUM, False),
    }
    members["made.libs/msvcp140.dll"] = ("msvcp140.dll", RUNTIME, True)
    path = folder / "made-1.0-cp311-cp311-win_amd64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, (_name, content, _system) in members.items():
            archive.writestr(member, content)
    files = tuple(
        PinnedFile(member, name, hashlib.sha256(content).hexdigest(), len(content), system)
        for member, (name, content, system) in members.items()
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PinnedWheel("made==1.0", path.name, digest, "311", "win_amd64", files), path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    found = {}
    for base, _folders, names in os.walk(folder):
        for name in names:
            path = Path(base) / name
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found
