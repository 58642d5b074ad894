"""What may be asked of a running engine from this machine: the interface behind the local API and the command line.

The implementation is operator_side.py; the API's tests use a small fake of this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from app.domain.commands import Action
from app.domain.limit_changes import LimitChange
from app.domain.limits import SafetyLimits
from app.domain.results import CommandResult
from app.domain.values import CommandId
from app.engine.ports import Journal
from app.engine.snapshots import EngineSnapshot, StopReceipt, TargetView


class Refused(Exception):
    """The engine will not do that now. `code` is for programs, the message for a person: what, why, what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class EngineControl(Protocol):
    """Everything the operator can do. All times are the engine's; all methods run on its loop."""

    @property
    def journal(self) -> Journal: ...

    def snapshot(self) -> EngineSnapshot: ...

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yields the names of the EngineSnapshot fields that changed since the last one, at most every 50 ms; conflated."""

    async def stop(self, *, reason: str, by: str, close_positions: bool | None = None) -> StopReceipt:
        """Emergency stop. Returns once latched (does not wait for the terminal)."""

    def stop_receipt(self) -> StopReceipt | None:
        """The last stop's proofs as they stand now; None: never stopped in this run and not latched."""

    async def pause(self, *, reason: str, by: str) -> None: ...

    async def reset_challenge(self) -> Mapping[str, Any]:
        """First step of a reset: {'word': word to type back, 'unknown': ids still open, 'expires_in': seconds}.

        Raises Refused('NOT_HALTED').
        """

    async def reset(self, *, word: str, by: str, note: str) -> None:
        """Second step. Raises Refused: NOT_HALTED, WRONG_WORD, UNKNOWN_OUTCOMES (each must be acknowledged first), NOT_READY."""

    async def resume(self, *, by: str) -> None:
        """REDUCING → ACTIVE. Raises Refused: HALTED (reset first), NOT_READY."""

    async def acknowledge_unknown(self, command_id: CommandId, *, by: str, note: str) -> None:
        """A person takes over a command whose outcome nobody knows. Raises Refused('NOT_UNKNOWN')."""

    async def reenable_limit(self, limit: str, *, by: str, note: str) -> None:
        """Re-enable a latched limit. Raises Refused('NOT_LATCHED')."""

    @property
    def limits_in_force(self) -> SafetyLimits:
        """What the gate judges by now."""

    async def change_limits(
        self, limits: SafetyLimits, *, by: str, reason: str = ""
    ) -> tuple[LimitChange, ...]:
        """Put new limits in force: journalled one by one, then judged by at once; returns what changed. Does not touch files.

        Raises Refused('REASON_REQUIRED') naming what would be loosened if `reason` is blank; then nothing has changed.
        """

    async def operate(self, action: Action, *, by: str) -> CommandResult:
        """Carry out an operator's own trade command (close, cancel, modify, close all) through the same gate and journal."""

    async def acknowledge_alert(self, alert_id: str, *, by: str, note: str) -> int:
        """Somebody has seen an alert, or `all` of them: journalled, and it does not come again. How many were open.

        Raises Refused('UNKNOWN_ALERT').
        """

    async def test_alerts(self, *, by: str) -> tuple[TargetView, ...]:
        """Send a message to every alert target and wait for their answers, 8 s at most. Raises Refused('NO_TARGETS')."""

    def retry_brain(self) -> None: ...

    def metrics(self) -> bytes:
        """Prometheus text format."""
