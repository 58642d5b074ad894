"""Limits over the whole wire, from the brain to the terminal's ledger: one step below, at, and one step above each; and storms.

What was refused must not stand in the ledger, what was allowed must. The pure rules have tests of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import until

from .stop_findings import Findings, spread
from .stop_forge import Forge
from .stop_presses import running
from .stop_world import StopWorld

EDGES, STORMS = "limits at their edges", "storms"
STATUS_BOUND = 0.05
"""Seconds in which a status is answered by an engine that has nothing else to do; a storm may make it ten times that."""
PATIENCE = 240.0
"""Seconds for all of a storm to be answered."""
Action = dict[str, Any]


def buy(volume: float = 0.01, symbol: str = "EURUSD", **more: Any) -> Action:
    return {"action": "OPEN_POSITION", "symbol": symbol, "type": "BUY", "volume": volume, **more}


@dataclass(frozen=True, slots=True)
class Edge:
    """Settings, and what becomes of each action in turn. `prepare` is called with the world and the step's number first."""

    name: str
    safety: Mapping[str, Any]
    steps: Sequence[tuple[Action, str]]
    prepare: Callable[[StopWorld, int], None] = lambda _world, _step: None


DONE = "EXECUTED"


def _market(spread_of: Sequence[int]) -> Callable[[StopWorld, int], None]:
    """EURUSD at 1.00000 with so many points of spread at each step."""

    def prepare(world: StopWorld, step: int) -> None:
        bid = f"{Decimal(1) - spread_of[step] * Decimal('0.00001'):.5f}"
        world.hand("set_price", symbol="EURUSD", bid=bid, ask="1.00000")
        world.sees_price("EURUSD", bid, "1.00000")

    return prepare


def _failing(world: StopWorld, step: int) -> None:
    """Two failures, a success, three failures, then a good try that comes too late."""
    world.hand("clear_faults")
    if step in (0, 1, 3, 4, 5):
        world.hand("add_fault", spec="retcode:code=10006,cmd=open")


BROKER_SAYS_NO = "REJECTED BROKER_REJECTED"
EDGES_TRIED = (
    Edge(
        "max_volume_per_order 0.50", {"max_volume_per_order": "0.50"},
        [(buy(0.49), DONE), (buy(0.50), DONE), (buy(0.51), "REJECTED VOLUME_TOO_LARGE"), (buy(0.50), DONE)],
    ),
    Edge(
        "max_volume_per_symbol 0.50", {"max_volume_per_symbol": "0.50"},
        [(buy(0.49), DONE), (buy(), DONE), (buy(), "REJECTED MAX_EXPOSURE"), (buy(symbol="GBPUSD"), DONE)],
    ),
    Edge(
        "max_volume_total 0.50", {"max_volume_total": "0.50"},
        [(buy(0.49), DONE), (buy(symbol="GBPUSD"), DONE), (buy(), "REJECTED MAX_EXPOSURE")],
    ),
    Edge(
        "max_positions 3", {"max_positions": 3},
        [(buy(), DONE), (buy(symbol="GBPUSD"), DONE), (buy(), DONE), (buy(), "REJECTED MAX_POSITIONS")],
    ),
    Edge(
        "max_positions_per_symbol 2", {"max_positions_per_symbol": 2},
        [(buy(), DONE), (buy(), DONE), (buy(), "REJECTED MAX_POSITIONS"), (buy(symbol="GBPUSD"), DONE)],
    ),
    Edge(
        "max_spread_points 20", {"max_spread_points": 20},
        [(buy(), DONE), (buy(), DONE), (buy(), "REJECTED SPREAD_TOO_WIDE")], _market((19, 20, 21)),
    ),
    Edge(
        "price_collar_percent 1", {"price_collar_percent": 1},
        [(buy(price=1.00999), DONE), (buy(price=1.01), DONE), (buy(price=1.01001), "REJECTED PRICE_COLLAR"),
         (buy(price=0.99001), DONE), (buy(price=0.99), DONE), (buy(price=0.98999), "REJECTED PRICE_COLLAR")],
        _market((1,) * 6),
    ),
    Edge(
        "max_orders_per_minute 4", {"max_orders_per_minute": 4},
        [(buy(), DONE), (buy(), DONE), (buy(), DONE), (buy(), DONE), (buy(), "turned away RATE_LIMITED")],
    ),
    Edge(
        "repeat_throttle 3", {"repeat_throttle": 3},
        [(buy(0.02), DONE), (buy(0.02), DONE), (buy(0.02), DONE), (buy(0.02), "REJECTED REPEAT_THROTTLE"),
         (buy(0.07), "REJECTED REPEAT_THROTTLE")],
    ),
    Edge(
        "max_consecutive_failures 3", {"max_consecutive_failures": 3},
        [(buy(), BROKER_SAYS_NO), (buy(), BROKER_SAYS_NO), (buy(), DONE), (buy(), BROKER_SAYS_NO), (buy(), BROKER_SAYS_NO),
         (buy(), BROKER_SAYS_NO), (buy(), "REJECTED REPEAT_THROTTLE")],
        _failing,
    ),
    Edge(
        "require_stop_loss", {"require_stop_loss": True},
        [(buy(), "REJECTED STOP_LOSS_REQUIRED"), (buy(stopLoss=0.9), DONE)], _market((1, 1)),
    ),
    Edge(
        "allowed_symbols GBPUSD", {"allowed_symbols": ["GBPUSD"]},
        [(buy(symbol="GBPUSD"), DONE), (buy(), "REJECTED SYMBOL_NOT_ALLOWED")],
    ),
)  # fmt: skip


