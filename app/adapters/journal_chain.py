"""The hash chain of the journal's rows: what is hashed, and how a whole journal is checked.

Every row's hash covers the hash of the row before it, so a row cannot be changed, removed or put in without the chain showing it.
The chain proves that nothing happened by accident or by a hand that did not rewrite everything after it; it is no signature.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

GENESIS = "0" * 64
"""What the first row follows."""


def chain_hash(previous: str, seq: int, at: str, kind: str, command_id: str | None, payload: str) -> str:
    """SHA-256 (hex) of the row's canonical text: its columns in this order, one a line, the payload last.

    Only the payload could hold a line feed, and as JSON it holds none, so no two rows share a text.
    """
    text = f"{previous}\n{seq}\n{at}\n{kind}\n{command_id or ''}\n{payload}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One row as it is stored."""

    seq: int
    at: str
    kind: str
    command_id: str | None
    payload: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a check found. `bad_seq` is the first row that is changed, missing or too much; None: all is sound."""

    rows: int
    bad_seq: int | None = None
    fault: str | None = None
    """For a person, without the number of the row."""

    @property
    def sound(self) -> bool:
        return self.bad_seq is None

    def __str__(self) -> str:
        if self.bad_seq is None:
            return f"{self.rows} rows, none changed, missing or put in"
        return f"row {self.bad_seq} {self.fault}; the {self.rows} rows before it are sound"


class ChainCheck:
    """Takes rows in order and says at the end whether they are the rows that were written."""

    def __init__(self) -> None:
        self.last = 0
        """Number of the last row that was found right."""
        self._hash = GENESIS
        self._bad: ChainReport | None = None

    def feed(self, rows: Iterable[ChainRow]) -> bool:
        """Check the next rows; False: a fault is found, more rows change nothing."""
        for row in rows:
            fault = self._fault_of(row)
            if fault is not None:
                self._bad = ChainReport(self.last, *fault)
                return False
            self.last, self._hash = row.seq, row.hash
        return True

    def _fault_of(self, row: ChainRow) -> tuple[int, str] | None:
        expected = self.last + 1
        if row.seq > expected:
            return expected, f"is missing (the next one is {row.seq})"
        if row.seq < expected:
            return row.seq, "stands where no row belongs"
        if row.previous != self._hash:
            return row.seq, "does not follow the row before it"
        if row.hash != chain_hash(row.previous, row.seq, row.at, row.kind, row.command_id, row.payload):
            return row.seq, "was changed after it was written"
        return None

    def finish(self, head: tuple[int, str] | None) -> ChainReport:
        """All rows were fed; `head` is number and hash of the last row written, as the journal remembers them."""
        if self._bad is not None:
            return self._bad
        if head is None:
            return ChainReport(
                self.last, self.last, "cannot be told to be the last: the journal's head is missing"
            )
        seq, digest = head
        if seq > self.last:
            return ChainReport(self.last, self.last + 1, f"is missing (rows up to {seq} were written)")
        if seq < self.last:
            return ChainReport(self.last, seq + 1, "stands after the last row that was written")
        if digest != self._hash:
            return ChainReport(self.last, seq, "is not the row that was written last")
        return ChainReport(self.last)


def check_chain(
    page: Callable[[int, int], tuple[list[ChainRow], tuple[int, str] | None]],
    *,
    rows: int,
    pause: float = 0.0,
) -> ChainReport:
    """Check a whole journal, `rows` at a time. `page(after, limit)` gives rows and head as of one moment.

    `pause` seconds are slept between pages, so that a check in a running engine leaves the processor to trading.
    """
    check = ChainCheck()
    while True:
        found, head = page(check.last, rows)
        if not check.feed(found) or len(found) < rows:
            return check.finish(head)
        if pause:
            time.sleep(pause)
