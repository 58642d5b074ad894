"""The payloads of the terminal's wire, to and from domain types (mql5_ea/EA_PROTOCOL.md §4, §5, §8).

Both ends use it: the executor's adapter and the simulated terminal. Only translation lives here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.market import (
    Account,
    AccountMode,
    Deal,
    DealReason,
    MarginMode,
    PendingOrder,
    Permissions,
    Position,
    Quote,
    SymbolSpec,
    TerminalSnapshot,
    TradeEvent,
    TradeMode,
)
from app.domain.values import Magic, OrderKind, Price, Side, Symbol, Ticket, Volume, decimal
from app.protocol import strict_json
from app.protocol.ea_frames import BadFrame, bool_field, int_field, maybe_text_field, text_field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
T = TypeVar("T")


def to_ms(moment: datetime) -> int:
    """Milliseconds since the Unix epoch."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(value: int) -> datetime:
    """Raises BadFrame for a moment outside of the calendar."""
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise BadFrame("a time that does not exist") from None


def execution_to_wire(result: Execution) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "state": result.state.value,
        "retcode": result.retcode,
        "code": result.code,
        "order": _out(result.order),
        "deal": _out(result.deal),
        "position": _out(result.position),
        "volume": _out(result.volume),
        "requested": _out(result.requested),
        "price": _out(result.price),
        "quote": _out(result.quote),
        "attempts": result.attempts,
        "replayed": result.replayed,
        "message": result.message,
    }
    if result.ticket is not None:
        wire["ticket"] = _out(result.ticket)
    if result.details:
        wire["details"] = [execution_to_wire(detail) for detail in result.details]
    return wire


def execution_from_wire(wire: Mapping[str, Any]) -> Execution:
    retcode = wire.get("retcode")
    return Execution(
        state=ExecutionState(wire["state"]),
        retcode=None if retcode is None else int_field(wire, "retcode"),
        code=maybe_text_field(wire, "code"),
        order=_maybe(Ticket, wire, "order"),
        deal=_maybe(Ticket, wire, "deal"),
        position=_maybe(Ticket, wire, "position"),
        volume=decimal("volume", wire.get("volume") or 0),
        requested=None if wire.get("requested") is None else decimal("requested", wire["requested"]),
        price=_maybe(Price, wire, "price"),
        quote=_maybe(Price, wire, "quote"),
        attempts=int_field(wire, "attempts") if "attempts" in wire else 0,
        replayed="replayed" in wire and bool_field(wire, "replayed"),
        message=maybe_text_field(wire, "message"),
        details=tuple(execution_from_wire(detail) for detail in wire.get("details") or ()),
        ticket=_maybe(Ticket, wire, "ticket"),
    )


def account_to_wire(account: Account) -> dict[str, Any]:
    return {
        "login": account.login,
        "server": account.server,
        "company": account.company,
        "currency": account.currency,
        "mode": account.mode.value,
        "margin_mode": account.margin_mode.value,
        "leverage": account.leverage,
        "balance": _out(account.balance),
        "credit": _out(account.credit),
        "equity": _out(account.equity),
        "margin": _out(account.margin),
        "free_margin": _out(account.free_margin),
    }


def account_from_wire(wire: Mapping[str, Any]) -> Account:
    return Account(
        login=text_field(wire, "login"),
        server=text_field(wire, "server"),
        company=str(wire.get("company") or ""),
        currency=text_field(wire, "currency"),
        mode=AccountMode(wire["mode"]),
        margin_mode=MarginMode(wire["margin_mode"]),
        leverage=int_field(wire, "leverage"),
        balance=_decimal(wire, "balance"),
        credit=_decimal(wire, "credit"),
        equity=_decimal(wire, "equity"),
        margin=_decimal(wire, "margin"),
        free_margin=_decimal(wire, "free_margin"),
    )


_PERMISSIONS = (
    "connected",
    "synchronised",
    "terminal_trade_allowed",
    "ea_trade_allowed",
    "account_trade_allowed",
    "account_expert_allowed",
    "investor_login",
)


def permissions_to_wire(permissions: Permissions) -> dict[str, Any]:
    return {name: getattr(permissions, name) for name in _PERMISSIONS}


