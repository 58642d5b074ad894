"""The soak's samples for an eye: a Markdown table and an SVG of small charts over the same time axis. No measurement here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Protocol

ROWS = 16
WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 960, 96, 78, 18, 34, 30
COLOURS = ("#1f6feb", "#d9480f")


class Sampled(Protocol):
    """What of a sample is drawn."""

    @property
    def at(self) -> float: ...
    @property
    def life(self) -> int: ...
    @property
    def rss(self) -> float: ...
    @property
    def handles(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def terminal_rss(self) -> float: ...
    @property
    def journal(self) -> float: ...
    @property
    def commands(self) -> int: ...
    @property
    def p50(self) -> float | None: ...
    @property
    def p95(self) -> float | None: ...


@dataclass(frozen=True)
class Panel:
    title: str
    lines: tuple[tuple[str, Callable[[Sampled], float | None]], ...]


PANELS = (
    Panel("resident memory, MiB", (("executor", lambda s: s.rss), ("terminal", lambda s: s.terminal_rss))),
    Panel("open handles of the executor", (("handles", lambda s: s.handles),)),
    Panel("threads of the executor", (("threads", lambda s: s.threads),)),
    Panel("journal, MiB", (("journal", lambda s: s.journal),)),
    Panel("latency at the brain, ms", (("p50", lambda s: s.p50), ("p95", lambda s: s.p95))),
    Panel("commands so far", (("commands", lambda s: s.commands),)),
)


def table(samples: Sequence[Sampled]) -> str:
    """Markdown, at most ROWS rows, evenly over the time."""
    head = (
        "| min | executor | memory MiB | handles | threads | terminal MiB | journal MiB | commands | p50 ms | p95 ms |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    step = max(1, -(-len(samples) // ROWS))
    rows = [
        f"| {one.at / 60:.1f} | {one.life} | {one.rss:.1f} | {one.handles} | {one.threads} | {one.terminal_rss:.1f} "
        f"| {one.journal:.2f} | {one.commands} | {_text(one.p50)} | {_text(one.p95)} |"
        for one in samples[::step]
    ]
    return "\n".join([head, *rows])


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def write_plot(file: Path, samples: Sequence[Sampled], happened: Sequence[tuple[float, str]]) -> None:
    """One chart below the other; a grey line for every fault, a red one for every kill."""
    end = max([one.at for one in samples] + [1.0])
    height = TOP + len(PANELS) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, panel in enumerate(PANELS):
        parts += _panel(panel, samples, happened, end, TOP + number * (PANEL + GAP))
    parts.append("</svg>")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _panel(
    panel: Panel, samples: Sequence[Sampled], happened: Sequence[tuple[float, str]], end: float, top: int
) -> list[str]:
    values = [value for one in samples for _name, of in panel.lines if (value := of(one)) is not None]
    most = max([float(value) for value in values] + [1.0]) * 1.05

    def x(at: float) -> float:
        return LEFT + at / end * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return top + PANEL - value / most * PANEL

    parts = [
        f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{top}" y2="{top + PANEL}" '
        f'stroke="{"#e03131" if "killed" in name else "#dee2e6"}"><title>{escape(name)}</title></line>'
        for at, name in happened
    ]
    for share in (0.0, 0.5, 1.0):
        at = top + PANEL * (1 - share)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#adb5bd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{most * share:.4g}</text>')
    for minute in range(0, int(end / 60) + 1, max(1, round(end / 600))):
        parts.append(
            f'<text x="{x(minute * 60):.1f}" y="{top + PANEL + 13}" text-anchor="middle">{minute} min</text>'
        )
    names = "   ".join(name for name, _of in panel.lines)
    parts.append(f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{escape(panel.title)}</text>')
    if len(panel.lines) > 1:
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{top - 6}" text-anchor="end">{escape(names)}</text>')
    for (_name, of), colour in zip(panel.lines, COLOURS, strict=False):
        points = [f"{x(one.at):.1f},{y(value):.1f}" for one in samples if (value := of(one)) is not None]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.3" points="{" ".join(points)}"/>'
        )
    return parts
