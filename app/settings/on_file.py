"""Settings without an engine: the same judgement and the same answers as over the local API, on the file alone.

What changed here is journalled by the next start, which compares its limits with the last run's.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.api.settings_schemas import (
    AppliedModel,
    JudgedModel,
    SettingsModel,
)
from app.domain.errors import ConfigurationError
from app.settings import answers, changes
from app.settings.describe import Plain, describe
from app.settings.model import Settings

_IN_KEYRING = "keyring, if it was stored there"


class ChangeRefused(Exception):
    """Nothing was written. `code` as over the local API; the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FileSettings:
    """The settings as the files say them. `settings`: anything that was loaded from the same sources."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def describe(self) -> SettingsModel:
        """Raises ChangeRefused when the file cannot be read."""
        try:
            now = changes.reloaded(self._settings)
        except ConfigurationError as fault:
            raise ChangeRefused("CONFIGURATION_WRONG", str(fault)) from None
        return SettingsModel(
            settings=tuple(
                answers.setting(
                    info,
                    now,
                    origin=_IN_KEYRING if info.secret and info.origin == "default" else info.origin,
                    pending=False,
                )
                for info in describe(now)
            ),
            file=str(now.config_path),
            warnings=now.warnings,
        )

    def check(self, asked: Mapping[str, Plain | None]) -> JudgedModel:
        judged = changes.judge(self._settings, asked)
        return JudgedModel(changes=answers.changes_of(judged), errors=answers.faults_of(judged))

    def apply(
        self, asked: Mapping[str, Plain | None], *, reason: str = "", confirm: bool = False
    ) -> AppliedModel:
        """Raises ChangeRefused: INVALID_SETTINGS, REASON_REQUIRED, CONFIRM_REQUIRED, NOT_WRITTEN."""
        judged = changes.judge(self._settings, asked)
        if judged.settings is None:
            first = judged.faults[0]
            raise ChangeRefused("INVALID_SETTINGS", f"{first.key}: {first.rule}".removeprefix(": "))
        if judged.loosens and not reason.strip():
            raise ChangeRefused("REASON_REQUIRED", "this lets more through than before: say why")
        if judged.loosens and not confirm:
            raise ChangeRefused("CONFIRM_REQUIRED", "this lets more through than before: confirm it")
        try:
            backup = changes.write(judged)
        except ConfigurationError as fault:
            raise ChangeRefused("NOT_WRITTEN", f"{fault}; nothing was changed") from None
        return AppliedModel(
            changes=answers.changes_of(judged),
            file=str(judged.path),
            backup=None if backup is None else str(backup),
            restart=(),
        )
