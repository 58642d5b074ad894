"""Who may speak to the local API: ASGI middleware in front of every route. Looking needs the token of the scope `read`, acting
that of `control`. The Host check defeats DNS rebinding; browsers have no business here, so there is no CORS and no Origin passes.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.api.tokens import Scope, Tokens

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY = 65_536
_MOST_DIGITS = 20
_OPEN_PATHS = frozenset({"/health"})
_NAMES = frozenset({"127.0.0.1", "localhost"})
_POLICY_VIOLATION = 1008


class Guard:
    """Refuses before anything of the request is interpreted."""

    def __init__(self, app: App, *, tokens: Tokens, port: Callable[[], int]) -> None:
        self._app = app
        self._tokens = tokens
        self._port = port

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Closed before it is accepted: the client sees the handshake answered with 403.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal[1]})
        else:
            await _answer(send, *refusal)

    def _refusal(self, scope: MutableMapping[str, Any]) -> tuple[int, str, str] | None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        if not self._host_is_ours(headers.get(b"host", [])):
            return 403, "WRONG_HOST", "The Host header must be 127.0.0.1 or localhost with the API's port."
        if b"origin" in headers:
            return 403, "BROWSER_REFUSED", "Requests from web pages are refused."
        length = headers.get(b"content-length", [b"0"])[0]
        if not length.isdigit() or len(length) > _MOST_DIGITS or int(length) > MAX_BODY:
            return 413, "BODY_TOO_LARGE", f"A request has at most {MAX_BODY} bytes."
        if b"transfer-encoding" in headers:
            return 411, "LENGTH_REQUIRED", "A request must state its Content-Length."
        if scope["path"] in _OPEN_PATHS:
            return None
        return self._token_refusal(scope, headers.get(b"authorization", []))

    def _token_refusal(
        self, scope: MutableMapping[str, Any], authorization: list[bytes]
    ) -> tuple[int, str, str] | None:
        kind, _, presented = (authorization[0] if len(authorization) == 1 else b"").partition(b" ")
        held = None
        if kind.lower() == b"bearer":
            held = self._tokens.scope_of(presented.strip().decode("latin-1"))
        if held is None:
            return (
                401,
                "TOKEN_REQUIRED",
                "Send 'Authorization: Bearer <token>'; the token is in api.token_file.",
            )
        looks_only = scope["type"] == "websocket" or scope["method"] in {"GET", "HEAD"}
        if held is Scope.READ and not looks_only:
            return 403, "SCOPE_TOO_SMALL", "This token may only look; acting needs the one in api.token_file."
        return None

    def _host_is_ours(self, hosts: list[bytes]) -> bool:
        if len(hosts) != 1:
            return False
        name, _, port = hosts[0].decode("latin-1").lower().partition(":")
        return name in _NAMES and port == str(self._port())


async def _answer(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"code": code, "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
