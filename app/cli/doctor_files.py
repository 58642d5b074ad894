"""The doctor's look at what Medulla has on this machine: Python and packages, settings, data folder, journal, keys and tokens.

None changes anything that trading uses, and none touches the journal of an engine that runs.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sqlite3
import sys
import tempfile
from typing import TYPE_CHECKING

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


# ------------------------------------------------------------------ the program


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
