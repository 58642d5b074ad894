"""kill -9 of the executor at thirteen named points, counted in the terminal's ledger.

`python -m tests.faults.kill_campaign --cycles 200` is the long form: every point 200 times, two worlds side by side.
Terminal and brain stay alive; after every kill the brain sends again whatever it has no result of, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from tests.end_to_end.scripted_brain import Message, ScriptedBrain

from .common_judge import SentBeforeJournal, Verdict, judge
from .common_results import Result, write_result
from .kill_points import Point
from .kill_world import POLL, FaultWorld, ForkedExecutor, Nursery

SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD")
FAR_BELOW = {"EURUSD": 0.9, "GBPUSD": 1.0, "USDJPY": 100.0, "XAUUSD": 1500.0}
WINDOW = 6
"""Commands that are open at once."""
NEVER_MORE = 40.0
"""Seconds after which a point that is not reached is a failure of the campaign itself."""


class Orders:
    """An endless mix of commands; what names a ticket takes it from what the brain was told."""

    def __init__(self, rng: random.Random, brain: ScriptedBrain) -> None:
        self._rng = rng
        self._brain = brain
        self._positions: list[int] = []
        self._pending: list[int] = []
        self._learnt: set[str] = set()
        self._number = 0

    def learn(self, command_id: str, end: Message) -> None:
        """A command has ended: what it opened can be closed."""
        if command_id in self._learnt or end["type"] == "COMMAND_ACK" or not end["result"]["success"]:
            return
        self._learnt.add(command_id)
        ticket = end["result"].get("ticket")
        frame = json.loads(json.loads(self._brain.frames[command_id])["payload"])
        action = frame["command"]["action"]
        if ticket and action == "OPEN_POSITION":
            self._positions.append(ticket)
        elif ticket and action == "PLACE_ORDER":
            self._pending.append(ticket)

    def __next__(self) -> Message:
        rng = self._rng
        self._number += 1
        draw = rng.random()
        symbol = rng.choice(SYMBOLS)
        if self._number % 40 == 0:
            return {"action": "CLOSE_ALL", "symbol": symbol}
        if draw < 0.15 and self._positions:
            return {
                "action": "CLOSE_POSITION",
                "ticket": self._positions.pop(rng.randrange(len(self._positions))),
            }
        if draw < 0.22 and self._pending:
            return {"action": "CANCEL_ORDER", "ticket": self._pending.pop(rng.randrange(len(self._pending)))}
        if draw < 0.30 and self._positions:
            ticket = rng.choice(self._positions)
            return {"action": "MODIFY_POSITION", "ticket": ticket, "stopLoss": 0}
        if draw < 0.40:
            return {
                "action": "PLACE_ORDER", "symbol": symbol, "type": "BUY_LIMIT", "volume": 0.01, "price": FAR_BELOW[symbol],
            }  # fmt: skip
        side = rng.choice(("BUY", "SELL"))
        return {"action": "OPEN_POSITION", "symbol": symbol, "type": side, "volume": rng.randint(1, 5) / 100}

    def __iter__(self) -> Iterator[Message]:
        return self


class Trader:
    """The brain's side: keeps a window of commands open, sends again what has no end, counts who has ended."""

    def __init__(
        self, world: FaultWorld, rng: random.Random, *, window: int = WINDOW, expiry: int = 30_000
    ) -> None:
        self.world = world
        self.brain = world.brain
        self.rng = rng
        self.window = window
        self.expiry = expiry
        self.orders = Orders(rng, world.brain)
        self.ids: list[str] = []
        self.open: list[str] = []
        self.touched: set[str] = set()
        """Commands that were open when a fault struck."""

    def settle(self) -> None:
        """Take out of the window what has ended."""
        still = []
        for command_id in self.open:
            end = self.brain.final(command_id)
            if end is None:
                still.append(command_id)
            else:
                self.orders.learn(command_id, end)
        self.open = still

    def send_again(self) -> None:
        with suppress(ConnectionClosed, AssertionError):
            self.brain.send_again(self.open)

    def top_up(self) -> None:
        """Fill the window."""
        self.settle()
        while len(self.open) < self.window:
            command_id = f"c{len(self.ids)}-{self.rng.getrandbits(32):08x}"
            self.ids.append(command_id)
            self.open.append(command_id)
            with suppress(ConnectionClosed, AssertionError):
                self.brain.order(next(self.orders), command_id, expiry=self.expiry)

    def finish(self, *, timeout: float = 60.0) -> None:
        """Until everything has ended; what has not by then is the judge's."""
        deadline = time.monotonic() + timeout
        while self.open and time.monotonic() < deadline:
            self.settle()
            if self.open:
                with suppress(AssertionError):
                    self.brain.wait(self._some_end, "a further end", timeout=0.5)

    def _some_end(self) -> bool:
        return any(self.brain.final(command_id) is not None for command_id in self.open)


