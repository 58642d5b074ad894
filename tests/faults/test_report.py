"""The committed report is what the command makes of the committed results, and the tests that it names exist."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tests.faults import report

RESULT = {
    "name": "x",
    "tried": {"cuts": 300, "names": ["a", "b"]},
    "found": {"violations": 0, "told": 2, "what": []},
    "seconds": 90.0,
    "seed": 7,
    "negative_controls": [
        {"name": "no sync", "caught_by": "rows | lost", "seed": 7},
        {"name": "no lock", "caught_by": "", "seed": 7},
    ],
    "notes": "Some.",
}


def test_the_committed_report_is_made_of_the_committed_results() -> None:
    assert report.REPORT.read_text("utf-8") == report.made(report.KEPT)


def test_every_bug_names_tests_that_exist() -> None:
    for bug in json.loads((report.KEPT / report.BUGS).read_text("utf-8")):
        assert bug["tests"], bug["what"]
        for test in bug["tests"]:
            file, _, name = test.partition("::")
            tree = ast.parse((report.ROOT / file).read_text("utf-8"))
            names = {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert name in names, test


def test_no_result_knows_a_path_of_a_machine() -> None:
    for file in report.KEPT.glob("*.json"):
        assert not re.search(r"(^|[^A-Za-z0-9_.])/(home|root|work|Users)/", file.read_text("utf-8")), (
            file.name
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "power.json").write_text(json.dumps(RESULT))
    (tmp_path / "stop.json").write_text(json.dumps(RESULT | {"tried": 1000, "found": 1, "notes": ""}))
    (tmp_path / "soak.json").write_text(json.dumps(RESULT))
    (tmp_path / "soak.svg").write_text("<svg/>")
    (tmp_path / "soak_table.md").write_text("| minute |\n")
    (tmp_path / "samples.json").write_text("[1, 2]")
    (tmp_path / report.BUGS).write_text("[]")
    return tmp_path


def test_bounds_controls_and_gaps_are_said(folder: Path) -> None:
    made = report.made(folder)
    assert (
        "| Power cuts under the journal | 300 cuts, short of the 4 000 aimed at | 0 violations, 2 told | < 1.0e-02 | 1.5 |"
        in made
    )
    assert "| Emergency stop | 1 000 tries | 1 violations | no bound | 1.5 |" in made
    assert "| Power cuts under the journal | no sync | rows \\| lost | 7 |" in made
    assert "| Power cuts under the journal | no lock | **not noticed** | 7 |" in made
    assert "(reliability/soak.svg)\n\n| minute |" in made
    assert f"Without a result yet: {report.TITLES['sim']}" in made


def test_results_are_taken_over_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    report.take_over(folder, kept)
    assert sorted(file.name for file in kept.iterdir()) == [
        "power.json",
        "soak.json",
        "soak.svg",
        "soak_table.md",
        "stop.json",
    ]