def permissions_from_wire(wire: Mapping[str, Any]) -> Permissions:
    for name in _PERMISSIONS:
        if not isinstance(wire.get(name), bool):
            raise BadFrame(f"permissions.{name} must be true or false")
    return Permissions(**{name: wire[name] for name in _PERMISSIONS})


def symbol_to_wire(spec: SymbolSpec) -> dict[str, Any]:
    return {
        "symbol": str(spec.symbol),
        "digits": spec.digits,
        "point": _out(spec.point),
        "tick_size": _out(spec.tick_size),
        "tick_value": _out(spec.tick_value),
        "contract_size": _out(spec.contract_size),
        "volume_min": _out(spec.volume_min),
        "volume_max": _out(spec.volume_max),
        "volume_step": _out(spec.volume_step),
        "volume_limit": _out(spec.volume_limit),
        "stops_level": spec.stops_level,
        "freeze_level": spec.freeze_level,
        "trade_mode": spec.trade_mode.value,
        "filling": list(spec.filling),
        "execution": spec.execution,
        "margin_per_lot": _out(spec.margin_per_lot),
        "currency_profit": spec.currency_profit,
        "session_open": spec.session_open,
    }


def symbol_from_wire(wire: Mapping[str, Any]) -> SymbolSpec:
    return SymbolSpec(
        symbol=Symbol(wire["symbol"]),
        digits=int_field(wire, "digits"),
        point=_decimal(wire, "point"),
        tick_size=_decimal(wire, "tick_size"),
        tick_value=_decimal(wire, "tick_value"),
        contract_size=_decimal(wire, "contract_size"),
        volume_min=_decimal(wire, "volume_min"),
        volume_max=_decimal(wire, "volume_max"),
        volume_step=_decimal(wire, "volume_step"),
        volume_limit=_decimal(wire, "volume_limit"),
        stops_level=int_field(wire, "stops_level"),
        freeze_level=int_field(wire, "freeze_level"),
        trade_mode=TradeMode(wire["trade_mode"]),
        filling=_texts(wire, "filling"),
        execution=text_field(wire, "execution"),
        margin_per_lot=_decimal(wire, "margin_per_lot"),
        currency_profit=text_field(wire, "currency_profit"),
        session_open=bool_field(wire, "session_open"),
    )


def quote_to_wire(quote: Quote) -> dict[str, Any]:
    return {
        "symbol": str(quote.symbol),
        "bid": _out(quote.bid),
        "ask": _out(quote.ask),
        "time": to_ms(quote.time),
        "volume": quote.volume,
    }


def quote_from_wire(wire: Mapping[str, Any], received: float = 0.0) -> Quote:
    """`received`: monotonic seconds at which the reader got it; decides staleness."""
    return Quote(
        symbol=Symbol(wire["symbol"]),
        bid=Price(wire["bid"], "bid"),
        ask=Price(wire["ask"], "ask"),
        time=from_ms(int_field(wire, "time")),
        received=received,
        volume=int_field(wire, "volume"),
    )


def position_to_wire(position: Position) -> dict[str, Any]:
    return {
        "ticket": _out(position.ticket),
        "identifier": _out(position.identifier),
        "symbol": str(position.symbol),
        "side": position.side.value,
        "volume": _out(position.volume),
        "open_price": _out(position.open_price),
        "sl": _out(position.stop_loss),
        "tp": _out(position.take_profit),
        "swap": _out(position.swap),
        "profit": _out(position.profit),
        "magic": _out(position.magic),
        "comment": position.comment,
        "opened_at": to_ms(position.opened_at),
        "current_price": _out(position.current_price),
    }


def position_from_wire(wire: Mapping[str, Any]) -> Position:
    return Position(
        ticket=Ticket(wire["ticket"]),
        identifier=Ticket(wire["identifier"]),
        symbol=Symbol(wire["symbol"]),
        side=Side(wire["side"]),
        volume=Volume(wire["volume"]),
        open_price=Price(wire["open_price"], "open_price"),
        stop_loss=_maybe(Price, wire, "sl"),
        take_profit=_maybe(Price, wire, "tp"),
        swap=_decimal(wire, "swap"),
        profit=_decimal(wire, "profit"),
        magic=Magic(wire["magic"]),
        comment=str(wire.get("comment") or ""),
        opened_at=from_ms(int_field(wire, "opened_at")),
        current_price=_maybe(Price, wire, "current_price"),
    )


