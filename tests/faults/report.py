"""Makes docs/reliability.md from the campaigns' result files: `python -m tests.faults.report [--results DIR]`.

With a folder named, its result files are taken over into docs/reliability/ first. What was only simulated and what was not tried
at all stands here, since no campaign can say it; everything with a number in it comes from the files.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "reliability"
REPORT = ROOT / "docs" / "reliability.md"
BUGS = "bugs.json"
ORDER = (
    "sim", "kill", "proxy", "pause", "ambiguity", "soak", "stop", "power", "disk",
    "fuzz_brain", "fuzz_executor", "fuzz_terminal", "fuzz_api", "live",
)  # fmt: skip
TITLES = {
    "sim": "Simulated machine: time, disk, terminal and brain by seed",
    "kill": "kill -9 of the executor at named points",
    "proxy": "Bad networks between real processes",
    "pause": "Frozen processes, jumping clocks",
    "ambiguity": "Ambiguous answers",
    "soak": "Hours of mixed trading under faults",
    "stop": "Emergency stop",
    "power": "Power cuts under the journal",
    "disk": "Failing disks, and files changed by others, under the journal",
    "fuzz_brain": "Fuzzing: the brain link's decoder",
    "fuzz_executor": "Fuzzing: the terminal wire, executor's half",
    "fuzz_terminal": "Fuzzing: the terminal wire, simulated terminal's half",
    "fuzz_api": "Fuzzing: the local API",
    "live": "Bad frames, replays and bad disks at a running executor",
}
BESIDE = {"soak": ("soak.svg", "soak_table.md")}
"""A plot and a table that a campaign leaves beside its numbers."""
AIMS = {
    "power": 4_000,
    "disk": 200,
    "fuzz_brain": 1_000_000,
    "fuzz_executor": 500_000,
    "fuzz_terminal": 500_000,
    "fuzz_api": 1_000_000,
    "live": 14_000,
}
"""What a run should reach in what it counts first; one that fell short says so."""
INTRODUCTION = """\
# Reliability

What was done to break Medulla, how often, and what came of it. This page is made by `python -m tests.faults.report`
from the result files in [reliability/](reliability/); a test holds it to them. Each result names its seed, and each
campaign the command by which it is run again. All of them, one after the other, in parts of minutes:

    python -m tests.faults.campaign --results DIR

Broken off, the same command goes on with the part that was not finished; with `--list` it tells what is done.

