"""The hand of a test in the simulated world: prices, faults, money, permissions, manual trades.

A REP socket on loopback, its messages sealed with the terminal's key. It can do what a broker, a market or a
person at the terminal can do, and nothing to the wire itself. (A repeated message is a repeated act: this is a
tool of tests and never a way to a real account.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

import zmq

from app.domain.errors import ConfigurationError, InvalidValue
from app.domain.market import TradeMode
from app.domain.values import Price, Side, Symbol, Ticket, Volume, decimal
from app.protocol import ea_frames as frames
from app.protocol import strict_json
from app.protocol.ea_messages import permissions_to_wire, quote_to_wire
from app.sim import command_args as args
from app.sim.account import cents
from app.sim.ledger import LedgerFailed
from app.sim.sockets import HOST, Wakeup, bind, has_message
from app.sim.terminal import SimulatedTerminal
from app.sim.trade_requests import Answer, MarketOrder, Origin

_MOST_MONEY = Decimal(10) ** 12
Act = Callable[[SimulatedTerminal, dict[str, Any]], dict[str, Any]]


def serve_control(terminal: SimulatedTerminal, port: int) -> int:
    """Open the control channel beside a running terminal; returns its port. Raises PortInUse."""
    with ExitStack() as unless_done:
        context = zmq.Context()
        unless_done.callback(context.destroy, linger=0)
        socket = context.socket(zmq.REP)
        socket.set(zmq.MAXMSGSIZE, frames.MAX_REQUEST)
        chosen = bind(socket, port, "control port")
        terminal.spawn(_serve(terminal, context, socket), "sim control")
        unless_done.pop_all()
    return chosen


async def _serve(terminal: SimulatedTerminal, context: zmq.Context[Any], socket: zmq.Socket[bytes]) -> None:
    try:
        with Wakeup(socket) as wakeup:
            while True:
                if not has_message(socket):
                    await wakeup.wait()
                    continue
                parts = socket.recv_multipart(zmq.NOBLOCK)
                body = strict_json.dumps({"v": frames.VERSION, "from": "terminal"} | _answer(terminal, parts))
                sealed = body.encode()
                socket.send_multipart([sealed, frames.seal(terminal.key, sealed)], zmq.NOBLOCK)
                await asyncio.sleep(0)
    finally:
        context.destroy(linger=0)


def _answer(terminal: SimulatedTerminal, parts: list[bytes]) -> dict[str, Any]:
    try:
        if len(parts) != 2:
            raise InvalidValue("frame", "must have two parts")
        message = frames.open_sealed(terminal.key, *parts)
        act = ACTS.get(str(message.get("cmd")))
        if message.get("from") != "control" or act is None:
            raise InvalidValue("cmd", f"must be one of {', '.join(ACTS)}")
        given = message.get("args")
        if not isinstance(given, dict):
            raise InvalidValue("args", "must be an object")
        return {"ok": True, "data": act(terminal, given)}
    except (InvalidValue, LedgerFailed, KeyError) as fault:
        return {"ok": False, "message": str(fault)}


def control(
    port: int, key: bytes, cmd: str, given: dict[str, Any] | None = None, *, timeout: float = 5.0
) -> Any:
    """Send one control message and wait (blocking) for its data. Raises InvalidValue, TimeoutError."""
    body = strict_json.dumps(
        {"v": frames.VERSION, "from": "control", "cmd": cmd, "args": given or {}}
    ).encode()
    context = zmq.Context()
    try:
        socket = context.socket(zmq.REQ)
        socket.connect(f"tcp://{HOST}:{port}")
        socket.send_multipart([body, frames.seal(key, body)])
        if not socket.poll(int(timeout * 1000)):
            raise TimeoutError(f"the simulated terminal did not answer {cmd} within {timeout} s")
        answer = frames.open_sealed(key, *socket.recv_multipart(), largest=frames.MAX_ANSWER)
    finally:
        context.destroy(linger=0)
    if not answer["ok"]:
        raise InvalidValue(cmd, str(answer["message"]))
    return answer["data"]


def _set_price(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    symbol = args.text(given, "symbol")
    ask = given.get("ask")
    quote = terminal.market.set_price(
        symbol,
        terminal.clock.utc(),
        bid=decimal("bid", args.text(given, "bid")),
        ask=None if ask is None else decimal("ask", ask),
    )
    terminal.quote_changed(symbol)
    return quote_to_wire(quote)


def _freeze(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    terminal.market.frozen = given.get("frozen", True) is True
    return {"frozen": terminal.market.frozen}


def _session(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    symbol = args.text(given, "symbol")
    terminal.market.set_session(symbol, is_open=given.get("open") is True)
    if "trade_mode" in given:
        terminal.market.set_trade_mode(symbol, args.read_enum(TradeMode, given, "trade_mode"))
    return {}


def _add_fault(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    try:
        terminal.faults.add(args.text(given, "spec"))
    except ConfigurationError as fault:
        raise InvalidValue("spec", str(fault)) from None
    return {}


def _clear_faults(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    terminal.faults.clear(given.get("kind"))
    return {}


def _deposit(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    amount = decimal("amount", args.text(given, "amount"))
    if abs(amount) > _MOST_MONEY or amount != cents(amount):
        raise InvalidValue("amount", f"must be whole cents and at most {_MOST_MONEY}")
    terminal.life.broker.deposit(amount)
    return {"balance": str(terminal.life.broker.book.balance)}


def _permissions(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    known = permissions_to_wire(terminal.life.permissions)
    for name, value in given.items():
        if name == "autotrading_allowed" and isinstance(value, bool):
            terminal.life.broker.autotrading_allowed = value
        elif name in known and isinstance(value, bool):
            known[name] = value
        else:
            raise InvalidValue(name, f"must be true or false, and one of {', '.join(known)}")
    terminal.life.permissions = replace(terminal.life.permissions, **known)
    return known


def _manual_open(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    item = terminal.market.instrument(args.text(given, "symbol"))
    order = MarketOrder(
        symbol=Symbol(item.symbol),
        side=args.read_enum(Side, given, "side"),
        volume=Volume(args.text(given, "volume")),
        filling=args.choose_filling(item),
        stop_loss=args.read_price(given, "sl"),
        take_profit=args.read_price(given, "tp"),
        comment=str(given.get("comment") or ""),
    )
    return _told(terminal.life.broker.open(order, Origin(reason="client")))


def _manual_close(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    ticket = Ticket(args.text(given, "ticket"))
    return _told(terminal.life.broker.close(ticket, None, Origin(reason="client")))


def _restart(terminal: SimulatedTerminal, _given: dict[str, Any]) -> dict[str, Any]:
    terminal.restart()
    return {"boot": terminal.life.boot}


def _press_stop(terminal: SimulatedTerminal, given: dict[str, Any]) -> dict[str, Any]:
    terminal.press_stop(str(given.get("reason") or "stop button"))
    return {}


def _state(terminal: SimulatedTerminal, _given: dict[str, Any]) -> dict[str, Any]:
    return terminal.state()


def _told(answer: Answer) -> dict[str, Any]:
    def text(value: Decimal | int | Price | None) -> str | None:
        return None if value is None else str(value)

    return {
        "retcode": int(answer.retcode),
        "position": text(answer.position),
        "deal": text(answer.deal),
        "order": text(answer.order),
        "price": text(answer.price),
    }


ACTS: dict[str, Act] = {
    "set_price": _set_price,
    "freeze": _freeze,
    "session": _session,
    "add_fault": _add_fault,
    "clear_faults": _clear_faults,
    "deposit": _deposit,
    "permissions": _permissions,
    "manual_open": _manual_open,
    "manual_close": _manual_close,
    "restart": _restart,
    "press_stop": _press_stop,
    "state": _state,
}
