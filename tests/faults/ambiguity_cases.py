"""What nobody can know at first, case by case, between a real executor and the simulated terminal.

Each case says what the brain must be told and how many effects the broker's book must show. Windows are the engine's own or
shortened together (`Windows`); how a case is run and counted stands in ambiguity_campaign.py.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from app.cli.demo_audit import duplicates
from tests.end_to_end.scripted_brain import KEY_ID, Message, ScriptedBrain

from .kill_world import FaultWorld, Forked, Nursery

CODES = (0, 10008, 10011, 10012, 10028, 10031)
"""Ambiguous for a market order (app/domain/retcodes.py)."""
PLACES = (
    ("EURUSD", 0.05),
    ("GBPUSD", 0.05),
    ("USDJPY", 0.05),
    ("XAUUSD", 0.05),
    ("US500", 0.5),
    ("BTCUSD", 0.05),
)
"""A symbol for each case that runs beside others, with a volume that it takes."""
ANSWER_TIMEOUT = 1.0
REAL_ABSENCE = 180.0
SETTLED, LEFT = ["UNKNOWN", "EXECUTED"], ["UNKNOWN", "OPERATOR"]


@dataclass(frozen=True)
class Windows:
    """`absence`: seconds after which nothing found is final; late fills keep their share of it."""

    absence: float = REAL_ABSENCE

    def late(self, seconds: float) -> float:
        return seconds * self.absence / REAL_ABSENCE

    @property
    def patience(self) -> float:
        """For the end of a case: questions come every 5 s at last."""
        return self.absence + 40.0


@dataclass
class Report:
    """What the cases of one world came to."""

    tried: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Stand:
    """A world with one executor, and the words in which the cases are written."""

    def __init__(
        self,
        folder: Path,
        windows: Windows,
        *,
        nursery: Nursery | None = None,
        weakened: str | None = None,
        terminal: tuple[str, ...] = (),
        world: FaultWorld | None = None,
    ) -> None:
        """`world`: one that is not begun, in place of the simulated terminal's."""
        self.windows = windows
        self.weakened = weakened
        self.report = Report()
        self.world = world or FaultWorld(folder, nursery=nursery)
        self.brain = self.world.brain
        try:
            self.world.begin(terminal=terminal, terminal_settings={"answer_timeout": ANSWER_TIMEOUT})
            self.start()
        except AssertionError:
            self.world.close()
            raise

    def start(self) -> Forked:
        """An executor, up to its STATE."""
        with self.brain.reconnection():
            return self.world.fork(absence=self.windows.absence, weakened=self.weakened, quick=True)

    def close(self) -> None:
        for child in self.world.forked:
            child.thaw()
        self.world.close()

    # ------------------------------------------------------------ acting

    def fault(self, spec: str) -> None:
        self.world.hand("add_fault", spec=spec)

    def calm(self) -> None:
        self.world.hand("clear_faults")

    def buy(self, command_id: str, symbol: str = "EURUSD", volume: float = 0.05, **more: Any) -> str:
        action = {"action": "OPEN_POSITION", "symbol": symbol, "type": "BUY", "volume": volume, **more}
        return self.brain.order(action, command_id)

    def ticket_of(self, command_id: str, **more: Any) -> int:
        """The position that this command opens, all well."""
        end = self.brain.end_of(self.buy(command_id, **more))
        ticket: int = end["result"]["ticket"]
        return ticket

    def wait(self, seconds: float) -> None:
        """A time that has to go by at the broker; nothing announces its end."""
        threading.Event().wait(seconds)

    # ------------------------------------------------------------ judging

    def outcomes(self, command_id: str) -> list[str]:
        """What the brain was told, without repetitions."""
        told: list[str] = []
        for result in self.brain.results[command_id]:
            if result["result"]["outcome"] not in told:
                told.append(result["result"]["outcome"])
        return told

    def wait_for_answer(self, command_id: str) -> None:
        """Until the brain has heard anything of its outcome."""
        self.brain.wait(lambda: bool(self.brain.results[command_id]), f"a first answer to {command_id}")

    def expect(self, case: str, command_id: str, outcomes: list[str] | None, effects: int) -> Message:
        """Wait for the end, then compare what was told and what was done. `outcomes` None: any end, UNKNOWN or not before it."""
        self.report.tried.append(case)
        end = self.brain.end_of(command_id, timeout=self.windows.patience)
        told, done = self.outcomes(command_id), len(self.world.ledger(command_id))
        if outcomes is not None and told != outcomes:
            self.report.wrong.append(f"{case}: told {told}, expected {outcomes}: {end}")
        if done != effects:
            self.report.wrong.append(f"{case}: {done} effects, expected {effects}")
        self.look_for_duplicates(case)
        return end

    def look_for_duplicates(self, case: str) -> None:
        """Effects beyond what commands may have, and effects of commands that nobody asked."""
        ledger = self.world.ledger()
        unasked = {line["cid"] for line in ledger if line["cid"] is not None} - set(self.brain.frames)
        if duplicates(ledger) or unasked:
            self.report.wrong.append(f"{case}: {duplicates(ledger)} duplicates, unasked {sorted(unasked)}")

    def check(self, case: str, holds: bool, what: str) -> None:
        if not holds:
            self.report.wrong.append(f"{case}: {what}")


