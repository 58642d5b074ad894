"""How the link knocks at a brain's door: politely, never at a wrong one, and never in plain text over a network."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.adapters.brain_options import is_loopback
from app.adapters.brain_websocket import WebSocketBrainLink
from app.adapters.system_clock import SystemClock
from app.domain.errors import ConfigurationError
from app.engine.broker import LinkState
from app.engine.tasks import TaskKeeper
from app.protocol.reconnect import ReconnectRules
from tests.fakes.brain_server import (
    API_KEY,
    PATIENCE,
    QUICK,
    BrainServer,
    RecordingListener,
    linked,
    options,
)


class CountingClock(SystemClock):
    """A clock on which sleeping is instant and adds up; what the link sleeps is kept."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.waits: list[float] = []
        self.limit = 0
        """After so many waits every further one lasts for ever."""
        self._news = asyncio.Event()

    async def waited(self, count: int) -> None:
        """Until the link has waited so often."""
        async with asyncio.timeout(PATIENCE):
            while len(self.waits) < count:
                self._news.clear()
                await self._news.wait()

    def monotonic(self) -> float:
        return 1000.0 + self.slept

    async def sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None or task.get_name() not in ("brain.pause", "brain.connection"):
            await asyncio.Event().wait()
        if 0 < self.limit <= len(self.waits):
            await asyncio.Event().wait()
        self.waits.append(seconds)
        self.slept += seconds
        self._news.set()
        await asyncio.sleep(0)


# ------------------------------------------------------------------ where it may go


