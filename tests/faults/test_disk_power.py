"""The short form of the power cuts: some of every kind of commit, and everything that is made worse on purpose is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.disk_cuts import Life, choose, memory_folder, record, try_cuts
from tests.faults.disk_model import Survival
from tests.faults.disk_writer import CONTROLS

pytestmark = pytest.mark.processes

SEED = 7
KINDS = {
    "open", "received", "turned_away", "dispatched", "result", "outbox_ack", "alert", "equity", "session", "limit", "group",
    "state", "latch", "checkpoint", "backup",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="medulla-cuts-", dir=memory_folder()) as temporary:
        yield Path(temporary)


@pytest.fixture(scope="module")
def lives(folder: Path) -> dict[str, Life]:
    """One good life and one for each way to be worse, all by one process."""
    jobs = {folder / f"life-{name}": (1, SEED, name) for name in ("", *CONTROLS)}
    return {life.control: life for life in record(jobs)}


async def test_a_power_cut_loses_nothing_that_was_confirmed(lives: dict[str, Life], folder: Path) -> None:
    tally = await try_cuts(lives[""], choose(lives[""], 3, SEED), folder / "scratch")
    assert tally.faults == []
    assert tally.tried.keys() >= KINDS
    assert tally.rows_checked > 500


@pytest.mark.parametrize("control", CONTROLS)
async def test_what_is_made_worse_on_purpose_is_noticed(
    lives: dict[str, Life], folder: Path, control: str
) -> None:
    ways = (Survival.NOTHING,)  # the plainest of the cuts is enough for each of them
    tally = await try_cuts(
        lives[control], choose(lives[control], 3, SEED, ways), folder / "scratch", enough=1
    )
    assert len(tally.faults) == 1, f"nothing noticed {CONTROLS[control]}"
