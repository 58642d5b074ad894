"""Finds MetaTrader 5 terminals on this machine: their data folders, where each is installed, its build, its editor.

Looking only: nothing is written here. Facts of the platform: a data folder is `%APPDATA%\\MetaQuotes\\Terminal\\<hash>` and its
`origin.txt` (UTF-16) names the installation; a portable terminal keeps its data in its installation folder.
"""

from __future__ import annotations

import codecs
import mmap
import os
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

_PROGRAM = "terminal64.exe"
_EDITOR = "metaeditor64.exe"
_MOST = 1 << 20
_VERSION_SIGNATURE = struct.pack("<I", 0xFEEF04BD)
"""VS_FIXEDFILEINFO.dwSignature (Microsoft, verrsrc.h): in front of a program's version numbers."""


class NoTerminal(Exception):
    """No terminal is there; the message says where was looked and what to do."""


@dataclass(frozen=True, slots=True)
class TerminalFolder:
    """One terminal. `data` holds `MQL5`."""

    data: Path
    install: Path | None
    """Where its programs are, as far as it can be seen from here."""
    origin: str
    """What origin.txt says, as it stands there; of a portable terminal the folder itself; empty if unknown."""
    build: int | None
    portable: bool
    prefix: Path | None
    """Wine's prefix, on systems that are not Windows."""

    @property
    def editor(self) -> Path | None:
        """metaeditor64.exe, if it is installed."""
        return None if self.install is None else child_named(self.install, _EDITOR)

    @property
    def system_folder(self) -> Path | None:
        """Where the terminal's Windows keeps its own libraries."""
        if self.prefix is not None:
            return self.prefix / "drive_c" / "windows" / "system32"
        if sys.platform == "win32":
            return Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
        return None

    def windows_path(self, path: Path) -> str:
        """`path` as a program of this terminal's Windows names it."""
        if sys.platform == "win32":
            return str(path)
        if self.prefix is not None:
            drive_c = self.prefix / "drive_c"
            if path.is_relative_to(drive_c):
                return "C:\\" + "\\".join(path.relative_to(drive_c).parts)
        return "Z:" + str(path).replace("/", "\\")


def decoded(content: bytes) -> str:
    """Text that MetaTrader wrote: UTF-16 with or without a mark, else UTF-8, else the old Windows alphabet."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    if b"\0" in content[:64]:
        return content.decode("utf-16-le", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def child_named(folder: Path, name: str) -> Path | None:
    """The entry of `folder` called `name`, capitals or not: Wine's disks tell them apart, Windows does not."""
    exact = folder / name
    if exact.exists():
        return exact
    try:
        return next((entry for entry in folder.iterdir() if entry.name.lower() == name.lower()), None)
    except OSError:
        return None


def find_terminals(environ: Mapping[str, str], home: Path) -> tuple[TerminalFolder, ...]:
    """Every terminal of this user, data folders first, in a stable order."""
    found: dict[Path, TerminalFolder] = {}
    for prefix, data in _data_folders(environ, home):
        terminal = _of_data_folder(data, prefix)
        if terminal is not None:
            found[data.resolve()] = terminal
    taken = {_same(terminal.install) for terminal in found.values() if terminal.install is not None}
    for prefix, install in _installations(environ, home):
        # A terminal that was started once without /portable has its data elsewhere: that folder is the one it uses.
        if _same(install) not in taken and child_named(install, "MQL5") is not None:
            found.setdefault(install.resolve(), _portable(install, prefix))
    return tuple(found.values())


def terminal_in(folder: Path, environ: Mapping[str, str], home: Path) -> TerminalFolder:
    """The terminal in a folder given by hand: its data folder, its installation, or the `MQL5` in either. Raises NoTerminal."""
    folder = folder.expanduser().absolute()
    if folder.name.lower() == "mql5":
        folder = folder.parent
    if not folder.is_dir():
        raise NoTerminal(
            f"{folder}: there is no such folder; in MetaTrader 5 the menu File > Open Data Folder shows the right one"
        )
    for terminal in find_terminals(environ, home):
        if folder.resolve() in (terminal.data.resolve(), _same(terminal.install)):
            return terminal
    prefix = _prefix_around(folder)
    if child_named(folder, _PROGRAM) is not None:
        if child_named(folder, "MQL5") is None:
            raise NoTerminal(
                f"{folder}: this terminal has no MQL5 yet; start it once, then name the folder that its menu"
                " File > Open Data Folder shows"
            )
        return _portable(folder, prefix)
    by_hand = _of_data_folder(folder, prefix)
    if by_hand is None:
        raise NoTerminal(
            f"{folder}: holds neither MQL5 nor {_PROGRAM}, so it is no terminal's folder; in MetaTrader 5 the menu"
            " File > Open Data Folder shows the right one"
        )
    return by_hand


def nothing_found(environ: Mapping[str, str], home: Path) -> str:
    """The sentence for a person when there is no terminal at all."""
    places = [str(root) for _prefix, root in _roots(environ, home)] or ["no place: neither Windows nor Wine"]
    return (
        f"no MetaTrader 5 terminal found (looked in {', '.join(places)}); nothing was changed. Start the terminal once, then name"
        " its data folder with --terminal FOLDER (menu File > Open Data Folder)"
    )


# ------------------------------------------------------------------ places


