"""Who may speak to a terminal, in which order and until when (EA_PROTOCOL §3), as scripted conversations."""

from __future__ import annotations

from itertools import count
from typing import Any

from app.protocol.ea_frames import Request
from app.protocol.ea_session import (
    MAX_PENDING,
    MAX_STOP_SESSIONS,
    Admitted,
    Dropped,
    Refused,
    TerminalSessions,
    Verdict,
)

A, B = "a" * 32, "b" * 32
NONCE = "0" * 32
START = 5_000_000
"""`ts` of every hello: the session clock may start anywhere."""


class Talk:
    """A terminal's sessions with a clock that the script moves."""

    def __init__(self, epoch: int = 0) -> None:
        numbers = count(1)
        self.sessions = TerminalSessions(epoch=epoch, new_sid=lambda: f"{next(numbers):032x}")
        self.now = 1000.0

    def hello(self, instance: str = A, role: str = "command", **args: Any) -> Verdict:
        given = {"nonce": NONCE, "role": role, "instance": instance, "executor": "exec_001"} | args
        return self.sessions.receive(Request("hello", 0, "", 0, START, 2000, given), self.now)

    def begin(self, instance: str = A, role: str = "command", epoch: int = 0) -> str:
        """A session that is active, with its first frame."""
        verdict = self.hello(instance, role)
        assert isinstance(verdict, Admitted)
        first = self.say(verdict.session.sid, "heartbeat", 1, epoch=epoch)
        assert isinstance(first, Admitted)
        assert first.activated
        return verdict.session.sid

    def say(
        self,
        sid: str,
        cmd: str = "open",
        number: int = 2,
        *,
        epoch: int = 0,
        ts: int = START,
        ttl: int = 5000,
    ) -> Verdict:
        return self.sessions.receive(Request(cmd, number, sid, epoch, ts, ttl), self.now)


def code(verdict: Verdict) -> str | None:
    assert isinstance(verdict, Refused)
    return verdict.reply.code


def test_a_hello_alone_changes_nothing() -> None:
    talk = Talk()
    sid = talk.begin(A)
    for _ in range(3):
        assert isinstance(talk.hello(A), Admitted)
    assert talk.sessions.command is not None
    assert talk.sessions.command.sid == sid
    assert isinstance(talk.say(sid), Admitted)


def test_pending_sessions_are_bounded() -> None:
    talk = Talk()
    sid = talk.begin(A)
    for _ in range(MAX_PENDING * 2):
        talk.hello(A)
    assert len(talk.sessions.pending) == MAX_PENDING
    assert isinstance(talk.say(sid), Admitted)


def test_numbers_must_rise() -> None:
    talk = Talk()
    sid = talk.begin()
    assert isinstance(talk.say(sid, number=7), Admitted)
    assert talk.say(sid, number=7) == Dropped("repeated or late number")
    assert talk.say(sid, number=3) == Dropped("repeated or late number")
    assert isinstance(talk.say(sid, number=8), Admitted)


def test_a_new_session_of_the_same_executor_ends_the_old_one() -> None:
    talk = Talk()
    old = talk.begin(A)
    new = talk.begin(A)
    assert isinstance(talk.say(old), Dropped)
    assert isinstance(talk.say(new), Admitted)


def test_an_older_hello_cannot_take_over_after_a_newer_one() -> None:
    talk = Talk()
    early = talk.hello(A)
    talk.now += 1
    new = talk.begin(A)
    assert isinstance(early, Admitted)
    assert isinstance(talk.say(early.session.sid, "heartbeat", 1), Dropped)
    assert isinstance(talk.say(new), Admitted)


def test_another_executor_has_to_wait_for_silence() -> None:
    talk = Talk()
    first = talk.begin(A)
    assert code(talk.hello(B)) == "SESSION_TAKEN"
    talk.now += 10.0
    assert code(talk.hello(B)) == "SESSION_TAKEN"
    talk.now += 0.1
    second = talk.begin(B)
    assert isinstance(talk.say(first), Dropped)
    assert isinstance(talk.say(second), Admitted)


def test_a_pending_session_cannot_take_a_terminal_that_was_taken_meanwhile() -> None:
    talk = Talk()
    waiting = talk.hello(B)
    assert isinstance(waiting, Admitted)
    talk.begin(A)
    assert code(talk.say(waiting.session.sid, "heartbeat", 1)) == "SESSION_TAKEN"


