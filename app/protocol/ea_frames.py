"""The terminal's wire: frames, macs and envelopes (mql5_ea/EA_PROTOCOL.md §2).

Single fields are read in ea_fields.py; what the payloads mean is in ea_messages.py; sessions, sequence and deadlines are in
ea_session.py (the terminal's half) and ea_client_session.py (ours).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.protocol import strict_json
from app.protocol.ea_fields import BadFrame, int_field, maybe_text_field, text_field

VERSION = 1
MAC_SIZE = 32
MAX_REQUEST = 256 * 1024
"""Bytes of a body that the executor sends, and of an event."""
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of a terminal's answer: some ten thousand positions, orders and deals. An account that is larger than one answer could
never be reconciled."""
TRADES = frozenset({"open", "place", "modify", "close", "cancel", "close_all"})
"""Commands that need a `cid` and go through the terminal's ledger."""


@dataclass(frozen=True, slots=True)
class Request:
    """Executor → terminal. `ts` is milliseconds on the session clock, `ttl` milliseconds."""

    cmd: str
    id: int
    sid: str
    epoch: int
    ts: int
    ttl: int
    args: Mapping[str, Any] = field(default_factory=dict)
    cid: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """Terminal → executor: the one answer to request `re`."""

    sid: str
    re: int
    ok: bool
    code: str | None = None
    message: str | None = None
    cid: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Terminal → everybody. `seq` counts from 1 for each `ev` within one `boot`."""

    boot: str
    seq: int
    ts: int
    ev: str
    data: Mapping[str, Any]

    @property
    def topic(self) -> str:
        return f"tick.{self.data['symbol']}" if self.ev == "tick" else self.ev


def encode_request(request: Request) -> bytes:
    body: dict[str, Any] = {"v": VERSION, "from": "executor", "sid": request.sid, "id": request.id}
    if request.cid is not None:
        body["cid"] = request.cid
    body |= {
        "epoch": request.epoch,
        "ts": request.ts,
        "ttl": request.ttl,
        "cmd": request.cmd,
        "args": dict(request.args),
    }
    return strict_json.dumps(body).encode()


def encode_reply(reply: Reply) -> bytes:
    body = {
        "v": VERSION,
        "from": "terminal",
        "sid": reply.sid,
        "re": reply.re,
        "cid": reply.cid,
        "ok": reply.ok,
        "code": reply.code,
        "message": reply.message,
        "data": dict(reply.data),
    }
    return strict_json.dumps(body).encode()


def encode_event(event: StreamEvent) -> bytes:
    body = {
        "v": VERSION,
        "from": "terminal",
        "boot": event.boot,
        "seq": event.seq,
        "ts": event.ts,
        "ev": event.ev,
        "data": dict(event.data),
    }
    return strict_json.dumps(body).encode()


def seal(key: bytes, body: bytes) -> bytes:
    """The 32 bytes that prove a holder of the key wrote `body`."""
    return hmac.digest(key, body, hashlib.sha256)


def open_sealed(key: bytes, body: bytes, mac: bytes, *, largest: int = MAX_REQUEST) -> dict[str, Any]:
    """Check the mac first, then read. Raises BadFrame."""
    if len(body) > largest:
        raise BadFrame(f"larger than {largest // 1024} KiB")
    if len(mac) != MAC_SIZE or not hmac.compare_digest(seal(key, body), mac):
        raise BadFrame("wrong mac")
    try:
        message = strict_json.loads(body)
    except strict_json.InvalidJson as fault:
        raise BadFrame(fault.rule) from None
    if int_field(message, "v") != VERSION:
        raise BadFrame(f"v must be {VERSION}")
    return message


def decode_request(message: Mapping[str, Any]) -> Request:
    """Raises BadFrame for anything that is not a request of the executor."""
    if message.get("from") != "executor":
        raise BadFrame("not from the executor")
    args = message.get("args", {})
    cid = message.get("cid")
    if not isinstance(args, dict) or not (cid is None or isinstance(cid, str)):
        raise BadFrame("args must be an object and cid a string")
    return Request(
        cmd=text_field(message, "cmd"),
        id=int_field(message, "id"),
        sid=text_field(message, "sid"),
        epoch=int_field(message, "epoch"),
        ts=int_field(message, "ts"),
        ttl=int_field(message, "ttl"),
        args=args,
        cid=cid,
    )


def decode_reply(message: Mapping[str, Any]) -> Reply:
    """Raises BadFrame for anything that is not a reply of the terminal."""
    if message.get("from") != "terminal":
        raise BadFrame("not from the terminal")
    ok, data = message.get("ok"), message.get("data")
    if not isinstance(ok, bool) or not isinstance(data, dict | None):
        raise BadFrame("ok must be true or false and data an object")
    return Reply(
        sid=text_field(message, "sid"),
        re=int_field(message, "re"),
        ok=ok,
        code=maybe_text_field(message, "code"),
        message=maybe_text_field(message, "message"),
        cid=maybe_text_field(message, "cid"),
        data=data or {},
    )


def decode_event(message: Mapping[str, Any]) -> StreamEvent:
    """Raises BadFrame for anything that is not a stream event of the terminal."""
    data = message.get("data")
    if message.get("from") != "terminal" or not isinstance(data, dict):
        raise BadFrame("not a stream event of the terminal")
    return StreamEvent(
        boot=text_field(message, "boot"),
        seq=int_field(message, "seq"),
        ts=int_field(message, "ts"),
        ev=text_field(message, "ev"),
        data=data,
    )


def content_hash(cmd: str, args: Mapping[str, Any]) -> str:
    """What makes two requests with one cid the same: SHA-256 (hex) over cmd and args (§4, the ledger)."""
    return hashlib.sha256(strict_json.dumps({"cmd": cmd, "args": dict(args)}).encode()).hexdigest()
