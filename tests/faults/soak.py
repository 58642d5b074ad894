"""Hours of mixed trading under faults, with what a leak would show: `python -m tests.faults.soak --minutes 40`.

Every half minute something of the other campaigns happens to the network, the processes or the broker. Sampled all the while:
resident memory, open handles and threads of the executor, size of the journal, latency as the brain sees it. POSIX with /proc.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .common_judge import Verdict, judge
from .common_results import Result, hand_in
from .common_trader import Trader
from .kill_world import POLL, START_PATIENCE, Forked, Nursery
from .proxy_campaign import BLOWS, HELD, ProxiedWorld
from .soak_plot import table, write_plot

SAMPLE_EVERY = 5.0
FAULT_EVERY = 20.0
WARM = 120.0
"""Seconds of an executor's life that are not held against it: caches fill."""
MOST_GROWTH = 1.5
"""Resident memory at the end of a life against its own after WARM seconds: beyond that it leaks."""
END_PATIENCE = 120.0


@dataclass
class Sample:
    """One look. Memory in MiB, latency in ms over the samples' interval (None: nothing ended in it)."""

    at: float
    life: int
    rss: float
    handles: int
    threads: int
    terminal_rss: float
    journal: float
    commands: int
    p50: float | None
    p95: float | None


@dataclass
class Soak:
    """What came of it."""

    seed: int
    samples: list[Sample] = field(default_factory=list)
    happened: list[tuple[float, str]] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    stuck: list[str] = field(default_factory=list)
    journal_sound: bool = False
    lives: int = 0
    seconds: float = 0.0

    def growth(self) -> list[tuple[int, float, int]]:
        """(life, resident memory at its end against after its warm-up, handles gained) of each life long enough to tell."""
        told = []
        for life in sorted({sample.life for sample in self.samples}):
            own = [sample for sample in self.samples if sample.life == life]
            warm = [sample for sample in own if sample.at - own[0].at >= WARM]
            if len(warm) >= 12:
                edge = len(warm) // 6
                first, last = warm[:edge], warm[-edge:]
                memory = _mean([one.rss for one in last]) / _mean([one.rss for one in first])
                handles = round(_mean([one.handles for one in last]) - _mean([one.handles for one in first]))
                told.append((life, memory, handles))
        return told

    def complaints(self) -> list[str]:
        grown = [
            f"executor {life}: memory grew to {memory:.2f} times of what it was"
            for life, memory, _handles in self.growth()
            if memory > MOST_GROWTH
        ]
        return self.verdict.complaints(*self.stuck, *grown, journal_sound=self.journal_sound)


def _mean(values: list[float] | list[int]) -> float:
    return sum(values) / max(1, len(values))


