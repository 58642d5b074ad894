"""Joins the commands into `medulla`. What a command does is in its own file; heavy imports happen when it runs."""

from __future__ import annotations

import sys

import typer

from app import __version__
from app.cli import brain as brain_command
from app.cli import console, control, demo, doctor, pair, run
from app.cli import journal as journal_command
from app.cli import sim as sim_command


def _version(wanted: bool) -> None:
    if wanted:
        console.say(f"medulla {__version__}")
        raise typer.Exit


def build() -> typer.Typer:
    """The whole command line."""
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

    run.register(app)
    demo.register(app)
    app.command("sim")(sim_command.sim)
    app.command("brain")(brain_command.brain)
    control.register(app)
    doctor.register(app)
    pair.register(app)
    journal_command.register(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    sys.exit(console.run(build()))
