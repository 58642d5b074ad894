"""What a disk may hold after a power cut: a record of file operations, replayed up to any of them.

The model is harsher than the file systems in use. Content counts as durable when its file was synced, a name when its folder
was; of everything else the cut keeps nothing, a part, or some sectors of each write in any order. A sector (512 bytes) is old
or new, never mixed: that is what SQLite itself relies on (sqlite.org/atomiccommit.html, section 2). Nothing here knows a journal.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

_HEAD = struct.Struct("<ciqiq")
PAGE = 4096
SECTOR = 512
_ZERO = bytes(PAGE)


class Survival(Enum):
    """What a cut leaves of that which was not synced."""

    NOTHING = "nothing"
    TORN = "torn"
    """All of it but the last write of each file, of which some sectors."""
    REORDERED = "reordered"
    """Of every write some sectors; of the names any first part."""
    EVERYTHING = "everything"
    """As when the process alone is killed."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the record. `kind`: w write, z write of zeros, t truncate, s sync, c create, o open of what was there,
    r rename, u unlink, k new folder, d sync of a folder, m mark."""

    kind: str
    file: int
    offset: int
    text: str
    length: int
    data: bytes

    @property
    def mark(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


def read_record(log: Path) -> list[Operation]:
    """The whole record; a last line that was cut off with its process is left out."""
    raw = log.read_bytes()
    found: list[Operation] = []
    at = 0
    while at + _HEAD.size <= len(raw):
        kind, file, offset, text_length, length = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        stored = length if kind == b"w" else 0
        if at + text_length + stored > len(raw):
            break
        text = raw[at : at + text_length].decode("utf-8", "surrogateescape")
        at += text_length
        found.append(Operation(kind.decode(), file, offset, text, length, raw[at : at + stored]))
        at += stored
    return found


@dataclass(slots=True)
class Content:
    """Bytes of a file as pages; a page that is not there is zeros."""

    pages: dict[int, bytes] = field(default_factory=dict)
    size: int = 0

    def copy(self) -> Content:
        return Content(dict(self.pages), self.size)

    def write(self, offset: int, data: bytes) -> None:
        self.size = max(self.size, offset + len(data))
        at = 0
        while at < len(data):
            number, within = divmod(offset + at, PAGE)
            piece = data[at : at + PAGE - within]
            if len(piece) == PAGE:
                self.pages[number] = piece
            else:
                old = self.pages.get(number, _ZERO)
                self.pages[number] = old[:within] + piece + old[within + len(piece) :]
            at += len(piece)

    def zero(self, offset: int, length: int) -> None:
        first, last = -(-offset // PAGE), (offset + length) // PAGE
        if first >= last:
            self.write(offset, bytes(length))
            return
        self.write(offset, bytes(first * PAGE - offset))
        self.write(last * PAGE, bytes(offset + length - last * PAGE))
        for number in [number for number in self.pages if first <= number < last]:
            del self.pages[number]
        self.size = max(self.size, offset + length)

    def truncate(self, size: int) -> None:
        if size < self.size:
            last, within = divmod(size, PAGE)
            for number in [
                number for number in self.pages if number > last or (number == last and not within)
            ]:
                del self.pages[number]
            if last in self.pages:
                self.pages[last] = self.pages[last][:within] + bytes(PAGE - within)
        self.size = size

    def apply(self, change: Operation, survives: Callable[[], bool] | None = None) -> None:
        """Do a w, z or t; `survives` is asked for each sector of it."""
        if change.kind == "t":
            if survives is None or survives():
                self.truncate(change.offset)
        elif survives is None:
            if change.kind == "z":
                self.zero(change.offset, change.length)
            else:
                self.write(change.offset, change.data)
        elif change.kind == "z":
            # Zeros are written where nothing was: all or none of them says enough.
            if survives():
                self.zero(change.offset, change.length)
        else:
            at = 0
            while at < len(change.data):
                step = SECTOR - (change.offset + at) % SECTOR
                if survives():
                    self.write(change.offset + at, change.data[at : at + step])
                at += step

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(self.size)
            for number in sorted(self.pages):
                file.seek(number * PAGE)
                file.write(self.pages[number][: max(0, self.size - number * PAGE)])


def load(path: Path) -> Content:
    found = Content()
    found.write(0, path.read_bytes())
    return found


@dataclass(slots=True)
class _File:
    durable: Content = field(default_factory=Content)
    pending: list[Operation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Naming:
    """A change of names that its folder has not been synced after."""

    kind: str
    path: str
    other: str = ""
    file: int = 0

    def apply(self, names: dict[str, int], folders: set[str]) -> None:
        match self.kind:
            case "c":
                names[self.path] = self.file
            case "u":
                names.pop(self.path, None)
            case "k":
                folders.add(self.path)
            case "r" if self.path in names:
                names[self.other] = names.pop(self.path)

    def within(self, folder: str) -> bool:
        return folder in (str(Path(self.path).parent), str(Path(self.other or self.path).parent))


class Disk:
    """Fed with operations in order; an image of it can be had after each."""

    def __init__(self, root: Path, before: Path | None = None) -> None:
        """`root`: the folder of the record. `before`: what it held, all durable, when the record began."""
        self._root = str(root)
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._folders = {self._root}
        self._pending: list[_Naming] = []
        for number, path in enumerate(sorted(before.rglob("*")) if before is not None else []):
            there = str(root / path.relative_to(before or root))
            if path.is_dir():
                self._folders.add(there)
            else:
                self._files[-1 - number] = _File(load(path))
                self._names[there] = -1 - number

    def feed(self, operation: Operation) -> None:
        match operation.kind:
            case "w" | "z" | "t":
                self._files[operation.file].pending.append(operation)
            case "s":
                file = self._files[operation.file]
                for change in file.pending:
                    file.durable.apply(change)
                file.pending.clear()
            case "c":
                self._files[operation.file] = _File()
                self._pending.append(_Naming("c", operation.text, file=operation.file))
            case "o":
                self._files[operation.file] = self._files[self._names[operation.text]]
            case "r":
                old, new = operation.text.split("\n")
                self._pending.append(_Naming("r", old, new))
            case "u" | "k":
                self._pending.append(_Naming(operation.kind, operation.text))
            case "d":
                for naming in [one for one in self._pending if one.within(operation.text)]:
                    naming.apply(self._names, self._folders)
                    self._pending.remove(naming)

    def image(self, survival: Survival, chance: random.Random) -> dict[str, Content | None]:
        """Paths below the root with what they hold; None: a folder."""
        names, folders = dict(self._names), set(self._folders)
        kept = {
            Survival.NOTHING: 0,
            Survival.EVERYTHING: len(self._pending),
        }.get(survival, chance.randint(0, len(self._pending)))
        for naming in self._pending[:kept]:
            naming.apply(names, folders)
        share = chance.choice([0.1, 0.5, 0.9])
        found: dict[str, Content | None] = {
            self._below(folder): None for folder in sorted(folders) if self._stands(folder, folders)
        }
        for path, file in sorted(names.items()):
            if self._stands(str(Path(path).parent), folders):
                found[self._below(path)] = self._content(self._files[file], survival, share, chance)
        return found

    def _stands(self, folder: str, folders: set[str]) -> bool:
        while folder != self._root:
            if folder not in folders:
                return False
            folder = str(Path(folder).parent)
        return True

    def _below(self, path: str) -> str:
        return path[len(self._root) :].lstrip("/")

    @staticmethod
    def _content(file: _File, survival: Survival, share: float, chance: random.Random) -> Content:
        if survival is Survival.NOTHING or not file.pending:
            return file.durable
        found = file.durable.copy()
        if survival is Survival.REORDERED:
            for change in file.pending:
                found.apply(change, lambda: chance.random() < share)
            return found
        *whole, last = file.pending
        for change in whole:
            found.apply(change)
        found.apply(last, None if survival is Survival.EVERYTHING else lambda: chance.random() < share)
        return found


def save_image(image: dict[str, Content | None], folder: Path) -> None:
    """Make the folder hold exactly this; it must be empty or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for below, content in image.items():
        if content is None:
            (folder / below).mkdir(exist_ok=True)
    for below, content in image.items():
        if content is not None:
            content.save(folder / below)


def marks(operations: list[Operation]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of the operation and word, of all that the process said of itself."""
    for number, operation in enumerate(operations):
        if operation.kind == "m":
            yield number, operation.mark
