"""The simulation as a Hypothesis state machine: the same machine and the same oracle, steps chosen and shrunk by Hypothesis.

Each rule is one thing that a brain, a person, a broker or bad luck does. Invariants are looked at after every step.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.domain.commands import Action, CloseAll, ClosePosition, OpenPosition, PlaceOrder, TradeCommand
from app.domain.market import Permissions
from app.domain.values import CommandId, Magic, OrderKind, Price, Priority, Side, Ticket, Volume
from tests.faults.sim_brain import Command, Signal
from tests.faults.sim_loop import World
from tests.faults.sim_machine import Machine
from tests.faults.sim_terminal import AMBIGUOUS, SYMBOLS, Fate

KINDS = (
    "partial", "lost_before", "lost_after", "late_fill", "ambiguous", "slow", "restart_claimed", "restart_sent",
    "restart_done", "cut_before", "cut_after", "hang", "unavailable",
)  # fmt: skip


class SimRules(RuleBasedStateMachine):
    """A short story, step by step."""

    @initialize(
        seed=st.integers(0, 2**16),
        in_flight=st.sampled_from((1, 1, 3)),
        serial=st.booleans(),
        plain=st.booleans(),
    )
    def begin(self, seed: int, in_flight: int, serial: bool, plain: bool) -> None:
        self.world = World(seed)
        self.machine = Machine(self.world, in_flight=in_flight)
        self.machine.terminal.serial = serial
        self.machine.brain.plain = plain
        self.machine.way.fate = self._fate
        self.fates: list[Fate] = []
        self.ids: list[CommandId] = []
        self.machine.start()
        self.machine.run(1.0)

    def _fate(self, _command: TradeCommand) -> Fate:
        return self.fates.pop(0) if self.fates else Fate()

    # -------------------------------------------------------------- the brain

    @rule(
        symbol=st.sampled_from(SYMBOLS[:2]),
        kind=st.sampled_from(("open", "place", "close", "all")),
        priority=st.sampled_from(tuple(Priority)),
        expiry=st.sampled_from((0.05, 5.0, 60.0)),
    )
    def command(self, symbol: str, kind: str, priority: Priority, expiry: float) -> None:
        cid = CommandId(f"c{len(self.ids) + 1}")
        self.ids.append(cid)
        self.machine.brain.order(Signal(self._made(cid, self._action(symbol, kind), priority, expiry), cid))

    def _action(self, symbol: str, kind: str) -> Action:
        named = next(known for known in SYMBOLS if known == symbol)
        positions = list(self.machine.terminal.positions)
        match kind:
            case "open":
                return OpenPosition(named, Side.BUY, Volume("0.02"), magic=Magic(7))
            case "place":
                return PlaceOrder(named, OrderKind.BUY_LIMIT, Volume("0.01"), Price("1.05"), magic=Magic(7))
            case "close":
                return ClosePosition(positions[0] if positions else Ticket(9))
            case _:
                return CloseAll(named)

    @staticmethod
    def _made(
        cid: CommandId, action: Action, priority: Priority, expiry: float, content: str = "first"
    ) -> Callable[[datetime], Command]:
        def make(at: datetime) -> Command:
            return TradeCommand(
                cid, action, at, at + timedelta(seconds=expiry), f"{content} {cid}", priority=priority
            )

        return make

    @precondition(lambda self: self.ids)
    @rule(number=st.integers(0, 30), times=st.integers(1, 3))
    def again(self, number: int, times: int) -> None:
        signal = self.machine.brain.signals[self.ids[number % len(self.ids)]]
        for _ in range(times):
            self.machine.brain.order(signal)

    @precondition(lambda self: self.ids)
    @rule(number=st.integers(0, 30))
    def other_content(self, number: int) -> None:
        brain, cid = self.machine.brain, self.ids[number % len(self.ids)]
        brain.tell("command", self._made(cid, CloseAll(), Priority.NORMAL, 5.0, "other")(brain.clock()))

    @precondition(lambda self: self.ids)
    @rule(number=st.integers(0, 30))
    def withdraw(self, number: int) -> None:
        self.machine.brain.tell("withdraw", self.ids[number % len(self.ids)])

    @rule(
        notice=st.sampled_from((0.0, 0.01, 4.0)), away=st.sampled_from((0.0, 5.0)), hang_ups=st.integers(0, 2)
    )
    def cut_brain(self, notice: float, away: float, hang_ups: int) -> None:
        self.machine.brain.hang_ups = hang_ups
        self.machine.brain.cut(notice, away)

    # -------------------------------------------------------------- terminal, broker, disk

    @rule(
        kind=st.sampled_from(KINDS),
        executed=st.booleans(),
        retcode=st.sampled_from(AMBIGUOUS),
        seconds=st.sampled_from((8.0, 90.0, 170.0)),
    )
    def next_fate(self, kind: str, executed: bool, retcode: int, seconds: float) -> None:
        slow = {"slow": 4.0, "hang": 4.0}
        self.fates.append(Fate(kind, retcode, executed, slow.get(kind, seconds)))

    @rule(seconds=st.sampled_from((0.5, 5.0)), scramble=st.sampled_from((0.0, 0.5)))
    def cut_terminal(self, seconds: float, scramble: float) -> None:
        self.machine.way.scramble = scramble
        if self.machine.terminal.end is not None:
            self.machine.terminal.end.cut("the connection broke")
        self.machine.way.broken_until = self.world.now + seconds

    @rule(seconds=st.sampled_from((0.5, 4.0)))
    def restart_terminal(self, seconds: float) -> None:
        self.machine.terminal.restart(seconds)

    @rule(connected=st.booleans())
    def broker_link(self, connected: bool) -> None:
        self.machine.terminal.permissions = Permissions(connected=connected, synchronised=connected)

    @rule(seconds=st.sampled_from((0.001, 0.2, 6.0)))
    def disk_takes(self, seconds: float) -> None:
        self.machine.speed.low = self.machine.speed.high = seconds

    @rule(ghostly=st.booleans())
    def disk_fails(self, ghostly: bool) -> None:
        self.machine.speed.fail_next, self.machine.speed.fail_ghostly = True, ghostly

    # -------------------------------------------------------------- the computer and the person at it

    @rule(callbacks=st.integers(1, 80))
    def crash(self, callbacks: int) -> None:
        if self.machine.life is not None:
            self.machine.life.loop.crash_in = callbacks
            self.machine.run(1.0)

    @rule()
    def end_in_order(self) -> None:
        self.machine.end_in_order()
        self.machine.run(0.5)

    @rule(how=st.sampled_from(("brain", "operator", "socket", "send", "file", "terminal")))
    def stop(self, how: str) -> None:
        self.machine.press(how)

    @rule()
    def operator_closes(self) -> None:
        positions = list(self.machine.terminal.positions)
        self.machine.operate(ClosePosition(positions[0]) if positions else CloseAll())

    @rule(seconds=st.sampled_from((0.0005, 0.005, 0.05, 1.0, 11.0)))
    def time_passes(self, seconds: float) -> None:
        if self.machine.life is None:
            self.machine.start()
        self.machine.run(seconds)

    # -------------------------------------------------------------- what must hold

    @invariant()
    def nothing_is_violated(self) -> None:
        if hasattr(self, "world") and self.world.violations:
            raise self.world.violations[0]

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        if not self.world.violations:
            self.machine.settle()
        if self.machine.life is not None:
            self.machine.life.loop.die()
        self.nothing_is_violated()
