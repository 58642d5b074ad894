"""The setting `safety.strategies`: a group of strategies, each with a group of limits. What a limit does is the domain's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import PlainValidator

from app.domain.errors import InvalidValue
from app.domain.limits import StrategyLimits
from app.domain.values import Symbol, decimal
from app.settings.kinds import Allowed

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}\Z")
_MOST = 200


def _symbols(value: Any) -> frozenset[Symbol]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple | frozenset):
        raise InvalidValue("", "must be a list of symbols")
    return frozenset(Symbol(str(item).strip()) for item in items if str(item).strip())


def _amount(value: Any) -> Any:
    number = decimal("", value.strip() if isinstance(value, str) else value)
    if number <= 0:
        raise InvalidValue("", "must be greater than 0; leave it out for no limit")
    return number


def _count(value: Any) -> int:
    number = decimal("", value.strip() if isinstance(value, str) else value)
    if number != number.to_integral_value() or not 1 <= number <= 1_000_000:
        raise InvalidValue("", "must be a whole number from 1; leave it out for no limit")
    return int(number)


_LIMITS: Mapping[str, Callable[[Any], Any]] = {
    "allowed_symbols": _symbols,
    "max_volume_per_order": _amount,
    "max_volume_total": _amount,
    "max_positions": _count,
    "max_orders_per_minute": _count,
    "max_daily_loss": _amount,
}


def _limit(strategy: str, key: Any, value: Any) -> Any:
    if key not in _LIMITS:
        raise InvalidValue("strategies", f"{strategy}: there is no limit {key!r} for a strategy")
    try:
        return _LIMITS[key](value)
    except InvalidValue as fault:
        raise InvalidValue("strategies", f"{strategy}.{key} {fault.rule}") from None


def _one(name: Any, group: Any) -> StrategyLimits:
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidValue(
            "strategies", "a strategy is named as its commands' strategyId: 1 to 128 characters"
        )
    if not isinstance(group, Mapping):
        raise InvalidValue("strategies", f"{name} must be a group of limits, e.g. {{max_positions: 3}}")
    given = {key: _limit(name, key, value) for key, value in group.items() if value is not None}
    return StrategyLimits(name, **given)


def _strategies(value: Any) -> tuple[StrategyLimits, ...]:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping) or len(value) > _MOST:
        raise InvalidValue("strategies", f"must be a group of at most {_MOST} strategies")
    return tuple(_one(name, value[name]) for name in sorted(value, key=str))


Strategies = Annotated[
    tuple[StrategyLimits, ...],
    PlainValidator(_strategies),
    Allowed(f"a group of `strategyId: {{limit: value, …}}` with the limits {', '.join(_LIMITS)}"),
]


def strategy_groups(strategies: tuple[StrategyLimits, ...]) -> dict[str, dict[str, str | list[str]]]:
    """As it would be written in the file."""
    return {
        own.name: {
            key: sorted(str(symbol) for symbol in value) if isinstance(value, frozenset) else f"{value}"
            for key in _LIMITS
            if (value := getattr(own, key)) is not None and value != frozenset()
        }
        for own in strategies
    }
