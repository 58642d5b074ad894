"""The broker's own rules that can be checked beforehand: volume steps and stop distances of a symbol's contract."""

from __future__ import annotations

from decimal import Decimal

from app.domain.market import SymbolSpec
from app.domain.safety_view import Refusal
from app.domain.values import Price, Side


def volume_fits(volume: Decimal, spec: SymbolSpec) -> Refusal | None:
    if volume < spec.volume_min:
        return Refusal(
            "VOLUME_TOO_SMALL", f"volume {volume} is below {spec.symbol}'s least {spec.volume_min} lots"
        )
    if volume > spec.volume_max:
        return Refusal(
            "VOLUME_TOO_LARGE", f"volume {volume} is above {spec.symbol}'s most {spec.volume_max} lots"
        )
    if volume % spec.volume_step != 0:
        return Refusal(
            "VOLUME_STEP", f"volume {volume} is not a multiple of {spec.symbol}'s step {spec.volume_step}"
        )
    return None


def stops_fit(
    side: Side, base: Decimal, stop_loss: object, take_profit: object, spec: SymbolSpec
) -> Refusal | None:
    """`base`: the price at which the position would close. Distances in points of the symbol."""
    least = spec.point * spec.stops_level
    if isinstance(stop_loss, Price):
        distance = (base - stop_loss) * side.sign
        if distance <= 0 or distance < least:
            return _bad_stop("stop loss", stop_loss, "below" if side is Side.BUY else "above", base, spec)
    if isinstance(take_profit, Price):
        distance = (take_profit - base) * side.sign
        if distance <= 0 or distance < least:
            return _bad_stop("take profit", take_profit, "above" if side is Side.BUY else "below", base, spec)
    return None


def _bad_stop(what: str, price: Price, where: str, base: Decimal, spec: SymbolSpec) -> Refusal:
    least = f" by at least {spec.stops_level} points" if spec.stops_level else ""
    return Refusal("INVALID_STOPS", f"{what} {price} must be {where} {base}{least}")
