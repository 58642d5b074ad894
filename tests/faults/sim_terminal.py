"""A simulated terminal with its broker behind the Broker and StopChannel ports, on the world's time.

It keeps an independent ledger of every effect at the broker. Unlike the real one it *never* recognises a command id that
comes again: what the executor hands over twice is done twice and seen by the oracle. No wire formats in here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from app.domain.commands import (
    UNCHANGED,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    Origin,
    PlaceOrder,
    TradeCommand,
)
from app.domain.execution import Execution, ExecutionState, Finding
from app.domain.market import (
    Account,
    Deal,
    DealReason,
    PendingOrder,
    Permissions,
    Position,
    Quote,
    SymbolSpec,
    TerminalSnapshot,
    TradeEvent,
)
from app.domain.values import Magic, Price, Side, Symbol, Ticket, Volume
from app.engine.broker import DispatchTerms, FindHints
from tests.fakes.broker import ACCOUNT, EURUSD
from tests.faults.sim_loop import World

_NAMES = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD", *(f"STOCK{number:02d}" for number in range(36)))
SYMBOLS = tuple(Symbol(name) for name in _NAMES)
"""Many, since entries on a symbol with an unknown outcome wait."""
SPECS = {symbol: replace(EURUSD, symbol=symbol, margin_per_lot=Decimal(1)) for symbol in SYMBOLS}
BID, ASK = Price("1.10000"), Price("1.10010")
RICH = replace(ACCOUNT, balance=Decimal(1000000), equity=Decimal(1000000), free_margin=Decimal(1000000))
AMBIGUOUS = (0, 10008, 10011, 10012, 10028, 10031, 19999)
REJECTIONS = (10006, 10013, 10016, 10018, 10019)


@dataclass(slots=True)
class Fate:
    """What will happen to one trade at the terminal. `kind` is one of FATES."""

    kind: str = "done"
    retcode: int = 0
    executed: bool = True
    seconds: float = 0.0
    """Delay of a late fill, a slow broker, or a frame that hangs on its way."""


FATES = (
    "done", "partial", "rejected", "transient", "lost_before", "lost_after", "late_fill", "ambiguous", "slow",
    "restart_unread", "restart_claimed", "restart_sent", "restart_done", "cut_before", "cut_after", "hang", "unavailable",
)  # fmt: skip


@dataclass(slots=True)
class Frame:
    """One request on the command connection."""

    session: str
    epoch: int
    deadline: float
    reply: Callable[[Any], None]
    command: TradeCommand | None = None
    terms: DispatchTerms | None = None
    question: Callable[[], Any] | None = None
    fate: Fate = field(default_factory=Fate)
    ttl: float = 0.0


@dataclass(slots=True)
class Entry:
    """One line of the terminal's durable ledger."""

    stage: str
    """'claimed' | 'sent' | 'result'."""
    execution: Execution | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """Something done at the broker. `target` tells parts of one CLOSE_ALL apart."""

    at: float
    command_id: str
    kind: str
    target: int


class EffectWatch(Protocol):
    """Who wants to know of every effect, at once."""

    def effect(self, effect: Effect, command: TradeCommand) -> None: ...


class StreamEnd(Protocol):
    """The executor's end of the session and the stream; replaced with every life of the engine."""

    def cut(self, reason: str) -> None: ...

    def publish(self, event: TradeEvent) -> None: ...

    def stopped(self, reason: str, by: str) -> None: ...


