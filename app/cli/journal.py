"""`medulla journal`: look into the journal, check it, take it out, copy it; also while the engine runs. Never writes to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from app.adapters import journal_queries as queries
from app.adapters.journal_export import ExportFailed, ExportFormat, export, write_text
from app.adapters.journal_reader import JournalReader
from app.cli import console
from app.cli.console import ConfigOption, ExitCode, JsonOption
from app.domain.errors import JournalFailed
from app.domain.results import Outcome

journal = typer.Typer(
    name="journal", help="The journal: what was asked, sent and answered.", no_args_is_help=True
)

JournalOption = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="PATH", help="The journal's file; without it journal.path of the settings."
    ),
]
DayOption = Annotated[
    str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="Only commands received on this day (UTC).")
]
SymbolOption = Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")]
StrategyOption = Annotated[str | None, typer.Option("--strategy", help="Only this strategy.")]
OutcomeOption = Annotated[
    Outcome | None, typer.Option("--outcome", case_sensitive=False, help="Only commands that came to this.")
]


def register(app: typer.Typer) -> None:
    """Join to the command line."""
    app.add_typer(journal)


def _path(given: Path | None, config: Path | None) -> Path:
    if given is not None:
        return given
    return console.settings_or_end(config, quiet=True).journal.path


@contextmanager
def _open(given: Path | None, config: Path | None) -> Iterator[JournalReader]:
    """The journal for reading; whatever is wrong with it ends the command with one line and code 1."""
    try:
        with JournalReader(_path(given, config)) as reader:
            yield reader
    except (JournalFailed, ExportFailed) as fault:
        console.end(ExitCode.FAILED, str(fault))


def _filter(
    day: str | None, symbol: str | None, strategy: str | None, outcome: Outcome | None
) -> queries.CommandFilter:
    try:
        wanted = None if day is None else date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter("must be a day such as 2026-11-21", param_hint="--day") from None
    return queries.CommandFilter(wanted, symbol, strategy, outcome)


_LIST = (
    ("received", "received_at"),
    ("command", "id"),
    ("action", "action"),
    ("symbol", "symbol"),
    ("side", "side"),
    ("lots", "volume"),
    ("state", "state"),
    ("code", "code"),
    ("ticket", "result_ticket"),
    ("price", "price"),
)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    cells = [[title for title, _ in _LIST]]
    cells += [["" if row[name] is None else str(row[name]) for _, name in _LIST] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(_LIST))]
    for line in cells:
        yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()


@journal.command("list")
def list_commands(
    path: JournalOption = None,
    config: ConfigOption = None,
    day: DayOption = None,
    symbol: SymbolOption = None,
    strategy: StrategyOption = None,
    outcome: OutcomeOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Most commands shown.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Commands, the newest first."""
    wanted = _filter(day, symbol, strategy, outcome)
    with _open(path, config) as reader:
        rows = reader.ask(
            lambda connection: queries.command_rows(connection, wanted, limit=limit, newest_first=True)
        )
    if as_json:
        for row in rows:
            console.say_json(row)
        return
    for line in _table(rows):
        console.say(line)


@journal.command("show")
def show(
    command_id: Annotated[str, typer.Argument(metavar="ID", help="The command's id.")],
    path: JournalOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything that happened to one command, with the hashes of its rows."""
    with _open(path, config) as reader:
        rows = reader.ask(lambda connection: queries.rows(connection, limit=10_000, command_id=command_id))
    if not rows:
        console.end(ExitCode.FAILED, f"the journal knows no command {command_id}")
    for row in rows:
        if as_json:
            console.say_json({**asdict(row), "at": row.at.isoformat()})
            continue
        console.say(f"{row.at:%Y-%m-%d %H:%M:%S.%f}  #{row.seq}  {row.kind}")
        for name, value in _flat(row.payload):
            console.say(f"    {name}: {value}")
        console.say(f"    hash: {row.hash}")


def _flat(payload: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The payload's leaves that say something, by dotted name."""
    for name, value in payload.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None and value != []:
            yield f"{prefix}{name}", str(value)


@journal.command("verify")
def verify(path: JournalOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the database and the hash chain; code 1 and the first bad row if anything was changed, removed or put in."""
    with _open(path, config) as reader:
        reader.check_database()
        report = reader.check_chain()
        name = str(reader.path)
    if as_json:
        console.say_json({"journal": name, "sound": report.sound, **asdict(report)})
    elif report.sound:
        console.say(f"{console.mark('✓')} {name}: {report}")
    if not report.sound:
        console.end(
            ExitCode.FAILED,
            f"{name}: {report}. Keep the file as it is, compare with a backup, and check the account at the broker.",
        )


@journal.command("export")
def export_commands(
    form: Annotated[ExportFormat, typer.Option("--format", case_sensitive=False, help="How it is written.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to; without it to the screen.")
    ] = None,
    path: JournalOption = None,
    config: ConfigOption = None,
    day: DayOption = None,
    symbol: SymbolOption = None,
    strategy: StrategyOption = None,
    outcome: OutcomeOption = None,
) -> None:
    """One row a command, for spreadsheets and programs."""
    wanted = _filter(day, symbol, strategy, outcome)
    with _open(path, config) as reader:
        if out is None:
            write_text(reader.commands(wanted), form, sys.stdout)
            return
        count = export(reader.commands(wanted), form, out)
    console.say(f"{count} commands written to {out}")


@journal.command("backup")
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; replaced if it is there.")],
    path: JournalOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy the journal, check the copy (integrity and hash chain), and only then give it its name."""
    with _open(path, config) as reader:
        if target.resolve() == reader.path.resolve():
            raise typer.BadParameter("must not be the journal itself", param_hint="FILE")
        report = reader.backup(target)
    console.say(f"{console.mark('✓')} {target}: {report}")
