"""A keyring for tests that other processes see too: entries in a file that a variable names. Real enough to be read back."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend

VARIABLE = "KEPT_KEYRING"


class KeptKeyring(KeyringBackend):
    priority = 1  # type: ignore[assignment]  # as every backend says it

    @property
    def _file(self) -> Path:
        return Path(os.environ[VARIABLE])

    def _all(self) -> dict[str, str]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file.write_text(json.dumps({**self._all(), f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        kept = self._all()
        kept.pop(f"{service}/{username}", None)
        self._file.write_text(json.dumps(kept))
