"""The limits that one strategy has of its own, for its entries. They stand beside the account's, so the tighter of the two holds.

What belongs to a strategy is the engine's bookkeeping; here it is only counted. Each rule answers None or a Refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from app.domain.commands import OpenPosition, PlaceOrder, TradeCommand
from app.domain.limits import SafetyLimits, StrategyLimits
from app.domain.market import PendingOrder, Position
from app.domain.safety_view import InFlight, Refusal, View
from app.domain.values import Ticket


def strategy_known(command: TradeCommand, _view: View, limits: SafetyLimits) -> Refusal | None:
    return unknown_strategy(command, limits)


def unknown_strategy(command: TradeCommand, limits: SafetyLimits) -> Refusal | None:
    """Also asked at the door: it is the brain's mistake and not the market's."""
    if not limits.strategies_only or limits.strategy(command.strategy_id) is not None:
        return None
    named = ", ".join(own.name for own in limits.strategies) or "none"
    return Refusal(
        "INVALID_COMMAND",
        f"strategyId: {command.strategy_id or 'absent'} is not among the strategies that may trade here ({named}; "
        "safety.strategies_only)",
    )


def symbol_allowed(command: TradeCommand, _view: View, limits: SafetyLimits) -> Refusal | None:
    own = limits.strategy(command.strategy_id)
    if own is None or not own.allowed_symbols or command.symbol in own.allowed_symbols:
        return None
    allowed = ", ".join(sorted(own.allowed_symbols))
    return Refusal(
        "SYMBOL_NOT_ALLOWED", f"{command.symbol} is not among the symbols of strategy {own.name} ({allowed})"
    )


def volume(command: TradeCommand, _view: View, limits: SafetyLimits) -> Refusal | None:
    own, action = limits.strategy(command.strategy_id), command.action
    if own is None or own.max_volume_per_order is None or not isinstance(action, OpenPosition | PlaceOrder):
        return None
    if action.volume > own.max_volume_per_order:
        return Refusal(
            "VOLUME_TOO_LARGE",
            f"volume {action.volume} is above max_volume_per_order {own.max_volume_per_order} lots of strategy {own.name}",
        )
    return None


def exposure(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    own, action = limits.strategy(command.strategy_id), command.action
    if own is None or own.max_volume_total is None or not isinstance(action, OpenPosition | PlaceOrder):
        return None
    lots, _ = _held(own.name, view)
    if lots + action.volume > own.max_volume_total:
        return Refusal(
            "MAX_EXPOSURE",
            f"{lots} lots of strategy {own.name} are open or under way; with {action.volume} more they pass its "
            f"max_volume_total {own.max_volume_total}",
        )
    return None


def position_count(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    own = limits.strategy(command.strategy_id)
    if own is None or own.max_positions is None:
        return None
    _, count = _held(own.name, view)
    if count >= own.max_positions:
        return Refusal(
            "MAX_POSITIONS",
            f"{count} positions and orders of strategy {own.name}; its max_positions is {own.max_positions}",
        )
    return None


def daily_loss(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    own = limits.strategy(command.strategy_id)
    return daily_loss_reached(own, view.strategy_profit) if own is not None else None


def daily_loss_reached(own: StrategyLimits, profit: Decimal | None) -> Refusal | None:
    """Also asked without any command, whenever prices move. `profit`: closed today plus what is open now."""
    if own.max_daily_loss is None:
        return None
    if profit is None:
        return Refusal(
            "DAILY_LOSS_LIMIT",
            f"today's result of strategy {own.name} is not known yet, so its daily loss limit cannot be checked",
        )
    if -profit >= own.max_daily_loss:
        return Refusal(
            "DAILY_LOSS_LIMIT",
            f"today's result of strategy {own.name} is {profit:.2f}; its limit is -{own.max_daily_loss:.2f}",
            latch=f"daily_loss:{own.name}",
        )
    return None


def _held(strategy: str, view: View) -> tuple[Decimal, int]:
    return held_by(strategy, view.positions, view.orders, view.in_flight, view.owners)


def held_by(
    strategy: str,
    positions: Mapping[Ticket, Position],
    orders: Mapping[Ticket, PendingOrder],
    in_flight: Sequence[InFlight],
    owners: Mapping[Ticket, str | None],
) -> tuple[Decimal, int]:
    """(lots, number) of a strategy's positions, pending orders and entries in flight."""
    volumes: list[Decimal] = [
        item.volume for ticket, item in positions.items() if owners.get(ticket) == strategy
    ]
    volumes += [item.volume for ticket, item in orders.items() if owners.get(ticket) == strategy]
    volumes += [entry.volume for entry in in_flight if entry.strategy == strategy]
    return sum(volumes, Decimal(0)), len(volumes)
