"""The key that both ends of the terminal's wire share: 64 hex digits in a file that this user alone may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import platformdirs

from app.domain.errors import ConfigurationError

KEY_SIZE = 32


def default_key_file() -> Path:
    """Where the key lies unless told otherwise."""
    folder = os.environ.get("MEDULLA_DATA_FOLDER") or platformdirs.user_data_dir("Medulla", appauthor=False)
    return Path(folder).expanduser() / "terminal.key"


def load_or_make_key(path: Path) -> bytes:
    """The 32 bytes of the key; the file is made (mode 600) if there is none and never overwritten.

    Raises ConfigurationError when it cannot be read, made or understood.
    """
    try:
        if not path.exists():
            _make(path)
        text = path.read_text("ascii").strip()
        key = bytes.fromhex(text)
    except OSError as fault:
        raise ConfigurationError(f"key file {path}: {fault.strerror}") from None
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise ConfigurationError(
            f"key file {path}: must hold 64 hex digits; move it away to have a new one made"
        )
    return key


def _make(path: Path) -> None:
    """Write aside, then link: whoever looks sees no file or a whole one, and the first of two makers wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(KEY_SIZE).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    except FileExistsError:
        return
    finally:
        aside.unlink()