def order_to_wire(order: PendingOrder) -> dict[str, Any]:
    return {
        "ticket": _out(order.ticket),
        "symbol": str(order.symbol),
        "kind": order.kind.value,
        "volume": _out(order.volume),
        "price": _out(order.price),
        "stop_limit": _out(order.stop_limit_price),
        "sl": _out(order.stop_loss),
        "tp": _out(order.take_profit),
        "expiration": None if order.expiration is None else to_ms(order.expiration),
        "magic": _out(order.magic),
        "comment": order.comment,
        "placed_at": to_ms(order.placed_at),
    }


def order_from_wire(wire: Mapping[str, Any]) -> PendingOrder:
    return PendingOrder(
        ticket=Ticket(wire["ticket"]),
        symbol=Symbol(wire["symbol"]),
        kind=OrderKind(wire["kind"]),
        volume=Volume(wire["volume"]),
        price=Price(wire["price"]),
        stop_limit_price=_maybe(Price, wire, "stop_limit"),
        stop_loss=_maybe(Price, wire, "sl"),
        take_profit=_maybe(Price, wire, "tp"),
        expiration=None if wire.get("expiration") is None else from_ms(int_field(wire, "expiration")),
        magic=Magic(wire["magic"]),
        comment=str(wire.get("comment") or ""),
        placed_at=from_ms(int_field(wire, "placed_at")),
    )


def deal_to_wire(deal: Deal) -> dict[str, Any]:
    return {
        "ticket": _out(deal.ticket),
        "order": _out(deal.order),
        "position": _out(deal.position),
        "symbol": str(deal.symbol),
        "side": deal.side.value,
        "volume": _out(deal.volume),
        "price": _out(deal.price),
        "profit": _out(deal.profit),
        "swap": _out(deal.swap),
        "commission": _out(deal.commission),
        "magic": _out(deal.magic),
        "comment": deal.comment,
        "reason": deal.reason.value,
        "entry": deal.entry,
        "time": to_ms(deal.time),
    }


def deal_from_wire(wire: Mapping[str, Any]) -> Deal:
    return Deal(
        ticket=Ticket(wire["ticket"]),
        order=Ticket(wire["order"]),
        position=Ticket(wire["position"]),
        symbol=Symbol(wire["symbol"]),
        side=Side(wire["side"]),
        volume=Volume(wire["volume"]),
        price=Price(wire["price"]),
        profit=_decimal(wire, "profit"),
        swap=_decimal(wire, "swap"),
        commission=_decimal(wire, "commission"),
        magic=Magic(wire["magic"]),
        comment=str(wire.get("comment") or ""),
        reason=DealReason(wire["reason"]),
        entry=text_field(wire, "entry"),
        time=from_ms(int_field(wire, "time")),
    )


def snapshot_to_wire(snapshot: TerminalSnapshot) -> dict[str, Any]:
    return {
        "account": account_to_wire(snapshot.account),
        "permissions": permissions_to_wire(snapshot.permissions),
        "positions": [position_to_wire(position) for position in snapshot.positions],
        "orders": [order_to_wire(order) for order in snapshot.orders],
        "symbols": [symbol_to_wire(spec) for spec in snapshot.symbols],
        "quotes": [quote_to_wire(quote) for quote in snapshot.quotes],
        "time": to_ms(snapshot.taken_at),
        "server_utc_offset": snapshot.server_utc_offset,
        "trade_seq": snapshot.trade_seq,
    }


