"""What a change of the limits means: which limit, from what to what, and whether it lets more through than before.

Also the one text form of every limit, in which the journal keeps it and people read it. No journal, no settings file, no decision
on who may change what.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import time
from decimal import Decimal
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.limits import OnBrainLost, SafetyLimits, Session, StrategyLimits
from app.domain.values import Symbol, decimal

OFF = "off"
ALL_SYMBOLS = "all"
ALWAYS = "always"
NO_STRATEGIES = "none"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_WEEK = 7 * _DAY


@dataclass(frozen=True, slots=True)
class LimitChange:
    """One limit that differs. `old` and `new` in the form of `limit_texts`."""

    name: str
    old: str
    new: str
    loosens: bool
    """True: something that was refused before may pass now, or a stop or a silence does less than before."""

    def __str__(self) -> str:
        return f"{self.name} {self.old} → {self.new}"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the values of one sort of limit are written, read back and compared."""

    text: Callable[[Any], str]
    read: Callable[[str], Any]
    loosens: Callable[[Any, Any], bool]


def compare(old: SafetyLimits, new: SafetyLimits) -> tuple[LimitChange, ...]:
    """Every limit that differs, in the order of SafetyLimits; empty: nothing changed. Equal numbers are equal however written."""
    found = []
    for name, kind in _KINDS.items():
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            looser = kind.loosens(before, after) or _admits_a_strategy(name, before, new)
            found.append(LimitChange(name, kind.text(before), kind.text(after), looser))
    return tuple(found)


def limit_texts(limits: SafetyLimits) -> dict[str, str]:
    """Every limit by its name under `safety`, as text: `300`, `off`, `all`, `EURUSD,GBPUSD`, `mon+tue 08:00-22:00`, `true`."""
    return {name: kind.text(getattr(limits, name)) for name, kind in _KINDS.items()}


def compare_with_texts(old: Mapping[str, str], new: SafetyLimits) -> tuple[LimitChange, ...]:
    """The same against what `limit_texts` wrote earlier. A limit that was not known then has not changed.

    A text that cannot be read any more counts as loosened: nobody can say that it was not.
    """
    found = []
    for name, kind in _KINDS.items():
        if name not in old:
            continue
        after = getattr(new, name)
        try:
            before = kind.read(old[name])
        except (InvalidValue, ValueError, KeyError, TypeError, AttributeError):
            found.append(LimitChange(name, old[name], kind.text(after), True))
            continue
        if before != after:
            looser = kind.loosens(before, after) or _admits_a_strategy(name, before, new)
            found.append(LimitChange(name, old[name], kind.text(after), looser))
    return tuple(found)


def loosened(changes: tuple[LimitChange, ...]) -> tuple[LimitChange, ...]:
    """Those that need a reason."""
    return tuple(change for change in changes if change.loosens)


# ------------------------------------------------------------------ sorts of limits


