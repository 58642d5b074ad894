"""The symbols that the simulated broker offers. Only facts of contracts stand here; prices move in market.py.

They differ on purpose in digits, steps, filling modes, stops levels and sessions, so that whoever assumes
"every symbol is like EURUSD" is found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.domain.market import TradeMode
from app.domain.values import Symbol


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract. Prices in quote units, volumes in lots, commission in USD a lot and side."""

    symbol: Symbol
    digits: int
    tick_size: Decimal
    contract_size: Decimal
    start_price: Decimal
    spread: int
    """Usual spread, points."""
    currency_profit: str = "USD"
    margin_in_base: bool = False
    """The margin is counted in the base currency, which is the account's (USDJPY)."""
    margin_factor: Decimal = Decimal(1)
    """Times the margin that the account's leverage gives."""
    volume_min: Decimal = Decimal("0.01")
    volume_max: Decimal = Decimal(100)
    volume_step: Decimal = Decimal("0.01")
    volume_limit: Decimal = Decimal(0)
    stops_level: int = 0
    freeze_level: int = 0
    trade_mode: TradeMode = TradeMode.FULL
    filling: tuple[str, ...] = ("fok", "ioc")
    execution: str = "market"
    commission: Decimal = Decimal(0)
    swap_long: Decimal = Decimal(0)
    """USD a lot and night."""
    swap_short: Decimal = Decimal(0)
    session_open: bool = True
    wander: int = 6
    """Largest step of one tick, points."""

    @property
    def point(self) -> Decimal:
        return Decimal(1).scaleb(-self.digits)


def _d(text: str) -> Decimal:
    return Decimal(text)


CATALOGUE: tuple[Instrument, ...] = (
    Instrument(
        Symbol("EURUSD"), 5, _d("0.00001"), _d("100000"), _d("1.10500"), 8,
        commission=_d("3.50"), swap_long=_d("-6.5"), swap_short=_d("2.1"),
    ),
    Instrument(
        Symbol("GBPUSD"), 5, _d("0.00001"), _d("100000"), _d("1.27350"), 12, filling=("ioc",),
        commission=_d("3.50"), swap_long=_d("-3.2"), swap_short=_d("-1.4"),
    ),
    Instrument(
        Symbol("USDJPY"), 3, _d("0.001"), _d("100000"), _d("149.850"), 10, currency_profit="JPY",
        margin_in_base=True, stops_level=10, commission=_d("3.50"), swap_long=_d("9.8"), swap_short=_d("-18.4"),
    ),
    Instrument(
        Symbol("XAUUSD"), 2, _d("0.01"), _d("100"), _d("2345.50"), 25, stops_level=20, volume_max=_d("50"),
        margin_factor=_d("2"), filling=("ioc",), commission=_d("3.50"), swap_long=_d("-28"), swap_short=_d("14"),
        wander=20,
    ),
    Instrument(
        Symbol("US500"), 1, _d("0.1"), _d("10"), _d("5230.5"), 5, stops_level=10, freeze_level=5,
        volume_min=_d("0.1"), volume_max=_d("250"), volume_step=_d("0.1"), volume_limit=_d("500"),
        margin_factor=_d("5"), filling=("fok",), execution="instant", wander=8,
    ),
    Instrument(
        Symbol("BTCUSD"), 2, _d("0.01"), _d("1"), _d("67250.00"), 3500, volume_max=_d("10"), margin_factor=_d("10"),
        filling=("ioc", "boc"), swap_long=_d("-35"), swap_short=_d("-20"), wander=1500,
    ),
    Instrument(
        Symbol("CLOSED.x"), 2, _d("0.01"), _d("1"), _d("187.40"), 4, volume_min=_d("1"), volume_step=_d("1"),
        volume_max=_d("10000"), margin_factor=_d("20"), filling=("fok",), execution="exchange", session_open=False,
    ),
    Instrument(
        Symbol("EXIT.x"), 3, _d("0.001"), _d("100"), _d("22.150"), 15, trade_mode=TradeMode.CLOSE_ONLY,
        filling=("fok", "ioc"),
    ),
    Instrument(
        Symbol("LONG.x"), 2, _d("0.05"), _d("1"), _d("412.35"), 15, volume_min=_d("1"), volume_step=_d("1"),
        volume_max=_d("1000"), trade_mode=TradeMode.LONG_ONLY, filling=("return",), execution="exchange",
        margin_factor=_d("20"), wander=10,
    ),
)  # fmt: skip


def choose(names: tuple[str, ...] | None) -> tuple[Instrument, ...]:
    """The catalogue, or the named part of it. Raises KeyError with the first unknown name."""
    if not names:
        return CATALOGUE
    known = {str(instrument.symbol): instrument for instrument in CATALOGUE}
    return tuple(known[name] for name in names)
