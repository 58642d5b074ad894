"""The durable files of the simulated terminal: whole lines appended, whole files replaced.

`FILE` holds the broker's effects and is the truth; `FILE.commands` is the terminal's own memory of command ids,
`FILE.state` its stop latch and epoch. A process killed at any moment loses nothing that it has acknowledged.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.domain.errors import InvalidValue
from app.protocol import strict_json

if sys.platform != "win32":
    import fcntl


class LedgerFailed(Exception):
    """A line could not be written. Nothing was done, and nothing may be until it can."""


class LedgerDamaged(Exception):
    """A file holds what this program did not write. Names the file and the line."""


class AppendOnlyFile:
    """Lines that are in the operating system's hands when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failing = False
        """Set by the fault `ledger_fails`: every write is refused as on a full disk."""
        self._descriptor = -1

    def read(self) -> Iterator[bytes]:
        """All whole lines. A torn last line, cut off by a crash in the middle of a write, is removed."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.truncate(self.path, whole)
        yield from content[:whole].split(b"\n")[:-1]

    def open(self) -> None:
        """Raises LedgerFailed, also when another process writes this file."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            self._descriptor = os.open(self.path, flags, 0o600)
        except OSError as fault:
            raise LedgerFailed(f"{self.path}: {fault.strerror}") from None
        if sys.platform != "win32":
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.close()
                raise LedgerFailed(f"{self.path}: another terminal writes this ledger") from None

    def append(self, line: bytes) -> None:
        """Write one whole line at once. Raises LedgerFailed; a part that was written is taken back."""
        if self.failing:
            raise LedgerFailed(f"{self.path}: writing is made to fail")
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise LedgerFailed(f"{self.path}: the disk took a part of a line only")
        except OSError as fault:
            raise LedgerFailed(f"{self.path}: {fault.strerror}") from None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """What the terminal knows of a command id. `result` is an `execution` as it travels on the wire."""

    content: str
    sent_at: int
    """Milliseconds since the Unix epoch at the last INTENT."""
    asked: bool
    """The broker may have been asked. After a restart always true: the memory of *not yet* died."""
    result: dict[str, Any] | None = None


class CommandLedger:
    """INTENT before the broker is asked, RESULT after (EA_PROTOCOL §4, the ledger)."""

    def __init__(self, path: Path) -> None:
        self.file = AppendOnlyFile(path)
        self._entries: dict[str, CommandEntry] = {}
        for number, line in enumerate(self.file.read(), 1):
            try:
                self._take(strict_json.loads(line))
            except (InvalidValue, KeyError) as fault:
                raise LedgerDamaged(f"{path}, line {number}: {fault}") from None
        self.file.open()

    def __getitem__(self, cid: str) -> CommandEntry:
        return self._entries[cid]

    def get(self, cid: str) -> CommandEntry | None:
        return self._entries.get(cid)

    def __len__(self) -> int:
        return len(self._entries)

    def intent(self, cid: str, content: str, now_ms: int) -> None:
        """Raises LedgerFailed: then the broker must not be asked."""
        self.file.append(_line({"what": "INTENT", "cid": cid, "content": content, "time": now_ms}))
        self._entries[cid] = CommandEntry(content, now_ms, asked=False)

    def asking(self, cid: str) -> None:
        """From here on the broker may have been asked (memory only: an INTENT alone counts as that later)."""
        self._entries[cid] = replace(self._entries[cid], asked=True)

    def result(self, cid: str, execution: dict[str, Any], now_ms: int) -> None:
        """Raises LedgerFailed: the effect stands, the command stays without a result."""
        self.file.append(_line({"what": "RESULT", "cid": cid, "time": now_ms, "execution": execution}))
        self._entries[cid] = replace(self._entries[cid], asked=True, result=execution)

    def close(self) -> None:
        self.file.close()

    def _take(self, line: dict[str, Any]) -> None:
        cid = line["cid"]
        if line["what"] == "INTENT":
            self._entries[cid] = CommandEntry(line["content"], line["time"], asked=True)
        else:
            self._entries[cid] = replace(self._entries[cid], result=line["execution"])


@dataclass(frozen=True, slots=True)
class TerminalState:
    """What has to survive every restart besides the ledgers. Money in the account's currency."""

    epoch: int = 0
    stopped: bool = False
    stop_reason: str | None = None
    latched_at: int | None = None
    """Milliseconds since the Unix epoch."""
    latched_epoch: int = 0
    margin_mode: str = "hedging"
    leverage: int = 100
    deposit: Decimal = Decimal(10000)
    """What the account began with; everything after it stands in the ledger of effects."""
    first_ticket: int = 10001234


class StateFile:
    """`FILE.state`: written to a temporary file, synchronised, then renamed over the old one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> TerminalState | None:
        """None if there is none. Raises LedgerDamaged: a lost latch must not look like no latch."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            stored = strict_json.loads(content)
            stored["deposit"] = Decimal(stored["deposit"])
            return TerminalState(**stored)
        except (InvalidValue, KeyError, TypeError) as fault:
            raise LedgerDamaged(f"{self.path}: {fault}") from None

    def save(self, state: TerminalState) -> None:
        """Durable when it returns. Raises LedgerFailed."""
        content = {name: getattr(state, name) for name in TerminalState.__slots__}
        temporary = self.path.with_name(self.path.name + ".new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(descriptor, strict_json.dumps(content).encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, self.path)
        except OSError as fault:
            raise LedgerFailed(f"{self.path}: {fault.strerror}") from None


def _line(content: dict[str, Any]) -> bytes:
    return strict_json.dumps(content).encode() + b"\n"
