"""The long form of the fuzzing: `python -m tests.faults.fuzz_campaign --frames 1000000 [--only brain …] [--results DIR]`.

One result file for each target; docs/reliability.md is made of such files. The real sockets have their own (fuzz_live.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from app.adapters import mt5_link, mt5_stream
from app.protocol import ea_frames, strict_json
from app.protocol.ea_fields import BadFrame
from app.protocol.signing import SigningKeys, VerifiedPayload
from tests.faults.common_results import Control, Result, write_result
from tests.faults.disk_cuts import memory_folder
from tests.faults.fuzz_api import ApiTarget
from tests.faults.fuzz_brain import BrainTarget, flips
from tests.faults.fuzz_executor import ExecutorTarget
from tests.faults.fuzz_source import dump
from tests.faults.fuzz_terminal import TerminalTarget
from tests.faults.fuzz_verdict import Refuted

PART = 20_000
"""Frames from one seed; the next part has the next seed, and the result is written after each."""
SLICE = 200
"""Frames between two turns of the loop."""
FLIPS = 10_000
ENOUGH = 50
"""Finds after which a target is left: they repeat themselves."""

Try = Callable[[], Awaitable[None] | None]


async def fuzz(try_one: Try, frames: int, *, enough: int = ENOUGH) -> list[str]:
    """What was refuted in so many frames, a line each, with the frame's number."""
    found: list[str] = []
    for number in range(1, frames + 1):
        try:
            waiting = try_one()
            if waiting is not None:
                await waiting
        except Refuted as fault:
            found.append(f"frame {number}: {fault}")
            if len(found) >= enough:
                break
        if number % SLICE == 0:
            await asyncio.sleep(0)
    return found


# ------------------------------------------------------------------ each target


async def brain(frames: int, seed: int) -> tuple[list[str], Counter[str]]:
    """The decoder of the brain's link."""
    target = BrainTarget(seed)
    return await fuzz(target.try_one, frames), target.outcomes


def turned_bits(number: int, seed: int) -> list[str]:
    """Bit flips in signed frames, none of which may be accepted."""
    accepted = flips(BrainTarget(seed), number)
    return [f"{accepted} of {number} signed frames with one bit turned were accepted"] if accepted else []


async def executor(frames: int, seed: int) -> tuple[list[str], Counter[str]]:
    """The executor's half of the terminal's wire."""
    target = ExecutorTarget(seed)
    return await fuzz(target.try_one, frames), target.outcomes


async def terminal(frames: int, seed: int) -> tuple[list[str], Counter[str]]:
    """The simulated terminal's half."""
    with tempfile.TemporaryDirectory(prefix="medulla-fuzz-", dir=memory_folder()) as folder:
        async with TerminalTarget(seed, Path(folder)) as target:
            return await fuzz(target.try_one, frames), target.outcomes


async def api(frames: int, seed: int) -> tuple[list[str], Counter[str]]:
    """The local API."""
    target = ApiTarget(seed)
    return await fuzz(target.try_one, frames), target.outcomes


TARGETS: dict[str, Callable[[int, int], Coroutine[Any, Any, tuple[list[str], Counter[str]]]]] = {
    "brain": brain,
    "executor": executor,
    "terminal": terminal,
    "api": api,
}
COUNTED = {
    "brain": "frames at the brain link's decoder",
    "executor": "frames at the executor's half of the terminal wire",
    "terminal": "frames at the simulated terminal's half",
    "api": "requests at the local API",
}


# ------------------------------------------------------------------ worse on purpose


def _lax_json(frame: str | bytes, **_: Any) -> dict[str, Any]:
    """Python's own reader: duplicate keys, NaN and lone surrogates pass."""
    try:
        found = json.loads(frame)
    except (ValueError, RecursionError):
        raise strict_json.InvalidJson("not JSON") from None
    if not isinstance(found, dict):
        raise strict_json.InvalidJson("must be one object")
    return found


