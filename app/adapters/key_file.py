"""The key of the terminal's wire on disk: 64 lower-case hex digits that this user alone may read (EA_PROTOCOL §2).

Whichever side starts first makes the file; it appears whole or not at all, so the other side never reads half a key.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
from pathlib import Path

from app.domain.errors import ConfigurationError

KEY_SIZE = 32
_KEY = re.compile(rb"[0-9a-f]{64}\r?\n?\Z")


class _AnotherWasFirst(Exception):
    """The other side made the file meanwhile: its key counts."""


def load_key(path: Path) -> bytes:
    """The 32 bytes of an existing key file. Raises ConfigurationError: the file is absent, open to others, or holds no key."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)
    except OSError as fault:
        raise ConfigurationError(
            f"key file {path}: cannot be read ({fault.strerror}); no trade can be sent"
        ) from None
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"key file {path}: is not a regular file")
    # Windows has no such bits; there the profile folder's access list does this work.
    if sys.platform != "win32" and mode & 0o077:
        raise ConfigurationError(
            f"key file {path}: other users of this machine may read it (mode {stat.S_IMODE(mode):03o}), so they could trade;"
            f" delete it, restart terminal and executor, and a new key is made"
        )
    if not _KEY.match(text):
        raise ConfigurationError(
            f"key file {path}: must hold 64 lower-case hex digits and nothing else; delete it, restart terminal and executor,"
            f" and a new key is made"
        )
    return bytes.fromhex(text.decode().strip())


def load_or_create_key(path: Path) -> bytes:
    """The key in `path`, made now if there is none (mode 600). Raises ConfigurationError."""
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(_AnotherWasFirst):
                _create(path, secrets.token_bytes(KEY_SIZE))
        except OSError as fault:
            raise ConfigurationError(
                f"key file {path}: cannot be made ({fault.strerror}); name another place in terminal.key_file"
            ) from None
    return load_key(path)


def _create(path: Path, key: bytes) -> None:
    """Raises _AnotherWasFirst, or OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            if sys.platform == "win32":
                os.rename(draft, path)  # refuses to replace
            else:
                os.link(draft, path)
        except FileExistsError:
            raise _AnotherWasFirst from None
    finally:
        draft.unlink(missing_ok=True)
