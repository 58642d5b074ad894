"""The stop works while everything else does not: from any thread, with the loop blocked, against garbage and floods."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.engine.broker import StopAnswer
from app.engine.latch import Latch
from app.engine.stop import BY_HAND, StopOrder, StopThread
from app.engine.stop_story import CANCEL_BY_HAND
from tests.engine.bench import MemoryLatchStore, running
from tests.fakes.broker import FakeStopChannel
from tests.fakes.clock import FakeClock

TOKEN = "t" * 32
SILENT = StopAnswer(acknowledged=False, detail="no answer")


class Room:
    """A stop thread with nothing of an engine around it."""

    def __init__(self, tmp_path: Path, state: TradingState = TradingState.ACTIVE) -> None:
        self.clock = FakeClock()
        self.latch = Latch(TradingStatus(state, 3, "start", Actor.SYSTEM, self.clock.now()))
        self.store = MemoryLatchStore()
        self.channel = FakeStopChannel()
        self.file = tmp_path / "STOP"
        self.told: list[StopOrder] = []
        self.loop_is_gone = False
        self.thread = StopThread(
            latch=self.latch,
            store=self.store,
            channel=self.channel,
            clock=self.clock,
            stop_file=self.file,
            token=TOKEN,
            close_positions=False,
            on_stopped=self._stopped,
        )

    def _stopped(self, order: StopOrder) -> None:
        if self.loop_is_gone:
            raise RuntimeError("no loop")
        self.told.append(order)

    def done(self) -> None:
        """Everything pressed until now has been carried out: a save comes after it."""
        self.thread.save().result(timeout=10)

    def ask(self, **request: Any) -> dict[str, Any]:
        with self.connect() as line:
            return exchange(line, {"token": TOKEN, **request})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.thread.port), timeout=10)


def exchange(line: socket.socket, request: object) -> dict[str, Any]:
    line.sendall(json.dumps(request).encode() + b"\n")
    reply: dict[str, Any] = json.loads(line.makefile("rb").readline())
    return reply


@contextmanager
def room_in(tmp_path: Path, **fields: Any) -> Iterator[Room]:
    room = Room(tmp_path, **fields)
    room.thread.start()
    try:
        yield room
    finally:
        room.thread.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with room_in(tmp_path) as made:
        yield made


# ------------------------------------------------------------------ a press


def test_a_press_from_another_thread_latches_before_it_returns(room: Room) -> None:
    seen: list[TradingState] = []

    def press() -> None:
        room.thread.engage(reason="test", by=Actor.OPERATOR)
        seen.append(room.latch.state)

    presser = threading.Thread(target=press)
    presser.start()
    presser.join(10)
    assert seen == [TradingState.HALTED]
    room.done()
    assert room.store.saved[0].state is TradingState.HALTED
    assert room.channel.sent[0]["reason"] == "test"
    assert (room.channel.sent[0]["epoch"], room.channel.sent[0]["cancel_orders"]) == (3, True)
    assert room.told[0].reason == "test"
    receipt = room.thread.receipt()
    assert receipt is not None
    assert receipt.proofs == ("latched", "terminal acknowledged", "latch on disk")
    assert receipt.todo == ()


def test_who_stopped_first_stays_on_record(room: Room) -> None:
    room.thread.engage(reason="first", by=Actor.BRAIN)
    room.thread.engage(reason="second", by=Actor.OPERATOR)
    room.done()
    assert (room.latch.status.reason, room.latch.status.by) == ("first", Actor.BRAIN)
    assert [order.reason for order in room.told] == ["first", "second"]
    assert len(room.channel.sent) >= 2


def test_a_store_that_fails_is_said_and_the_latch_holds(room: Room) -> None:
    room.store.broken = True
    room.thread.engage(reason="test", by=Actor.OPERATOR)
    with pytest.raises(OSError, match="No space"):
        room.done()
    receipt = room.thread.receipt()
    assert receipt is not None
    assert "latch NOT on disk: No space left on device; it holds while this program runs" in receipt.proofs
    assert room.latch.state is TradingState.HALTED
    assert "terminal acknowledged" in receipt.proofs


def test_without_the_engines_loop_the_stop_is_carried_out_all_the_same(room: Room) -> None:
    room.loop_is_gone = True
    room.thread.engage(reason="test", by=Actor.OPERATOR)
    room.done()
    receipt = room.thread.receipt()
    assert receipt is not None
    assert "the engine's loop does not run; the latch holds" in receipt.proofs
    assert room.channel.sent
    assert room.store.saved


def test_an_unproved_stop_is_repeated_and_after_two_seconds_a_person_is_told_what_to_do(room: Room) -> None:
    room.channel.answer = SILENT
    room.thread.engage(reason="test", by=Actor.OPERATOR)
    room.done()
    receipt = room.thread.receipt()
    assert receipt is not None
    assert "terminal NOT acknowledged: no answer" in receipt.proofs
    assert receipt.todo == ()
    room.clock.advance(2.1)
    receipt = room.thread.receipt()
    assert receipt is not None
    assert receipt.todo == (*BY_HAND, *CANCEL_BY_HAND)
    sent = len(room.channel.sent)
    room.channel.answer = StopAnswer(acknowledged=True, detail="acknowledged")
    room.done()
    room.done()
    assert len(room.channel.sent) > sent
    receipt = room.thread.receipt()
    assert receipt is not None
    assert "terminal acknowledged" in receipt.proofs
    assert receipt.todo == CANCEL_BY_HAND  # nobody here can prove that
    sent = len(room.channel.sent)
    room.done()
    assert len(room.channel.sent) == sent  # heard once is enough


def test_no_receipt_while_nothing_is_latched(room: Room) -> None:
    assert room.thread.receipt() is None


def test_whether_positions_are_closed_is_the_presss_to_say_else_the_settings(room: Room) -> None:
    room.thread.engage(reason="a", by=Actor.OPERATOR)
    room.done()
    room.thread.engage(reason="b", by=Actor.OPERATOR, close_positions=True)
    room.done()
    assert [frame["close_positions"] for frame in room.channel.sent] == [False, True]


@pytest.mark.parametrize("after", ["remind", "second press"])
def test_a_request_to_close_positions_is_repeated_until_it_is_heard(room: Room, after: str) -> None:
    room.channel.answer = SILENT
    room.thread.engage(reason="close them", by=Actor.OPERATOR, close_positions=True)
    room.done()
    if after == "remind":
        room.thread.remind()
    else:
        room.thread.engage(reason="again", by=Actor.BRAIN)
    room.channel.answer = StopAnswer(acknowledged=True, detail="acknowledged")
    room.done()
    room.done()
    assert all(frame["close_positions"] for frame in room.channel.sent)


def test_remind_tells_a_terminal_that_does_not_know_and_only_while_stopped(room: Room) -> None:
    room.thread.remind()
    room.done()
    assert room.channel.sent == []
    room.thread.engage(reason="test", by=Actor.OPERATOR)
    room.done()
    assert len(room.channel.sent) == 1
    room.thread.remind()
    room.done()
    room.done()
    assert [frame["reason"] for frame in room.channel.sent] == ["test", "test"]


def test_forgetting_proofs_spares_a_stop_that_stands(room: Room) -> None:
    room.channel.answer = SILENT
    room.thread.engage(reason="test", by=Actor.OPERATOR)
    room.done()
    room.thread.forget_proofs()
    sent = len(room.channel.sent)
    room.done()
    room.done()
    assert len(room.channel.sent) > sent


# ------------------------------------------------------------------ the stop file


def file_stop(room: Room) -> TradingStatus:
    while room.latch.state is not TradingState.HALTED:
        room.done()
    room.done()
    return room.latch.status


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "stop file: found"),
        (b"  fire in the house \n", "stop file: fire in the house"),
        (b'{"reason":"by button"}', "stop file: by button"),
        (b'{"other":1}', "stop file: found"),
        (b"[1,2]", "stop file: found"),
        (b"\xff\xfe\x00", None),
        (b'{"reason":"\\ud800"}', "stop file: ?"),
        (b"[" * 5000, None),
        (b'{"reason":' + b"9" * 990, None),
    ],
)
def test_whatever_is_in_the_stop_file_its_presence_stops(
    room: Room, content: bytes, reason: str | None
) -> None:
    beside = room.file.with_name("STOP.new")
    beside.write_bytes(content)
    beside.rename(room.file)
    status = file_stop(room)
    assert status.by is Actor.OPERATOR
    assert status.reason.startswith("stop file: ")
    assert reason is None or status.reason == reason
    status.reason.encode()


def test_a_stop_file_that_stays_presses_once(room: Room) -> None:
    room.file.mkdir()
    file_stop(room)
    for _ in range(5):
        room.done()
    assert len(room.told) == 1
    assert room.thread.stop_file_exists()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to(path.with_name("pipe"))


def _link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize(
    ("put", "words"),
    [
        (Path.mkdir, "not a regular file"),
        *(
            [
                (_pipe, "not a regular file"),
                (_link_to_pipe, "not a regular file"),
                (_link_to_device, "not a regular file"),
                (_link_to_nothing, "not readable"),
            ]
            if hasattr(os, "mkfifo")
            else []
        ),
    ],
)
def test_what_is_no_file_stops_too_and_never_holds_the_thread_up(
    room: Room, put: Callable[[Path], None], words: str
) -> None:
    put(room.file)
    assert file_stop(room).reason == f"stop file: found, {words}"
    room.thread.engage(reason="again", by=Actor.OPERATOR)
    room.done()
    assert room.told[-1].reason == "again"
    assert room.thread.alive


def test_a_stop_file_from_before_the_start_stops_at_once(tmp_path: Path) -> None:
    (tmp_path / "STOP").write_text("still here", encoding="utf-8")
    with room_in(tmp_path) as room:
        assert file_stop(room).reason == "stop file: still here"


# ------------------------------------------------------------------ its socket


def test_a_stop_through_the_socket(room: Room) -> None:
    reply = room.ask(cmd="stop", reason="by script", close_positions=True)
    assert (reply["latched"], reply["state"], reply["epoch"], reply["reason"], reply["by"]) == (
        True,
        "HALTED",
        3,
        "by script",
        "operator",
    )
    assert reply["proofs"] == ["latched", "terminal acknowledged", "latch on disk"]
    assert room.channel.sent[0]["close_positions"] is True


def test_status_changes_nothing_and_other_words_are_answered(room: Room) -> None:
    with room.connect() as line:
        status = exchange(line, {"token": TOKEN, "cmd": "status"})
        assert (status["latched"], status["state"], status["proofs"], status["todo"]) == (
            False,
            "ACTIVE",
            [],
            [],
        )
        assert exchange(line, {"token": TOKEN, "cmd": "reset"}) == {"error": "cmd must be stop or status"}
    assert room.latch.state is TradingState.ACTIVE


@pytest.mark.parametrize("reason", [None, "", 5, ["a"], "\ud800", "x" * 3000])
@pytest.mark.parametrize("closing", ["yes", 1, None])
def test_odd_fields_still_stop(room: Room, reason: object, closing: object) -> None:
    reply = room.ask(cmd="stop", reason=reason, close_positions=closing)
    assert reply["latched"]
    assert len(reply["reason"]) <= 200
    assert room.channel.sent[0]["close_positions"] is False


STRANGERS: list[bytes] = [
    b"\n",
    b"GET / HTTP/1.1\r\n",
    b"null\n",
    b"[]\n",
    b"5\n",
    b'"stop"\n',
    b"{}\n",
    b'{"cmd":"stop"}\n',
    b'{"token":null,"cmd":"stop"}\n',
    b'{"token":"","cmd":"stop"}\n',
    b'{"token":"' + b"u" * 32 + b'","cmd":"stop"}\n',
    b'{"token":"' + b"t" * 31 + b'","cmd":"stop"}\n',
    b'{"token":"\\ud800","cmd":"stop"}\n',
    '{"token":"ü","cmd":"stop"}\n'.encode(),
    b'{"token":"' + b"t" * 32 + b'"}\n',
    b"[" * 4000 + b"\n",
    b'{"a":' * 700 + b"\n",
    b"1" * 4090 + b"\n",
    b"\xff\xfe\x00\n",
    b"\xef\xbb\xbf{}\n",
    b"x" * 5000,
    b"x" * 100_000,
]


@pytest.mark.parametrize("garbage", STRANGERS, ids=range(len(STRANGERS)))
def test_strangers_get_nothing_and_change_nothing(room: Room, garbage: bytes) -> None:
    with room.connect() as line:
        try:
            line.sendall(garbage)
            answer = line.recv(1000)
        except ConnectionError:
            answer = b""
        assert answer == b""
    assert room.latch.state is TradingState.ACTIVE
    assert room.told == []
    assert room.ask(cmd="stop", reason="after garbage")["latched"]


def test_silent_lines_do_not_keep_a_press_out(room: Room) -> None:
    lines = [room.connect() for _ in range(24)]
    try:
        for line in lines[::2]:
            line.sendall(b'{"token":')
        assert room.ask(cmd="stop", reason="through the crowd")["latched"]
    finally:
        for line in lines:
            line.close()


def test_slow_lines_are_hung_up_on_however_they_drip(room: Room) -> None:
    with room.connect() as slow:
        slow.sendall(b"{")
        room.ask(cmd="status")  # it has been accepted and read by now
        room.clock.advance(4.0)
        slow.sendall(b'"')
        room.ask(cmd="status")
        room.clock.advance(1.1)
        assert slow.recv(10) == b""


def test_a_request_in_pieces_is_one_request(room: Room) -> None:
    with room.connect() as line:
        text = json.dumps({"token": TOKEN, "cmd": "status"}).encode() + b"\n"
        for piece in (text[:1], text[1:20], text[20:]):
            line.sendall(piece)
            room.done()
        assert json.loads(line.makefile("rb").readline())["state"] == "ACTIVE"


def test_the_end_closes_everything_and_keeps_the_latch(tmp_path: Path) -> None:
    with room_in(tmp_path) as room:
        room.thread.engage(reason="last", by=Actor.OPERATOR)
        port = room.thread.port
    assert room.channel.closed
    assert room.store.saved[-1].state is TradingState.HALTED
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert room.thread.engage(reason="later", by=Actor.BRAIN).reason == "last"


# ------------------------------------------------------------------ beside a loop that hangs


async def test_a_blocked_loop_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    """The loop's thread itself waits for the stop's reply, so nothing of the engine can have helped."""
    async with running(tmp_path) as bench:
        waiting = await bench.send()
        port, frames, saved = bench.stop.port, len(bench.channel.sent), len(bench.store.saved)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            reply = exchange(line, {"token": TOKEN, "cmd": "stop", "reason": "loop hangs"})
        # No turn of the loop until here.
        assert reply["latched"]
        assert bench.core.latch.state is TradingState.HALTED
        assert [frame["reason"] for frame in bench.channel.sent[frames:]] == ["loop hangs"]
        assert [status.state for status in bench.store.saved[saved:]] == [TradingState.HALTED]
        assert "latch on disk" in reply["proofs"]
        assert reply["unproved"] == ["orders"], "the loop has not looked"
        assert [(step["what"], step["ok"]) for step in reply["steps"]] == [
            ("latch", True),
            ("terminal", True),
            ("disk", True),
        ]
        result = await bench.result(waiting)
        assert result.code == "STOPPED"
        assert bench.broker.sent == []


async def test_the_engine_tells_what_it_drained(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await asyncio.to_thread(bench.stop.engage, reason="x", by=Actor.OPERATOR)
        await bench.until(lambda: any(name == "stopped" for name, _ in bench.logged))
        await bench.pass_time(0.6)
        receipt = bench.stop.receipt()
        assert receipt is not None
        assert "queue drained: 0" in receipt.proofs
        assert "no pending orders left" in receipt.proofs
        assert "open positions: 0" in receipt.proofs


def test_a_stop_file_may_ask_to_close_positions_too(room: Room) -> None:
    beside = room.file.with_name("STOP.new")
    beside.write_text('{"reason": "flat, please", "close_positions": true}')
    beside.rename(room.file)
    file_stop(room)
    room.done()
    assert (room.told[0].reason, room.told[0].close_positions) == ("stop file: flat, please", True)
    assert room.channel.sent[0]["close_positions"] is True
