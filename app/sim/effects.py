"""One change at the simulated broker, and its line in the ledger of effects.

A line holds the whole state after the change of what it touched, so that the books can be rebuilt from the
ledger alone; the first ten keys are a contract with the scripts that count fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.domain.market import Deal, PendingOrder, Position
from app.domain.values import Price, Side, Symbol, Ticket, Volume, decimal
from app.protocol import ea_messages as wire
from app.protocol import strict_json

EXACT_IN_DOUBLES = 2**53
KINDS = ("deal", "order_placed", "order_modified", "order_cancelled", "position_modified", "balance")


@dataclass(frozen=True, slots=True)
class Effect:
    """A change that has happened. `ticket` is what a trader would name: the position, or the pending order.

    `cid` is the command that did it, None when nobody's (a stop loss, an expiry, a manual trade).
    """

    seq: int
    time: datetime
    kind: str
    cid: str | None
    ticket: Ticket | None
    symbol: Symbol | None
    side: Side | None
    volume: Decimal | None
    price: Decimal | None
    reason: str
    """'expert' (a command), 'stop', 'client', 'sl', 'tp', 'so', 'expired', 'triggered', 'no_money', 'swap'."""
    deal: Deal | None = None
    position_ticket: Ticket | None = None
    """The position that changed; `position` is its state after, None: gone."""
    position: Position | None = None
    replaced: Ticket | None = None
    """Ticket that the position had before a netting reversal gave it a new one."""
    order_ticket: Ticket | None = None
    order: PendingOrder | None = None
    amount: Decimal | None = None


def to_line(effect: Effect) -> bytes:
    """One JSON object and a newline. Numbers are exact; tickets above 2^53 are strings."""
    line: dict[str, Any] = {
        "seq": effect.seq,
        "time": effect.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "effect": effect.kind,
        "cid": effect.cid,
        "ticket": _ticket(effect.ticket),
        "symbol": None if effect.symbol is None else str(effect.symbol),
        "side": None if effect.side is None else effect.side.value,
        "volume": effect.volume,
        "price": effect.price,
        "reason": effect.reason,
    }
    if effect.deal is not None:
        deal = effect.deal
        line |= {
            "deal": _ticket(deal.ticket),
            "order": _ticket(deal.order),
            "entry": deal.entry,
            "profit": deal.profit,
            "magic": str(deal.magic),
            "comment": deal.comment,
            "deal_state": wire.deal_to_wire(deal),
        }
    if effect.position_ticket is not None:
        line["position"] = _ticket(effect.position_ticket)
        line["position_state"] = None if effect.position is None else wire.position_to_wire(effect.position)
    if effect.replaced is not None:
        line["replaced"] = _ticket(effect.replaced)
    if effect.order_ticket is not None:
        line["pending"] = _ticket(effect.order_ticket)
        line["order_state"] = None if effect.order is None else wire.order_to_wire(effect.order)
    if effect.amount is not None:
        line["amount"] = effect.amount
    return strict_json.dumps(line).encode() + b"\n"


def from_line(text: bytes) -> Effect:
    """Raises InvalidValue (InvalidJson, BadFrame) or KeyError for a line that this program did not write."""
    line = strict_json.loads(text)
    return Effect(
        seq=line["seq"],
        time=datetime.fromisoformat(line["time"]).astimezone(UTC),
        kind=line["effect"],
        cid=line["cid"],
        ticket=_read_ticket(line, "ticket"),
        symbol=None if line["symbol"] is None else Symbol(line["symbol"]),
        side=None if line["side"] is None else Side(line["side"]),
        volume=None if line["volume"] is None else Volume(line["volume"]),
        price=None if line["price"] is None else Price(line["price"]),
        reason=line["reason"],
        deal=wire.deal_from_wire(line["deal_state"]) if "deal_state" in line else None,
        position_ticket=_read_ticket(line, "position"),
        position=wire.position_from_wire(line["position_state"]) if line.get("position_state") else None,
        replaced=_read_ticket(line, "replaced"),
        order_ticket=_read_ticket(line, "pending"),
        order=wire.order_from_wire(line["order_state"]) if line.get("order_state") else None,
        amount=None if line.get("amount") is None else decimal("amount", line["amount"]),
    )


def _ticket(ticket: Ticket | None) -> int | str | None:
    if ticket is None:
        return None
    return int(ticket) if ticket <= EXACT_IN_DOUBLES else str(int(ticket))


def _read_ticket(line: Mapping[str, Any], name: str) -> Ticket | None:
    value = line.get(name)
    return None if value is None else Ticket(value)