class Load:
    """Trades at a rate, and knows how long each command took."""

    def __init__(self, trader: Trader, rate: float) -> None:
        self.trader = trader
        self._rate = rate
        self._begun = time.monotonic()
        self._sent: dict[str, float] = {}
        self._taken: list[float] = []

    def turn(self) -> None:
        """One look at everything."""
        trader, now = self.trader, time.monotonic()
        trader.answer_state()
        before = set(trader.open)
        trader.top_up(max(len(trader.ids), int((now - self._begun) * self._rate)))
        for command_id in set(trader.open) - before:
            self._sent[command_id] = now
        for command_id in before - set(trader.open):
            began = self._sent.pop(command_id, None)
            if began is not None:
                self._taken.append((now - began) * 1000)

    def latencies(self) -> tuple[float | None, float | None]:
        """p50 and p95 (ms) of what has ended since the last call."""
        taken, self._taken = sorted(self._taken), []
        if not taken:
            return None, None
        return taken[len(taken) // 2], taken[min(len(taken) - 1, int(len(taken) * 0.95))]


class Troubles:
    """What happens to a world, one thing after the other; each ends by itself."""

    def __init__(self, world: ProxiedWorld, rng: random.Random, *, kills: bool) -> None:
        self._world = world
        self._rng = rng
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._acts: list[tuple[str, Callable[[], None]]] = [
            *((f"network: {name}", self._blow(name)) for name in BLOWS),
            ("network: late and in slices", self._weather),
            ("executor frozen", lambda: self._freeze(world.forked[-1])),
            ("terminal frozen", lambda: self._freeze(world.terminal)),
            ("broker: reply lost", lambda: self._fault("reply_lost:times=1")),
            ("broker: 10012, done", lambda: self._fault("retcode:code=10012,executed=true,times=1,cmd=open")),
            ("broker: requote", lambda: self._fault("requote:times=2")),
            ("broker: partial", lambda: self._fault("partial:times=1,cmd=open")),
            ("broker: late fill", lambda: self._fault("late_fill:delay=3,times=1,cmd=open")),
            ("broker away", lambda: self._fault("disconnect:seconds=2,times=1")),
            ("terminal restarts", lambda: self._fault("restart:at=after_effect,times=1")),
            ("frame twice", lambda: self._fault("duplicate:times=3")),
        ]
        if kills:
            self._acts.append(("terminal killed", self._kill_terminal))

    def strike(self) -> str:
        """Something of the list; gives its name."""
        name, act = self._rng.choice(self._acts)
        act()
        return name

    def turn(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        due = [act for at, act in self._later if at <= now]
        self._later = [(at, act) for at, act in self._later if at > now]
        for act in due:
            act()

    def end(self) -> None:
        """Everything that was begun is ended now."""
        for _at, act in self._later:
            act()
        self._later.clear()
        for proxy in self._world.proxies:
            proxy.calm()

    def _after(self, seconds: float, act: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    def _blow(self, name: str) -> Callable[[], None]:
        def act() -> None:
            proxy = self._rng.choice(self._world.proxies)
            BLOWS[name](proxy)
            if name == "hold":
                self._after(HELD, proxy.overtake)
            elif name == "half open":
                self._after(8.0, proxy.calm)

        return act

    def _weather(self) -> None:
        proxy = self._rng.choice(self._world.proxies)
        proxy.weather(latency=0.05, jitter=0.05, slices=self._rng.randint(1, 20), bandwidth=100_000)
        self._after(6.0, proxy.calm)

    def _freeze(self, one: Any) -> None:
        one.freeze()
        self._after(self._rng.choice((0.3, 1.0, 4.0)), one.thaw)

    def _fault(self, spec: str) -> None:
        self._world.hand("add_fault", spec=spec)

    def _kill_terminal(self) -> None:
        self._world.terminal.kill()
        self._world.start_terminal()


def soak(
    *,
    minutes: float,
    rate: float,
    seed: int,
    folder: Path,
    kill_every: float,
    fault_every: float = FAULT_EVERY,
    nursery: Nursery | None = None,
) -> Soak:
    """Trade for so long, then let everything end and judge. `kill_every`: seconds between kills of the executor."""
    rng = random.Random(seed)
    world = ProxiedWorld(folder, seed=seed, nursery=nursery)
    done = Soak(seed)
    try:
        world.begin_proxied()
        executor = world.fork(quick=True)
        done.lives = 1
        world.brain.heard("STATE", timeout=START_PATIENCE)
        begun = time.monotonic()
        trader = Trader(world.brain, rng, window=8, expiry=15_000)
        load = Load(trader, rate)
        troubles = Troubles(world, rng, kills=True)
        end = begun + minutes * 60
        due = {"sample": begun, "fault": begun + fault_every, "kill": begun + kill_every}
        while (now := time.monotonic()) < end:
            load.turn()
            _try(done, troubles.turn)
            if now >= due["sample"]:
                due["sample"] = now + SAMPLE_EVERY
                done.samples.append(_sample(world, executor, load, now - begun, done.lives))
            if now >= due["fault"]:
                due["fault"] = now + fault_every * rng.uniform(0.5, 1.5)
                _try(done, lambda: done.happened.append((time.monotonic() - begun, troubles.strike())))
            if now >= due["kill"] or not executor.alive:
                if not executor.alive:
                    done.stuck.append(f"the executor ended with {executor.code}: {executor.words(5)}")
                due["kill"] = now + kill_every
                executor.kill()
                executor = world.fork(quick=True)
                done.lives += 1
                done.happened.append((now - begun, "executor killed"))
            executor.ended.wait(2 * POLL)
        _try(done, troubles.end)
        _try(done, lambda: world.hand("clear_faults"))
        trader.finish(timeout=END_PATIENCE)
        done.stuck += world.end_in_order(executor)
        done.verdict = judge(world.brain, trader.ids, world.ledger(), world.journal())
        done.journal_sound = world.journal_sound()
        done.seconds = time.monotonic() - begun
    finally:
        world.close()
    return done


def _try(done: Soak, act: Callable[[], object]) -> None:
    """What cannot even be done to the world is noted, and the soak goes on."""
    try:
        act()
    except (AssertionError, TimeoutError) as fault:
        done.stuck.append(str(fault)[:300])


def _sample(world: ProxiedWorld, executor: Forked, load: Load, at: float, life: int) -> Sample:
    p50, p95 = load.latencies()
    memory, threads = _status(executor.pid)
    terminal: Any = world.terminal
    journal = sum(file.stat().st_size for file in world.folder.glob("journal.db*") if file.suffix != ".lock")
    return Sample(
        at=round(at, 1),
        life=life,
        rss=memory,
        handles=_handles(executor.pid),
        threads=threads,
        terminal_rss=_status(terminal.pid)[0],
        journal=round(journal / 2**20, 3),
        commands=len(load.trader.ids),
        p50=None if p50 is None else round(p50, 1),
        p95=None if p95 is None else round(p95, 1),
    )


def _status(pid: int) -> tuple[float, int]:
    """Resident memory in MiB and threads; 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return round(int(found.get("VmRSS", "0 kB").split()[0]) / 1024, 1), int(found.get("Threads", "0"))


def _handles(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def main() -> int:
    options = argparse.ArgumentParser(prog="soak")
    options.add_argument("--minutes", type=float, default=40.0)
    options.add_argument("--rate", type=float, default=3.0, help="commands a second")
    options.add_argument("--seed", type=int, default=4711)
    options.add_argument(
        "--kill-every", type=float, default=900.0, help="seconds between kills of the executor"
    )
    options.add_argument(
        "--fault-every", type=float, default=FAULT_EVERY, help="seconds between other faults"
    )
    options.add_argument(
        "--results",
        type=Path,
        default=Path("build/faults"),
        help="folder for soak.json, soak_table.md and soak.svg",
    )
    chosen = options.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="medulla-soak-") as folder:
        done = soak(
            minutes=chosen.minutes,
            rate=chosen.rate,
            seed=chosen.seed,
            folder=Path(folder) / "world",
            kill_every=chosen.kill_every,
            fault_every=chosen.fault_every,
        )
    for line in done.complaints()[:20]:
        print(line)
    rows = table(done.samples)
    result = Result(
        name="soak",
        tried={
            "minutes": chosen.minutes,
            "commands": done.verdict.tried,
            **done.verdict.counted(),
            "executors": done.lives,
            "faults": dict(Counter(name for _at, name in done.happened).most_common()),
        },
        found=done.verdict.found()
        | {
            "stuck": len(done.stuck),
            "growth": [
                {"executor": life, "memory": round(memory, 3), "handles": handles}
                for life, memory, handles in done.growth()
            ],
        },
        seconds=round(done.seconds, 1),
        seed=chosen.seed,
    )
    hand_in(result, chosen.results)
    (chosen.results / "soak_samples.json").write_text(
        json.dumps({"samples": [asdict(one) for one in done.samples], "happened": done.happened}) + "\n"
    )
    write_plot(chosen.results / "soak.svg", done.samples, done.happened)
    (chosen.results / "soak_table.md").write_text(rows + "\n", encoding="utf-8")
    print(rows)
    return 1 if done.complaints() else 0


if __name__ == "__main__":
    sys.exit(main())
