"""A broker on its own for unit tests: a clock that stands still, a frozen market, a real ledger file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.domain.commands import NO_MAGIC
from app.domain.market import Position
from app.domain.values import OrderKind, Price, Side, Symbol, Ticket, Volume
from app.sim import triggers
from app.sim.broker import Broker
from app.sim.command_args import choose_filling
from app.sim.ledger import AppendOnlyFile, TerminalState
from app.sim.market import Market
from app.sim.trade_requests import CALM, Answer, Conditions, MarketOrder, Origin, PendingRequest


class StillClock:
    """Time moves when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
        self.seconds = 100.0

    def utc(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class Bench:
    """One account; short words for what tests do all the time."""

    def __init__(self, path: Path, **state: Any) -> None:
        self.path = path
        self.clock = StillClock()
        self.state = TerminalState(**state)
        self.market = Market(now=self.clock.now)
        self.broker = Broker(self.market, self.clock, AppendOnlyFile(path), self.state)

    def reopened(self) -> Broker:
        """What a restart makes of the ledger."""
        self.broker.ledger.close()
        return Broker(self.market, self.clock, AppendOnlyFile(self.path), self.state)

    def price(self, symbol: str, bid: str, ask: str | None = None) -> None:
        """Move the market, and let it trigger what it triggers."""
        quote = self.market.set_price(
            symbol, self.clock.utc(), bid=Decimal(bid), ask=None if ask is None else Decimal(ask)
        )
        triggers.on_quote(self.broker, quote)

    def open(
        self,
        side: str = "BUY",
        volume: str = "0.10",
        symbol: str = "EURUSD",
        sl: str | None = None,
        tp: str | None = None,
        filling: str | None = None,
        cid: str | None = "cmd",
        conditions: Conditions = CALM,
        deviation: int | None = None,
    ) -> Answer:
        order = MarketOrder(
            Symbol(symbol), Side(side), Volume(volume), filling or choose_filling(self.market.instrument(symbol)),
            None if sl is None else Price(sl), None if tp is None else Price(tp), NO_MAGIC, "tag-comment", deviation,
        )  # fmt: skip
        return self.broker.open(order, Origin(cid), conditions)

    def place(
        self, kind: str, price: str, volume: str = "0.10", symbol: str = "EURUSD", **more: Any
    ) -> Answer:
        request = PendingRequest(Symbol(symbol), OrderKind(kind), Volume(volume), Price(price), **more)
        return self.broker.place(request, Origin("cmd"))

    def close(self, ticket: int, volume: str | None = None, conditions: Conditions = CALM) -> Answer:
        return self.broker.close(
            Ticket(ticket), None if volume is None else Volume(volume), Origin("cmd"), conditions
        )

    def only(self) -> Position:
        """The one open position."""
        (position,) = self.broker.book.positions.values()
        return position

    def reasons(self) -> list[str]:
        return [deal.reason.value for deal in self.broker.book.deals]
