"""The trading state in a small file of its own, so that a stop outlives a crash, a full disk of the journal, and an update.

It says what the file holds or why it cannot be trusted; what follows from a fault (HALTED) is decided elsewhere.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.adapters.durable_file import replace_durably
from app.adapters.event_codec import instant, instant_text
from app.domain.errors import InvalidValue
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.engine.ports import LatchReading

_FORMAT = 1
_MOST = 64 * 1024
"""Bytes; a latch is some hundreds."""
_FIELDS = frozenset({"state", "epoch", "reason", "by", "since"})


class FileLatchStore:
    """The LatchStore port. Beside the file lies a marker, written once and never removed: it tells *lost* from *never was*."""

    def __init__(self, path: Path, *, used_before: bool = False) -> None:
        """`used_before`: something else (a journal with rows) proves that there was a latch here."""
        self._path = path
        self._marker = path.with_name(path.name + ".used")
        self._used_before = used_before

    def load(self) -> LatchReading:
        try:
            content = self._content()
        except FileNotFoundError:
            return self._missing()
        except OSError as fault:
            return _distrust(f"the latch file {self._path} cannot be read ({fault.strerror or fault})")
        if not content:
            return _distrust(f"the latch file {self._path} is empty")
        try:
            status = _parse(content)
        except (ValueError, RecursionError) as fault:
            return _distrust(f"the latch file {self._path} is damaged ({fault})")
        return LatchReading(status, None)

    def _content(self) -> bytes:
        """Raises OSError. Opened without waiting: a pipe in the latch's place would hold up the start for ever."""
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self._path, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return os.read(descriptor, _MOST + 1)
        finally:
            os.close(descriptor)

    def save(self, status: TradingStatus) -> None:
        """See the port. The marker follows the file: a crash between the two leaves a file, which proves use by itself.

        A stop needs no room on the disk. If it cannot be written beside the old file, it is written over it, in the room which
        that has; and if even that fails, the old file is emptied, so that at least it no longer says that trading is allowed.
        Torn half-way, either is a damaged latch: HALTED. Raises OSError in the last case, and whenever anything else fails.
        """
        content = _compose(status)
        try:
            replace_durably(self._path, content)
        except OSError:
            if status.state is not TradingState.HALTED or not self._path.is_file():
                raise
            self._write_over(content)
        if not os.path.lexists(self._marker):
            replace_durably(self._marker, b"The trading latch beside this file was in use. Do not remove.\n")

    def _write_over(self, content: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        try:
            try:
                if os.write(descriptor, content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.ftruncate(descriptor, len(content))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, 0)
                os.fsync(descriptor)
                raise
        finally:
            os.close(descriptor)

    def _missing(self) -> LatchReading:
        if self._used_before or os.path.lexists(self._marker) or os.path.lexists(self._path):
            return _distrust(f"the latch file {self._path} is missing, though it was there before")
        return LatchReading(None, None, first_use=True)


def _distrust(fault: str) -> LatchReading:
    return LatchReading(None, fault)


def _checksum(status: dict[str, Any]) -> str:
    text = json.dumps(status, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return sha256(f"{_FORMAT}\n{text}".encode("ascii")).hexdigest()


def _compose(status: TradingStatus) -> bytes:
    fields = {
        "state": status.state.name,
        "epoch": status.epoch,
        "reason": status.reason,
        "by": status.by.name,
        "since": instant_text(status.since),
    }
    whole = {"format": _FORMAT, "status": fields, "checksum": _checksum(fields)}
    return (json.dumps(whole, ensure_ascii=True, indent=1) + "\n").encode("ascii")


def _parse(content: bytes) -> TradingStatus:
    """Raises ValueError with the reason. What was not written exactly so by `_compose` is refused."""
    if len(content) > _MOST:
        raise ValueError("it is too large")
    whole = json.loads(content.decode("ascii"))
    if not isinstance(whole, dict) or whole.keys() != {"format", "status", "checksum"}:
        raise ValueError("it does not have the fields of a latch")
    if whole["format"] != _FORMAT:
        raise ValueError("it is of a format this version does not know")
    fields = whole["status"]
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise ValueError("its status does not have the right fields")
    if whole["checksum"] != _checksum(fields):
        raise ValueError("its checksum does not fit")
    epoch, reason = fields["epoch"], fields["reason"]
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0 or not isinstance(reason, str):
        raise ValueError("its epoch or its reason is not one")
    try:
        status = TradingStatus(
            TradingState[fields["state"]], epoch, reason, Actor[fields["by"]], instant(fields["since"])
        )
    except (KeyError, TypeError, InvalidValue) as fault:
        raise ValueError(f"its status is not one: {fault}") from None
    if _compose(status) != content:
        raise ValueError("it is not written as a latch is")
    return status
