"""The hash chain of the journal's rows: what is hashed, and how a whole journal is checked.

Every row's hash covers the hash of the row before it, so a row cannot be changed, removed or put in without the chain showing it.
The chain proves that nothing happened by accident or by a hand that did not rewrite everything after it; it is no signature.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
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
        return self.bad_seq is None and self.fault is None


def verify_chain(
    rows: Iterable[ChainRow], head: tuple[int, str] | None, *, pause: float = 0.0, burst: int = 25
) -> ChainReport:
    """Walk all rows in order and compare with the head (number and hash of the last row written).

    `pause` seconds are slept after every `burst` rows, so that a check in a running engine leaves the processor to trading.
    """
    previous, expected, count = GENESIS, 1, 0
    for row in rows:
        if row.seq != expected:
            if row.seq > expected:
                return ChainReport(count, expected, f"is missing (the next one is {row.seq})")
            return ChainReport(count, row.seq, "stands where no row belongs")
        if row.previous != previous:
            return ChainReport(count, row.seq, "does not follow the row before it")
        if row.hash != chain_hash(previous, row.seq, row.at, row.kind, row.command_id, row.payload):
            return ChainReport(count, row.seq, "was changed after it was written")
        previous, expected, count = row.hash, expected + 1, count + 1
        if pause and count % burst == 0:
            time.sleep(pause)
    if head is None:
        return ChainReport(count, 1 if count else None, "the journal's head is missing" if count else None)
    last = expected - 1
    if head[0] > last:
        return ChainReport(count, expected, f"is missing (rows up to {head[0]} were written)")
    if head[0] < last:
        return ChainReport(count, head[0] + 1, "stands after the last row that was written")
    if last and head[1] != previous:
        return ChainReport(count, last, "is not the row that was written last")
    return ChainReport(count)


def with_pages(pages: Iterator[list[ChainRow]]) -> Iterator[ChainRow]:
    """Rows of pages, one after the other."""
    for page in pages:
        yield from page
