"""The safety gate in the engine: gathers what the rules may know, remembers what they count, and latches what tripped.

The decisions themselves are pure (domain/safety_rules.py). Nothing here can be switched off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.domain.commands import CommandClass, OpenPosition, PlaceOrder, TradeCommand
from app.domain.entry_rules import daily_loss_reached, drawdown_reached
from app.domain.equity import EquityDay
from app.domain.events import EquitySampled
from app.domain.execution import Execution
from app.domain.limits import SafetyLimits
from app.domain.market import TradeEvent
from app.domain.safety_rules import check, trading_state
from app.domain.safety_view import InFlight, Refusal, View
from app.domain.strategy_rules import daily_loss_reached as strategy_loss_reached
from app.domain.strategy_rules import unknown_strategy
from app.domain.trading_state import TradingState
from app.domain.values import CommandId, Symbol
from app.engine.book import Book
from app.engine.ports import Clock
from app.engine.strategy_book import StrategyBook
from app.engine.under_way import UnderWay

_REPEAT_SPAN = 60.0


class RateWindow:
    """How many happened within the last `span` seconds."""

    def __init__(self, limit: int, span: float) -> None:
        self.limit = limit
        self._span = span
        self._times: deque[float] = deque()

    def count(self, now: float) -> int:
        while self._times and now - self._times[0] >= self._span:
            self._times.popleft()
        return len(self._times)

    def full(self, now: float) -> bool:
        """A limit of 0 means none."""
        return self.limit > 0 and self.count(now) >= self.limit

    def add(self, now: float) -> None:
        self._times.append(now)


@dataclass(slots=True)
class Links:
    """What the gate must know of the links; each flag is kept by the side that notices."""

    terminal_up: bool = False
    """Connected and reconciled."""
    reconciled_once: bool = False
    brain_lost: bool = False
    terminal_gone: bool = False
    """Away for longer than the grace (3 s without a sign of it): entries that wait are refused. Kept by the watchdogs."""
    unsettled: bool = False
    """The machine slept or a clock jumped: entries wait until the terminal is reconciled anew."""
    brain_time_doubtful: bool = False
    """How old a command is cannot be judged: the clocks parted since the brain's session began."""