class SimTerminal:
    """Terminal and broker. The broker's books outlive the terminal; both outlive the engine."""

    def __init__(self, world: World, watch: EffectWatch) -> None:
        self.world = world
        self.watch = watch
        self.positions: dict[Ticket, Position] = {}
        self.orders: dict[Ticket, PendingOrder] = {}
        self.deals: list[Deal] = []
        self.ledger: dict[str, Entry] = {}
        self.effects: list[Effect] = []
        self.permissions = Permissions()
        self.account: Account = RICH
        self.quoted: dict[Symbol, float] = dict.fromkeys(SYMBOLS, 0.0)
        self.boot = 1
        self.up = True
        self.epoch = 0
        self.stopped = False
        self.stopped_epoch = 0
        self.stop_reason: str | None = None
        self.trade_seq = 0
        self.active = ""
        self.sessions = 0
        self.serial = True
        """Questions wait behind the trade that is being carried out, as in an Expert Advisor."""
        self.fencing = True
        """False (a control): frames of dead sessions and frames past their time are begun all the same."""
        self.keeps_comments = True
        self.end: StreamEnd | None = None
        self._queue: deque[Frame] = deque()
        self._busy = False
        self._next_ticket = 5001

    # -------------------------------------------------------------- life and sessions

    @property
    def busy(self) -> bool:
        """Nothing else is answered now."""
        return self._busy and self.serial

    def begin_session(self, epoch: int, end: StreamEnd) -> str:
        self.sessions += 1
        self.active = f"{self.sessions:032x}"
        self.epoch = max(self.epoch, epoch)
        self.end = end
        self.world.trace(f"session {self.sessions} epoch {epoch}")
        return self.active

    def restart(self, seconds: float) -> None:
        """The terminal's process ends and comes back. Its ledger and its stop latch are on disk."""
        self.world.trace(f"terminal restarts for {seconds:.3f}")
        self.boot += 1
        self.up = False
        self.active = ""
        self.trade_seq = 0
        self._queue.clear()
        self._busy = False
        boot = self.boot
        if self.end is not None:
            self.end.cut("the terminal was restarted")

        def back() -> None:
            if boot == self.boot:
                self.up = True

        self.world.later(seconds, back)

    # -------------------------------------------------------------- frames

    def receive(self, frame: Frame) -> None:
        """A frame came in."""
        if not self.up:
            return
        if frame.question is not None and not self.serial:
            self._answer(frame)
            return
        self._queue.append(frame)
        self._next()

    def _next(self) -> None:
        while self._queue and not self._busy:
            frame = self._queue.popleft()
            if self.fencing and frame.session != self.active:
                continue
            if frame.question is not None:
                self._answer(frame)
            else:
                self._busy = True
                self._begin(frame)

    def _answer(self, frame: Frame) -> None:
        if frame.session == self.active and frame.question is not None:
            frame.reply(frame.question())

    # -------------------------------------------------------------- a trade

    def _hindrance(self, frame: Frame) -> Execution | None:
        """Everything that may have changed since the frame came."""
        command = frame.command
        assert command is not None
        operator = command.origin is not Origin.BRAIN and isinstance(
            command.action, ClosePosition | CancelOrder | CloseAll
        )
        if self.stopped and not operator:
            return _refused("STOPPED")
        if self.fencing:
            if frame.epoch < self.epoch:
                return _refused("EPOCH_TOO_LOW")
            if self.world.now > frame.deadline:
                return _refused("EXPIRED")
        if not self.permissions.connected:
            return _refused("NOT_CONNECTED")
        if self.permissions.missing():
            return _refused("NO_PERMISSION")
        action = command.action
        ticket = command.ticket
        if ticket is not None:
            books: dict[Ticket, Any] = (
                self.positions if isinstance(action, ClosePosition | ModifyPosition) else self.orders
            )
            if ticket not in books:
                return _refused("NOT_FOUND")
        return None

    def _begin(self, frame: Frame) -> None:
        assert frame.command is not None
        if frame.fate.kind == "restart_unread":
            self.restart(self.world.between(0.3, 4))
            return
        hindrance = self._hindrance(frame)
        if hindrance is not None:
            self._done(frame, hindrance, stored=False)
            return
        cid = str(frame.command.command_id)
        self.ledger[cid] = Entry("claimed")
        if frame.fate.kind == "restart_claimed":
            self.restart(self.world.between(0.3, 4))
            return
        boot = self.boot
        self.world.later(self.world.between(50e-6, 600e-6), lambda: self._ask(frame, cid, boot))

    def _ask(self, frame: Frame, cid: str, boot: int) -> None:
        if boot != self.boot:
            return
        if self.fencing and frame.session != self.active:
            self._busy = False  # begun by a session that is dead: it never goes further
            self._next()
            return
        hindrance = self._hindrance(frame)
        if hindrance is not None:
            self.ledger[cid] = Entry("result", hindrance)
            self._done(frame, hindrance, stored=False)
            return
        world, fate = self.world, frame.fate
        self.ledger[cid] = Entry("sent", sent_at=world.wall())
        seconds = world.between(0.001, 0.02)
        if fate.kind == "slow":
            seconds += fate.seconds
        if fate.kind == "restart_sent":
            # The request may be at the broker already when the terminal goes down.
            if fate.executed:
                command, terms = frame.command, frame.terms
                world.later(world.between(0, 0.2), lambda: self._late(command, terms))
            self.restart(world.between(0.3, 4))
            return
        world.later(seconds, lambda: self._broker(frame, cid, boot))

    def _broker(self, frame: Frame, cid: str, boot: int) -> None:
        """The broker has decided; what of it reaches the terminal is another matter."""
        world, fate = self.world, frame.fate
        command, terms = frame.command, frame.terms
        if fate.kind in ("late_fill", "ambiguous", "rejected", "transient"):
            execution = self._without_effect(frame)
        else:
            execution = self._effect_of(command, terms, fate)
        if boot != self.boot:
            return  # a terminal that died while it asked: the effect stands, nobody here hears of it
        if fate.kind == "restart_done":
            self.restart(world.between(0.3, 4))
            return
        if execution.state is not ExecutionState.UNKNOWN:
            self.ledger[cid] = Entry("result", execution, self.ledger[cid].sent_at)
        self._done(frame, execution, stored=True)

    def _without_effect(self, frame: Frame) -> Execution:
        """What the terminal says at once, when that is not the broker's last word."""
        world, fate = self.world, frame.fate
        command, terms = frame.command, frame.terms
        assert command is not None
        match fate.kind:
            case "rejected":
                return Execution(
                    ExecutionState.REJECTED, retcode=fate.retcode, requested=command.volume, attempts=1
                )
            case "transient":
                # As often as it may, and always the same answer: certainly nothing was done.
                attempts = terms.max_attempts if terms is not None else 1
                return Execution(
                    ExecutionState.REJECTED, retcode=10004, requested=command.volume, attempts=attempts
                )
            case "late_fill":
                world.later(fate.seconds, lambda: self._late(command, terms))
                return Execution(ExecutionState.UNKNOWN, retcode=10012, attempts=1)
            case _:
                if fate.executed:
                    self._effect_of(command, terms, Fate())
                return Execution(ExecutionState.UNKNOWN, retcode=fate.retcode, attempts=1)

    def _done(self, frame: Frame, execution: Execution, *, stored: bool) -> None:
        self._busy = False
        assert frame.command is not None
        self.world.trace(
            f"terminal {frame.command.command_id} {execution.state.value} {execution.code or ''}"
        )
        if frame.fate.kind == "cut_after":
            if self.end is not None:
                self.end.cut("the connection broke")
        elif frame.fate.kind != "lost_after" and (frame.session == self.active or not self.fencing):
            frame.reply(execution)
        self._next()

    # -------------------------------------------------------------- the broker's books

    def _effect_of(self, command: TradeCommand | None, terms: DispatchTerms | None, fate: Fate) -> Execution:
        """Do it at the broker."""
        assert command is not None
        action = command.action
        comment = terms.comment if terms is not None and self.keeps_comments else ""
        partial = fate.kind == "partial"
        match action:
            case OpenPosition():
                return self._open(command, action, comment, partial)
            case PlaceOrder():
                return self._place(command, action, comment)
            case ClosePosition():
                return self._close(command, action.ticket, action.volume, comment)
            case CloseAll():
                return self._close_all(command, action, comment)
            case ModifyPosition():
                return self._modify_position(command, action)
            case ModifyOrder():
                return self._modify_order(command, action)
            case CancelOrder():
                return self._cancel(command, action.ticket)

    def _late(self, command: TradeCommand | None, terms: DispatchTerms | None) -> None:
        """The broker does it when nobody waits for an answer any more."""
        self._effect_of(command, terms, Fate())

    def _effect(self, command: TradeCommand, kind: str, target: int) -> None:
        effect = Effect(self.world.now, str(command.command_id), kind, target)
        self.effects.append(effect)
        self.world.trace(f"EFFECT {effect.command_id} {kind} {target}")
        self.watch.effect(effect, command)

    def _ticket(self) -> Ticket:
        self._next_ticket += 1
        return Ticket(self._next_ticket)

    def _open(self, command: TradeCommand, action: OpenPosition, comment: str, partial: bool) -> Execution:
        ticket = self._ticket()
        volume = action.volume
        if partial and volume >= Decimal("0.02"):
            volume = Volume(volume / 2)
        price = ASK if action.side is Side.BUY else BID
        position = Position(
            ticket, ticket, action.symbol, action.side, volume, price, action.stop_loss, action.take_profit, Decimal(0),
            Decimal(0), action.magic, comment, self.world.wall(),
        )  # fmt: skip
        self.positions[ticket] = position
        self._effect(command, "deal", 0)
        deal = self._deal(position, volume, action.side, "in", comment)
        self._publish("deal", str(command.command_id), deal=deal, position_ticket=ticket, position=position)
        state = ExecutionState.PARTIAL if volume < action.volume else ExecutionState.DONE
        return Execution(
            state, retcode=10010 if state is ExecutionState.PARTIAL else 10009, order=ticket, deal=deal.ticket, position=ticket,
            volume=volume, requested=action.volume, price=price, attempts=1,
        )  # fmt: skip

    def _deal(self, position: Position, volume: Decimal, side: Side, entry: str, comment: str) -> Deal:
        deal = Deal(
            Ticket(self._ticket() + 100000), position.ticket, position.ticket, position.symbol, side, Volume(volume),
            position.open_price, Decimal(0), Decimal(0), Decimal(0), position.magic, comment, DealReason.EXPERT, entry,
            self.world.wall(),
        )  # fmt: skip
        self.deals.append(deal)
        return deal

    def _place(self, command: TradeCommand, action: PlaceOrder, comment: str) -> Execution:
        ticket = self._ticket()
        order = PendingOrder(
            ticket, action.symbol, action.kind, action.volume, action.price, action.stop_limit_price, action.stop_loss,
            action.take_profit, action.expiration, action.magic, comment, self.world.wall(),
        )  # fmt: skip
        self.orders[ticket] = order
        self._effect(command, "order_placed", 0)
        self._publish("order_placed", str(command.command_id), order_ticket=ticket, order=order)
        return Execution(
            ExecutionState.DONE, retcode=10009, order=ticket, volume=action.volume, requested=action.volume, price=action.price,
            attempts=1,
        )  # fmt: skip

    def _close(
        self, command: TradeCommand, ticket: Ticket, volume: Decimal | None, comment: str
    ) -> Execution:
        position = self.positions.get(ticket)
        if position is None:
            return Execution(ExecutionState.REJECTED, retcode=10036, requested=volume, attempts=1)
        closed = min(volume or position.volume, position.volume)
        rest = position.volume - closed
        after = replace(position, volume=Volume(rest)) if rest > 0 else None
        if after is None:
            del self.positions[ticket]
        else:
            self.positions[ticket] = after
        self._effect(command, "deal", ticket)
        deal = self._deal(position, closed, position.side.opposite, "out", comment)
        self._publish("deal", str(command.command_id), deal=deal, position_ticket=ticket, position=after)
        return Execution(
            ExecutionState.DONE, retcode=10009, order=deal.order, deal=deal.ticket, position=ticket, volume=closed,
            requested=volume or closed, price=deal.price, attempts=1, ticket=ticket,
        )  # fmt: skip

    def _close_all(self, command: TradeCommand, action: CloseAll, comment: str) -> Execution:
        chosen = [
            ticket
            for ticket, position in self.positions.items()
            if (action.symbol is None or position.symbol == action.symbol)
            and (action.magic is None or position.magic == action.magic)
        ]
        details = tuple(self._close(command, ticket, None, comment) for ticket in chosen)
        volume = sum((detail.volume for detail in details), Decimal(0))
        return Execution(ExecutionState.DONE, retcode=10009, volume=volume, attempts=1, details=details)

    def _modify_position(self, command: TradeCommand, action: ModifyPosition) -> Execution:
        position = self.positions.get(action.ticket)
        if position is None:
            return Execution(ExecutionState.REJECTED, retcode=10036, attempts=1)
        if action.stop_loss is not UNCHANGED:
            position = replace(position, stop_loss=action.stop_loss)
        if action.take_profit is not UNCHANGED:
            position = replace(position, take_profit=action.take_profit)
        self.positions[action.ticket] = position
        self._effect(command, "position_modified", action.ticket)
        self._publish(
            "position_modified", str(command.command_id), position_ticket=action.ticket, position=position
        )
        return Execution(ExecutionState.DONE, retcode=10009, position=action.ticket, attempts=1)

    def _modify_order(self, command: TradeCommand, action: ModifyOrder) -> Execution:
        order = self.orders.get(action.ticket)
        if order is None:
            return Execution(ExecutionState.REJECTED, retcode=10035, attempts=1)
        if action.price is not UNCHANGED:
            order = replace(order, price=action.price)
        self.orders[action.ticket] = order
        self._effect(command, "order_modified", action.ticket)
        self._publish("order_modified", str(command.command_id), order_ticket=action.ticket, order=order)
        return Execution(ExecutionState.DONE, retcode=10009, order=action.ticket, attempts=1)

    def _cancel(self, command: TradeCommand, ticket: Ticket) -> Execution:
        if ticket not in self.orders:
            return Execution(ExecutionState.REJECTED, retcode=10035, attempts=1)
        del self.orders[ticket]
        self._effect(command, "order_cancelled", ticket)
        self._publish("order_cancelled", str(command.command_id), order_ticket=ticket)
        return Execution(ExecutionState.DONE, retcode=10009, order=ticket, attempts=1)

    # -------------------------------------------------------------- what happens without a command

    def close_by_itself(self, ticket: Ticket) -> None:
        """A stop loss is hit."""
        position = self.positions.pop(ticket, None)
        if position is not None:
            self.world.trace(f"stop loss of {ticket}")
            deal = replace(
                self._deal(position, position.volume, position.side.opposite, "out", "[sl]"),
                reason=DealReason.STOP_LOSS,
            )
            self._publish("deal", None, deal=deal, position_ticket=ticket)

    def stop(self, reason: str, epoch: int, by: str, *, cancel_orders: bool, close_positions: bool) -> None:
        """Latch the terminal; a second stop changes nothing but may ask for more."""
        self.world.trace(f"terminal stop by {by}")
        if not self.stopped:
            self.stopped, self.stop_reason, self.stopped_epoch = True, reason, max(epoch, self.epoch)
            if self.end is not None:
                self.end.stopped(reason, by)
        if cancel_orders and self.permissions.connected:
            for ticket in tuple(self.orders):
                del self.orders[ticket]
                self._publish("order_cancelled", None, order_ticket=ticket)
        if close_positions and self.permissions.connected:
            for ticket, position in tuple(self.positions.items()):
                del self.positions[ticket]
                deal = self._deal(position, position.volume, position.side.opposite, "out", "")
                self._publish("deal", None, deal=deal, position_ticket=ticket)

    def resume(self, epoch: int) -> bool:
        if self.stopped and epoch <= self.stopped_epoch:
            return False
        self.stopped, self.stop_reason = False, None
        return True

    def _publish(self, kind: str, command_id: str | None, **fields: Any) -> None:
        if not self.up:
            return  # nobody streams; the next snapshot shows it
        self.trade_seq += 1
        event = TradeEvent(
            kind, self.trade_seq, self.world.wall(), command_id, account=self.account, **fields
        )
        if self.end is not None:
            self.end.publish(event)

    # -------------------------------------------------------------- questions

    def quote(self, symbol: Symbol, received: float) -> Quote:
        return Quote(symbol, BID, ASK, self.world.wall(), received)

    def snapshot(self, received: float) -> TerminalSnapshot:
        return TerminalSnapshot(
            account=self.account,
            permissions=self.permissions,
            positions=tuple(self.positions.values()),
            orders=tuple(self.orders.values()),
            symbols=tuple(SPECS.values()),
            quotes=tuple(self.quote(symbol, received) for symbol in SYMBOLS),
            taken_at=self.world.wall(),
            trade_seq=self.trade_seq,
        )

    def spec(self, symbol: Symbol) -> SymbolSpec | None:
        return SPECS.get(symbol)

    def find(self, command_id: str, hints: FindHints) -> Finding:
        entry = self.ledger.get(command_id)
        connected, synchronised = self.permissions.connected, self.permissions.synchronised
        deals: tuple[Deal, ...] = ()
        orders: tuple[PendingOrder, ...] = ()
        if connected and synchronised:
            deals = tuple(
                deal
                for deal in self.deals
                if deal.time >= hints.since and self._hinted(hints, deal.comment, deal.symbol, deal.magic)
            )
            orders = tuple(
                order
                for order in self.orders.values()
                if self._hinted(hints, order.comment, order.symbol, order.magic)
            )
        return Finding(
            ledger="never_seen" if entry is None else entry.stage,
            execution=entry.execution if entry is not None else None,
            sent_at=entry.sent_at if entry is not None else None,
            connected=connected,
            synchronised=synchronised,
            deals=deals,
            orders=orders,
        )

    @staticmethod
    def _hinted(hints: FindHints, comment: str, symbol: Symbol, magic: Magic) -> bool:
        if hints.tag is not None and comment.startswith(hints.tag):
            return True
        return hints.magic is not None and magic == hints.magic and hints.symbol in (None, symbol)


def _refused(code: str) -> Execution:
    return Execution(ExecutionState.REFUSED, code=code, message=code.lower())
