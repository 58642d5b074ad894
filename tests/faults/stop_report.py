"""The stop campaign's report: what was counted, by which rule, and what was noticed when a safeguard was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from .common_results import Control, Result
from .stop_findings import Findings, Press, spread
from .stop_weakened import SOUND

LATCH_BOUND = 0.050
TERMINAL_BOUND = 0.250
"""Seconds at p99, on a machine that does nothing else."""
BY_HAND = ("socket", "local API", "stop file", "brain", "brain, signed", "terminal's button")
"""Ways that are pressed at a moment; a limit and a failing journal are faults, whose moment is the fault's."""

RULES = """\
**What "after" means.** A trade is *sent* when the program hands its frame to ZeroMQ, on whatever socket: the library's own
send function is watched, and the clock is read right after it. The *latch* is the moment right before the trading state
becomes HALTED, read while the latch's own lock is held. A send holds the same lock from its last look at the state until the
hand-over is over, so it lies wholly before or wholly after; were the lock missing, an overlap would count as *after*. `sent
after` counts trades whose hand-over ended later than the latch, until a person releases it.

**Why that is enough.** The terminal notes every frame with a good seal when it takes it from the wire. Each trade that
arrives after the latch must be one that was seen leaving before it (`in flight`: it is on the wire already, nobody can call
it back); one that nobody saw leave is a failure, and so is more than one a press, since one command may be at the terminal at
a time. All moments are CLOCK_MONOTONIC of one machine, which its processes share. The watch only takes notes, in shared
memory; the programs are the ones that are shipped.

**Old commands.** After reset and resume the brain sends the last frames of the stopped load again, byte for byte. `old sent`
counts those that leave. A command made after the reset must be executed, so that a silent engine does not pass for a safe
one.
"""


def compose(findings: Findings, *, command: str, machine: str, took: float, bounds: float) -> str:
    """The whole report as Markdown."""
    parts = [
        "# The stop campaign\n",
        "The emergency stop, pressed at random moments under load and faults, and everything that must not happen "
        "after it. Made by\n",
        f"```\n{command}\n```\n",
        f"{machine}; {took / 60:.0f} minutes. The other processes of the machine slow the times down and change "
        f"nothing else.\n",
        _verdict(findings, bounds),
        RULES,
        _presses(findings),
        _times(findings),
        _restarts(findings),
        _limits(findings),
        _terminal(findings),
        _controls(findings),
        _limits_of_this(),
    ]
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def as_result(findings: Findings, *, seed: int, took: float) -> Result:
    """The figures for the report of all campaigns; the whole of this one is docs/stop-campaign.md."""
    presses, checks = findings.presses, findings.checks
    table = findings.figures.get("controls") or []
    return Result(
        name="stop",
        tried={
            "stops": len(presses),
            "commands offered": sum(press.offered for press in presses),
            "further checks": len(checks),
        },
        found={
            "trades after the latch": sum(press.sent_after for press in presses),
            "old commands after a reset": sum(press.old_sent for press in presses),
            "broken promises in all": len(findings.failures()),
        },
        seconds=round(took, 1),
        seed=seed,
        negative_controls=[
            Control(f"{name}: {says}", noticed, seed)
            for name, says, _where, noticed in table
            if name not in SOUND
        ],
        notes="The whole report is docs/stop-campaign.md.",
    )


def too_slow(findings: Findings, factor: float = 1.0, *, at: str = "p99") -> list[str]:
    """Bounds that were not kept, times `factor`; in words. `at` "p50" asks the median alone, for a handful on a busy machine."""
    found = []
    latch = spread(press.to_latch for press in findings.presses if press.way in BY_HAND)
    if latch["n"] and latch[at] > LATCH_BOUND * 1000 * factor:
        found.append(f"press to latch: {at} {latch[at]} ms, bound {LATCH_BOUND * 1000 * factor:.0f} ms")
    idle = spread(press.to_terminal for press in findings.presses if press.scene == "idle")
    if idle["n"] and idle[at] > TERMINAL_BOUND * 1000 * factor:
        found.append(
            f"press to the terminal, idle: {at} {idle[at]} ms, bound {TERMINAL_BOUND * 1000 * factor:.0f} ms"
        )
    return found


