"""Every way to stop from another process, tried in order, blocking, each with a short time-out. Made of plain sockets and files
on purpose: it must work when the engine's loop hangs, the API is gone, or nothing runs at all. It says only what is proved.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.api import runtime_file
from app.api.tokens import read_token
from app.domain.errors import InvalidValue, SecretMissing
from app.protocol import strict_json

STEP_TIMEOUT = 1.0
"""Seconds for each way: the stop thread answers within a third of that, and behind a frozen engine the terminal waits for us."""
_MOST_ANSWER = 65_536

TerminalStop = Callable[[str, bool | None, float], tuple[bool, str]]
"""(reason, close_positions, time-out in s) -> (acknowledged, detail): a stop frame straight to the EA."""


@dataclass(frozen=True, slots=True)
class StopPaths:
    """Where an executor keeps what a stop needs (Settings has all three)."""

    runtime_file: Path
    token_file: Path
    stop_file: Path


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """One way that was tried."""

    way: str
    """'stop socket' | 'local API' | 'stop file' | 'terminal'."""
    worked: bool
    detail: str


@dataclass(frozen=True, slots=True)
class StopStepLine:
    """One line of the engine's receipt."""

    at: str
    """RFC 3339, UTC."""
    how: str
    ok: bool


@dataclass(frozen=True, slots=True)
class StopReport:
    """What is proved, and how it was tried."""

    engine_latched: bool
    """The engine itself said so."""
    terminal_stopped: bool
    """The EA acknowledged, to us or to the engine."""
    stop_file_written: bool
    """A running engine latches when it sees it; a later one does not start un-halted."""
    epoch: int | None
    proofs: tuple[str, ...]
    todo: tuple[str, ...]
    attempts: tuple[StopAttempt, ...]
    unproved: tuple[str, ...] = ()
    """What the engine is still proving: 'terminal', 'orders', 'positions', 'disk'."""
    steps: tuple[StopStepLine, ...] = ()
    """What the engine did, in order."""


def request_stop(
    paths: StopPaths,
    *,
    reason: str,
    by: str,
    at: datetime,
    close_positions: bool | None = None,
    terminal: TerminalStop | None = None,
    timeout: float = STEP_TIMEOUT,
) -> StopReport:
    """Stop socket, then API; if neither acknowledges: stop file and terminal. Never raises."""
    attempts: list[StopAttempt] = []
    token, token_trouble = _token(paths.token_file)
    info = runtime_file.read(paths.runtime_file)
    answer = None
    if info is None or token is None:
        why = token_trouble or f"no engine has announced itself in {paths.runtime_file}"
        attempts.append(StopAttempt("stop socket", False, why))
    else:
        # A stale announcement is tried all the same: a refused connection costs nothing, a missed stop everything.
        ask: dict[str, Any] = {"token": token, "cmd": "stop", "reason": reason, "by": by}
        if close_positions is not None:
            ask["close_positions"] = close_positions
        answer = _try(attempts, "stop socket", lambda: _ask_socket(info.stop_port, ask, timeout))
        if answer is None:
            body = {"reason": reason, "by": by, "close_positions": close_positions}
            answer = _try(attempts, "local API", lambda: _ask_api(info.api_port, token, body, timeout))
    if answer is not None:
        proofs = _words(answer.get("proofs"))
        return StopReport(
            engine_latched=True,
            terminal_stopped=any("terminal acknowledged" in proof for proof in proofs),
            stop_file_written=False,
            epoch=_epoch(answer),
            proofs=proofs,
            todo=_words(answer.get("todo")),
            attempts=tuple(attempts),
            unproved=_words(answer.get("unproved")),
            steps=_steps(answer.get("steps")),
        )
    return _without_engine(paths, attempts, reason, by, at, close_positions, terminal, timeout)


