"""The checks of `medulla doctor` in the order in which a person would mend things, and those that ask somebody: engine, port,
terminal, brain. Each names its remedy; what lies on the disk is looked at in doctor_files.py, the machine in doctor_machine.py.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from typing import TYPE_CHECKING

from app.cli import doctor_files as files
from app.cli.doctor_machine import machine
from app.cli.doctor_report import Check
from app.cli.doctor_report import fault as _fault
from app.cli.doctor_report import ok as _ok
from app.cli.doctor_report import warning as _warning
from app.domain.errors import ConfigurationError, SecretMissing
from app.settings import Settings

if TYPE_CHECKING:
    from app.api.schemas import StatusModel

_TERMINAL_PATIENCE = 1.5
"""Seconds a terminal has to answer."""


def all_checks(settings: Settings) -> list[Check]:
    """In the order in which a person would mend things."""
    running, status = running_engine(settings)
    return [
        files.python(),
        files.packages(),
        files.desktop_packages(),
        *files.configuration(settings),
        files.folder(settings),
        files.journal(settings, status),
        *files.private_files(settings),
        *running,
        *ports(settings, status is not None),
        *terminal(settings, status),
        *brain(settings, status),
        *limits(settings),
        *machine(settings, status),
    ]


# ------------------------------------------------------------------ the engine


def running_engine(settings: Settings) -> tuple[list[Check], StatusModel | None]:
    from app.api.client import ApiClient, EngineNotRunning, RequestRefused, find_engine

    checks = []
    if settings.stop_file.exists():
        checks.append(
            _warning(
                "Stop file",
                f"{settings.stop_file}: trading is halted while it exists",
                "`medulla reset` removes it.",
            )
        )

    async def ask() -> StatusModel:
        async with ApiClient(
            find_engine(settings.runtime_file, settings.api.token_file), timeout=3.0
        ) as client:
            return await client.status()

    try:
        status = asyncio.run(ask())
    except EngineNotRunning:
        return [
            *checks,
            _warning("Engine", "not running", "Start it with `medulla` or `medulla run --headless`."),
        ], None
    except (RequestRefused, SecretMissing) as fault:
        return [*checks, _fault("Engine", f"runs, but: {fault}", "Restart it; check api.token_file.")], None
    state = status.status
    if state.state == "HALTED":
        checks.append(
            _warning(
                "Engine", f"HALTED since {state.since:%Y-%m-%d %H:%M} UTC: {state.reason}", "`medulla reset`"
            )
        )
    elif state.state == "REDUCING":
        checks.append(_warning("Engine", f"paused: {state.reason}", "`medulla resume`"))
    else:
        checks.append(_ok("Engine", f"runs, {'ready' if status.ready else 'not ready yet'}"))
    if status.unknown_commands:
        checks.append(
            _warning(
                "Outcomes",
                f"unknown: {', '.join(status.unknown_commands)}",
                "Look at the account, then `medulla ack-unknown ID --note …`.",
            )
        )
    return checks, status


def ports(settings: Settings, running: bool) -> list[Check]:
    if running:
        return []  # the port that matters has just answered
    port = settings.api.port
    if port == 0:
        return [_ok("API port", "any free one")]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as fault:
            return [
                _fault(
                    "API port",
                    f"{port}: {fault.strerror or fault}; another program has it",
                    "End that program, or set api.port to another port or 0.",
                )
            ]
    return [_ok("API port", f"{port} is free")]


# ------------------------------------------------------------------ the terminal


def terminal(settings: Settings, status: StatusModel | None) -> list[Check]:
    remedy = "Start MetaTrader 5 with the Medulla EA on a chart (`medulla ea install`), or `medulla sim` for a try."
    if status is None:
        return [_terminal_alone(settings, remedy)]
    link = next((link for link in status.links if link.name == "terminal"), None)
    if link is None or link.state != "up":
        detail = f"{link.state}: {link.detail}" if link is not None else "not shown by the engine"
        return [_fault("Terminal", detail, remedy)]
    checks = [_ok("Terminal", link.detail or "connected")]
    if status.permissions is not None:
        missing = status.permissions.missing
        if missing:
            checks.append(
                _fault(
                    "Permissions",
                    f"missing: {', '.join(missing)}",
                    "Set them in MetaTrader 5; no trade is possible before.",
                )
            )
        else:
            checks.append(_ok("Permissions", "trading is allowed"))
    return checks


def _terminal_alone(settings: Settings, remedy: str) -> Check:
    """Ask for a session of the role `stop`: it disturbs nobody's commands."""
    from app import __version__
    from app.adapters.key_file import load_key
    from app.adapters.mt5_stop_channel import ZmqStopChannel
    from app.adapters.system_clock import SystemClock
    from app.protocol.ea_client_session import Identity

    port = settings.terminal.command_port
    try:
        key = load_key(settings.terminal.key_file)
    except ConfigurationError:
        return _warning("Terminal", "not asked: there is no usable key yet", remedy)
    channel = ZmqStopChannel(
        key=key,
        command_port=port,
        stop_port=settings.terminal.stop_port,
        identity=Identity(secrets.token_hex(16), settings.brain.executor_id, __version__),
        clock=SystemClock(),
    )
    try:
        answered = channel.keep_warm(_TERMINAL_PATIENCE)
    finally:
        channel.close()
    if answered:
        return _ok("Terminal", f"answers on port {port}")
    return _fault("Terminal", f"no answer on port {port}", remedy)


