"""A tape in shared memory on which an executor under test notes when it latched and when it handed a trade to ZeroMQ.

Both moments are read from CLOCK_MONOTONIC, which all processes of a machine share. The tape survives kill -9, costs a microsecond
and writes no file, so that neither a full disk nor a slow one changes what is measured. It only notes; it never hinders.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<Q")
_RECORD = struct.Struct("<ddB64s47s")
CAPACITY = 400_000
"""Records; a campaign of a thousand stops writes a third of it."""

SENT, NOT_SENT, LATCHED, RELEASED, BLOCKED, FREE = range(1, 7)
KINDS = {
    SENT: "sent",
    NOT_SENT: "not sent",
    LATCHED: "latched",
    RELEASED: "released",
    BLOCKED: "blocked",
    FREE: "free",
}


class TapeFull(Exception):
    """More happened than fits: what follows would be unseen, so the run is worth nothing."""


@dataclass(frozen=True, slots=True)
class Note:
    """`before` and `after`: monotonic seconds right before and right after what is noted."""

    kind: int
    before: float
    after: float
    cid: str
    words: str


class TapeWriter:
    """The executor's end."""

    def __init__(self, path: Path) -> None:
        self._size = _HEADER.size + CAPACITY * _RECORD.size
        with path.open("wb") as file:
            file.truncate(self._size)
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._size)
        self._lock = threading.Lock()
        self._count = 0

    def note(self, kind: int, before: float, after: float, cid: str = "", words: str = "") -> None:
        """Raises TapeFull."""
        with self._lock:
            if self._count >= CAPACITY:
                raise TapeFull
            _RECORD.pack_into(
                self._memory,
                _HEADER.size + self._count * _RECORD.size,
                before,
                after,
                kind,
                cid.encode()[:64],
                words.encode("utf-8", "replace")[:47],
            )
            self._count += 1
            _HEADER.pack_into(self._memory, 0, self._count)


class TapeReader:
    """The campaign's end. Notes come in the order in which they were written; each is given once."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._read = 0

    def take(self) -> Iterator[Note]:
        """What was written since the last time."""
        (count,) = _HEADER.unpack_from(self._memory, 0)
        while self._read < count:
            before, after, kind, cid, words = _RECORD.unpack_from(
                self._memory, _HEADER.size + self._read * _RECORD.size
            )
            self._read += 1
            yield Note(
                kind,
                before,
                after,
                cid.rstrip(b"\0").decode(),
                words.rstrip(b"\0").decode("utf-8", "replace"),
            )

    def close(self) -> None:
        self._memory.close()
