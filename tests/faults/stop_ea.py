"""The Expert Advisor itself, compiled for this machine, both fronts: with an executor that is stopped or killed, and alone.

Alone means: the executor's process is gone, and whoever speaks to the terminal next is a raw client with the right key that obeys
nothing. What the broker did is counted in the broker's own book.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.adapters.key_file import load_or_create_key
from tests.end_to_end.ea_world import MARKET, EaProcess
from tests.end_to_end.harness import until
from tests.mql5_host.executor import Executor, Link, Message, open_args
from tests.mql5_host.host import FRONTS, HostTerminal

from .stop_findings import Findings, Press
from .stop_forge import Forge
from .stop_presses import RATE
from .stop_tape import SENT
from .stop_world import StopWorld

EA = "Expert Advisor alone"
TRADES_TRIED: tuple[tuple[str, Message], ...] = (
    ("open", open_args()),
    ("place", {name: v for name, v in open_args(kind="BUY_LIMIT", price="1.09").items() if name not in ("side", "deviation")}),
)  # fmt: skip


class EaStopWorld(StopWorld):
    """A StopWorld over the Expert Advisor in place of the simulated terminal; it writes no wire log."""

    def __init__(self, folder: Path, forge: Forge, front: str) -> None:
        super().__init__(folder, forge)
        self.host = HostTerminal(
            folder / "terminal",
            front,
            inputs={"InpMaxOrdersPerMinute": 0},
            key=load_or_create_key(folder / "terminal.key"),
            effects_file=folder / "ledger.jsonl",
            remembers=False,
        )

    def start_terminal(self, *_options: str) -> EaProcess:  # type: ignore[override]
        self.host.start()
        for line in (*MARKET, "account margin 0", "deposit 90000"):
            self.host.control(line)
        self._ports = {"command_port": self.host.command_port, "stream_port": self.host.stream_port}
        return EaProcess(self.host)

    def configure(self, *, terminal_settings: Mapping[str, Any] | None = None, **more: Any) -> None:
        transport = "connect" if self.host.front == "Medulla" else "listen"
        super().configure(terminal_settings={"transport": transport, **(terminal_settings or {})}, **more)

    def close(self) -> None:
        super().close()
        self.host.kill()


def pressed(
    folder: Path, forge: Forge, findings: Findings, count: int, seed: int, fronts: Sequence[str] = FRONTS
) -> None:
    """The whole way with the real terminal program: stops under load, counted in the broker's book."""
    for front in fronts:
        world = EaStopWorld(folder / f"EA {front}", forge, front)
        try:
            world.start_all()
            for _ in range(count):
                _press(world, findings, seed)
        finally:
            world.close()


def _press(world: EaStopWorld, findings: Findings, seed: int) -> None:
    number = len(findings.presses)
    press = Press(number, f"load, EA {world.host.front}", "socket", [])
    findings.presses.append(press)
    world.forget()
    prefix = world.new_name("c")
    world.brain.ask("load", prefix=prefix, rate=RATE, seed=number)
    threading.Event().wait(random.Random(f"{seed} {number}").uniform(0.05, 0.3))
    moment, report = world.press(f"campaign {number}")
    latch = world.latched_after(moment)
    if latch is None:
        press.failures.append("the engine did not latch within 5 s")
        return
    press.to_latch = latch.after - moment
    until(lambda: _acknowledged(world), "the EA acknowledges", timeout=5)
    press.to_proof = time.monotonic() - moment if not report.terminal_stopped else None
    counted = len(world.host.effects())
    threading.Event().wait(0.1)
    rest = world.brain.ask("rest", patience=15)
    press.offered, press.ends = rest["sent"], rest["ends"]
    world.take()
    sent = [note for note in world.notes if note.kind == SENT]
    departed = {note.cid for note in sent if note.after <= latch.before}
    press.sent_before, press.sent_after = len(departed), sum(1 for n in sent if n.after > latch.before)
    effects = world.host.effects()
    strangers = {e["cid"] for e in effects if str(e["cid"]).startswith(f"{prefix}-")} - departed
    if strangers:
        press.failures.append(f"traded, and had not left before the latch: {sorted(strangers)[:5]}")
    later = [effect for effect in effects[counted:] if not str(effect["cid"]).startswith("stop:")]
    if later:
        press.failures.append(f"traded after the EA's acknowledgement: {later[:3]}")
    world.settle()
    world.forget()
    world.brain.ask("again", count=20)
    world.take()
    press.old_sent = sum(1 for note in world.notes if note.kind == SENT)
    world.brain.ask("forget")


def _acknowledged(world: StopWorld) -> bool:
    code, receipt = world.engine("GET", "/stop-receipt")
    return code == 200 and any("terminal acknowledged" in proof for proof in receipt["proofs"])


# ------------------------------------------------------------------ alone


@contextmanager
def _terminal(folder: Path, front: str, name: str, **inputs: object) -> Iterator[HostTerminal]:
    host = HostTerminal(folder / f"alone {front} {name}", front, inputs=inputs)
    host.start()
    try:
        yield host
    finally:
        host.kill()


def alone(folder: Path, findings: Findings, fronts: Sequence[str] = FRONTS) -> None:
    """Its own button, stop file, watchdog and hard limits, without any executor of ours."""
    for front in fronts:
        _button(folder, findings, front)
        _stop_file(folder, findings, front)
        _silence(folder, findings, front)
        _hard_limits(folder, findings, front)


