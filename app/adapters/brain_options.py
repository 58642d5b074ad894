"""What the link to the brain has to be told, checked once when the program starts.

Nothing here connects. A wrong value is one line for the operator and never shows a secret.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from app.domain.errors import ConfigurationError
from app.domain.market import Account
from app.domain.trading_state import TradingStatus
from app.protocol.reconnect import ReconnectRules


@dataclass(frozen=True, slots=True)
class BrainTimings:
    """Seconds; the values of PROTOCOL §3 and §7."""

    welcome: float = 5.0
    ping_interval: float = 5.0
    pong_timeout: float = 5.0
    degraded_after: float = 15.0
    lost_after: float = 60.0
    """A session that was silent for so long is given up: only a fresh one ends BRAIN_LOST."""
    silence_check: float = 1.0
    open_timeout: float = 10.0
    close_timeout: float = 2.0
    reconnect: ReconnectRules = field(default_factory=ReconnectRules)


@dataclass(frozen=True, slots=True)
class BrainOptions:
    """Where the brain is, who we are to it, and whose signatures count."""

    url: str
    """`wss://…`; `ws://…` for loopback hosts only."""
    api_key: str = field(repr=False)
    executor_id: str
    app_version: str
    accounts: Callable[[], Sequence[Account]]
    """The accounts that are served now; empty while the terminal is away."""
    status: Callable[[], TradingStatus]
    """The trading state that HELLO tells."""
    signing_keys: Mapping[str, str] = field(default_factory=dict)
    """Key id -> base64 of the brain's Ed25519 public key."""
    allow_unsigned: bool = False
    """Accept unsigned commands; counts only while there is no signing key (PROTOCOL §2.1)."""
    proxy: str | None = None
    """`http://host:port` or `https://…`; None: connect directly, whatever the system's settings say."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust instead of the system's; for a brain with a private authority."""
    timings: BrainTimings = field(default_factory=BrainTimings)

    def __post_init__(self) -> None:
        check_url(self.url)
        _check_header("brain.api_key", self.api_key, 4096)
        _check_header("brain.executor_id", self.executor_id, 128)
        if self.proxy is not None and (_split("brain.proxy", self.proxy).scheme not in ("http", "https")):
            raise ConfigurationError("brain.proxy: must begin with http:// or https://")


def check_url(url: str) -> None:
    """Raises ConfigurationError unless `url` is wss://, or ws:// to this machine (PROTOCOL §1)."""
    parts = _split("brain.url", url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConfigurationError(
            "brain.url: must be a WebSocket address, as wss://brain.example.com/executor"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("brain.url: must not hold a user or a password; the key is brain.api_key")
    if parts.fragment:
        raise ConfigurationError("brain.url: must not have a #fragment")
    if parts.scheme == "ws" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"brain.url: ws:// to {parts.hostname} would send the key and the commands readable for anyone in between; "
            "use wss:// (ws:// is for this machine only)"
        )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(url: str, ca_file: Path | None) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the host name checked; None for ws://. Raises ConfigurationError for an unreadable CA file."""
    if not url.startswith("wss:"):
        return None
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as fault:
        raise ConfigurationError(
            f"brain.ca_file: {ca_file} cannot be read as certificates ({fault.strerror})"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _split(key: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:  # UnicodeError too: a host name that DNS cannot hold
        raise ConfigurationError(f"{key}: is not an address") from None
    return parts


def _check_header(key: str, value: str, longest: int) -> None:
    """What goes into a request header: a line break there would write headers of its own (RFC 9110 §5.5)."""
    if not 1 <= len(value) <= longest or not value.isascii() or not value.isprintable():
        raise ConfigurationError(f"{key}: must be 1 to {longest} printable ASCII characters")
