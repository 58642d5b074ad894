"""`medulla alerts`: what the engine found worth a person's eye, who has seen it, and where it is sent to. Addresses are secrets:
they are typed or piped in, kept in the keyring, and never printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import ConfigOption, ExitCode, JsonOption, end, mark, say, settings_or_end
from app.cli.control import ask_engine

if TYPE_CHECKING:
    from app.adapters.alert_addresses import KeptAddresses
    from app.api.schemas import AlertModel, TargetModel
    from app.settings import Settings

_LONGEST = 1200
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the group of this file."""
    group = typer.Typer(help="Alerts: what happened, who has seen it, where it is sent to.")
    group.callback(invoke_without_command=True)(alerts)
    group.command("ack")(acknowledge)
    group.command("test")(send_test)
    group.command()(targets)
    group.command()(add)
    group.command()(remove)
    app.add_typer(group, name="alerts")


def alerts(context: typer.Context, *, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """List the alerts of the running engine, newest first."""
    if context.invoked_subcommand is not None:
        return
    settings = settings_or_end(config)
    found = ask_engine(settings, lambda client: client.alerts())
    if json_:
        say(found.model_dump_json())
        return
    if not found.alerts:
        say("No alert.")
    for alert in found.alerts[:_SHOWN]:
        say(_alert_line(alert))
    waiting = sum(_waits(alert) for alert in found.alerts)
    if waiting:
        say(f"{waiting} critical not acknowledged: medulla alerts ack ID, or ack all")
    _say_targets(found.targets)


def _waits(alert: AlertModel) -> bool:
    return alert.severity == "critical" and alert.acknowledged_at is None


def _alert_line(alert: AlertModel) -> str:
    over = "" if alert.over_at is None else f" (over since {alert.over_at:%H:%M:%S})"
    seen = "" if alert.acknowledged_by is None else f" (seen by {alert.acknowledged_by})"
    sign = mark("!") if _waits(alert) else " "
    return f"{sign} {alert.alert_id}  {alert.at:%Y-%m-%d %H:%M:%S}  {alert.severity} {alert.code}: {alert.message}{over}{seen}"


def _say_targets(found: Iterable[TargetModel]) -> None:
    for target in found:
        told = f"{target.sent} sent" + (f", {target.dropped} dropped" if target.dropped else "")
        if target.fault is None:
            say(f"{mark('✓')} target {target.name}: {told}")
        else:
            say(f"{mark('✗')} target {target.name}: {told}; {target.fault}")


def acknowledge(
    alert_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `medulla alerts` shows it; all: every open one.")
    ],
    *,
    note: Annotated[str, typer.Option(help="What was done about it.")] = "",
    config: ConfigOption = None,
) -> None:
    """Say that you have seen it: it does not come again."""
    settings = settings_or_end(config)
    done = ask_engine(
        settings, lambda client: client.acknowledge_alert(alert_id, note=note, by="command line")
    )
    say(f"Acknowledged: {done}." if done else "It was acknowledged already.")


def send_test(*, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Send a message to every target now, and show how each took it."""
    settings = settings_or_end(config)
    found = ask_engine(settings, lambda client: client.test_alerts(by="command line"))
    if json_:
        say(found.model_dump_json())
    else:
        _say_targets(found.targets)
    if any(target.fault is not None for target in found.targets):
        raise typer.Exit(ExitCode.FAILED)


# ------------------------------------------------------------------ where alerts go


def targets(*, config: ConfigOption = None) -> None:
    """Show where alerts are sent to, by kind; addresses are never shown."""
    from app.adapters.alert_addresses import KeptAddresses
    from app.adapters.keyring_secrets import KeyringUnusable

    settings = settings_or_end(config)
    given = [url.get_secret_value() for url in settings.alerts.urls]
    try:
        kept = KeptAddresses(settings).read()
    except KeyringUnusable as fault:
        end(ExitCode.FAILED, str(fault))
    for address in given:
        say(f"- {_kind(address)}, from the environment")
    for number, address in enumerate(kept, 1):
        say(f"{number} {_kind(address)}, in the keyring")
    if not given and not kept:
        say("None. `medulla alerts add` adds one; docs/alerts.md says what it looks like.")


def add(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[-]", help="- reads the address from standard input; without it you are asked for it."
        ),
    ] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Keep one more address in the keyring: tgram://…, mailtos://…, json://… (Apprise's form)."""
    settings = settings_or_end(config)
    if address not in (None, "-"):
        end(
            ExitCode.USAGE,
            "an address is a secret and would stay in the console's history: give it when asked, or through standard input "
            "with `medulla alerts add -`",
        )
    text = (
        sys.stdin.readline(_LONGEST + 1) if address == "-" else typer.prompt("Address", hide_input=True)
    ).strip()
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme or not rest or len(text) > _LONGEST or len(text.split()) != 1:
        end(ExitCode.USAGE, f"that is no address of at most {_LONGEST} characters like tgram://… or json://…")
    if not _known(text):
        end(
            ExitCode.USAGE,
            f"{scheme}://: this kind of address is not known, or it is not complete (docs/alerts.md)",
        )
    number = _kept(settings, lambda kept: kept.add(text))
    say(f"{mark('✓')} kept as number {number}. Restart the engine, then `medulla alerts test`.")


def remove(
    number: Annotated[int, typer.Argument(help="As `medulla alerts targets` shows it.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Forget an address of the keyring."""
    settings = settings_or_end(config)
    if not _kept(settings, lambda kept: kept.remove(number)):
        end(ExitCode.FAILED, f"there is no address number {number}; `medulla alerts targets` lists them")
    say("Forgotten. Restart the engine.")


def _kept(settings: Settings, act: Callable[[KeptAddresses], int]) -> int:
    """Do something with the kept addresses; ends the program with a sentence when keyring or folder cannot be used."""
    from app.adapters.alert_addresses import KeptAddresses
    from app.adapters.keyring_secrets import KeyringUnusable

    try:
        return act(KeptAddresses(settings))
    except KeyringUnusable as fault:
        end(ExitCode.FAILED, str(fault))
    except OSError as fault:
        end(ExitCode.FAILED, f"{settings.state_folder}: cannot be written ({fault.strerror or fault})")


def _kind(address: str) -> str:
    return address.partition("://")[0]


def _known(address: str) -> bool:
    from app.adapters.alert_sender import knows

    return knows(address)
