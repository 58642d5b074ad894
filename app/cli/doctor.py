"""`medulla doctor`: everything a trader must have right, each line with its remedy. The checks are in doctor_checks.py."""

from __future__ import annotations

import os

import typer

from app.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    SetOption,
    mark,
    overrides_of,
    say,
    say_json,
)
from app.cli.doctor_checks import all_checks
from app.cli.doctor_report import Check, State
from app.domain.errors import ConfigurationError
from app.settings import load_settings

_MARKS = {State.OK: "✓", State.WARNING: "!", State.FAULT: "✗"}


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(*, config: ConfigOption = None, set_: SetOption = None, json_: JsonOption = False) -> None:
    """Check this machine, the settings, the journal, the terminal and the brain."""
    try:
        settings = load_settings(config, overrides_of(set_), os.environ)
    except ConfigurationError as fault:
        _show(
            [Check("settings", State.FAULT, str(fault), "Correct that line; nothing else was checked.")],
            json_,
        )
        raise typer.Exit(ExitCode.USAGE) from None
    checks = all_checks(settings)
    _show(checks, json_)
    faults = any(check.state is State.FAULT for check in checks)
    raise typer.Exit(ExitCode.FAILED if faults else ExitCode.DONE)


def _show(checks: list[Check], as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "ok": not any(check.state is State.FAULT for check in checks),
                "checks": [
                    {"name": c.name, "state": c.state.value, "detail": c.detail, "remedy": c.remedy}
                    for c in checks
                ],
            }
        )
        return
    for check in checks:
        say(f"{mark(_MARKS[check.state])} {check.name}: {check.detail}")
        if check.remedy:
            say(f"    {check.remedy}")
    faults = sum(check.state is State.FAULT for check in checks)
    warnings = sum(check.state is State.WARNING for check in checks)
    say(f"{faults} faults, {warnings} warnings" if faults or warnings else "All is well.")
