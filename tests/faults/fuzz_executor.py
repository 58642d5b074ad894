"""Frames at the executor's half of the terminal's wire: the real adapter behind its sockets.

A right mac on a spoiled body is the harder case: it stands for an Expert Advisor of another version, or for a bug of ours.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import types
import typing
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast

from app.adapters import mt5_wire
from app.adapters.mt5_zmq import ZmqBroker
from app.domain.commands import OpenPosition, TradeCommand
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, ExecutionState
from app.domain.values import CommandId, Side, Symbol, Volume
from app.engine.broker import DispatchTerms, TerminalHello
from app.protocol import ea_messages as messages
from app.protocol.ea_client_session import Identity
from app.protocol.ea_frames import Reply, seal
from tests.fakes.clock import FakeClock
from tests.faults import fuzz_judge
from tests.faults.fuzz_frames import BEAT, EXECUTION, FINDING, KEY, NONCE, QUOTE, SNAPSHOT, SPEC, TRADE
from tests.faults.fuzz_source import Spoiler, dump
from tests.faults.fuzz_verdict import Refuted

TERMS = DispatchTerms(5000, "aB3dE6gH", "aB3dE6gH", 10, 1)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def misfit(value: Any, kind: Any, where: str) -> str | None:
    """Where a value, read from the wire, is not of the type that its field promises; None: nowhere."""
    origin = typing.get_origin(kind)
    if kind is Any:
        return None
    if origin in (typing.Union, types.UnionType):
        faults = [misfit(value, one, where) for one in typing.get_args(kind)]
        return None if None in faults else faults[0]
    if origin is tuple:
        if not isinstance(value, tuple):
            return f"{where} is {value!r}"
        inner = typing.get_args(kind)[0]
        return next((bad for item in value if (bad := misfit(item, inner, f"{where}[]"))), None)
    if kind is None or kind is type(None):
        return None if value is None else f"{where} is {value!r}"
    if (
        not isinstance(kind, type)
        or (isinstance(value, bool) and kind is not bool)
        or not isinstance(value, kind)
    ):
        return None if kind is float and isinstance(value, int) else f"{where} is {value!r}"
    if dataclasses.is_dataclass(value) and not isinstance(value, Enum):
        hints = _hints(cast("Hashable", type(value)))
        return next(
            (
                bad
                for name, hint in hints.items()
                if (bad := misfit(getattr(value, name), hint, f"{where}.{name}"))
            ),
            None,
        )
    return None


class _Listener:
    """Hears what the executor would; each thing must be what its type says."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()

    def _look(self, name: str, value: Any) -> None:
        self.heard[name] += 1
        bad = misfit(value, type(value), name)
        if bad:
            raise Refuted(f"accepted as it must not be: {bad}")

    def on_terminal_up(self, hello: TerminalHello) -> None:
        self._look("up", hello)

    def on_terminal_down(self, reason: str) -> None:
        self.heard["down"] += 1

    def on_terminal_refused(self, code: str, message: str, epoch: int | None) -> None:
        self.heard["refused"] += 1
        if not isinstance(code, str) or not isinstance(message, str):
            raise Refuted(f"a refusal of {code!r}, {message!r}")

    def on_quote(self, quote: Any) -> None:
        self._look("quote", quote)

    def on_trade_event(self, event: Any) -> None:
        self._look("trade", event)

    def on_trade_gap(self) -> None:
        self.heard["gap"] += 1

    def on_heartbeat(self, heartbeat: Any) -> None:
        self._look("heartbeat", heartbeat)

    def on_terminal_stopped(self, reason: str, by: str) -> None:
        self.heard["stopped"] += 1
        if not isinstance(reason, str) or not isinstance(by, str):
            raise Refuted(f"stopped by {by!r} for {reason!r}")


