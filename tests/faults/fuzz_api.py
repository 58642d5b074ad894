"""Requests at the local API, spoiled in address, headers and body, straight at the application behind its guard.

An engine that only remembers what it was asked stands behind it (tests/api/fake_control.py): what reaches it was accepted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from app.api.guard import Guard
from app.api.routes import create_app
from app.api.tokens import Tokens
from app.domain.errors import MedullaError
from tests.api.fake_control import WORD, FakeControl
from tests.faults import fuzz_judge
from tests.faults.fuzz_source import Spoiler
from tests.faults.fuzz_verdict import Refuted

PORT = 47811
_NAMED = re.compile(r".{0,80}: +\S", re.DOTALL)
"""A field may have any name here, none included: it is the sender's."""
TOKENS = Tokens("control-token-of-the-fuzzing", "read-token-of-the-fuzzing")


@dataclass(frozen=True, slots=True)
class Act:
    """A route that does something: the engine's method behind it, fields with their kinds, a right body."""

    path: str
    method: str
    good: Mapping[str, Any]
    kinds: Mapping[str, str] = field(default_factory=dict)


PERSON = {"by": "person"}
ACTS = [
    Act(
        "/emergency-stop",
        "stop",
        {"reason": "fuzz", "by": "me", "close_positions": True},
        PERSON | {"reason": "sentence", "close_positions": "bool"},
    ),
    Act("/pause", "pause", {"reason": "fuzz", "by": "me"}, PERSON | {"reason": "sentence"}),
    Act(
        "/reset",
        "reset",
        {"word": WORD, "note": "n", "by": "me"},
        PERSON | {"word": "person", "note": "sentence"},
    ),
    Act("/resume", "resume", {"by": "me"}, PERSON),
    Act(
        "/unknown/c-1/acknowledge",
        "acknowledge_unknown",
        {"note": "n", "by": "me"},
        PERSON | {"note": "note"},
    ),
    Act(
        "/limits/max_daily_loss/reenable",
        "reenable_limit",
        {"note": "n", "by": "me"},
        PERSON | {"note": "note"},
    ),
    Act(
        "/operate",
        "operate",
        {"action": "CLOSE_POSITION", "ticket": "7", "volume": "0.10", "by": "me"},
        PERSON
        | {"action": "action", "ticket": "digits", "volume": "amount", "symbol": "text", "magic": "digits"}
        | dict.fromkeys(("price", "stop_limit_price", "stop_loss", "take_profit"), "amount"),
    ),
]
LOOKS = [
    "/status",
    "/positions",
    "/orders",
    "/quotes",
    "/commands",
    "/commands/c-1",
    "/journal/rows",
    "/metrics",
    "/stop-receipt",
    "/health",
]
ACTIONS = {"CLOSE_POSITION", "CLOSE_ALL", "CANCEL_ORDER", "MODIFY_POSITION", "MODIFY_ORDER"}
OPERATE: list[dict[str, Any]] = [
    {"action": "CLOSE_ALL", "symbol": "EURUSD", "magic": "7"},
    {"action": "CANCEL_ORDER", "ticket": "7"},
    {"action": "MODIFY_POSITION", "ticket": "18446744073709551615", "stop_loss": "0", "take_profit": "1.2"},
    {"action": "MODIFY_ORDER", "ticket": 7, "price": "1.1", "stop_limit_price": "1.2"},
]


def fits(value: Any, kind: str) -> bool:
    """Whether a value of the body may stand in a field of this kind."""
    if isinstance(value, fuzz_judge.Number):
        if kind == "digits":
            return value.whole
        return kind == "amount"
    if kind == "bool":
        return value is None or isinstance(value, bool)
    if value is None:
        return kind in ("digits", "amount", "text")
    if not isinstance(value, str):
        return False
    match kind:
        case "person":
            return 1 <= len(value) <= 100
        case "sentence":
            return len(value) <= 500
        case "note":
            return 1 <= len(value) <= 500
        case "action":
            return value in ACTIONS
        case "digits":
            return value.isascii() and value.isdigit() and len(value) <= 20
        case "amount":
            try:
                return Decimal(value).is_finite()
            except InvalidOperation:
                return False
        case _:
            return True


