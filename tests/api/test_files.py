"""Tokens and the runtime file: real files, their modes, and what is made of damaged ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.api import runtime_file, tokens
from app.api.client import EngineNotRunning, find_engine
from app.api.runtime_file import RuntimeInfo, process_alive
from app.api.tokens import Scope, Tokens
from app.domain.errors import ConfigurationError, SecretMissing

INFO = RuntimeInfo(os.getpid(), 5557, 5558, "2026-11-20T12:00:00Z", "0.1.0")


def test_tokens_are_made_once_for_this_user_alone(tmp_path: Path) -> None:
    control, read = tmp_path / "new" / "api.token", tmp_path / "new" / "api.token.read"
    made = tokens.load_or_make(control, read)
    assert made.control != made.read
    assert min(len(made.control), len(made.read)) >= 43
    assert (control.stat().st_mode & 0o777, read.stat().st_mode & 0o777) == (0o600, 0o600)
    assert not tokens.readable_by_others(control)
    assert tokens.load_or_make(control, read) == made
    control.chmod(0o640)
    assert tokens.readable_by_others(control)


def test_a_token_that_someone_prepared_is_kept(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("prepared-by-a-script-1\n")
    assert tokens.load_or_make(tmp_path / "t", tmp_path / "t.read").control == "prepared-by-a-script-1"


def test_scopes_follow_the_token() -> None:
    both = Tokens("c" * 20, "r" * 20)
    assert [both.scope_of(text) for text in ("c" * 20, "r" * 20, "", "c" * 19, "ü" * 20)] == [
        Scope.CONTROL,
        Scope.READ,
        None,
        None,
        None,
    ]
    assert "c" * 20 not in repr(both)


@pytest.mark.parametrize("content", [b"", b"short", b"two words in here now", b"\xff\xfe" * 20])
def test_a_file_without_a_token_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(SecretMissing, match="token"):
        tokens.read_token(tmp_path / "t")
    with pytest.raises(ConfigurationError):
        tokens.load_or_make(tmp_path / "t", tmp_path / "r")


def test_the_same_token_for_both_scopes_is_refused(tmp_path: Path) -> None:
    for name in ("t", "r"):
        (tmp_path / name).write_text("x" * 20)
    with pytest.raises(ConfigurationError, match="same token"):
        tokens.load_or_make(tmp_path / "t", tmp_path / "r")


def test_an_announcement_survives_its_way_to_disk_and_is_removed_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "engine.json"
    runtime_file.write(file, INFO)
    assert runtime_file.read(file) == INFO
    assert [entry.name for entry in tmp_path.iterdir()] == ["engine.json"]
    runtime_file.remove(file, INFO.pid + 1)
    assert file.exists()
    runtime_file.remove(file, INFO.pid)
    assert not file.exists()
    runtime_file.remove(file, INFO.pid)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"pid": "1"}', '{"pid": -1}', '{"pid": true}', '{"pid": 1, "pid": 2}']
)
def test_an_announcement_that_makes_no_sense_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "engine.json").write_text(content)
    assert runtime_file.read(tmp_path / "engine.json") is None


def test_a_dead_process_is_no_engine(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)
    assert process_alive(os.getpid())
    assert not process_alive(ended.pid)
    (tmp_path / "t").write_text("x" * 20)
    runtime_file.write(tmp_path / "engine.json", RuntimeInfo(ended.pid, 5557, 5558, "", ""))
    with pytest.raises(EngineNotRunning, match="ended without a farewell"):
        find_engine(tmp_path / "engine.json", tmp_path / "t")
    with pytest.raises(EngineNotRunning, match="has not been started"):
        find_engine(tmp_path / "absent.json", tmp_path / "t")
