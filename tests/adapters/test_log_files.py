"""Log lines: their form for programs, and that no secret ever stands in one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from app.adapters.log_files import EventLog, set_up_logging
from app.domain.trading_state import TradingState

CANARY = "canary-0123456789"


@dataclass
class Log:
    folder: Path
    level: str = "info"


@dataclass
class Source:
    log: Log
    secrets: tuple[str, ...] = field(default=(CANARY,))


@pytest.fixture
def stdout() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(tmp_path: Path, stdout: io.StringIO) -> Iterator[EventLog]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield set_up_logging(Source(Log(tmp_path / "logs")), process="engine", stdout=stdout)
    logger.remove()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_event_is_one_json_line_on_stdout_and_in_the_file(log: EventLog, stdout: io.StringIO) -> None:
    log(
        "trading_state",
        state=TradingState.HALTED,
        volume=Decimal("0.10"),
        since=datetime(2026, 1, 2, tzinfo=UTC),
        ids={"b", "a"},
        text="two\nlines {braces}",
        odd=object(),
    )
    (line,) = lines(stdout.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "trading_state",
        "level": "info",
        "state": "HALTED",
        "volume": "0.10",
        "since": "2026-01-02T00:00:00.000Z",
        "ids": ["a", "b"],
        "text": "two\nlines {braces}",
        "odd": "<object>",
    }
    assert log.file is not None
    assert log.file.name == "engine.log"
    assert log.file.read_text(encoding="utf-8") == stdout.getvalue()


def test_the_first_key_of_a_line_is_the_event(log: EventLog, stdout: io.StringIO) -> None:
    log("ready")
    assert stdout.getvalue().startswith('{"event": "ready", ')


def test_less_than_the_level_is_left_out(log: EventLog, stdout: io.StringIO) -> None:
    log("detail", level="debug")
    assert stdout.getvalue() == ""


def test_secrets_are_masked_wherever_they_stand(log: EventLog, stdout: io.StringIO) -> None:
    log(
        f"event with {CANARY}",
        text=f"x{CANARY}y",
        deep={"list": [CANARY, f"Authorization: Bearer {'t' * 20}"]},
    )
    log("assigned", text="api_key=abcdefgh token: 'ijklmnop' password=qrstuvwx")
    try:
        secret = CANARY
        raise ValueError(f"bad key {secret}")
    except ValueError as fault:
        log("failed", level="error", fault=fault)
    text = stdout.getvalue()
    assert CANARY not in text
    for leaked in ("tttttttt", "abcdefgh", "ijklmnop", "qrstuvwx"):
        assert leaked not in text
    assert "bad key ***" in lines(text)[-1]["fault"]
    assert log.file is not None
    assert CANARY not in log.file.read_text(encoding="utf-8")


def test_a_traceback_shows_places_and_no_values(log: EventLog, stdout: io.StringIO) -> None:
    def inner(balance: int) -> None:
        raise RuntimeError("broken")

    try:
        inner(balance=987654321)
    except RuntimeError as fault:
        log("failed", level="error", fault=fault)
    (line,) = lines(stdout.getvalue())
    assert "in inner" in line["fault"]
    assert line["fault"].count("987654321") == line["fault"].count("inner(balance=987654321)")


def test_what_libraries_log_arrives_with_its_source(log: EventLog, stdout: io.StringIO) -> None:
    logging.getLogger("websockets.client").warning("odd %s", f"{CANARY} {{x}}")
    logging.getLogger("websockets.client").info("not wanted")
    (line,) = lines(stdout.getvalue())
    assert (line["event"], line["level"], line["source"]) == ("odd *** {x}", "warning", "websockets.client")


def test_a_folder_that_cannot_be_written_costs_the_file_alone(
    tmp_path: Path, stdout: io.StringIO, capsys: pytest.CaptureFixture[str], log: EventLog
) -> None:
    (tmp_path / "file").write_text("")
    second = set_up_logging(Source(Log(tmp_path / "file" / "logs")), process="engine", stdout=stdout)
    assert second.file is None
    assert "log.folder" in capsys.readouterr().err
    second("still here")
    assert lines(stdout.getvalue())[-1]["event"] == "still here"
