"""`medulla pair CODE`: makes this executor known to a brain. The key goes to the keyring, the rest to config.yaml; what the code
holds is decided in protocol/pairing.py.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.adapters.keyring_secrets import ENVIRONMENT_VARIABLE, KeyringSecrets, KeyringUnusable, api_key_name
from app.cli.console import ConfigOption, ExitCode, complain, end, mark, say, settings_or_end
from app.domain.errors import ConfigurationError, InvalidValue
from app.protocol import pairing
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
    config: ConfigOption = None,
) -> None:
    """Pair this executor with a brain: address, name, signing key, API key."""
    settings = settings_or_end(config)
    try:
        found = pairing.decode(sys.stdin.read(_LONGEST_CODE) if code == "-" else code)
    except InvalidValue as fault:
        end(ExitCode.USAGE, str(fault))
    keys = {**settings.brain.signing_keys, found.key_id: found.public_key}
    before = settings.brain.signing_keys.get(found.key_id)
    try:
        backup = set_in_section(
            settings.config_path,
            "brain",
            {"url": found.url, "executor_id": found.executor_id, "signing_keys": keys},
        )
    except ConfigurationError as fault:
        end(ExitCode.USAGE, str(fault))
    say(
        f"{mark('✓')} {settings.config_path}: brain {found.url}, executor {found.executor_id}, key {found.key_id}"
    )
    if backup is not None:
        say(f"  the file as it was: {backup}")
    if before is not None and before != found.public_key:
        say(
            f"{mark('!')} {found.key_id} was another public key before; commands signed with the old one are refused now"
        )
    for key in ("brain.url", "brain.executor_id", "brain.signing_keys"):
        origin = settings.origins.get(key, "")
        if origin and not origin.startswith(str(settings.config_path)):
            say(f"{mark('!')} {key} is also set in {origin}, which counts more")
    _keep_key(found, show_key)
    say("Restart the engine; `medulla doctor` checks the rest.")


def _keep_key(found: pairing.Pairing, show_key: bool) -> None:
    if show_key:
        say(f"{mark('!')} Keep it secret: {ENVIRONMENT_VARIABLE}={found.api_key}")
        return
    try:
        KeyringSecrets().store(api_key_name(found.executor_id), found.api_key)
    except KeyringUnusable as fault:
        complain(f"medulla: {fault}")
        end(
            ExitCode.FAILED,
            f"the API key is not stored; `medulla pair CODE --show-key` prints it for {ENVIRONMENT_VARIABLE}",
        )
    say(f"{mark('✓')} the API key is in the keyring")
