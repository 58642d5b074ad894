"""The rules of the safety gate that hold for entries: what may add exposure, when, where and how much.

Each rule answers None or a Refusal that names the rule, its number and the present one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.broker_rules import stops_fit, volume_fits
from app.domain.commands import OpenPosition, Origin, PlaceOrder, TradeCommand
from app.domain.limits import SafetyLimits, Session
from app.domain.market import Account, PendingOrder, Position, Quote, SymbolSpec, TradeMode
from app.domain.safety_view import InFlight, Refusal, View
from app.domain.values import OrderKind, Side, Symbol

# ------------------------------------------------------------------ entries: market and symbol


def brain_link(command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    """After 60 s of the brain's silence entries wait for a fresh session."""
    if view.brain_lost and command.origin is Origin.BRAIN:
        return Refusal("BRAIN_LOST", "the brain was silent for more than 60 s; a fresh session is needed")
    return None


def symbol_allowed(command: TradeCommand, _view: View, limits: SafetyLimits) -> Refusal | None:
    symbol = command.symbol
    if limits.allowed_symbols and symbol not in limits.allowed_symbols:
        allowed = ", ".join(sorted(limits.allowed_symbols))
        return Refusal("SYMBOL_NOT_ALLOWED", f"{symbol} is not among the allowed symbols ({allowed})")
    return None


