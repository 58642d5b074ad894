"""The keyring adapter over backends that keep, forget, lie and fail."""

from __future__ import annotations

import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.errors import KeyringLocked, PasswordDeleteError

from app.adapters.keyring_secrets import KeyringSecrets, KeyringUnusable, brain_api_key
from app.domain.errors import ConfigurationError
from app.settings import load_settings


class Backend:
    """Keeps in memory; `fault` is raised by every call."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.fault: Exception | None = None

    def _may_fail(self) -> None:
        if self.fault is not None:
            raise self.fault

    def get_password(self, service: str, name: str) -> str | None:
        self._may_fail()
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        self._may_fail()
        self.kept[service, name] = secret

    def delete_password(self, service: str, name: str) -> None:
        self._may_fail()
        if self.kept.pop((service, name), None) is None:
            raise PasswordDeleteError("not there")


class Forgetful(Backend):
    def set_password(self, service: str, name: str, secret: str) -> None:
        self.kept[service, name] = secret[:5]


class PlaintextKeyring(Backend):
    pass


PlaintextKeyring.__module__ = "keyrings.alt.file"


def test_a_secret_is_kept_read_back_and_forgotten() -> None:
    secrets = KeyringSecrets(Backend())  # type: ignore[arg-type]
    assert secrets.get("a") is None
    secrets.store("a", "canary")
    assert secrets.get("a") == "canary"
    secrets.forget("a")
    secrets.forget("a")
    assert secrets.get("a") is None


@pytest.mark.parametrize(
    "backend", [keyring.backends.null.Keyring(), keyring.backends.fail.Keyring(), PlaintextKeyring()]
)
def test_a_backend_that_keeps_nothing_or_keeps_it_in_the_open_is_refused_by_name(backend: object) -> None:
    secrets = KeyringSecrets(backend)  # type: ignore[arg-type]
    with pytest.raises(KeyringUnusable, match=f"{type(backend).__module__}.*MEDULLA_BRAIN__API_KEY"):
        secrets.get("a")
    with pytest.raises(KeyringUnusable):
        secrets.store("a", "canary")


def test_a_backend_that_does_not_give_back_is_found_out() -> None:
    with pytest.raises(KeyringUnusable, match="did not give back") as fault:
        KeyringSecrets(Forgetful()).store("a", "canary-canary")  # type: ignore[arg-type]
    assert "canary" not in str(fault.value)


def test_a_locked_keyring_is_said_and_no_library_error_gets_out() -> None:
    backend = Backend()
    backend.fault = KeyringLocked("canary")
    secrets = KeyringSecrets(backend)  # type: ignore[arg-type]
    for act in (lambda: secrets.get("a"), lambda: secrets.store("a", "b"), lambda: secrets.forget("a")):
        with pytest.raises(KeyringUnusable, match="KeyringLocked") as fault:
            act()
        assert "canary" not in str(fault.value)


@pytest.mark.parametrize("size", [0, 1281])
def test_a_secret_that_windows_could_not_hold_is_refused_everywhere(size: int) -> None:
    with pytest.raises(KeyringUnusable, match=f"A secret of {size} characters"):
        KeyringSecrets(Backend()).store("a", "x" * size)  # type: ignore[arg-type]


def test_the_settings_come_before_the_keyring_and_nothing_is_one_line() -> None:
    backend = Backend()
    secrets = KeyringSecrets(backend)  # type: ignore[arg-type]
    bare = load_settings(None, {"brain.executor_id": "e1", "data_folder": "/nowhere"}, {})
    with pytest.raises(ConfigurationError, match=r"brain\.api_key: not set.*e1.*medulla pair CODE"):
        brain_api_key(bare, secrets)
    secrets.store("brain.api_key/e1", "from-the-keyring")
    assert brain_api_key(bare, secrets) == "from-the-keyring"
    given = load_settings(
        None, {"brain.executor_id": "e1", "data_folder": "/nowhere", "brain.api_key": "given-key"}, {}
    )
    assert brain_api_key(given, secrets) == "given-key"
    with pytest.raises(ConfigurationError, match="keeps nothing"):
        brain_api_key(bare, KeyringSecrets(keyring.backends.null.Keyring()))
