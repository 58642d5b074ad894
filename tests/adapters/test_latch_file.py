"""The latch file: what was saved comes back, and everything else is distrusted, never taken for 'trading allowed'."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from app.adapters import latch_file
from app.adapters.latch_file import FileLatchStore
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.engine.ports import LatchReading

SINCE = datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)
ACTIVE = TradingStatus(TradingState.ACTIVE, 7, "resumed \u00fc \u20ac", Actor.OPERATOR, SINCE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "latch.json"


@pytest.mark.parametrize("state", list(TradingState))
@pytest.mark.parametrize("by", list(Actor))
def test_what_was_saved_comes_back(path: Path, state: TradingState, by: Actor) -> None:
    status = TradingStatus(state, 2**40, "a\nreason \U0001f6d1 \ud800", by, SINCE)
    FileLatchStore(path).save(ACTIVE)
    FileLatchStore(path).save(status)
    assert FileLatchStore(path).load() == LatchReading(status, None)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["latch.json", "latch.json.used"]


def test_first_use_is_told_from_loss(path: Path) -> None:
    assert FileLatchStore(path).load() == LatchReading(None, None, first_use=True)
    lost = FileLatchStore(path, used_before=True).load()
    assert lost.status is None
    assert not lost.first_use
    assert "missing" in str(lost.fault)
    FileLatchStore(path).save(ACTIVE)
    path.unlink()
    assert FileLatchStore(path).load() == lost


def _signed(fields: dict[str, object], **whole: object) -> bytes:
    """A file whose checksum fits, whatever it says."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    made = {"format": 1, "status": fields, "checksum": sha256(f"1\n{text}".encode()).hexdigest(), **whole}
    return (json.dumps(made, indent=1) + "\n").encode()


