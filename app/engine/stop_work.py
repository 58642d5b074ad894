"""What follows a stop once nothing new can be sent: our pending orders cancelled, our positions closed if so ordered, both proved
by the terminal's own list. The stop frame has asked the terminal for the same; this looks, asks again and tells.

Only what is certainly ours is touched. Nothing ambiguous is repeated: a ticket whose last answer is unknown waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from app.domain.commands import CancelOrder, ClosePosition
from app.domain.errors import JournalFailed
from app.domain.events import StopStepTaken
from app.domain.market import PendingOrder, Position
from app.domain.results import CommandResult, Outcome
from app.domain.trading_state import TradingState
from app.domain.values import CommandId, Ticket
from app.engine.control import Refused
from app.engine.core import EngineCore
from app.engine.stop_story import CANCEL_BY_HAND, ORDERS, POSITIONS

FIRST_LOOK = 0.3
"""Seconds in which the terminal may do it by itself before we ask for each ticket."""
_PAUSES = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between two attempts; the last one repeats."""
_CANCEL_ATTEMPTS = 8
"""For each pending order; a position that is to be closed is tried until it is gone."""
_POLL = 0.25
_LOOK_EVERY = 2.0
"""Seconds between two looks while there is nothing to ask: a shut market, an answer that is being cleared up."""
CLOSING = "closing"
_PHONE = "or by your broker's phone"

Operate = Callable[[CancelOrder | ClosePosition], Awaitable[CommandResult]]


@dataclass(slots=True)
class _Try:
    """How it stands with one ticket."""

    attempts: int = 0
    why: str = "not asked yet"
    doubtful: CommandId | None = None
    """The command whose outcome is not known."""


