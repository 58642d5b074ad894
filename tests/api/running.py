"""A real server on a loopback port of its own, over a FakeControl."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from app.api.client import ApiClient, Target
from app.api.server import ApiServer
from app.api.tokens import Tokens

from .fake_control import FakeControl

TOKENS = Tokens("control-token-0123456789", "read-token-0123456789")


@asynccontextmanager
async def serving(control: FakeControl, warnings: tuple[str, ...] = ()) -> AsyncIterator[ApiServer]:
    server = ApiServer(control, port=0, tokens=TOKENS, warnings=warnings)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def raw_client(server: ApiServer, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    base = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


@asynccontextmanager
async def api_client(server: ApiServer, token: str = TOKENS.control) -> AsyncIterator[ApiClient]:
    async with ApiClient(Target(server.port, token)) as client:
        yield client
