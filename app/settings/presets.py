"""Limits to begin with, as whole sets: what the first start offers. Figures are for a small account; nobody's advice, but each of
them bounds a loss that no limit at all would not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRESET_KEYS = (
    "safety.max_volume_per_order",
    "safety.max_volume_total",
    "safety.max_positions",
    "safety.max_positions_per_symbol",
    "safety.max_daily_loss_percent",
    "safety.max_drawdown_percent",
    "safety.max_consecutive_failures",
    "safety.max_orders_per_minute",
    "safety.repeat_throttle",
    "safety.price_collar_percent",
    "safety.require_stop_loss",
)
"""In the order in which a person is shown them."""


def _preset(*values: str) -> Mapping[str, str]:
    return MappingProxyType(dict(zip(PRESET_KEYS, values, strict=True)))


CONSERVATIVE = _preset("0.10", "0.30", "3", "1", "1", "5", "3", "20", "2", "1", "true")
STANDARD = _preset("0.50", "2.00", "10", "3", "3", "10", "5", "60", "3", "2", "false")
