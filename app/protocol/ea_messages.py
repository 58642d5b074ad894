"""The payloads of the terminal's wire, to and from domain types (mql5_ea/EA_PROTOCOL.md §4, §5, §8).

Both ends use it: the executor's adapter and the simulated terminal. Only translation lives here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

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
from app.protocol.ea_fields import (
    BadFrame,
    bool_field,
    decimal_field,
    exact,
    from_ms,
    int_field,
    maybe,
    maybe_text_field,
    nested,
    text_field,
    texts_field,
    to_ms,
)


def execution_to_wire(result: Execution) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "state": result.state.value,
        "retcode": result.retcode,
        "code": result.code,
        "order": exact(result.order),
        "deal": exact(result.deal),
        "position": exact(result.position),
        "volume": exact(result.volume),
        "requested": exact(result.requested),
        "price": exact(result.price),
        "quote": exact(result.quote),
        "attempts": result.attempts,
        "replayed": result.replayed,
        "message": result.message,
    }
    if result.ticket is not None:
        wire["ticket"] = exact(result.ticket)
    if result.details:
        wire["details"] = [execution_to_wire(detail) for detail in result.details]
    return wire


def execution_from_wire(wire: Mapping[str, Any]) -> Execution:
    retcode = wire.get("retcode")
    return Execution(
        state=ExecutionState(wire["state"]),
        retcode=None if retcode is None else int_field(wire, "retcode"),
        code=maybe_text_field(wire, "code"),
        order=maybe(Ticket, wire, "order"),
        deal=maybe(Ticket, wire, "deal"),
        position=maybe(Ticket, wire, "position"),
        volume=decimal("volume", wire.get("volume") or 0),
        requested=None if wire.get("requested") is None else decimal("requested", wire["requested"]),
        price=maybe(Price, wire, "price"),
        quote=maybe(Price, wire, "quote"),
        attempts=int_field(wire, "attempts") if "attempts" in wire else 0,
        replayed="replayed" in wire and bool_field(wire, "replayed"),
        message=maybe_text_field(wire, "message"),
        details=tuple(execution_from_wire(detail) for detail in wire.get("details") or ()),
        ticket=maybe(Ticket, wire, "ticket"),
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
        "balance": exact(account.balance),
        "credit": exact(account.credit),
        "equity": exact(account.equity),
        "margin": exact(account.margin),
        "free_margin": exact(account.free_margin),
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
        balance=decimal_field(wire, "balance"),
        credit=decimal_field(wire, "credit"),
        equity=decimal_field(wire, "equity"),
        margin=decimal_field(wire, "margin"),
        free_margin=decimal_field(wire, "free_margin"),
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
        "point": exact(spec.point),
        "tick_size": exact(spec.tick_size),
        "tick_value": exact(spec.tick_value),
        "contract_size": exact(spec.contract_size),
        "volume_min": exact(spec.volume_min),
        "volume_max": exact(spec.volume_max),
        "volume_step": exact(spec.volume_step),
        "volume_limit": exact(spec.volume_limit),
        "stops_level": spec.stops_level,
        "freeze_level": spec.freeze_level,
        "trade_mode": spec.trade_mode.value,
        "filling": list(spec.filling),
        "execution": spec.execution,
        "margin_per_lot": exact(spec.margin_per_lot),
        "currency_profit": spec.currency_profit,
        "session_open": spec.session_open,
    }


def symbol_from_wire(wire: Mapping[str, Any]) -> SymbolSpec:
    return SymbolSpec(
        symbol=Symbol(wire["symbol"]),
        digits=int_field(wire, "digits"),
        point=decimal_field(wire, "point"),
        tick_size=decimal_field(wire, "tick_size"),
        tick_value=decimal_field(wire, "tick_value"),
        contract_size=decimal_field(wire, "contract_size"),
        volume_min=decimal_field(wire, "volume_min"),
        volume_max=decimal_field(wire, "volume_max"),
        volume_step=decimal_field(wire, "volume_step"),
        volume_limit=decimal_field(wire, "volume_limit"),
        stops_level=int_field(wire, "stops_level"),
        freeze_level=int_field(wire, "freeze_level"),
        trade_mode=TradeMode(wire["trade_mode"]),
        filling=texts_field(wire, "filling"),
        execution=text_field(wire, "execution"),
        margin_per_lot=decimal_field(wire, "margin_per_lot"),
        currency_profit=text_field(wire, "currency_profit"),
        session_open=bool_field(wire, "session_open"),
    )


def quote_to_wire(quote: Quote) -> dict[str, Any]:
    return {
        "symbol": str(quote.symbol),
        "bid": exact(quote.bid),
        "ask": exact(quote.ask),
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
        "ticket": exact(position.ticket),
        "identifier": exact(position.identifier),
        "symbol": str(position.symbol),
        "side": position.side.value,
        "volume": exact(position.volume),
        "open_price": exact(position.open_price),
        "sl": exact(position.stop_loss),
        "tp": exact(position.take_profit),
        "swap": exact(position.swap),
        "profit": exact(position.profit),
        "magic": exact(position.magic),
        "comment": position.comment,
        "opened_at": to_ms(position.opened_at),
        "current_price": exact(position.current_price),
    }


def position_from_wire(wire: Mapping[str, Any]) -> Position:
    return Position(
        ticket=Ticket(wire["ticket"]),
        identifier=Ticket(wire["identifier"]),
        symbol=Symbol(wire["symbol"]),
        side=Side(wire["side"]),
        volume=Volume(wire["volume"]),
        open_price=Price(wire["open_price"], "open_price"),
        stop_loss=maybe(Price, wire, "sl"),
        take_profit=maybe(Price, wire, "tp"),
        swap=decimal_field(wire, "swap"),
        profit=decimal_field(wire, "profit"),
        magic=Magic(wire["magic"]),
        comment=str(wire.get("comment") or ""),
        opened_at=from_ms(int_field(wire, "opened_at")),
        current_price=maybe(Price, wire, "current_price"),
    )


def order_to_wire(order: PendingOrder) -> dict[str, Any]:
    return {
        "ticket": exact(order.ticket),
        "symbol": str(order.symbol),
        "kind": order.kind.value,
        "volume": exact(order.volume),
        "price": exact(order.price),
        "stop_limit": exact(order.stop_limit_price),
        "sl": exact(order.stop_loss),
        "tp": exact(order.take_profit),
        "expiration": None if order.expiration is None else to_ms(order.expiration),
        "magic": exact(order.magic),
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
        stop_limit_price=maybe(Price, wire, "stop_limit"),
        stop_loss=maybe(Price, wire, "sl"),
        take_profit=maybe(Price, wire, "tp"),
        expiration=None if wire.get("expiration") is None else from_ms(int_field(wire, "expiration")),
        magic=Magic(wire["magic"]),
        comment=str(wire.get("comment") or ""),
        placed_at=from_ms(int_field(wire, "placed_at")),
    )


def deal_to_wire(deal: Deal) -> dict[str, Any]:
    return {
        "ticket": exact(deal.ticket),
        "order": exact(deal.order),
        "position": exact(deal.position),
        "symbol": str(deal.symbol),
        "side": deal.side.value,
        "volume": exact(deal.volume),
        "price": exact(deal.price),
        "profit": exact(deal.profit),
        "swap": exact(deal.swap),
        "commission": exact(deal.commission),
        "magic": exact(deal.magic),
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
        profit=decimal_field(wire, "profit"),
        swap=decimal_field(wire, "swap"),
        commission=decimal_field(wire, "commission"),
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
        wire["position_ticket"] = exact(event.position_ticket)
        wire["position"] = None if event.position is None else position_to_wire(event.position)
    if event.order_ticket is not None:
        wire["order_ticket"] = exact(event.order_ticket)
        wire["order"] = None if event.order is None else order_to_wire(event.order)
    if event.amount is not None:
        wire["amount"] = exact(event.amount)
    if event.account is not None:
        wire["account"] = account_to_wire(event.account)
    return wire


def trade_event_from_wire(wire: Mapping[str, Any], seq: int, time: datetime) -> TradeEvent:
    return TradeEvent(
        kind=text_field(wire, "kind"),
        seq=seq,
        time=time,
        command_id=maybe_text_field(wire, "cid"),
        deal=nested(deal_from_wire, wire, "deal"),
        position_ticket=maybe(Ticket, wire, "position_ticket"),
        position=nested(position_from_wire, wire, "position"),
        order_ticket=maybe(Ticket, wire, "order_ticket"),
        order=nested(order_from_wire, wire, "order"),
        amount=None if wire.get("amount") is None else decimal_field(wire, "amount"),
        account=nested(account_from_wire, wire, "account"),
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
        execution=nested(execution_from_wire, wire, "execution"),
        sent_at=None if wire.get("sent_at") is None else from_ms(int_field(wire, "sent_at")),
        connected=bool_field(wire, "connected"),
        synchronised=bool_field(wire, "synchronised"),
        positions=tuple(position_from_wire(item) for item in wire["positions"]),
        orders=tuple(order_from_wire(item) for item in wire["orders"]),
        deals=tuple(deal_from_wire(item) for item in wire["deals"]),
    )