FIELDS: dict[str, object] = {
    "state": "ACTIVE",
    "epoch": 7,
    "reason": "r",
    "by": "OPERATOR",
    "since": "2026-11-20T09:00:00.000000Z",
}

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda good: b"\0" * len(good),
    "first half": lambda good: good[: len(good) // 2],
    "all but the last byte": lambda good: good[:-1],
    "one byte more": lambda good: good + b" ",
    "twice": lambda good: good * 2,
    "a bit flipped in the state": lambda good: good.replace(b"ACTIVE", b"ACTIVG"),
    "another state": lambda good: good.replace(b"ACTIVE", b"REDUCING"),
    "another epoch": lambda good: good.replace(b'"epoch": 7', b'"epoch": 6'),
    "another checksum": lambda good: good.replace(b'"checksum": "', b'"checksum": "0'),
    "no checksum": lambda _: json.dumps({"format": 1, "status": FIELDS}).encode(),
    "a null checksum": lambda _: _signed(FIELDS, checksum=None),
    "newer format": lambda _: _signed(FIELDS, format=2),
    "no status": lambda _: _signed(FIELDS, status=None),
    "one field less": lambda _: _signed({key: FIELDS[key] for key in FIELDS if key != "epoch"}),
    "one field more": lambda _: _signed({**FIELDS, "resumed": True}),
    "unknown state, fitting checksum": lambda _: _signed({**FIELDS, "state": "TRADING"}),
    "state of another type": lambda _: _signed({**FIELDS, "state": ["ACTIVE"]}),
    "unknown actor": lambda _: _signed({**FIELDS, "by": "nobody"}),
    "epoch true": lambda _: _signed({**FIELDS, "epoch": True}),
    "epoch negative": lambda _: _signed({**FIELDS, "epoch": -1}),
    "epoch of text": lambda _: _signed({**FIELDS, "epoch": "7"}),
    "reason null": lambda _: _signed({**FIELDS, "reason": None}),
    "no date": lambda _: _signed({**FIELDS, "since": "yesterday"}),
    "date of a number": lambda _: _signed({**FIELDS, "since": 5}),
    "duplicate key": lambda good: good.replace(b'"format": 1,', b'"format": 1, "format": 1,'),
    "not JSON": lambda _: b"ACTIVE\n",
    "JSON list": lambda _: b"[]\n",
    "JSON null": lambda _: b"null\n",
    "byte order mark": lambda good: b"\xef\xbb\xbf" + good,
    "UTF-16": lambda good: good.decode().encode("utf-16"),
    "not text": lambda _: bytes(range(128, 256)),
    "nested without end": lambda _: b"[" * 60_000,
    "huge": lambda good: good + b" " * 70_000,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_latch_is_never_trusted(path: Path, damage: Callable[[bytes], bytes]) -> None:
    store = FileLatchStore(path)
    store.save(ACTIVE)
    good = path.read_bytes()
    assert damage(good) != good
    path.write_bytes(damage(good))
    reading = store.load()
    assert reading.status is None
    assert not reading.first_use
    assert str(path) in str(reading.fault)


@pytest.mark.timeout(20)
def test_a_pipe_in_its_place_holds_nothing_up(path: Path) -> None:
    FileLatchStore(path).save(ACTIVE)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
    reading = FileLatchStore(path).load()
    assert (reading.status, reading.first_use) == (None, False)
    FileLatchStore(path).save(ACTIVE)
    assert FileLatchStore(path).load().status == ACTIVE


def test_every_single_flipped_bit_is_found(path: Path) -> None:
    store = FileLatchStore(path)
    store.save(ACTIVE)
    good = path.read_bytes()
    for place in range(len(good)):
        for bit in (0x01, 0x20, 0x80):
            path.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
            assert store.load().status is None, f"byte {place}, bit {bit:#x}"


def test_every_shorter_file_is_found(path: Path) -> None:
    store = FileLatchStore(path)
    store.save(ACTIVE)
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        assert store.load().status is None, f"{length} bytes"


def test_a_folder_or_a_dead_link_in_its_place_is_a_fault(path: Path) -> None:
    path.mkdir()
    assert "cannot be read" in str(FileLatchStore(path).load().fault)
    path.rmdir()
    path.symlink_to(path.parent / "gone")
    assert "missing" in str(FileLatchStore(path).load().fault)


def test_a_failed_save_is_said_and_leaves_the_old_latch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileLatchStore(path)
    store.save(ACTIVE)
    old = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(TradingStatus(TradingState.REDUCING, 7, "pause", Actor.OPERATOR, SINCE))
    assert path.read_bytes() == old
    with pytest.raises(OSError, match="No such file"):
        FileLatchStore(path.parent / "no folder" / "latch.json").save(ACTIVE)


def test_a_half_written_file_of_a_crash_is_not_read(path: Path) -> None:
    FileLatchStore(path).save(ACTIVE)
    path.with_name("latch.json.part").write_bytes(b'{"format": 1, "sta')
    assert FileLatchStore(path).load() == LatchReading(ACTIVE, None)
    halted = TradingStatus(TradingState.HALTED, 7, "stop", Actor.LIMIT, SINCE)
    FileLatchStore(path).save(halted)
    assert FileLatchStore(path).load() == LatchReading(halted, None)


HALTED = TradingStatus(TradingState.HALTED, 7, "the disk is full", Actor.SYSTEM, SINCE)


def full_disk(monkeypatch: pytest.MonkeyPatch, *, takes: int) -> None:
    """A disk that gives no room to a new file, and `takes` bytes to one that is there."""

    def refuse(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write = os.write
    monkeypatch.setattr(latch_file, "replace_durably", refuse)
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:takes]))


def test_a_stop_is_kept_on_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FileLatchStore(path).save(ACTIVE)
    with monkeypatch.context() as full:
        full_disk(full, takes=4096)
        FileLatchStore(path).save(HALTED)
    assert FileLatchStore(path).load() == LatchReading(HALTED, None)


@pytest.mark.parametrize("takes", [0, 50])
def test_a_stop_that_no_disk_takes_leaves_nothing_that_says_otherwise(
    path: Path, monkeypatch: pytest.MonkeyPatch, takes: int
) -> None:
    FileLatchStore(path).save(ACTIVE)
    with monkeypatch.context() as full:
        full_disk(full, takes=takes)
        with pytest.raises(OSError, match="No space"):
            FileLatchStore(path).save(HALTED)
    reading = FileLatchStore(path).load()
    assert (reading.status, reading.first_use) == (None, False)


def test_only_a_stop_is_written_over_what_stands(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FileLatchStore(path).save(HALTED)
    with monkeypatch.context() as full:
        full_disk(full, takes=4096)
        with pytest.raises(OSError, match="No space"):
            FileLatchStore(path).save(ACTIVE)
    assert FileLatchStore(path).load().status == HALTED
    other = path.with_name("never.json")
    with monkeypatch.context() as full:
        full_disk(full, takes=4096)
        with pytest.raises(OSError, match="No space"):
            FileLatchStore(other).save(HALTED)
    assert not other.exists()
