"""The latch: the trading state in memory, readable and engageable from any thread.

Engaging it is one assignment under a lock: nothing that can block, fail or wait stands before it.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

from app.domain.trading_state import Actor, StateAct, TradingState, TradingStatus
from app.engine.ports import LatchReading


class Latch:
    """Holds the current TradingStatus. Reading is lock-free."""

    def __init__(self, status: TradingStatus) -> None:
        self._lock = threading.RLock()
        self._status = status
        self._stops = 0
        # The first epoch has seen no stop, so nothing can be from before one.
        released = status.state is not TradingState.HALTED and status.epoch > 1
        self._released_at = status.since if released else None

    @property
    def status(self) -> TradingStatus:
        return self._status

    @property
    def state(self) -> TradingState:
        return self._status.state

    @property
    def stops(self) -> int:
        """How often it was engaged; lets a slow reset notice a stop that came meanwhile."""
        return self._stops

    @property
    def released_at(self) -> datetime | None:
        """When a person last let trading go on after a stop, wall clock; None: there was none to release."""
        return self._released_at

    def hold(self) -> AbstractContextManager[object]:
        """While held no stop can come in between: the processor looks at the state and hands a frame over under it.

        Never hold it over anything that can block; a stop waits for it.
        """
        return self._lock

    def engage(self, *, reason: str, by: Actor, at: datetime) -> TradingStatus:
        """Stop, from any thread. Always succeeds; who stopped first stays on record."""
        with self._lock:
            self._stops += 1
            self._status = self._status.after(StateAct.STOP, reason=reason, by=by, at=at)
            return self._status

    def planned(self, act: StateAct, *, reason: str, by: Actor, at: datetime) -> TradingStatus:
        """What `act` would lead to. Raises IllegalTransition."""
        return self._status.after(act, reason=reason, by=by, at=at)

    def adopt(self, status: TradingStatus, *, unless_stopped_since: int) -> bool:
        """Take over a planned status once it is durable. False: a stop came meanwhile, and the stop wins."""
        with self._lock:
            if self._stops != unless_stopped_since:
                return False
            if self._status.state is TradingState.HALTED and status.state is not TradingState.HALTED:
                self._released_at = status.since
            self._status = status
            return True

    def raise_epoch(self, epoch: int) -> None:
        """A terminal knows a later epoch than we do (our store is older): never fall behind it again."""
        with self._lock:
            if epoch > self._status.epoch:
                self._status = replace(self._status, epoch=epoch)


def starting_status(reading: LatchReading, journalled: TradingStatus | None, at: datetime) -> TradingStatus:
    """The status to start with: what store and journal agree on; HALTED whenever they do not.

    A store that is damaged or missing although there was one means that nobody knows whether trading was stopped.
    """
    if reading.status is None:
        if reading.first_use and journalled is None:
            return TradingStatus(TradingState.ACTIVE, 1, "first start", Actor.SYSTEM, at)
        if reading.first_use:
            why = "the latch store is missing although the journal knows an earlier run"
        else:
            why = reading.fault or "the latch store cannot be read"
        epoch = journalled.epoch if journalled is not None else 1
        return TradingStatus(TradingState.HALTED, epoch, f"started stopped: {why}", Actor.SYSTEM, at)
    status = reading.status
    if status.state is TradingState.HALTED:
        known = journalled.epoch if journalled is not None else 0
        # An older store must not lend a number that was used already to the next epoch.
        return status if known <= status.epoch else replace(status, epoch=known)
    if journalled is None or (journalled.state, journalled.epoch) != (status.state, status.epoch):
        told = "nothing" if journalled is None else f"{journalled.state.value} in epoch {journalled.epoch}"
        why = f"the latch store says {status.state.value} in epoch {status.epoch}, the journal says {told}"
        epoch = max(status.epoch, journalled.epoch if journalled is not None else 1)
        return TradingStatus(TradingState.HALTED, epoch, f"started stopped: {why}", Actor.SYSTEM, at)
    return status
