"""Conversations of the executor's half of a session, scripted message by message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.protocol.ea_client_session import (
    HELD_UP,
    NO_ANSWER,
    Answered,
    Beat,
    Event,
    ExecutorSession,
    Identity,
    LateReply,
    Lost,
    Opened,
    Phase,
    Refused,
    TimedOut,
)

NONCE, INSTANCE, SID, BOOT = "0" * 32, "1" * 32, "2" * 32, "3" * 32
WALL = 1_700_000_000_000


def session(role: str = "command", epoch: int = 7) -> ExecutorSession:
    return ExecutorSession(
        identity=Identity(INSTANCE, "exec_001", "0.1.0"),
        role=role,
        nonce=NONCE,
        epoch=epoch,
        wall=WALL,
        started=100.0,
    )


def sent(by: ExecutorSession) -> list[dict[str, Any]]:
    return [json.loads(body) for body in by.take_frames()]


def reply(re: int, data: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "v": 1, "from": "terminal", "sid": SID, "re": re, "cid": None, "ok": True, "code": None, "message": None,
        "data": dict(data or {}),
    } | changes  # fmt: skip


def welcome(**changes: Any) -> dict[str, Any]:
    data = {
        "nonce": NONCE, "boot": BOOT, "terminal": "t", "login": "1", "epoch": 7, "stopped": False, "stop_reason": None,
        "mode": "full", "protocol": 1,
    }  # fmt: skip
    return reply(0, data | changes)


def opened(at: float = 100.0) -> ExecutorSession:
    """A session that was opened at once, its first heartbeat answered."""
    it = session()
    it.receive(welcome(), at)
    events = it.receive(reply(1, {"trade_seq": 4}), at)
    assert [type(event) for event in events] == [Opened, Beat]
    it.take_frames()
    return it


def test_the_greeting_names_role_nonce_and_instance() -> None:
    (hello,) = sent(session())
    assert (hello["cmd"], hello["sid"], hello["id"], hello["ttl"], hello["ts"]) == (
        "hello",
        "",
        0,
        2000,
        WALL,
    )
    assert hello["args"] == {
        "nonce": NONCE, "role": "command", "instance": INSTANCE, "executor": "exec_001", "version": "0.1.0",
    }  # fmt: skip


def test_a_session_is_open_once_the_terminal_has_answered_on_it() -> None:
    it = session()
    it.take_frames()
    assert it.receive(welcome(), 100.5) == []
    assert it.phase is Phase.CONFIRMING
    (first,) = sent(it)
    assert (first["cmd"], first["sid"], first["id"], first["epoch"]) == ("heartbeat", SID, 1, 7)
    with pytest.raises(ValueError, match="not open"):
        it.request("open", {}, ttl=1, timeout=1, now=100.5)
    up, beat = it.receive(reply(1, {"trade_seq": 4}), 100.75)
    assert isinstance(up, Opened)
    assert (up.welcome.sid, up.welcome.boot, up.heartbeat) == (SID, BOOT, {"trade_seq": 4})
    assert beat == Beat({"trade_seq": 4}, 0.25)


def test_an_answer_to_another_greeting_is_ignored() -> None:
    it = session()
    assert it.receive(welcome(nonce="f" * 32), 100.1) == []
    assert it.phase is Phase.GREETING
    assert it.counters.foreign == 1


@pytest.mark.parametrize("changes", [{"boot": None}, {"epoch": "7"}, {"stopped": 1}])
def test_a_greeting_that_cannot_be_understood_ends_the_session(changes: dict[str, Any]) -> None:
    (lost,) = session().receive(welcome(**changes), 100.1)
    assert isinstance(lost, Lost)


def test_a_terminal_of_a_higher_epoch_is_not_even_asked() -> None:
    it = session()
    it.take_frames()
    (refused,) = it.receive(welcome(epoch=8), 100.1)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.epoch) == ("EPOCH_TOO_LOW", 8)
    assert it.take_frames() == []


@pytest.mark.parametrize("at_greeting", [True, False])
def test_a_refusal_closes_with_its_code(at_greeting: bool) -> None:
    it = session()
    if not at_greeting:
        it.receive(welcome(), 100.1)
    (refused,) = it.receive(
        reply(0 if at_greeting else 1, ok=False, code="SESSION_TAKEN", message="another executor"), 100.2
    )
    assert refused == Refused("SESSION_TAKEN", "another executor", None)
    assert it.phase is Phase.CLOSED
    assert it.receive(welcome(), 100.3) == []


def test_a_greeting_without_an_answer_is_given_up_after_two_seconds() -> None:
    it = session()
    assert it.next_tick() == 102.0
    assert it.tick(101.99) == []
    assert it.tick(102.0) == [Lost(NO_ANSWER, answered=False)]


def test_the_stop_role_is_open_at_once_and_takes_the_terminals_epoch_for_its_heartbeats() -> None:
    it = session("stop", epoch=0)
    it.take_frames()
    (up,) = it.receive(welcome(), 100.1)
    assert isinstance(up, Opened)
    assert [frame["epoch"] for frame in sent(it)] == [7]
    _, body = it.request("stop", {}, ttl=1000, timeout=1, now=100.2, epoch=3)
    assert json.loads(body)["epoch"] == 3


def test_numbers_rise_and_the_session_clock_ignores_the_wall() -> None:
    it = opened()
    numbers = []
    for step in range(3):
        number, body = it.request("open", {"a": 1}, ttl=4870, timeout=10, now=100 + step / 8, cid=f"c{step}")
        frame = json.loads(body)
        numbers.append(number)
        assert (frame["id"], frame["cid"], frame["sid"], frame["ttl"]) == (number, f"c{step}", SID, 4870)
        assert frame["ts"] == WALL + 125 * step
    assert numbers == [2, 3, 4]


def test_each_request_is_answered_once() -> None:
    it = opened()
    number, _ = it.request("open", {}, ttl=1, timeout=10, now=100.0, cid="c1")
    (answer,) = it.receive(reply(number, cid="c1"), 100.5)
    assert isinstance(answer, Answered)
    assert (answer.id, answer.round_trip) == (number, 0.5)
    assert it.receive(reply(number, cid="c1"), 100.6) == []
    assert it.counters.repeated == 1


@pytest.mark.parametrize(
    "strange",
    [
        {"sid": "9" * 32},
        {"re": 99},
        {"re": 0},
        {"cid": "another"},
        {"from": "executor"},
        {"ok": "yes"},
        {"data": []},
    ],
)
def test_a_strange_reply_settles_nothing(strange: dict[str, Any]) -> None:
    it = opened()
    number, _ = it.request("open", {}, ttl=1, timeout=10, now=100.0, cid="c1")
    assert it.receive(reply(number, cid="c1") | strange, 100.5) == []
    assert it.waiting == 1
    assert it.counters.foreign + it.counters.malformed == 1
    assert len(it.receive(reply(number, cid="c1"), 100.6)) == 1


def test_a_late_reply_is_a_hint_after_the_time_out() -> None:
    it = opened()
    number, _ = it.request("open", {}, ttl=1, timeout=0.5, now=100.0)
    assert it.next_tick() == 100.5
    assert it.tick(100.5) == [TimedOut(number)]
    (late,) = it.receive(reply(number), 100.75)
    assert isinstance(late, LateReply)
    assert (late.id, late.cmd) == (number, "open")
    assert it.receive(reply(number), 100.8) == []
    assert (it.counters.late, it.counters.repeated) == (1, 1)


def test_what_did_not_leave_never_times_out() -> None:
    it = opened()
    number, _ = it.request("open", {}, ttl=1, timeout=0.5, now=100.0)
    it.forget(number)
    assert it.tick(100.9) == []


def beats(it: ExecutorSession, until: float, *, answered: bool) -> list[Event]:
    """Tick whenever it is due."""
    events: list[Event] = []
    while not events and it.next_tick() <= until:
        now = it.next_tick()
        events += it.tick(now)
        for frame in sent(it):
            if answered:
                it.receive(reply(frame["id"]), now)
    return events


def test_a_heartbeat_every_second_keeps_it_open() -> None:
    it = opened()
    assert beats(it, 160.0, answered=True) == []
    assert it.is_open


def test_three_seconds_of_silence_end_it() -> None:
    it = opened()
    (lost,) = beats(it, 104.0, answered=False)
    assert isinstance(lost, Lost)
    assert lost.answered
    assert it.next_tick() >= 103.0


def test_replies_to_trades_are_words_too() -> None:
    it = opened()
    it.tick(101.0)
    number, _ = it.request("open", {}, ttl=1, timeout=10, now=101.0)
    it.tick(102.0)
    it.receive(reply(number), 102.9)
    assert it.tick(105.8) == []
    assert len(it.tick(105.9)) == 1


def test_a_program_that_was_held_up_asks_before_it_believes_in_silence() -> None:
    it = opened()
    assert it.tick(106.0) == []
    (frame,) = sent(it)
    assert frame["cmd"] == "heartbeat"
    assert it.tick(107.9) == []
    it.receive(reply(frame["id"]), 107.95)
    assert it.tick(108.5) == []


def test_a_program_that_was_held_up_past_the_terminals_patience_begins_anew() -> None:
    assert opened().tick(110.0) == [Lost(HELD_UP, answered=True)]


def test_a_trade_refused_for_our_silence_ends_the_session_that_cannot_trade() -> None:
    it = opened()
    number, _ = it.request("open", {}, ttl=1, timeout=10, now=100.0)
    answer, lost = it.receive(reply(number, ok=False, code="EXECUTOR_SILENT"), 100.1)
    assert isinstance(answer, Answered)
    assert lost == Lost(HELD_UP, answered=True)


def test_a_closed_session_says_and_hears_nothing() -> None:
    it = opened()
    number, _ = it.request("open", {}, ttl=1, timeout=0.1, now=100.0)
    it.tick(101.0)
    it.close("the connection broke")
    assert it.take_frames() == []
    assert it.receive(reply(number), 101.0) == []
    assert it.tick(200.0) == []


def test_a_greeting_that_was_read_late_gives_no_command_a_longer_life() -> None:
    """The terminal's session clock starts when it reads the greeting: 0.75 s late here."""
    it = session()
    it.receive(welcome(), 101.0)
    it.take_frames()
    read = 100.75

    def written(at: float) -> int:
        _, body = it.request("open", {}, ttl=300, timeout=1, now=at)
        return int(json.loads(body)["ts"])

    it.receive(reply(1, {"trade_seq": 4}), 101.0)
    # What it reads is unknown, so the frame is as old as it may be: 0.75 s late at 1 s of round trip.
    assert written(101.5) == WALL + 500
    assert written(101.5) - WALL + read * 1000 <= 101_500
    it.tick(102.0)
    (beat,) = sent(it)
    it.receive(reply(beat["id"], {"clock": WALL + 1250}), 102.01)
    assert written(103.0) == WALL + 2240
    assert 102_980 <= written(103.0) - WALL + read * 1000 <= 103_000


@pytest.mark.parametrize("clock", [None, True, "1700000000000"])
def test_a_terminal_that_names_no_clock_is_taken_at_its_greeting(clock: object) -> None:
    it = session()
    it.receive(welcome(), 100.25)
    it.receive(reply(1, {"trade_seq": 4, "clock": clock}), 100.5)
    _, body = it.request("open", {}, ttl=300, timeout=1, now=101.0)
    assert json.loads(body)["ts"] == WALL + 750


def test_the_time_that_is_left_counts_from_the_look_at_the_clock() -> None:
    """A process frozen between that look and the frame would else hand the terminal the whole of it anew."""
    it = opened()
    _, body = it.request("open", {}, ttl=300, timeout=1, now=105.0, counted_from=101.0)
    assert json.loads(body)["ts"] == WALL + 1000