def _off_or(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text == OFF else read(text)


def _cap_loosens(old: Decimal | int | None, new: Decimal | int | None) -> bool:
    """A ceiling: higher is looser, none (or 0 where that means none) the loosest."""
    return old is not None and (new is None or new > old)


def _counter_loosens(old: int, new: int) -> bool:
    return _cap_loosens(old or None, new or None)


def _number_text(value: Decimal | int | None) -> str:
    return OFF if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def _exact(text: str) -> Decimal:
    return decimal("limit", text)


_AMOUNT = _Kind(_number_text, _off_or(_exact), _cap_loosens)
_COUNT = _Kind(_number_text, _off_or(int), _cap_loosens)
_COUNTER = _Kind(
    lambda value: str(value) if value else OFF, lambda text: 0 if text == OFF else int(text), _counter_loosens
)
_CUSHION = _Kind(_number_text, _exact, lambda old, new: new < old)
_GUARD = _Kind(
    lambda value: "true" if value else "false",
    lambda text: {"true": True, "false": False}[text],
    lambda old, new: bool(old) and not new,
)


def _symbols_text(symbols: frozenset[Symbol]) -> str:
    return ",".join(sorted(symbols)) or ALL_SYMBOLS


def _read_symbols(text: str) -> frozenset[Symbol]:
    return frozenset() if text == ALL_SYMBOLS else frozenset(Symbol(name) for name in text.split(","))


def _symbols_loosen(old: frozenset[Symbol], new: frozenset[Symbol]) -> bool:
    """Empty stands for all symbols."""
    return bool(old) and (not new or not new <= old)


_SYMBOLS = _Kind(_symbols_text, _read_symbols, _symbols_loosen)


def _sessions_text(sessions: tuple[Session, ...]) -> str:
    return (
        "; ".join(
            f"{'+'.join(_DAYS[day] for day in sorted(session.days))} {session.start:%H:%M}-{session.end:%H:%M}"
            for session in sessions
        )
        or ALWAYS
    )


def _read_sessions(text: str) -> tuple[Session, ...]:
    if text == ALWAYS:
        return ()
    found = []
    for part in text.split("; "):
        days, span = part.split(" ")
        start, end = span.split("-")
        found.append(
            Session(
                frozenset(_DAYS.index(day) for day in days.split("+")),
                time.fromisoformat(start),
                time.fromisoformat(end),
            )
        )
    return tuple(found)


def _minutes(sessions: tuple[Session, ...]) -> int:
    """The open minutes of a week, one bit each."""
    if not sessions:
        return (1 << _WEEK) - 1
    week = 0
    for session in sessions:
        start = session.start.hour * 60 + session.start.minute
        end = session.end.hour * 60 + session.end.minute
        length = (end - start) % _DAY or _DAY
        for day in session.days:
            span = ((1 << length) - 1) << (day * _DAY + start)
            week |= (span | span >> _WEEK) & ((1 << _WEEK) - 1)
    return week


_SESSIONS = _Kind(_sessions_text, _read_sessions, lambda old, new: bool(_minutes(new) & ~_minutes(old)))
_BRAIN_LOST_ORDER = (OnBrainLost.CLOSE_ALL, OnBrainLost.CANCEL_ORDERS, OnBrainLost.HOLD)
_BRAIN_LOST = _Kind(
    lambda value: str(value.value),
    OnBrainLost,
    lambda old, new: _BRAIN_LOST_ORDER.index(new) > _BRAIN_LOST_ORDER.index(old),
)

_STRATEGY_KINDS: dict[str, _Kind] = {
    "allowed_symbols": _SYMBOLS,
    "max_volume_per_order": _AMOUNT,
    "max_volume_total": _AMOUNT,
    "max_positions": _COUNT,
    "max_orders_per_minute": _COUNT,
    "max_daily_loss": _AMOUNT,
}


def _strategies_text(strategies: tuple[StrategyLimits, ...]) -> str:
    """JSON: the names of strategies are the brain's, and may hold anything."""
    if not strategies:
        return NO_STRATEGIES
    groups = {
        own.name: {
            name: kind.text(value)
            for name, kind in _STRATEGY_KINDS.items()
            if (value := getattr(own, name)) is not None and value != frozenset()
        }
        for own in strategies
    }
    return json.dumps(groups, ensure_ascii=False, sort_keys=True)


def _read_strategies(text: str) -> tuple[StrategyLimits, ...]:
    if text == NO_STRATEGIES:
        return ()
    return tuple(
        StrategyLimits(name, **{key: _STRATEGY_KINDS[key].read(value) for key, value in group.items()})
        for name, group in json.loads(text).items()
    )


def _strategies_loosen(old: tuple[StrategyLimits, ...], new: tuple[StrategyLimits, ...]) -> bool:
    """One that lost its limits, or has a looser one."""
    later = {own.name: own for own in new}
    for own in old:
        after = later.get(own.name)
        if after is None or any(
            kind.loosens(getattr(own, name), getattr(after, name)) for name, kind in _STRATEGY_KINDS.items()
        ):
            return True
    return False


def _admits_a_strategy(name: str, before: Any, new: SafetyLimits) -> bool:
    """While only named strategies may trade, a further name lets more through."""
    if name != "strategies" or not new.strategies_only:
        return False
    return bool({own.name for own in new.strategies} - {own.name for own in before})


_STRATEGIES = _Kind(_strategies_text, _read_strategies, _strategies_loosen)

_KINDS: dict[str, _Kind] = {
    "allowed_symbols": _SYMBOLS,
    "max_volume_per_order": _AMOUNT,
    "max_volume_per_symbol": _AMOUNT,
    "max_volume_total": _AMOUNT,
    "max_positions": _COUNT,
    "max_positions_per_symbol": _COUNT,
    "max_orders_per_second": _COUNTER,
    "max_orders_per_minute": _COUNTER,
    "price_collar_percent": _AMOUNT,
    "max_spread_points": _COUNT,
    "max_slippage_points": _COUNT,
    "margin_cushion": _CUSHION,
    "sessions": _SESSIONS,
    "require_stop_loss": _GUARD,
    "max_daily_loss": _AMOUNT,
    "max_daily_loss_percent": _AMOUNT,
    "max_drawdown_percent": _AMOUNT,
    "max_consecutive_failures": _COUNT,
    "repeat_throttle": _COUNTER,
    "max_quote_age": _AMOUNT,
    "on_brain_lost": _BRAIN_LOST,
    "stop_closes_positions": _GUARD,
    "strategies": _STRATEGIES,
    "strategies_only": _GUARD,
}

_forgotten = ({field.name for field in fields(SafetyLimits)} ^ _KINDS.keys()) | (
    {field.name for field in fields(StrategyLimits)} ^ (_STRATEGY_KINDS.keys() | {"name"})
)
if _forgotten:
    # A limit without a direction could be loosened unseen: better that nothing starts.
    raise TypeError(f"limits whose direction is not said here: {sorted(_forgotten)}")
