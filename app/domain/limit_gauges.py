"""How near each limit is: present value against limit, the warning before it, and the words for a person.

Only limits that are quantities have a gauge. What refuses and what latches is decided by the rules (entry_rules.py), never here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

WARN_FROM = Decimal("0.8")
CALM_BELOW = Decimal("0.7")
CALM_FOR = 60.0
"""Seconds below CALM_BELOW after which a limit may be warned of again: a value that dances around the mark says it once."""
_FEW = 5
"""Whole-number limits below it are not warned of: the last that is allowed is their normal use."""


class Level(Enum):
    OK = "ok"
    WARNING = "warning"
    REACHED = "reached"
    LATCHED = "latched"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One quantity. `now` and `limit` in `unit`; limit None: no such limit is set."""

    name: str
    """What is measured; of a limit that latches, the name it latches under. A strategy's: `name:strategy`."""
    setting: str
    """The key under `safety`."""
    now: Decimal
    limit: Decimal | None
    unit: str = ""
    of: str = ""
    """What it is about, where that is not the account: a symbol."""
    whole: bool = False
    """It counts things."""

    @property
    def share(self) -> Decimal:
        """Part of the limit that is used, 0 without a limit."""
        return self.now / self.limit if self.limit is not None and self.limit > 0 else Decimal(0)

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @property
    def strategy(self) -> str:
        return self.name.partition(":")[2]

    @property
    def warns(self) -> bool:
        """Whether a person is told before it is reached."""
        return self.limit is not None and self.limit > 0 and not (self.whole and self.limit < _FEW)


def level(gauge: Gauge, tripped: Mapping[str, str]) -> Level:
    """`tripped`: limits that latched -> why."""
    if gauge.name in tripped:
        return Level.LATCHED
    if gauge.limit is None:
        return Level.OK
    if gauge.now >= gauge.limit:
        return Level.REACHED
    return Level.WARNING if gauge.now >= gauge.limit * WARN_FROM else Level.OK


class WarningBell:
    """Rings once when a limit comes near, and again only after it was well below for a while."""

    def __init__(self) -> None:
        self._silent: dict[str, float | None] = {}
        """Rung for -> since when it has been calm again; None: it is not."""

    def rings(self, gauge: Gauge, now: float) -> bool:
        """One look; `now` in monotonic seconds. True: say it now."""
        share, name = gauge.share, gauge.name
        if name in self._silent:
            since = self._silent[name]
            if share >= CALM_BELOW:
                self._silent[name] = None
            elif since is None:
                self._silent[name] = now
            elif now - since >= CALM_FOR:
                del self._silent[name]
            return False
        if not gauge.warns or share < WARN_FROM:
            return False
        self._silent[name] = None
        return True


# ------------------------------------------------------------------ words


@dataclass(frozen=True, slots=True)
class _Words:
    counts: str
    at_limit: str
    """What happens at the limit."""
    to_do: str


_AGAIN = "entries are refused until you re-enable it"
_WORDS = {
    "daily_loss": _Words(
        "loss of the broker's day, open positions included",
        _AGAIN,
        "Look at the open positions and close what should not run on; stop losses stay in place",
    ),
    "drawdown": _Words(
        "fall of equity from its peak",
        _AGAIN,
        "Look at the open positions, and at the strategy before it trades on",
    ),
    "positions": _Words(
        "positions, pending orders and entries under way",
        "further entries are refused until one is closed or cancelled",
        "Close or cancel what is not needed, or let it be: nothing open is touched",
    ),
    "positions_per_symbol": _Words(
        "positions, pending orders and entries under way on one symbol",
        "further entries on that symbol are refused until one is closed or cancelled",
        "Close or cancel what is not needed there, or let it be: nothing open is touched",
    ),
    "exposure": _Words(
        "lots open, pending and under way",
        "entries that would go above it are refused until volume is reduced",
        "Reduce volume, or let it be: nothing open is touched",
    ),
    "exposure_per_symbol": _Words(
        "lots open, pending and under way on one symbol",
        "entries on that symbol that would go above it are refused until volume is reduced",
        "Reduce volume on that symbol, or let it be: nothing open is touched",
    ),
    "orders_per_second": _Words(
        "commands within one second",
        "further entries and amendments are refused for up to a second; exits always pass",
        "If this is not a planned burst, pause and see in Commands what the brain sends",
    ),
    "orders_per_minute": _Words(
        "commands within a minute",
        "further entries and amendments are refused for up to a minute; exits always pass",
        "If this is not a planned burst, pause and see in Commands what the brain sends",
    ),
    "consecutive_failures": _Words(
        "entries in a row that the broker refused",
        _AGAIN,
        "See in Commands why the last ones failed: market closed, no money, wrong volume or stops",
    ),
    "repeat_throttle": _Words(
        "identical entries within 60 s",
        _AGAIN,
        "Ask why the brain repeats itself before it may go on",
    ),
    "margin": _Words(
        "margin in use against equity",
        "no entry has the free margin it needs; the broker may close positions by itself (stop out)",
        "Reduce volume or add funds before the broker's margin call",
    ),
}


def explanation(gauge: Gauge, at: Level, why: str = "") -> str:
    """What happened, what it means, what to do. `why`: the refusal that latched it."""
    words = _WORDS[gauge.kind]
    about = f"{gauge.of}, " if gauge.of else ""
    whose = f"strategy {gauge.strategy}: " if gauge.strategy else ""
    key = f"safety.{gauge.setting}"
    if at is Level.LATCHED:
        return (
            f"{whose}{why or words.counts}. Entries are refused, exits pass, until you re-enable it "
            f"(medulla limits reenable {gauge.name} --note …). {words.to_do}."
        )
    if gauge.limit is None:
        return f"{whose}{about}{words.counts}: {_amount(gauge.now, gauge)}. No limit is set ({key})."
    if gauge.limit <= 0:
        return f"{whose}{words.counts}: the figures it is counted from are not known yet; until then {words.at_limit}."
    used = f"{whose}{about}{words.counts}: {_amount(gauge.now, gauge)} of {_amount(gauge.limit, gauge)}"
    if at is Level.REACHED:
        return f"{used}: {key} is reached. Now {words.at_limit}. {words.to_do}."
    if at is Level.WARNING:
        return f"{used}: {_percent(gauge)} of {key}. At the limit {words.at_limit}. {words.to_do}."
    return f"{used} ({key}). At the limit {words.at_limit}."


def _percent(gauge: Gauge) -> str:
    return f"{gauge.share * 100:.0f} %"


def _amount(value: Decimal, gauge: Gauge) -> str:
    text = f"{value:.0f}" if gauge.whole else f"{value:.2f}"
    return f"{text} {gauge.unit}" if gauge.unit else text
