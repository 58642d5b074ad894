"""The story of one stop: each step with its time, what was refused and why, and what a person must do by hand for the rest.

Told to from any thread; never waits. What is done about a stop is stop.py's and stop_work.py's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from app.domain.events import StopStepTaken
from app.domain.trading_state import TradingState, TradingStatus
from app.engine.ports import Clock
from app.engine.snapshots import StopReceipt, StopStep

PROOF_PATIENCE = 2.0
"""Seconds after a press; what is not proved by then is told to a person as work by hand."""
_MOST_STEPS = 400
LATCH, TERMINAL, DISK, ENGINE = "latch", "terminal", "disk", "engine"
QUEUE, ORDERS, POSITIONS = "queue", "orders", "positions"

CANCEL_BY_HAND = ("cancel Medulla's pending orders in the terminal or by your broker's phone",)


class StopStory:
    """`prove` is called again with every change; the last word on each thing is its proof, all words together are the steps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._steps: list[StopStep] = []
        self._proofs: dict[str, str] = {}
        self._by_hand: dict[str, tuple[str, ...]] = {}
        self._pressed: float | None = None
        self._unwritten: list[StopStep] = []

    def pressed(self, reason: str, by_hand: Mapping[str, Sequence[str]]) -> None:
        """A press; a second one while the first is under way gives nobody more time. `by_hand`: what it still has to prove."""
        with self._lock:
            if self._pressed is None:
                self._pressed = self._clock.monotonic()
            self._by_hand |= {what: tuple(items) for what, items in by_hand.items()}
            self._step(LATCH, f"latched: {reason}", ok=True)

    def reminded(self) -> None:
        """A terminal is told again of a stop from before this run."""
        with self._lock:
            if self._pressed is None:
                self._pressed = self._clock.monotonic()

    def prove(self, what: str, how: str, *, ok: bool = True, by_hand: Sequence[str] = ()) -> None:
        """How one thing stands. `by_hand`: what a person must do if it stays so."""
        with self._lock:
            if self._proofs.get(what) != how:
                self._proofs[what] = how
                self._step(what, how, ok)
            if by_hand:
                self._by_hand[what] = tuple(by_hand)
            else:
                self._by_hand.pop(what, None)

    def drop(self, what: str) -> None:
        """It is no longer so, and nothing is left to prove of it."""
        with self._lock:
            self._proofs.pop(what, None)
            self._by_hand.pop(what, None)

    def tell(self, what: str, how: str, *, ok: bool) -> None:
        """A step that is no proof by itself: one ticket's refusal. `what` holds a space, by which it is told from the proofs."""
        with self._lock:
            self._step(what, how, ok)

    def _step(self, what: str, how: str, ok: bool) -> None:
        step = StopStep(self._clock.now(), what, how, ok)
        self._steps.append(step)
        # The first ones are the stop itself; a long fight with a broker is told by its end.
        del self._steps[_MOST_STEPS // 2 : -_MOST_STEPS // 2 or None]
        self._unwritten.append(step)
        del self._unwritten[:-_MOST_STEPS]

    def expect(self, what: str, by_hand: Sequence[str]) -> None:
        """Not proved yet; if it stays so, this is to be done by hand."""
        with self._lock:
            self._by_hand[what] = tuple(by_hand)

    def forget(self) -> None:
        """A reset closed it."""
        with self._lock:
            self._steps.clear()
            self._proofs.clear()
            self._by_hand.clear()
            self._pressed = None

    @property
    def unproved(self) -> tuple[str, ...]:
        """What is still to be proved."""
        with self._lock:
            return tuple(self._by_hand)

    def unwritten(self) -> tuple[StopStep, ...]:
        """Steps for the journal, each handed out once."""
        with self._lock:
            steps, self._unwritten = tuple(self._unwritten), []
            return steps

    def restore(self, steps: Sequence[StopStepTaken]) -> None:
        """What an earlier run wrote of the stop that still holds. What was open then is open until it is proved now."""
        with self._lock:
            known = [StopStep(step.at, step.what, step.how, step.ok) for step in steps][-_MOST_STEPS:]
            proofs = {step.what: step.how for step in known if step.what != LATCH and " " not in step.what}
            self._steps = [*known, *self._steps]
            self._proofs = proofs | self._proofs
            if self._pressed is None:
                self._pressed = self._clock.monotonic()

    def receipt(self, status: TradingStatus) -> StopReceipt | None:
        """None while nothing is latched."""
        if status.state is not TradingState.HALTED:
            return None
        with self._lock:
            proofs, steps = tuple(self._proofs.values()), tuple(self._steps)
            overdue = self._pressed is not None and self._clock.monotonic() - self._pressed > PROOF_PATIENCE
            todo = [item for items in self._by_hand.values() for item in items] if overdue else []
        return StopReceipt(
            latched=True,
            epoch=status.epoch,
            reason=status.reason,
            by=status.by.value,
            at=status.since,
            proofs=("latched", *proofs),
            todo=tuple(dict.fromkeys(todo)),
            steps=steps,
        )
