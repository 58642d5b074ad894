"""Strategies by the name that the command line gives them: `ma:symbol=EURUSD,fast=10,slow=40`, `soak:rate=2`.

Reading options and building; no strategy's logic belongs here.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from app.brain.errors import BrainMisconfigured
from app.brain.strategies.interface import Strategy
from app.brain.strategies.load import LoadStrategy, SoakStrategy
from app.brain.strategies.moving_average import MovingAverageCross
from app.brain.strategies.once import SingleTrade
from app.domain.errors import InvalidValue
from app.domain.values import Magic, Symbol, Volume, decimal

Options = dict[str, str]
DEFAULT_SYMBOLS = "EURUSD+GBPUSD+USDJPY"


def build(text: str) -> Strategy:
    """`NAME` or `NAME:option=value,…`. Raises BrainMisconfigured that names the strategy, the option and the rule."""
    name, _, tail = text.partition(":")
    builder = _BUILDERS.get(name)
    if builder is None:
        known = "; ".join(f"{each}: {', '.join(options)}" for each, options in _OPTIONS.items())
        raise BrainMisconfigured(f"strategy {name!r}: is not one of (name: its options) {known}")
    chosen: Options = {}
    for part in filter(None, tail.split(",")):
        option, equals, value = part.partition("=")
        if not equals or option not in _OPTIONS[name]:
            raise BrainMisconfigured(f"strategy {name}: {part!r} is not one of {', '.join(_OPTIONS[name])}")
        chosen[option] = value
    try:
        return builder(chosen)
    except ValueError as fault:
        raise BrainMisconfigured(f"strategy {name}: {fault}") from None


def _symbols(options: Options) -> list[Symbol]:
    return [Symbol(part) for part in options.get("symbols", DEFAULT_SYMBOLS).split("+")]


def _moving_average(options: Options) -> Strategy:
    distance = options.get("stop")
    return MovingAverageCross(
        Symbol(options.get("symbol", "EURUSD")),
        fast=int(options.get("fast", "10")),
        slow=int(options.get("slow", "40")),
        volume=Volume(options.get("volume", "0.01")),
        magic=Magic(options.get("magic", "7001")),
        stop_distance=None if distance is None else _positive("stop", distance),
    )


def _load(options: Options) -> Strategy:
    return LoadStrategy(
        _symbols(options), seed=int(options.get("seed", "1")), expiry=int(options.get("expiry", "5000"))
    )


def _soak(options: Options) -> Strategy:
    return SoakStrategy(
        _symbols(options), rate=float(options.get("rate", "2")), seed=int(options.get("seed", "1"))
    )


def _once(options: Options) -> Strategy:
    return SingleTrade(
        Symbol(options.get("symbol", "EURUSD")),
        volume=Volume(options.get("volume", "0.01")),
        hold=int(options.get("hold", "5")),
    )


def _positive(field: str, text: str) -> Decimal:
    number = decimal(field, text)
    if number <= 0:
        raise InvalidValue(field, "must be greater than 0")
    return number


_BUILDERS: dict[str, Callable[[Options], Strategy]] = {
    "ma": _moving_average,
    "load": _load,
    "soak": _soak,
    "once": _once,
}
_OPTIONS: dict[str, tuple[str, ...]] = {
    "ma": ("symbol", "fast", "slow", "volume", "magic", "stop"),
    "load": ("symbols", "seed", "expiry"),
    "soak": ("symbols", "rate", "seed"),
    "once": ("symbol", "volume", "hold"),
}