def _roots(environ: Mapping[str, str], home: Path) -> list[tuple[Path | None, Path]]:
    """(prefix, a `MetaQuotes/Terminal` folder), whether it exists or not."""
    if sys.platform == "win32":
        roaming = environ.get("APPDATA") or str(home / "AppData" / "Roaming")
        return [(None, Path(roaming) / "MetaQuotes" / "Terminal")]
    roots: list[tuple[Path | None, Path]] = []
    for prefix in _prefixes(environ, home):
        users = prefix / "drive_c" / "users"
        for user in sorted(_folders(users)):
            for roaming in (user / "AppData" / "Roaming", user / "Application Data"):
                if roaming.is_dir() and not roaming.is_symlink():
                    roots.append((prefix, roaming / "MetaQuotes" / "Terminal"))
    return roots


def _prefixes(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Wine's own default and the one of MetaQuotes' script for Linux, which uses ~/.mt5."""
    named = environ.get("WINEPREFIX")
    candidates = [Path(named).expanduser()] if named else []
    candidates += [home / ".wine", home / ".mt5"]
    return list(dict.fromkeys(prefix for prefix in candidates if (prefix / "drive_c").is_dir()))


def _data_folders(environ: Mapping[str, str], home: Path) -> Iterator[tuple[Path | None, Path]]:
    for prefix, root in _roots(environ, home):
        for folder in sorted(_folders(root)):
            yield prefix, folder


def _installations(environ: Mapping[str, str], home: Path) -> Iterator[tuple[Path | None, Path]]:
    """Folders with terminal64.exe where programs usually are, and where the registry says."""
    bases: list[tuple[Path | None, Path]] = []
    if sys.platform == "win32":
        bases += [
            (None, Path(environ[name])) for name in ("ProgramW6432", "ProgramFiles") if environ.get(name)
        ]
        yield from ((None, folder) for folder in _registered())
    else:
        bases += [(prefix, prefix / "drive_c" / "Program Files") for prefix in _prefixes(environ, home)]
    for prefix, base in bases:
        for folder in sorted(_folders(base)):
            if child_named(folder, _PROGRAM) is not None:
                yield prefix, folder


def _registered() -> list[Path]:
    """Installations that Windows can uninstall."""
    if sys.platform != "win32":
        return []
    import winreg

    def location(program: Any) -> str:
        """`program`: an open key. Empty: it does not say."""
        try:
            return str(winreg.QueryValueEx(program, "InstallLocation")[0])
        except OSError:
            return ""

    found: list[Path] = []
    key = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall"
    for hive in (winreg.HKEY_LOCAL_MACHINE, winreg.HKEY_CURRENT_USER):
        try:
            with winreg.OpenKey(hive, key) as programs:
                for number in range(winreg.QueryInfoKey(programs)[0]):
                    with winreg.OpenKey(programs, winreg.EnumKey(programs, number)) as program:
                        place = location(program)
                    if place and child_named(Path(place), _PROGRAM) is not None:
                        found.append(Path(place))
        except OSError:
            continue
    return found


def _folders(folder: Path) -> Iterable[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    except OSError:
        return []


# ------------------------------------------------------------------ one terminal


def _of_data_folder(data: Path, prefix: Path | None) -> TerminalFolder | None:
    """None: `Common`, `Community` and the like, which have no MQL5 of their own."""
    if child_named(data, "MQL5") is None:
        return None
    try:
        with (data / "origin.txt").open("rb") as file:
            lines = decoded(file.read(_MOST)).strip().splitlines()
    except OSError:
        lines = []
    origin = lines[0].strip() if lines else ""
    install = _local_path(origin, prefix) if origin else None
    if install is None and child_named(data, _PROGRAM) is not None:
        return _portable(data, prefix)
    return TerminalFolder(data, install, origin, _build(install), False, prefix)


def _portable(install: Path, prefix: Path | None) -> TerminalFolder:
    return TerminalFolder(install, install, str(install), _build(install), True, prefix)


def _local_path(text: str, prefix: Path | None) -> Path | None:
    """A Windows path as this system can open it; None if it leads nowhere."""
    if sys.platform == "win32":
        path = Path(text)
        return path if path.is_dir() else None
    named = PureWindowsPath(text)
    if prefix is None or not named.drive:
        return None
    letter = named.drive.lower()
    mapped = prefix / "dosdevices" / letter
    # Not through the link for C: `windows_path` knows files by their place under drive_c.
    current = prefix / "drive_c" if letter == "c:" else mapped if mapped.exists() else Path("/")
    if letter not in ("c:", "z:") and not mapped.exists():
        return None
    for part in named.parts[1:]:
        inside = child_named(current, part)
        if inside is None:
            return None
        current = inside
    return current


def _prefix_around(folder: Path) -> Path | None:
    if sys.platform == "win32":
        return None
    return next((parent.parent for parent in (folder, *folder.parents) if parent.name == "drive_c"), None)


def _same(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()


def _build(install: Path | None) -> int | None:
    """Number of the build: the last part of terminal64.exe's file version (5.0.0.build)."""
    program = None if install is None else child_named(install, _PROGRAM)
    if program is None:
        return None
    try:
        with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = content.find(_VERSION_SIGNATURE)
            if at < 0 or at + 16 > len(content):
                return None
            # dwSignature, dwStrucVersion, dwFileVersionMS, dwFileVersionLS
            return int(struct.unpack_from("<I", content, at + 12)[0]) & 0xFFFF
    except (OSError, ValueError):
        return None