def _all_refused(host: HostTerminal, findings: Findings, name: str, executor: Executor, code: str) -> None:
    before = len(host.effects())
    codes = {
        cmd: executor.ask(cmd, args, f"{name.replace(' ', '_').replace(',', '')}-{cmd}")["code"]
        for cmd, args in TRADES_TRIED
    }
    done = len(host.effects()) - before
    findings.check(
        EA, f"{host.front}, {name}", set(codes.values()) == {code} and done == 0, f"{codes}, {done} effects"
    )


def _button(folder: Path, findings: Findings, front: str) -> None:
    with _terminal(folder, front, "button") as host:
        with Link(host) as link:
            first = Executor(link).connect()
            first.open("before")
        host.control("click Medulla.STOP")
        with Link(host) as link:
            executor = Executor(link, instance=first.instance).connect()
            _all_refused(host, findings, "chart button", executor, "STOPPED")
        host.kill()
        host.start()
        with Link(host) as link:
            executor = Executor(link).connect()
            _all_refused(host, findings, "chart button, after a kill of the terminal", executor, "STOPPED")


def _stop_file(folder: Path, findings: Findings, front: str) -> None:
    with _terminal(folder, front, "file") as host, Link(host) as link:
        executor = Executor(link).connect()
        executor.open("before")
        (host.files / "Medulla/STOP").write_text("")
        link.event(lambda one: one["ev"] == "stopped")
        _all_refused(host, findings, "stop file", executor, "STOPPED")
        executor.epoch = 5
        code = executor.ask("resume")["code"]
        findings.check(EA, f"{front}, stop file: no resume while it is there", code == "STOPPED", code)


def _silence(folder: Path, findings: Findings, front: str) -> None:
    """The executor dies in the middle: its session takes no new trade once it has been silent, whoever speaks in its name."""
    with _terminal(folder, front, "silence") as host, Link(host) as link:
        executor = Executor(link).connect()
        executor.open("before")
        host.control("advance 10500")
        _all_refused(host, findings, "silent executor", executor, "EXECUTOR_SILENT")


HARD_LIMITS: tuple[tuple[str, dict[str, object], tuple[tuple[Message, bool], ...]], ...] = (
    ("volume per order 1.00", {"InpMaxVolumePerOrder": 1.0},
     (({"volume": "0.99"}, True), ({"volume": "1.00"}, True), ({"volume": "1.01"}, False))),
    ("volume per symbol 0.50", {"InpMaxVolumePerSymbol": 0.5},
     (({"volume": "0.49"}, True), ({"volume": "0.01"}, True), ({"volume": "0.01"}, False))),
    ("volume in all 0.50", {"InpMaxVolumeTotal": 0.5},
     (({"volume": "0.49"}, True), ({"volume": "0.01", "symbol": "GBPUSD"}, True), ({"volume": "0.01"}, False))),
    ("positions 2", {"InpMaxPositions": 2}, (({}, True), ({}, True), ({}, False))),
    ("orders a minute 3", {"InpMaxOrdersPerMinute": 3}, (({}, True), ({}, True), ({}, True), ({}, False))),
    ("symbols EURUSD", {"InpAllowedSymbols": "EURUSD"}, (({}, True), ({"symbol": "GBPUSD"}, False))),
    ("stop loss required", {"InpRequireStopLoss": True}, (({"sl": "1.00000"}, True), ({}, False))),
)  # fmt: skip


def _hard_limits(folder: Path, findings: Findings, front: str) -> None:
    for name, inputs, steps in HARD_LIMITS:
        with _terminal(folder, front, name, **inputs) as host, Link(host) as link:
            executor = Executor(link).connect()
            for number, (changes, allowed) in enumerate(steps):
                before = len(host.effects())
                reply = executor.open(f"c{number}", **changes)
                traded = len(host.effects()) > before
                right = traded is allowed and reply["code"] == (None if allowed else "LIMIT")
                findings.check(
                    EA, f"{front}, {name}, step {number}", right, f"{reply['code']}, traded: {traded}"
                )


def killed_executor(folder: Path, forge: Forge, findings: Findings, fronts: Sequence[str] = FRONTS) -> None:
    """Our executor is killed in the flood; the button on the chart is pressed; a new start of ours finds a stopped terminal."""
    for front in fronts:
        world = EaStopWorld(folder / f"EA killed {front}", forge, front)
        try:
            world.start_all()
            sessions = world.brain.ask("sessions")["sessions"]
            world.brain.ask("load", prefix="k", rate=RATE, seed=1)
            until(lambda world=world: len(world.host.effects()) > 5, "trades")  # type: ignore[misc]
            world.executor.kill()
            world.brain.ask("stop_flood")
            world.host.control("click Medulla.STOP")
            counted = len(world.host.effects())
            world.start_executor(ready=False)
            world.brain.ask("connected", sessions=sessions)
            until(lambda world=world: world.state() == "HALTED", "halted by the terminal's stop")  # type: ignore[misc]
            world.brain.ask("again", count=50)
            later = [e for e in world.host.effects()[counted:] if not str(e["cid"]).startswith("stop:")]
            findings.check(
                EA, f"{front}, executor killed, then the chart's button", not later, f"traded: {later[:3]}"
            )
        finally:
            world.close()
