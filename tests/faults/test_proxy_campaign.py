"""Bad networks between real processes in their short form: a few blows of every network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kill_world import Nursery
from tests.faults.proxy_campaign import BLOWS, storm

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def test_in_bad_weather_nothing_is_done_twice_or_lost(tmp_path: Path, nursery: Nursery) -> None:
    done = storm(commands=100, seed=11, folder=tmp_path / "world", nursery=nursery)
    assert done.complaints() == []
    assert done.verdict.tried == 100
    assert sum(done.faults[name] for name in BLOWS) >= 4
