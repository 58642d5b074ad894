"""Compiles an Expert Advisor with MetaEditor's command line and reads its log.

The log decides, not the exit code, whose meaning differs between builds; the log is UTF-16 and names file, line and column.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.adapters.terminal_folders import TerminalFolder, decoded

COMPILE_TIMEOUT: Final = 180.0
"""Seconds; the first start of an editor under Wine takes long."""
_FINDING = re.compile(
    r"^(?P<file>.*?)\s*\((?P<line>\d+),(?P<column>\d+)\)\s*:\s*(?P<kind>error|warning)\s*(?P<number>\d*)\s*:\s*(?P<text>.*)$"
)
_RESULT = re.compile(r"Result:?\s*(\d+)\s+errors?,\s*(\d+)\s+warnings?", re.IGNORECASE)
_LOG_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning of the compiler."""

    kind: str
    """'error' | 'warning'."""
    file: str
    """Its name without the folder: the folder is that of the terminal."""
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.kind}: {self.text}"


@dataclass(frozen=True, slots=True)
class Compilation:
    """What became of one source. `program` is the .ex5, only when it was made anew and without errors."""

    source: Path
    program: Path | None
    errors: int
    warnings: int
    findings: tuple[Finding, ...]
    log: str
    trouble: str = ""
    """Why there is no usable answer of the compiler at all; empty otherwise."""

    @property
    def good(self) -> bool:
        return self.program is not None


class NoEditor(Exception):
    """MetaEditor cannot be run here; the message says why and what to do."""


def editor_command(terminal: TerminalFolder, editor: Path | None = None) -> tuple[str, ...]:
    """The program to run, with Wine in front where it is needed; `editor` overrides what was found. Raises NoEditor."""
    program = editor or terminal.editor
    if program is None:
        raise NoEditor("metaeditor64.exe is not where the terminal is installed")
    if not program.is_file():
        raise NoEditor(f"{program}: there is no such file")
    if sys.platform == "win32" or program.suffix.lower() != ".exe":
        return (str(program),)
    wine = shutil.which("wine") or shutil.which("wine64")
    if wine is None:
        raise NoEditor("MetaEditor is a Windows program and there is no wine on this machine's PATH")
    return (wine, str(program))


def compile_source(
    terminal: TerminalFolder,
    command: tuple[str, ...],
    source: Path,
    *,
    environ: dict[str, str],
) -> Compilation:
    """Compile `source`, which lies in the terminal's MQL5. Raises nothing: what went wrong is in the answer."""
    log = source.with_suffix(".log")
    program = source.with_suffix(".ex5")
    before = _stamp(program)
    log.unlink(missing_ok=True)
    line = _command_line(terminal, command, source, log)
    if terminal.prefix is not None:
        environ = {
            **environ,
            "WINEPREFIX": str(terminal.prefix),
            "WINEDEBUG": environ.get("WINEDEBUG", "-all"),
        }
    try:
        subprocess.run(line, env=environ, capture_output=True, timeout=COMPILE_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return _nothing(source, f"MetaEditor did not end within {COMPILE_TIMEOUT:g} s")
    except OSError as fault:
        return _nothing(source, f"MetaEditor could not be started ({fault.strerror or fault})")
    try:
        with log.open("rb") as file:
            text = decoded(file.read(_LOG_LIMIT))
        log.unlink()
    except OSError:
        return _nothing(source, "MetaEditor ended without writing a log")
    findings = tuple(findings_in(text))
    result = _RESULT.search(text)
    if result is None:
        return _nothing(source, "MetaEditor's log has no result line", findings, text)
    errors, warnings = int(result[1]), int(result[2])
    after, written = _stamp(program), _stamp(source)
    # An editor may find that a program newer than its source needs no new one.
    made = (
        errors == 0
        and after is not None
        and (after != before or (written is not None and after[0] >= written[0]))
    )
    trouble = "" if made or errors else "MetaEditor reports no error, but there is no new .ex5"
    return Compilation(source, program if made else None, errors, warnings, findings, text, trouble)


def _command_line(
    terminal: TerminalFolder, command: tuple[str, ...], source: Path, log: Path
) -> str | list[str]:
    # A program without .exe is no Windows program: it gets this system's own paths.
    own_paths = sys.platform == "win32" or len(command) == 1
    name = str if own_paths else terminal.windows_path
    words = {"compile": name(source), "log": name(log), "include": name(terminal.data / "MQL5")}
    if sys.platform == "win32":
        # MetaEditor reads its command line itself and wants the quotes behind the colon.
        return f'"{command[0]}" ' + " ".join(f'/{word}:"{value}"' for word, value in words.items())
    return [*command, *(f"/{word}:{value}" for word, value in words.items())]


def findings_in(log: str) -> list[Finding]:
    """Errors and warnings in the order of the log."""
    found = []
    for line in log.splitlines():
        match = _FINDING.match(line.strip())
        if match:
            file = re.split(r"[\\/]", match["file"])[-1]
            found.append(
                Finding(match["kind"], file, int(match["line"]), int(match["column"]), match["text"].strip())
            )
    return found


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _nothing(source: Path, trouble: str, findings: tuple[Finding, ...] = (), log: str = "") -> Compilation:
    return Compilation(source, None, 0, 0, findings, log, trouble)
