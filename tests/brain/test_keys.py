"""Keys and pairing codes: made once, private, and read back exactly or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.brain.errors import BrainMisconfigured
from app.brain.keys import check_api_key, load_or_create, new_api_key
from app.domain.errors import InvalidValue
from app.protocol import pairing, strict_json
from app.protocol.signing import SigningKeys
from tests.brain.conftest import KEY


def test_the_signing_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    made = load_or_create(path)
    assert load_or_create(path).public_key == made.public_key
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)
        with pytest.raises(BrainMisconfigured, match="chmod 600"):
            load_or_create(path)
    assert path.read_text().strip() not in repr(made)


def test_a_damaged_key_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.touch(0o600)
    path.write_text("not a key")
    with pytest.raises(BrainMisconfigured, match="signing key"):
        load_or_create(path)
    assert path.read_text() == "not a key"


def test_what_the_key_signs_the_executor_verifies() -> None:
    frame = KEY.sign('{"type":"TRADE_SIGNAL"}')
    trusted = SigningKeys({KEY.key_id: KEY.public_key})
    assert trusted.verify(strict_json.loads(frame)).text == '{"type":"TRADE_SIGNAL"}'
    assert KEY.sign('{"type":"TRADE_SIGNAL"}') == frame


def test_api_keys_are_long_and_different() -> None:
    assert check_api_key(new_api_key()) != new_api_key()
    for short in ("short", "has a blank in it", "ümlaut-not-for-headers"):
        with pytest.raises(BrainMisconfigured, match="16"):
            check_api_key(short)


def a_pairing(**changes: str) -> pairing.Pairing:
    parts = {
        "url": "wss://brain.example:8765/",
        "executor_id": "exec_001",
        "key_id": KEY.key_id,
        "public_key": KEY.public_key,
        "api_key": "an-api-key-of-some-length",
        **changes,
    }
    return pairing.Pairing(**parts)


def test_a_pairing_code_is_read_back_even_with_line_breaks() -> None:
    code = pairing.encode(a_pairing())
    assert pairing.decode(code) == a_pairing()
    wrapped = f"  {code[:40]}\n{code[40:]} \n"
    assert pairing.decode(wrapped) == a_pairing()
    assert "an-api-key" not in repr(pairing.decode(code))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ws://brain.example/"}, "url"),
        ({"url": "https://brain.example/"}, "url"),
        ({"url": "wss://user@brain.example/"}, "url"),
        ({"url": "wss://brain.example:99999/"}, "url"),
        ({"executor_id": "has blank"}, "executorId"),
        ({"key_id": ""}, "keyId"),
        ({"public_key": "AAAA"}, "publicKey"),
        ({"public_key": "not base64!"}, "publicKey"),
        ({"api_key": "short"}, "apiKey"),
    ],
)
def test_a_pairing_with_a_wrong_part_names_it(change: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        pairing.encode(a_pairing(**change))
    assert refused.value.field == field


def test_damaged_codes_are_refused_without_showing_them() -> None:
    code = pairing.encode(a_pairing())
    for damaged in ("", "hello", code[:-8], code[4:], code + "!", code[:50] + "AAAA" + code[54:]):
        with pytest.raises(InvalidValue) as refused:
            pairing.decode(damaged)
        assert code[10:30] not in str(refused.value)


def test_this_machine_may_be_paired_without_tls() -> None:
    local = a_pairing(url="ws://127.0.0.1:8765/")
    assert pairing.decode(pairing.encode(local)) == local
