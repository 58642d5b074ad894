"""A random program of commands and faults for one machine, all of it from one seed.

What is tried is decided here; what must hold is in sim_oracle.py. `run_program` is what the campaign and the tests call.
"""

from __future__ import annotations

import gc
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    PlaceOrder,
    TradeCommand,
)
from app.domain.market import Permissions
from app.domain.values import CommandId, Magic, OrderKind, Price, Priority, Side, Symbol, Ticket, Volume
from app.engine.ports import UnreadableCommand
from tests.faults.sim_brain import Command, Signal
from tests.faults.sim_loop import Violation, World
from tests.faults.sim_machine import LIMITS, Machine, Weakness
from tests.faults.sim_terminal import AMBIGUOUS, REJECTIONS, SYMBOLS, Fate

PRICE = Price("1.05000")
SIZES = (Volume("0.01"), Volume("0.02"), Volume("0.10"))


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard one program is. Shares are of commands, gaps in seconds."""

    commands: int
    gap: float
    faulty: float
    """Share of trades whose fate at the terminal is not plainly good."""
    fault_gap: float
    """Mean seconds between faults of the surroundings."""
    in_flight: int
    serial: bool
    keeps_comments: bool
    plain: bool
    offset: float
    rates: bool


def plan_of(rng: random.Random, commands: int) -> Plan:
    plain = rng.random() < 0.2
    return Plan(
        commands=commands,
        gap=rng.choice((0.02, 0.05, 0.1, 0.2)),
        faulty=rng.choice((0.1, 0.3, 0.6)),
        fault_gap=rng.choice((0.5, 1.0, 2.0)),
        in_flight=rng.choice((1, 1, 1, 2, 4)),
        serial=rng.random() < 0.6,
        keeps_comments=rng.random() < 0.9,
        plain=plain,
        offset=0.0 if plain else rng.choice((0.0, 0.0, 0.4, -0.9, 1.7)),
        rates=rng.random() < 0.1,
    )


@dataclass
class Report:
    """What one program came to."""

    seed: int
    commands: int = 0
    faulted: int = 0
    """Commands that a fault touched: their own fate, or one that struck while they were open."""
    lives: int = 0
    sends: int = 0
    effects: int = 0
    duplicates: int = 0
    without_outcome: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    presses: int = 0
    resets: int = 0
    steps: int = 0
    virtual_seconds: float = 0.0
    trace_hash: str = ""
    violations: list[Violation] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


class Program:
    """Drives one machine."""

    def __init__(
        self, seed: int, commands: int, weakness: Weakness | None = None, lines: bool = False
    ) -> None:
        self.world = World(seed)
        self.world.keep_lines = lines
        self.plan = plan = plan_of(self.world.random, commands)
        limits = (
            replace(LIMITS, max_orders_per_second=10, max_orders_per_minute=100) if plan.rates else LIMITS
        )
        self.machine = Machine(self.world, limits=limits, in_flight=plan.in_flight, weakness=weakness)
        self.machine.terminal.serial = plan.serial
        self.machine.terminal.keeps_comments = plan.keeps_comments
        self.machine.brain.plain = plan.plain
        self.machine.brain.offset = plan.offset
        self.machine.way.fate = self._fate
        self.machine.takes_over_after = self.world.random.choice((0.0, 2.0, 10.0))
        self.report = Report(seed)
        self.ids: list[CommandId] = []
        self.faulted: set[CommandId] = set()
        self._calm = False

    # -------------------------------------------------------------- the run

    def run(self) -> Report:
        world, machine = self.world, self.machine
        machine.start()
        world.later(world.between(0.3, 1.5), self._next_command)
        world.later(world.between(0.5, 3), self._next_fault)
        while len(self.ids) < self.plan.commands and not world.violations:
            machine.run(0.3)
            if machine.life is None and not self._restart_due:
                self._restart_due = True
                world.later(world.between(0.05, 0.6), self._restart)
        machine.run(world.between(0, 6))
        self._calm = True
        machine.settle()
        return self._reported()

    _restart_due = False

    def _restart(self) -> None:
        self._restart_due = False
        machine, world = self.machine, self.world
        if machine.life is None:
            # Somebody sets the clock while nothing runs, and somebody sets it right again.
            jump = world.random.choice((-3600.0, 3600.0, -120.0)) if world.chance(0.03) else 0.0
            machine.wall_error = jump
            machine.start()

    def _reported(self) -> Report:
        report, machine, world = self.report, self.machine, self.world
        report.commands = len(self.ids)
        report.faulted = len(self.faulted)
        report.lives = machine.lives
        report.sends = sum(machine.oracle.frames.values())
        report.effects = len(machine.terminal.effects)
        report.duplicates = sum(count - 1 for count in machine.oracle.effects.values() if count > 1)
        report.without_outcome = sum(1 for violation in world.violations if violation.rule == "outcome")
        report.presses, report.resets, report.steps = machine.presses, machine.resets, world.steps
        report.virtual_seconds = world.now
        for record in machine.disk.records.values():
            report.outcomes[record.state.name] += 1
            if record.results and record.results[0].outcome.value == "UNKNOWN":
                report.outcomes["was UNKNOWN"] += 1
        report.trace_hash = world.trace_hash
        report.violations = world.violations
        report.lines = world.lines
        life = machine.life
        if life is not None:
            life.loop.die()
            machine.life = None
        return report

    # -------------------------------------------------------------- commands

    def _next_command(self) -> None:
        world, brain = self.world, self.machine.brain
        if self._calm or len(self.ids) >= self.plan.commands:
            return
        burst = world.random.randint(5, 25) if world.chance(0.03) else 1
        for _ in range(burst):
            self._one_command()
        if self.ids and world.chance(0.08):
            signal = brain.signals[self._recent()]
            self._mark("duplicate", signal.command_id)
            for _ in range(world.random.choice((1, 1, 2, 5))):
                brain.order(signal)
        if self.ids and world.chance(0.03):
            cid = self._recent()
            self._mark("other content", cid)
            brain.tell(
                "command", self._made(cid, self._action(), Priority.NORMAL, 5.0, "other")(brain.clock())
            )
        if self.ids and world.chance(0.06):
            cid = self._recent()
            self._mark("withdrawal", cid)
            brain.tell("withdraw", cid)
        if world.chance(0.01):
            brain.tell("state", "r1")
        if world.chance(0.01):
            self.machine.operate(self._by_hand())
        world.later(world.random.expovariate(1 / self.plan.gap), self._next_command)

    def _recent(self) -> CommandId:
        rng = self.world.random
        return self.ids[-rng.randint(1, min(len(self.ids), 30))]

    def _mark(self, what: str, cid: CommandId | None = None) -> None:
        self.report.faults[what] += 1
        if cid is not None:
            self.faulted.add(cid)

    def _one_command(self) -> None:
        world, rng = self.world, self.world.random
        cid = CommandId(f"c{len(self.ids) + 1}")
        self.ids.append(cid)
        if world.chance(0.01):
            unreadable = UnreadableCommand(
                cid, f"u {cid}", "INVALID_COMMAND", "volume: must be greater than 0"
            )
            self.machine.brain.order(Signal(lambda _at: unreadable, cid))
            return
        expiry = rng.choice((0.05, 0.5, 2.0, 5.0, 5.0, 5.0, 30.0, 60.0))
        priority = rng.choice(tuple(Priority))
        signal = Signal(self._made(cid, self._action(), priority, expiry, "first"), cid)
        self.machine.brain.order(signal)

    @staticmethod
    def _made(
        cid: CommandId, action: Action, priority: Priority, expiry: float, content: str
    ) -> Callable[[datetime], Command]:
        def make(at: datetime) -> Command:
            return TradeCommand(
                cid, action, at, at + timedelta(seconds=expiry), f"{content} {cid}", priority=priority
            )

        return make

    def _action(self) -> Action:
        rng, terminal = self.world.random, self.machine.terminal
        dice = rng.random()
        positions, orders = list(terminal.positions), list(terminal.orders)
        symbol: Symbol = rng.choice(SYMBOLS)
        magic = Magic(rng.choice((0, 7, 8, 9)))
        if dice < 0.45 or (not positions and 0.6 <= dice < 0.85):
            return OpenPosition(
                symbol, rng.choice((Side.BUY, Side.SELL)), rng.choice(SIZES), magic=magic, comment="AI_1"
            )
        if dice < 0.6 or (not orders and 0.86 <= dice < 0.96):
            return PlaceOrder(symbol, OrderKind.BUY_LIMIT, rng.choice(SIZES), PRICE, magic=magic)
        ticket = rng.choice(positions) if positions and rng.random() < 0.95 else Ticket(rng.randint(1, 99))
        order = rng.choice(orders) if orders and rng.random() < 0.95 else Ticket(rng.randint(1, 99))
        if dice < 0.78:
            return ClosePosition(ticket, Volume("0.01") if rng.random() < 0.2 else None)
        if dice < 0.86:
            return ModifyPosition(ticket, stop_loss=None if rng.random() < 0.3 else Price("1.0"))
        if dice < 0.91:
            return ModifyOrder(order, price=Price("1.04000"))
        if dice < 0.97:
            return CancelOrder(order)
        return CloseAll(symbol if rng.random() < 0.7 else None, magic if rng.random() < 0.3 else None)

    def _by_hand(self) -> Action:
        rng, terminal = self.world.random, self.machine.terminal
        if terminal.positions and rng.random() < 0.6:
            return ClosePosition(rng.choice(list(terminal.positions)))
        if terminal.orders:
            return CancelOrder(rng.choice(list(terminal.orders)))
        return CloseAll(rng.choice(SYMBOLS))

    # -------------------------------------------------------------- fates at the terminal

    def _fate(self, command: TradeCommand) -> Fate:
        world, rng = self.world, self.world.random
        if self._calm or not world.chance(self.plan.faulty):
            return Fate()
        kind = rng.choices(
            (
                "partial", "rejected", "transient", "lost_before", "lost_after", "late_fill", "ambiguous", "slow",
                "restart_unread", "restart_claimed", "restart_sent", "restart_done", "cut_before", "cut_after", "hang",
                "unavailable",
            ),
            (8, 8, 4, 2, 3, 3, 10, 3, 1, 1, 2, 2, 2, 2, 4, 3),
        )[0]  # fmt: skip
        self._mark(kind, command.command_id)
        fate = Fate(kind, executed=world.chance(0.5))
        match kind:
            case "rejected":
                fate.retcode = rng.choice(REJECTIONS)
            case "late_fill":
                fate.seconds = rng.choice((8.0, 90.0, 170.0))
            case "ambiguous":
                fate.retcode = rng.choice(AMBIGUOUS)
            case "slow":
                fate.seconds = rng.choice((0.3, 2.0, 4.0, 11.0))
            case "hang":
                fate.seconds = rng.choice((1.0, 4.0, 12.0))
        return fate

    # -------------------------------------------------------------- faults of the surroundings

    def _next_fault(self) -> None:
        world = self.world
        if self._calm:
            return
        faults = self._faults()
        name = world.random.choices(list(faults), [weight for weight, _ in faults.values()])[0]
        self._mark(name)
        self.faulted.update(self.machine.disk.open)
        for cid in self.ids[-30:]:
            signal = self.machine.brain.signals[cid]
            if not signal.results and all(ack.status != "REJECTED" for ack in signal.acks):
                self.faulted.add(cid)  # it waits for its answer
        world.trace(f"fault {name}")
        faults[name][1]()
        world.later(world.random.expovariate(1 / self.plan.fault_gap), self._next_fault)

    def _faults(self) -> dict[str, tuple[int, Callable[[], None]]]:
        return {
            "brain cut": (40, self._brain_cut),
            "accept then close": (20, self._hang_ups),
            "acks lost": (20, self._acks_lost),
            "brain silent": (4, self._brain_silent),
            "terminal cut": (40, self._terminal_cut),
            "terminal restart": (8, lambda: self.machine.terminal.restart(self.world.between(0.3, 8))),
            "broker away": (10, self._broker_away),
            "stream scrambled": (40, self._scrambled),
            "slow disk": (40, self._slow_disk),
            "disk fails": (2, self._disk_fails),
            "crash": (60, self._crash),
            "crash inside": (100, self._crash_inside),
            "orderly end": (10, self.machine.end_in_order),
            "stop": (6, self._stop),
            "stop around a send": (20, lambda: self.machine.press("send")),
            "stop frames lost": (3, self._stop_frames_lost),
            "pause": (4, self.machine.pause),
            "stop loss": (20, self._stop_loss),
        }

    def _brain_cut(self) -> None:
        rng = self.world.random
        self.machine.brain.cut(rng.choice((0.0, 0.01, 0.5, 10.0)), rng.choice((0.0, 0.0, 0.3, 3.0)))

    def _hang_ups(self) -> None:
        self.machine.brain.hang_ups = self.world.random.randint(1, 5)
        self.machine.brain.cut(0.0, 0.0)

    def _acks_lost(self) -> None:
        brain = self.machine.brain
        brain.ack_loss = self.world.random.choice((0.2, 0.6, 1.0))
        self.world.later(self.world.between(1, 40), lambda: setattr(brain, "ack_loss", 0.0))

    def _brain_silent(self) -> None:
        brain = self.machine.brain
        brain.silent_since = self.world.now
        connection = brain.connection

        def over() -> None:
            brain.silent_since = None
            if connection is not None:
                brain.hang_up(connection, 0.0)

        self.world.later(self.world.random.choice((5.0, 20.0, 65.0)), over)

    def _terminal_cut(self) -> None:
        end = self.machine.terminal.end
        if end is not None:
            end.cut("the connection broke")
        self.machine.way.broken_until = self.world.now + self.world.random.choice((0.1, 0.1, 1.0, 5.0))

    def _broker_away(self) -> None:
        terminal, world = self.machine.terminal, self.world
        terminal.permissions = Permissions(connected=False, synchronised=False)

        def half() -> None:
            terminal.permissions = Permissions(synchronised=False)
            world.later(world.between(0.1, 2), whole)

        def whole() -> None:
            terminal.permissions = Permissions()

        world.later(world.random.choice((0.2, 1.0, 5.0)), half)

    def _scrambled(self) -> None:
        way = self.machine.way
        way.scramble = self.world.random.choice((0.1, 0.5))
        self.world.later(self.world.between(1, 30), lambda: setattr(way, "scramble", 0.0))

    def _slow_disk(self) -> None:
        speed, world = self.machine.speed, self.world
        speed.high = world.random.choice((0.02, 0.1, 0.5, 6.0))
        speed.low = speed.high * world.random.random()

        def over() -> None:
            speed.low, speed.high = 0.0003, 0.003

        world.later(world.between(0.5, 4), over)

    def _disk_fails(self) -> None:
        speed, world = self.machine.speed, self.world
        speed.fail_next, speed.fail_ghostly = True, world.chance(0.4)
        # Somebody starts it again.
        number = self.machine.lives
        world.later(world.between(0.05, 0.5), lambda: self._crash_life(number))

    def _crash_life(self, number: int) -> None:
        if self.machine.lives == number:
            self._crash()

    def _crash(self) -> None:
        life = self.machine.life
        if life is not None:
            life.loop.crash_in = 1

    def _crash_inside(self) -> None:
        """Some callbacks from now: anywhere between two steps of a command's life."""
        life = self.machine.life
        if life is not None:
            life.loop.crash_in = self.world.random.randint(2, 60)
            for cid in self.ids[-3:]:
                self.faulted.add(cid)

    def _stop(self) -> None:
        self.machine.press(
            self.world.random.choice(("brain", "operator", "socket", "socket", "file", "terminal"))
        )

    def _stop_frames_lost(self) -> None:
        self.machine.way.stop_frames_lost = self.world.random.randint(1, 5)
        self._stop()

    def _stop_loss(self) -> None:
        positions = list(self.machine.terminal.positions)
        if positions:
            self.machine.terminal.close_by_itself(self.world.random.choice(positions))


def run_program(
    seed: int, commands: int = 200, weakness: Weakness | None = None, *, lines: bool = False
) -> Report:
    """One program from its seed. The garbage of its dead lives is collected here, not in between."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return Program(seed, commands, weakness, lines).run()
    finally:
        gc.collect()
        if enabled:
            gc.enable()