def snapshot_from_wire(wire: Mapping[str, Any], received: float = 0.0) -> TerminalSnapshot:
    return TerminalSnapshot(
        account=account_from_wire(wire["account"]),
        permissions=permissions_from_wire(wire["permissions"]),
        positions=tuple(position_from_wire(item) for item in wire["positions"]),
        orders=tuple(order_from_wire(item) for item in wire["orders"]),
        symbols=tuple(symbol_from_wire(item) for item in wire["symbols"]),
        quotes=tuple(quote_from_wire(item, received) for item in wire["quotes"]),
        taken_at=from_ms(int_field(wire, "time")),
        server_utc_offset=int_field(wire, "server_utc_offset"),
        trade_seq=int_field(wire, "trade_seq"),
    )


def trade_event_to_wire(event: TradeEvent) -> dict[str, Any]:
    """Data of a `trade` stream event; its number travels in the envelope's `seq`, its time in `ts`."""
    wire: dict[str, Any] = {"kind": event.kind}
    if event.command_id is not None:
        wire["cid"] = event.command_id
    if event.deal is not None:
        wire["deal"] = deal_to_wire(event.deal)
    if event.position_ticket is not None:
        wire["position_ticket"] = _out(event.position_ticket)
        wire["position"] = None if event.position is None else position_to_wire(event.position)
    if event.order_ticket is not None:
        wire["order_ticket"] = _out(event.order_ticket)
        wire["order"] = None if event.order is None else order_to_wire(event.order)
    if event.amount is not None:
        wire["amount"] = _out(event.amount)
    if event.account is not None:
        wire["account"] = account_to_wire(event.account)
    return wire


def trade_event_from_wire(wire: Mapping[str, Any], seq: int, time: datetime) -> TradeEvent:
    return TradeEvent(
        kind=text_field(wire, "kind"),
        seq=seq,
        time=time,
        command_id=maybe_text_field(wire, "cid"),
        deal=_nested(deal_from_wire, wire, "deal"),
        position_ticket=_maybe(Ticket, wire, "position_ticket"),
        position=_nested(position_from_wire, wire, "position"),
        order_ticket=_maybe(Ticket, wire, "order_ticket"),
        order=_nested(order_from_wire, wire, "order"),
        amount=None if wire.get("amount") is None else _decimal(wire, "amount"),
        account=_nested(account_from_wire, wire, "account"),
    )


def finding_to_wire(finding: Finding) -> dict[str, Any]:
    return {
        "ledger": finding.ledger,
        "execution": None if finding.execution is None else execution_to_wire(finding.execution),
        "sent_at": None if finding.sent_at is None else to_ms(finding.sent_at),
        "connected": finding.connected,
        "synchronised": finding.synchronised,
        "positions": [position_to_wire(item) for item in finding.positions],
        "orders": [order_to_wire(item) for item in finding.orders],
        "deals": [deal_to_wire(item) for item in finding.deals],
    }


def finding_from_wire(wire: Mapping[str, Any]) -> Finding:
    return Finding(
        ledger=text_field(wire, "ledger"),
        execution=_nested(execution_from_wire, wire, "execution"),
        sent_at=None if wire.get("sent_at") is None else from_ms(int_field(wire, "sent_at")),
        connected=bool_field(wire, "connected"),
        synchronised=bool_field(wire, "synchronised"),
        positions=tuple(position_from_wire(item) for item in wire["positions"]),
        orders=tuple(order_from_wire(item) for item in wire["orders"]),
        deals=tuple(deal_from_wire(item) for item in wire["deals"]),
    )


def _out(value: Decimal | int | None) -> str | None:
    """Exact numbers travel as strings: doubles would lose tickets above 2^53 and the digits of prices."""
    if value is None:
        return None
    return strict_json.plain_number(value) if isinstance(value, Decimal) else str(int(value))


def _decimal(wire: Mapping[str, Any], name: str) -> Decimal:
    value = wire.get(name)
    if not isinstance(value, str):
        raise BadFrame(f"{name} must be a decimal string")
    return decimal(name, value)


def _texts(wire: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = wire.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadFrame(f"{name} must be a list of strings")
    return tuple(value)


def _maybe(make: Callable[[str, str], T], wire: Mapping[str, Any], name: str) -> T | None:
    value = wire.get(name)
    return None if value is None else make(value, name)


def _nested(read: Callable[[Mapping[str, Any]], T], wire: Mapping[str, Any], name: str) -> T | None:
    value = wire.get(name)
    return None if value is None else read(value)