def edges(
    folder: Path,
    forge: Forge,
    findings: Findings,
    *,
    names: Sequence[str] = (),
    without: tuple[str, ...] = (),
) -> None:
    """Each limit in an executor of its own start, over one terminal. `names`: only those."""
    with running(folder, forge, "limits", terminal=("--account", "hedging"), without=without) as world:
        world.hand("freeze", frozen=True)
        if not names:
            losses(world, findings)
        for edge in EDGES_TRIED:
            if not names or edge.name in names:
                _begin(world, edge.safety)
                for number, (action, wanted) in enumerate(edge.steps):
                    edge.prepare(world, number)
                    _try(world, findings, f"{edge.name}, step {number}", action, wanted)


def _try(world: StopWorld, findings: Findings, name: str, action: Action, wanted: str) -> None:
    command_id = "edge:" + name.replace(" ", "_").replace(",", "")
    got = world.brain.ask("order", action=action, name=command_id[:64])["outcome"]
    traded = bool(world.ledger(command_id[:64]))
    findings.check(
        EDGES, f"{name}: {wanted}", got == wanted and traded is (wanted == DONE), f"{got}, traded: {traded}"
    )


def _begin(world: StopWorld, safety: Mapping[str, Any], **more: Any) -> None:
    """An empty account, an executor with these limits, the brain connected."""
    world.hand("clear_faults")
    for position in world.hand("state")["positions"]:
        world.hand("manual_close", ticket=str(position["ticket"]))
    sessions = world.brain.ask("sessions")["sessions"]
    world.executor.end()
    world.configure(safety=safety, terminal_settings={"answer_timeout": 0.6}, **more)
    world.start_executor()
    world.brain.ask("connected", sessions=sessions)
    world.settle()
    # What an earlier case has latched outlives the restart, as it must; here nobody has lost anything.
    for name in ("daily_loss", "drawdown", "repeat_throttle", "consecutive_failures"):
        world.engine("POST", f"/limits/{name}/reenable", note="campaign", by="campaign")


def losses(world: StopWorld, findings: Findings) -> None:
    """Floating losses, to the dollar: US500 has no commission, one lot moves by 1 USD a point."""
    for setting, limit, code, edge in (
        ("max_daily_loss", {"max_daily_loss": 100}, "DAILY_LOSS_LIMIT", 100),
        ("max_drawdown_percent", {"max_drawdown_percent": 1}, "DRAWDOWN_LIMIT", 1000),
    ):
        _begin(world, limit)
        world.hand("set_price", symbol="US500", bid="5000.0", ask="5000.0")
        start = Decimal(100_000)
        already = start - Decimal(world.engine("GET", "/status")[1]["account"]["equity"])
        opened = world.brain.ask("order", action=buy(1.0, "US500"), name=f"loss-{setting}")["outcome"]
        findings.check(EDGES, f"{setting}: opened", opened == DONE, opened)
        for step, (loss, wanted) in enumerate(
            ((edge - 1, DONE), (edge, f"REJECTED {code}"), (edge + 1, f"REJECTED {code}"))
        ):
            price = f"{Decimal('5000.0') - (loss - already) * Decimal('0.1'):.1f}"
            world.hand("set_price", symbol="US500", bid=price, ask=price)
            _until_equity(world, start - loss)
            _try(world, findings, f"{setting}, a loss of {loss}", buy((1 + step) / 10, "US500"), wanted)
            for position in world.hand("state")["positions"]:
                if position["volume"] == "0.1":
                    world.hand("manual_close", ticket=str(position["ticket"]))  # its price is the same still
        limits = {one["name"]: one["state"] for one in world.engine("GET", "/status")[1]["limits"]}
        latched = [name for name, state in limits.items() if state == "latched"]
        findings.check(EDGES, f"{setting}: latched", bool(latched), limits)