# ------------------------------------------------------------------ the brain


def brain(settings: Settings, status: StatusModel | None) -> list[Check]:
    url = settings.brain.url
    if url is None:
        return [
            _warning("Brain", "brain.url is not set: no commands will come", "`medulla pair CODE`"),
            _keyring(False),
        ]
    checks = [_ok("Brain", f"{url} as {settings.brain.executor_id}")]
    link = None if status is None else next((link for link in status.links if link.name == "brain"), None)
    if link is not None and link.state != "up":
        checks.append(_warning("Brain link", f"{link.state}: {link.detail}", "See the log for the reason."))
    keys = settings.brain.signing_keys
    if keys:
        checks.append(_ok("Signatures", f"required; keys: {', '.join(sorted(keys))}"))
    elif not settings.brain.allow_unsigned:
        checks.append(
            _fault(
                "Signatures",
                "brain.signing_keys is empty: every command will be refused",
                "`medulla pair CODE`",
            )
        )
    from_keyring = settings.brain.api_key is None
    checks.append(_keyring(from_keyring))
    checks.append(_api_key(settings))
    return checks


def _api_key(settings: Settings) -> Check:
    from app.adapters.keyring_secrets import brain_api_key

    try:
        brain_api_key(settings)
    except ConfigurationError as fault:
        return _fault("API key", str(fault), "`medulla pair CODE`")
    origin = settings.origins.get("brain.api_key", "the keyring")
    return _ok("API key", f"from {origin}")


def _keyring(needed: bool) -> Check:
    from app.adapters.keyring_secrets import KeyringSecrets, KeyringUnusable

    probe = "doctor.probe"
    try:
        keyring = KeyringSecrets()
        keyring.store(probe, secrets.token_hex(8))
        keyring.forget(probe)
    except KeyringUnusable as fault:
        judge = _fault if needed else _warning
        return judge("Keyring", str(fault), "Without a keyring, set MEDULLA_BRAIN__API_KEY for the engine.")
    return _ok("Keyring", f"{keyring.backend_name} keeps what it is given")


# ------------------------------------------------------------------ limits


def limits(settings: Settings) -> list[Check]:
    safety = settings.safety
    unset = []
    if safety.max_daily_loss is None and safety.max_daily_loss_percent is None:
        unset.append(("Daily loss", "safety.max_daily_loss", "a bad day has no end"))
    if safety.max_volume_per_order is None:
        unset.append(
            ("Order size", "safety.max_volume_per_order", "one wrong number can be the whole account")
        )
    if safety.max_volume_total is None and safety.max_positions is None:
        unset.append(("Exposure", "safety.max_volume_total or safety.max_positions", "positions can pile up"))
    if safety.max_drawdown_percent is None:
        unset.append(("Drawdown", "safety.max_drawdown_percent", "equity can fall from its peak without end"))
    if not safety.repeat_throttle:
        unset.append(("Repeats", "safety.repeat_throttle", "a brain in a loop is not noticed"))
    checks = [_warning(name, f"no limit: {why}", f"Set {key}.") for name, key, why in unset]
    return checks or [_ok("Limits", "losses, sizes and repeats are limited")]
