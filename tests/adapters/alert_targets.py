"""Places that alerts can be sent to, on this machine: a webhook and a mail server, each in a thread, keeping what they got."""

from __future__ import annotations

import json
import queue
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """Answers POST with `status`; while `hold` is set it does not answer at all."""

    def __init__(self) -> None:
        self.got: queue.Queue[dict[str, Any]] = queue.Queue()
        self.status = 200
        self.hold = threading.Event()
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.put(json.loads(body))
                if outer.hold.is_set():
                    outer.released.wait(20)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def next(self, timeout: float = 20.0) -> dict[str, Any]:
        return self.got.get(timeout=timeout)

    def about(self, words: str, timeout: float = 60.0) -> dict[str, Any]:
        """The next one with these words in its title; a busy machine has others to tell of."""
        while words not in (got := self.next(timeout))["title"]:
            pass
        return got


@contextmanager
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        hook.released.set()
        hook.server.shutdown()
        thread.join(20)
        hook.server.server_close()


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs to get rid of one message."""

    def handle(self) -> None:
        self._say("220 sink")
        lines: list[str] = []
        while line := self.rfile.readline():
            verb = line.decode().strip().upper()
            if verb == "DATA":
                self._say("354 go on")
                while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(text)
                self.server.got.put("\n".join(lines))  # type: ignore[attr-defined]
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class MailSink(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.got: queue.Queue[str] = queue.Queue()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    sink = MailSink()
    thread = threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield sink
    finally:
        sink.shutdown()
        thread.join(20)
        sink.server_close()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
