"""The colours, light and dark. Red is for the stop and for losses, yellow for warnings, green for health and
profit. A tone never stands alone: a sign or a word goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Tone(Enum):
    """What a text means; the theme knows its colour."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    UP = "up"
    DOWN = "down"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Tones:
    """`#rrggbb` each."""

    dark: bool
    ground: str
    panel: str
    row: str
    line: str
    text: str
    dim: str
    up: str
    down: str
    warn: str
    accent: str
    chosen: str
    """Ground of a selected row."""

    def of(self, tone: Tone) -> str:
        return {
            Tone.PLAIN: self.text,
            Tone.STRONG: self.text,
            Tone.DIM: self.dim,
            Tone.UP: self.up,
            Tone.DOWN: self.down,
            Tone.WARN: self.warn,
        }[tone]

    def lit(self, ground: str, *, rises: bool, share: float) -> str:
        """A ground just after its value changed, `share` 1 to 0 on the way back; faint enough that every text stays readable."""
        return blend(ground, self.up if rises else self.down, LIT * share)


LIT = 0.13
"""How much of the tone a ground takes on at most."""


def blend(ground: str, tone: str, share: float) -> str:
    """`share` 0: the ground, 1: the tone."""
    mixed = [
        round(int(ground[place : place + 2], 16) * (1 - share) + int(tone[place : place + 2], 16) * share)
        for place in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in mixed)


DARK = Tones(
    dark=True,
    ground="#12161c",
    panel="#181d25",
    row="#1c222b",
    line="#2c3542",
    text="#e6eaf0",
    dim="#9aa6b6",
    up="#3ecb95",
    down="#ff7a70",
    warn="#f2b84b",
    accent="#63aeff",
    chosen="#1d3550",
)
LIGHT = Tones(
    dark=False,
    ground="#eef1f5",
    panel="#ffffff",
    row="#f6f8fa",
    line="#d3dae3",
    text="#17202b",
    dim="#556271",
    up="#08714a",
    down="#b92a23",
    warn="#835400",
    accent="#1560c0",
    chosen="#d3e5fb",
)

STOP_RED = "#c9101a"
STOP_PRESSED = "#7c0b11"
STOP_GROUND = "#ffd21f"
STOP_TEXT = "#1a1a1a"
ON_RED = "#ffffff"
BANNER_LINK_TEXT = "#a30d14"


def contrast(first: str, second: str) -> float:
    """Ratio of relative luminances, 1 to 21 (WCAG 2.1, 1.4.3)."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
