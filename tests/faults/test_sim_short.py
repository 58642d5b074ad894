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


def test_nothing_is_done_twice_and_nothing_ends_silently() -> None:
    reports = [run_program(seed, 120) for seed in range(1, 9)]
    assert {report.seed: report.violations for report in reports if report.violations} == {}
    # Else nothing much was tried.
    assert sum(report.commands for report in reports) >= 960
    assert sum(report.faulted for report in reports) > 400
    assert sum(report.effects for report in reports) > 100
    assert sum(report.lives for report in reports) > 20
    assert len({fault for report in reports for fault in report.faults}) > 20


def test_the_same_seed_is_the_same_story() -> None:
    first, second = run_program(11, 60), run_program(11, 60)
    assert first.trace_hash == second.trace_hash
    assert first.trace_hash != run_program(12, 60).trace_hash


def test_the_story_hangs_on_nothing_but_its_seed() -> None:
    """Another process with another order of its hash tables tells the same one."""
    script = "from tests.faults.sim_program import run_program; print(run_program(11, 60).trace_hash)"
    environment = dict(os.environ, PYTHONHASHSEED="4711")
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert told.stdout.strip() == run_program(11, 60).trace_hash


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_a_weakened_engine_is_noticed(control: Control) -> None:
    caught = catch(control, programs=60, commands=60, first=control.seed)
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
