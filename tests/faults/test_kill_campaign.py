"""The kill campaign in its short form: every point once; and builds without a safeguard, which it must notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kill_campaign import kill_at
from tests.faults.kill_points import Point
from tests.faults.kill_world import Nursery

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

SEED = 7


def test_killed_at_every_point_nothing_is_done_twice_or_lost(tmp_path: Path, nursery: Nursery) -> None:
    points = list(Point)
    done = kill_at(points, cycles=len(points), seed=SEED, folder=tmp_path / "world", nursery=nursery)
    assert done.complaints() == []
    assert done.kills == len(points)
    assert done.verdict.accepted >= len(points)


def test_a_build_that_sends_before_it_writes_is_noticed(tmp_path: Path, nursery: Nursery) -> None:
    points = [Point.AFTER_SEND, Point.BEFORE_RECEIPT_COMMIT]
    done = kill_at(
        points,
        cycles=4,
        seed=SEED,
        folder=tmp_path / "world",
        nursery=nursery,
        weakened="no_journal_before_send",
    )
    assert done.sent_before_journal


def test_a_build_that_keeps_ids_in_memory_only_is_noticed(tmp_path: Path, nursery: Nursery) -> None:
    points = [Point.AFTER_RESULT_COMMIT, Point.AFTER_SEND]
    done = kill_at(
        points, cycles=4, seed=SEED, folder=tmp_path / "world", nursery=nursery, weakened="ids_in_memory"
    )
    assert done.sent_before_journal or done.verdict.contradictions
