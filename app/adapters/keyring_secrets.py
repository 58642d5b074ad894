"""Secrets in the operating system's keyring: Credential Manager on Windows, Secret Service on Linux. Never a plain file as a
substitute: a backend that stores nothing, or stores in the open, is refused by name. No secret is ever logged here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from app.domain.errors import ConfigurationError, SecretMissing

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "Medulla"
ENVIRONMENT_VARIABLE = "MEDULLA_BRAIN__API_KEY"
_LONGEST = 1280
"""Credential Manager takes 2560 bytes of UTF-16 (CRED_MAX_CREDENTIAL_BLOB_SIZE); beyond that it fails obscurely."""
_USELESS = ("keyring.backends.null", "keyring.backends.fail")
_IN_THE_OPEN = "keyrings.alt"


class KeyringUnusable(SecretMissing):
    """The keyring cannot keep secrets on this machine. The message names the backend and the way without one."""


def system_backend() -> KeyringBackend:
    """The backend to use. On Windows it is pinned: PYTHON_KEYRING_BACKEND could silently choose one that stores nothing."""
    if sys.platform == "win32":
        from keyring.backends.Windows import WinVaultKeyring

        return WinVaultKeyring()  # type: ignore[no-untyped-call]  # keyring declares no types there
    import keyring

    return keyring.get_keyring()


class KeyringSecrets:
    """Get, store, forget; every store is read back."""

    def __init__(
        self, backend: KeyringBackend | None = None, *, variable: str = ENVIRONMENT_VARIABLE
    ) -> None:
        """`variable`: the way without a keyring, for those who are told that it cannot be used."""
        self._variable = variable
        self._backend = backend if backend is not None else system_backend()

    @property
    def backend_name(self) -> str:
        kind = type(self._backend)
        return f"{kind.__module__}.{kind.__qualname__}"

    def check(self) -> None:
        """Raises KeyringUnusable for a backend that keeps nothing or keeps it in the open."""
        backends = getattr(self._backend, "backends", None) or [self._backend]
        modules = [type(backend).__module__ for backend in backends]
        if all(module.startswith(_USELESS) for module in modules):
            raise KeyringUnusable(
                f"No keyring is available here ({self.backend_name} keeps nothing); set {self._variable} instead."
            )
        if any(module.startswith(_IN_THE_OPEN) for module in modules):
            raise KeyringUnusable(
                f"The keyring {self.backend_name} stores secrets in the open; set {self._variable} instead."
            )

    def get(self, name: str) -> str | None:
        """None: nothing is stored under that name. Raises KeyringUnusable."""
        from keyring.errors import KeyringError

        self.check()
        try:
            return self._backend.get_password(SERVICE, name)
        except KeyringError as fault:
            raise self._failed("read", fault) from None

    def store(self, name: str, secret: str) -> None:
        """Write and read back. Raises KeyringUnusable."""
        from keyring.errors import KeyringError

        self.check()
        if not 1 <= len(secret) <= _LONGEST:
            raise KeyringUnusable(
                f"A secret of {len(secret)} characters does not fit: allowed are 1 to {_LONGEST}."
            )
        try:
            self._backend.set_password(SERVICE, name, secret)
            kept = self._backend.get_password(SERVICE, name)
        except KeyringError as fault:
            raise self._failed("written", fault) from None
        if kept != secret:
            raise KeyringUnusable(
                f"The keyring {self.backend_name} did not give back what was stored; set {self._variable} instead."
            )

    def forget(self, name: str) -> None:
        """Remove; nothing happens if it is not there. Raises KeyringUnusable."""
        from keyring.errors import KeyringError, PasswordDeleteError

        self.check()
        try:
            self._backend.delete_password(SERVICE, name)
        except PasswordDeleteError:
            return
        except KeyringError as fault:
            raise self._failed("changed", fault) from None

    def _failed(self, verb: str, fault: Exception) -> KeyringUnusable:
        return KeyringUnusable(
            f"The keyring {self.backend_name} cannot be {verb} ({type(fault).__name__}); unlock it or set {self._variable}."
        )


def api_key_name(executor_id: str) -> str:
    """Under which name an executor's key for its brain is kept."""
    return f"brain.api_key/{executor_id}"


class _Secret(Protocol):
    def get_secret_value(self) -> str: ...


class _Brain(Protocol):
    @property
    def api_key(self) -> _Secret | None: ...

    @property
    def executor_id(self) -> str: ...


class KeySource(Protocol):
    """The part of Settings that is needed here."""

    @property
    def brain(self) -> _Brain: ...


def brain_api_key(settings: KeySource, keyring: KeyringSecrets | None = None) -> str:
    """The key from the settings (environment, command line), else from the keyring. Raises ConfigurationError."""
    configured = settings.brain.api_key
    if configured is not None:
        return configured.get_secret_value()
    executor_id = settings.brain.executor_id
    remedy = f"allowed: one stored by `medulla pair CODE`, or the variable {ENVIRONMENT_VARIABLE}"
    try:
        stored = (keyring or KeyringSecrets()).get(api_key_name(executor_id))
    except KeyringUnusable as fault:
        raise ConfigurationError(
            f"brain.api_key: not set, and {str(fault)[0].lower()}{str(fault)[1:]}"
        ) from None
    if not stored:
        raise ConfigurationError(
            f"brain.api_key: not set, and the keyring has none for {executor_id}: {remedy}"
        )
    return stored
