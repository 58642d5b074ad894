"""`medulla limits`: what each limit is, how near it is, change one, re-enable one that latched. What a change means, and whether
it is allowed, is decided in the engine; here it is only asked, shown and confirmed.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import ConfigOption, ExitCode, JsonOption, end, mark, say, say_json, settings_or_end
from app.cli.control import ask_engine

if TYPE_CHECKING:
    from app.api.client import ApiClient
    from app.api.schemas import LimitModel
    from app.api.settings_schemas import AppliedModel, JudgedModel, SettingModel

_SECTION = "safety."
_OFF = frozenset({"off", "none", "default", ""})


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    limits = typer.Typer(help="Limits: how they stand, change one, re-enable one that latched.")
    limits.callback(invoke_without_command=True)(show)
    limits.command("set")(change)
    limits.command("reenable")(reenable)
    app.add_typer(limits, name="limits")


# ------------------------------------------------------------------ looking


def show(context: typer.Context, *, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every limit with its value, how much of it is used, and its state."""
    if context.invoked_subcommand is not None:
        return
    settings = settings_or_end(config)

    async def look(client: ApiClient) -> tuple[list[SettingModel], tuple[LimitModel, ...]]:
        known = [row for row in (await client.settings()).settings if row.key.startswith(_SECTION)]
        return known, (await client.status()).limits

    known, gauges = ask_engine(settings, look)
    rows = _rows(known, gauges)
    if json_:
        say_json({"limits": rows})
        return
    _say_table(rows)
    for gauge in gauges:
        if gauge.state != "ok":
            say(f"{mark('!')} {gauge.name}: {gauge.explanation}")
    if any(row["pending"] for row in rows):
        say("* the file says so; the running engine still works with another value until it is restarted")


def _rows(known: list[SettingModel], gauges: tuple[LimitModel, ...]) -> list[dict[str, Any]]:
    """A row for each setting with the gauge that measures it, then the gauges of single strategies."""
    by_setting = {gauge.setting: gauge for gauge in gauges}
    rows = []
    for setting in known:
        gauge = by_setting.pop(setting.key.removeprefix(_SECTION), None)
        rows.append(
            {
                "limit": setting.key.removeprefix(_SECTION),
                "value": setting.value,
                "origin": setting.origin,
                "pending": setting.pending,
                **_measured(gauge),
            }
        )
    rows += [
        {"limit": key, "value": str(gauge.limit), "origin": "", "pending": False, **_measured(gauge)}
        for key, gauge in by_setting.items()
    ]
    return rows


def _measured(gauge: LimitModel | None) -> dict[str, Any]:
    if gauge is None:
        return {"gauge": None, "now": None, "unit": "", "state": None, "explanation": None}
    return {
        "gauge": gauge.name,
        "now": str(gauge.now),
        "unit": gauge.unit,
        "state": gauge.state,
        "explanation": gauge.explanation,
    }


def _say_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("Limit", "Value", "Now", "State"):
        table.add_column(heading, justify="right" if heading == "Now" else "left", overflow="fold")
    for row in rows:
        value = _shown(row["value"]) + (" *" if row["pending"] else "")
        now = "" if row["now"] is None else f"{row['now']} {row['unit']}".strip()
        table.add_row(row["limit"], value, now, row["state"] or "")
    Console(file=sys.stdout).print(table)


def _shown(value: Any) -> str:
    if value is None or value in ([], {}):
        return "off"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------ changing


def change(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The limit, e.g. max_daily_loss.")],
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="Its new value; `off` takes it out, so that its default counts."
        ),
    ],
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; kept in the journal. Needed for what lets more through.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Change one limit in the running engine and in the configuration file."""
    settings = settings_or_end(config)
    key = key if key.startswith(_SECTION) else f"{_SECTION}{key}"
    changes = {key: _written(value)}
    judged = ask_engine(settings, lambda client: client.check_settings(changes))
    for fault in judged.errors:
        end(ExitCode.USAGE, f"{fault.key or key}: {fault.rule}")
    if not judged.changes:
        say(f"{key} has this value already; nothing was changed.")
        return
    if not yes:
        _confirm(key, judged)
    applied = ask_engine(
        settings,
        lambda client: client.apply_settings(changes, reason=reason, confirm=True, by="command line"),
    )
    if json_:
        say(applied.model_dump_json())
    else:
        _say_applied(applied)


def _written(value: str) -> Any:
    """A list or group may be given as JSON; everything else is text, so that every digit stays."""
    if value.strip().lower() in _OFF:
        return None
    if not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value, parse_float=str, parse_int=str)
    except ValueError:
        end(ExitCode.USAGE, f"{value}: is no JSON; a list is also EURUSD,GBPUSD")


def _confirm(key: str, judged: JudgedModel) -> None:
    """A person types what they mean; whoever cannot be asked must say --yes."""
    for item in judged.changes:
        say(item.words)
    loosens = any(item.loosens for item in judged.changes)
    word = key.removeprefix(_SECTION) if loosens else "yes"
    if not _somebody_there():
        end(ExitCode.REFUSED, "not changed: nobody can be asked here; give --yes if you mean it")
    if loosens:
        say("This lets more through than before: more can be lost before trading stops.")
    if typer.prompt(f"Type {word} to change it", default="", show_default=False).strip() != word:
        end(ExitCode.REFUSED, "not changed")


def _somebody_there() -> bool:
    return sys.stdin.isatty()


def _say_applied(applied: AppliedModel) -> None:
    for item in applied.changes:
        say(f"{mark('✓')} {item.words}")
    say(f"Written to {applied.file}{f' (as it was: {applied.backup})' if applied.backup else ''}.")


def reenable(
    name: Annotated[str, typer.Argument(help="The limit, as `medulla limits` names it, e.g. daily_loss.")],
    *,
    note: Annotated[str, typer.Option(help="Why trading may go on.")],
    config: ConfigOption = None,
) -> None:
    """Let a latched limit count anew."""
    settings = settings_or_end(config)
    ask_engine(settings, lambda client: client.reenable_limit(name, note=note, by="command line"))
    say(f"Re-enabled: {name}.")
