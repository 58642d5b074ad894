"""Why the simulated broker refuses: each check gives the trade server's return code, or None when all is well.

Prices are compared with the market as MT5 does it: a BUY opens at ask and closes at bid (MQL5 reference,
"Requirements and limitations made in trade operations").
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from app.domain.market import PendingOrder, Position, Quote, TradeMode
from app.domain.values import OrderKind, Price, Side
from app.sim.instruments import Instrument
from app.sim.retcodes import Retcode
from app.sim.trade_requests import OrderTerms

_STOPS = (OrderKind.BUY_STOP, OrderKind.SELL_STOP, OrderKind.BUY_STOP_LIMIT, OrderKind.SELL_STOP_LIMIT)

_HIGHEST = Decimal(10) ** 12
"""Beyond any price; larger numbers would only exhaust the decimal arithmetic."""


def off_grid(item: Instrument, price: Decimal) -> bool:
    """Whether no market of the symbol could ever trade at this price."""
    return price > _HIGHEST or price % item.tick_size != 0


def check_volume(item: Instrument, volume: Decimal) -> Retcode | None:
    if volume < item.volume_min or volume > item.volume_max or volume % item.volume_step != 0:
        return Retcode.INVALID_VOLUME
    return None


def check_entry_allowed(item: Instrument, side: Side) -> Retcode | None:
    """Whether the symbol takes new exposure on this side now."""
    match item.trade_mode:
        case TradeMode.DISABLED:
            return Retcode.TRADE_DISABLED
        case TradeMode.CLOSE_ONLY:
            return Retcode.CLOSE_ONLY
        case TradeMode.LONG_ONLY if side is Side.SELL:
            return Retcode.LONG_ONLY
        case TradeMode.SHORT_ONLY if side is Side.BUY:
            return Retcode.SHORT_ONLY
    return None if item.session_open else Retcode.MARKET_CLOSED


def check_exit_allowed(item: Instrument) -> Retcode | None:
    if item.trade_mode is TradeMode.DISABLED:
        return Retcode.TRADE_DISABLED
    return None if item.session_open else Retcode.MARKET_CLOSED


def check_stops(
    item: Instrument,
    side: Side,
    reference: Quote | Decimal,
    stop_loss: Decimal | None,
    take_profit: Decimal | None,
) -> Retcode | None:
    """Stops on the right side and not nearer than the stops level.

    `reference` is the market for a position, the order's price for a pending order.
    """
    if isinstance(reference, Quote):
        base: Decimal = reference.bid if side is Side.BUY else reference.ask
    else:
        base = reference
    least = item.stops_level * item.point
    for price, below in ((stop_loss, side is Side.BUY), (take_profit, side is Side.SELL)):
        if price is None:
            continue
        distance = base - price if below else price - base
        if off_grid(item, price) or distance <= 0 or distance < least:
            return Retcode.INVALID_STOPS
    return None


def check_pending_price(item: Instrument, kind: OrderKind, quote: Quote, terms: OrderTerms) -> Retcode | None:
    """The price on the right side of the market; a stop-limit's limit on the right side of its stop."""
    price, stop_limit = terms.price, terms.stop_limit
    for value in (price, stop_limit):
        if value is not None and off_grid(item, value):
            return Retcode.INVALID_PRICE
    market = quote.ask if kind.side is Side.BUY else quote.bid
    above = (kind.side is Side.BUY) == (kind in _STOPS)
    distance = price - market if above else market - price
    if distance <= 0 or distance < item.stops_level * item.point:
        return Retcode.INVALID_PRICE
    if kind.is_stop_limit:
        if stop_limit is None or (stop_limit - price) * kind.side.sign > 0:
            return Retcode.INVALID_PRICE
    elif stop_limit is not None:
        return Retcode.INVALID
    return None


def check_expiration(expiration: datetime | None, now: datetime) -> Retcode | None:
    return Retcode.INVALID_EXPIRATION if expiration is not None and expiration <= now else None


def position_frozen(item: Instrument, position: Position, quote: Quote) -> bool:
    """A stop within the freeze level of the market can no longer be changed, nor the position closed."""
    price = quote.bid if position.side is Side.BUY else quote.ask
    return any(_within_freeze(item, stop, price) for stop in (position.stop_loss, position.take_profit))


def order_frozen(item: Instrument, order: PendingOrder, quote: Quote) -> bool:
    return _within_freeze(item, order.price, quote.ask if order.kind.side is Side.BUY else quote.bid)


def _within_freeze(item: Instrument, level: Price | None, price: Decimal) -> bool:
    return (
        level is not None and item.freeze_level > 0 and abs(level - price) <= item.freeze_level * item.point
    )


def order_reached(order: PendingOrder, quote: Quote) -> bool:
    """Whether the market has come to a pending order's price."""
    if order.kind.side is Side.BUY:
        return quote.ask <= order.price if order.kind.is_limit else quote.ask >= order.price
    return quote.bid >= order.price if order.kind.is_limit else quote.bid <= order.price


def stop_hit(position: Position, quote: Quote) -> str | None:
    """'sl' or 'tp' when the market has reached a stop of the position."""
    price = quote.bid if position.side is Side.BUY else quote.ask
    sign = position.side.sign
    if position.stop_loss is not None and (price - position.stop_loss) * sign <= 0:
        return "sl"
    if position.take_profit is not None and (price - position.take_profit) * sign >= 0:
        return "tp"
    return None
