"""Everybody on the machine can reach the EA's ports: strangers, rubbish and floods change nothing and cost little."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
from typing import Self

import pytest
import zmq

from .conftest import Rig, RigMaker
from .executor import Executor, Link, open_args, seal

pytestmark = pytest.mark.processes

FRAMES = int(os.environ.get("MEDULLA_FUZZ_FRAMES", "4000"))
"""A campaign sets a million; the normal run takes the short form."""
LONGEST_TURN_MS = 50
"""What the EA may work at one turn of its timer, in time of its own thread: other programs of the machine do not count."""


def longest_turn_ms(rig: Rig) -> float:
    return int(rig.terminal.control("stats").split()[3]) / 1000


def mutations(rng: random.Random, good: bytes) -> bytes:
    """A frame that is nearly right: the interesting kind."""
    frame = bytearray(good)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(frame) or 1)
        match rng.randrange(5):
            case 0 if frame:
                frame[at] = rng.randrange(256)
            case 1:
                frame[at:at] = rng.randbytes(rng.randint(1, 9))
            case 2:
                del frame[at : at + rng.randint(1, 20)]
            case 3:
                frame[at:at] = rng.choice(
                    [b'"', b"{", b"}", b"[", b"\\", b"\\u12", b"-", b"1e999", b"\xff", b"null"]
                )
            case _:
                frame += frame[at : at + 40]
    return bytes(frame)


@pytest.mark.timeout(120 if FRAMES <= 10_000 else 0)
def test_random_and_mutated_frames(rig: Rig) -> None:
    """Sealed with the right key: what gets past the mac has to be survived by the reader and the checks behind it."""
    rng = random.Random(20260701)
    link = rig.link
    rig.terminal.control("clear_stats")
    for number in range(FRAMES):
        good = rig.executor.body("open", open_args(), f"good{number}")
        body = mutations(rng, good) if rng.random() < 0.8 else rng.randbytes(rng.randint(0, 300))
        mac = seal(link.key, body) if rng.random() < 0.7 else rng.randbytes(rng.choice([0, 31, 32, 33]))
        link.send("command", [body, mac])
        if number % 200 == 199:
            greet_again(rig)
    greet_again(rig)
    # A mutation that is still a whole, valid open may trade once; no command id may do so twice.
    effects = rig.terminal.effects()
    assert len({effect["cid"] for effect in effects}) == len(effects)
    print(f"{FRAMES} frames, {len(effects)} of them valid opens; longest turn {longest_turn_ms(rig):.1f} ms")
    assert longest_turn_ms(rig) < LONGEST_TURN_MS


def greet_again(rig: Rig) -> None:
    """A fresh session: a mutation may have raised the epoch or used up the numbers, as a true executor might."""
    rig.link.pump(0)
    rig.link.events.clear()
    executor = Executor(rig.link, instance=rig.executor.instance)
    assert executor.hello()["ok"]
    executor.epoch = executor.hello_reply["epoch"]
    assert executor.ask("heartbeat")["ok"]
    rig.executor = executor


def test_a_stranger_gets_nothing_and_changes_nothing(zmq_rig: Rig) -> None:
    link = zmq_rig.link
    stranger = link.dealer("stranger")
    theft = json.dumps(
        {"v": 1, "from": "executor", "sid": zmq_rig.executor.sid, "id": 10**6, "cid": "theft", "epoch": 99, "ts": 0,
         "ttl": 10**15, "cmd": "open", "args": open_args()}
    ).encode()  # fmt: skip
    for key in (b"x" * 32, b"", b"\0" * 32):
        stranger.send_multipart([theft, seal(key, theft)])
    for parts in (
        [theft, b""],
        [theft],
        [b""] * 3,
        [b"x"] * 200,
        [os.urandom(250_000), os.urandom(32)],
        [b"\xff" * 300_000],
    ):
        stranger.send_multipart(parts)
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"
    assert link.receive("stranger", 0.05) is None
    assert zmq_rig.terminal.effects("theft") == []


def test_a_cloned_identity_takes_nobodys_place(make_rig: RigMaker) -> None:
    rig = make_rig("Medulla", connect=False)
    rig.link.dealer("command").setsockopt(zmq.IDENTITY, b"executor")
    with Link(rig.terminal) as other:
        clone = other.dealer("command")
        clone.setsockopt(zmq.IDENTITY, b"executor")
        rig.executor.connect()
        clone.send_multipart([b"{}", b"x" * 32])
        assert rig.executor.open("c1")["data"]["state"] == "done"
        assert other.receive("command", 0.05) is None


def test_a_flood_does_not_keep_the_executor_out(zmq_rig: Rig) -> None:
    link = zmq_rig.link
    zmq_rig.terminal.control("clear_stats")
    for number in range(3000):
        link.dealer(f"flood{number % 5}").send_multipart([b"x" * 1000, b"y" * 32], zmq.NOBLOCK)
    link.dealer("many").send_multipart([b""] * 20_000)
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"
    assert longest_turn_ms(zmq_rig) < LONGEST_TURN_MS


def test_bytes_that_are_no_zmtp(zmq_rig: Rig) -> None:
    for rubbish in (
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(5000),
        b"\xff" + b"\0" * 8 + b"\x7f\x03\0NULL" + b"\xff" * 500,
    ):
        with socket.create_connection(("127.0.0.1", zmq_rig.terminal.command_port)) as raw:
            raw.sendall(rubbish)
    assert zmq_rig.executor.open("c1")["data"]["state"] == "done"


# -------------------------------------------------------------- the front without a DLL reads ZMTP itself

GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\0NULL" + b"\0" * 48
READY = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0"


class RawServer:
    """A listening socket that speaks to the EA byte by byte."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(10)
        self._connections: list[socket.socket] = []

    def accept(self) -> socket.socket:
        connection, _ = self._listener.accept()
        connection.settimeout(10)
        self._connections.append(connection)
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._connections, self._listener):
            one.close()


