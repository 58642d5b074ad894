"""What the fault tests of this folder share: one warm nursery of executors for all that need one."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.faults.kill_world import Nursery

if sys.platform == "win32":
    # They fork and freeze processes; the same promises are held on Windows by tests/end_to_end/test_kill.py.
    collect_ignore_glob = [
        "test_kill_*.py",
        "test_pause_*.py",
        "test_ambiguity_*.py",
        "test_soak_*.py",
        "test_proxy_*.py",
        "test_stop_*.py",
        "test_disk_*.py",
        "test_fuzz_live.py",
    ]


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()
