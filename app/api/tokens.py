"""The two tokens of the local API: files that only this machine's user can read. `control` may do everything, `read` may look."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app.domain.errors import ConfigurationError, SecretMissing

_LEAST = 16


class Scope(Enum):
    READ = "read"
    CONTROL = "control"


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    control: str
    read: str

    def scope_of(self, presented: str) -> Scope | None:
        """Both are compared, in constant time, whatever the first comparison said."""
        given = presented.encode()
        control = hmac.compare_digest(given, self.control.encode())
        read = hmac.compare_digest(given, self.read.encode())
        return Scope.CONTROL if control else Scope.READ if read else None


def load_or_make(control_file: Path, read_file: Path) -> Tokens:
    """The engine's call. Existing files are kept. Raises ConfigurationError."""
    tokens = Tokens(_load_or_make(control_file), _load_or_make(read_file))
    if tokens.control == tokens.read:
        raise ConfigurationError(
            f"{read_file}: holds the same token as {control_file}; delete it, it is made anew"
        )
    return tokens


def _load_or_make(file: Path) -> str:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as fault:
        raise ConfigurationError(
            f"{file}: api.token_file cannot be made: {fault.strerror or fault}"
        ) from None
    else:
        with os.fdopen(handle, "w", encoding="ascii") as opened:
            opened.write(secrets.token_urlsafe(32) + "\n")
    try:
        return read_token(file)
    except SecretMissing as fault:
        raise ConfigurationError(str(fault)) from None


def read_token(file: Path) -> str:
    """A client's call. Raises SecretMissing with what to do."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SecretMissing(
            f"{file}: there is no token; the engine makes it when it starts, so start it once, or name its --config"
        ) from None
    except (OSError, UnicodeDecodeError) as fault:
        raise SecretMissing(
            f"{file}: the token cannot be read ({fault}); it belongs to the user who runs the engine"
        ) from None
    if len(token) < _LEAST or not token.isprintable() or " " in token:
        raise SecretMissing(
            f"{file}: holds no token of {_LEAST} characters or more; delete it, the engine makes it anew"
        )
    return token


def readable_by_others(file: Path) -> bool:
    """Whether other users of this machine may read the file, as far as its mode says (Windows: ACLs, not asked here)."""
    if sys.platform == "win32":
        return False
    return bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