class StopWork:
    """One task while a stop holds; each press only adds to what it is to do."""

    def __init__(self, core: EngineCore, refresh: Callable[[], Awaitable[bool]], operate: Operate) -> None:
        """`refresh`: a fresh snapshot into the book; False: there was none."""
        self._core = core
        self._refresh = refresh
        self._operate = operate
        self._closing = False
        self._epoch: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._tries: dict[Ticket, _Try] = {}
        self._found: set[Ticket] = set()
        """Orders of ours that were there when we first looked."""
        self._to_close: set[Ticket] = set()

    def begin(self, *, close_positions: bool, proved: Collection[str] = ()) -> None:
        """A press. Once closing is ordered it stays so until the reset. `proved`: what an earlier run has proved already."""
        core = self._core
        story, epoch = core.stop.story, core.latch.status.epoch
        if epoch != self._epoch:
            self._epoch, self._closing = epoch, False
            for table in (self._tries, self._found, self._to_close):
                table.clear()
        if ORDERS not in proved:
            story.expect(ORDERS, CANCEL_BY_HAND)
        if close_positions and not self._closing:
            self._closing = True
            story.prove(CLOSING, "our positions are to be closed")
            if POSITIONS not in proved:
                story.expect(POSITIONS, (f"close Medulla's positions in the terminal {_PHONE}",))
        if self._task is None or self._task.done():
            self._task = core.keeper.spawn("stop work", self._work())

    def take_up(self, steps: Sequence[StopStepTaken]) -> None:
        """After a restart into a stop: go on with what it had ordered."""
        last = {step.what: step.ok for step in steps}
        self.begin(close_positions=CLOSING in last, proved={what for what, ok in last.items() if ok})

    # ------------------------------------------------------------ the work

    async def _work(self) -> None:
        core = self._core
        await core.clock.sleep(FIRST_LOOK)
        turn = 0
        while core.latch.state is TradingState.HALTED and core.latch.status.epoch == self._epoch:
            if not core.ready or not await self._refresh():
                await core.clock.sleep(_POLL)
                continue
            orders, positions = self._left()
            self._tell(orders, positions)
            wanted = [ticket for ticket in orders if self._due(ticket)]
            if not wanted:
                # An order that is triggered in the meantime opens a position: orders first.
                wanted = [ticket for ticket in positions if self._closing and self._due(ticket)]
            if not wanted and not self._waits(orders, positions):
                return
            if not wanted:
                await core.clock.sleep(_LOOK_EVERY)
                continue
            await asyncio.gather(*(self._try(ticket, ticket in orders) for ticket in wanted))
            await core.clock.sleep(_PAUSES[min(turn, len(_PAUSES) - 1)])
            turn += 1

    def _left(self) -> tuple[dict[Ticket, PendingOrder], dict[Ticket, Position]]:
        """Of ours: pending orders and positions."""
        book, ours = self._core.book, self._core.gate.strategies.owners
        orders = {ticket: order for ticket, order in book.orders.items() if ticket in ours}
        positions = {ticket: position for ticket, position in book.positions.items() if ticket in ours}
        self._found |= orders.keys()
        if self._closing:
            self._to_close |= positions.keys()
        return orders, positions

    def _due(self, ticket: Ticket) -> bool:
        tried = self._tries.setdefault(ticket, _Try())
        if tried.doubtful is not None and tried.doubtful in self._core.reconciliation.unknown:
            return False
        tried.doubtful = None
        is_order = ticket in self._core.book.orders
        # Some brokers cancel while the market is shut: asked once. None closes a position then, and a weekend is long.
        if not self._market_open(ticket) and (tried.attempts or not is_order):
            tried.why = "the market is closed; it is tried again when it opens"
            return False
        return not is_order or tried.attempts < _CANCEL_ATTEMPTS

    def _market_open(self, ticket: Ticket) -> bool:
        book = self._core.book
        item = book.positions.get(ticket) or book.orders.get(ticket)
        spec = book.specs.get(item.symbol) if item is not None else None
        return spec is None or spec.session_open

    def _waits(self, orders: Mapping[Ticket, PendingOrder], positions: Mapping[Ticket, Position]) -> bool:
        """Whether something is left that may still be done later, or may still appear."""
        if not self._core.processor.idle or self._core.reconciliation.unknown:
            return True  # what was sent before the stop may yet turn out to have opened something
        if self._closing and positions:
            return True
        return any(
            self._tries[ticket].doubtful is not None or self._tries[ticket].attempts < _CANCEL_ATTEMPTS
            for ticket in orders
        )

    async def _try(self, ticket: Ticket, is_order: bool) -> None:
        tried = self._tries[ticket]
        tried.attempts += 1
        try:
            result = await self._operate(CancelOrder(ticket) if is_order else ClosePosition(ticket))
        except (Refused, TimeoutError) as fault:
            tried.why = str(fault) or "no answer in time"
            return
        except JournalFailed:
            tried.why = "the journal cannot be written, so Medulla itself sends nothing more"
            return
        if result.outcome is Outcome.UNKNOWN:
            tried.doubtful = result.command_id
            tried.why = "its outcome is not known yet; the terminal is being asked"
        elif result.outcome.success or result.code == "NOT_FOUND":
            tried.why = "done; the terminal does not show it yet"
        else:
            code = f"{result.retcode} " if result.retcode is not None else f"{result.code} "
            before, tried.why = tried.why, f"refused {code}{result.message or ''}".strip()
            what = "order" if is_order else "position"
            if tried.why == before:
                return  # a broker that refuses for a day says the same thing all day
            self._core.stop.story.tell(f"{what} {ticket}", f"{what} #{ticket} {tried.why}", ok=False)

    # ------------------------------------------------------------ what is said of it

    def _tell(self, orders: Mapping[Ticket, PendingOrder], positions: Mapping[Ticket, Position]) -> None:
        core, story = self._core, self._core.stop.story
        foreign = len(core.book.orders) - len(orders)
        beside = f" ({foreign} of others left alone)" if foreign else ""
        if orders:
            gone = len(self._found) - len(orders)
            each = "; ".join(f"#{ticket} {self._why(ticket)}" for ticket in orders)
            story.prove(
                ORDERS,
                f"orders cancelled {gone}/{len(self._found)}; pending orders left: {each}{beside}",
                ok=False,
                by_hand=[
                    f"cancel {_named(order)} in the terminal {_PHONE}: {self._why(ticket)}"
                    for ticket, order in orders.items()
                ],
            )
        elif self._found:
            story.prove(ORDERS, f"orders cancelled {len(self._found)}/{len(self._found)}{beside}")
        else:
            story.prove(ORDERS, f"no pending orders left{beside}")
        if not self._closing:
            story.prove(POSITIONS, f"open positions: {len(core.book.positions)}")
        elif positions:
            gone = len(self._to_close) - len(positions)
            each = "; ".join(f"#{ticket} {self._why(ticket)}" for ticket in positions)
            story.prove(
                POSITIONS,
                f"positions closed {gone}/{len(self._to_close)}; left: {each}",
                ok=False,
                by_hand=[
                    f"close {_named(position)} in the terminal {_PHONE}: {self._why(ticket)}"
                    for ticket, position in positions.items()
                ],
            )
        else:
            others = len(core.book.positions)
            beside = f" ({others} of others left alone)" if others else ""
            story.prove(POSITIONS, f"no position of ours is open, as the terminal's own list shows{beside}")

    def _why(self, ticket: Ticket) -> str:
        tried = self._tries.get(ticket)
        return tried.why if tried is not None else "not asked yet"


def _named(item: PendingOrder | Position) -> str:
    kind = item.kind.value if isinstance(item, PendingOrder) else item.side.value
    what = "order" if isinstance(item, PendingOrder) else "position"
    return f"{what} #{item.ticket} ({kind} {item.volume} {item.symbol})"