def _verdict(findings: Findings, bounds: float) -> str:
    failures, slow = findings.failures(), too_slow(findings, bounds)
    lines = [
        "## Verdict\n",
        f"- {len(findings.presses)} stops: **{sum(p.sent_after for p in findings.presses)} trades sent after the latch**, "
        f"{sum(p.old_sent for p in findings.presses)} old commands sent after a reset.",
        f"- {len(findings.checks)} further checks, {sum(1 for one in findings.checks if not one.passed)} failed.",
        f"- Promises broken: {len(failures)}.",
        *(f"  - {failure}" for failure in failures[:40]),
        f"- Time bounds kept: {'yes' if not slow else 'NO'}"
        + (f" (times {bounds:g})" if bounds != 1 else "")
        + ".",
        *(f"  - {one}" for one in slow),
    ]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _presses(findings: Findings) -> str:
    if not findings.presses:
        return ""

    def row(name: str, presses: list[Press]) -> list[object]:
        return [
            name,
            len(presses),
            sum(p.offered for p in presses),
            sum(p.sent_before for p in presses),
            f"**{sum(p.sent_after for p in presses)}**",
            sum(p.arrived_after for p in presses),
            sum(p.filled_after for p in presses),
            sum(p.old_sent for p in presses),
            sum(1 for p in presses if p.failures),
        ]

    scenes = list(dict.fromkeys(p.scene for p in findings.presses))
    ways = list(dict.fromkeys(p.way for p in findings.presses))
    head = [
        "",
        "stops",
        "commands offered",
        "sent before",
        "sent after",
        "in flight",
        "late fills",
        "old sent",
        "failed",
    ]
    rows = [row(scene, [p for p in findings.presses if p.scene == scene]) for scene in scenes]
    rows += [row(f"way: {way}", [p for p in findings.presses if p.way == way]) for way in ways]
    rows.append(row("**all**", findings.presses))
    faults = Counter(fault.split(":")[0] for p in findings.presses for fault in p.faults)
    ends = ", ".join(f"{name} {count}" for name, count in sorted(findings.ends().items()))
    struck = ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))
    return (
        "## Stops\n\n500 commands a second are offered (more than the terminal takes), except when idle.\n\n"
        + _table(head, rows)
        + f"\nFaults active during presses: {struck or 'none'}. How the offered commands ended: "
        f"{ends or 'none were offered'}.\n"
        "*Late fills*: the broker carried out, after the terminal's own stop, what the terminal had handed to it before.\n"
    )


def _times(findings: Findings) -> str:
    if not findings.presses:
        return ""

    def row(name: str, presses: list[Press]) -> list[object]:
        cells: list[object] = [name]
        for times in (
            [p.to_latch for p in presses],
            [p.to_terminal for p in presses],
            [p.to_proof for p in presses],
        ):
            found = spread(times)
            cells.append(f"{found['p50']} / {found['p99']} / {found['max']}" if found["n"] else "–")
        return cells

    scenes = list(dict.fromkeys(p.scene for p in findings.presses))
    rows = [row("**all ways that are pressed**", [p for p in findings.presses if p.way in BY_HAND])]
    rows += [
        row(scene, [p for p in findings.presses if p.scene == scene and p.way in BY_HAND]) for scene in scenes
    ]
    rows += [row(f"way: {way}", [p for p in findings.presses if p.way == way]) for way in BY_HAND]
    thaw = spread(findings.figures.get("thaw_to_latch", []))
    frozen = spread(p.to_terminal for p in findings.presses if p.scene == "engine frozen")
    text = (
        "## Times\n\nMilliseconds, p50 / p99 / largest. Bounds at p99 on an idle machine: latch 50, terminal 250 when "
        "nothing else goes on.\n\n"
        + _table(["", "press → latch", "press → terminal latched", "press → presser holds the proof"], rows)
        + "\nThe stop file is looked at on a timer, and the terminal's button comes over its stream: their latch "
        "includes that wait. "
        "Under load `press → terminal` waits behind the one trade that the terminal has in its hands.\n"
    )
    if frozen["n"]:
        text += (
            f"\nFrozen engine ({frozen['n']} presses): the stop client gives the stop socket and the local API a "
            f"second each, then reaches the "
            f"terminal by itself after p50 {frozen['p50']} ms, at most {frozen['max']} ms"
        )
        text += f"; after the thaw the engine was HALTED within {thaw['max']} ms.\n" if thaw["n"] else ".\n"
    return text


