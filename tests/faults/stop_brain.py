"""The scripted brain in a process of its own, so that its flood does not share an interpreter with whoever presses stop.

One JSON line in, one out: `python -m tests.faults.stop_brain`. It sends what it is told, keeps what it hears, and judges nothing.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.end_to_end.scripted_brain import Manners, Message, ScriptedBrain, outcome, stamp

SYMBOLS = ("EURUSD", "GBPUSD")
EXPIRY = 30_000
ANSWER_PATIENCE = 60.0
"""Seconds for acknowledgements: far more than they take, also on a machine that is busy with other things."""


class Flood:
    """Sends commands at a steady rate until told to rest."""

    def __init__(self, brain: ScriptedBrain, seed: int) -> None:
        self._brain = brain
        self._chance = random.Random(seed)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.ids: list[str] = []

    def begin(self, prefix: str, rate: float, burst: int) -> None:
        self.ids = []
        self._ending.clear()
        self._thread = threading.Thread(target=self._run, args=(prefix, rate, burst), name="flood")
        self._thread.start()

    @property
    def over(self) -> bool:
        return self._thread is None or not self._thread.is_alive()

    def storm(self, prefix: str, count: int, same: bool) -> None:
        self.ids = []
        self._thread = threading.Thread(target=self._storm, args=(prefix, count, same), name="storm")
        self._thread.start()

    def _storm(self, prefix: str, count: int, same: bool) -> None:
        for number in range(count):
            volume = 0.01 if same else (1 + number % 50) / 100
            action = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": volume}
            if not same:
                action["type"] = ("BUY", "SELL")[number % 2]
            name = f"{prefix}-{number}"
            self.ids.append(name)
            self._brain.order(action, name, expiry=60_000)

    def end(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(120)
            self._thread = None

    def _run(self, prefix: str, rate: float, burst: int) -> None:
        begun, sent = time.monotonic(), 0
        while not self._ending.is_set():
            due = burst + int((time.monotonic() - begun) * rate)
            while sent < due and not self._ending.is_set():
                name = f"{prefix}-{sent}"
                self.ids.append(name)
                sent += 1
                with suppress(ConnectionClosed):  # it waits in the brain then
                    self._brain.order(self._command(), name, expiry=EXPIRY)
            self._ending.wait(0.002)

    def _command(self) -> Message:
        symbol = self._chance.choice(SYMBOLS)
        if self._chance.random() < 0.03:
            return {
                "action": "PLACE_ORDER",
                "symbol": symbol,
                "type": "BUY_LIMIT",
                "volume": 0.01,
                "price": 0.9,
            }
        side = self._chance.choice(("BUY", "SELL"))
        return {"action": "OPEN_POSITION", "symbol": symbol, "type": side, "volume": 0.01}


class BrainProcess:
    """What may be asked of it."""

    def __init__(self) -> None:
        self.brain = ScriptedBrain(Manners())
        self.brain.open()
        self.flood = Flood(self.brain, seed=1)
        self.sessions = 0
        """How many there had been when the load began."""

    def do_where(self, **_: Any) -> Message:
        return {"port": self.brain.port, "public_key": self.brain.public_key, "api_key": self.brain.api_key}

    def do_connected(self, sessions: int, **_: Any) -> Message:
        """Wait for STATE in the session after so many."""
        self.brain.heard("STATE", lambda heard: heard.session > sessions)
        return {"sessions": self.brain.sessions}

    def do_sessions(self, **_: Any) -> Message:
        return {"sessions": self.brain.sessions}

    def do_load(self, prefix: str, rate: float, burst: int = 0, seed: int = 1, **_: Any) -> Message:
        self.flood = Flood(self.brain, seed)
        self.sessions = self.brain.sessions
        self.flood.begin(prefix, rate, burst)
        return {}

    def do_stop_flood(self, **_: Any) -> Message:
        """Send no more; how many have no answer, because the executor went away."""
        self.flood.end()
        return {"ids": sum(1 for name in self.flood.ids if not self.brain.acks[name])}

    def do_rest(
        self, patience: float = ANSWER_PATIENCE, answers: float = ANSWER_PATIENCE, **_: Any
    ) -> Message:
        """Send no more; wait `answers` seconds until all is acknowledged, then `patience` until what was accepted has an end.

        UNKNOWN counts as one: it is an answer.
        """
        self.flood.end()
        ids, brain = self.flood.ids, self.brain

        def silent() -> list[str]:
            return [name for name in ids if not brain.acks[name]]

        unanswered = self._until(silent, answers / 3)
        if unanswered and brain.sessions > self.sessions:
            # They went down with the connection; a brain asks again in the next session.
            brain.send_again(unanswered)
        unanswered = self._until(silent, answers)
        open_ones = self._until(
            lambda: [n for n in ids if brain.acks[n] and brain.final(n) is None and not brain.results[n]],
            patience,
        )
        ends = Counter(outcome(end) for name in ids if (end := brain.final(name)) is not None)
        return {
            "sent": len(ids), "unanswered": len(unanswered), "open": open_ones[:20], "open_count": len(open_ones),
            "ends": dict(ends),
        }  # fmt: skip

    def _until(self, left: Any, seconds: float) -> list[str]:
        """What is still left when it is nothing or time has run out."""
        deadline = time.monotonic() + seconds
        tick = threading.Event()
        while (names := left()) and time.monotonic() < deadline:
            tick.wait(0.02)
        return list(names)

    def do_storm(self, prefix: str, count: int, same: bool, **_: Any) -> Message:
        """As many commands as fit down the line, at once: all alike, or no two of the same side and volume in a row."""
        self.flood = Flood(self.brain, seed=1)
        self.flood.storm(prefix, count, same)
        return {}

    def do_progress(self, **_: Any) -> Message:
        """How far the storm is."""
        brain, ids = self.brain, self.flood.ids
        return {
            "sent": len(ids),
            "answered": sum(1 for name in ids if brain.acks[name]),
            "over": self.flood.over,
        }

    def do_emergency(self, signed: bool, reason: str, **_: Any) -> Message:
        message = {
            "type": "EMERGENCY_STOP", "timestamp": stamp(), "reason": reason, "executorId": self.brain.executor_id,
        }  # fmt: skip
        frame = self.brain.signed(message) if signed else json.dumps(message)
        pressed = time.monotonic()
        self.brain.say(frame)
        return {"pressed": pressed}

    def do_again(self, count: int, **_: Any) -> Message:
        """The same frames once more, the last of the flood first; all of them must be known or turned away."""
        ids = self.flood.ids[-count:]
        before = {name: len(self.brain.acks[name]) for name in ids}
        self.brain.send_again(ids)
        left = self._until(
            lambda: [name for name in ids if len(self.brain.acks[name]) <= before[name]], ANSWER_PATIENCE
        )
        statuses = Counter(
            f"{ack['status']} {ack['code'] or ''}".strip()
            for name in ids
            for ack in self.brain.acks[name][before[name] :]
        )
        return {"sent": len(ids), "unanswered": len(left), "answers": dict(statuses)}

    def do_order(self, action: Message, name: str, **_: Any) -> Message:
        """One command and how it ended."""
        return {"outcome": outcome(self.brain.do(action, name, expiry=EXPIRY))}

    def do_alert(self, code: str, patience: float = 10.0, **_: Any) -> Message:
        """Wait for an alert; `heard` is right after it came."""
        self.brain.heard("ALERT", lambda heard: heard["code"] == code, timeout=patience)
        return {"heard": time.monotonic()}

    def do_forget(self, **_: Any) -> Message:
        """Memory is for one cycle only."""
        brain = self.brain
        brain.messages.clear()
        for table in (brain.acks, brain.results, brain.frames):
            table.clear()
        return {}

    def do_end(self, **_: Any) -> Message:
        self.flood.end()
        self.brain.close()
        return {}


def serve() -> None:
    """Until stdin closes or `end` is asked for."""
    process = BrainProcess()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                answer = {"event": "done", **getattr(process, f"do_{asked.pop('do')}")(**asked)}
            except AssertionError as fault:
                answer = {"event": "done", "failed": str(fault)[:2000]}
            sys.stdout.write(json.dumps(answer, default=str) + "\n")
            sys.stdout.flush()
            if "end" in asked:
                return
    finally:
        process.flood.end()
        process.brain.close()


if __name__ == "__main__":
    serve()