def test_a_bye_frees_the_terminal_at_once() -> None:
    talk = Talk()
    sid = talk.begin(A)
    assert isinstance(talk.say(sid, "bye"), Admitted)
    assert isinstance(talk.say(sid, number=3), Dropped)
    assert isinstance(talk.hello(B), Admitted)


def test_an_old_epoch_is_fenced_off_except_for_a_stop() -> None:
    talk = Talk(epoch=7)
    sid = talk.begin(A, epoch=7)
    refused = talk.say(sid, "open", 2, epoch=6)
    assert isinstance(refused, Refused)
    assert (refused.reply.code, refused.reply.data) == ("EPOCH_TOO_LOW", {"epoch": 7})
    assert isinstance(talk.say(sid, "stop", 3, epoch=0), Admitted)


def test_a_higher_epoch_raises_the_terminals() -> None:
    talk = Talk(epoch=7)
    verdict = talk.hello()
    assert isinstance(verdict, Admitted)
    first = talk.say(verdict.session.sid, "heartbeat", 1, epoch=9)
    assert isinstance(first, Admitted)
    assert first.epoch_raised
    assert talk.sessions.epoch == 9
    assert code(talk.say(verdict.session.sid, "open", 2, epoch=8)) == "EPOCH_TOO_LOW"


def test_a_stop_session_never_raises_the_epoch() -> None:
    talk = Talk(epoch=7)
    sid = talk.begin(A, role="stop", epoch=7)
    assert isinstance(talk.say(sid, "stop", 2, epoch=99), Admitted)
    assert talk.sessions.epoch == 7


def test_a_stop_session_may_only_stop() -> None:
    talk = Talk()
    sid = talk.begin(A, role="stop")
    assert code(talk.say(sid, "open", 2)) == "ROLE_NOT_ALLOWED"
    assert code(talk.say(sid, "snapshot", 3)) == "ROLE_NOT_ALLOWED"
    assert isinstance(talk.say(sid, "heartbeat", 4), Admitted)
    assert isinstance(talk.say(sid, "stop", 5), Admitted)


def test_the_oldest_of_too_many_stop_sessions_goes() -> None:
    talk = Talk()
    sids = [talk.begin(A, role="stop") for _ in range(MAX_STOP_SESSIONS + 1)]
    assert isinstance(talk.say(sids[0], "stop"), Dropped)
    assert all(isinstance(talk.say(sid, "stop"), Admitted) for sid in sids[1:])


def test_time_to_live_runs_on_the_session_clock() -> None:
    talk = Talk()
    sid = talk.begin()
    talk.now += 4.0
    verdict = talk.say(sid, ts=START + 1000, ttl=3500)
    assert isinstance(verdict, Admitted)
    assert verdict.deadline == 1004.5
    assert talk.sessions.hindrance(verdict, 1004.5) is None
    assert talk.sessions.hindrance(verdict, 1004.6) == "EXPIRED"


def test_a_clock_that_runs_ahead_gains_no_time() -> None:
    talk = Talk()
    sid = talk.begin()
    verdict = talk.say(sid, ts=START + 3_600_000, ttl=2000)
    assert isinstance(verdict, Admitted)
    assert verdict.deadline == talk.now + 2.0


def test_after_silence_trades_need_a_fresh_session() -> None:
    talk = Talk()
    sid = talk.begin()
    talk.now += 10.1
    late = talk.say(sid, "heartbeat", 2)
    assert isinstance(late, Admitted)
    assert talk.sessions.silent(talk.now) is False
    trade = talk.say(sid, "open", 3, ts=START + 10_100)
    assert isinstance(trade, Admitted)
    assert talk.sessions.hindrance(trade, talk.now) == "EXECUTOR_SILENT"
    fresh = talk.begin()
    again = talk.say(fresh, "open", 2)
    assert isinstance(again, Admitted)
    assert talk.sessions.hindrance(again, talk.now) is None


def test_what_a_replaced_session_had_under_way_never_begins() -> None:
    talk = Talk()
    old = talk.begin(A)
    under_way = talk.say(old)
    assert isinstance(under_way, Admitted)
    talk.begin(A)
    assert talk.sessions.hindrance(under_way, talk.now) == ""


def test_a_broken_hello_is_refused_by_name() -> None:
    talk = Talk()
    assert code(talk.hello(instance="short")) == "INVALID_ARGS"
    assert code(talk.hello(role="admin")) == "INVALID_ARGS"
    assert code(talk.hello(nonce=7)) == "INVALID_ARGS"
    assert talk.sessions.pending == {}
