"""The checks of `medulla doctor`. Each looks at one thing and names its remedy; none changes anything that trading uses, and none
touches the journal of an engine that runs.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import secrets
import socket
import sqlite3
import sys
import tempfile
from typing import TYPE_CHECKING

from app.cli.doctor_machine import machine
from app.cli.doctor_report import Check
from app.cli.doctor_report import fault as _fault
from app.cli.doctor_report import ok as _ok
from app.cli.doctor_report import warning as _warning
from app.domain.errors import ConfigurationError, JournalFailed, SecretMissing
from app.settings import Settings

if TYPE_CHECKING:
    from app.api.schemas import StatusModel

_PACKAGES = {
    "websockets": "websockets",
    "zmq": "pyzmq",
    "sqlalchemy": "SQLAlchemy",
    "alembic": "alembic",
    "loguru": "loguru",
    "cryptography": "cryptography",
    "keyring": "keyring",
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "prometheus_client": "prometheus-client",
    "httpx": "httpx",
    "rich": "rich",
    "apprise": "apprise",
}
_DESKTOP = {"PySide6": "PySide6-Essentials", "qasync": "qasync", "pyqtgraph": "pyqtgraph"}
_TERMINAL_PATIENCE = 1.5
"""Seconds a terminal has to answer."""


def all_checks(settings: Settings) -> list[Check]:
    """In the order in which a person would mend things."""
    running, status = running_engine(settings)
    return [
        python(),
        packages(),
        desktop_packages(),
        *configuration(settings),
        folder(settings),
        journal(settings, status),
        *private_files(settings),
        *running,
        *ports(settings, status is not None),
        *terminal(settings, status),
        *brain(settings, status),
        *limits(settings),
        *machine(settings, status),
    ]


# ------------------------------------------------------------------ the machine


def python() -> Check:
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.maxsize <= 2**32:
        return _fault("Python", f"{found}, 32 bits", "Install the 64-bit Python: MetaTrader 5 has 64 bits.")
    return _ok("Python", found)


def _absent(packages_: dict[str, str]) -> list[str]:
    return [package for module, package in packages_.items() if importlib.util.find_spec(module) is None]


def packages() -> Check:
    absent = _absent(_PACKAGES)
    if absent:
        return _fault("Packages", f"missing: {', '.join(absent)}", "Run the set-up again (README).")
    return _ok("Packages", f"all {len(_PACKAGES)} are there")


def desktop_packages() -> Check:
    absent = _absent(_DESKTOP)
    if absent:
        return _warning(
            "Desktop", f"missing: {', '.join(absent)}", "Only the window needs them; the engine runs without."
        )
    return _ok("Desktop", "packages of the window are there")


# ------------------------------------------------------------------ settings and files


def configuration(settings: Settings) -> list[Check]:
    files = (
        ", ".join(str(file) for file in settings.files) or f"no file, defaults alone ({settings.config_path})"
    )
    checks = [_ok("Settings", f"{files}; {len(settings.origins)} set")]
    checks += [_warning("Settings", warning, "See docs/configuration.md.") for warning in settings.warnings]
    return checks


def folder(settings: Settings) -> Check:
    from app.adapters.journal_file import refuse_unsafe_place

    place = settings.state_folder
    try:
        refuse_unsafe_place(settings.journal.path)
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"probe")
            probe.flush()
            os.fsync(probe.fileno())
    except JournalFailed as fault:
        return _fault("Data folder", str(fault), "Set data_folder to a folder on a disk of this machine.")
    except OSError as fault:
        return _fault(
            "Data folder",
            f"{place}: cannot be written ({fault.strerror or fault})",
            "Give this user the right to write there.",
        )
    return _ok("Data folder", str(place))


def journal(settings: Settings, status: StatusModel | None) -> Check:
    from app.adapters.journal_file import read_only, revision_of

    path = settings.journal.path
    if status is not None:
        # The engine owns the only connection; it knows how its journal is.
        link = next((link for link in status.links if link.name == "journal"), None)
        if link is not None and link.state != "up":
            return _fault(
                "Journal",
                f"{path}: {link.state}: {link.detail}",
                "See the log; trading is stopped without it.",
            )
        return _ok("Journal", f"{path}: in use by the running engine")
    if not path.exists():
        return _ok("Journal", f"{path}: none yet; the engine makes it when it first starts")
    remedy = "Restore a backup (docs/journal.md) before trading goes on."
    try:
        connection = read_only(path)
        try:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
            revision = revision_of(path, connection)
        finally:
            connection.close()
    except (JournalFailed, sqlite3.Error) as fault:
        return _fault("Journal", str(fault), remedy)
    if verdict is None or verdict[0] != "ok":
        return _fault("Journal", f"{path}: SQLite says {verdict[0] if verdict else 'nothing'}", remedy)
    return _ok("Journal", f"{path}: sound, schema {revision}; `medulla journal verify` checks every row")


def private_files(settings: Settings) -> list[Check]:
    from app.adapters.key_file import load_key
    from app.api.tokens import read_token, readable_by_others

    checks = []
    key = settings.terminal.key_file
    if not key.exists():
        checks.append(_ok("Terminal key", f"{key}: none yet; made by whichever side starts first"))
    else:
        try:
            load_key(key)
            checks.append(_ok("Terminal key", f"{key}: for this user alone"))
        except ConfigurationError as fault:
            checks.append(_fault("Terminal key", str(fault), "Delete it and restart terminal and engine."))
    for file in (settings.api.token_file, settings.read_token_file):
        if not file.exists():
            checks.append(_ok("API token", f"{file}: none yet; made when the engine starts"))
            continue
        try:
            read_token(file)
        except SecretMissing as fault:
            checks.append(_fault("API token", str(fault), "Delete it; the engine makes a new one."))
            continue
        if readable_by_others(file):
            checks.append(
                _fault(
                    "API token",
                    f"{file}: other users can read it, and so stop or reset trading",
                    f"chmod 600 {file}",
                )
            )
        else:
            checks.append(_ok("API token", f"{file}: for this user alone"))
    return checks


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
