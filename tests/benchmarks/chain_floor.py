"""What the chain costs with nothing in it: the floor that Medulla's own latency is to be held against, in the same run.

Three processes as in the demo: a WebSocket server sends a small frame, the middle verifies an Ed25519 signature, appends to a
file in a thread and syncs it, asks a ZeroMQ peer, appends and syncs again, and answers. No rules, no journal, no JSON.
Run: python -m tests.benchmarks.chain_floor [frames]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from queue import SimpleQueue

import websockets.asyncio.client
import websockets.asyncio.server
import zmq
import zmq.asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FRAME = b"x" * 600
BETWEEN = 0.01
"""Seconds between two frames: as cold as a demo at 100 commands a second."""


class SyncedFile:
    """Appends 1 KiB and syncs it, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.pwrite(
            self._descriptor, bytes(4 << 20), 0
        )  # its length from the start, as the journal's log has it
        os.fsync(self._descriptor)
        self._loop = asyncio.get_running_loop()
        self._asked: SimpleQueue[asyncio.Future[None]] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        offset = 0
        while True:
            done = self._asked.get()
            os.pwrite(self._descriptor, FRAME, offset % (4 << 20))
            os.fdatasync(self._descriptor)
            offset += 1024
            self._loop.call_soon_threadsafe(done.set_result, None)

    def append(self) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        self._asked.put(done)
        return done


async def middle(brain: str, terminal: str, folder: str) -> None:
    file = SyncedFile(Path(folder) / "log")
    key = Ed25519PrivateKey.generate()
    signature, public = key.sign(FRAME), key.public_key()
    with zmq.asyncio.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(f"tcp://127.0.0.1:{terminal}")
        async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{brain}", compression=None) as link:
            async for frame in link:
                public.verify(signature, FRAME)
                await file.append()
                await socket.send(FRAME)
                await socket.recv()
                await file.append()
                await link.send(frame)


async def terminal() -> None:
    with zmq.asyncio.Context() as context, context.socket(zmq.ROUTER) as socket:
        sys.stdout.write(f"{socket.bind_to_random_port('tcp://127.0.0.1')}\n")
        sys.stdout.flush()
        while True:
            await socket.send_multipart(await socket.recv_multipart())


async def measure(frames: int) -> list[float]:
    """Milliseconds from send to receive, sorted."""
    taken: list[float] = []
    finished = asyncio.Event()

    async def talk(link: websockets.asyncio.server.ServerConnection) -> None:
        for _ in range(frames):
            start = time.perf_counter()
            await link.send(FRAME)
            await link.recv()
            taken.append((time.perf_counter() - start) * 1000)
            await asyncio.sleep(BETWEEN)
        finished.set()

    async with websockets.asyncio.server.serve(talk, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        own = [sys.executable, "-m", "tests.benchmarks.chain_floor"]
        with tempfile.TemporaryDirectory() as folder:
            peer = await asyncio.create_subprocess_exec(*own, "terminal", stdout=asyncio.subprocess.PIPE)
            line = (await peer.stdout.readline()).decode().strip() if peer.stdout is not None else ""
            between = await asyncio.create_subprocess_exec(*own, "middle", str(port), line, folder)
            try:
                async with asyncio.timeout(60 + frames):
                    await finished.wait()
            finally:
                for process in (between, peer):
                    process.terminate()
                    await process.wait()
    return sorted(taken[len(taken) // 10 :])


def main() -> None:
    match sys.argv[1:]:
        case ["terminal"]:
            asyncio.run(terminal())
        case ["middle", brain, port, folder]:
            asyncio.run(middle(brain, port, folder))
        case rest:
            taken = asyncio.run(measure(int(rest[0]) if rest else 500))
            p50, p95, p99 = (
                taken[min(len(taken) - 1, int(len(taken) * share))] for share in (0.5, 0.95, 0.99)
            )
            sys.stdout.write(
                f"floor of the chain, ms: p50 {p50:.2f}  p95 {p95:.2f}  p99 {p99:.2f}  n {len(taken)}\n"
            )


if __name__ == "__main__":
    main()
