"""Who is let in: tokens, scopes, hosts, origins, sizes; over a real socket."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from .fake_control import FakeControl
from .running import TOKENS, raw_client, serving

LOOKING = ["/status", "/positions", "/orders", "/commands", "/commands/c-1", "/journal/rows", "/metrics"]
ACTING = [
    "/emergency-stop",
    "/pause",
    "/reset/challenge",
    "/reset",
    "/resume",
    "/unknown/c-1/acknowledge",
    "/limits/max_daily_loss/reenable",
    "/operate",
    "/brain/retry",
]


async def test_health_needs_no_token_and_says_nothing_but_alive_and_ready() -> None:
    async with serving(FakeControl()) as server, raw_client(server, None) as client:
        assert (await client.get("/health")).json() == {"alive": True, "ready": True}


@pytest.mark.parametrize(
    "token", [None, "x", "wrong-token-0123456789", TOKENS.control[:-1], TOKENS.control + "x"]
)
async def test_without_the_right_token_nothing_is_shown_and_nothing_is_done(token: str | None) -> None:
    control = FakeControl()
    async with serving(control) as server, raw_client(server, token) as client:
        answers = [await client.get(path) for path in LOOKING] + [await client.post(path) for path in ACTING]
        assert {answer.status_code for answer in answers} == {401}
        assert {answer.json()["code"] for answer in answers} == {"TOKEN_REQUIRED"}
    assert control.asked == []


async def test_the_read_token_looks_and_cannot_act() -> None:
    control = FakeControl()
    async with serving(control) as server, raw_client(server, TOKENS.read) as client:
        assert {(await client.get(path)).status_code for path in LOOKING} == {200}
        refused = [await client.post(path) for path in ACTING]
        assert {answer.status_code for answer in refused} == {403}
        assert {answer.json()["code"] for answer in refused} == {"SCOPE_TOO_SMALL"}
    assert control.asked == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "[::1]:80", ""]
)
async def test_another_host_name_is_refused_even_with_the_token(host: str) -> None:
    control = FakeControl()
    async with serving(control) as server, raw_client(server, TOKENS.control) as client:
        answer = await client.post("/emergency-stop", headers={"Host": host})
        assert answer.status_code in {400, 403}
        assert (await client.get("/status", headers={"Host": f"localhost:{server.port}"})).status_code == 200
    assert control.asked == []


async def test_a_web_page_is_refused_and_no_cross_origin_header_is_given() -> None:
    async with serving(FakeControl()) as server, raw_client(server, TOKENS.control) as client:
        answer = await client.get("/status", headers={"Origin": "https://evil.example"})
        assert answer.json()["code"] == "BROWSER_REFUSED"
        preflight = await client.options("/pause", headers={"Origin": "https://evil.example"})
        assert preflight.status_code == 403
        assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    control = FakeControl()
    async with serving(control) as server, raw_client(server, TOKENS.control) as client:
        answer = await client.post("/pause", content=b"x" * 70_000)
        assert answer.status_code == 413

        async def endless() -> asyncio.AsyncIterator[bytes]:  # type: ignore[name-defined]
            yield b"{}"

        assert (await client.post("/pause", content=endless())).json()["code"] == "LENGTH_REQUIRED"
    assert control.asked == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense-nonsense"}])
async def test_the_stream_needs_a_token_too(headers: dict[str, str]) -> None:
    async with serving(FakeControl()) as server:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{server.port}/stream", additional_headers=headers, proxy=None)