**How to read the bounds.** Nothing found in *N* tries is no proof of nothing. If the tries are independent and drawn
as in life, the true rate is below 3/*N* with 95 % confidence (the rule of three: Hanley and Lippman-Hand, *If nothing
goes wrong, is everything all right?*, JAMA 249, 1983). Our faults are drawn far more often than in life and not in
life's proportions, so a bound speaks of *one more try of that campaign*, not of a day's trading.

**What counts.** Effects are counted in the books of the terminal, never by asking the executor. What is called a
violation is a broken promise: a command at the broker twice, an accepted command without an end, a trade after a
stop, a confirmed row lost, something malformed accepted, a crash.

**Every day.** Short forms of the campaigns are part of the normal test run. So are some 300 JSON texts by class (those
of Seriot's JSONTestSuite, written anew in `tests/faults/fuzz_json.py`): the executor's reader and the Expert
Advisor's must each take what RFC 8259 takes and refuse what it refuses.
"""
LIMITS = """\
## Only against a simulated broker

- Every trade in every campaign was made at `app/sim` or at the compiled Expert Advisor on the test bench
  (`tests/mql5_host`), whose broker is ours too. Both answer as MetaTrader's documentation says brokers answer. What a
  real broker does beyond it was not met: requotes in series, a trade server that forgets, comments rewritten in other
  ways, partial fills over minutes.
- Networks were loopback with a proxy in between: no radio, no NAT that forgets, no real TLS middlebox.
- The Expert Advisor ran translated to C++, not inside MetaTrader 5. `medulla ea accept` tries it in a terminal, on a
  demo account.

## Not tried at all

- A real account, real money, or a demo account over days.
- Windows: power cuts and failing disks were recorded and played on Linux. NTFS, Windows' locks, virus scanners that
  hold files open, and TerminateProcess at the named points were not.
- Real power cuts on real disks. The cuts are exact about what SQLite and Medulla asked of the system and when;
  whether a disk keeps what it reports as synced is its maker's promise. A disk that lies about a sync loses confirmed
  rows, with Medulla as with anything else.
- Bad memory, a wrong processor, and bits that rot on a disk while nobody looks (SQLite's check and the hash chain
  find them at the next start).
- An attacker with this user's rights on this machine: the key of the terminal's wire, the tokens and the journal are
  his.
- A database or log overwritten in place, or put back from an old copy while Medulla is ended: the first is found at
  the next start, not at once; the second is found only where the old pages do not fit.
- Runs of weeks; more than one terminal; loads above those named.
"""


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Result files by name, in the order of the report. A file that is none is left out."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text("utf-8"))
        if isinstance(content, dict) and {"name", "tried", "found", "seconds"} <= content.keys():
            found[file.stem] = content
    return dict(
        sorted(found.items(), key=lambda item: (ORDER.index(item[0]) if item[0] in ORDER else 99, item[0]))
    )


def _number(value: float | int) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:g}"


def counted(tried: Any) -> list[tuple[str, int]]:
    """What was tried, by name; the first is what the bound speaks of."""
    if isinstance(tried, int):
        return [("tries", tried)]
    return [
        (name, value)
        for name, value in tried.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]


def _bound(value: int, tries: int) -> str:
    if value:
        return f"{value} in {_number(tries)}"
    return f"< {3 / tries:.1e}" if tries else "nothing was tried"


def _short_of_the_aim(name: str, tries: int) -> str:
    aim = AIMS.get(name, 0)
    return f", short of the {_number(aim)} aimed at" if tries < aim else ""


def _findings(found: Any) -> list[tuple[str, Any]]:
    if isinstance(found, int):
        return [("violations", found)]
    if isinstance(found, list):
        return [("violations", len(found)), *((f"violation {n}", text) for n, text in enumerate(found, 1))]
    return list(found.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        shown = [_plain(item) for item in value[:12]]
        return (
            "; ".join(shown) + (f"; … ({len(value)} in all)" if len(value) > 12 else "") if value else "none"
        )
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return _number(value) if isinstance(value, int | float) else _escaped(str(value))


def _escaped(text: str) -> str:
    return (
        " ".join(text.split()).replace("|", "\\|").replace("<", "\\<").replace("*", "\\*").replace("`", "'")
    )


def _overview(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "## All campaigns\n"
    yield "| campaign | tried | found | the rate is, with 95 % confidence | minutes |"
    yield "|---|---|---|---|---|"
    for name, result in found.items():
        tried = counted(result["tried"])
        what, tries = tried[0] if tried else ("tries", 0)
        zeros = [(key, value) for key, value in _findings(result["found"]) if isinstance(value, int)]
        shown = ", ".join(f"{_plain(value)} {_escaped(key)}" for key, value in zeros) or "see below"
        bounds = {_bound(value, tries) for _, value in zeros if not value}
        yield (
            f"| {TITLES.get(name, name)} | {_number(tries)} {_escaped(what)}{_short_of_the_aim(name, tries)} | {shown} "
            f"| {', '.join(sorted(bounds)) or 'no bound'} | {result['seconds'] / 60:.1f} |"
        )
    missing = [TITLES[name] for name in ORDER if name not in found]
    if missing:
        yield f"\nWithout a result yet: {'; '.join(missing)}."


def _details(found: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[str]:
    yield "## Each campaign\n"
    for name, result in found.items():
        yield f"### {TITLES.get(name, name)}\n"
        yield (
            f"Tried: {_plain(dict(counted(result['tried'])))}."
            if not isinstance(result["tried"], int)
            else f"Tried: {_number(result['tried'])}."
        )
        others = (
            {key: value for key, value in result["tried"].items() if not isinstance(value, int)}
            if isinstance(result["tried"], dict)
            else {}
        )
        for key, value in others.items():
            yield f"{_escaped(key).capitalize()}: {_plain(value)}."
        yield ""
        for key, value in _findings(result["found"]):
            yield f"- {_escaped(key)}: {_plain(value)}"
        words = [f"Seed {result.get('seed')}."]
        words += [_plain(result["notes"])] if result.get("notes") else []
        words += [f"Again: `{result['again']}`"] if result.get("again") else []
        words += [f"Of the code at {', '.join(result['code'])}."] if result.get("code") else []
        yield f"\n{' '.join(words)}\n"
        for file in (folder / beside for beside in BESIDE.get(name, ()) if (folder / beside).exists()):
            plot = file.suffix == ".svg"
            yield f"![{TITLES[name]}](reliability/{file.name})\n" if plot else file.read_text("utf-8")


def _bugs(folder: Path) -> Iterator[str]:
    bugs = json.loads((folder / BUGS).read_text("utf-8"))
    yield "## What was found, and what holds it now\n"
    yield "Found while the campaigns were built and run, and mended. Each row's tests fail without the mend.\n"
    yield "| what | found by | held by |"
    yield "|---|---|---|"
    for bug in bugs:
        tests = "<br>".join(f"`{test}`" for test in bug["tests"])
        yield f"| {_escaped(bug['what'])} | {_escaped(bug['found_by'])} | {tests} |"
    yield ""


def _controls(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "## Made worse on purpose\n"
    yield "A campaign that finds nothing may be blind. So each safeguard was left out in turn, and the campaign had to notice.\n"
    yield "| campaign | left out | noticed as | seed |"
    yield "|---|---|---|---|"
    for name, result in found.items():
        for control in result.get("negative_controls") or []:
            caught = control.get("caught_by")
            shown = _plain(caught)[:200] if caught else "**not noticed**"
            yield f"| {TITLES.get(name, name)} | {_escaped(control['name'])} | {shown} | {control.get('seed')} |"
    yield ""


def made(folder: Path) -> str:
    """The whole report from the files of a folder."""
    found = results(folder)
    details = _details(found, folder)
    parts = [INTRODUCTION, *_overview(found), "", *_bugs(folder), *_controls(found), LIMITS, *details]
    return "\n".join(parts).rstrip() + "\n"


def take_over(source: Path, kept: Path) -> None:
    """Copy result files and what belongs to them, and nothing else, to where they are kept."""
    for name in results(source):
        for file in (f"{name}.json", *BESIDE.get(name, ())):
            if (source / file).exists():
                shutil.copyfile(source / file, kept / file)


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--results", type=Path, help="folder with result files to take over")
    given = options.parse_args(arguments)
    if given.results is not None:
        take_over(given.results, KEPT)
    REPORT.write_text(made(KEPT), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
