"""Changes of the limits in a running engine: compared, journalled, in force at once; and at a start, what changed in between.

What a change means is decided in domain/limit_changes.py, who may ask for one in the API. Nothing here reads or writes settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.domain.events import Event, LimitChanged, LimitsInForce, LimitText
from app.domain.limit_changes import LimitChange, compare, compare_with_texts, limit_texts, loosened
from app.domain.limits import SafetyLimits
from app.engine.control import Refused
from app.engine.core import EngineCore

CONFIGURATION_FILE = "configuration file"
"""Who changed what differs at a start: nobody at a running engine."""
_MOST_REASON = 500


class LimitDesk:
    """Runs on the engine's loop."""

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        self._one_at_a_time = asyncio.Lock()

    async def recall(self) -> None:
        """At the start: what differs from the last run is journalled; what became looser is said once, by name."""
        core = self._core
        known = await core.journal.limits_in_force()
        changes = compare_with_texts(known, core.gate.limits) if known is not None else ()
        reason = "differs from the last run"
        await core.journal.append(*self._events(changes, core.gate.limits, CONFIGURATION_FILE, reason))
        looser = loosened(changes)
        if looser:
            core.alarm(
                "warning",
                "LIMITS_LOOSENED",
                f"limits are looser than in the last run: {_listed(looser)} (changed in the configuration, not in Medulla). "
                "More can be lost before trading stops. If nobody meant this, press Emergency stop and put the old values back",
            )

    async def change(self, limits: SafetyLimits, *, by: str, reason: str) -> tuple[LimitChange, ...]:
        """On disk first, then in force. Raises Refused('REASON_REQUIRED') for a loosening without a reason, JournalFailed."""
        core = self._core
        async with self._one_at_a_time:
            changes = compare(core.gate.limits, limits)
            looser = loosened(changes)
            if looser and not reason.strip():
                raise Refused(
                    "REASON_REQUIRED",
                    f"{_listed(looser)} lets more through than before: say why (reason); nothing was changed",
                )
            if not changes:
                return ()
            await core.journal.append(*self._events(changes, limits, by, reason.strip()[:_MOST_REASON]))
            core.adopt_limits(limits)
        core.log("limits_changed", by=by, reason=reason, changes=[str(change) for change in changes])
        core.alarm(
            "warning" if looser else "info", "LIMITS_CHANGED", f"{by} changed {_listed(changes)}: {reason}"
        )
        return changes

    def _events(
        self, changes: Sequence[LimitChange], limits: SafetyLimits, by: str, reason: str
    ) -> list[Event]:
        now = self._core.clock.now()
        changed = [
            LimitChanged(now, change.name, change.old, change.new, change.loosens, by, reason)
            for change in changes
        ]
        texts = tuple(LimitText(name, value) for name, value in limit_texts(limits).items())
        return [*changed, LimitsInForce(now, texts)]


def _listed(changes: Sequence[LimitChange]) -> str:
    return ", ".join(str(change) for change in changes)
