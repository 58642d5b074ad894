"""Joins the commands into `medulla`. What a command does is in its own file, which is imported when it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable

import typer

from app import __version__
from app.cli import console

_MODULES = {
    "run": "run",
    "demo": "demo",
    "sim": "sim",
    "brain": "brain",
    "status": "control",
    "stop": "control",
    "pause": "control",
    "reset": "control",
    "resume": "control",
    "ack-unknown": "control",
    "positions": "control",
    "limits": "limits",
    "alerts": "alerts",
    "journal": "journal",
    "doctor": "doctor",
    "pair": "pair",
    "tryout": "tryout",
    "desktop": "desktop",
    "ea": "ea",
}
"""Which file of this folder holds a command. A stop must not wait for the imports of a demo."""


def _version(wanted: bool) -> None:
    if wanted:
        console.say(f"medulla {__version__}")
        raise typer.Exit


def build(names: Iterable[str] = _MODULES) -> typer.Typer:
    """The command line with the files that hold `names`; all of them for `--help`."""
    app = typer.Typer(
        name="medulla",
        help="Executor of a Brain & Executor trading system: verified commands in, MetaTrader 5 trades out, once.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )

    @app.callback()
    def root(
        version: bool = typer.Option(
            False, "--version", callback=_version, is_eager=True, help="Say the version."
        ),
    ) -> None:
        """What every command shares."""

    for module in dict.fromkeys(_MODULES[name] for name in names):
        importlib.import_module(f"app.cli.{module}").register(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    if len(sys.argv) == 1:
        # Started by a double click or by its bare name: a person wants to see something.
        sys.exit(console.run(build(["desktop"]), ["desktop"]))
    asked = sys.argv[1]
    sys.exit(console.run(build([asked] if asked in _MODULES else _MODULES)))
