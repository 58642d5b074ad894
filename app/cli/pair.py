"""`medulla pair CODE`: makes this executor known to a brain. The key goes to the keyring, the rest to config.yaml; what the code
holds is decided in protocol/pairing.py.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer

from app.adapters.keyring_secrets import ENVIRONMENT_VARIABLE, KeyringSecrets, KeyringUnusable, api_key_name
from app.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    end,
    mark,
    say,
    say_json,
    settings_or_end,
)
from app.domain.errors import ConfigurationError, InvalidValue
from app.protocol import pairing
from app.protocol.pairing import Pairing
from app.settings import Settings
from app.settings.edit import set_in_section

_LONGEST_CODE = 8192


def register(app: typer.Typer) -> None:
    app.command()(pair)


def pair(
    code: Annotated[str, typer.Argument(help="What the brain printed; - reads it from standard input.")],
    *,
    show_key: Annotated[
        bool,
        typer.Option(
            "--show-key", help="Print the API key instead of storing it, for a machine without keyring."
        ),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Say what the code holds; change nothing.")] = False,
    json_: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Pair this executor with a brain: address, name, signing key, API key."""
    settings = settings_or_end(config, quiet=json_)
    try:
        found = pairing.decode(sys.stdin.read(_LONGEST_CODE) if code == "-" else code)
    except InvalidValue as fault:
        end(ExitCode.USAGE, str(fault))
    before = settings.brain.signing_keys.get(found.key_id)
    report = _Report(json_, found, _notes(settings, found, before))
    if check:
        report.end(ExitCode.DONE)
    keys = {**settings.brain.signing_keys, found.key_id: found.public_key}
    try:
        backup = set_in_section(
            settings.config_path,
            "brain",
            {"url": found.url, "executor_id": found.executor_id, "signing_keys": keys},
        )
    except ConfigurationError as fault:
        end(ExitCode.USAGE, str(fault))
    report.line(
        "✓", f"{settings.config_path}: brain {found.url}, executor {found.executor_id}, key {found.key_id}"
    )
    if backup is not None:
        report.line("", f"the file as it was: {backup}")
    report.show_notes()
    if not _keep_key(found, show_key, report):
        report.end(ExitCode.FAILED)
    report.line("", "Restart the engine; `medulla doctor` checks the rest.")
    report.end(ExitCode.DONE)


def _notes(settings: Settings, found: Pairing, before: str | None) -> list[str]:
    """What a person should know before the code is used."""
    notes = []
    if before is not None and before != found.public_key:
        notes.append(
            f"{found.key_id} was another public key before; commands signed with the old one are refused now"
        )
    for key in ("brain.url", "brain.executor_id", "brain.signing_keys"):
        origin = settings.origins.get(key, "")
        if origin and not origin.startswith(str(settings.config_path)):
            notes.append(f"{key} is also set in {origin}, which counts more")
    return notes


@dataclass(slots=True)
class _Report:
    """The same for a person, line by line, and for a program, as one JSON object at the end. Never holds the API key."""

    as_json: bool
    found: Pairing
    notes: list[str]
    stored: bool = False
    trouble: str = ""

    def line(self, sign: str, text: str) -> None:
        if not self.as_json:
            say(f"{mark(sign)} {text}" if sign else f"  {text}")

    def show_notes(self) -> None:
        for note in self.notes:
            self.line("!", note)

    def end(self, code: ExitCode) -> NoReturn:
        found = self.found
        if self.as_json:
            say_json(
                {
                    "ok": code is ExitCode.DONE,
                    "url": found.url,
                    "executor_id": found.executor_id,
                    "key_id": found.key_id,
                    "fingerprint": pairing.fingerprint(found.public_key),
                    "key_stored": self.stored,
                    "notes": self.notes,
                    "trouble": self.trouble,
                }
            )
        elif not self.stored and code is ExitCode.DONE and not self.trouble:
            self.line("", f"brain {found.url}, executor {found.executor_id}, key {found.key_id}")
            self.line("", f"fingerprint of the key: {pairing.fingerprint(found.public_key)}")
            self.show_notes()
        elif self.trouble:
            complain(f"medulla: {self.trouble}")
        raise typer.Exit(code)


def _keep_key(found: Pairing, show_key: bool, report: _Report) -> bool:
    """False: the key is nowhere; the report says what to do."""
    if show_key:
        report.stored = True
        report.line("!", f"Keep it secret: {ENVIRONMENT_VARIABLE}={found.api_key}")
        return True
    try:
        KeyringSecrets().store(api_key_name(found.executor_id), found.api_key)
    except KeyringUnusable as fault:
        report.trouble = f"{fault} The API key is not stored; `medulla pair CODE --show-key` prints it for {ENVIRONMENT_VARIABLE}"
        return False
    report.stored = True
    report.line("✓", "the API key is in the keyring")
    return True
