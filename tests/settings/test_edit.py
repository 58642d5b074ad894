"""Editing a person's file: what was asked is in it, comments and all else stay, and what is not understood stays untouched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from app.domain.errors import ConfigurationError
from app.settings.edit import Value, with_changes, written

PLACE = Path("c.yaml")
FILE = """\
# my account
data_folder: /data   # on the SSD

safety:
  # agreed with myself
  max_volume_per_order: 0.50  # lots
  allowed_symbols:
    - EURUSD
    - GBPUSD   # only in London

  sessions:
    - {days: [mon], start: "08:00", end: "22:00"}
  # last words of safety
log: {level: debug}
"""


def changed(text: str, **changes: Value | None) -> str:
    return with_changes(PLACE, text, {key.replace("__", "."): value for key, value in changes.items()})


def test_a_value_changes_and_every_comment_stays() -> None:
    after = changed(FILE, safety__max_volume_per_order="1.00", safety__max_daily_loss="300")
    assert "  max_volume_per_order: 1.00  # lots\n" in after
    assert "  max_daily_loss: 300\n" in after
    kept = [line for line in FILE.splitlines() if "max_volume_per_order" not in line]
    assert [line for line in after.splitlines() if line in kept] == kept


def test_a_block_list_is_replaced_as_a_whole() -> None:
    after = changed(FILE, safety__allowed_symbols=["XAUUSD"])
    assert yaml.safe_load(after)["safety"]["allowed_symbols"] == ["XAUUSD"]
    assert "GBPUSD" not in after
    assert "\n\n  sessions:\n" in after


def test_keys_go_away_with_their_own_lines_alone() -> None:
    after = changed(FILE, safety__allowed_symbols=None, safety__max_volume_per_order=None, data_folder=None)
    assert yaml.safe_load(after) == {
        "safety": {"sessions": [{"days": ["mon"], "start": "08:00", "end": "22:00"}]},
        "log": {"level": "debug"},
    }
    for comment in ("# my account", "  # agreed with myself", "  # last words of safety"):
        assert comment in after.splitlines()


def test_the_last_key_of_a_section_may_go_and_come_back() -> None:
    without = changed("safety:\n  max_positions: 3\n", safety__max_positions=None)
    assert without == "safety:\n"
    assert changed(without, safety__max_positions="4") == "safety:\n  max_positions: 4\n"


def test_a_file_that_is_not_there_yet_gets_sections_and_keys() -> None:
    text = changed(
        "", data_folder="/x y", safety__max_positions="3", api__port="0", safety__repeat_throttle="2"
    )
    assert yaml.safe_load(text) == {
        "data_folder": "/x y",
        "safety": {"max_positions": 3, "repeat_throttle": 2},
        "api": {"port": 0},
    }


@pytest.mark.parametrize(
    "text",
    [
        "log: {level: debug}\n",
        "base: &b {level: info}\nlog: *b\n",
        "log:\n  level: &l debug\n  folder: *l\n",
        "- a list\n",
        "log: [\n",
    ],
)
def test_what_cannot_be_edited_safely_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"set by hand: level"):
        changed(text, log__level="error")


@pytest.mark.parametrize(
    "value",
    [
        "0.10",
        "a b",
        "null",
        "~",
        "yes",
        "-1",
        "#no",
        "a: b",
        'quo"te',
        "ü",
        ["a", "x: y"],
        {"k-1": "a=/+"},
        [{"d": ["x"]}],
    ],
)
def test_every_value_is_read_back_as_it_was_given(value: Value) -> None:
    assert yaml.load(f"k: {written(value)}\n", Loader=yaml.BaseLoader) == {"k": value}
