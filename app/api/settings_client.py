"""The client's calls for settings and the engine's end; how a call travels is client.py's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from app.api.schemas import DoneModel
from app.api.settings_schemas import AppliedModel, JudgedModel, SettingsModel

Answer = TypeVar("Answer", bound=BaseModel)


class _Wire(Protocol):
    async def _get(
        self, path: str, model: type[Answer], query: Mapping[str, str | int] | None = None
    ) -> Answer: ...

    async def _post(self, path: str, ask: Mapping[str, Any], model: type[Answer]) -> Answer: ...


class SettingsCalls:
    """Part of ApiClient. Raises as ApiClient does."""

    async def settings(self: _Wire) -> SettingsModel:
        return await self._get("/settings", SettingsModel)

    async def check_settings(self: _Wire, changes: Mapping[str, Any]) -> JudgedModel:
        """What the changes would do, or what is wrong with them; nothing is done."""
        return await self._post("/settings/check", {"changes": dict(changes)}, JudgedModel)

    async def apply_settings(
        self: _Wire,
        changes: Mapping[str, Any],
        *,
        reason: str = "",
        confirm: bool = False,
        by: str = "operator",
    ) -> AppliedModel:
        """RequestRefused: INVALID_SETTINGS, REASON_REQUIRED, CONFIRM_REQUIRED, NOT_WRITTEN; then nothing was changed."""
        ask = {"changes": dict(changes), "reason": reason, "confirm": confirm, "by": by}
        return await self._post("/settings/apply", ask, AppliedModel)

    async def set_secret(self: _Wire, key: str, value: str, *, by: str = "operator") -> None:
        """Into the keyring of this machine. RequestRefused: KEYRING_UNUSABLE."""
        await self._post("/settings/secret", {"key": key, "value": value, "by": by}, DoneModel)

    async def end_engine(self: _Wire, *, reason: str, by: str = "operator") -> None:
        """The engine ends in good order; positions stay open with their stop losses."""
        await self._post("/engine/end", {"reason": reason, "by": by}, DoneModel)