def symbol_tradable(command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    """The terminal knows the symbol, and the broker takes this direction on it, now."""
    action = command.action
    if not isinstance(action, OpenPosition | PlaceOrder):
        return None
    spec = view.specs.get(action.symbol)
    if spec is None:
        return Refusal("SYMBOL_NOT_ALLOWED", f"the terminal does not know the symbol {action.symbol}")
    side = _side(action)
    if spec.trade_mode in (TradeMode.DISABLED, TradeMode.CLOSE_ONLY):
        return Refusal("SYMBOL_NOT_ALLOWED", f"the broker takes no new positions on {action.symbol}")
    if spec.trade_mode is (TradeMode.SHORT_ONLY if side is Side.BUY else TradeMode.LONG_ONLY):
        return Refusal("SYMBOL_NOT_ALLOWED", f"the broker takes no {side.value} on {action.symbol}")
    if not spec.session_open:
        return Refusal("MARKET_CLOSED", f"the market of {action.symbol} is closed")
    return None


def symbol_in_doubt(command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    if command.symbol in view.symbols_in_doubt:
        return Refusal(
            "SYMBOL_IN_DOUBT",
            f"an earlier command on {command.symbol} has an unknown outcome; entries wait until it is settled",
        )
    return None


def quote_known(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """An entry needs a fresh quote: every other price rule rests on it."""
    symbol = command.symbol
    quote = view.quotes.get(symbol) if symbol is not None else None
    if quote is None:
        return Refusal("STALE_QUOTE", f"there is no quote of {symbol} yet")
    age = Decimal(str(round(view.monotonic - quote.received, 3)))
    if age > limits.max_quote_age:
        return Refusal(
            "STALE_QUOTE",
            f"the last quote of {symbol} is {age:.1f} s old; the limit is {limits.max_quote_age} s",
        )
    return None


def session_hours(_command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    if limits.sessions and not any(_within(session, view.broker_time) for session in limits.sessions):
        return Refusal(
            "OUTSIDE_SESSION", f"{view.broker_time:%a %H:%M} broker time is outside the allowed sessions"
        )
    return None


# ------------------------------------------------------------------ entries: volume and exposure


def entry_volume(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    action = command.action
    if not isinstance(action, OpenPosition | PlaceOrder):
        return None
    cap = limits.max_volume_per_order
    if cap is not None and action.volume > cap:
        return Refusal("VOLUME_TOO_LARGE", f"volume {action.volume} is above max_volume_per_order {cap} lots")
    return volume_fits(action.volume, view.specs[action.symbol])


def exposure(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """Open positions, pending orders and orders in flight count alike."""
    action = command.action
    if not isinstance(action, OpenPosition | PlaceOrder):
        return None
    per_symbol, total = limits.max_volume_per_symbol, limits.max_volume_total
    limit_of_broker = view.specs[action.symbol].volume_limit
    if per_symbol is None and total is None and limit_of_broker == 0:
        return None
    on_symbol, overall = open_volume(view, action.symbol)
    if per_symbol is not None and on_symbol + action.volume > per_symbol:
        return Refusal(
            "MAX_EXPOSURE",
            f"{on_symbol} lots of {action.symbol} are open or under way; with {action.volume} more they pass "
            f"max_volume_per_symbol {per_symbol}",
        )
    if total is not None and overall + action.volume > total:
        return Refusal(
            "MAX_EXPOSURE",
            f"{overall} lots are open or under way; with {action.volume} more they pass max_volume_total {total}",
        )
    if limit_of_broker > 0 and on_symbol + action.volume > limit_of_broker:
        return Refusal("MAX_EXPOSURE", f"the broker allows {limit_of_broker} lots of {action.symbol} in all")
    return None


def open_volume(view: View, symbol: Symbol) -> tuple[Decimal, Decimal]:
    """Lots (on the symbol, overall) of positions, pending orders and entries in flight."""
    on_symbol = overall = Decimal(0)
    for item in _counted(view):
        overall += item.volume
        if item.symbol == symbol:
            on_symbol += item.volume
    return on_symbol, overall


def _counted(view: View) -> tuple[Position | PendingOrder | InFlight, ...]:
    return (*view.positions.values(), *view.orders.values(), *view.in_flight)


def position_count(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """Positions, pending orders and entries in flight, each as one."""
    if limits.max_positions is None and limits.max_positions_per_symbol is None:
        return None
    items = _counted(view)
    if limits.max_positions is not None and len(items) >= limits.max_positions:
        return Refusal(
            "MAX_POSITIONS", f"{len(items)} positions and orders; max_positions is {limits.max_positions}"
        )
    if limits.max_positions_per_symbol is not None:
        count = sum(1 for item in items if item.symbol == command.symbol)
        if count >= limits.max_positions_per_symbol:
            return Refusal(
                "MAX_POSITIONS",
                f"{count} positions and orders on {command.symbol}; "
                f"max_positions_per_symbol is {limits.max_positions_per_symbol}",
            )
    return None


def margin(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """Free margin must be `margin_cushion` times what the entry needs, beside all that the account does not show yet.

    Entries in flight, and those filled since the account was last reported: free margin is up to a second old.
    """
    action = command.action
    if not isinstance(action, OpenPosition | PlaceOrder) or view.account is None:
        return None
    needed = action.volume * view.specs[action.symbol].margin_per_lot * limits.margin_cushion
    for entry in (*view.in_flight, *view.unpictured):
        spec = view.specs.get(entry.symbol)
        if spec is not None:
            needed += entry.volume * spec.margin_per_lot
    if needed > view.account.free_margin:
        return Refusal(
            "INSUFFICIENT_MARGIN",
            f"{needed:.2f} {view.account.currency} of free margin are needed (cushion {limits.margin_cushion}); "
            f"{view.account.free_margin:.2f} are free",
        )
    return None


# ------------------------------------------------------------------ entries: losses and throttles


def tripped_limits(command: TradeCommand, view: View, _limits: SafetyLimits) -> Refusal | None:
    """A limit that latched refuses entries until a person re-enables it, whatever the figures say by then.

    A strategy's own limit (`daily_loss:strategy`) refuses that strategy's entries only.
    """
    for name, why in view.tripped.items():
        kind, _, strategy = name.partition(":")
        if not strategy or strategy == command.strategy_id:
            # A name that only another version knows still latches.
            code = CODES_OF_LATCHES.get(kind, "REPEAT_THROTTLE")
            return Refusal(code, f"{why} (latched; a person must re-enable '{name}')")
    return None


CODES_OF_LATCHES = {
    "daily_loss": "DAILY_LOSS_LIMIT",
    "drawdown": "DRAWDOWN_LIMIT",
    "repeat_throttle": "REPEAT_THROTTLE",
    "consecutive_failures": "REPEAT_THROTTLE",
}


def daily_loss(_command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """Floating: equity against its value at the start of the broker's day, deposits not counted."""
    return daily_loss_reached(view.daily_profit, view.day_start_equity, limits)


def daily_loss_reached(
    profit: Decimal | None, day_start_equity: Decimal | None, limits: SafetyLimits
) -> Refusal | None:
    """Also asked without any command, whenever equity changes."""
    limit = daily_loss_limit(limits, day_start_equity)
    if limit is None:
        return None
    if profit is None:
        return Refusal(
            "DAILY_LOSS_LIMIT", "today's result is not known yet, so the daily loss limit cannot be checked"
        )
    if -profit >= limit:
        return Refusal(
            "DAILY_LOSS_LIMIT",
            f"today's result is {profit:.2f}; the limit is -{limit:.2f}",
            latch="daily_loss",
        )
    return None


def daily_loss_limit(limits: SafetyLimits, day_start_equity: Decimal | None) -> Decimal | None:
    """The tighter of the two daily limits, account currency; None: none is set."""
    caps = []
    if limits.max_daily_loss is not None:
        caps.append(limits.max_daily_loss)
    if limits.max_daily_loss_percent is not None and day_start_equity is not None:
        caps.append(day_start_equity * limits.max_daily_loss_percent / 100)
    if not caps:
        return None if limits.max_daily_loss_percent is None else Decimal(0)
    return min(caps)


def drawdown(_command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """Equity against the highest equity seen."""
    return drawdown_reached(view.account, view.peak_equity, limits)


def drawdown_reached(account: Account | None, peak: Decimal | None, limits: SafetyLimits) -> Refusal | None:
    """Also asked without any command, whenever equity changes."""
    cap = limits.max_drawdown_percent
    if cap is None:
        return None
    percent = drawdown_percent(account, peak)
    if percent is None:
        return Refusal(
            "DRAWDOWN_LIMIT", "the account's peak is not known yet, so the drawdown limit cannot be checked"
        )
    if percent >= cap:
        return Refusal(
            "DRAWDOWN_LIMIT", f"drawdown is {percent:.2f} %; the limit is {cap} %", latch="drawdown"
        )
    return None


def drawdown_percent(account: Account | None, peak: Decimal | None) -> Decimal | None:
    if account is None or peak is None or peak <= 0:
        return None
    return max(Decimal(0), (peak - account.equity) * 100 / peak)


def failures(_command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    cap = limits.max_consecutive_failures
    if cap is not None and view.consecutive_failures >= cap:
        return Refusal(
            "REPEAT_THROTTLE",
            f"{view.consecutive_failures} executions failed in a row; the limit is {cap}",
            latch="consecutive_failures",
        )
    return None


def repetition(_command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """RTS 6 Art. 15(3): after a set number of repeated orders the system disables itself until a person re-enables it."""
    cap = limits.repeat_throttle
    if cap and view.identical_entries >= cap:
        return Refusal(
            "REPEAT_THROTTLE",
            f"{view.identical_entries} identical entries within 60 s; the limit is {cap}",
            latch="repeat_throttle",
        )
    return None


# ------------------------------------------------------------------ entries: prices


def entry_stops(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """Stops of an entry: present if required, on the right side, no nearer than the broker allows."""
    action = command.action
    if not isinstance(action, OpenPosition | PlaceOrder):
        return None
    if limits.require_stop_loss and action.stop_loss is None:
        return Refusal("STOP_LOSS_REQUIRED", "an entry needs a stop loss (safety.require_stop_loss)")
    spec, quote = view.specs.get(action.symbol), view.quotes.get(action.symbol)
    if spec is None or quote is None:
        return None  # `quote_known` has refused already
    if isinstance(action, OpenPosition):
        base = quote.bid if action.side is Side.BUY else quote.ask
        return stops_fit(action.side, base, action.stop_loss, action.take_profit, spec)
    base = action.stop_limit_price or action.price
    return stops_fit(action.kind.side, base, action.stop_loss, action.take_profit, spec) or _pending_side(
        action, quote, spec
    )


def price_collar(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """The brain's price must be near the market: a price far off is an error, whoever made it (RTS 6 Art. 15(1)(a))."""
    action, collar = command.action, limits.price_collar_percent
    if collar is None or not isinstance(action, OpenPosition | PlaceOrder) or action.price is None:
        return None
    quote = view.quotes[action.symbol]
    market = quote.ask if _side(action) is Side.BUY else quote.bid
    away = abs(action.price - market) * 100 / market
    if away > collar:
        return Refusal(
            "PRICE_COLLAR",
            f"price {action.price} is {away:.2f} % away from the market's {market}; the collar is {collar} %",
        )
    return None


def spread(command: TradeCommand, view: View, limits: SafetyLimits) -> Refusal | None:
    """No market entry while the spread is wider than allowed."""
    action = command.action
    if limits.max_spread_points is None or not isinstance(action, OpenPosition):
        return None
    quote, spec = view.quotes[action.symbol], view.specs[action.symbol]
    points = (quote.ask - quote.bid) / spec.point
    if points > limits.max_spread_points:
        return Refusal(
            "SPREAD_TOO_WIDE",
            f"spread is {points:.0f} points; the limit is {limits.max_spread_points} points",
        )
    return None


def _side(action: OpenPosition | PlaceOrder) -> Side:
    return action.side if isinstance(action, OpenPosition) else action.kind.side


def _pending_side(action: PlaceOrder, quote: Quote, spec: SymbolSpec) -> Refusal | None:
    """A buy limit waits below the market, a buy stop above it; sells the other way round (MQL5 reference, order types)."""
    kind, least = action.kind, spec.point * spec.stops_level
    market = quote.ask if kind.side is Side.BUY else quote.bid
    below = kind in (OrderKind.BUY_LIMIT, OrderKind.SELL_STOP, OrderKind.SELL_STOP_LIMIT)
    distance = market - action.price if below else action.price - market
    if distance <= 0 or distance < least:
        where = "below" if below else "above"
        return Refusal(
            "INVALID_STOPS",
            f"the price {action.price} of a {kind.value} must be {where} the market's {market}",
        )
    return None


def _within(session: Session, moment: datetime) -> bool:
    clock = moment.time().replace(tzinfo=None)
    if session.start <= session.end:
        return moment.weekday() in session.days and session.start <= clock < session.end
    yesterday = (moment - timedelta(days=1)).weekday()
    return (moment.weekday() in session.days and clock >= session.start) or (
        yesterday in session.days and clock < session.end
    )