def _without_engine(
    paths: StopPaths,
    attempts: list[StopAttempt],
    reason: str,
    by: str,
    at: datetime,
    close_positions: bool | None,
    terminal: TerminalStop | None,
    timeout: float,
) -> StopReport:
    written = _write_stop_file(attempts, paths.stop_file, reason, by, at, close_positions)
    acknowledged = False
    if terminal is not None:
        acknowledged, detail = terminal(reason, close_positions, timeout)
        attempts.append(StopAttempt("terminal", acknowledged, detail))
    proofs = []
    todo = []
    if written:
        proofs.append(f"stop file written: {paths.stop_file}")
    else:
        todo.append(f"Create the file {paths.stop_file} by hand: while it exists the engine stays halted.")
    if acknowledged:
        proofs.append("terminal acknowledged")
    else:
        todo.append(
            "Switch off 'Algo Trading' in MetaTrader 5: nothing proves that the terminal has stopped."
        )
    return StopReport(False, acknowledged, written, None, tuple(proofs), tuple(todo), tuple(attempts))


def ask_status(paths: StopPaths, *, timeout: float = STEP_TIMEOUT) -> StopReport | None:
    """What the stop thread says now; None: it does not answer. Never raises."""
    token, _trouble = _token(paths.token_file)
    info = runtime_file.read(paths.runtime_file)
    if info is None or token is None:
        return None
    try:
        answer = _ask_socket(info.stop_port, {"token": token, "cmd": "status"}, timeout)
    except (OSError, InvalidValue):
        return None
    proofs = _words(answer.get("proofs"))
    return StopReport(
        engine_latched=answer.get("latched") is True,
        terminal_stopped=any("terminal acknowledged" in proof for proof in proofs),
        stop_file_written=paths.stop_file.exists(),
        epoch=_epoch(answer),
        proofs=proofs,
        todo=_words(answer.get("todo")),
        attempts=(),
        unproved=_words(answer.get("unproved")),
        steps=_steps(answer.get("steps")),
    )


# ------------------------------------------------------------------ the ways


def _try(attempts: list[StopAttempt], way: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        answer = ask()
    except (OSError, http.client.HTTPException, InvalidValue) as fault:
        attempts.append(StopAttempt(way, False, str(fault) or type(fault).__name__))
        return None
    if answer.get("latched") is not True:
        said = answer.get("message") or answer.get("error") or "the engine did not say that it latched"
        attempts.append(StopAttempt(way, False, str(said)))
        return None
    attempts.append(StopAttempt(way, True, "latched"))
    return answer


def _ask_socket(port: int, ask: dict[str, Any], timeout: float) -> dict[str, Any]:
    """One line out, one line in. Raises OSError or InvalidValue."""
    if port == 0:
        raise ConnectionRefusedError("the engine has no stop socket")
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(json.dumps(ask).encode() + b"\n")
        received = bytearray()
        while not received.endswith(b"\n"):
            part = connection.recv(4096)
            received += part
            if not part or len(received) > _MOST_ANSWER:
                break
    return strict_json.loads(bytes(received).strip())


def _ask_api(port: int, token: str, ask: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Raises OSError, HTTPException or InvalidValue."""
    if port == 0:
        raise ConnectionRefusedError("the engine has no local API")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(
            "POST",
            "/emergency-stop",
            json.dumps(ask),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        return strict_json.loads(connection.getresponse().read(_MOST_ANSWER))
    finally:
        connection.close()


def _write_stop_file(
    attempts: list[StopAttempt], file: Path, reason: str, by: str, at: datetime, close_positions: bool | None
) -> bool:
    content = {"reason": reason, "by": by, "at": at.isoformat(), "close_positions": close_positions}
    try:
        runtime_file.replace_file(file, json.dumps(content) + "\n")
    except OSError as fault:
        attempts.append(StopAttempt("stop file", False, f"{file}: {fault.strerror or fault}"))
        return False
    attempts.append(StopAttempt("stop file", True, str(file)))
    return True


# ------------------------------------------------------------------ reading answers


def _token(file: Path) -> tuple[str | None, str | None]:
    try:
        return read_token(file), None
    except SecretMissing as fault:
        return None, str(fault)


def _steps(value: object) -> tuple[StopStepLine, ...]:
    """Of a running engine of another version: whatever of it can be read."""
    if not isinstance(value, list):
        return ()
    return tuple(
        StopStepLine(str(item.get("at", "")), str(item.get("how", "")), item.get("ok") is True)
        for item in value
        if isinstance(item, dict)
    )


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _epoch(answer: dict[str, Any]) -> int | None:
    epoch = answer.get("epoch")
    return epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None
