"""The pairing code: what an executor needs to know of a brain, as one text that a person can copy (`medulla pair CODE`).

The code carries the API key, so it is a secret until it is used. Pure text in, values out; nothing is stored or sent here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.domain.errors import InvalidValue
from app.protocol import strict_json

VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_API_KEY = re.compile(r"[!-~]{16,256}\Z")
_CODE = re.compile(r"[A-Za-z0-9_-]{16,4096}\Z")
_PUBLIC_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pairing:
    """Where the brain is, who we are to it, and which key its commands are signed with."""

    url: str
    """`wss://…`, or `ws://` on this machine (PROTOCOL §1)."""
    executor_id: str
    key_id: str
    public_key: str
    """Base64 of the 32 raw bytes of the Ed25519 public key, as under `brain.signing_keys`."""
    api_key: str

    def __repr__(self) -> str:
        return (
            f"Pairing(url={self.url!r}, executor_id={self.executor_id!r}, key_id={self.key_id!r}, api_key=…)"
        )


def encode(pairing: Pairing) -> str:
    """The code: base64url (no padding) of one JSON object. Raises InvalidValue when a part breaks its rule."""
    _check(pairing)
    text = strict_json.dumps(
        {
            "v": VERSION,
            "url": pairing.url,
            "executorId": pairing.executor_id,
            "keyId": pairing.key_id,
            "publicKey": pairing.public_key,
            "apiKey": pairing.api_key,
        }
    )
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(code: str) -> Pairing:
    """Read a code; blanks and line breaks from copying are forgiven. Raises InvalidValue that never echoes the code."""
    bare = "".join(code.split())
    if not _CODE.match(bare):
        raise InvalidValue("pairing code", "must be the whole text that the brain printed")
    try:
        raw = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        raise InvalidValue("pairing code", "is damaged: copy the whole text again") from None
    try:
        fields = strict_json.loads(raw)
    except InvalidValue:
        raise InvalidValue("pairing code", "is damaged: copy the whole text again") from None
    if fields.get("v") != VERSION:
        raise InvalidValue(
            "pairing code", f"must be of version {VERSION}; update the older of the two programs"
        )
    names = ("url", "executorId", "keyId", "publicKey", "apiKey")
    url, executor_id, key_id, public_key, api_key = (_text(fields.get(name), name) for name in names)
    pairing = Pairing(url, executor_id, key_id, public_key, api_key)
    _check(pairing)
    return pairing


def fingerprint(public_key: str) -> str:
    """`SHA256:` and 43 characters, for two people to compare: of the raw key, as OpenSSH does. `public_key` as in Pairing."""
    digest = hashlib.sha256(base64.b64decode(public_key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise InvalidValue(field, "must be a text")
    return value


def _check(pairing: Pairing) -> None:
    _check_url(pairing.url)
    for field, value in (("executorId", pairing.executor_id), ("keyId", pairing.key_id)):
        if not _NAME.match(value):
            raise InvalidValue(field, "must be 1 to 64 characters of A-Z a-z 0-9 _ . : -")
    try:
        raw = base64.b64decode(pairing.public_key, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue("publicKey", "must be base64") from None
    if len(raw) != _PUBLIC_KEY_BYTES:
        raise InvalidValue("publicKey", f"must be {_PUBLIC_KEY_BYTES} bytes as base64")
    if not _API_KEY.match(pairing.api_key):
        raise InvalidValue("apiKey", "must be 16 to 256 printable ASCII characters without blanks")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _port = parts.port
    except ValueError:
        raise InvalidValue("url", "must be a WebSocket address, as wss://brain.example:8765/") from None
    if parts.scheme not in ("ws", "wss") or not host or parts.username is not None:
        raise InvalidValue("url", "must be a WebSocket address, as wss://brain.example:8765/")
    if parts.scheme == "ws" and host not in ("127.0.0.1", "::1", "localhost"):
        raise InvalidValue("url", "must begin with wss:// unless the brain runs on this machine")