@dataclass
class Kills:
    """One point's part of the campaign."""

    point: str
    seed: int
    kills: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    sent_before_journal: list[str] = field(default_factory=list)
    journal_verified: bool = False
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return self.verdict.clean and not self.sent_before_journal and self.journal_verified

    def complaints(self) -> list[str]:
        verdict = self.verdict
        told = [*self.sent_before_journal, *verdict.contradictions, *verdict.late]
        if verdict.duplicates:
            told.append(f"{verdict.duplicates} duplicates")
        if verdict.without_outcome:
            told.append(f"{verdict.without_outcome} accepted without one outcome")
        if not self.journal_verified:
            told.append("the journal's chain does not verify")
        return told


def kill_at(
    points: Sequence[Point],
    *,
    cycles: int,
    seed: int,
    folder: Path,
    weakened: str | None = None,
    nursery: Nursery | None = None,
) -> Kills:
    """Kill the executor `cycles` times, at `points` in turn, then let everything end and judge."""
    begun = time.monotonic()
    rng = random.Random(f"{seed} {points[0]}")
    world = FaultWorld(folder, nursery=nursery)
    done = Kills(str(points[0]), seed)
    try:
        world.begin()
        trader = Trader(world, rng)
        watch = SentBeforeJournal(world.folder / "ledger.jsonl.commands", world.journal_file)
        for cycle in range(cycles):
            point = points[cycle % len(points)]
            nth = rng.randint(1, 2 if "confirmation" in point else 8)
            linger = rng.choice((0.0, 0.0, rng.uniform(0, 0.002)))
            executor = _cycle(world, trader, point, nth=nth, linger=linger, weakened=weakened)
            done.kills += executor.code == -9
            watch.look()
        session = world.brain.sessions
        executor = world.fork(weakened=weakened)
        world.wait_for_state(session, executor)
        trader.send_again()
        trader.finish()
        executor.end()
        world.terminal.end()
        watch.look()
        done.sent_before_journal = watch.found
        done.verdict = judge(world.brain, trader.ids, world.ledger(), world.journal())
        checked = world.medulla("journal", "verify")
        done.journal_verified = checked.returncode == 0
    finally:
        world.close()
    done.seconds = time.monotonic() - begun
    return done


def _cycle(
    world: FaultWorld, trader: Trader, point: Point, *, nth: int, linger: float, weakened: str | None
) -> ForkedExecutor:
    """One life of the executor, up to its kill."""
    session = world.brain.sessions
    executor = world.fork(point=point, nth=nth, linger=linger, weakened=weakened)
    if world.wait_for_state(session, executor):
        trader.settle()
        trader.send_again()
    deadline = time.monotonic() + NEVER_MORE
    while not executor.ended.wait(POLL):
        trader.top_up()
        if time.monotonic() > deadline:
            raise AssertionError(f"{point} was not passed {nth} times\n{executor.words()}")
    return executor


# ------------------------------------------------------------------ the long form


def _one(arguments: tuple[str, int, int, str]) -> Kills:
    point, cycles, seed, folder = arguments
    return kill_at([Point(point)], cycles=cycles, seed=seed, folder=Path(folder) / point)


def campaign(points: Iterable[Point], *, cycles: int, seed: int, folder: Path, worlds: int) -> list[Kills]:
    work = [(str(point), cycles, seed, str(folder)) for point in points]
    with ProcessPoolExecutor(worlds, mp_context=get_context("spawn")) as pool:
        done = []
        for kills in pool.map(_one, work):
            print(
                f"{kills.point}: {kills.kills} kills, {kills.verdict.tried} commands, {kills.seconds:.0f} s: "
                + ("; ".join(kills.complaints()[:3]) or "clean"),
                flush=True,
            )
            done.append(kills)
    return done


def main() -> int:
    options = argparse.ArgumentParser(prog="kill_campaign")
    options.add_argument("--cycles", type=int, default=200)
    options.add_argument("--seed", type=int, default=20261121)
    options.add_argument("--worlds", type=int, default=2)
    options.add_argument("--point", action="append", choices=[str(point) for point in Point])
    options.add_argument("--results", type=Path, help="folder for kill.json")
    chosen = options.parse_args()
    points = [Point(name) for name in chosen.point] if chosen.point else list(Point)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medulla-kill-") as folder:
        done = campaign(
            points, cycles=chosen.cycles, seed=chosen.seed, folder=Path(folder), worlds=chosen.worlds
        )
    total = Verdict()
    for kills in done:
        total.add(kills.verdict)
    found = total.found() | {"sent_before_journal": sum(len(kills.sent_before_journal) for kills in done)}
    result = Result(
        name="kill",
        tried={
            "kills": sum(kills.kills for kills in done),
            "kills_by_point": {kills.point: kills.kills for kills in done},
            "commands": total.tried,
            "accepted": total.accepted,
        },
        found=found,
        seconds=round(time.monotonic() - begun, 1),
        seed=chosen.seed,
    )
    print(json.dumps(result.as_json(), indent=1))
    if chosen.results:
        write_result(chosen.results, result)
    return 0 if all(kills.clean for kills in done) else 1


if __name__ == "__main__":
    sys.exit(main())
