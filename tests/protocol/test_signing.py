"""Signed frames: what one key signed is taken exactly as it was signed; everything else is refused before it is parsed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ConfigurationError, InvalidValue
from app.protocol import strict_json
from app.protocol.signing import BadSignature, SigningKeys, private_key, public_key_text, sign

KEY = private_key(b"m" * 32)
OTHER = private_key(b"x" * 32)
KEYS = SigningKeys({"brain-2026-01": public_key_text(KEY)})
PAYLOAD = '{"type":"TRADE_SIGNAL", "volume":0.010}'


def envelope(**changes: Any) -> dict[str, Any]:
    return strict_json.loads(sign(PAYLOAD, "brain-2026-01", KEY)) | changes


def test_a_signed_frame_has_the_documented_form() -> None:
    frame = strict_json.loads(sign(PAYLOAD, "brain-2026-01", KEY))
    assert {name: frame[name] for name in ("type", "keyId", "alg", "payload")} == {
        "type": "SIGNED",
        "keyId": "brain-2026-01",
        "alg": "Ed25519",
        "payload": PAYLOAD,
    }
    assert len(base64.urlsafe_b64decode(frame["signature"] + "==")) == 64
    assert "=" not in frame["signature"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_payload_comes_out_as_it_went_in(payload: str) -> None:
    verified = KEYS.verify(strict_json.loads(sign(payload, "brain-2026-01", KEY)))
    assert verified.text == payload
    assert verified.key_id == "brain-2026-01"


def test_escaping_of_the_envelope_does_not_matter() -> None:
    frame = sign(PAYLOAD, "brain-2026-01", KEY).replace("TRADE_SIGNAL", "TRADE\\u005fSIGNAL")
    assert KEYS.verify(strict_json.loads(frame)).text == PAYLOAD


REFUSED: dict[str, dict[str, Any]] = {
    "changed payload": {"payload": PAYLOAD.replace("0.010", "0.01")},
    "added space": {"payload": PAYLOAD + " "},
    "unknown key id": {"keyId": "brain-2026-02"},
    "no key id": {"keyId": None},
    "key id of another type": {"keyId": ["brain-2026-01"]},
    "no algorithm": {"alg": None},
    "alg none": {"alg": "none"},
    "other algorithm": {"alg": "HS256"},
    "algorithm in another case": {"alg": "ed25519"},
    "payload as object": {"payload": {"type": "TRADE_SIGNAL"}},
    "no payload": {"payload": None},
    "no signature": {"signature": None},
    "empty signature": {"signature": ""},
    "short signature": {"signature": "AAAA"},
    "zero signature": {"signature": "A" * 86},
    "signature as list": {"signature": ["A" * 86]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    with pytest.raises(BadSignature):
        KEYS.verify(envelope(**REFUSED[name]))


def test_refuses_padding_and_the_other_alphabet() -> None:
    signature = envelope()["signature"]
    raw = base64.urlsafe_b64decode(signature + "==")
    spellings = [signature + "==", signature + "\n", base64.b64encode(raw).decode(), raw.hex()]
    for spelling in spellings:
        with pytest.raises(BadSignature):
            KEYS.verify(envelope(signature=spelling))


def test_refuses_a_second_spelling_of_the_same_bytes() -> None:
    signature = envelope()["signature"]
    # The last of 86 characters carries four unused bits.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    assert base64.urlsafe_b64decode(twin + "==") == base64.urlsafe_b64decode(signature + "==")
    with pytest.raises(BadSignature):
        KEYS.verify(envelope(signature=twin))


def test_refuses_the_signature_of_another_key() -> None:
    with pytest.raises(BadSignature):
        KEYS.verify(strict_json.loads(sign(PAYLOAD, "brain-2026-01", OTHER)))


def test_each_key_id_vouches_for_itself_only() -> None:
    keys = SigningKeys({"a": public_key_text(KEY), "b": public_key_text(OTHER)})
    assert keys.verify(strict_json.loads(sign(PAYLOAD, "b", OTHER))).key_id == "b"
    with pytest.raises(BadSignature):
        keys.verify(strict_json.loads(sign(PAYLOAD, "a", OTHER)))


@given(st.integers(0, 85), st.integers(1, 63))
def test_no_changed_signature_passes(place: int, shift: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    signature = envelope()["signature"]
    changed = alphabet[(alphabet.index(signature[place]) + shift) % 64]
    with pytest.raises(BadSignature):
        KEYS.verify(envelope(signature=signature[:place] + changed + signature[place + 1 :]))


@pytest.mark.parametrize("spelling", ["standard", "unpadded", "urlsafe"])
def test_public_keys_may_be_written_in_any_base64(spelling: str) -> None:
    text = public_key_text(KEY)
    if spelling == "unpadded":
        text = text.rstrip("=")
    if spelling == "urlsafe":
        text = text.replace("+", "-").replace("/", "_")
    assert SigningKeys({"k": text}).verify(strict_json.loads(sign(PAYLOAD, "k", KEY))).text == PAYLOAD


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"x" * 31).decode(), "AAAA\x00"])
def test_a_wrong_public_key_is_one_line_without_the_key(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SigningKeys({"brain-1": text})
    message = str(caught.value)
    assert message.startswith("brain.signing_keys.brain-1: ")
    assert "\n" not in message
    assert not text or text not in message


def test_key_ids_are_plain_words() -> None:
    with pytest.raises(ConfigurationError):
        SigningKeys({"a b": public_key_text(KEY)})
    with pytest.raises(InvalidValue):
        sign(PAYLOAD, "", KEY)
