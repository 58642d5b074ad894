"""The local API on the engine's own loop: the server that carries its routes on 127.0.0.1, and when it begins and ends.

What can be asked stands in routes.py, who may ask it in guard.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Generator, Sequence

import uvicorn

from app.api.guard import Guard
from app.api.routes import create_app
from app.api.settings_routes import End, SettingsDesk
from app.api.tokens import Tokens
from app.domain.errors import ConfigurationError
from app.engine.control import EngineControl
from app.engine.tasks import TaskKeeper

_START_TIMEOUT = 10.0


class _Uvicorn(uvicorn.Server):
    """Uvicorn as a guest: signals belong to the engine, and the host is told when the server listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class ApiServer:
    """The API's socket and tasks. start(), then close(); both on the engine's loop."""

    def __init__(
        self,
        control: EngineControl,
        *,
        port: int,
        tokens: Tokens,
        warnings: Sequence[str] = (),
        settings: SettingsDesk | None = None,
        end: End | None = None,
    ) -> None:
        self._wanted_port = port
        self._port = 0
        self._app = Guard(
            create_app(control, warnings, settings, end), tokens=tokens, port=lambda: self._port
        )
        self._keeper = TaskKeeper("api")
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The bound port; 0 before start()."""
        return self._port

    async def start(self) -> int:
        """Listen on 127.0.0.1 and return the port. Raises ConfigurationError when the port is taken."""
        listener = _listen(self._wanted_port)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            loop="none",
            http="h11",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=64,
            ws_max_size=4096,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
        self._server = _Uvicorn(config)
        self._serving = self._keeper.spawn("server", self._server.serve([listener]))
        async with asyncio.timeout(_START_TIMEOUT):
            await self._server.listening.wait()
        return self._port

    async def close(self) -> None:
        """Let requests under way end (2 s at most), then let go of the socket."""
        if self._server is not None and self._serving is not None and not self._serving.done():
            self._server.should_exit = True
            await asyncio.wait((self._serving,), timeout=5.0)
        await self._keeper.close()


def _listen(port: int) -> socket.socket:
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it every answer takes 40 ms more.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # Without it another program could bind the same port and take our requests.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError as fault:
        listener.close()
        raise ConfigurationError(
            f"api.port: {port}: cannot be opened on 127.0.0.1 ({fault.strerror or fault}): "
            "allowed: a free port, or 0 for any"
        ) from None
    listener.setblocking(False)
    return listener
