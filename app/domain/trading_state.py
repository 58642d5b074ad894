"""May we trade? The latch's states and the one table of how they change.

`REDUCING` (paused): entries are refused, exits and amendments pass. `HALTED` (emergency stop): nothing passes but cancels and
closes that the operator asks for. Nothing here decides *why*; only what follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from app.domain.errors import IllegalTransition


class TradingState(Enum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class StateAct(Enum):
    """What may happen to the trading state."""

    PAUSE = "pause"
    STOP = "stop"
    RESET = "reset"
    RESUME = "resume"


class Actor(Enum):
    """Who did it, as the brain is told (PROTOCOL §5.4)."""

    OPERATOR = "operator"
    BRAIN = "brain"
    LIMIT = "limit"
    SYSTEM = "system"


TRANSITIONS: dict[TradingState, dict[StateAct, TradingState]] = {
    TradingState.ACTIVE: {
        StateAct.PAUSE: TradingState.REDUCING,
        StateAct.STOP: TradingState.HALTED,
    },
    TradingState.REDUCING: {
        StateAct.PAUSE: TradingState.REDUCING,
        StateAct.STOP: TradingState.HALTED,
        StateAct.RESUME: TradingState.ACTIVE,
    },
    TradingState.HALTED: {
        # A second stop is heard and changes nothing: who stopped first stays on record.
        StateAct.STOP: TradingState.HALTED,
        # Releasing the latch never restarts by itself (ISO 13850: disengaging only permits restarting).
        StateAct.RESET: TradingState.REDUCING,
    },
}


@dataclass(frozen=True, slots=True)
class TradingStatus:
    """The state with its fencing number and its story.

    `epoch` rises by one at every reset; the terminal refuses frames of a lower one.
    """

    state: TradingState
    epoch: int
    reason: str
    by: Actor
    since: datetime

    def after(self, act: StateAct, *, reason: str, by: Actor, at: datetime) -> TradingStatus:
        """The status that follows. Raises IllegalTransition for an act that the table does not list."""
        try:
            state = TRANSITIONS[self.state][act]
        except KeyError:
            raise IllegalTransition(
                f"trading state {self.state.value}: {act.value} is not possible"
            ) from None
        if state is self.state:
            return self
        epoch = self.epoch + 1 if act is StateAct.RESET else self.epoch
        return TradingStatus(state, epoch, reason, by, at)