Case = Callable[[Stand], None]


# ------------------------------------------------------------------ the answer is lost or says nothing


def reply_lost(stand: Stand) -> None:
    """The broker has done it, the answer never comes."""
    stand.fault("reply_lost:times=1,cmd=open")
    stand.buy("reply-lost")
    stand.expect("reply lost after the fill", "reply-lost", SETTLED, 1)
    stand.brain.send_again(["reply-lost"])
    stand.brain.acked("reply-lost", nth=2)
    stand.expect("reply lost, then asked again", "reply-lost", SETTLED, 1)


def codes_executed(stand: Stand) -> None:
    """Each ambiguous code, although it was done."""
    _codes(stand, executed=True)


def codes_not_executed(stand: Stand) -> None:
    """Each ambiguous code, and nothing was done: in the end a person is asked."""
    _codes(stand, executed=False)


def _codes(stand: Stand, *, executed: bool) -> None:
    word = str(executed).lower()
    for code, (symbol, volume) in zip(CODES, PLACES, strict=True):
        stand.fault(f"retcode:code={code},executed={word},times=1,cmd=open,symbol={symbol}")
        stand.buy(f"code-{code}-{word}", symbol, volume)
    for code in CODES:
        name = f"{code} on an open, {'executed' if executed else 'not executed'}"
        stand.expect(name, f"code-{code}-{word}", SETTLED if executed else LEFT, int(executed))


def codes_on_exits(stand: Stand) -> None:
    """10012 on a close: done or not, and what comes again finds what is there."""
    for number, executed in enumerate((True, False)):
        word = str(executed).lower()
        symbol, volume = PLACES[number]
        ticket = stand.ticket_of(f"exit-open-{word}", symbol=symbol, volume=volume)
        stand.fault(f"retcode:code=10012,executed={word},times=1,cmd=close")
        close = {"action": "CLOSE_POSITION", "ticket": ticket}
        stand.brain.order(close, f"exit-close-{word}")
        name = f"10012 on a close, {'executed' if executed else 'not executed'}"
        stand.expect(name, f"exit-close-{word}", SETTLED if executed else LEFT, int(executed))
        end = stand.brain.do(close, f"exit-again-{word}")
        stand.check(
            name,
            end["result"]["success"] is not executed,
            f"closing again by a new command: {end['result']['outcome']} {end['result']['code']}",
        )


def late_fills(stand: Stand) -> None:
    """The broker fills after it said time-out: 8, 90 and 170 s, and once beyond all patience."""
    delays = (8.0, 90.0, 170.0)
    for delay, (symbol, volume) in zip(delays, PLACES, strict=False):
        stand.fault(f"late_fill:delay={stand.windows.late(delay):.3f},times=1,cmd=open,symbol={symbol}")
        stand.buy(f"late-{delay:.0f}", symbol, volume)
    for delay in delays:
        stand.expect(f"late fill after {delay:.0f} s", f"late-{delay:.0f}", SETTLED, 1)