def _trusting(_: SigningKeys, envelope: Any) -> VerifiedPayload:
    return VerifiedPayload(str(envelope.get("payload")), "brain-fuzz")


def _macless(_: bytes, body: bytes, __: bytes, **___: int) -> dict[str, Any]:
    try:
        return strict_json.loads(body)
    except strict_json.InvalidJson as fault:
        raise BadFrame(fault.rule) from None


async def controls(seed: int) -> list[Control]:
    """Each safeguard left out in turn; what noticed."""
    found = []
    for name, (holder, attribute, instead, run) in _WORSE.items():
        kept = getattr(holder, attribute)
        setattr(holder, attribute, instead)
        try:
            seen = await run(seed)
        finally:
            setattr(holder, attribute, kept)
        found.append(Control(name, seen[0][:160] if seen else "", seed))
    return found


async def _brain_short(seed: int) -> list[str]:
    return await fuzz(BrainTarget(seed).try_one, 3000, enough=1)


async def _executor_short(seed: int) -> list[str]:
    kept = {module: vars(module)["open_sealed"] for module in (mt5_link, mt5_stream)}
    for module in kept:
        setattr(module, "open_sealed", ea_frames.open_sealed)  # noqa: B010 - a name that they only import
    try:
        return await fuzz(ExecutorTarget(seed).try_one, 2000, enough=1)
    finally:
        for module, original in kept.items():
            setattr(module, "open_sealed", original)  # noqa: B010 - a name that they only import


async def _flips_short(seed: int) -> list[str]:
    return turned_bits(300, seed)


_WORSE: dict[str, tuple[Any, str, Any, Callable[[int], Awaitable[list[str]]]]] = {
    "Python's own JSON reader instead of the strict one": (strict_json, "loads", _lax_json, _brain_short),
    "signatures are not verified": (SigningKeys, "verify", _trusting, _flips_short),
    "macs of the terminal's frames are not verified": (ea_frames, "open_sealed", _macless, _executor_short),
}


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=1_000_000, help="for each target")
    options.add_argument("--only", choices=TARGETS, action="append")
    options.add_argument("--seed", type=int, default=20261121)
    options.add_argument(
        "--minutes", type=float, default=600.0, help="for each target; the result says how far it came"
    )
    options.add_argument("--results", type=Path)
    given = options.parse_args(arguments)
    clean = [campaign(name, given) for name in given.only or TARGETS]
    return 0 if all(clean) else 1


def campaign(name: str, given: argparse.Namespace) -> bool:
    """One target to its end; True: nothing was found and every control was noticed."""
    begun = time.monotonic()
    worse = asyncio.run(controls(given.seed)) if name == "brain" else []
    found = turned_bits(FLIPS, given.seed) if name == "brain" else []
    flipped = {"signed frames with one bit turned": FLIPS} if name == "brain" else {}
    outcomes: Counter[str] = Counter()
    tried = 0
    while tried < given.frames and len(found) < ENOUGH and time.monotonic() - begun < given.minutes * 60:
        seed, part = given.seed + tried // PART, min(PART, given.frames - tried)
        more, became = asyncio.run(TARGETS[name](part, seed))
        found += [f"seed {seed}, {text}" for text in more]
        outcomes += became
        tried += part
        result = Result(
            name=f"fuzz_{name}",
            tried={COUNTED[name]: tried} | flipped | {"outcomes": dict(sorted(outcomes.items()))},
            found={"violations": len(found)} | {f"violation {n}": text for n, text in enumerate(found, 1)},
            seconds=round(time.monotonic() - begun, 1),
            seed=given.seed,
            negative_controls=worse,
            again=f"python -m tests.faults.fuzz_campaign --frames {tried} --only {name} --seed {given.seed}",
        )
        if given.results is not None:
            write_result(given.results, result)
    print(dump(result.as_json()), flush=True)
    return not found and all(control.caught_by for control in worse)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
