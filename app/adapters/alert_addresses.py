"""Where alerts go: the addresses out of the environment, and those that `medulla alerts add` put into the keyring.

A small file beside the journal holds how many there are in the keyring and nothing else, so that an engine without any never
waits for a keyring. No address is ever written to a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from app.adapters.keyring_secrets import KeyringSecrets, KeyringUnusable

VARIABLE = "MEDULLA_ALERTS__URLS"
MOST = 10


class _Secret(Protocol):
    def get_secret_value(self) -> str: ...


class _Alerts(Protocol):
    @property
    def urls(self) -> Sequence[_Secret]: ...


class _Brain(Protocol):
    @property
    def executor_id(self) -> str: ...


class AddressSource(Protocol):
    """The part of Settings that is needed here."""

    @property
    def alerts(self) -> _Alerts: ...

    @property
    def brain(self) -> _Brain: ...

    @property
    def state_folder(self) -> Path: ...


class KeptAddresses:
    """The keyring's part: a numbered list."""

    def __init__(self, settings: AddressSource, keyring: KeyringSecrets | None = None) -> None:
        self._file = settings.state_folder / "alert-targets"
        self._prefix = f"alerts.url/{settings.brain.executor_id}"
        self._keyring = keyring

    @property
    def count(self) -> int:
        """How many are kept; 0 too for a file that cannot be read."""
        try:
            text = self._file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return 0
        return min(int(text), MOST) if text.isdigit() else 0

    def read(self) -> tuple[str, ...]:
        """All of them, in order. Raises KeyringUnusable."""
        found = [self._secrets.get(f"{self._prefix}/{number}") for number in range(1, self.count + 1)]
        return tuple(address for address in found if address)

    def add(self, address: str) -> int:
        """Keep one more; its number. Raises KeyringUnusable (also for one too many), OSError."""
        kept = self.read()
        if len(kept) >= MOST:
            raise KeyringUnusable(f"There are {MOST} addresses already; remove one first.")
        self._write((*kept, address))
        return len(kept) + 1

    def remove(self, number: int) -> bool:
        """Forget one; those behind it move up. False: there is none of that number. Raises KeyringUnusable, OSError."""
        kept = self.read()
        if not 1 <= number <= len(kept):
            return False
        self._write((*kept[: number - 1], *kept[number:]))
        return True

    @property
    def _secrets(self) -> KeyringSecrets:
        if self._keyring is None:
            self._keyring = KeyringSecrets(variable=VARIABLE)
        return self._keyring

    def _write(self, addresses: tuple[str, ...]) -> None:
        before = self.count
        for number, address in enumerate(addresses, 1):
            self._secrets.store(f"{self._prefix}/{number}", address)
        for number in range(len(addresses) + 1, before + 1):
            self._secrets.forget(f"{self._prefix}/{number}")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(f"{len(addresses)}\n", encoding="ascii")


def alert_addresses(settings: AddressSource, keyring: KeyringSecrets | None = None) -> tuple[str, ...]:
    """All addresses: the environment's, then the keyring's. Raises KeyringUnusable if that holds some and cannot be read."""
    given = tuple(url.get_secret_value() for url in settings.alerts.urls)
    return (*given, *KeptAddresses(settings, keyring).read())
