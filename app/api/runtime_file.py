"""`engine.json`: where a running engine can be found. Written when its sockets are open, removed when it ends; a stale one is
recognised by its process. No secret stands in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from app.domain.errors import InvalidValue
from app.protocol import strict_json


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    pid: int
    api_port: int
    """0: the API is not open."""
    stop_port: int
    """The stop thread's own socket; 0: not open."""
    started_at: str
    """RFC 3339."""
    version: str

    @property
    def alive(self) -> bool:
        return process_alive(self.pid)


def write(file: Path, info: RuntimeInfo) -> None:
    """Atomically. Raises OSError."""
    replace_file(file, json.dumps(asdict(info)) + "\n")


def read(file: Path) -> RuntimeInfo | None:
    """None: there is none, or it cannot be understood (which is the same to a client)."""
    try:
        found = strict_json.loads(file.read_bytes())
    except (OSError, InvalidValue):
        return None
    pid, api_port, stop_port = (_number(found, name) for name in ("pid", "api_port", "stop_port"))
    if pid is None or pid <= 0:
        return None
    return RuntimeInfo(
        pid, api_port or 0, stop_port or 0, str(found.get("started_at", "")), str(found.get("version", ""))
    )


def _number(found: Mapping[str, object], name: str) -> int | None:
    value = found.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32 else None


def remove(file: Path, pid: int) -> None:
    """Remove our own file, never a successor's."""
    info = read(file)
    if info is not None and info.pid == pid:
        with contextlib.suppress(OSError):
            file.unlink()


def replace_file(file: Path, text: str) -> None:
    """Write a small text so that a reader, or a crash, sees all of it or nothing; synced. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: two that stop at once must not take each other's file away.
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def process_alive(pid: int) -> bool:
    """Whether a process of this number runs (it may be another program's by now)."""
    if sys.platform == "win32":
        return _alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _alive_on_windows(pid: int) -> bool:
    # os.kill(pid, 0) would end the process on Windows.
    if sys.platform != "win32":
        return False
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    query_limited_information, still_active, access_denied = 0x1000, 259, 5
    handle = kernel.OpenProcess(query_limited_information, False, pid)
    if not handle:
        return ctypes.get_last_error() == access_denied
    try:
        code = ctypes.c_ulong()
        return bool(kernel.GetExitCodeProcess(handle, ctypes.byref(code))) and code.value == still_active
    finally:
        kernel.CloseHandle(handle)
