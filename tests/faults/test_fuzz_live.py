"""The short form of what is done to a running executor: bad frames on every socket, a bad disk, and replays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import World
from tests.faults.fuzz_live import BadDisk, LiveTarget, begin, disk_trials

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world")
    yield made
    made.close()


def test_an_executor_outlives_bad_frames_and_stops_on_a_bad_disk(world: World) -> None:
    bad = BadDisk(world)
    world.brain.open()
    world.start_terminal()
    world.configure()
    bad.rules.write_text("")
    begin(world, bad.shim)
    target = LiveTarget(world, 11)
    target.trades()
    target.brain_frames(300)
    target.flipped(30)
    target.terminal_frames(40)
    target.api_requests(30)
    target.stop_lines(10)
    target.trades()
    target.replay()
    strike, mend = disk_trials(bad)["the log is removed"]
    bad.trial("the log is removed", strike, mend, begun=True)
    target.replay()
    assert target.wrong + bad.wrong == []
    assert target.tried["frames sent again"] >= 12
