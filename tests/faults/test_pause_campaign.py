"""Frozen processes and jumping clocks in their short form, and a build that looks at the expiry only once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kill_world import Nursery
from tests.faults.pause_campaign import pauses

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

KINDS = ("executor", "terminal", "clock", "clock while dead", "frozen and killed")
"""The brain lives in this process, which a test must not freeze; the long form does."""


def test_nothing_is_done_after_its_expiry_and_nothing_twice(tmp_path: Path, nursery: Nursery) -> None:
    done = pauses(
        rounds=len(KINDS), seed=77, folder=tmp_path / "world", kinds=KINDS, nursery=nursery, longest=1.8
    )
    assert done.complaints() == []
    assert done.verdict.accepted > 0


def test_a_build_that_looks_at_the_expiry_only_once_is_noticed(tmp_path: Path, nursery: Nursery) -> None:
    done = pauses(
        rounds=3, seed=5, folder=tmp_path / "world", kinds=("terminal",), nursery=nursery, longest=1.8, shortest=1.2,
        expiries=(300,), weakened="no_expiry_check",
    )  # fmt: skip
    assert done.verdict.late
