"""The simulation's short form in the normal run: some seeds, its determinism, and that every weakened engine is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.faults.sim_controls import CONTROLS, Control, catch
from tests.faults.sim_program import run_program
from tests.faults.sim_rules import SimRules

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", range(1, 9))
def test_nothing_is_done_twice_and_nothing_ends_silently(seed: int) -> None:
    report = run_program(seed, 120)
    assert report.violations == []
    assert report.commands >= 120
    assert report.lives > 1 or report.faulted > 10
    assert report.effects > 0


def test_the_same_seed_is_the_same_story() -> None:
    first, second = run_program(11, 60), run_program(11, 60)
    assert first.trace_hash == second.trace_hash
    assert first.trace_hash != run_program(12, 60).trace_hash


def test_the_story_hangs_on_nothing_but_its_seed() -> None:
    """Another process with another order of its hash tables tells the same one."""
    script = "from tests.faults.sim_program import run_program; print(run_program(11, 60).trace_hash)"
    environment = dict(os.environ, PYTHONHASHSEED="4711")
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert told.stdout.strip() == run_program(11, 60).trace_hash


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_a_weakened_engine_is_noticed(control: Control) -> None:
    caught = catch(control, programs=6, commands=60, first=control.seed)
    assert caught is not None


TestStepByStep = SimRules.TestCase
TestStepByStep.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
