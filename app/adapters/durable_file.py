"""Making a file's content and its name survive a power cut. Small files only; nothing about what they mean."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable. Windows has no such call: NTFS journals the rename itself. Raises OSError."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, and make all their names durable, whoever made them. Raises OSError if it cannot be made.

    A file that was synced is still gone after a power cut if the folder above it is (fsync(2): the entry in the folder needs a
    sync of its own).
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
    disk = place.stat().st_dev
    for parent in place.parents:
        try:
            if parent.stat().st_dev != disk:
                return
            sync_folder(parent)
        except OSError:
            continue  # a folder that we may not open is one in which we made nothing


def replace_durably(path: Path, content: bytes) -> None:
    """Write `content` so that afterwards, whatever happens, the old or the new content is there, whole. Raises OSError."""
    unfinished = path.with_name(path.name + ".part")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    unfinished.replace(path)
    sync_folder(path.parent)