class SafetyGate:
    """One gate for one account. Read and fed on the engine's loop; only the trading state comes from the latch's thread."""

    def __init__(
        self,
        limits: SafetyLimits,
        book: Book,
        links: Links,
        clock: Clock,
        trading_state: Callable[[], TradingState],
        on_trip: Callable[[str, str], None],
    ) -> None:
        self.limits = limits
        self._book = book
        self._links = links
        self._clock = clock
        self._trading_state = trading_state
        self._on_trip = on_trip
        self.per_second = RateWindow(limits.max_orders_per_second, 1.0)
        self.per_minute = RateWindow(limits.max_orders_per_minute, 60.0)
        self._under_way = UnderWay()
        self._entries: dict[tuple[object, ...], deque[tuple[float, CommandId]]] = {}
        self.consecutive_failures = 0
        self.tripped: dict[str, str] = {}
        self.day: EquityDay | None = None
        self.cash_open = False
        """A change of the balance is being looked into: until then nobody knows what of it is profit."""
        self.strategies = StrategyBook(book, lambda: self.limits)
        self._strategy_rates: dict[str, RateWindow] = {}

    def apply(self, limits: SafetyLimits) -> None:
        """New limits, in force from the next look on: also for what waits and for what was journalled but not sent."""
        self.limits = limits
        self.per_second.limit = limits.max_orders_per_second
        self.per_minute.limit = limits.max_orders_per_minute
        self.check_losses()

    # ------------------------------------------------------------ at the door

    def state_refusal(self, command: TradeCommand) -> Refusal | None:
        """What the trading state alone says: nothing, while it is ACTIVE."""
        if self._trading_state() is TradingState.ACTIVE:
            return None
        return trading_state(command, self.view(command), self.limits)

    def rate(self, command: TradeCommand) -> Refusal | None:
        """Orders per second and minute. All commands are counted; exits are never refused for it."""
        now = self._clock.monotonic()
        own = self._strategy_rate(command.strategy_id)
        if command.command_class is not CommandClass.EXIT:
            for window, span in ((self.per_second, "second"), (self.per_minute, "minute")):
                if window.full(now):
                    return Refusal(
                        "RATE_LIMITED",
                        f"{window.limit} commands in the last {span} (safety.max_orders_per_{span})",
                    )
            if own is not None and own.full(now):
                return Refusal(
                    "RATE_LIMITED",
                    f"{own.limit} commands of strategy {command.strategy_id} in the last minute (its max_orders_per_minute)",
                )
        for counted in (self.per_second, self.per_minute, own):
            if counted is not None:
                counted.add(now)
        return None

    def stranger(self, command: TradeCommand) -> Refusal | None:
        """An entry of a strategy that may not trade here."""
        return unknown_strategy(command, self.limits) if command.command_class is CommandClass.ENTRY else None

    def _strategy_rate(self, strategy: str | None) -> RateWindow | None:
        own = self.limits.strategy(strategy)
        if own is None or own.max_orders_per_minute is None:
            return None
        window = self._strategy_rates.setdefault(own.name, RateWindow(own.max_orders_per_minute, 60.0))
        window.limit = own.max_orders_per_minute
        return window

    def strategy_orders(self, strategy: str, now: float) -> int:
        """Commands of a strategy within the last minute, as far as they are limited."""
        window = self._strategy_rates.get(strategy)
        return window.count(now) if window is not None else 0

    # ------------------------------------------------------------ before the send

    def check(self, command: TradeCommand) -> Refusal | None:
        """The one refusal, or None. A tripped limit is latched here."""
        refusal = check(command, self.view(command), self.limits)
        if refusal is not None and refusal.latch is not None:
            self.trip(refusal.latch, refusal.message)
        return refusal

    def view(self, command: TradeCommand) -> View:
        """Everything the rules may know about `command`; itself is not counted among what is in flight."""
        book, clock = self._book, self._clock
        own = command.command_id
        account = book.account
        now = clock.monotonic()
        return View(
            state=self._trading_state(),
            terminal_up=self._links.terminal_up,
            brain_lost=self._links.brain_lost,
            permissions=book.permissions,
            account=account,
            positions=book.positions,
            orders=book.orders,
            specs=book.specs,
            quotes=book.quotes,
            in_flight=tuple(entry for key, entry in self._under_way.in_flight.items() if key != own),
            symbols_in_doubt=self._under_way.symbols_in_doubt,
            monotonic=now,
            broker_time=book.broker_time(clock.now()),
            daily_profit=self.profit(),
            day_start_equity=self.day.start_equity if self.day is not None else None,
            peak_equity=self.day.peak_equity if self.day is not None and not self.cash_open else None,
            consecutive_failures=self.consecutive_failures,
            identical_entries=self._identical(command, now),
            tripped=self.tripped,
            unpictured=self._under_way.unpictured,
            owners=self.strategies.owners,
            strategy_profit=self.strategy_profit(command.strategy_id),
        )

    def strategy_profit(self, strategy: str | None) -> Decimal | None:
        """Today's result of a strategy that has a limit for it; None: not known, or no limit."""
        own = self.limits.strategy(strategy)
        if own is None or own.max_daily_loss is None:
            return None
        return self.strategies.profit(own.name, self._clock.now())

    @property
    def in_flight(self) -> tuple[InFlight, ...]:
        """Entries under way."""
        return tuple(self._under_way.in_flight.values())

    def margin_under_way(self) -> Decimal:
        """What the account's margin does not show yet, account currency."""
        specs = self._book.specs
        return sum(
            (
                item.volume * specs[item.symbol].margin_per_lot
                for item in (*self.in_flight, *self._under_way.unpictured)
                if item.symbol in specs
            ),
            Decimal(0),
        )

    # ------------------------------------------------------------ what it counts

    def departs(self, command: TradeCommand) -> None:
        """An entry is about to be sent: from now on it counts as exposure and as a repetition."""
        self._under_way.departs(command)
        action = command.action
        if isinstance(action, OpenPosition | PlaceOrder) and self.limits.repeat_throttle:
            line = self._entries.setdefault(_likeness(action), deque())
            line.append((self._clock.monotonic(), command.command_id))

    def lands(self, command: TradeCommand) -> None:
        """It has an answer, or was not sent after all."""
        self._under_way.lands(command.command_id)

    def awaits_event(self, command: TradeCommand, execution: Execution) -> None:
        """Done, but the live picture does not show it yet: until it does, the entry counts as under way, not as nothing."""
        self._under_way.awaits_event(command.command_id, execution)

    def belongs(self, command: TradeCommand, execution: Execution) -> None:
        """What an entry opened is ours, and its strategy's."""
        if command.command_class is CommandClass.ENTRY:
            self.strategies.own(command.strategy_id, execution.position, execution.order)

    def seen(
        self, event: TradeEvent, entry: TradeCommand | None = None, *, margin_before: Decimal | None = None
    ) -> None:
        """The live picture shows what this event tells. `entry`: the command behind it, if it is an entry of ours.

        The account in an event counts as knowing the fill only if its margin is another than before: a terminal may tell of a
        deal before it has reckoned the margin anew.
        """
        self.strategies.seen(event, entry)
        knows = event.account is not None and event.account.margin != margin_before
        self._under_way.seen(event, pictured=knows)

    def all_seen(self) -> None:
        """The live picture was replaced by a snapshot: it shows everything that has been answered."""
        self._under_way.snapshot_taken(self._book.trade_seq)

    def account_seen(self, trade_seq: int) -> None:
        """The account as it was after this trade event."""
        self._under_way.pictured(trade_seq)

    def in_doubt(self, command_id: CommandId, symbol: Symbol | None) -> None:
        """An outcome is unknown. The entry keeps counting as exposure until it is settled."""
        self._under_way.doubt(command_id, symbol)

    def settled(self, command: TradeCommand) -> None:
        self._under_way.settled(command.command_id)

    def executed(self, success: bool) -> None:
        """Consecutive failures at the broker; a success clears the count."""
        self.consecutive_failures = 0 if success else self.consecutive_failures + 1

    def most_identical(self, now: float) -> int:
        """The most entries of one likeness within the last 60 s."""
        for likeness, line in tuple(self._entries.items()):
            while line and now - line[0][0] >= _REPEAT_SPAN:
                line.popleft()
            if not line:
                del self._entries[likeness]
        return max((len(line) for line in self._entries.values()), default=0)

    def _identical(self, command: TradeCommand, now: float) -> int:
        action = command.action
        if not self.limits.repeat_throttle or not isinstance(action, OpenPosition | PlaceOrder):
            return 0
        line = self._entries.get(_likeness(action))
        if line is None:
            return 0
        while line and now - line[0][0] >= _REPEAT_SPAN:
            line.popleft()
        return sum(1 for _, command_id in line if command_id != command.command_id)

    # ------------------------------------------------------------ latches

    def trip(self, limit: str, message: str) -> None:
        if limit not in self.tripped:
            self.tripped[limit] = message
            self._on_trip(limit, message)

    def restore_tripped(self, tripped: Mapping[str, str]) -> None:
        self.tripped.update(tripped)

    def reenable(self, limit: str) -> bool:
        """False if it was not latched. Counting starts afresh; a loss that still stands trips it again."""
        if self.tripped.pop(limit, None) is None:
            return False
        if limit == "consecutive_failures":
            self.consecutive_failures = 0
        if limit == "repeat_throttle":
            self._entries.clear()
        return True

    # ------------------------------------------------------------ equity

    def restore_day(self, sample: EquitySampled) -> None:
        self.day = EquityDay.restored(sample)

    def observe_equity(self) -> None:
        """After every look at the account: the day's start, its result and the peak."""
        account = self._book.account
        if account is None:
            return
        today = self._book.broker_time(self._clock.now()).date()
        self.day = self.day.seen(account, today) if self.day is not None else EquityDay.begin(account, today)

    def profit(self) -> Decimal | None:
        """Floating result of the broker's day; None: not known."""
        account = self._book.account
        if account is None or self.day is None or self.cash_open:
            return None
        return self.day.profit(account)

    def check_losses(self) -> None:
        """Trip the loss limits as soon as the floating result breaks them, also while nobody trades."""
        account = self._book.account
        if account is None or self.day is None or self.cash_open:
            return
        for refusal in (
            daily_loss_reached(self.day.profit(account), self.day.start_equity, self.limits),
            drawdown_reached(account, self.day.peak_equity, self.limits),
        ):
            if refusal is not None and refusal.latch is not None:
                self.trip(refusal.latch, refusal.message)
        for own in self.limits.strategies:
            if own.max_daily_loss is not None:
                refusal = strategy_loss_reached(own, self.strategy_profit(own.name))
                if refusal is not None and refusal.latch is not None:
                    self.trip(refusal.latch, refusal.message)


def _likeness(action: OpenPosition | PlaceOrder) -> tuple[object, ...]:
    """What makes two entries the same to the repeat throttle."""
    if isinstance(action, OpenPosition):
        return (action.symbol, action.side, action.volume)
    return (action.symbol, action.kind, action.volume, action.price)
