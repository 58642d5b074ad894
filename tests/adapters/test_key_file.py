"""The key file: made once, whole, for this user alone; anything else is said clearly."""

from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.adapters.key_file import load_key, load_or_create_key
from app.domain.errors import ConfigurationError
from app.sim.key_file import load_or_make_key


def test_the_file_is_made_for_this_user_alone_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "terminal.key"
    key = load_or_create_key(path)
    assert len(key) == 32
    assert path.read_text().strip() == key.hex()
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(path) == key
    assert load_key(path) == key
    assert os.listdir(path.parent) == ["terminal.key"]


def test_two_that_start_together_get_one_key(tmp_path: Path) -> None:
    path = tmp_path / "terminal.key"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_create_key(path), range(16)))
    assert len(set(keys)) == 1


def test_executor_and_simulated_terminal_understand_each_others_file(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a.key", tmp_path / "b.key"
    assert load_or_create_key(ours) == load_or_make_key(ours)
    assert load_or_make_key(theirs) == load_or_create_key(theirs)


@pytest.mark.parametrize(
    "content", [b"", b"ab", b"A" * 64, b"0" * 63, b"0" * 65, b"0" * 64 + b"\nmore", b"\xff" * 64]
)
def test_a_file_that_holds_no_key_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "terminal.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="64 lower-case hex digits"):
        load_or_create_key(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "terminal.key"
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="other users of this machine"):
        load_key(path)


def test_what_cannot_be_read_or_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_key(tmp_path / "absent.key")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_or_create_key(tmp_path)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        load_or_create_key(file / "terminal.key")
