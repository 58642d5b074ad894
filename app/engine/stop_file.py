"""The stop file as the stop thread sees it: whatever stands there stops, and nothing that stands there may hold the thread up.

Only looks and reads; removing it is the reset's.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

_MOST_BYTES = 4000


def something_at(path: Path) -> bool:
    """A file, folder, pipe, device or dangling link alike: whoever put it there meant to stop."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False  # nothing there, or a folder that may not be looked into: it must not end the thread that looks
    return True


def stop_file_words(path: Path) -> tuple[str, bool | None]:
    """(why, whether positions are to be closed too). Its presence stops; what it says is taken only from a regular file.

    Never blocks: a pipe without a writer, or a device, would keep its reader waiting for ever.
    """
    try:
        text = _text(path)
    except OSError:
        return "found, not readable", None
    if text is None:
        return "found, not a regular file", None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()[:200] or "found", None
    if not isinstance(content, dict):
        return "found", None
    closing = content.get("close_positions")
    return str(content.get("reason") or "found")[:200], closing if isinstance(closing, bool) else None


def _text(path: Path) -> str | None:
    """None: not a regular file. Raises OSError."""
    if not stat.S_ISREG(path.stat().st_mode):
        return None  # opening a device can already do something
    # Between the look and the opening it may have become a pipe: without O_NONBLOCK that would wait for a writer.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return os.read(handle, _MOST_BYTES).decode("utf-8", errors="replace")
    finally:
        os.close(handle)
