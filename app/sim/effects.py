"""One change at the simulated broker, and its line in the ledger of effects.

A line holds the whole state after the change of what it touched, so that the books can be rebuilt from the
ledger alone; the first ten keys are a contract with the scripts that count fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from app.domain.market import Deal, DealReason, PendingOrder, Position
from app.domain.values import Magic, Price, Side, Symbol, Ticket, Volume, decimal
from app.protocol import ea_messages as wire
from app.protocol import strict_json

EXACT_IN_DOUBLES = 2**53
_DEAL_REASONS = {
    "sl": DealReason.STOP_LOSS,
    "tp": DealReason.TAKE_PROFIT,
    "so": DealReason.STOP_OUT,
    "client": DealReason.CLIENT,
}
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
            "position_id": _ticket(deal.position),
            "entry": deal.entry,
            "profit": deal.profit,
            "swap": deal.swap,
            "commission": deal.commission,
            "magic": str(int(deal.magic)),
            "comment": deal.comment,
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
    return ("{" + ",".join(f'"{name}":{_write(value)}' for name, value in line.items()) + "}\n").encode()


def from_line(text: bytes) -> Effect:
    """Raises InvalidValue (InvalidJson, BadFrame) or KeyError for a line that this program did not write."""
    line = strict_json.loads(text)
    return Effect(
        seq=line["seq"],
        time=_read_time(line),
        kind=line["effect"],
        cid=line["cid"],
        ticket=_read_ticket(line, "ticket"),
        symbol=None if line["symbol"] is None else Symbol(line["symbol"]),
        side=None if line["side"] is None else Side(line["side"]),
        volume=None if line["volume"] is None else Volume(line["volume"]),
        price=None if line["price"] is None else Price(line["price"]),
        reason=line["reason"],
        deal=_read_deal(line) if "deal" in line else None,
        position_ticket=_read_ticket(line, "position"),
        position=wire.position_from_wire(line["position_state"]) if line.get("position_state") else None,
        replaced=_read_ticket(line, "replaced"),
        order_ticket=_read_ticket(line, "pending"),
        order=wire.order_from_wire(line["order_state"]) if line.get("order_state") else None,
        amount=None if line.get("amount") is None else decimal("amount", line["amount"]),
    )


def _read_deal(line: Mapping[str, Any]) -> Deal:
    return Deal(
        ticket=Ticket(line["deal"]),
        order=Ticket(line["order"]),
        position=Ticket(line["position_id"]),
        symbol=Symbol(line["symbol"]),
        side=Side(line["side"]),
        volume=Volume(line["volume"]),
        price=Price(line["price"]),
        profit=decimal("profit", line["profit"]),
        swap=decimal("swap", line["swap"]),
        commission=decimal("commission", line["commission"]),
        magic=Magic(line["magic"]),
        comment=line["comment"],
        reason=deal_reason(line["reason"]),
        entry=line["entry"],
        time=_read_time(line),
    )


def deal_reason(reason: str) -> DealReason:
    """MT5's reason of a deal for the ledger's finer one."""
    return _DEAL_REASONS.get(reason, DealReason.EXPERT)


def _read_time(line: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(line["time"]).astimezone(UTC)


def _write(value: Any) -> str:
    """One value. Exact numbers stand at the top level only; everything deeper is text, which is quick to write."""
    if value is None:
        return "null"
    if isinstance(value, Decimal):
        return strict_json.plain_number(value)
    if isinstance(value, int):
        return str(value)
    return strict_json.dumps(value) if isinstance(value, dict) else encode_basestring(value)


def _ticket(ticket: Ticket | None) -> int | str | None:
    if ticket is None:
        return None
    return int(ticket) if ticket <= EXACT_IN_DOUBLES else str(int(ticket))


def _read_ticket(line: Mapping[str, Any], name: str) -> Ticket | None:
    value = line.get(name)
    return None if value is None else Ticket(value)
