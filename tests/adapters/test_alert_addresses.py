"""Where alerts go: environment first, then the keyring's numbered list; nothing but a count is ever on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from app.adapters.alert_addresses import MOST, KeptAddresses, alert_addresses
from app.adapters.keyring_secrets import KeyringSecrets, KeyringUnusable
from tests.adapters.test_keyring_secrets import Backend


@dataclass
class Source:
    state_folder: Path
    alerts: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(urls=()))
    brain: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(executor_id="exec_001"))


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def kept(tmp_path: Path, backend: Backend) -> KeptAddresses:
    return KeptAddresses(Source(tmp_path), KeyringSecrets(backend))  # type: ignore[arg-type]


def test_addresses_are_kept_in_order_and_move_up(
    kept: KeptAddresses, backend: Backend, tmp_path: Path
) -> None:
    assert [kept.add(f"json://host{number}/geheim") for number in range(3)] == [1, 2, 3]
    assert kept.remove(2)
    assert not kept.remove(3)
    assert not kept.remove(0)
    assert kept.read() == ("json://host0/geheim", "json://host2/geheim")
    assert set(backend.kept.values()) == set(kept.read())
    assert all("geheim" not in file.read_text() for file in tmp_path.iterdir())


def test_there_is_an_end_to_it(kept: KeptAddresses) -> None:
    for number in range(MOST):
        kept.add(f"json://host{number}")
    with pytest.raises(KeyringUnusable, match="remove one"):
        kept.add("json://one-too-many")
    assert len(kept.read()) == MOST


def test_an_engine_without_any_never_asks_a_keyring(tmp_path: Path, backend: Backend) -> None:
    backend.fault = OSError("the keyring must not be asked")
    keyring = KeyringSecrets(backend)  # type: ignore[arg-type]
    assert alert_addresses(Source(tmp_path), keyring) == ()
    for content in ("", "many", "-1", "\xe9"):
        (tmp_path / "alert-targets").write_text(content, encoding="latin-1")
        assert alert_addresses(Source(tmp_path), keyring) == ()


def test_the_environment_comes_first(tmp_path: Path, kept: KeptAddresses, backend: Backend) -> None:
    kept.add("json://kept")
    source = Source(tmp_path, SimpleNamespace(urls=(SecretStr("tgram://given"),)))
    keyring = KeyringSecrets(backend)  # type: ignore[arg-type]
    assert alert_addresses(source, keyring) == ("tgram://given", "json://kept")


def test_a_keyring_that_lost_one_costs_that_one(kept: KeptAddresses, backend: Backend) -> None:
    kept.add("json://one")
    kept.add("json://two")
    del backend.kept["Medulla", "alerts.url/exec_001/1"]
    assert kept.read() == ("json://two",)