@pytest.mark.parametrize(
    "url",
    [
        "wss://brain.example.com/executor",
        "wss://10.0.0.1:8443",
        "ws://localhost:8000/",
        "ws://127.0.0.1:1",
        "ws://127.8.9.1:1",
        "ws://[::1]:1/x",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    assert WebSocketBrainLink(options(url), SystemClock()).state is LinkState.DOWN


@pytest.mark.parametrize(
    "url",
    [
        "ws://brain.example.com/executor",
        "ws://10.0.0.1/",
        "ws://0.0.0.0/",
        "ws://localhost.example.com/",
        "ws://127.0.0.1.example.com/",
        "ws://[::2]/",
        "ws://2130706433/",
        "http://127.0.0.1/",
        "https://brain.example.com/",
        "brain.example.com",
        "",
        "wss://",
        "wss://:8443/",
        "wss://brain.example.com:99999/",
        "wss://user:secret@brain.example.com/",
        "wss://brain.example.com/#x",
        "wss://[::1/",
        "wss://" + "a" * 64 + ".example.com/",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options(url)
    assert str(caught.value).startswith("brain.url: ")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"api_key": ""}, "brain.api_key"),
        ({"api_key": "sec\r\nX-Admin: 1"}, "brain.api_key"),
        ({"api_key": "sécret"}, "brain.api_key"),
        ({"executor_id": "a\nb"}, "brain.executor_id"),
        ({"proxy": "socks5://127.0.0.1:1"}, "brain.proxy"),
        ({"proxy": "proxy"}, "brain.proxy"),
    ],
)
def test_other_wrong_options_are_one_line(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options("wss://brain.example.com/", **changes)
    assert str(caught.value).startswith(f"{key}: ")
    assert "sec" not in str(caught.value)


def test_unreadable_keys_and_authorities_are_found_at_the_start(tmp_path: Path) -> None:
    clock = SystemClock()
    with pytest.raises(ConfigurationError, match=r"brain\.signing_keys\.k1"):
        WebSocketBrainLink(options("wss://b.example/", signing_keys={"k1": "?"}), clock)
    with pytest.raises(ConfigurationError, match=r"brain\.ca_file"):
        WebSocketBrainLink(options("wss://b.example/", ca_file=tmp_path / "none.pem"), clock)
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    with pytest.raises(ConfigurationError, match=r"brain\.ca_file"):
        WebSocketBrainLink(options("wss://b.example/", ca_file=broken), clock)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


# ------------------------------------------------------------------ refusals of the handshake


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_not_tried_again_until_a_person_says_so(status: int) -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server:
        server.answer = (status, {})
        async with linked(server.url, listener) as link:
            code, message = await listener.wait_for("refused")
            assert code == "BRAIN_REFUSED"
            assert str(status) in message
            assert "Retry" in message
            assert API_KEY not in message
            assert link.state is LinkState.DOWN
            assert len(server.requests) == 1
            server.answer = None
            link.retry_now()
            await listener.wait_for("up")
    assert len(server.requests) == 2
    assert len(listener.of("refused")) == 1


async def test_a_key_refused_again_is_not_reported_twice() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server:
        server.answer = (401, {})
        async with linked(server.url, listener) as link:
            await listener.wait_for("refused")
            link.retry_now()
            await server.attempts(2)
            server.answer = (403, {})
            link.retry_now()
            await listener.wait_for("refused", 2)
    assert len(listener.of("refused")) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(status: int) -> None:
    listener = RecordingListener()
    clock = CountingClock()
    clock.limit = 1
    async with BrainServer.running() as server:
        server.answer = (status, {"Retry-After": "17"})
        async with linked(server.url, listener, clock=clock):
            await server.attempts(2)
    assert clock.waits[0] == 17.0
    assert listener.of("refused") == []


@pytest.mark.parametrize("status", [200, 301, 302, 404, 500, 502])
async def test_other_answers_are_tried_again(status: int) -> None:
    listener = RecordingListener()
    async with BrainServer.running() as other, BrainServer.running() as server:
        server.answer = (status, {"Location": other.url})
        async with linked(server.url, listener) as link:
            await server.attempts(3)
            assert link.state in (LinkState.DOWN, LinkState.CONNECTING)
    assert other.requests == []
    assert listener.of("refused") == []
    assert listener.of("up") == []


async def test_a_brain_that_is_not_there_is_tried_until_it_comes() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server:
        url = server.url
    clock = CountingClock()
    clock.limit = 20
    async with linked(url, listener, clock=clock):
        await clock.waited(20)
    assert listener.of("refused") == []


async def test_a_server_that_is_no_websocket_server() -> None:
    listener = RecordingListener()
    tries = asyncio.Semaphore(0)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.0\r\n")
        writer.close()
        tries.release()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, linked(f"ws://127.0.0.1:{port}/", listener):
        for _ in range(3):
            await asyncio.wait_for(tries.acquire(), PATIENCE)
    assert listener.of("up") == []


async def test_a_server_that_never_answers_is_given_up() -> None:
    listener = RecordingListener()
    tries = asyncio.Semaphore(0)

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.release()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    timings = replace(QUICK, open_timeout=0.05)
    async with server, linked(f"ws://127.0.0.1:{port}/", listener, timings=timings):
        await asyncio.wait_for(tries.acquire(), PATIENCE)
        await asyncio.wait_for(tries.acquire(), PATIENCE)
    assert listener.of("up") == []


# ------------------------------------------------------------------ proxy


@asynccontextmanager
async def proxy_that_refuses(status: str) -> AsyncIterator[tuple[str, asyncio.Queue[bytes]]]:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_configured_proxy_is_used_and_never_told_the_key(status: str) -> None:
    listener = RecordingListener()
    async with (
        proxy_that_refuses(status) as (proxy, asked),
        linked("wss://brain.invalid/executor", listener, proxy=proxy),
    ):
        for _ in range(2):  # a proxy's 403 says nothing about the brain's key: it is tried again
            request = await asyncio.wait_for(asked.get(), PATIENCE)
    assert request.startswith(b"CONNECT brain.invalid:443 ")
    assert API_KEY.encode() not in request
    assert listener.of("refused") == []


async def test_the_systems_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = RecordingListener()
    async with proxy_that_refuses("502 Bad Gateway") as (proxy, asked):
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("no_proxy", "")
        async with BrainServer.running() as server, linked(server.url, listener):
            await listener.wait_for("up")
        assert asked.empty()


# ------------------------------------------------------------------ accept, then close


async def test_accept_then_close_is_met_with_ten_attempts_a_minute_at_most() -> None:
    """websockets' own iterator makes a thousand connections a second against such a server."""
    listener = RecordingListener()
    clock = CountingClock()
    clock.limit = 60
    starts: list[float] = []
    async with BrainServer.running() as server:
        server.close_with = (1000, "bye")
        link = WebSocketBrainLink(
            options(server.url, timings=replace(QUICK, reconnect=ReconnectRules())),
            clock,
            uniform=lambda low, _high: low,
        )
        keeper = TaskKeeper("test")
        keeper.spawn("link", link.run(listener))
        async with asyncio.timeout(PATIENCE):
            for number in range(1, 26):
                await server.attempts(number)
                starts.append(clock.slept)
        await keeper.close()
    assert len(starts) == 25
    assert [at for at in starts if at < 59.0] == starts[:10]
    for first, eleventh in zip(starts, starts[10:], strict=False):
        assert eleventh - first >= 60.0 - 1e-6


async def test_retry_pressed_all_the_time_does_not_break_the_ceiling() -> None:
    listener = RecordingListener()
    clock = CountingClock()
    clock.limit = 1
    async with BrainServer.running() as server:
        server.answer = (401, {})
        timings = replace(QUICK, reconnect=ReconnectRules())
        async with linked(server.url, listener, clock=clock, timings=timings) as link:
            for number in range(1, 11):
                await server.attempts(number)
                link.retry_now()
            # The tenth press has to wait; instantly on this clock, a minute for a person.
            await clock.waited(1)
            await server.attempts(11)
    assert clock.waits == [60.0]


async def test_accept_then_close_in_real_time() -> None:
    listener = RecordingListener()
    rules = ReconnectRules(base=0.0, cap=0.0, attempts=3, window=0.5)
    loop = asyncio.get_running_loop()
    async with BrainServer.running() as server:
        server.close_with = (1011, "bye")
        started = loop.time()
        async with linked(server.url, listener, timings=replace(QUICK, reconnect=rules)):
            await server.attempts(7)
        took = loop.time() - started
    assert took >= 0.95


@pytest.mark.parametrize("code", [1002, 1008])
async def test_a_close_for_policy_waits_a_minute_and_tells_a_person_once(code: int) -> None:
    listener = RecordingListener()
    clock = CountingClock()
    clock.limit = 3
    async with BrainServer.running() as server:
        server.close_with = (code, "go away")
        async with linked(server.url, listener, clock=clock):
            await server.attempts(4)
            told, message = await listener.wait_for("refused")
    assert clock.waits[:3] == [60.0, 60.0, 60.0]
    assert told == "BRAIN_PROTOCOL"
    assert "go away" in message
    assert len(listener.of("refused")) == 1


async def test_retry_ends_a_wait() -> None:
    listener = RecordingListener()
    async with BrainServer.running() as server:
        server.close_with = (1008, "go away")
        async with linked(server.url, listener) as link:
            await listener.wait_for("refused")
            server.close_with = None
            link.retry_now()
            await listener.wait_for("up")
    assert len(server.requests) == 2


# ------------------------------------------------------------------ TLS


def certificate(folder: Path, host: str | None = "127.0.0.1", *, days: int = 1) -> tuple[Path, Path]:
    """A self-signed certificate for an address, and its key; `days` < 0: expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "brain")])
    now = SystemClock().now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if host is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(key, hashes.SHA256())
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


@asynccontextmanager
async def tls_brain(files: tuple[Path, Path]) -> AsyncIterator[BrainServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    async with BrainServer.running(ssl=context) as server:
        yield server


async def test_a_trusted_certificate_opens_the_session(tmp_path: Path) -> None:
    listener = RecordingListener()
    files = certificate(tmp_path)
    async with (
        tls_brain(files) as server,
        linked(server.url, listener, ca_file=files[0]),
    ):
        peer = await server.peer()
        await peer.wait_for("HELLO")
        await peer.welcome()
        await listener.wait_for("up")
        socket = peer.connection.transport.get_extra_info("ssl_object")
        assert socket.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("fault", ["unknown authority", "other host", "expired"])
async def test_a_bad_certificate_stops_the_link_for_a_minute_and_tells_a_person(
    tmp_path: Path, fault: str
) -> None:
    listener = RecordingListener()
    clock = CountingClock()
    clock.limit = 1
    files = certificate(
        tmp_path,
        "127.0.0.2" if fault == "other host" else "127.0.0.1",
        days=-1 if fault == "expired" else 1,
    )
    trusted = {} if fault == "unknown authority" else {"ca_file": files[0]}
    async with tls_brain(files) as server, linked(server.url, listener, clock=clock, **trusted) as link:
        code, message = await listener.wait_for("refused")
        assert code == "BRAIN_CERTIFICATE"
        assert "certificate" in message
        await clock.waited(1)
        assert clock.waits == [60.0]
        assert link.state in (LinkState.DOWN, LinkState.CONNECTING)
    assert server.requests == []


async def test_a_server_without_tls_is_not_told_the_key() -> None:
    listener = RecordingListener()
    heard = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(65536))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, linked(f"wss://127.0.0.1:{port}/", listener):
        code, _ = await listener.wait_for("refused")
    assert code == "BRAIN_CERTIFICATE"
    assert heard
    assert API_KEY.encode() not in heard
