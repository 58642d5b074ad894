"""What was asked of an installation, what came of it, and how both are said. Nothing is done here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.adapters.metaeditor import Compilation
from app.adapters.terminal_folders import TerminalFolder
from app.cli.console import mark, say, say_json
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    with_library: bool
    dry_run: bool
    yes: bool
    quiet: bool
    """JSON is wanted: no lines, no questions."""
    follow: bool
    """With JSON: each step as a line of its own."""
    compile: bool
    source: Path | None
    wheel: Path | None
    editor: Path | None


@dataclass(slots=True)
class Outcome:
    """What happened at one terminal, as `--json` gives it."""

    terminal: TerminalFolder
    files: dict[str, str] = field(default_factory=dict)
    backups: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    compiled: list[Compilation] = field(default_factory=list)
    verified: int = 0
    notes: list[str] = field(default_factory=list)
    trouble: str = ""

    @property
    def good(self) -> bool:
        return not self.trouble

    def as_json(self) -> dict[str, Any]:
        return {
            "data": str(self.terminal.data),
            "origin": self.terminal.origin,
            "build": self.terminal.build,
            "portable": self.terminal.portable,
            "files": self.files,
            "backups": self.backups,
            "removed": self.removed,
            "left": self.left,
            "compiled": [
                {
                    "source": item.source.name,
                    "ok": item.good,
                    "errors": item.errors,
                    "warnings": item.warnings,
                    "findings": [str(finding) for finding in item.findings],
                    "trouble": item.trouble,
                }
                for item in self.compiled
            ],
            "verified": self.verified,
            "notes": self.notes,
            "trouble": self.trouble,
            "ok": self.good,
        }


def tell(symbol: str, text: str) -> None:
    """A step in a line; `symbol` as console.mark takes it, or empty."""
    say(f"  {mark(symbol) if symbol else '-'} {text}")


def tell_program(symbol: str, text: str) -> None:
    """The same as a JSON line: `good` | `warning` | `bad` | `info`."""
    kind = {"✓": "good", "!": "warning", "✗": "bad"}.get(symbol, "info")
    say_json({"event": "step", "kind": kind, "text": text})


def described(terminal: TerminalFolder) -> str:
    build = f"build {terminal.build}" if terminal.build else "build unknown"
    kind = "portable" if terminal.portable else f"installed in {terminal.origin or 'an unknown place'}"
    return f"[{terminal.data.name}] {kind}, {build}\n  data folder {terminal.data}"


def what_remains(settings: Settings, options: Options, terminals: int) -> list[str]:
    """What only a person can do, in the terminal."""
    listens = settings.terminal.transport == "listen"
    with_library = options.with_library and not listens
    name = "Medulla" if with_library else "MedullaNoDll"
    todo = [
        "Navigator > Expert Advisors: Refresh (or restart the terminal).",
        f"Attach {name} to ONE chart. Common tab: Allow Algo Trading. Inputs tab: Load > Medulla.set.",
    ]
    if with_library:
        todo.append(
            "The same window, Dependencies/Common tab: Allow DLL imports, for Medulla alone. Leave it off in Tools > Options, or"
            " every EA may load any library."
        )
    else:
        todo.append(
            "Tools > Options > Expert Advisors > Allow WebRequest for listed URL: add 127.0.0.1 (this EA connects to Medulla)."
        )
        if not listens:
            todo.append(
                f"{settings.config_path}: terminal.transport: listen, and restart Medulla; without it Medulla waits for an EA"
                " that listens itself."
            )
    todo += [
        "Switch on Algo Trading in the toolbar.",
        "`medulla doctor` shows whether the terminal answers; `medulla ea accept` tries everything on a demo account.",
    ]
    if terminals > 1:
        todo.append(
            f"Several terminals: the ports {settings.terminal.command_port} and {settings.terminal.stream_port} serve one EA at a"
            " time; another one needs other ports and an executor of its own."
        )
    return todo
