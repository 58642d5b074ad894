"""Pairing: what is written where, what stays as it was, and what happens without a keyring."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.adapters import keyring_secrets
from app.domain.errors import ConfigurationError
from app.protocol.pairing import Pairing, encode
from app.settings import load_settings
from app.settings.edit import edited, set_in_section

from .engine_beside import command_line

PUBLIC = base64.b64encode(bytes(range(32))).decode()
CODE = encode(Pairing("wss://brain.example/x", "exec_7", "brain-1", PUBLIC, "canary-0123456789"))


class Keyring:
    """A keyring in memory, as the backends look."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        self.kept[service, name] = secret


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    keyring = Keyring()
    monkeypatch.setattr(keyring_secrets, "system_backend", lambda: keyring)
    return keyring


def paired(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(command_line(), ["pair", *arguments], input=typed)


def test_a_new_executor_is_paired_with_one_command(keyring: Keyring, data_folder: Path) -> None:
    result = paired(CODE)
    assert result.exit_code == 0, result.stderr
    assert keyring.kept == {("Medulla", "brain.api_key/exec_7"): "canary-0123456789"}
    settings = load_settings(None, {}, {"MEDULLA_DATA_FOLDER": str(data_folder)})
    assert (settings.brain.url, settings.brain.executor_id) == ("wss://brain.example/x", "exec_7")
    assert dict(settings.brain.signing_keys) == {"brain-1": PUBLIC}
    assert keyring_secrets.brain_api_key(settings) == "canary-0123456789"
    assert "canary" not in result.stdout + result.stderr + (data_folder / "config.yaml").read_text()


def test_the_code_may_come_by_standard_input_out_of_the_process_list(keyring: Keyring) -> None:
    assert paired("-", typed=f"{CODE[:40]}\n{CODE[40:]}\n").exit_code == 0


def test_comments_and_other_keys_stay_and_the_old_file_is_kept(keyring: Keyring, data_folder: Path) -> None:
    config = data_folder / "config.yaml"
    before = (
        "# mine\nsafety:\n  max_volume_total: 1 # lots\n\nbrain:\n    # ours\n    url: wss://old.example # was\n"
        "    signing_keys:\n        old: " + PUBLIC + "\n\n    # last words\nlog: {level: debug}\n"
    )
    config.write_text(before)
    assert paired(CODE).exit_code == 0
    after = config.read_text()
    for line in (
        "# mine",
        "  max_volume_total: 1 # lots",
        "    # ours",
        "    # last words",
        "log: {level: debug}",
    ):
        assert line in after.splitlines()
    assert '    url: "wss://brain.example/x" # was' in after.splitlines()
    assert (data_folder / "config.yaml.before-pairing").read_text() == before
    settings = load_settings(config, {}, {})
    assert set(settings.brain.signing_keys) == {"old", "brain-1"}
    assert settings.log.level == "debug"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "brain:\n",
        "brain:",
        "brain: # nothing yet\nlog:\n  level: info\n",
        "log:\n  level: info",
        "brain:\n  executor_id: a\n",
        "brain:\n  url: >-\n    wss://old\n  executor_id: a\n",
        "brain:\n  signing_keys:\n    k: v\n  url: x\n",
        "brain:\n  signing_keys: {}\n",
        "brain:\n  url:\n  executor_id: a\n",
    ],
)
def test_every_usual_form_is_edited(text: str, tmp_path: Path) -> None:
    new = edited(tmp_path / "c.yaml", text, "brain", {"url": "wss://new/", "signing_keys": {"k": "v"}})
    assert edited(tmp_path / "c.yaml", new, "brain", {"url": "wss://new/", "signing_keys": {"k": "v"}}) == new
    assert new.count("wss://new/") == 1


def test_a_form_that_cannot_be_edited_is_left_alone(keyring: Keyring, data_folder: Path) -> None:
    config = data_folder / "config.yaml"
    config.write_text("brain: {executor_id: a}\n")
    result = paired(CODE)
    assert result.exit_code == 2
    assert "set by hand: url" in result.stderr
    assert config.read_text() == "brain: {executor_id: a}\n"
    assert keyring.kept == {}


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be"):
        set_in_section(tmp_path / "file" / "config.yaml", "brain", {"url": "x"})


@pytest.mark.parametrize("code", ["x", CODE[:-8], "AAAA" * 10, CODE + CODE])
def test_a_damaged_code_changes_nothing_and_is_not_echoed(
    keyring: Keyring, data_folder: Path, code: str
) -> None:
    result = paired(code)
    assert result.exit_code == 2
    assert code not in result.stderr or code == "x"
    assert not (data_folder / "config.yaml").exists()
    assert keyring.kept == {}


def test_without_a_keyring_the_way_around_is_named(data_folder: Path) -> None:
    result = paired(CODE)
    assert result.exit_code == 1
    assert "MEDULLA_BRAIN__API_KEY" in result.stderr
    assert "canary" not in result.stdout + result.stderr
    shown = paired(CODE, "--show-key")
    assert shown.exit_code == 0
    assert "MEDULLA_BRAIN__API_KEY=canary-0123456789" in shown.stdout


def test_a_variable_that_overrules_the_pairing_is_named(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDULLA_BRAIN__URL", "wss://other.example/")
    assert "brain.url is also set in MEDULLA_BRAIN__URL" in paired(CODE).stdout


def test_a_changed_public_key_is_said(keyring: Keyring, data_folder: Path) -> None:
    other = base64.b64encode(bytes(32)).decode()
    (data_folder / "config.yaml").write_text(f"brain:\n  signing_keys: {{brain-1: {other}}}\n")
    assert "another public key before" in paired(CODE).stdout


def test_a_code_can_be_looked_at_before_it_is_used(keyring: Keyring, data_folder: Path) -> None:
    result = paired("-", "--check", "--json", typed=CODE)
    said = json.loads(result.stdout)
    assert (said["ok"], said["url"], said["executor_id"], said["key_id"]) == (
        True,
        "wss://brain.example/x",
        "exec_7",
        "brain-1",
    )
    digest = base64.b64encode(hashlib.sha256(bytes(range(32))).digest()).decode().rstrip("=")
    assert said["fingerprint"] == f"SHA256:{digest}"
    assert not said["key_stored"]
    assert "canary" not in result.stdout + result.stderr
    assert not (data_folder / "config.yaml").exists()
    assert keyring.kept == {}
    assert f"fingerprint of the key: {said['fingerprint']}" in paired(CODE, "--check").stdout


def test_a_program_is_told_the_same_as_a_person(keyring: Keyring) -> None:
    said = json.loads(paired("-", "--json", typed=CODE).stdout)
    assert said["ok"]
    assert said["key_stored"]


def test_a_program_is_told_that_the_key_is_nowhere(data_folder: Path) -> None:
    result = paired("-", "--json", typed=CODE)
    said = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (said["ok"], said["key_stored"]) == (False, False)
    assert "MEDULLA_BRAIN__API_KEY" in said["trouble"]
    assert "canary" not in result.stdout + result.stderr
