"""What every command shares: exit codes, the options --config and --set, and how a person is spoken to. No command lives here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from app.domain.errors import ConfigurationError
from app.settings import Settings, load_settings


class ExitCode(IntEnum):
    """What scripts may rely on (README, exit codes)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    """Wrong usage or configuration; one line says what and where."""
    REFUSED = 3
    """Refused by safety."""


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Configuration file; without it config.yaml in the data folder, if there is one."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_PLAIN_MARKS = {"✓": "ok  ", "!": "!   ", "✗": "FAIL"}


def say(text: str = "") -> None:
    """A line on stdout; characters that the console does not know are replaced, never fatal."""
    _write(sys.stdout, text)


def complain(text: str) -> None:
    """A line on stderr."""
    _write(sys.stderr, text)


def _write(stream: Any, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def mark(symbol: str) -> str:
    """`✓`, `!` or `✗`, in words where the console cannot show them."""
    try:
        symbol.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return _PLAIN_MARKS[symbol]
    return symbol


def say_json(value: Any) -> None:
    """One JSON object on one line."""
    say(json.dumps(value, ensure_ascii=False, default=str))


def end(code: ExitCode, line: str) -> NoReturn:
    """Leave with one line on stderr."""
    complain(f"medulla: {line}")
    raise typer.Exit(code)


def fail(line: str, code: int) -> int:
    """One line on stderr; returns the code, for those who end by returning it."""
    complain(f"medulla: {line}")
    return code


def overrides_of(pairs: Sequence[str] | None) -> dict[str, str]:
    """`--set key=value` as a mapping. Raises ConfigurationError."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise ConfigurationError("--set: needs KEY=VALUE, e.g. --set api.port=0")
        found[key.strip()] = value
    return found


def settings_or_end(
    config: Path | None, pairs: Sequence[str] | None = None, *, quiet: bool = False
) -> Settings:
    """The settings, their warnings on stderr; ends with code 2 and one line when they are wrong."""
    try:
        settings = load_settings(config, overrides_of(pairs), os.environ)
    except ConfigurationError as fault:
        end(ExitCode.USAGE, str(fault))
    if not quiet:
        for warning in settings.warnings:
            complain(f"medulla: warning: {warning}")
    return settings


def settings_from(config: Path | None, pairs: Sequence[str]) -> Settings:
    """As settings_or_end, with `--set` pairs."""
    return settings_or_end(config, pairs)


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; wrong usage is one line on stderr, as scripts expect."""
    command = typer.main.get_command(app)
    try:
        result = command.main(
            args=None if arguments is None else list(arguments), prog_name="medulla", standalone_mode=False
        )
    except typer.Abort:
        complain("medulla: left off; nothing more was done")
        return ExitCode.FAILED
    except typer.TyperException as fault:
        describe = getattr(fault, "format_message", None)
        complain(f"medulla: {' '.join(str(describe() if describe else fault).split())}; see medulla --help")
        return ExitCode.USAGE
    except ConfigurationError as fault:
        complain(f"medulla: {fault}")
        return ExitCode.USAGE
    return result if isinstance(result, int) else ExitCode.DONE
