"""Strategies by themselves: quotes and results in, signals out. And the load mix against a perfect broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.brain.errors import BrainMisconfigured
from app.brain.signals import Command, Signal
from app.brain.strategies.catalogue import build
from app.brain.strategies.host import StrategyHost
from app.brain.strategies.interface import HeldPosition, Strategy
from app.brain.strategies.load import LoadStrategy, SoakStrategy
from app.brain.strategies.moving_average import MovingAverageCross
from app.domain.commands import ACTION_NAMES, CloseAll, ClosePosition, OpenPosition
from app.domain.market import Quote
from app.domain.results import CloseDetail, CommandResult, Outcome
from app.domain.values import CommandId, Magic, Price, Priority, Side, Symbol, Ticket, Volume
from app.protocol import brain_outbound as say
from tests.brain.conftest import Brain
from tests.brain.hand_executor import EXECUTOR, executor, outcome_of

EURUSD = Symbol("EURUSD")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def quote(mid: str) -> Quote:
    middle = Decimal(mid)
    return Quote(EURUSD, Price(middle - Decimal("0.0001")), Price(middle + Decimal("0.0001")), AT)


def command_of(signal: Signal, number: int = 1) -> Command:
    return Command(
        id=f"cmd_{number}",
        executor_id=EXECUTOR,
        strategy_id=signal.strategy_id,
        action_name=ACTION_NAMES[type(signal.action)],
        priority=signal.priority,
        frame="",
        created_at=AT,
        expires_at=AT + timedelta(seconds=5),
        action=signal.action,
    )


def crossing() -> MovingAverageCross:
    return MovingAverageCross(
        EURUSD, fast=2, slow=4, volume=Volume("0.02"), magic=Magic(5), stop_distance=Decimal("0.0050")
    )


def feed(strategy: Strategy, *mids: str) -> list[Signal]:
    return [signal for mid in mids for signal in strategy.on_quote(quote(mid))]


RISE = ("1.1000", "1.0990", "1.0980", "1.0970", "1.0990", "1.1010")
FALL = ("1.0990", "1.0970", "1.0950")


def test_moving_averages_turn_with_the_price() -> None:
    strategy = crossing()
    (entry,) = feed(strategy, *RISE)
    assert entry.action == OpenPosition(
        EURUSD,
        Side.BUY,
        Volume("0.02"),
        stop_loss=Price("1.0961"),
        price=Price("1.1011"),
        magic=Magic(5),
        comment="ma_cross",
    )
    assert feed(strategy, "1.1020", "1.1030") == []  # one command in flight at a time
    strategy.on_result(command_of(entry), outcome_of("cmd_1", ticket=Ticket(77)))
    assert strategy.position == (77, Side.BUY)
    assert feed(strategy, "1.1030") == []
    (leave,) = feed(strategy, *FALL)
    assert (leave.action, leave.priority) == (ClosePosition(Ticket(77)), Priority.HIGH)
    (reverse,) = strategy.on_result(command_of(leave), outcome_of("cmd_2"))
    assert isinstance(reverse.action, OpenPosition)
    assert reverse.action.side is Side.SELL


def test_an_unknown_outcome_holds_the_strategy_until_it_is_settled() -> None:
    strategy = crossing()
    (entry,) = feed(strategy, *RISE)
    strategy.on_result(command_of(entry), outcome_of("cmd_1", Outcome.UNKNOWN))
    assert feed(strategy, *FALL, *RISE) == []
    strategy.on_result(command_of(entry), outcome_of("cmd_1", ticket=Ticket(9), reconciled=True))
    assert strategy.position == (9, Side.BUY)


def test_a_refused_entry_is_not_repeated_before_the_next_crossing() -> None:
    strategy = crossing()
    (entry,) = feed(strategy, *RISE)
    assert list(strategy.on_result(command_of(entry), outcome_of("cmd_1", Outcome.REJECTED))) == []
    assert feed(strategy, "1.1020", "1.1030", "1.1040") == []
    (other,) = feed(strategy, *FALL)
    assert isinstance(other.action, OpenPosition)
    assert other.action.side is Side.SELL


def test_positions_are_believed_when_told_twice() -> None:
    strategy = crossing()
    mine = HeldPosition(Ticket(5), EURUSD, Side.SELL, Decimal("0.02"), 5)
    others = HeldPosition(Ticket(6), EURUSD, Side.BUY, Decimal("0.02"), 0)
    strategy.on_positions([mine, others])
    assert strategy.position is None
    strategy.on_positions([mine, others])
    assert strategy.position == (5, Side.SELL)
    strategy.on_positions([others])
    strategy.on_positions([others])
    assert strategy.position is None


class PerfectBroker:
    """Executes what the load strategy asks for, and refuses what refers to nothing."""

    def __init__(self) -> None:
        self.positions: dict[Ticket, tuple[Symbol, Decimal, Magic]] = {}
        self.orders: set[Ticket] = set()
        self._next = 100
        self.largest = Decimal(0)
        self.most = 0

    def execute(self, command: Command) -> CommandResult:
        action = command.action
        match action:
            case OpenPosition():
                self._next += 1
                ticket = Ticket(self._next)
                self.positions[ticket] = (action.symbol, action.side.sign * action.volume, action.magic)
                self.most = max(self.most, len(self.positions))
                for symbol in {held[0] for held in self.positions.values()}:
                    net = sum((v for s, v, _ in self.positions.values() if s == symbol), Decimal(0))
                    self.largest = max(self.largest, abs(net))
                return outcome_of(command.id, ticket=ticket, volume=action.volume)
            case CloseAll():
                mine = [t for t, held in self.positions.items() if held[2] == action.magic]
                details = tuple(CloseDetail(t, Outcome.EXECUTED, abs(self.positions.pop(t)[1])) for t in mine)
                return outcome_of(command.id, details=details)
            case ClosePosition():
                symbol, volume, magic = self.positions.pop(action.ticket)
                closed = action.volume or abs(volume)
                assert closed <= abs(volume)
                left = volume - (closed if volume > 0 else -closed)
                if left:
                    self.positions[action.ticket] = (symbol, left, magic)
                return outcome_of(command.id, ticket=action.ticket, volume=closed)
        name = command.action_name
        named: Ticket | None = getattr(action, "ticket", None)
        if name == "PLACE_ORDER":
            self._next += 1
            named = Ticket(self._next)
            self.orders.add(named)
        elif name in ("CANCEL_ORDER", "MODIFY_ORDER"):
            assert named in self.orders
            if name == "CANCEL_ORDER":
                self.orders.remove(named)
        else:
            assert named in self.positions
        return outcome_of(command.id, ticket=named)


def run_load(seed: int, count: int) -> tuple[list[str], PerfectBroker]:
    strategy = LoadStrategy([EURUSD, Symbol("USDJPY")], seed=seed)
    strategy.on_quote(quote("1.10000"))
    strategy.on_quote(Quote(Symbol("USDJPY"), Price("149.850"), Price("149.860"), AT))
    broker = PerfectBroker()
    names: list[str] = []
    waiting: list[Command] = []
    while len(names) < count:
        signal = strategy.next_signal()
        if signal is not None:
            names.append(ACTION_NAMES[type(signal.action)])
            waiting.append(command_of(signal, len(names)))
        if signal is None or len(waiting) > 16:
            command = waiting.pop(0)
            strategy.on_result(command, broker.execute(command))
    return names, broker


def test_the_load_mix_is_valid_bounded_complete_and_repeatable() -> None:
    names, broker = run_load(7, 2000)
    assert set(Counter(names)) == {
        "OPEN_POSITION",
        "CLOSE_POSITION",
        "MODIFY_POSITION",
        "PLACE_ORDER",
        "MODIFY_ORDER",
        "CANCEL_ORDER",
        "CLOSE_ALL",
    }
    assert broker.most <= 24
    assert broker.largest <= Decimal("0.60")  # twice the aim: closings may take one side away
    assert run_load(7, 300)[0] == names[:300]
    assert run_load(8, 300)[0] != names[:300]


def test_a_ticket_with_a_command_in_flight_is_left_alone() -> None:
    strategy = LoadStrategy([EURUSD], seed=3)
    asked: list[Ticket] = []
    opened = 0
    for number in range(200):
        signal = strategy.next_signal()
        if signal is None:
            break
        if isinstance(signal.action, OpenPosition):
            opened += 1
            strategy.on_result(
                command_of(signal, number),
                outcome_of(f"c{number}", ticket=Ticket(number + 1), volume=signal.action.volume),
            )
        elif isinstance(signal.action, ClosePosition):
            asked.append(signal.action.ticket)
    assert opened == 24
    assert asked
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    "text",
    ["nonsense", "ma:fast=9,slow=3", "ma:fats=3", "soak:rate=0", "load:seed=x", "ma:volume=-1", "ma:slow"],
)
def test_bad_strategy_options_are_named(text: str) -> None:
    with pytest.raises(BrainMisconfigured, match="strategy"):
        build(text)


def test_strategies_are_built_by_name() -> None:
    strategy = build("ma:symbol=GBPUSD,fast=3,slow=9,volume=0.05,stop=0.0050")
    assert isinstance(strategy, MovingAverageCross)
    assert strategy.symbols == ("GBPUSD",)
    soak = build("soak:rate=4,symbols=EURUSD+USDJPY")
    assert isinstance(soak, SoakStrategy)
    assert (soak.pace, soak.symbols) == (0.25, ("EURUSD", "USDJPY"))


class Faulty(Strategy):
    def on_quote(self, quote: Quote) -> Sequence[Signal]:
        raise ZeroDivisionError("a strategy's own mistake")


async def test_the_host_trades_a_price_path_and_puts_a_faulty_strategy_aside(brain: Brain) -> None:
    strategy = crossing()
    host = StrategyHost(brain.server, EXECUTOR, [Faulty("faulty", [EURUSD]), strategy])
    host.start()
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        for mid in RISE:
            priced = quote(mid)
            await hand.send(say.market_update(AT, priced, Decimal(20)))
        signal = await hand.until("TRADE_SIGNAL")
        assert signal.message["strategyId"] == "ma_cross"
        assert signal.message["command"]["type"] == "BUY"
        await hand.result(outcome_of(signal.command_id, ticket=Ticket(31)))
        await brain.watcher.until(lambda: brain.watcher.results)
        assert strategy.position == (31, Side.BUY)
    assert host.running == (strategy,)
    assert brain.watcher.events("strategy_failed")[0]["strategyId"] == "faulty"
    host.close()


async def test_the_soak_keeps_its_own_pace(brain: Brain) -> None:
    host = StrategyHost(brain.server, EXECUTOR, [SoakStrategy([EURUSD], rate=100)])
    host.start()
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        await hand.quote("EURUSD", "1.10000", "1.10002")
        first, second = await hand.until("TRADE_SIGNAL"), await hand.until("TRADE_SIGNAL")
        assert first.command_id != second.command_id
        assert first.message["strategyId"] == "soak"
    host.close()


def test_the_single_trade_opens_once_and_closes_after_its_time() -> None:
    strategy = build("once:symbol=EURUSD,hold=2")
    (entry,) = feed(strategy, "1.1000", "1.1010", "1.1020")
    assert isinstance(entry.action, OpenPosition)
    assert entry.action.volume == Volume("0.01")
    assert entry.action.stop_loss is not None
    assert Decimal(str(entry.action.stop_loss)) < Decimal("1.1000")
    assert strategy.on_clock() == ()
    filled = CommandResult(CommandId(command_of(entry).id), Outcome.EXECUTED, 5, Ticket(7), Price("1.1001"))
    assert strategy.on_result(command_of(entry), filled) == ()
    assert strategy.on_clock() == ()
    (close,) = strategy.on_clock()
    assert close.action == ClosePosition(Ticket(7))
    assert strategy.on_clock() == ()
    assert feed(strategy, "1.1000") == []


def test_a_single_trade_that_was_refused_is_not_tried_again() -> None:
    strategy = build("once:hold=1")
    (entry,) = feed(strategy, "1.1000")
    refusal = CommandResult(CommandId(command_of(entry).id), Outcome.REJECTED, 5)
    assert strategy.on_result(command_of(entry), refusal) == ()
    assert strategy.on_clock() == ()
    assert feed(strategy, "1.1000") == []
