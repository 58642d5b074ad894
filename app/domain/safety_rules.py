"""The safety gate: (command, what is known, limits) -> allowed, or the one refusal (PROTOCOL §6).

`check` runs the rules of the command's class from the most general to the most particular and stops at the first refusal.
Exits are never held up by a limit: reducing exposure is allowed while trading is possible at all. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain import entry_rules, strategy_rules
from app.domain.broker_rules import stops_fit, volume_fits
from app.domain.commands import (
    UNCHANGED,
    ClosePosition,
    CommandClass,
    ModifyOrder,
    ModifyPosition,
    TradeCommand,
)
from app.domain.limits import SafetyLimits
from app.domain.safety_view import ORIGINS_THAT_PASS_A_STOP, Refusal, View
from app.domain.trading_state import TradingState
from app.domain.values import Side


def check(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """The one refusal, or None: may be sent. Run again right before the send."""
    for rule in _RULES[command.command_class]:
        refusal = rule(command, view, limits)
        if refusal is not None:
            return refusal
    return None


Rule = Callable[[TradeCommand, View, SafetyLimits], Refusal | None]


# ------------------------------------------------------------------ for every command


def trading_state(command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    """HALTED lets only the operator's (and the stop's own) exits pass; REDUCING refuses entries."""
    if view.state is TradingState.HALTED:
        if command.command_class is CommandClass.EXIT and command.origin in ORIGINS_THAT_PASS_A_STOP:
            return None
        return Refusal("HALTED", "trading is stopped; a person at the machine must reset it")
    if view.state is TradingState.REDUCING and command.command_class is CommandClass.ENTRY:
        return Refusal("REDUCE_ONLY", "trading is paused: only closing, cancelling and modifying is allowed")
    return None


def terminal_link(_command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    """No trade without a live, reconciled terminal that may trade."""
    if not view.terminal_up or view.account is None:
        return Refusal("TERMINAL_LOST", "there is no connection to the MetaTrader terminal")
    missing = view.permissions.missing() if view.permissions is not None else ()
    if missing:
        return Refusal("TERMINAL_LOST", f"the terminal cannot trade; missing: {', '.join(missing)}")
    return None


def close_volume(command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    """A partial close must fit the position and the symbol's step; whether the rest may stay open is the broker's to say."""
    action = command.action
    if not isinstance(action, ClosePosition) or action.volume is None:
        return None
    position = view.positions.get(action.ticket)
    if position is None:
        return (
            None  # only the terminal can say NOT_FOUND: an exit is never refused because our picture may lag
        )
    if action.volume > position.volume:
        return Refusal(
            "VOLUME_TOO_LARGE", f"volume {action.volume} is more than the position's {position.volume} lots"
        )
    spec = view.specs.get(position.symbol)
    if spec is None or action.volume == position.volume:
        return None
    return volume_fits(action.volume, spec)


def amended_stops(command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    """New stops must lie on the right side of the market (of the order's price, for a pending order)."""
    action = command.action
    if isinstance(action, ModifyPosition):
        position = view.positions.get(action.ticket)
        quote = view.quotes.get(position.symbol) if position is not None else None
        spec = view.specs.get(position.symbol) if position is not None else None
        if position is None or quote is None or spec is None:
            return None
        base = quote.bid if position.side is Side.BUY else quote.ask
        return stops_fit(position.side, base, action.stop_loss, action.take_profit, spec)
    if isinstance(action, ModifyOrder):
        order = view.orders.get(action.ticket)
        spec = view.specs.get(order.symbol) if order is not None else None
        if order is None or spec is None:
            return None
        price = order.price if action.price is UNCHANGED else action.price
        return stops_fit(order.kind.side, price, action.stop_loss, action.take_profit, spec)
    return None


_EVERY: tuple[Rule, ...] = (trading_state, terminal_link)

_RULES: dict[CommandClass, tuple[Rule, ...]] = {
    CommandClass.EXIT: (*_EVERY, close_volume),
    CommandClass.AMENDMENT: (*_EVERY, amended_stops),
    CommandClass.ENTRY: (
        *_EVERY,
        entry_rules.brain_link,
        entry_rules.tripped_limits,
        entry_rules.symbol_allowed,
        strategy_rules.strategy_known,
        strategy_rules.symbol_allowed,
        entry_rules.symbol_tradable,
        entry_rules.symbol_in_doubt,
        entry_rules.quote_known,
        entry_rules.session_hours,
        entry_rules.entry_volume,
        entry_rules.exposure,
        strategy_rules.volume,
        strategy_rules.exposure,
        entry_rules.position_count,
        strategy_rules.position_count,
        entry_rules.daily_loss,
        strategy_rules.daily_loss,
        entry_rules.drawdown,
        entry_rules.failures,
        entry_rules.repetition,
        entry_rules.spread,
        entry_rules.price_collar,
        entry_rules.entry_stops,
        entry_rules.margin,
    ),
}
