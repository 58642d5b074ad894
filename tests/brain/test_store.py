"""The store by itself: groups, guarded changes, one bad row among good ones, and what a new start finds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.brain.clock import MachineClock
from app.brain.errors import StoreFailed
from app.brain.keys import api_key_hash
from app.brain.schema import CommandStatus
from app.brain.store import BrainStore, CommandRow, ResultRow, SessionRow
from tests.brain.hand_executor import WAIT

NOW = MachineClock().utc()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[BrainStore]:
    opened = BrainStore(tmp_path / "brain.db")
    await opened.open()
    yield opened
    await opened.close()


def row(command_id: str) -> CommandRow:
    return CommandRow(command_id, "s", "e", "OPEN_POSITION", '{"type":"SIGNED"}', "high", NOW)


def result(command_id: str, outcome: str, status: CommandStatus) -> ResultRow:
    return ResultRow(command_id, outcome, status, "e", "{}", NOW)


class Answers:
    """Collects what the store says to each request."""

    def __init__(self, expected: int) -> None:
        self.faults: list[StoreFailed | None] = []
        self._expected = expected
        self._all = asyncio.Event()

    def __call__(self, fault: StoreFailed | None) -> None:
        self.faults.append(fault)
        if len(self.faults) == self._expected:
            self._all.set()

    async def wait(self) -> list[StoreFailed | None]:
        async with asyncio.timeout(WAIT):
            await self._all.wait()
        return self.faults


async def test_whole_lives_are_committed_in_groups(store: BrainStore) -> None:
    answers = Answers(600)
    for number in range(300):
        store.push(row(f"c{number}"), answers)
        store.mark_sent(f"c{number}", NOW, 0)
        store.mark_acknowledged(f"c{number}", NOW)
        executed = result(f"c{number}", "EXECUTED", CommandStatus.EXECUTED)
        store.record_result(executed, answers)
    assert await answers.wait() == [None] * 600
    await store.flush()
    assert await store.counts("e") == {"executed": 300}
    assert store.split_groups == 0


async def test_a_bad_row_costs_its_neighbours_nothing(store: BrainStore) -> None:
    answers = Answers(1)
    store.push(row("twice"), answers)
    await answers.wait()
    answers = Answers(3)
    for command_id in ("before", "twice", "after"):
        store.push(row(command_id), answers)
    faults = await answers.wait()
    assert [fault is None for fault in faults] == [True, False, True]
    assert "UNIQUE" in str(faults[1])
    assert "SIGNED" not in str(faults[1])  # no values in messages
    assert await store.counts("e") == {"pending": 3}


@pytest.mark.parametrize(
    ("outcomes", "status", "kept"),
    [
        ((("UNKNOWN", CommandStatus.UNKNOWN), ("EXECUTED", CommandStatus.EXECUTED)), "executed", 2),
        ((("EXECUTED", CommandStatus.EXECUTED), ("UNKNOWN", CommandStatus.UNKNOWN)), "executed", 2),
        ((("REJECTED", CommandStatus.FAILED), ("EXECUTED", CommandStatus.EXECUTED)), "failed", 2),
        ((("EXECUTED", CommandStatus.EXECUTED), ("EXECUTED", CommandStatus.EXECUTED)), "executed", 1),
    ],
)
async def test_a_final_status_stays(
    store: BrainStore, outcomes: tuple[tuple[str, CommandStatus], ...], status: str, kept: int
) -> None:
    store.push(row("c"), Answers(1))
    for outcome, becomes in outcomes:
        answers = Answers(1)
        store.record_result(result("c", outcome, becomes), answers)
        await answers.wait()
    assert await store.counts("e") == {status: 1}
    assert len(await store.outcomes("c")) == kept
    assert await store.unfinished("e") == []


async def test_unfinished_commands_come_back_in_the_order_of_their_making(tmp_path: Path) -> None:
    first = BrainStore(tmp_path / "brain.db")
    await first.open()
    names = [f"c{number}" for number in (5, 3, 9, 1, 7)]
    answers = Answers(len(names))
    for name in names:
        first.push(row(name), answers)
    await answers.wait()
    first.mark_settled("c9", CommandStatus.REFUSED, "{}")
    await first.close()
    second = BrainStore(tmp_path / "brain.db")
    await second.open()
    found = await second.unfinished("e")
    assert [each.id for each in found] == ["c5", "c3", "c1", "c7"]
    assert found[0] == row("c5")
    await second.close()


async def test_keys_are_hashes_and_can_be_revoked(store: BrainStore, tmp_path: Path) -> None:
    hashed = api_key_hash("a-secret-of-some-length")
    await store.add_api_key(hashed, "e", NOW)
    await store.add_api_key(hashed, "e", NOW)
    assert await store.api_keys() == {hashed: "e"}
    await store.revoke_api_key(hashed, NOW)
    assert await store.api_keys() == {}
    if os.name == "posix":
        assert (tmp_path / "brain.db").stat().st_mode & 0o777 == 0o600


async def test_sessions_that_a_killed_brain_left_open_are_closed(store: BrainStore) -> None:
    store.session_begins(SessionRow("s_1", "e", "hash", "127.0.0.1", NOW))
    store.heartbeat("s_1", NOW)
    await store.flush()
    await store.end_forgotten_sessions(NOW)
    (session,) = await store.sessions("e")
    assert (session.status, session.disconnected_at, session.last_heartbeat) == ("lost", NOW, NOW)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = BrainStore(tmp_path / "brain.db")
    await store.open()
    await store.close()
    answers = Answers(1)
    store.push(row("late"), answers)
    (fault,) = await answers.wait()
    assert "closed" in str(fault)