class _Sink:
    """A connection that goes nowhere; the last body that was sent can be read."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, parts: Sequence[bytes]) -> bool:
        self.sent = [*self.sent[-8:], fuzz_judge.read(parts[0].decode())]
        return True

    def drain(self) -> None: ...

    def close(self, linger: int = 0) -> None: ...


class ExecutorTarget:
    """The executor's adapter behind its sockets. Made on a running loop."""

    name = "terminal wire, executor's half"

    def __init__(self, seed: int) -> None:
        self.spoiler = Spoiler(seed)
        self.clock = FakeClock()
        self.listener = _Listener()
        self.broker = ZmqBroker(
            key=KEY,
            command_port=1,
            stream_port=1,
            identity=Identity("0" * 32, "exec_fuzz", "0"),
            clock=self.clock,
            nonces=lambda: NONCE,
        )
        self.link: Any = self.broker._link
        self.stream: Any = self.broker._stream
        self.sink = _Sink()
        self.link._socket = self.sink
        self.broker._listener = self.listener
        self.outcomes: Counter[str] = Counter()
        self.number = 0
        self.seq = 0
        self.answer: asyncio.Future[Execution] | None = None
        self.read_answers: list[Any] = []

    # ------------------------------------------------------------ a session

    def _reply(self, number: object, data: Mapping[str, Any], cid: str | None = None) -> dict[str, Any]:
        return {
            "v": 1, "from": "terminal", "sid": "s" * 32, "re": number, "cid": cid, "ok": True, "code": None,
            "message": None, "data": data,
        }  # fmt: skip

    def _say(self, body: bytes) -> None:
        self.link.on_frames([[body, seal(KEY, body)]])

    def _welcome(self) -> dict[str, Any]:
        data = {
            "nonce": NONCE, "boot": "b" * 32, "terminal": "fuzz", "login": "1", "epoch": 0, "stopped": False,
            "stop_reason": None, "mode": "full",
        }  # fmt: skip
        return self._reply(0, data)

    def open_session(self) -> None:
        """Until trades can go; the greeting's own frames are spoiled now and then."""
        while self.link.session is None:
            self.link.on_ready()
            sound = self.spoiler.random.random() < 0.8
            self._say(self._text(self._welcome(), 1.0 if sound else 0.1))
            if self.link._session is not None and self.link.session is None:
                self._say(self._text(self._reply(1, BEAT), 1.0 if sound else 0.1))
            self.seq = 0
            if self.link.session is None and self.link._session is not None:
                self.link.drop("fuzz")

    def _text(self, message: Any, sound: float) -> bytes:
        return (
            self.spoiler.bytes_of(self.spoiler.spoil(message, sound=sound))
            if sound < 1
            else dump(message).encode()
        )

    # ------------------------------------------------------------ trying

    def try_one(self) -> None:
        """Raises Refuted."""
        body = b""
        try:
            self.open_session()
            topic, message = self._case()
            body = self._text(message, 0.1)
            self._deliver(topic, body)
        except Refuted as fault:
            raise Refuted(f"{fault} for {body!r}") from None
        except Exception as fault:
            raise Refuted(f"{type(fault).__name__}: {fault} for {body!r}") from fault
        self._judge(body)
        self.clock.advance(0.0005)

    def _deliver(self, topic: str | None, body: bytes) -> None:
        chance = self.spoiler.random
        roll = chance.random()
        mac = seal(KEY, body)
        if roll < 0.1:
            wrong = bytearray(mac)
            wrong[chance.randrange(32)] ^= 1 << chance.randrange(8)
            mac = chance.choice((bytes(wrong), mac[:31], b"", mac + b"\0"))
            self._without_effect(topic, [body, mac])
        elif roll < 0.12:
            self._without_effect(topic, chance.choice(([body], [body, mac, b""], [], [b"", body, mac, b"x"])))
        elif topic is None:
            self.link.on_frames([[body, mac]])
        else:
            self.stream.on_frames([[topic.encode(), body, mac]])

    def _without_effect(self, topic: str | None, frames: list[bytes]) -> None:
        before = self.listener.heard.copy(), self.answer is not None and self.answer.done()
        if topic is None:
            self.link.on_frames([frames])
        else:
            self.stream.on_frames([[topic.encode(), *frames]])
        self.outcomes["wrong mac or parts"] += 1
        if before != (self.listener.heard, self.answer is not None and self.answer.done()):
            raise Refuted("a frame without a right mac had an effect")

    def _case(self) -> tuple[str | None, dict[str, Any]]:
        chance = self.spoiler.random
        self.answer = None
        match chance.randrange(9):
            case 0 | 1 | 2:
                return None, self._reply(self._trade(), self._execution(), cid=f"c-{self.number}")
            case 3:
                self.clock.advance(1.0)
                self.link._on_timer()
                beats = self.link._session._beats if self.link._session is not None else {}
                return None, self._reply(next(iter(beats), 1), BEAT)
            case 4:
                cmd, data, reader = chance.choice(
                    (
                        ("find", FINDING, messages.finding_from_wire),
                        ("snapshot", SNAPSHOT, messages.snapshot_from_wire),
                        ("symbol", SPEC, messages.symbol_from_wire),
                    )
                )
                return None, self._reply(self._question(cmd, reader), data)
            case 5:
                return "tick.EURUSD", self._event("tick", QUOTE)
            case 6:
                self.seq += 1
                return "trade", self._event(
                    "trade", {name: TRADE[name] for name in TRADE if name == "kind" or chance.random() < 0.6}
                )
            case 7:
                return "heartbeat", self._event("heartbeat", BEAT)
            case _:
                return "stopped", self._event(
                    "stopped", {"stopped": True, "reason": "button", "by": "button"}
                )

    def _event(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        seq = self.seq if kind == "trade" else 1
        return {
            "v": 1,
            "from": "terminal",
            "boot": "b" * 32,
            "seq": seq,
            "ts": 1700000000000,
            "ev": kind,
            "data": data,
        }

    def _execution(self) -> dict[str, Any]:
        chance = self.spoiler.random
        state = chance.choice(("done", "partial", "rejected", "unknown", "refused"))
        found = EXECUTION | {"state": state}
        return found | {"details": [found | {"ticket": "7"}]} if chance.random() < 0.2 else found

    def _trade(self) -> int:
        self.number += 1
        at = datetime(2026, 11, 21, tzinfo=UTC)
        action = OpenPosition(Symbol("EURUSD"), Side.BUY, Volume("0.10"))
        command = TradeCommand(CommandId(f"c-{self.number}"), action, at, at, "f" * 64)
        self.answer = self.broker.send(command, TERMS)
        return int(str(self.sink.sent[-1]["id"]))

    def _question(self, cmd: str, reader: Any) -> int:
        def settle(outcome: Reply | str) -> None:
            if isinstance(outcome, str) or not outcome.ok:
                return
            try:
                read = self.broker._read(cmd, outcome, reader)
            except TerminalUnavailable:
                return
            bad = misfit(read, type(read), cmd)
            if bad:
                raise Refuted(f"accepted as it must not be: {bad}")
            self.outcomes[f"{cmd} read"] += 1

        self.link.request(cmd, {}, 5000, settle)
        return int(str(self.sink.sent[-1]["id"]))

    def _judge(self, body: bytes) -> None:
        """A trade that counts as answered was answered by a frame that says so, strictly."""
        answer = self.answer
        if answer is None:
            return
        if not answer.done():
            self.outcomes["trade: still open"] += 1
            return
        execution = answer.result()
        bad = misfit(execution, Execution, "execution")
        if bad:
            raise Refuted(f"accepted as it must not be: {bad} for {body!r}")
        self.outcomes[f"trade: {execution.state.value}"] += 1
        if execution.state is ExecutionState.UNKNOWN:
            return
        try:
            message = fuzz_judge.read(body.decode())
        except (fuzz_judge.NotStrict, UnicodeDecodeError):
            raise Refuted(f"{execution.state.value} by a frame that is not strict JSON: {body!r}") from None
        data = message.get("data") or {}
        right = (
            message.get("v") == "1" and isinstance(message["v"], fuzz_judge.Number)
            and message.get("from") == "terminal" and message.get("sid") == "s" * 32
            and isinstance(message.get("ok"), bool)
            and (data.get("state") == execution.state.value or message.get("code") in mt5_wire.REFUSAL_CODES)
        )  # fmt: skip
        if not right:
            raise Refuted(f"{execution.state.value} by a frame that does not say so: {body!r}")
        for name in ("volume", "price", "order", "deal", "position"):
            done, said = getattr(execution, name), data.get(name)
            if (done or 0) != Decimal(str(said or 0)):
                raise Refuted(f"{name} {done!r} instead of {said!r}: {body!r}")
