"""Files of ours in a terminal's data folder: written whole, remembered in a manifest, and never over a person's changes.

The manifest (`MQL5/Experts/Medulla/installed.json`) holds the SHA-256 of what was written, so that the next run tells our own
old files from changed ones. What the files mean is not known here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, Final

from app.adapters.durable_file import replace_durably

MANIFEST: Final = PurePosixPath("MQL5/Experts/Medulla/installed.json")
OWN_FOLDERS: Final = (PurePosixPath("MQL5/Experts/Medulla"), PurePosixPath("MQL5/Include/Medulla"))
"""Folders that hold nothing but ours; removed when they are empty."""
_REMEMBERED: Final = 8
"""Hashes kept for one file: a run that was cut off leaves the file of either side of it."""


class FolderTrouble(Exception):
    """A file cannot be written or removed; the message says which, why, and what to do."""


class Verdict(Enum):
    """How a file stands before it is written."""

    NEW = "new"
    SAME = "unchanged"
    UPDATE = "updated"
    """Ours, as we left it; another version now."""
    CHANGED = "changed by you"
    """Not as we left it, or never ours: replaced only with consent, and then a copy is kept."""
    KEPT = "yours, kept"
    """Changed by a person, and a person's to change."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be there."""

    path: PurePosixPath
    """Inside the data folder."""
    content: bytes
    a_persons: bool = False
    """Once changed by a person it stays theirs."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one file."""

    item: Item
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Written:
    """What was done."""

    backups: tuple[Path, ...]
    removed: tuple[PurePosixPath, ...]
    """Files of an earlier version that this one does not have."""
    left: tuple[PurePosixPath, ...]
    """The same, but changed by a person: left where they are."""


