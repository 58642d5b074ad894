"""The stop client against the engine's real stop thread: both ends of one small protocol, over a real socket."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.broker import FakeStopChannel

from app.adapters.latch_file import FileLatchStore
from app.adapters.system_clock import SystemClock
from app.api import runtime_file
from app.api.runtime_file import RuntimeInfo
from app.api.stop_client import StopPaths, ask_status, request_stop
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.engine.broker import StopAnswer
from app.engine.latch import Latch
from app.engine.stop import StopOrder, StopThread

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOKEN = "stop-token-0123456789"


class Beside:
    """A stop thread with its engine's files, announced."""

    def __init__(self, folder: Path) -> None:
        self.channel = FakeStopChannel()
        self.orders: list[StopOrder] = []
        self.paths = StopPaths(folder / "engine.json", folder / "api.token", folder / "STOP")
        self.thread = StopThread(
            latch=Latch(TradingStatus(TradingState.ACTIVE, 7, "started", Actor.OPERATOR, AT)),
            store=FileLatchStore(folder / "latch.json"),
            channel=self.channel,
            clock=SystemClock(),
            stop_file=self.paths.stop_file,
            token=TOKEN,
            close_positions=False,
            on_stopped=self.orders.append,
        )
        self.paths.token_file.write_text(TOKEN)
        runtime_file.write(
            self.paths.runtime_file, RuntimeInfo(os.getpid(), 0, self.thread.port, "", "0.1.0")
        )


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    beside = Beside(tmp_path)
    beside.thread.start()
    yield beside
    beside.thread.close()


def test_a_press_latches_and_proves_without_loop_or_api(beside: Beside) -> None:
    report = request_stop(
        beside.paths, reason="fire", by="ann", at=AT, close_positions=True, terminal=None, timeout=5
    )
    assert (report.engine_latched, report.terminal_stopped, report.epoch) == (True, True, 7)
    assert beside.thread.latch.state is TradingState.HALTED
    assert [(order.reason, order.close_positions) for order in beside.orders] == [("fire", True)]
    assert beside.channel.sent[0]["close_positions"] is True
    assert not beside.paths.stop_file.exists()


def test_a_silent_terminal_is_not_called_stopped(beside: Beside) -> None:
    beside.channel.answer = StopAnswer(acknowledged=False, detail="no terminal listens")
    report = request_stop(beside.paths, reason="fire", by="ann", at=AT, timeout=5)
    assert (report.engine_latched, report.terminal_stopped) == (True, False)
    again = ask_status(beside.paths, timeout=5)
    assert again is not None
    assert (again.engine_latched, again.terminal_stopped) == (True, False)


def test_a_status_stops_nothing(beside: Beside) -> None:
    status = ask_status(beside.paths, timeout=5)
    assert status is not None
    assert not status.engine_latched
    assert beside.orders == []


def test_a_wrong_token_gets_no_word_and_the_file_stops_all_the_same(beside: Beside) -> None:
    beside.paths.token_file.write_text("another-token-0123456789")
    report = request_stop(beside.paths, reason="fire", by="ann", at=AT, timeout=5)
    assert not report.engine_latched
    assert report.stop_file_written
    assert json.loads(beside.paths.stop_file.read_text())["reason"] == "fire"
    # The thread looks for the file at least every 50 ms, and at each request.
    beside.paths.token_file.write_text(TOKEN)
    answers = (ask_status(beside.paths, timeout=5) for _ in range(1000))
    assert any(status is not None and status.engine_latched for status in answers)
    assert beside.orders[0].reason == "stop file: fire"
