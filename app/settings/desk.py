"""The settings of a running engine behind the local API: described, judged, written, put in force, journalled, in that order.

Files and keyring are touched in threads: the engine's loop carries trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from app.adapters.keyring_secrets import KeyringSecrets, KeyringUnusable, api_key_name
from app.api.settings_routes import SettingsRefused
from app.api.settings_schemas import (
    AppliedModel,
    JudgedModel,
    SecretAsk,
    SettingsApplyAsk,
    SettingsCheckAsk,
    SettingsModel,
)
from app.domain.errors import ConfigurationError, JournalFailed
from app.domain.events import SettingChanged
from app.engine.control import EngineControl, Refused
from app.engine.ports import Clock
from app.settings import answers, changes
from app.settings.changes import Judgement
from app.settings.describe import describe
from app.settings.model import Settings

_KEYRING_TIMEOUT = 5.0
_API_KEY = "brain.api_key"


class EngineSettings:
    """Implements the API's SettingsDesk for one running engine. `running`: what the engine was started with."""

    def __init__(self, running: Settings, control: EngineControl, clock: Clock) -> None:
        self._running = running
        self._control = control
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def describe(self) -> SettingsModel:
        now = await asyncio.to_thread(changes.reloaded, self._running)
        secret = await self._secret_origin(now)
        pending = {change.key for change in self._different(now)}
        return SettingsModel(
            settings=tuple(
                answers.setting(
                    info,
                    now,
                    origin=secret if info.key == _API_KEY and info.origin == "default" else info.origin,
                    pending=info.key in pending,
                )
                for info in describe(now)
            ),
            file=str(now.config_path),
            warnings=now.warnings,
        )

    def _different(self, now: Settings) -> tuple[changes.SettingChange, ...]:
        return changes.differences(self._running, now, self._control.limits_in_force)

    async def _secret_origin(self, now: Settings) -> str:
        """Where the API key is: asked, never read out."""

        def look() -> str:
            try:
                kept = KeyringSecrets().get(api_key_name(now.brain.executor_id))
            except KeyringUnusable as fault:
                return str(fault)
            return "keyring" if kept else "not set"

        if _API_KEY in now.origins:
            return ""
        try:
            async with asyncio.timeout(_KEYRING_TIMEOUT):
                return await asyncio.to_thread(look)
        except TimeoutError:
            return "the keyring does not answer; it may wait to be unlocked"

    async def _judged(self, asked: Mapping[str, Any]) -> Judgement:
        return await asyncio.to_thread(changes.judge, self._running, asked, self._control.limits_in_force)

    async def check(self, ask: SettingsCheckAsk) -> JudgedModel:
        judged = await self._judged(ask.changes)
        return JudgedModel(changes=answers.changes_of(judged), errors=answers.faults_of(judged))

    async def apply(self, ask: SettingsApplyAsk) -> AppliedModel:
        async with self._one_at_a_time:
            judged = await self._judged(ask.changes)
            after = judged.settings
            if after is None:
                raise SettingsRefused(answers.faults_of(judged))
            _refuse_unexplained(judged, ask)
            try:
                backup = await asyncio.to_thread(changes.write, judged)
            except ConfigurationError as fault:
                raise Refused("NOT_WRITTEN", f"{fault}; nothing was changed") from None
            try:
                await self._in_force(judged, after, ask)
            except (Refused, JournalFailed):
                # What could not be journalled must not come into force by the next start either.
                await asyncio.to_thread(changes.take_back, judged)
                raise
        return AppliedModel(
            changes=answers.changes_of(judged),
            file=str(judged.path),
            backup=None if backup is None else str(backup),
            restart=tuple(change.key for change in judged.changes if change.effect == "restart"),
        )

    async def _in_force(self, judged: Judgement, after: Settings, ask: SettingsApplyAsk) -> None:
        at = self._clock.now()
        others = [
            SettingChanged(at, change.key, change.old, change.new, change.loosens, ask.by, ask.reason.strip())
            for change in judged.changes
            if not change.key.startswith("safety.")
        ]
        if others:
            await self._control.journal.append(*others)
        if after.safety != self._control.limits_in_force:
            await self._control.change_limits(after.safety, by=ask.by, reason=ask.reason)

    async def set_secret(self, ask: SecretAsk) -> None:
        """Kept for the executor's name that the files say now; the engine takes it at its next start."""
        try:
            now = await asyncio.to_thread(changes.reloaded, self._running)
            name = api_key_name(now.brain.executor_id)
            await asyncio.to_thread(lambda: KeyringSecrets().store(name, ask.value))
        except KeyringUnusable as fault:
            raise Refused("KEYRING_UNUSABLE", f"The key was not stored. {fault}") from None
        event = SettingChanged(
            self._clock.now(), ask.key, "***", "***", False, ask.by, "stored in the keyring"
        )
        await self._control.journal.append(event)


def _refuse_unexplained(judged: Judgement, ask: SettingsApplyAsk) -> None:
    looser = ", ".join(f"{change.key} {change.old} → {change.new}" for change in judged.loosens)
    if not looser:
        return
    if not ask.reason.strip():
        raise Refused(
            "REASON_REQUIRED",
            f"{looser}: lets more through than before: say why (reason); nothing was changed",
        )
    if not ask.confirm:
        raise Refused(
            "CONFIRM_REQUIRED",
            f"{looser}: lets more through than before: confirm it (confirm: true); nothing was changed",
        )
