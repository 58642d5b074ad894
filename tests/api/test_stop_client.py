"""The ways to stop from another process, against scripted servers, dead ports and full disks."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.api import runtime_file
from app.api.runtime_file import RuntimeInfo
from app.api.stop_client import StopPaths, StopReport, TerminalStop, ask_status, request_stop

TOKEN = "stop-token-0123456789"
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATCHED = {"latched": True, "epoch": 7, "proofs": ["latched", "terminal acknowledged"], "todo": []}


@contextmanager
def scripted(answer: Callable[[bytes], bytes | None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads one request a connection and answers as told; None: it never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            request = connection.recv(65536)
            if not request:
                continue
            heard.append(request)
            reply = answer(request)
            if reply is not None:
                connection.sendall(reply)
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for connection in held:
            connection.close()


def line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def http(content: dict[str, Any], status: str = "200 OK") -> bytes:
    body = json.dumps(content).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def paths(tmp_path: Path) -> StopPaths:
    (tmp_path / "api.token").write_text(TOKEN + "\n")
    return StopPaths(tmp_path / "engine.json", tmp_path / "api.token", tmp_path / "STOP")


def announce(paths: StopPaths, stop_port: int, api_port: int) -> None:
    runtime_file.write(
        paths.runtime_file, RuntimeInfo(os.getpid(), api_port, stop_port, AT.isoformat(), "0.1.0")
    )


class Terminal:
    """Remembers stop frames."""

    def __init__(self, acknowledges: bool = True) -> None:
        self.frames: list[tuple[str, bool | None]] = []
        self._acknowledges = acknowledges

    def __call__(self, reason: str, close_positions: bool | None, _timeout: float) -> tuple[bool, str]:
        self.frames.append((reason, close_positions))
        return self._acknowledges, "acknowledged" if self._acknowledges else "no terminal listens"


def press(paths: StopPaths, terminal: TerminalStop | None = None, closing: bool | None = None) -> StopReport:
    return request_stop(
        paths, reason="fire", by="ann", at=AT, close_positions=closing, terminal=terminal, timeout=0.3
    )


def test_the_stop_socket_is_the_first_way_and_enough(paths: StopPaths) -> None:
    terminal = Terminal()
    with scripted(lambda _: line(LATCHED)) as (port, heard):
        announce(paths, port, dead_port())
        report = press(paths, terminal, closing=True)
    assert json.loads(heard[0]) == {
        "token": TOKEN,
        "cmd": "stop",
        "reason": "fire",
        "by": "ann",
        "close_positions": True,
    }
    assert (report.engine_latched, report.terminal_stopped, report.epoch) == (True, True, 7)
    assert report.proofs == ("latched", "terminal acknowledged")
    assert not paths.stop_file.exists()
    assert terminal.frames == []


def test_what_is_not_proved_is_not_claimed(paths: StopPaths) -> None:
    unproved = {
        **LATCHED,
        "proofs": ["latched", "terminal NOT acknowledged: no terminal listens"],
        "todo": ["by hand"],
    }
    with scripted(lambda _: line(unproved)) as (port, _):
        announce(paths, port, 0)
        report = press(paths)
    assert (report.engine_latched, report.terminal_stopped, report.todo) == (True, False, ("by hand",))


@pytest.mark.parametrize(
    "first",
    [
        None,
        b"",
        b"not json\n",
        line({"latched": False}),
        line({"error": "busy"}),
        line({"latched": "yes"}),
        b"{" * 100,
    ],
    ids=["silent", "hangs up", "garbage", "not latched", "error", "no boolean", "half"],
)
def test_the_api_is_the_second_way(paths: StopPaths, first: bytes | None) -> None:
    with scripted(lambda _: first) as (stop_port, _), scripted(lambda _: http(LATCHED)) as (api_port, heard):
        announce(paths, stop_port, api_port)
        report = press(paths)
    assert report.engine_latched
    assert [(attempt.way, attempt.worked) for attempt in report.attempts] == [
        ("stop socket", False),
        ("local API", True),
    ]
    assert heard[0].startswith(b"POST /emergency-stop HTTP/1.1\r\n")
    assert f"Authorization: Bearer {TOKEN}".encode() in heard[0]
    assert not paths.stop_file.exists()


def test_without_an_answer_the_file_is_written_and_the_terminal_told(paths: StopPaths) -> None:
    announce(paths, dead_port(), dead_port())
    terminal = Terminal()
    report = press(paths, terminal, closing=False)
    assert json.loads(paths.stop_file.read_text()) == {
        "reason": "fire",
        "by": "ann",
        "at": "2026-11-20T12:00:00+00:00",
        "close_positions": False,
    }
    assert terminal.frames == [("fire", False)]
    assert (report.engine_latched, report.stop_file_written, report.terminal_stopped) == (False, True, True)
    assert [attempt.way for attempt in report.attempts] == [
        "stop socket",
        "local API",
        "stop file",
        "terminal",
    ]


def test_a_refusing_api_is_no_stop(paths: StopPaths) -> None:
    refusal = http({"code": "TOKEN_REQUIRED", "message": "Send the token."}, "401 Unauthorized")
    with scripted(lambda _: refusal) as (api_port, _):
        announce(paths, 0, api_port)
        report = press(paths)
    assert not report.engine_latched
    assert report.stop_file_written
    assert "Send the token." in [attempt.detail for attempt in report.attempts]


def test_without_engine_or_token_there_is_still_the_file(tmp_path: Path) -> None:
    paths = StopPaths(
        tmp_path / "new" / "engine.json", tmp_path / "new" / "api.token", tmp_path / "new" / "STOP"
    )
    report = press(paths, Terminal(acknowledges=False))
    assert report.stop_file_written
    assert not report.terminal_stopped
    assert any("Algo Trading" in item for item in report.todo)


def test_a_folder_that_cannot_be_written_does_not_hinder_the_terminal(paths: StopPaths) -> None:
    blocked = StopPaths(paths.runtime_file, paths.token_file, paths.token_file / "STOP")
    terminal = Terminal()
    report = press(blocked, terminal)
    assert (report.stop_file_written, report.terminal_stopped) == (False, True)
    assert terminal.frames == [("fire", None)]
    assert any("by hand" in item for item in report.todo)


def test_two_that_stop_at_once_both_leave_a_whole_file(paths: StopPaths) -> None:
    reports: list[StopReport] = []
    threads = [threading.Thread(target=lambda: reports.append(press(paths))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [report.stop_file_written for report in reports] == [True] * 8
    assert json.loads(paths.stop_file.read_text())["reason"] == "fire"
    assert [file.name for file in paths.stop_file.parent.iterdir() if file.name.startswith(".STOP")] == []


def test_the_status_of_a_stop_can_be_asked_again(paths: StopPaths) -> None:
    with scripted(lambda _: line(LATCHED)) as (port, heard):
        announce(paths, port, 0)
        status = ask_status(paths, timeout=1)
    assert json.loads(heard[0]) == {"token": TOKEN, "cmd": "status"}
    assert status is not None
    assert status.terminal_stopped
    announce(paths, dead_port(), 0)
    assert ask_status(paths, timeout=0.3) is None
