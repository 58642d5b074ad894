"""Ambiguous answers over real processes in their short form, and builds that resend or let a second executor in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import ambiguity_cases as cases
from tests.faults.ambiguity_campaign import run, simulated
from tests.faults.ambiguity_cases import Windows
from tests.faults.ambiguity_ea import (
    ea_codes_executed,
    ea_late_fill,
    ea_reply_lost,
    ea_stand,
    ea_two_on_one_account,
)
from tests.faults.kill_world import Nursery

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

SHORT = Windows(absence=6.0)
"""Long enough that a machine busy with other things does not give up before the broker has filled."""
SHORTEST = Windows(absence=1.0)


def test_every_ambiguous_answer_is_said_and_settled(tmp_path: Path, nursery: Nursery) -> None:
    chosen = (
        cases.reply_lost,
        cases.codes_executed,
        cases.partial_then_lost,
        cases.codes_not_executed,
        cases.late_fills,
    )
    report = simulated(tmp_path / "world", nursery, SHORT, cases=chosen)
    assert report.wrong == []
    assert len(report.tried) >= 19


def test_a_terminal_that_dies_around_its_record(tmp_path: Path, nursery: Nursery) -> None:
    report = simulated(tmp_path / "world", nursery, SHORTEST, cases=[cases.terminal_restarts])
    assert report.wrong == []


def test_a_repeated_close_never_turns_a_netting_account_around(tmp_path: Path, nursery: Nursery) -> None:
    report = simulated(
        tmp_path / "world", nursery, SHORT, cases=cases.NETTING, terminal=("--account", "netting")
    )
    assert report.wrong == []


def test_a_second_executor_is_kept_out(tmp_path: Path, nursery: Nursery) -> None:
    chosen = (cases.second_executor, cases.two_on_one_journal)
    assert simulated(tmp_path / "world", nursery, SHORT, cases=chosen).wrong == []


def test_the_expert_advisor_says_the_same(tmp_path: Path, nursery: Nursery) -> None:
    chosen = (ea_reply_lost, ea_codes_executed, ea_late_fill, ea_two_on_one_account)
    report = run(lambda: ea_stand(tmp_path / "world", SHORT, "Medulla", nursery=nursery), chosen)
    assert report.wrong == []


def test_a_build_that_sends_again_after_a_time_out_is_noticed(tmp_path: Path, nursery: Nursery) -> None:
    report = simulated(
        tmp_path / "world", nursery, SHORT, cases=[cases.reply_lost], weakened="resend_on_timeout"
    )
    assert any("unasked" in line for line in report.wrong)


def test_a_build_without_fencing_is_noticed(tmp_path: Path, nursery: Nursery) -> None:
    report = simulated(
        tmp_path / "world", nursery, SHORT, cases=[cases.second_executor], weakened="no_fencing"
    )
    assert any("two executors" in line for line in report.wrong)
