"""Frames at the terminal's half of its wire: the simulated terminal behind its sockets.

The compiled Expert Advisor has its own (tests/mql5_host).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.protocol.ea_frames import Reply, Request, seal
from app.sim.config import SimConfig
from app.sim.terminal import SimulatedTerminal
from tests.faults import fuzz_judge
from tests.faults.fuzz_frames import KEY, NONCE
from tests.faults.fuzz_source import Spoiler, dump
from tests.faults.fuzz_verdict import NAMED, Refuted


class TerminalTarget:
    """The simulated terminal behind its sockets. Use it in `async with`."""

    name = "terminal wire, simulated terminal's half"
    _CID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

    def __init__(self, seed: int, folder: Path) -> None:
        self.spoiler = Spoiler(seed)
        (folder / "terminal.key").write_text(KEY.hex())
        config = SimConfig(
            command_port=0,
            stream_port=0,
            key_file=folder / "terminal.key",
            ledger=folder / "ledger.jsonl",
            tick_rate=0,
            balance=Decimal(10**9),
        )
        self.terminal: Any = SimulatedTerminal(config)
        self.outcomes: Counter[str] = Counter()
        self.replies: list[Reply] = []
        self.effects: list[Any] = []
        self.sid = ""
        self.id = 0
        self.cids = 0
        self.done: Counter[tuple[str, str]] = Counter()

    async def __aenter__(self) -> TerminalTarget:
        await self.terminal.__aenter__()
        reply, effect = self.terminal._reply, self.terminal._on_effect

        def keep(peer: bytes, request: Request, answer: Reply) -> None:
            self.replies.append(answer)
            reply(peer, request, answer)

        def note(change: Any) -> None:
            self.effects.append(change)
            effect(change)

        self.terminal._reply = keep
        self.terminal._on_effect = note
        self.terminal.life.broker.listen = note
        return self

    async def __aexit__(self, *fault: Any) -> None:
        await self.terminal.__aexit__(*fault)

    async def _send(self, body: bytes, mac: bytes | None = None) -> None:
        await self.terminal._take([b"peer", body, seal(KEY, body) if mac is None else mac])

    def _request(
        self, cmd: str, args: Mapping[str, Any], cid: str | None = None, **more: Any
    ) -> dict[str, Any]:
        self.id += 1
        life = self.terminal.life
        found = {"v": 1, "from": "executor", "sid": self.sid, "id": self.id}
        if cid is not None:
            found["cid"] = cid
        rest = {"epoch": life.sessions.epoch, "ts": self.terminal_ms(), "ttl": 5000, "cmd": cmd, "args": args}
        return found | rest | more

    def terminal_ms(self) -> int:
        """Milliseconds on the session clock, which began at zero."""
        session = self.terminal.life.sessions.command
        return 0 if session is None else int((self.terminal.clock.monotonic() - session.opened) * 1000)

    async def _session(self) -> None:
        """A session that trades, not stopped, whatever the frame before has done."""
        sessions = self.terminal.life.sessions
        for _ in range(4):
            active = sessions.command
            if active is not None and active.sid == self.sid and self.id < active.last_id < 2**40:
                self.id = active.last_id
            mine = (
                active is not None
                and active.sid == self.sid
                and not active.lapsed
                and active.last_id <= self.id
            )
            if mine and not self.terminal.life.state.stopped:
                return
            if mine:
                await self._send(dump(self._request("resume", {}, epoch=sessions.epoch + 1)).encode())
                continue
            self.replies.clear()
            args = {
                "nonce": NONCE,
                "role": "command",
                "instance": "0" * 32,
                "executor": "exec_fuzz",
                "version": "0",
            }
            await self._send(dump(self._request("hello", args, sid="", id=0, ts=0)).encode())
            self.sid, self.id = self.replies[-1].sid, 0
            await self._send(dump(self._request("heartbeat", {})).encode())
        raise Refuted("the terminal opens no session any more")

    def _case(self) -> dict[str, Any]:
        chance = self.spoiler.random
        self.cids += 1
        cid = f"c-{self.cids}"
        terms = {"deviation": 20, "tag": "aB3dE6gH", "max_attempts": 1}
        trade = terms | {"symbol": "EURUSD", "magic": "77", "comment": "aB3dE6gH#x"}
        book = self.terminal.life.broker.book
        position = str(next(iter(book.positions), 10001234))
        order = str(next(iter(book.orders), 10001234))
        match chance.randrange(14):
            case 0 | 1 | 2:
                return self._request(
                    "open",
                    trade | {"side": chance.choice(("BUY", "SELL")), "volume": "0.10", "sl": "0.5"},
                    cid,
                )
            case 3:
                pending = {name: value for name, value in trade.items() if name != "deviation"}
                return self._request(
                    "place",
                    pending
                    | {
                        "kind": "BUY_LIMIT",
                        "volume": "0.10",
                        "price": "0.90000",
                        "expiration": 1900000000000,
                    },
                    cid,
                )
            case 4:
                return self._request(
                    "modify", {"target": "position", "ticket": position, "sl": "0.4", "tp": "0"}, cid
                )
            case 5:
                return self._request("modify", {"target": "order", "ticket": order, "price": "0.8"}, cid)
            case 6:
                return self._request("close", terms | {"ticket": position, "volume": "0.05"}, cid)
            case 7:
                return self._request("cancel", {"ticket": order}, cid)
            case 8:
                return self._request("close_all", terms | {"symbol": "EURUSD"}, cid)
            case 9:
                return self._request(
                    "find",
                    {"since": 0, "symbol": "EURUSD", "tag": "aB3dE6gH"},
                    f"c-{chance.randint(1, self.cids)}",
                )
            case 10:
                return self._request("history", {"from": 0, "to": 1900000000000})
            case 11:
                return self._request("subscribe", {"symbols": ["EURUSD"], "min_interval": 100})
            case 12:
                cmd = chance.choice(
                    (
                        "snapshot",
                        "heartbeat",
                        "account",
                        "positions",
                        "orders",
                        "symbol",
                        "quotes",
                        "unsubscribe",
                        "bye",
                    )
                )
                return self._request(cmd, {"symbol": "EURUSD", "symbols": ["EURUSD"]})
            case _:
                return self._request(
                    "stop",
                    {"reason": "fuzz", "cancel_orders": True, "close_positions": chance.random() < 0.5},
                )

    async def try_one(self) -> None:
        """Raises Refuted."""
        body = b""
        try:
            await self._session()
            message = self._case()
            body = self.spoiler.bytes_of(self.spoiler.spoil(message, sound=0.15))
            self.replies.clear()
            self.effects.clear()
            chance = self.spoiler.random
            if chance.random() < 0.1:
                wrong = bytearray(seal(KEY, body))
                wrong[chance.randrange(32)] ^= 1 << chance.randrange(8)
                await self._send(body, bytes(wrong))
                self._nothing("without a right mac")
                return
            await self._send(body)
        except Refuted:
            raise
        except Exception as fault:
            raise Refuted(f"{type(fault).__name__}: {fault} for {body!r}") from fault
        self._judge(body)

    def _nothing(self, why: str) -> None:
        self.outcomes[why] += 1
        if self.replies or self.effects:
            raise Refuted(f"a frame {why} had an effect")

    def _judge(self, body: bytes) -> None:
        try:
            message = fuzz_judge.read(body.decode())
        except (fuzz_judge.NotStrict, UnicodeDecodeError):
            self._nothing("that is not strict JSON")
            return
        envelope = (
            isinstance(message.get("v"),
            fuzz_judge.Number) and message["v"] == "1" and message.get("from") == "executor"
            and all(isinstance(message.get(n), fuzz_judge.Number) and message[n].whole for n in ("id", "epoch",
            "ts", "ttl"))
            and isinstance(message.get("args", {}), dict) and isinstance(message.get("cmd"), str)
        )  # fmt: skip
        if not envelope:
            self._nothing("with a wrong envelope")
            return
        for reply in self.replies:
            self.outcomes["ok" if reply.ok else str(reply.code)] += 1
            if reply.code == "INVALID_ARGS" and not NAMED.match(reply.message or ""):
                raise Refuted(f"the refusal names no field and rule: {reply.message!r} for {body!r}")
        if self.effects and message["cmd"] != "stop":
            self._right_trade(message, body)

    def _right_trade(self, message: Mapping[str, Any], body: bytes) -> None:
        args, cid = message["args"], message.get("cid")
        self.outcomes["traded"] += 1
        if not isinstance(cid, str) or isinstance(cid, fuzz_judge.Number) or not self._CID.fullmatch(cid):
            raise Refuted(f"traded without a right cid: {body!r}")
        if message.get("sid") != self.sid:
            raise Refuted(f"traded in a foreign session: {body!r}")
        [first, *_] = self.effects
        if message["cmd"] in ("open", "place"):
            self.done[cid, message["cmd"]] += 1
            if self.done[cid, message["cmd"]] > 1:
                raise Refuted(f"traded twice: {body!r}")
            if not isinstance(args.get("volume"), str) or isinstance(args["volume"], fuzz_judge.Number):
                raise Refuted(f"traded a volume that is no text: {body!r}")
            if Decimal(args["volume"]) != first.volume or args.get("symbol") != first.symbol:
                raise Refuted(f"traded {first.volume} {first.symbol}: {body!r}")