@dataclass(slots=True)
class EaFolder:
    """The data folder of one terminal."""

    data: Path
    _hashes: dict[str, list[str]] = field(init=False)
    """Path in the folder -> SHA-256 of what we wrote there, newest last."""

    def __post_init__(self) -> None:
        self._hashes = self._read_manifest()

    def place(self, path: PurePosixPath) -> Path:
        return self.data.joinpath(*path.parts)

    def plan(self, items: Iterable[Item]) -> list[Step]:
        """How each file stands. Raises FolderTrouble if one cannot be read."""
        return [
            Step(item, self.verdict(item.path, _sha256(item.content), a_persons=item.a_persons))
            for item in items
        ]

    def verdict(self, path: PurePosixPath, digest: str, *, a_persons: bool = False) -> Verdict:
        """How the file at `path` stands to a content of that SHA-256. Raises FolderTrouble."""
        found = self._hash_on_disk(path)
        if found is None:
            return Verdict.NEW
        if found == digest:
            return Verdict.SAME
        if found in self._hashes.get(str(path), ()):
            return Verdict.UPDATE
        return Verdict.KEPT if a_persons else Verdict.CHANGED

    def write(self, steps: Sequence[Step], version: str) -> Written:
        """Write what is new, ours to update, or (the caller has asked) changed; a copy of the changed is kept beside it.

        Raises FolderTrouble; what was written before it is in the manifest.
        """
        todo = [step for step in steps if step.verdict in (Verdict.NEW, Verdict.UPDATE, Verdict.CHANGED)]
        kept = {str(step.item.path) for step in steps}
        for step in todo:
            self._remember(step.item.path, _sha256(step.item.content))
        for step in steps:
            if step.verdict is Verdict.SAME and str(step.item.path) in self._hashes:
                self._remember(step.item.path, _sha256(step.item.content))
        self._save(version)
        backups = []
        for step in todo:
            if step.verdict is Verdict.CHANGED:
                backups.append(self._keep_copy(self.place(step.item.path)))
            self._put(self.place(step.item.path), step.item.content)
        removed, left = self._drop_obsolete(kept)
        for step in todo:
            self._hashes[str(step.item.path)] = [_sha256(step.item.content)]
        self._save(version)
        return Written(tuple(backups), tuple(removed), tuple(left))

    def adopt(self, path: PurePosixPath, version: str) -> None:
        """A file that another program made for us (the compiled EA) belongs to us from now on. Raises FolderTrouble."""
        found = self._hash_on_disk(path)
        if found is not None:
            self._hashes[str(path)] = [found]
            self._save(version)

    def differing(self, items: Iterable[Item]) -> list[PurePosixPath]:
        """Of `items`, those that are not on the disk as they should be. Raises FolderTrouble."""
        return [item.path for item in items if self._hash_on_disk(item.path) != _sha256(item.content)]

    def removal(self) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
        """What the manifest lists and still lies there: (as we left it, changed since). Raises FolderTrouble."""
        ours: list[PurePosixPath] = []
        changed: list[PurePosixPath] = []
        for name, hashes in self._hashes.items():
            path = PurePosixPath(name)
            found = self._hash_on_disk(path)
            if found is not None:
                (ours if found in hashes else changed).append(path)
        return ours, changed

    def remove(self, paths: Sequence[PurePosixPath], version: str) -> None:
        """Delete files and the folders of ours that they leave empty. Raises FolderTrouble."""
        for path in paths:
            self._delete(self.place(path))
            self._hashes.pop(str(path), None)
        self._hashes = {
            name: known for name, known in self._hashes.items() if self.place(PurePosixPath(name)).exists()
        }
        if self._hashes:
            self._save(version)
        else:
            self._delete(self.place(MANIFEST))
        for folder in OWN_FOLDERS:
            with contextlib.suppress(OSError):  # not empty, or not there: a person's files stay
                self.place(folder).rmdir()

    @property
    def has_manifest(self) -> bool:
        return bool(self._hashes)

    # -------------------------------------------------------------- inside

    def _drop_obsolete(self, kept: set[str]) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
        removed, left = [], []
        for name in [name for name in self._hashes if name not in kept]:
            path = PurePosixPath(name)
            if path.suffix not in (".mqh", ".mq5") or not any(
                path.is_relative_to(own) for own in OWN_FOLDERS
            ):
                continue
            found = self._hash_on_disk(path)
            if found is None or found in self._hashes[name]:
                self._delete(self.place(path))
                del self._hashes[name]
                removed.append(path)
            else:
                left.append(path)
        return removed, left

    def _remember(self, path: PurePosixPath, digest: str) -> None:
        known = [old for old in self._hashes.get(str(path), []) if old != digest]
        self._hashes[str(path)] = [*known, digest][-_REMEMBERED:]

    def _hash_on_disk(self, path: PurePosixPath) -> str | None:
        place = self.place(path)
        try:
            with place.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise _trouble(place, "read", fault) from None

    def _keep_copy(self, place: Path) -> Path:
        number = 1
        while (copy := place.with_name(f"{place.name}.before-{number}")).exists():
            number += 1
        try:
            content = place.read_bytes()
        except OSError as fault:
            raise _trouble(place, "read", fault) from None
        self._put(copy, content)
        return copy

    def _put(self, place: Path, content: bytes) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(place, content)
        except OSError as fault:
            with contextlib.suppress(OSError):
                place.with_name(place.name + ".part").unlink(missing_ok=True)
            raise _trouble(place, "written", fault) from None

    def _delete(self, place: Path) -> None:
        try:
            place.unlink(missing_ok=True)
        except OSError as fault:
            raise _trouble(place, "removed", fault) from None

    def _save(self, version: str) -> None:
        content = {"format": 1, "medulla": version, "files": dict(sorted(self._hashes.items()))}
        self._put(self.place(MANIFEST), (json.dumps(content, indent=1) + "\n").encode())

    def _read_manifest(self) -> dict[str, list[str]]:
        """A manifest that cannot be read is none: every differing file then counts as a person's."""
        try:
            found: Any = json.loads(self.place(MANIFEST).read_bytes())
            files = found["files"]
            return {name: list(map(str, hashes)) for name, hashes in files.items() if _is_inside(name)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}


def _is_inside(name: str) -> bool:
    """A manifest is a file that anybody may have written: it must not lead out of MQL5."""
    path = PurePosixPath(name)
    return path.parts[:1] == ("MQL5",) and ".." not in path.parts and "\\" not in name and ":" not in name


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _trouble(place: Path, done: str, fault: OSError) -> FolderTrouble:
    told = fault.strerror or str(fault)
    in_use = getattr(fault, "winerror", None) in (32, 33) or fault.errno in (errno.EBUSY, errno.ETXTBSY)
    # Windows answers "access denied" both for a library that a running terminal holds and for a folder without rights.
    denied = isinstance(fault, PermissionError)
    if in_use or (denied and place.is_file() and _can_write_in(place.parent)):
        return FolderTrouble(
            f"{place}: cannot be {done} while a program uses it ({told}). Close the terminal (its EA keeps no order from the"
            " broker: stops and limits stay there), then run this again"
        )
    if fault.errno == errno.ENOSPC:
        return FolderTrouble(f"{place}: cannot be {done}: the disk is full. Make room, then run this again")
    if denied or fault.errno == errno.EROFS:
        return FolderTrouble(
            f"{place}: cannot be {done} ({told}): this user may not write in that folder. Run this as the user who runs the"
            " terminal, or give that user the right to write there, then run this again"
        )
    return FolderTrouble(
        f"{place}: cannot be {done} ({told}); the EA there may be incomplete. Mend that and run this again"
    )


def _can_write_in(folder: Path) -> bool:
    probe = folder / ".medulla-probe"
    try:
        handle = os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600)
        os.close(handle)
        probe.unlink()
    except OSError:
        return False
    return True
