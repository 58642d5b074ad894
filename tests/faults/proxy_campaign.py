"""Bad networks between real processes: a faulty proxy before the brain and one before each port of the terminal.

`python -m tests.faults.proxy_campaign --commands 10000` is the long form. Every command lives under weather (late, thin, in
slices), and in every round connections are cut, half opened, overtaken by newer ones, or get the same bytes twice.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.end_to_end.scripted_brain import KEY_ID

from .common_judge import Verdict, judge
from .common_results import Result, hand_in
from .common_trader import Trader
from .kill_world import POLL, FaultWorld, Nursery
from .proxy import FaultyProxy

ROUND = 40
"""Commands of one round."""
WINDOW = 12
ROUND_PATIENCE = 60.0
EXPIRY = 20_000


class ProxiedWorld(FaultWorld):
    """Executor and brain, executor and terminal: each pair talks through proxies."""

    def __init__(self, folder: Path, *, seed: int, nursery: Nursery | None = None) -> None:
        super().__init__(folder, nursery=nursery)
        self._seed = seed
        self._proxies = ExitStack()

    def begin_proxied(self, **settings: Any) -> None:
        self.brain.open()
        self.start_terminal()
        ports = (self.brain.port, self._ports["command_port"], self._ports["stream_port"])
        self.to_brain, self.to_commands, self.to_stream = (
            self._proxies.enter_context(FaultyProxy(port, seed=self._seed + number))
            for number, port in enumerate(ports)
        )
        self.configure(
            log={"level": "warning"},
            brain={
                "url": f"ws://127.0.0.1:{self.to_brain.port}/executor",
                "executor_id": self.brain.executor_id,
                "signing_keys": {KEY_ID: self.brain.public_key},
            },
            terminal_settings={
                "command_port": self.to_commands.port,
                "stream_port": self.to_stream.port,
                "answer_timeout": 2.0,
            },
            **settings,
        )

    @property
    def proxies(self) -> tuple[FaultyProxy, ...]:
        return self.to_brain, self.to_commands, self.to_stream

    def close(self) -> None:
        super().close()
        self._proxies.close()


# ------------------------------------------------------------------ weather and blows


def _weather(rng: random.Random, proxy: FaultyProxy) -> str:
    """Something for every byte of the round; gives its name."""
    name = rng.choice(("late", "jitter", "slices", "thin", "all"))
    match name:
        case "late":
            proxy.weather(latency=rng.uniform(0.005, 0.12))
        case "jitter":
            proxy.weather(jitter=rng.uniform(0.005, 0.08))
        case "slices":
            proxy.weather(rng.choice(("up", "down")), slices=1)
        case "thin":
            proxy.weather(bandwidth=rng.uniform(20_000, 100_000), slices=1024)
        case "all":
            proxy.weather(latency=0.01, jitter=0.02, slices=rng.randint(3, 50), bandwidth=200_000)
    return name


def _reset(proxy: FaultyProxy) -> None:
    proxy.cut("rst")


def _end(proxy: FaultyProxy) -> None:
    proxy.cut("fin")


def _half_open(proxy: FaultyProxy) -> None:
    proxy.half_open()


def _repeat_up(proxy: FaultyProxy) -> None:
    proxy.repeat_last("up")


def _repeat_down(proxy: FaultyProxy) -> None:
    proxy.repeat_last("down")


def _replay(proxy: FaultyProxy) -> None:
    proxy.replay_up()


BLOWS: dict[str, Callable[[FaultyProxy], None]] = {
    "reset": _reset,
    "end": _end,
    "half open": _half_open,
    "hold": lambda proxy: proxy.hold(),
    "repeat up": _repeat_up,
    "repeat down": _repeat_down,
    "replay": _replay,
}
"""`hold` is followed by an overtake half a second later."""
HELD = 0.5


@dataclass
class Storm:
    """One world's part of the campaign."""

    seed: int
    verdict: Verdict = field(default_factory=Verdict)
    faults: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    journal_sound: bool = False
    stuck: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def complaints(self) -> list[str]:
        return self.verdict.complaints(*self.stuck, journal_sound=self.journal_sound)


def storm(
    *,
    commands: int,
    seed: int,
    folder: Path,
    nursery: Nursery | None = None,
    seconds: float = 1e9,
    blows: tuple[str, ...] = tuple(BLOWS),
) -> Storm:
    """Trade `commands` commands through the proxies, or until `seconds` are over, then let everything end and judge."""
    begun = time.monotonic()
    rng = random.Random(seed)
    world = ProxiedWorld(folder, seed=seed, nursery=nursery)
    done = Storm(seed)
    try:
        world.begin_proxied()
        trader = Trader(world.brain, rng, window=WINDOW, expiry=EXPIRY)
        executor = world.fork(quick=True)
        while len(trader.ids) < commands and time.monotonic() - begun < seconds:
            _round(world, trader, rng, done, min(commands, len(trader.ids) + ROUND), blows)
            if not executor.alive:
                done.stuck.append(f"the executor ended with {executor.code}: {executor.words(5)}")
                break
        for proxy in world.proxies:
            proxy.calm()
        trader.finish(timeout=ROUND_PATIENCE)
        done.stuck += world.end_in_order(executor)
        done.verdict = judge(world.brain, trader.ids, world.ledger(), world.journal())
        done.sessions = world.brain.sessions
        for proxy in world.proxies:
            counts = proxy.counts
            done.bytes.update(
                swallowed=counts.swallowed,
                replayed=counts.replayed,
                overtaken=counts.overtaken,
                cuts=counts.cuts,
            )
        done.journal_sound = world.journal_sound()
    finally:
        world.close()
    done.seconds = time.monotonic() - begun
    return done


