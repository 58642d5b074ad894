"""The long form of everything: broken off it goes on, and its parts' numbers are put together as those of one run."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from . import campaign
from .campaign import Part, go_on, plan
from .common_merge import merged
from .common_results import Control, Result, add_controls, write_result

PARTS = [
    Part("x 1 of 2", ("x", "--seed", "1")),
    Part("x 2 of 2", ("x", "--seed", "2")),
    Part("worse", ("w",)),
]


class Runner:
    """Stands for the parts' processes: writes what each would have found, and notes who was run."""

    def __init__(self, results: Path) -> None:
        self.ran: list[str] = []
        self.broken_off_at = ""
        self.wrong_at = ""
        self._names = {str(part.folder(results)): part.name for part in PARTS}

    def __call__(self, command: Sequence[str]) -> int:
        folder = Path(command[-1])
        name = self._names[str(folder)]
        self.ran.append(name)
        if name == self.broken_off_at:
            raise KeyboardInterrupt
        if name == "worse":
            add_controls(folder, "x", [Control("no journal", "twice", 3)])
            return 0
        wrong = name == self.wrong_at
        found = {"violations": int(wrong)} | ({"violation 1": "twice"} if wrong else {})
        write_result(folder, Result("x", {"commands": 5}, found, 60.0, int(command[-3])))
        return int(wrong)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def whole(results: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((results / "x.json").read_text())
    return found


def test_broken_off_it_goes_on_with_what_was_not_finished(tmp_path: Path, runner: Runner) -> None:
    runner.broken_off_at = "x 2 of 2"
    with pytest.raises(KeyboardInterrupt):
        go_on(PARTS, tmp_path, run=runner, code="c1")
    runner.broken_off_at = ""
    assert go_on(PARTS, tmp_path, run=runner, code="c2") == []
    assert runner.ran == ["x 1 of 2", "x 2 of 2", "x 2 of 2", "worse"]
    made = whole(tmp_path)
    assert (made["tried"], made["seconds"], made["code"]) == ({"commands": 10}, 120.0, ["c1", "c2"])
    assert made["negative_controls"] == [{"name": "no journal", "caught_by": "twice", "seed": 3}]
    assert go_on(PARTS, tmp_path, run=runner) == []
    assert len(runner.ran) == 4


def test_a_part_whose_command_is_another_is_done_again(tmp_path: Path, runner: Runner) -> None:
    go_on(PARTS, tmp_path, run=runner)
    other = [PARTS[0], Part(PARTS[1].name, ("x", "--seed", "9")), PARTS[2]]
    go_on(other, tmp_path, run=runner)
    assert runner.ran[3:] == ["x 2 of 2"]


def test_a_part_that_found_something_is_named_each_time_and_does_not_keep_the_others_from_running(
    tmp_path: Path, runner: Runner
) -> None:
    runner.wrong_at = "x 2 of 2"
    wrong = ["x 2 of 2 (status 1)"]
    assert go_on(PARTS, tmp_path, run=runner) == wrong
    assert go_on(PARTS, tmp_path, run=runner) == wrong
    assert len(runner.ran) == 3
    assert whole(tmp_path)["found"] == {"violations": 1, "seed 2, violation 1": "twice"}


def test_counts_are_added_durations_give_their_largest_names_are_joined() -> None:
    def run(tried: dict[str, object], seed: int) -> dict[str, object]:
        return {"name": "x", "tried": tried, "found": 0, "seconds": 1.5, "seed": seed, "notes": f"of {seed}"}

    first = {"commands": 3, "by kind": {"a": 1, "b": 2}, "longest_seconds": 0.5, "names": ["a"]}
    second = {"commands": 4, "by kind": {"b": 5, "c": 6}, "longest_seconds": 0.25, "names": ["a", "b"]}
    made = merged([run(first, 7), run(second, 8)])
    assert made["tried"] == {
        "commands": 7, "by kind": {"a": 1, "b": 7, "c": 6}, "longest_seconds": 0.5, "names": ["a", "b"],
    }  # fmt: skip
    assert (made["found"], made["seconds"], made["seed"], made["notes"]) == (0, 3.0, 7, "of 7")
    with pytest.raises(ValueError, match="nothing but controls"):
        merged([{"name": "x", "negative_controls": []}])


def test_every_part_is_a_program_of_its_own_name_and_seed() -> None:
    parts = plan()
    assert len({part.name for part in parts}) == len(parts)
    assert len({part.words for part in parts}) == len(parts)
    for part in parts:
        assert importlib.util.find_spec(f"tests.faults.{part.words[0]}"), part.name
    assert len(plan(0.01)) == len(parts)


def test_what_is_open_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = plan()[0]
    go_on([first], tmp_path, run=lambda _command: 0)
    assert campaign.main(["--results", str(tmp_path), "--only", "sim", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[-30].split(), lines[-29].split()) == (
        ["status", "0", *first.name.split()],
        ["open", "sim", "2", "of", "30"],
    )