def a_fill_beyond_patience(stand: Stand) -> None:
    """It is said that nobody knows; when it comes after all, it is there once and nothing was sent again."""
    symbol, volume = PLACES[4]
    delay = stand.windows.absence + 12.0
    stand.fault(f"late_fill:delay={delay:.3f},times=1,cmd=open,symbol={symbol}")
    stand.buy("too-late", symbol, volume)
    end = stand.brain.end_of("too-late", timeout=stand.windows.patience)
    stand.check("fill beyond patience", end["result"]["outcome"] == "OPERATOR", f"told {end['result']}")
    _until(lambda: bool(stand.world.ledger("too-late")), delay + 30)
    stand.expect("fill beyond patience", "too-late", LEFT, 1)


def partial_then_lost(stand: Stand) -> None:
    """Half is filled, and the answer is lost, or says nothing."""
    stand.fault("partial:fraction=0.5,times=2,cmd=open")
    stand.fault("reply_lost:times=1,cmd=open")
    stand.buy("partial-lost", volume=0.10)
    end = stand.expect("partial fill, reply lost", "partial-lost", ["UNKNOWN", "PARTIAL"], 1)
    stand.check(
        "partial fill, reply lost", str(end["result"]["volume"]) in ("0.05", "0.050"), str(end["result"])
    )
    stand.fault("retcode:code=10012,executed=true,times=1,cmd=open")
    stand.buy("partial-silent", "GBPUSD", 0.10)
    end = stand.expect("partial fill, 10012", "partial-silent", ["UNKNOWN", "PARTIAL"], 1)
    stand.check("partial fill, 10012", str(end["result"]["volume"]) in ("0.05", "0.050"), str(end["result"]))


def comment_rewritten(stand: Stand) -> None:
    """The broker writes its own comment: with a magic number the trade is found all the same, without one a person is asked."""
    stand.fault("comment:text=by the broker,times=2,cmd=open")
    stand.fault("retcode:code=10012,executed=true,times=2,cmd=open")
    stand.buy("comment-magic", "EURUSD", 0.07, magicNumber=77)
    stand.buy("comment-plain", "GBPUSD", 0.07)
    stand.expect("comment rewritten, with magic", "comment-magic", SETTLED, 1)
    stand.expect("comment rewritten, without magic", "comment-plain", LEFT, 1)


# ------------------------------------------------------------------ the terminal dies in between


def terminal_restarts(stand: Stand) -> None:
    """It restarts at each step around OrderSend and its record, as a program that is started again and as one that is killed."""
    for kind in ("restart", "crash"):
        for point, done in (("after_intent", False), ("after_effect", True), ("after_result", True)):
            name = f"{kind}-{point}"
            symbol, volume = PLACES[0] if kind == "restart" else PLACES[1]
            if not done:  # it keeps its symbol in doubt until a person is asked
                symbol, volume = PLACES[2] if kind == "restart" else PLACES[3]
            stand.fault(f"{kind}:at={point},times=1,cmd=open")
            terminal = stand.world.terminal
            stand.buy(name, symbol, volume)
            if kind == "crash":
                forked: Any = terminal
                forked.wait()
                stand.world.start_terminal()
            if done:
                stand.expect(f"terminal: {kind} {point}", name, SETTLED, 1)
    for kind in ("restart", "crash"):
        stand.expect(f"terminal: {kind} after_intent", f"{kind}-after_intent", LEFT, 0)


# ------------------------------------------------------------------ netting


def netting_close(stand: Stand) -> None:
    """A close whose answer is lost, repeated by id and by a new command: the position is gone and never turns around."""
    name = "close on a netting account, repeated"
    ticket = stand.ticket_of("net-open", volume=0.10)
    stand.fault("reply_lost:times=1,cmd=close")
    close = {"action": "CLOSE_POSITION", "ticket": ticket}
    stand.brain.order(close, "net-close")
    stand.brain.send_again(["net-close"])
    stand.expect(name, "net-close", SETTLED, 1)
    stand.brain.send_again(["net-close"])
    for number in range(3):
        end = stand.brain.do(close, f"net-again-{number}")
        stand.check(name, not end["result"]["success"], f"closed again: {end['result']}")
    everything = stand.brain.do({"action": "CLOSE_ALL", "symbol": "EURUSD"}, "net-all")
    stand.check(
        name, not stand.world.ledger("net-all"), f"a close-all found something: {everything['result']}"
    )
    stand.check(
        name, stand.world.hand("state")["positions"] == [], "a position is open: the close was done twice"
    )


