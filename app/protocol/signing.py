"""Signed frames of the brain (PROTOCOL §2.1): Ed25519 over the exact payload text. Verify first, parse second.

The executor holds public keys only, so a stolen machine cannot forge commands. Nothing here makes keys or stores them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.domain.errors import ConfigurationError, InvalidValue
from app.protocol import strict_json

SIGNED = "SIGNED"
ALGORITHM = "Ed25519"
"""The one algorithm there is; a key id is bound to it, so no frame can choose a weaker one."""
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{86}\Z")
_KEY_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


class BadSignature(InvalidValue):
    """The envelope is not a frame signed by a key we know."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(field, rule)


@dataclass(frozen=True, slots=True)
class VerifiedPayload:
    """The exact text that was signed, and the key id that vouches for it."""

    text: str
    key_id: str


class SigningKeys:
    """The brain's public keys by key id, as the operator trusted them when pairing."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys`: key id -> base64 of the 32 raw bytes. Raises ConfigurationError that names the key id, never the key."""
        self._keys = {key_id: _public_key(key_id, text) for key_id, text in keys.items()}

    def __len__(self) -> int:
        return len(self._keys)

    def verify(self, envelope: Mapping[str, Any]) -> VerifiedPayload:
        """Check a SIGNED envelope. Raises BadSignature; the payload is not parsed before this has passed."""
        key_id = envelope.get("keyId")
        key = self._keys.get(key_id) if isinstance(key_id, str) else None
        if key is None or not isinstance(key_id, str):
            raise BadSignature("keyId", "is not a key that this executor trusts")
        if envelope.get("alg") != ALGORITHM:
            raise BadSignature("alg", f"must be {ALGORITHM}")
        payload = envelope.get("payload")
        if not isinstance(payload, str):
            raise BadSignature("payload", "must be the JSON text of one message, as a string")
        try:
            key.verify(_signature_bytes(envelope.get("signature")), payload.encode())
        except InvalidSignature:
            raise BadSignature("signature", "does not match the payload") from None
        return VerifiedPayload(payload, key_id)


def sign(payload: str, key_id: str, key: Ed25519PrivateKey) -> str:
    """The SIGNED frame around one message's text (the brain's side). Raises InvalidValue for a bad key id."""
    if not _KEY_ID.match(key_id):
        raise InvalidValue("keyId", "must be 1 to 64 characters of A-Z a-z 0-9 _ . : -")
    signature = base64.urlsafe_b64encode(key.sign(payload.encode())).rstrip(b"=").decode()
    return strict_json.dumps(
        {"type": SIGNED, "keyId": key_id, "alg": ALGORITHM, "payload": payload, "signature": signature}
    )


def private_key(seed: bytes) -> Ed25519PrivateKey:
    """The key made of 32 secret bytes, which the caller draws and keeps."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key_text(key: Ed25519PrivateKey) -> str:
    """Base64 of the public half: what the operator enters under `brain.signing_keys`."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _public_key(key_id: str, text: str) -> Ed25519PublicKey:
    where = f"brain.signing_keys.{key_id}"
    if not _KEY_ID.match(key_id):
        raise ConfigurationError(f"{where}: a key id has 1 to 64 characters of A-Z a-z 0-9 _ . : -")
    bare = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise ConfigurationError(f"{where}: must be the base64 text of an Ed25519 public key") from None
    if len(raw) != 32:
        raise ConfigurationError(f"{where}: an Ed25519 public key has 32 bytes, not {len(raw)}")
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise ConfigurationError(f"{where}: is not an Ed25519 public key") from None


def _signature_bytes(text: object) -> bytes:
    """64 bytes of base64url without padding, in the one canonical spelling (RFC 4648 §3.5)."""
    if not isinstance(text, str) or not _SIGNATURE.match(text):
        raise BadSignature("signature", "must be 64 bytes as base64url without padding")
    raw = base64.urlsafe_b64decode(text + "==")
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise BadSignature("signature", "must be 64 bytes as base64url without padding")
    return raw
