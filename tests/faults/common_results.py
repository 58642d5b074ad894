"""What a campaign leaves behind for the report: one JSON file each, numbers and words, no judgement.

`NAME.json` in a folder: {name, tried, found, seconds, seed, negative_controls:[{name, caught_by, seed}], notes, again}.
Parts of one campaign are put together by common_merge.py: counts are whole numbers, measured durations are not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Control:
    """A build without one safeguard, and the check that noticed. `caught_by` empty: nothing did."""

    name: str
    caught_by: str
    seed: int


@dataclass
class Result:
    """One campaign's numbers."""

    name: str
    tried: Mapping[str, Any]
    found: Mapping[str, Any]
    seconds: float
    seed: int
    negative_controls: list[Control] = field(default_factory=list)
    notes: str = ""
    """Words that hold for any run; what was counted stands in `tried`."""
    again: str = ""
    """The command that repeats this."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def write_result(folder: Path, result: Result) -> Path:
    """Replace `NAME.json`; controls and notes of an earlier run stay if this one brings none."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result.name}.json"
    content = result.as_json()
    if file.exists():
        earlier = json.loads(file.read_text("utf-8"))
        for name in ("negative_controls", "notes"):
            content[name] = content[name] or earlier.get(name) or content[name]
    write_whole(file, json.dumps(content, indent=1) + "\n")
    return file


def hand_in(result: Result, folder: Path | None) -> None:
    """The end of a campaign: its numbers on the screen, and in the folder if there is one."""
    print(json.dumps(result.as_json(), indent=1), flush=True)
    if folder is not None:
        write_result(folder, result)


def write_whole(path: Path, text: str) -> None:
    """A reader sees the old or the new content, never a part."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def add_controls(folder: Path, name: str, controls: list[Control]) -> None:
    """Put the controls beside a campaign's numbers; a campaign that has not run yet takes them over when it does."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    content: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {"name": name}
    content["negative_controls"] = [asdict(control) for control in controls]
    write_whole(file, json.dumps(content, indent=1) + "\n")
