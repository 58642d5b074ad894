"""How a simulated terminal is set up, and what of it is checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from app.domain.errors import ConfigurationError
from app.sim.instruments import CATALOGUE, Instrument, choose
from app.sim.key_file import default_key_file

ACCOUNTS = ("hedging", "netting")
MODES = ("read_only", "demo_only", "full")


@dataclass(frozen=True, slots=True)
class SimConfig:
    """How a simulated terminal is set up. Port 0 chooses a free one; money in USD; latency in ms.

    Without `ledger` everything lives in a temporary folder that is gone at the end.
    """

    command_port: int = 5555
    stream_port: int = 5556
    key_file: Path = field(default_factory=default_key_file)
    ledger: Path | None = None
    faults: tuple[str, ...] = ()
    account: str = "hedging"
    balance: Decimal = Decimal(10000)
    leverage: int = 100
    seed: int = 1
    tick_rate: float = 4.0
    """Ticks a second and symbol; 0: the market stands still."""
    symbols: tuple[str, ...] | None = None
    latency: float = 0.0
    first_ticket: int = 10001234
    mode: str = "full"
    control_port: int | None = None
    wire_log: Path | None = None
    """Where every frame, effect and stop is noted with the machine's monotonic clock; None: nowhere."""


def check(config: SimConfig) -> tuple[Instrument, ...]:
    """The chosen symbols. Raises ConfigurationError with one line that names the option."""
    for option, value, allowed in (("account", config.account, ACCOUNTS), ("mode", config.mode, MODES)):
        if value not in allowed:
            raise ConfigurationError(f"--{option} {value}: must be one of {', '.join(allowed)}")
    try:
        return choose(config.symbols)
    except KeyError as unknown:
        names = ", ".join(str(item.symbol) for item in CATALOGUE)
        raise ConfigurationError(f"--symbols: unknown {unknown}; known are {names}") from None
