"""The numbers of a campaign's parts as the numbers of one run. Pure; which parts there are is campaign.py's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts are added, measured durations give their largest, names and lists are joined; words stay the first part's.

    A part may hold controls alone. Raises ValueError if no part tried anything.
    """
    runs = [part for part in parts if "tried" in part]
    if not runs:
        raise ValueError(f"{parts[0]['name']}: nothing but controls")
    whole = dict(runs[0])
    for run in runs[1:]:
        whole["tried"] = _sum(whole["tried"], run["tried"])
        whole["found"] = _sum(whole["found"], _by_seed(run))
        whole["seconds"] = round(whole["seconds"] + run["seconds"], 1)
    controls: dict[str, Any] = {}
    for part in parts:
        for control in part.get("negative_controls") or []:
            controls.setdefault(control["name"], control)
    whole["negative_controls"] = list(controls.values())
    return whole


def _by_seed(run: Mapping[str, Any]) -> Any:
    """Violations are told apart by the part's seed: each part counts its own from 1."""
    if not isinstance(run["found"], Mapping):
        return run["found"]
    return {
        f"seed {run['seed']}, {name}" if isinstance(value, str) else name: value
        for name, value in run["found"].items()
    }


def _sum(first: Any, second: Any) -> Any:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        names = [*first, *(name for name in second if name not in first)]
        return {
            name: _sum(first[name], second[name])
            if name in first and name in second
            else {**second, **first}[name]
            for name in names
        }
    if isinstance(first, list) and isinstance(second, list):
        return first + [one for one in second if one not in first]
    if isinstance(first, int) and isinstance(second, int):
        return first + second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return max(first, second)
    return first
