"""The desk of an acceptance: sends its commands, looks at what the terminal then shows, and notes each check. What is checked
stands in ea_accept.py and ea_trades.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final, TypeVar

from app import __version__
from app.cli.console import mark
from app.cli.ea_trial import Acceptance, Check, Ears, Failed, GivenUp, LaggingClock, NotTested, Status, Wanted
from app.domain.commands import Action, OpenPosition, Origin, TradeCommand
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, ExecutionState
from app.domain.market import PendingOrder, Position, Quote, SymbolSpec, TerminalSnapshot
from app.domain.values import CommandId, Price, Side, Ticket, Volume
from app.engine.broker import Broker, DispatchTerms, FindHints

Item = TypeVar("Item", Position, PendingOrder)
Say = Callable[[str], None]

_TTL: Final = 10_000
_DEVIATION: Final = 50
SETTLES: Final = 5.0
"""Seconds within which the terminal's lists show what it has just confirmed: they may lag behind the answer."""
_LOOK_AGAIN: Final = 0.1
_MARKS = {Status.PASSED: "✓", Status.FAILED: "✗", Status.NOT_TESTED: "!", Status.LEFT_OUT: "!"}


class TrialDesk:
    """What every check of one acceptance works with."""

    def __init__(
        self, broker: Broker, ears: Ears, clock: LaggingClock, wanted: Wanted, say: Say | None
    ) -> None:
        self.broker = broker
        self.ears = ears
        self.clock = clock
        self.wanted = wanted
        self._say = say
        self._run_id = secrets.token_hex(4)
        tag = "A" + secrets.token_hex(4)[:7]
        self.terms = DispatchTerms(
            ttl=_TTL, tag=tag, comment=f"{tag}#accept", deviation=_DEVIATION, max_attempts=3
        )
        self.began = clock.now()
        self.result = Acceptance(__version__, wanted.symbol, wanted.magic, self.began)
        self.before: frozenset[Ticket] | None = None
        """Positions and orders that were there first: never touched. None: not known yet, and then nothing is traded."""
        self.spec: SymbolSpec | None = None
        self.halves = Volume(1)
        """The smallest volume; what is opened is two of it, so that a half can be closed."""
        self.no_trading = "the steps before it failed"
        """Why no trade may be tried; empty once it may."""

    async def check(self, name: str, step: Callable[[], Awaitable[str]], *, vital: bool = False) -> None:
        try:
            check = Check(name, Status.PASSED, await step())
        except NotTested as fault:
            check = Check(name, Status.NOT_TESTED, str(fault))
        except (Failed, TerminalUnavailable) as fault:
            check = Check(name, Status.FAILED, str(fault))
        self.note(check)
        if vital and check.status is not Status.PASSED:
            raise GivenUp

    def note(self, check: Check) -> None:
        self.result.checks.append(check)
        if self._say is not None:
            self._say(f"{mark(_MARKS[check.status])} {check.name}: {check.detail}")

    def id(self, name: str) -> CommandId:
        return CommandId(f"accept-{self._run_id}-{name}")

    def command(self, name: str, action: Action, origin: Origin = Origin.BRAIN) -> TradeCommand:
        now = self.clock.now()
        return TradeCommand(
            self.id(name), action, now, now + timedelta(milliseconds=_TTL), "0" * 64, origin=origin
        )

    async def send(self, name: str, action: Action, origin: Origin = Origin.BRAIN) -> Execution:
        return await self.broker.send(self.command(name, action, origin), self.terms)

    async def do(self, name: str, action: Action) -> Execution:
        """A trade that must succeed. Raises Failed."""
        self.needs_trading()
        began = self.clock.monotonic()
        done = await self.send(name, action)
        if done.state is not ExecutionState.DONE:
            raise Failed(told(done))
        self.result.latencies.setdefault("trade (the broker included)", []).append(
            (self.clock.monotonic() - began) * 1000
        )
        return done

    def hints(self) -> FindHints:
        return FindHints(
            since=self.began - timedelta(minutes=5),
            tag=self.terms.tag,
            symbol=self.wanted.symbol,
            magic=self.wanted.magic,
        )

    async def market(self) -> tuple[SymbolSpec, Quote]:
        self.needs_trading()
        quotes = await self.broker.quotes([self.wanted.symbol])
        if self.spec is None or not quotes:
            raise NotTested(f"there is no quote of {self.wanted.symbol}")
        return self.spec, quotes[0]

    async def seen(self, condition: Callable[[TerminalSnapshot], bool]) -> None:
        """Raises Failed unless the terminal's lists show it soon."""
        deadline = self.clock.monotonic() + SETTLES
        while not condition(await self.broker.snapshot()):
            if self.clock.monotonic() >= deadline:
                raise Failed(f"confirmed, but {SETTLES:g} s later the terminal's lists do not show it")
            await self.clock.sleep(_LOOK_AGAIN)

    @property
    def account_changed(self) -> bool:
        """The terminal was logged in to another account meanwhile: what was looked at before says nothing about it."""
        return len({hello.login for hello in self.ears.ups}) > 1

    def needs_trading(self) -> None:
        """Raises NotTested while nothing may be traded."""
        if self.account_changed:
            raise NotTested(
                "the terminal changed its account during the trial: nothing is traded on the new one"
            )
        if self.no_trading:
            raise NotTested(self.no_trading)

    async def leftovers(self) -> list[Position | PendingOrder]:
        """What this trial opened and is still there: our magic, and not there before."""
        snapshot = await self.broker.snapshot()
        before = self.before or frozenset()
        found: list[Position | PendingOrder] = [*snapshot.positions, *snapshot.orders]
        return [item for item in found if item.magic == self.wanted.magic and item.ticket not in before]

    def entry(self, spec: SymbolSpec, quote: Quote, volume: Volume | None = None) -> OpenPosition:
        """A small purchase with a distant stop loss: an EA may insist on one."""
        return OpenPosition(
            spec.symbol,
            Side.BUY,
            volume or self.halves,
            stop_loss=at_distance(spec, quote.bid, -2),
            magic=self.wanted.magic,
        )

    @staticmethod
    def expect_refusal(done: Execution, code: str) -> None:
        if (done.state, done.code) != (ExecutionState.REFUSED, code):
            raise Failed(f"must be refused with {code}, but: {told(done)}")


def with_ticket(items: Iterable[Item], ticket: Ticket | None) -> Item | None:
    """The position or order of that number."""
    return next((item for item in items if item.ticket == ticket), None)


def told(done: Execution) -> str:
    """An execution in a few words."""
    words = [done.state.value, done.code or "", f"retcode {done.retcode}" if done.retcode is not None else ""]
    return " ".join(filter(None, words)) + (f": {done.message}" if done.message else "")


def smallest_volume(spec: SymbolSpec) -> Volume:
    """The least that the broker takes, on its step."""
    steps = (spec.volume_min / spec.volume_step).to_integral_value(ROUND_UP)
    return Volume(steps * spec.volume_step)


def at_distance(spec: SymbolSpec, price: Decimal, percent: int) -> Price:
    """A price so many percent from `price`, on the tick, and certainly beyond the stops level."""
    distance = max(price * abs(percent) / 100, 2 * spec.stops_level * spec.point)
    target = price + distance.copy_sign(Decimal(percent))
    ticks = (target / spec.tick_size).to_integral_value(ROUND_DOWN)
    return Price((ticks * spec.tick_size).quantize(Decimal(1).scaleb(-spec.digits)))