def _count(findings: Findings, part: str) -> str:
    checks = findings.of(part)
    return f"{sum(1 for one in checks if one.passed)} of {len(checks)} checks passed"


def _restarts(findings: Findings) -> str:
    done = findings.figures.get("restarts")
    damage = findings.of("damaged latch stores")
    text = ""
    if done:
        text += (
            f"## Restarts and resets\n\n{done['done']} restarts in the halted state, in turn kill -9 at the latch, "
            f"kill -9 later, and in good order; "
            f"every second one without the stop file, every third one without the terminal's memory of the stop. "
            f"{done['in the brain']} commands waited in the "
            f"brain and {done['in the journal']} in journals; each was offered again before the reset and after it. "
            f"{_count(findings, 'restarts')}; {done['done']} resets: {_count(findings, 'resets')}.\n"
        )
    if damage:
        ways = list(dict.fromkeys(one.name.split(", ", 1)[1] for one in damage))
        text += (
            f"\n## Damaged latch stores\n\n{len(ways)} ways, each done to a latch that said ACTIVE and to one that "
            f"said HALTED; the next start was HALTED (or "
            f"refused to start) in {sum(1 for one in damage if one.passed)} of {len(damage)} cases: {'; '.join(ways)}.\n"
        )
    return text


def _limits(findings: Findings) -> str:
    text = ""
    edges = findings.of("limits at their edges")
    if edges:
        text += (
            "## Limits over the wire\n\nEach one step below, at, and one step above its value, from the brain to the "
            "terminal's ledger: "
            f"{_count(findings, 'limits at their edges')}.\n\n"
        )
        text += _table(
            ["limit and step: what must come", "as it must"],
            [(one.name, "yes" if one.passed else f"NO: {one.detail}") for one in edges],
        )
    storms = findings.figures.get("storms")
    if storms:
        text += "\n## Storms\n\n"
        rows = [
            (
                name,
                one["trades"],
                f"{one['seconds']} s",
                f"{one['status']['p50']} / {one['status']['p99']} / {one['status']['max']}",
            )
            for name, one in storms.items()
        ]
        text += _table(
            ["", "trades in the ledger", "until all was answered", "GET /status, ms: p50 / p99 / largest"],
            rows,
        )
        text += f"\n{_count(findings, 'storms')}: the cap exact, all answered, the throttle latched, status within 500 ms.\n"
    return text


def _terminal(findings: Findings) -> str:
    checks = findings.of("Expert Advisor alone")
    if not checks:
        return ""
    rows = [(one.name, "yes" if one.passed else f"NO: {one.detail}") for one in checks]
    return (
        "## The Expert Advisor alone\n\nThe source of the EA, compiled for this machine, both fronts, without an "
        "executor of ours: "
        f"{_count(findings, 'Expert Advisor alone')}.\n\n" + _table(["", "held"], rows)
    )


def _controls(findings: Findings) -> str:
    table = findings.figures.get("controls")
    if not table:
        return ""
    rows = [(name, says, where, noticed or "nothing (as it must be)") for name, says, where, noticed in table]
    return (
        "## Safeguards left out\n\nA test build without one safeguard, and what the campaign noticed. "
        "`slow_hand_over` and `slow_terminal` leave out nothing: "
        "they show that a control's own pause is not what is noticed.\n\n"
        + _table(["left out", "which is", "looked at", "noticed"], rows)
    )


def _limits_of_this() -> str:
    return (
        "## What this does not show\n\nThe broker is simulated; what a real one fills after it has been asked is its "
        "own affair. The window's button and keys "
        "use the stop client that is pressed here; their own way to it is tested with the window. A power cut is not "
        "part of this campaign.\n"
    )