def _until_equity(world: StopWorld, equity: Decimal) -> None:
    def there() -> bool:
        account = world.engine("GET", "/status")[1]["account"]
        return account is not None and Decimal(account["equity"]) == equity

    until(there, f"the executor sees an equity of {equity}")


# ------------------------------------------------------------------ storms


def storm(
    folder: Path, forge: Forge, findings: Findings, count: int, *, same: bool, without: tuple[str, ...] = ()
) -> None:
    """`count` commands at once. Alike: the repeat throttle's cap, latched. Different: the minute's cap."""
    with running(folder, forge, f"storm {same}", without=without) as world:
        storm_in(world, findings, count, same=same)


def storm_in(world: StopWorld, findings: Findings, count: int, *, same: bool, bounds: float = 1.0) -> None:
    """`bounds`: factor on the time in which a status must be answered, for a busy machine."""
    cap = 25 if same else 100
    throttle = {"max_orders_per_second": 40, "max_orders_per_minute": cap}
    name, prefix = f"{count} commands {'alike' if same else 'unlike'}", world.new_name("storm")
    _begin(world, {"repeat_throttle": cap} if same else throttle, queue={"capacity": 10_000})
    world.forget()
    begun = time.monotonic()
    world.brain.ask("storm", prefix=prefix, count=count, same=same)
    answers = []
    tick = threading.Event()
    while True:
        asked = time.monotonic()
        code, _status = world.engine("GET", "/status")
        answers.append(time.monotonic() - asked)
        told = world.brain.ask("progress")
        if code != 200 or (told["over"] and told["answered"] == told["sent"]) or asked - begun > PATIENCE:
            break
        tick.wait(0.03)
    took = time.monotonic() - begun
    rest = world.brain.ask("rest", patience=60)
    world.take()
    deals = {line["cid"] for line in world.ledger() if str(line["cid"]).startswith(f"{prefix}-")}
    frames = len(world.frames())
    traded = f"{len(deals)} deals, {frames} frames"
    # A storm that a slow machine needs minutes for is allowed the minute's cap once more for each.
    most = cap if same else cap * (1 + int(took // 60))
    exact = len(deals) == frames and (len(deals) == cap if most == cap else cap <= len(deals) <= most)
    findings.check(STORMS, f"{name}: exactly {cap} trades", exact, f"{traded} in {took:.0f} s")
    answered = rest["sent"] == count and not rest["unanswered"] and not rest["open_count"]
    findings.check(STORMS, f"{name}: every command has an answer and an end", answered, rest)
    if same:
        limits = {one["name"]: one["state"] for one in world.engine("GET", "/status")[1]["limits"]}
        latched = any(state == "latched" for state in limits.values())
        findings.check(STORMS, f"{name}: the throttle is latched", latched, limits)
        after = world.brain.ask("order", action=buy(0.33), name=f"after-{prefix}")["outcome"]
        findings.check(
            STORMS, f"{name}: nothing goes on by itself", after == "REJECTED REPEAT_THROTTLE", after
        )
    slowest, bound = max(answers), 10 * STATUS_BOUND * bounds
    findings.check(STORMS, f"{name}: status within {bound} s", slowest < bound, f"{slowest:.3f} s")
    findings.figures.setdefault(STORMS, {})[name] = {
        "status": spread(answers), "seconds": round(took, 2), "trades": len(deals), "ends": rest["ends"],
    }  # fmt: skip
