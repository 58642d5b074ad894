"""What the judge of the pauses lets pass is what was measured, and no more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.engine.ports import JournalRow
from tests.faults.pause_allowance import MOST_DOUBT, allowance, doubts, held_up

AT = datetime(2026, 1, 1, tzinfo=UTC)


def row(seq: int, kind: str, command_id: str | None = None, **payload: Any) -> JournalRow:
    return JournalRow(seq, AT, kind, command_id, payload, "")


def test_only_the_time_between_the_last_look_and_the_effect_counts(tmp_path: Path) -> None:
    log = tmp_path / "wire.jsonl"
    lines = [
        {"mono": "10.0", "what": "frame", "cid": "a"},
        {"mono": "12.010000", "what": "asking", "cid": "a", "looked": "12.000000", "left": "0.02"},
        {"mono": "12.080000", "what": "effect", "cid": "a", "seq": 1},
        {"mono": "13.0", "what": "effect", "cid": None, "seq": 2},
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert held_up(log) == {1: pytest.approx(0.08)}


def test_a_clock_taken_to_be_behind_counts_for_what_was_reckoned_by_it() -> None:
    journal = [
        row(1, "BrainSessionOpened", clock_offset=0.0),
        row(2, "CommandReceived", "early", ahead=3600.01),
        row(3, "CommandQueued", "early"),
        row(4, "CommandReceived", "sent", ahead=-0.02),
        row(5, "CommandDispatched", "sent"),
        row(6, "BrainSessionOpened", clock_offset=-0.05),
    ]
    found = doubts(journal, {0.0, -3600.0})
    assert found == {"early": pytest.approx(0.05), "sent": pytest.approx(0.02)}


def test_no_error_of_an_estimate_excuses_more_than_an_estimate_may_be_wrong_by() -> None:
    allowed = allowance({1: 0.003}, {"a": 7.0})
    assert allowed("a", {"seq": 1}) == pytest.approx(0.003 + MOST_DOUBT)
    assert allowed("b", {"seq": 2}) == 0.0
