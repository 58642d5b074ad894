"""`medulla ea install` and `medulla ea accept`: the Expert Advisor into a terminal, and the proof that it works there. Options
are read here; installing is ea_install.py, the acceptance ea_accept.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import ConfigOption, ExitCode, JsonOption, SetOption, end, say, say_json, settings_or_end
from app.domain.errors import ConfigurationError, InvalidValue

if TYPE_CHECKING:
    from app.adapters.terminal_folders import TerminalFolder
    from app.cli.ea_outcome import Options

ea = typer.Typer(
    name="ea", help="The Expert Advisor: install it, try it on a demo account.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Join to the command line."""
    app.add_typer(ea)


@ea.command(name="list")
def list_(*, json_: JsonOption = False) -> None:
    """The terminals of this user that are found, with their data folders."""
    from app.adapters.terminal_folders import find_terminals, nothing_found
    from app.cli.ea_outcome import described

    found = find_terminals(os.environ, Path.home())
    if json_:
        rows = [
            {
                "data": str(each.data),
                "origin": each.origin,
                "build": each.build,
                "portable": each.portable,
                "editor": each.editor is not None,
            }
            for each in found
        ]
        say_json({"terminals": rows, "words": "" if found else nothing_found(os.environ, Path.home())})
        return
    for each in found:
        say(described(each))
    if not found:
        end(ExitCode.FAILED, nothing_found(os.environ, Path.home()))


@ea.command()
def install(
    *,
    terminal: Annotated[
        list[Path] | None,
        typer.Option("--terminal", help="Data folder or installation of a terminal; may be repeated."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every terminal that is found.")] = False,
    no_dll: Annotated[bool, typer.Option("--no-dll", help="Only MedullaNoDll: no library at all.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace changed files without asking; a copy of each is kept.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take away what was installed and not changed since.")
    ] = False,
    no_compile: Annotated[bool, typer.Option("--no-compile", help="Do not run MetaEditor.")] = False,
    wheel: Annotated[
        Path | None, typer.Option(help="The pinned wheel as a file, for a machine without a network.")
    ] = None,
    metaeditor: Annotated[
        Path | None, typer.Option(help="MetaEditor, if it is not with the terminal.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Folder mql5_ea, if it is not beside the program.")
    ] = None,
    json_: JsonOption = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="With --json: each step as a JSON line, before the last one.")
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Copy the Expert Advisor, its library, key and preset into a terminal, and compile it."""
    from app.cli.ea_install import Installation, can_ask, remove_from
    from app.cli.ea_outcome import Options, what_remains

    settings = settings_or_end(config, set_, quiet=json_)
    options = Options(
        with_library=not no_dll,
        dry_run=dry_run,
        yes=yes,
        quiet=json_,
        follow=follow,
        compile=not no_compile,
        source=source,
        wheel=wheel,
        editor=metaeditor,
    )
    terminals = _chosen(terminal or [], all_, options)
    installation = Installation(settings, options)
    if can_ask() and not json_:
        installation.confirm = typer.confirm
    try:
        outcomes = [
            remove_from(found, dry_run=dry_run, quiet=json_) if remove else installation.into(found)
            for found in terminals
        ]
    except ConfigurationError as fault:
        end(ExitCode.USAGE, str(fault))
    good = all(outcome.good for outcome in outcomes)
    todo = [] if remove or dry_run or not good else what_remains(settings, options, len(terminals))
    if json_:
        say_json({"ok": good, "terminals": [outcome.as_json() for outcome in outcomes], "todo": todo})
    else:
        for number, text in enumerate(todo, 1):
            say(f"{'Now in the terminal:' + chr(10) if number == 1 else ''}  {number}. {text}")
    raise typer.Exit(ExitCode.DONE if good else ExitCode.FAILED)


def _chosen(named: list[Path], every: bool, options: Options) -> list[TerminalFolder]:
    """The terminals to work on; ends with one line if there is none, or more than one and nobody said which."""
    from app.adapters.terminal_folders import NoTerminal, find_terminals, nothing_found, terminal_in
    from app.cli.ea_outcome import described

    home = Path.home()
    try:
        if named:
            chosen = {found.data: found for found in (terminal_in(path, os.environ, home) for path in named)}
            return list(chosen.values())
    except NoTerminal as fault:
        end(ExitCode.USAGE, f"--terminal: {fault}")
    found = find_terminals(os.environ, home)
    if not found:
        end(ExitCode.FAILED, nothing_found(os.environ, home))
    if len(found) > 1 and not every:
        if not options.quiet:
            for terminal in found:
                say(described(terminal))
        places = ", ".join(str(terminal.data) for terminal in found)
        end(
            ExitCode.USAGE,
            f"{len(found)} terminals found; name one with --terminal, or all with --all: {places}",
        )
    return list(found)


@ea.command()
def accept(
    *,
    symbol: Annotated[str, typer.Option(help="What is traded, as the broker spells it.")] = "EURUSD",
    magic: Annotated[
        int, typer.Option(help="Magic number of the trial's trades; use one nobody else uses.")
    ] = 86_210_077,
    report: Annotated[
        Path | None, typer.Option(help="Write the report there: JSON if it ends in .json, else Markdown.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=1, max=300, help="Seconds to wait for the terminal and for quotes.")
    ] = 20.0,
    round_trips: Annotated[
        int, typer.Option(min=10, max=10_000, help="Questions asked to measure the round trip.")
    ] = 200,
    no_stop: Annotated[
        bool,
        typer.Option(
            "--no-stop", help="Leave stop and resume out: they raise the epoch, see docs/ea-install.md."
        ),
    ] = False,
    real_account: Annotated[
        bool,
        typer.Option(
            "--trade-on-a-real-account-and-accept-the-loss",
            help="Do it although the account is not a demo account.",
        ),
    ] = False,
    json_: JsonOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Try everything the executor does, with the smallest volume, on the demo account of the terminal that runs now."""
    from app.cli.ea_accept import Wanted, run_acceptance
    from app.cli.ea_report import as_json, as_markdown
    from app.domain.values import Magic, Symbol

    settings = settings_or_end(config, set_, quiet=json_)
    try:
        wanted = Wanted(
            symbol=Symbol(symbol, "--symbol"),
            magic=Magic(magic, "--magic"),
            patience=patience,
            round_trips=round_trips,
            with_stop=not no_stop,
            any_account=real_account,
        )
    except InvalidValue as fault:
        end(ExitCode.USAGE, str(fault))
    try:
        result = run_acceptance(settings, wanted, None if json_ else say)
    except ConfigurationError as fault:
        end(ExitCode.USAGE, str(fault))
    if report is not None:
        try:
            text = as_json(result) + "\n" if report.suffix == ".json" else as_markdown(result)
            report.write_text(text, "utf-8")
        except OSError as fault:
            end(
                ExitCode.FAILED,
                f"--report: {report}: cannot be written ({fault.strerror}); the trial itself is done",
            )
    say(as_json(result) if json_ else result.verdict)
    raise typer.Exit(
        ExitCode.REFUSED if result.refused else ExitCode.DONE if result.passed else ExitCode.FAILED
    )
