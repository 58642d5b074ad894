"""How the window reads and changes settings: through the engine that runs, or on the file while none does. The same questions and
answers either way; what is allowed is decided there, never here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.api.settings_schemas import AppliedModel, JudgedModel, SettingsModel
from app.gui.session import EngineSession, EngineState
from app.settings import Settings
from app.settings.on_file import ChangeRefused, FileSettings

Failed = Callable[[str], None]
Changes = Mapping[str, Any]
_BY = "desktop"


class SettingsWay:
    """Answers come by callback; a refusal as a sentence."""

    def __init__(self, session: EngineSession, settings: Settings) -> None:
        self._session = session
        self._file = FileSettings(settings)

    @property
    def live(self) -> bool:
        """Whether an engine is there that takes changes over."""
        return self._session.state.state in {EngineState.CONNECTED, EngineState.SILENT}

    def describe(self, done: Callable[[SettingsModel], None], failed: Failed) -> None:
        if self.live:
            self._session.ask("Settings", lambda client: client.settings(), done, failed)
            return
        try:
            found = self._file.describe()
        except ChangeRefused as fault:
            failed(str(fault))
        else:
            done(found)

    def check(self, changes: Changes, done: Callable[[JudgedModel], None], failed: Failed) -> None:
        """Nothing is done by it."""
        if self.live:
            self._session.ask("Settings", lambda client: client.check_settings(changes), done, failed)
        else:
            done(self._file.check(changes))

    def apply(
        self,
        changes: Changes,
        *,
        reason: str,
        confirm: bool,
        done: Callable[[AppliedModel], None],
        failed: Failed,
    ) -> None:
        if self.live:
            self._session.ask(
                "Settings",
                lambda client: client.apply_settings(changes, reason=reason, confirm=confirm, by=_BY),
                done,
                failed,
            )
            return
        try:
            applied = self._file.apply(changes, reason=reason, confirm=confirm)
        except ChangeRefused as fault:
            failed(str(fault))
        else:
            done(applied)

    def store_secret(self, key: str, value: str, done: Callable[[], None], failed: Failed) -> None:
        """Into the keyring, by the engine."""
        if not self.live:
            failed("no engine runs, and only it may write to the keyring: start it, or use `medulla pair`")
            return
        self._session.ask(
            "Secret", lambda client: client.set_secret(key, value, by=_BY), lambda _none: done(), failed
        )