def _round(
    world: ProxiedWorld, trader: Trader, rng: random.Random, done: Storm, most: int, blows: tuple[str, ...]
) -> None:
    """Some commands in some weather, with two blows at moments drawn by how many have been asked."""
    for proxy in world.proxies:
        proxy.calm()
        done.faults[_weather(rng, proxy)] += 1
    begun = len(trader.ids)
    moments = sorted(rng.sample(range(begun, max(begun + 2, most)), 2))
    overtake: tuple[float, FaultyProxy] | None = None
    deadline, ended = time.monotonic() + ROUND_PATIENCE, 0
    while len(trader.ids) < most or trader.open:
        trader.answer_state()
        trader.top_up(most)
        now = time.monotonic()
        if len(trader.ids) - len(trader.open) > ended:  # a thin line and a busy machine are slow, not stuck
            deadline, ended = now + ROUND_PATIENCE, len(trader.ids) - len(trader.open)
        if overtake is not None and now >= overtake[0]:
            overtake[1].overtake()
            overtake = None
        if moments and len(trader.ids) >= moments[0]:
            moments.pop(0)
            name = rng.choice(blows)
            proxy = rng.choice(
                (world.to_brain, world.to_brain, world.to_commands, world.to_commands, world.to_stream)
            )
            done.faults[name] += 1
            BLOWS[name](proxy)
            if name == "hold":
                overtake = (now + HELD, proxy)
        if now > deadline:
            done.stuck.append(f"for {ROUND_PATIENCE:.0f} s no command had an end; open: {trader.standing()}")
            break
        if world.forked[-1].ended.wait(2 * POLL):
            break
    if overtake is not None:
        overtake[1].overtake()


# ------------------------------------------------------------------ the long form


@dataclass(frozen=True)
class Share:
    """What one process of the long form does: its worlds one after the other, with one nursery."""

    seeds: tuple[int, ...]
    commands: int
    """Of each world."""
    seconds: float
    folder: Path
    keep: Path | None
    """Where the worlds go of which something is to be complained."""


def _share(share: Share) -> list[Storm]:
    storms = []
    nursery = Nursery(share.folder / f"nursery-{share.seeds[0]}")
    try:
        for seed in share.seeds:
            done = storm(
                commands=share.commands,
                seed=seed,
                folder=share.folder / str(seed),
                nursery=nursery,
                seconds=share.seconds,
            )
            told = "; ".join(done.complaints()[:3]) or "clean"
            if share.keep is not None and done.complaints():
                shutil.copytree(share.folder / str(seed), share.keep / f"seed {seed}", dirs_exist_ok=True)
            print(f"seed {seed}: {done.verdict.tried} commands, {done.seconds:.0f} s: {told}", flush=True)
            storms.append(done)
    finally:
        nursery.close()
    return storms


def main() -> int:
    options = argparse.ArgumentParser(prog="proxy_campaign")
    options.add_argument("--commands", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=31)
    options.add_argument("--worlds", type=int, default=2)
    options.add_argument(
        "--parts", type=int, default=10, help="worlds one after the other, each with its share"
    )
    options.add_argument("--minutes", type=float, default=24.0)
    options.add_argument("--results", type=Path, help="folder for proxy.json")
    options.add_argument("--keep", type=Path, help="folder for the files of worlds that were not clean")
    chosen = options.parse_args()
    begun = time.monotonic()
    commands = -(-chosen.commands // chosen.parts)
    seconds = chosen.minutes * 60 * chosen.worlds / chosen.parts
    seeds = tuple(range(chosen.seed, chosen.seed + chosen.parts))
    total, faults, counted = Verdict(), Counter[str](), Counter[str]()
    stuck: list[str] = []
    clean = True
    with tempfile.TemporaryDirectory(prefix="medulla-proxy-") as folder:
        shares = [
            Share(seeds[number :: chosen.worlds], commands, seconds, Path(folder), chosen.keep)
            for number in range(min(chosen.worlds, chosen.parts))
        ]
        with ProcessPoolExecutor(chosen.worlds, mp_context=get_context("spawn")) as pool:
            for done in [one for storms in pool.map(_share, shares) for one in storms]:
                total.add(done.verdict)
                faults += done.faults
                counted += done.bytes
                counted["sessions"] += done.sessions
                stuck += done.stuck
                clean = clean and not done.complaints()
    result = Result(
        name="proxy",
        tried={
            "commands": total.tried,
            **total.counted(),
            "faults": dict(faults.most_common()),
            "counted": dict(counted),
        },
        found=total.found() | {"stuck": len(stuck)},
        seconds=round(time.monotonic() - begun, 1),
        seed=chosen.seed,
    )
    hand_in(result, chosen.results)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