# ------------------------------------------------------------------ two executors


def second_executor(stand: Stand) -> None:
    """Another executor with a journal of its own on the same terminal: nothing of it is done while the first is there."""
    name = "two executors on one terminal"
    stand.report.tried.append(name)
    with _second(stand) as (brain, config):
        session = brain.sessions
        child = stand.world.fork(config=config, weakened=stand.weakened, quick=True)
        brain.heard("STATE", lambda heard: heard.session > session, timeout=60)
        for number in range(3):
            end = brain.do(
                {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.01},
                f"second-{number}",
            )
            stand.check(name, end["type"] == "COMMAND_ACK", f"the second was obeyed: {end}")
            stand.buy(f"first-{number}")
            stand.expect(name, f"first-{number}", ["EXECUTED"], 1)
        effects = [line for line in stand.world.ledger() if str(line["cid"]).startswith("second-")]
        stand.check(name, not effects, f"{len(effects)} effects of the second executor")
        child.end()


def executor_takes_over(stand: Stand) -> None:
    """The first dies, the second takes its place after the terminal's patience; the first comes back and is kept out."""
    name = "a second executor takes over, the first comes back"
    stand.report.tried.append(name)
    with _second(stand) as (brain, config):
        first = stand.world.forked[-1]
        child = stand.world.fork(config=config, quick=True)
        brain.heard("STATE", timeout=60)
        first.kill()
        buy = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.01}
        number = 0
        for number in range(400):
            end = brain.do(buy, f"taken-{number}")
            if end["type"] == "EXECUTION_RESULT":
                break
            threading.Event().wait(0.1)
        stand.check(name, end["type"] == "EXECUTION_RESULT", f"the second never came in: {end}")
        stand.start()
        end = stand.brain.end_of(stand.buy("back-1"))
        stand.check(name, end["type"] == "COMMAND_ACK", f"the first was obeyed beside the second: {end}")
        end = brain.do(buy, "taken-last")
        stand.check(name, end["type"] == "EXECUTION_RESULT", f"the second lost its place: {end}")
        child.end()


def two_on_one_journal(stand: Stand) -> None:
    """A second process with the same data folder ends at once and has sent nothing."""
    name = "two executors on one journal"
    stand.report.tried.append(name)
    child = stand.world.fork(weakened=stand.weakened, quick=True)
    ended = child.ended.wait(30)
    stand.check(
        name, ended and child.code == 1, f"the second process ended with {child.code}: {child.words(3)}"
    )
    stand.buy("one-journal")
    stand.expect(name, "one-journal", ["EXECUTED"], 1)


@contextmanager
def _second(stand: Stand) -> Iterator[tuple[ScriptedBrain, Path]]:
    """A brain and settings for another executor on the same terminal."""
    folder = stand.world.folder / "second"
    folder.mkdir(exist_ok=True)
    brain = ScriptedBrain(executor_id="exec_second")
    brain.open()
    settings = copy.deepcopy(yaml.safe_load(stand.world.config.read_text()))
    settings["data_folder"] = str(folder)
    settings["terminal"]["key_file"] = str(stand.world.folder / "terminal.key")
    settings["brain"] |= {
        "url": brain.url, "executor_id": brain.executor_id, "signing_keys": {KEY_ID: brain.public_key},
    }  # fmt: skip
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    try:
        yield brain, config
    finally:
        brain.close()


def _until(condition: Callable[[], bool], timeout: float) -> None:
    tick = threading.Event()
    for _ in range(int(timeout / 0.05)):
        if condition():
            return
        tick.wait(0.05)
    raise AssertionError(f"not within {timeout:.0f} s")


HEDGING: tuple[Case, ...] = (
    reply_lost, codes_executed, codes_on_exits, partial_then_lost, comment_rewritten, codes_not_executed, late_fills,
)  # fmt: skip
ALONE: tuple[Case, ...] = (terminal_restarts, second_executor, two_on_one_journal, executor_takes_over)
"""Each in a world of its own."""
NETTING: tuple[Case, ...] = (netting_close,)
