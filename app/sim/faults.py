"""Faults that the simulated terminal can be told to have: their grammar, and when each of them strikes.

`kind[:name=value[,name=value]…]`, documented in docs/simulated-terminal.md. What a fault does stands where it
happens (trade_desk.py, terminal.py); only the choice of the moment lives here.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from app.domain.errors import ConfigurationError
from app.protocol.ea_frames import TRADES

CRASH_CODE = 137
POINTS = ("after_intent", "after_effect", "before_result", "after_result", "before_reply")
SIDES_OF_EFFECT = ("before_send", "after_effect")


class Restarting(Exception):
    """The fault `restart` struck: this life of the terminal ends without an answer."""

    def __init__(self, down: float) -> None:
        super().__init__("the simulated terminal restarts")
        self.down = down


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("must be a whole number")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1e6:
        raise ValueError("must be a number that is not negative")
    return number


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text)
    except InvalidOperation:
        raise ValueError("must be a number from 0 to 1") from None
    if not 0 <= share <= 1:
        raise ValueError("must be a number from 0 to 1")
    return share


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


Reader = Callable[[str], Any]
SELECTORS: Mapping[str, Reader] = {
    "every": _whole,
    "nth": _whole,
    "p": _share,
    "cmd": str,
    "symbol": str,
    "times": _whole,
}
KINDS: Mapping[str, Mapping[str, tuple[Reader, Any]]] = {
    "reply_lost": {},
    "late_fill": {"delay": (_number, 2.0)},
    "retcode": {"code": (_whole, None), "executed": (_truth, False)},
    "disconnect": {"seconds": (_number, 3.0), "at": (_one_of(*SIDES_OF_EFFECT), "before_send")},
    "slow": {"ms": (_number, 500.0)},
    "duplicate": {},
    "restart": {"at": (_one_of("before_send", *POINTS), "after_effect"), "down": (_number, 0.0)},
    "requote": {},
    "partial": {"fraction": (_share, Decimal("0.5"))},
    "slippage": {"points": (_whole, 10)},
    "comment": {"text": (str, "")},
    "ledger_fails": {},
    "crash": {"at": (_one_of(*POINTS), "after_effect")},
}
"""Options of each kind with their defaults; None: must be given."""


@dataclass(slots=True)
class Fault:
    """One fault with its selectors and how often it was asked and struck."""

    spec: str
    kind: str
    options: Mapping[str, Any]
    selectors: Mapping[str, Any]
    seen: int = 0
    struck: int = 0

    def strikes(self, cmd: str, symbol: str | None, chance: random.Random) -> bool:
        want = self.selectors
        if cmd != want["cmd"] if "cmd" in want else cmd not in TRADES:
            return False
        if "symbol" in want and want["symbol"] != symbol:
            return False
        self.seen += 1
        if "times" in want and self.struck >= want["times"]:
            return False
        if "nth" in want and self.seen != want["nth"]:
            return False
        if "every" in want and self.seen % want["every"] != 0:
            return False
        if "p" in want and Decimal(chance.random()) >= want["p"]:
            return False
        self.struck += 1
        return True


@dataclass(slots=True)
class Faults:
    """All faults of a terminal; they outlive its restarts. The same seed makes the same choices."""

    seed: int = 1
    items: list[Fault] = field(default_factory=list)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def add(self, spec: str) -> None:
        """Raises ConfigurationError with one line."""
        self.items.append(parse_fault(spec))

    def clear(self, kind: str | None = None) -> None:
        self.items = [] if kind is None else [fault for fault in self.items if fault.kind != kind]

    def find(self, kind: str, cmd: str, symbol: str | None, *, at: str | None = None) -> Fault | None:
        """The first fault of a kind that strikes now; all of them count the occasion."""
        found = None
        for fault in self.items:
            if fault.kind != kind or (at is not None and fault.options["at"] != at):
                continue
            if fault.strikes(cmd, symbol, self._chance) and found is None:
                found = fault
        return found

    def reach(self, point: str, cmd: str, symbol: str | None) -> None:
        """Pass a named point of a command's way: end the process there, or raise Restarting."""
        if not self.items:
            return
        if self.find("crash", cmd, symbol, at=point) is not None:
            os._exit(CRASH_CODE)
        restart = self.find("restart", cmd, symbol, at=point)
        if restart is not None:
            raise Restarting(restart.options["down"])


def parse_fault(spec: str) -> Fault:
    """Read `kind[:name=value[,name=value]…]`. Raises ConfigurationError with one line that says what and where."""
    kind, _, rest = spec.partition(":")
    known = KINDS.get(kind)
    if known is None:
        raise ConfigurationError(
            f"--fault {spec}: unknown fault {kind!r}; known are {', '.join(sorted(KINDS))}"
        )
    given = {}
    for part in rest.split(",") if rest else ():
        name, equals, text = part.partition("=")
        reader = known[name][0] if name in known else SELECTORS.get(name)
        if not equals or reader is None:
            names = ", ".join([*known, *SELECTORS])
            raise ConfigurationError(f"--fault {spec}: {part!r} is not name=value with one of {names}")
        try:
            given[name] = reader(text)
        except ValueError as fault:
            raise ConfigurationError(f"--fault {spec}: {name} {fault}") from None
        if name in ("every", "nth") and given[name] == 0:
            raise ConfigurationError(f"--fault {spec}: {name} must be at least 1")
    options = {}
    for name, (_, default) in known.items():
        if name not in given and default is None:
            raise ConfigurationError(f"--fault {spec}: {name}=… is required")
        options[name] = given.pop(name, default)
    return Fault(spec, kind, options, given)
