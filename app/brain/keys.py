"""The brain's secrets: the Ed25519 key that signs commands (a file of mode 600) and the API keys that executors show.

API keys are kept as hashes only; a private key is never printed, logged or sent.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.brain.errors import BrainMisconfigured
from app.protocol import signing

_SEED_BYTES = 32
_API_KEY = re.compile(r"[!-~]{16,256}\Z")


def new_api_key() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def api_key_hash(api_key: str) -> str:
    """SHA-256 (hex). A slow password hash would guard a weak key; ours are random, and given ones have 16 characters at least."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def check_api_key(api_key: str) -> str:
    """The key itself. Raises BrainMisconfigured when it is too short or does not fit into a header."""
    if not _API_KEY.match(api_key):
        raise BrainMisconfigured("API key: must be 16 to 256 printable ASCII characters without blanks")
    return api_key


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs this brain's commands, and the name that executors know it by."""

    key_id: str
    key: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """Base64 of the raw public key."""
        return signing.public_key_text(self.key)

    def sign(self, payload: str) -> str:
        """The SIGNED frame around one message's text; the same text always gives the same frame (RFC 8032 §5.1.6)."""
        return signing.sign(payload, self.key_id, self.key)

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r})"


def signing_key_of(seed: bytes) -> SigningKey:
    """The key made of 32 secret bytes; its id is derived from the public half, so a new key can never go by an old name."""
    key = signing.private_key(seed)
    public = key.public_key().public_bytes_raw()
    return SigningKey("brain-" + hashlib.sha256(public).hexdigest()[:16], key)


def load_or_create(path: Path) -> SigningKey:
    """Read the key file, or make one (mode 600). Raises BrainMisconfigured, also when others may read the file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _load(path)
    except OSError as fault:
        raise BrainMisconfigured(f"key file {path}: {fault.strerror}") from None
    seed = secrets.token_bytes(_SEED_BYTES)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return signing_key_of(seed)


def _load(path: Path) -> SigningKey:
    try:
        text = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError):
        raise BrainMisconfigured(f"key file {path}: cannot be read") from None
    if os.name == "posix" and mode & 0o077:
        raise BrainMisconfigured(f"key file {path}: others may read it; make it private with chmod 600")
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise BrainMisconfigured(
            f"key file {path}: is not a signing key; move it away to have a new one made"
        )
    return signing_key_of(bytes.fromhex(text))