def read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        assert chunk, "closed by the EA"
        data += chunk
    return data


def read_frame(connection: socket.socket) -> tuple[int, bytes]:
    flags, size = read(connection, 2)
    if flags & 2:
        (size,) = struct.unpack(">Q", bytes([size]) + read(connection, 7))
    return flags, read(connection, size)


def is_closed(connection: socket.socket) -> bool:
    try:
        return any(connection.recv(65536) == b"" for _ in range(50))
    except ConnectionError:
        return True


@pytest.fixture
def deaf_rig(make_rig: RigMaker) -> Rig:
    """An EA without a DLL, and nobody on its port."""
    rig = make_rig("MedullaNoDll", connect=False)
    rig.link.__exit__(None, None, None)
    return rig


def test_zmtp_as_written(deaf_rig: Rig) -> None:
    with RawServer(deaf_rig.terminal.command_port) as server:
        connection = server.accept()
        connection.sendall(GREETING)
        assert read(connection, 64)[:16] == GREETING[:16]
        flags, ready = read_frame(connection)
        assert (flags, ready) == (4, b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER")
        connection.sendall(READY + b"\x04\x09\x04PING\0\x05ab")
        frames = [read_frame(connection) for _ in range(3)]
        assert (4, b"\x04PONGab") in frames
        body, mac = (frame for flags, frame in frames if not flags & 4)
        assert seal(deaf_rig.terminal.key, body) == mac
        assert json.loads(body)["here"] in ("command", "stop")
        connection.sendall(b"\x04\x08\x07UNKNOWN" + b"\0\x01x" + b"\x01\x01x" * 70 + b"\0\x01x")
        connection.sendall(b"\x04\x06\x05ERROR")
        assert is_closed(connection)


@pytest.mark.parametrize(
    "answer",
    [
        b"GET / HTTP/1.1\r\n\r\n" + b" " * 64,
        b"\xff" + b"\0" * 8 + b"\x7f\x01\0NULL" + b"\0" * 48,
        b"\xff" + b"\0" * 8 + b"\x7f\x03\0CURVE" + b"\0" * 47,
        GREETING + b"\0\x05hello",
        GREETING + READY + b"\xf8\x01x",
        GREETING + READY + b"\x02" + b"\xff" * 8,
        GREETING + READY + b"\x02" + struct.pack(">Q", 10**6),
        GREETING + READY + b"\x04\x06\x05ERROR",
    ],
)
def test_a_server_that_is_none_is_left_and_tried_again(deaf_rig: Rig, answer: bytes) -> None:
    terminal = deaf_rig.terminal
    with RawServer(terminal.command_port) as commands, RawServer(terminal.stream_port) as stops:
        for connection in (commands.accept(), stops.accept()):
            connection.sendall(answer)
            assert is_closed(connection)
            connection.close()
    with Link(deaf_rig.terminal) as link:
        assert Executor(link).connect().open("c1")["data"]["state"] == "done"


def test_a_server_that_says_nothing_is_left(deaf_rig: Rig) -> None:
    with RawServer(deaf_rig.terminal.command_port) as server:
        connection = server.accept()
        read(connection, 64)
        deaf_rig.terminal.control("advance 4000")
        assert is_closed(connection)
