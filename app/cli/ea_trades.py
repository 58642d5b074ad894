"""The trades of an acceptance: one position from opening to closing, one pending order, and what must be refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from app.cli.ea_desk import SETTLES, TrialDesk, at_distance, told, with_ticket
from app.cli.ea_trial import Failed, NotTested
from app.domain.commands import (
    CancelOrder,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
)
from app.domain.execution import Execution, ExecutionState
from app.domain.market import Position, TerminalSnapshot
from app.domain.values import OrderKind, Ticket, Volume


class Trades:
    """Each check builds on the ones before it; what is missing makes it "not tested"."""

    def __init__(self, desk: TrialDesk) -> None:
        self._desk = desk
        self._opened: tuple[OpenPosition, Execution] | None = None
        self._position: Ticket | None = None
        self._order: Ticket | None = None

    async def run(self) -> None:
        """All of them, in order."""
        await self._desk.check("open", self._open)
        await self._desk.check("same id again: one deal", self._replay)
        await self._desk.check("same id, other content: refused", self._conflict)
        await self._desk.check("found again by its id", self._find)
        await self._desk.check("modify stops", self._modify)
        await self._desk.check("partial close", self._partial_close)
        await self._desk.check("close", self._close)
        await self._desk.check("place pending order", self._place)
        await self._desk.check("modify pending order", self._modify_order)
        await self._desk.check("cancel pending order", self._cancel)
        await self._desk.check("too late: refused", self._expired)
        await self._desk.check("unknown ticket: refused", self._unknown_ticket)
        await self._desk.check("trade events", self._trade_events)
        await self._desk.check("history", self._history)

    # -------------------------------------------------------------- a position

    async def _open(self) -> str:
        spec, quote = await self._desk.market()
        action = self._desk.entry(spec, quote, Volume(self._desk.halves * 2))
        done = await self._desk.do("open", action)
        self._opened, self._position = (action, done), done.position
        if done.position is None:
            raise Failed("the answer names no position")
        await self._desk.seen(lambda snapshot: with_ticket(snapshot.positions, done.position) is not None)
        return f"{done.volume} lots at {done.price}, retcode {done.retcode}, {done.attempts} attempt(s)"

    async def _replay(self) -> str:
        action, first = self._needs_open()
        again = await self._desk.send("open", action)
        if not again.replayed or replace(again, replayed=False) != first:
            raise Failed(f"the answer was another one: {told(again)}")
        ours = [item for item in await self._desk.leftovers() if isinstance(item, Position)]
        if len(ours) != 1 or ours[0].volume != self._desk.halves * 2:
            raise Failed(f"{len(ours)} positions of ours in place of one: the terminal traded twice")
        return "stored answer, one position"

    async def _conflict(self) -> str:
        action, _first = self._needs_open()
        other = await self._desk.send("open", replace(action, volume=self._desk.halves))
        self._desk.expect_refusal(other, "ID_CONFLICT")
        return "ID_CONFLICT"

    async def _find(self) -> str:
        _action, first = self._needs_open()
        finding = await self._desk.broker.find(self._desk.id("open"), self._desk.hints())
        stranger = await self._desk.broker.find(self._desk.id("never-sent"), self._desk.hints())
        if (
            finding.ledger != "result"
            or finding.execution is None
            or finding.execution.position != first.position
        ):
            raise Failed(f"the ledger says {finding.ledger}")
        if stranger.ledger != "never_seen":
            raise Failed(f"of an id that was never sent the ledger says {stranger.ledger}")
        return "result stored; an id never sent is never_seen"

    async def _modify(self) -> str:
        ticket = self._needs_position()
        spec, quote = await self._desk.market()
        stop_loss, take_profit = at_distance(spec, quote.bid, -3), at_distance(spec, quote.ask, 3)
        await self._desk.do("modify", ModifyPosition(ticket, stop_loss=stop_loss, take_profit=take_profit))

        def changed(snapshot: TerminalSnapshot) -> bool:
            position = with_ticket(snapshot.positions, ticket)
            return position is not None and (position.stop_loss, position.take_profit) == (
                stop_loss,
                take_profit,
            )

        await self._desk.seen(changed)
        return f"stop loss {stop_loss}, take profit {take_profit}, as the terminal shows them"

    async def _partial_close(self) -> str:
        ticket = self._needs_position()
        done = await self._desk.do("partial-close", ClosePosition(ticket, self._desk.halves))

        def halved(snapshot: TerminalSnapshot) -> bool:
            position = with_ticket(snapshot.positions, ticket)
            return position is not None and position.volume == self._desk.halves

        await self._desk.seen(halved)
        return f"{done.volume} lots at {done.price}, {self._desk.halves} left"

    async def _close(self) -> str:
        ticket = self._needs_position()
        done = await self._desk.do("close", ClosePosition(ticket))
        await self._desk.seen(lambda snapshot: with_ticket(snapshot.positions, ticket) is None)
        self._position = None
        return f"{done.volume} lots at {done.price}"

    # -------------------------------------------------------------- a pending order

    async def _place(self) -> str:
        spec, quote = await self._desk.market()
        price = at_distance(spec, quote.bid, -2)
        done = await self._desk.do(
            "place",
            PlaceOrder(
                spec.symbol,
                OrderKind.BUY_LIMIT,
                self._desk.halves,
                price,
                stop_loss=at_distance(spec, price, -2),
                magic=self._desk.wanted.magic,
            ),
        )
        if done.order is None:
            raise Failed("the answer names no order")
        self._order = done.order
        await self._desk.seen(lambda snapshot: with_ticket(snapshot.orders, done.order) is not None)
        return f"buy limit {self._desk.halves} lots at {price}"

    async def _modify_order(self) -> str:
        ticket = self._needs_order()
        spec, quote = await self._desk.market()
        price = at_distance(spec, quote.bid, -3)
        await self._desk.do(
            "modify-order", ModifyOrder(ticket, price=price, stop_loss=at_distance(spec, price, -2))
        )

        def moved(snapshot: TerminalSnapshot) -> bool:
            order = with_ticket(snapshot.orders, ticket)
            return order is not None and order.price == price

        await self._desk.seen(moved)
        return f"moved to {price}"

    async def _cancel(self) -> str:
        ticket = self._needs_order()
        await self._desk.do("cancel", CancelOrder(ticket))
        await self._desk.seen(lambda snapshot: with_ticket(snapshot.orders, ticket) is None)
        self._order = None
        return "gone"

    # -------------------------------------------------------------- refusals

    async def _expired(self) -> str:
        spec, quote = await self._desk.market()
        action = self._desk.entry(spec, quote)
        with self._desk.clock.behind(
            3.0
        ):  # a frame that says it is three seconds old, and may be one second old
            answer = self._desk.broker.send(
                self._desk.command("expired", action), replace(self._desk.terms, ttl=1000)
            )
        self._desk.expect_refusal(await answer, "EXPIRED")
        ledger = (await self._desk.broker.find(self._desk.id("expired"), self._desk.hints())).ledger
        if ledger != "never_seen":
            raise Failed(f"refused, but the ledger says {ledger}")
        return "EXPIRED, nothing stored"

    async def _unknown_ticket(self) -> str:
        self._desk.needs_trading()
        done = await self._desk.send("unknown-ticket", ClosePosition(Ticket(2**53 - 1)))
        if done.state not in (ExecutionState.REFUSED, ExecutionState.REJECTED):
            raise Failed(told(done))
        return told(done)

    # -------------------------------------------------------------- afterwards

    async def _trade_events(self) -> str:
        action, _done = self._needs_open()
        cid = self._desk.id("open")
        if not await self._desk.ears.until(
            lambda: any(e.command_id == cid for e in self._desk.ears.events), SETTLES
        ):
            raise Failed(
                f"no trade event of the deal on {action.symbol}: is terminal.stream_port the EA's InpStreamPort?"
            )
        if self._desk.ears.gaps:
            raise Failed(f"{self._desk.ears.gaps} gap(s) in the trade events")
        return f"{len(self._desk.ears.events)} heard, no gap"

    async def _history(self) -> str:
        _action, first = self._needs_open()
        margin = timedelta(days=1)
        deals = [
            deal
            for deal in await self._desk.broker.history(
                self._desk.began - margin, self._desk.clock.now() + margin
            )
            if deal.position == first.position
        ]
        entries = [deal.entry for deal in deals]
        if entries.count("in") != 1:
            raise Failed(f"{entries.count('in')} opening deals of one command in the broker's history")
        return f"{len(deals)} deals: {', '.join(entries)}"

    # -------------------------------------------------------------- what must be there

    def _needs_open(self) -> tuple[OpenPosition, Execution]:
        self._desk.needs_trading()
        if self._opened is None:
            raise NotTested("no position was opened")
        return self._opened

    def _needs_position(self) -> Ticket:
        self._desk.needs_trading()
        if self._position is None:
            raise NotTested("there is no position")
        return self._position

    def _needs_order(self) -> Ticket:
        self._desk.needs_trading()
        if self._order is None:
            raise NotTested("there is no order")
        return self._order