@dataclass(slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    token: str
    act: Act | None = None


class ApiTarget:
    """The application; `try_one` sends it one request."""

    name = "local API"

    def __init__(self, seed: int) -> None:
        self.spoiler = Spoiler(seed)
        self.control = FakeControl()
        self.app = Guard(create_app(self.control), tokens=TOKENS, port=lambda: PORT)
        self.outcomes: Counter[str] = Counter()

    def _request(self) -> Asked:
        chance = self.spoiler.random
        act: Act | None = None
        body = b""
        method, query = "GET", ""
        if chance.random() < 0.75:
            act = chance.choice(ACTS)
            method, path = "POST", act.path
            good = chance.choice([dict(act.good), *(OPERATE if act.method == "operate" else [])])
            body = self.spoiler.bytes_of(self.spoiler.spoil(good, sound=0.15))
        else:
            path = chance.choice(LOOKS)
            if chance.random() < 0.5:
                name = chance.choice(("limit", "after", "Limit", ""))
                value = chance.choice(
                    ("1", "0", "-1", "1e3", "٣", "9" * 19, "9" * 5000, "", " 7", "0x1", "1_0", "%00")
                )
                query = f"{name}={value}"
        if chance.random() < 0.1:
            path = self._path(path)
            act = None
        if chance.random() < 0.05:
            method = chance.choice(
                ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "get", "")
            )
            act = act if method == "POST" else None
        token = chance.choice(
            ("control", "control", "control", "control", "control", "control", "read", "none", "wrong")
        )
        return Asked(method, path, query, self._headers(token, body), body, token, act)

    def _path(self, path: str) -> str:
        chance = self.spoiler.random
        match chance.randrange(6):
            case 0:
                return path + "/"
            case 1:
                return path.upper()
            case 2:
                return (
                    "/unknown/"
                    + chance.choice(("é", "a b", "../x", "x" * 65, "%00", "a\nb", "'", ""))
                    + "/acknowledge"
                )
            case 3:
                return "/commands/" + chance.choice(
                    ("é", "a b", "..", "x" * 65, "x" * 9000, "\x00", "c-1/..", "c-9")
                )
            case 4:
                return "/limits/" + chance.choice(("é", "x" * 9000, "", "\x00")) + "/reenable"
            case _:
                return chance.choice(
                    ("", "/", "//", "/openapi.json", "/docs", "/stream", "*", "/emergency-stop/../status")
                )

    def _headers(self, token: str, body: bytes) -> list[tuple[bytes, bytes]]:
        chance = self.spoiler.random
        held = {"control": TOKENS.control, "read": TOKENS.read, "wrong": "x" * 24}
        found = [(b"host", f"127.0.0.1:{PORT}".encode()), (b"content-length", str(len(body)).encode())]
        if token in held:
            found.append((b"authorization", b"Bearer " + held[token].encode()))
        if chance.random() < 0.06:
            found.append(
                chance.choice(
                    [
                        (b"host", b"evil.example"), (b"origin", b"http://evil.example"), (b"origin", b""),
                        (b"transfer-encoding", b"chunked"),
                        (b"authorization", b"Basic x"), (b"content-type", b"text/plain"), (b"content-type",
                        b"\xff\xfe"), (b"x", b"\xff" * 300),
                        (b"cookie", b"a=b"),
                    ]
                )
            )  # fmt: skip
        if chance.random() < 0.02:
            found[1] = (
                b"content-length",
                chance.choice((b"-1", b"x", b"9" * 5000, b"", "٣".encode(), b"65537", b"1e3")),
            )
        if chance.random() < 0.02:
            found[0] = (
                b"host",
                chance.choice(
                    (b"127.0.0.1", b"localhost:1", b"[::1]:80", b"", b"127.0.0.1:x", b"127.0.0.1:47811:1")
                ),
            )
        return found

    async def try_one(self) -> None:
        """Raises Refuted."""
        await self.send(self._request())

    async def send(self, asked: Asked) -> tuple[int, bytes]:
        """Send and judge; status and body. Raises Refuted."""
        self.control.asked.clear()
        sent: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": asked.body, "more_body": False}]

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": asked.method,
            "scheme": "http", "path": asked.path,
            "raw_path": asked.path.encode(), "query_string": asked.query.encode(), "root_path": "",
            "headers": asked.headers,
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", PORT),
        }  # fmt: skip
        try:
            await self.app(scope, receive, send)
        except (Exception, MedullaError) as fault:
            raise Refuted(f"{type(fault).__name__}: {fault} for {asked}") from fault
        status = int(sent[0]["status"])
        body = b"".join(message.get("body", b"") for message in sent[1:])
        self._judge(asked, status, body)
        return status, body

    def _judge(self, asked: Asked, status: int, body: bytes) -> None:
        self.outcomes[str(status)] += 1
        did = [name for name, _ in self.control.asked]
        if status >= 500:
            raise Refuted(f"{status} {body!r} for {asked}")
        if status >= 400 and asked.method != "HEAD":
            said = fuzz_judge.read(body.decode())
            if set(said) != {"code", "message"} or not said["code"] or not said["message"]:
                raise Refuted(f"the refusal says too little: {body!r} for {asked}")
            if said["code"] == "INVALID_REQUEST" and not _NAMED.match(said["message"]):
                raise Refuted(f"the refusal names no field and rule: {body!r} for {asked}")
        if not did:
            return
        if asked.token != "control" or len(asked.headers) == 2:
            raise Refuted(f"{did} without the right token for {asked}")
        if asked.act is not None:
            self._accepted(asked, asked.act, did)

    def _accepted(self, asked: Asked, act: Act, did: list[str]) -> None:
        self.outcomes[f"did {act.method}"] += 1
        if did != [act.method]:
            raise Refuted(f"{did} for {asked}")
        try:
            given = fuzz_judge.read(asked.body.decode()) if asked.body.strip() else {}
        except (fuzz_judge.NotStrict, UnicodeDecodeError):
            raise Refuted(f"accepted a body that is not strict JSON: {asked}") from None
        wrong = [
            name for name, value in given.items() if name not in act.kinds or not fits(value, act.kinds[name])
        ]
        if wrong:
            raise Refuted(f"accepted {', '.join(wrong)}: {asked}")
