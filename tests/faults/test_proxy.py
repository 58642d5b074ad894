"""The faulty proxy itself: each of its faults is what it says, measured with plain sockets."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import FaultyProxy

TIMEOUT = 10.0


class _Listener(socketserver.ThreadingTCPServer):
    """Keeps what each connection sent, and answers everything with itself in capitals."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[bytearray] = []
        self.pieces: list[bytes] = []
        self.ended = 0
        self.changed = threading.Condition()

    def wait(self, connection: int, content: bytes) -> None:
        """Until that connection has sent exactly this."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: len(self.heard) > connection and bytes(self.heard[connection]) == content, TIMEOUT
            ), (content, self.heard)

    def wait_for_ends(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.ended >= count, TIMEOUT)


class _Handler(socketserver.BaseRequestHandler):
    server: _Listener

    def handle(self) -> None:
        heard = bytearray()
        with self.server.changed:
            self.server.heard.append(heard)
        try:
            while data := self.request.recv(65536):
                with self.server.changed:
                    heard += data
                    self.server.pieces.append(data)
                    self.server.changed.notify_all()
                self.request.sendall(data.upper())
        except OSError:
            pass
        with self.server.changed:
            self.server.ended += 1
            self.server.changed.notify_all()


@pytest.fixture
def listener() -> Iterator[_Listener]:
    with _Listener() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(listener: _Listener) -> Iterator[FaultyProxy]:
    with FaultyProxy(listener.server_address[1]) as made:
        yield made


@pytest.fixture
def client(proxy: FaultyProxy) -> Iterator[socket.socket]:
    with _connect(proxy) as made:
        yield made


def _connect(proxy: FaultyProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=TIMEOUT)


def _read(client: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count and (piece := client.recv(count - len(content))):
        content += piece
    return content


def test_in_calm_weather_it_is_not_there(
    proxy: FaultyProxy, listener: _Listener, client: socket.socket
) -> None:
    content = bytes(range(97, 123)) * 5000
    client.sendall(content)
    assert _read(client, len(content)) == content.upper()
    listener.wait(0, content)
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    listener.wait_for_ends(1)


def test_latency_and_jitter_keep_the_order(proxy: FaultyProxy, client: socket.socket) -> None:
    proxy.weather(latency=0.05, jitter=0.03)
    begun = time.monotonic()
    client.sendall(b"first")
    assert _read(client, 5) == b"FIRST"
    assert time.monotonic() - begun >= 0.1
    for number in range(20):
        client.sendall(b"%02d" % number)
    assert _read(client, 40) == b"".join(b"%02d" % number for number in range(20))


def test_slices_arrive_one_byte_at_a_time(
    proxy: FaultyProxy, listener: _Listener, client: socket.socket
) -> None:
    proxy.weather("up", slices=1, bandwidth=500)
    client.sendall(b"a" * 100)
    listener.wait(0, b"a" * 100)
    # Unsliced it is one segment; how many of the slices a busy reader finds together is the machine's affair.
    assert len(listener.pieces) > 1


def test_bandwidth_is_a_limit(proxy: FaultyProxy, client: socket.socket) -> None:
    proxy.weather("down", bandwidth=100_000, slices=1000)
    begun = time.monotonic()
    client.sendall(b"a" * 20_000)
    assert len(_read(client, 20_000)) == 20_000
    assert time.monotonic() - begun >= 0.19


def test_a_reset_and_an_ordinary_end_look_like_that(
    proxy: FaultyProxy, listener: _Listener, client: socket.socket
) -> None:
    client.sendall(b"x")
    assert _read(client, 1) == b"X"
    assert proxy.cut("rst") == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with _connect(proxy) as second:
        second.sendall(b"y")
        assert _read(second, 1) == b"Y"
        assert proxy.cut("fin") == 1
        assert second.recv(1) == b""
    listener.wait_for_ends(2)


def test_half_open_says_nothing_to_anybody(
    proxy: FaultyProxy, listener: _Listener, client: socket.socket
) -> None:
    client.sendall(b"before")
    assert _read(client, 6) == b"BEFORE"
    proxy.half_open()
    client.sendall(b"lost")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    with _connect(proxy) as second:
        second.sendall(b"new")
        assert _read(second, 3) == b"NEW"
    assert bytes(listener.heard[0]) == b"before"
    assert proxy.counts.swallowed == 4
    proxy.calm()
    client.settimeout(TIMEOUT)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_an_old_connection_is_heard_after_the_new_one(
    proxy: FaultyProxy, listener: _Listener, client: socket.socket
) -> None:
    client.sendall(b"one")
    assert _read(client, 3) == b"ONE"
    proxy.hold()
    client.sendall(b" two")
    proxy.overtake()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert bytes(listener.heard[0]) == b"one"
    with _connect(proxy) as second:
        second.sendall(b"three")
        assert _read(second, 5) == b"THREE"
        listener.wait(0, b"one two")
        assert proxy.counts.overtaken == 4
    listener.wait_for_ends(2)


def test_what_was_sent_is_delivered_again(
    proxy: FaultyProxy, listener: _Listener, client: socket.socket
) -> None:
    client.sendall(b"one")
    assert _read(client, 3) == b"ONE"
    client.sendall(b"two")
    assert _read(client, 3) == b"TWO"
    assert proxy.repeat_last("up") == 3
    listener.wait(0, b"onetwotwo")
    assert _read(client, 3) == b"TWO"
    assert proxy.repeat_last("down") == 3
    assert _read(client, 3) == b"TWO"
    assert proxy.replay_up() == 6
    listener.wait(1, b"onetwo")


def test_a_refusing_proxy_ends_new_connections_at_once(proxy: FaultyProxy, listener: _Listener) -> None:
    proxy.refuse()
    # The reset may arrive while the client still looks whether it is connected.
    with pytest.raises(ConnectionResetError), _connect(proxy) as client:
        client.recv(1)
    proxy.refuse(False)
    with _connect(proxy) as client:
        client.sendall(b"a")
        assert _read(client, 1) == b"A"
    assert proxy.counts.refused == 1
