"""Frames at the decoder of the brain's link, each judged a second time by hand (fuzz_judge.py): the two must agree.

Signed frames are spoiled inside the signature as well (the payload, then signed rightly) and outside of it.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.domain.errors import InvalidValue
from app.protocol import brain_inbound
from app.protocol.brain_inbound import FrameRefused, Reading, ReadingRules, Signal, UnreadableSignal
from app.protocol.signing import SigningKeys, private_key, public_key_text
from app.protocol.signing import sign as sign_frame
from tests.faults import fuzz_judge
from tests.faults.fuzz_source import Spoiler, dump
from tests.faults.fuzz_verdict import NAMED, Refuted

EXECUTOR = "exec_fuzz"
KEY_ID = "brain-fuzz"
ACCOUNTS = {"12345678"}


class BrainTarget:
    """One decoder with its rules; `try_one` feeds it one frame."""

    name = "brain"

    def __init__(
        self,
        seed: int,
        *,
        key: Ed25519PrivateKey | None = None,
        key_id: str = KEY_ID,
        executor: str = EXECUTOR,
    ) -> None:
        self.spoiler = Spoiler(seed)
        self.key = private_key(bytes(range(32))) if key is None else key
        self.key_id = key_id
        self.executor = executor
        keys = SigningKeys({key_id: public_key_text(self.key)})
        self.rules = {
            True: ReadingRules(executor, keys),
            False: ReadingRules(executor, SigningKeys({}), allow_unsigned=True),
        }
        self.public = {key_id: self.key.public_key()}
        self.outcomes: Counter[str] = Counter()
        self.number = 0
        self.read: Callable[..., Reading] = brain_inbound.read_frame

    # ------------------------------------------------------------ making

    def stamp(self) -> str:
        return self.spoiler.random.choice(
            ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00.123Z", "2024-02-29T23:59:59.999999Z")
        )

    def amount(self, low: int = 1) -> Decimal:
        return Decimal(self.spoiler.random.randint(low, 10**6)).scaleb(-self.spoiler.random.randint(0, 5))

    def _entry(self) -> dict[str, Any]:
        chance = self.spoiler.random
        action: dict[str, Any] = {
            "symbol": chance.choice(("EURUSD", "#AAPL", "XAUUSD.a", "US30[M]")),
            "volume": self.amount(),
        }
        if chance.random() < 0.6:
            action = {"action": "OPEN_POSITION", "type": chance.choice(("BUY", "SELL"))} | action
            optional: dict[str, Any] = {
                "price": self.amount(),
                "maxSlippage": self.amount(0),
                "stopLoss": self.amount(),
                "takeProfit": self.amount(),
            }
        else:
            kind = chance.choice(("BUY_LIMIT", "SELL_STOP", "BUY_STOP_LIMIT", "SELL_STOP_LIMIT"))
            action = {"action": "PLACE_ORDER", "type": kind, "price": self.amount()} | action
            if kind.endswith("STOP_LIMIT"):
                action["stopLimitPrice"] = self.amount()
            optional = {"expiration": self.stamp(), "stopLoss": self.amount(), "takeProfit": self.amount()}
        return action | {name: value for name, value in optional.items() if chance.random() < 0.4}

    def _ticket(self) -> int | str:
        chance = self.spoiler.random
        ticket = chance.choice((1, 10001234, 2**53, 2**63, 2**64 - 1))
        return str(ticket) if chance.random() < 0.3 else ticket

    def _action(self) -> dict[str, Any]:
        chance = self.spoiler.random
        match chance.randrange(8):
            case 0:
                found = {
                    "action": "MODIFY_POSITION",
                    "ticket": self._ticket(),
                    "stopLoss": chance.choice((0, self.amount())),
                }
            case 1:
                found = {
                    "action": "MODIFY_ORDER",
                    "ticket": self._ticket(),
                    "price": self.amount(),
                    "expiration": chance.choice((0, self.stamp())),
                }
            case 2:
                found = {"action": "CLOSE_POSITION", "ticket": self._ticket(), "volume": self.amount()}
            case 3:
                found = {"action": "CANCEL_ORDER", "ticket": self._ticket()}
            case 4:
                found = {"action": "CLOSE_ALL", "symbol": "EURUSD"}
            case _:
                found = self._entry()
        if chance.random() < 0.3:
            found["magicNumber"] = chance.choice((0, 123456, 2**53, str(2**63 - 1)))
        if chance.random() < 0.3:
            found["comment"] = chance.choice(("", "AI_Strategy_001", "é x"))
        return found

    def message(self) -> dict[str, Any]:
        """A right message of any type."""
        chance = self.spoiler.random
        self.number += 1
        at = {"timestamp": self.stamp()}
        match chance.randrange(12):
            case 0:
                return {
                    "type": "CANCEL_COMMAND",
                    **at,
                    "commandId": f"c-{self.number}",
                    "executorId": self.executor,
                }
            case 1:
                return {
                    "type": "EMERGENCY_STOP",
                    **at,
                    "reason": "fuzz",
                    "closePositions": False,
                    "executorId": self.executor,
                }
            case 2:
                return {"type": "SUBSCRIBE", **at, "symbols": ["EURUSD", "GBPUSD"], "minInterval": 100}
            case 3:
                return {"type": "RESULT_ACK", **at, "commandIds": [f"c-{self.number}"]}
            case 4:
                return {"type": "HEARTBEAT", **at, "seq": self.number}
            case 5:
                return {
                    "type": "WELCOME",
                    **at,
                    "sessionId": "s",
                    "serverTime": self.stamp(),
                    "heartbeatInterval": 1000,
                    "capabilities": ["signed"],
                }
            case 6:
                return chance.choice(
                    (
                        {"type": "GET_STATE", **at, "requestId": "r"},
                        {"type": "UNSUBSCRIBE", **at, "symbols": ["EURUSD"]},
                    )
                )
            case _:
                signal = {
                    "type": "TRADE_SIGNAL",
                    **at,
                    "command": self._action(),
                    "commandId": f"c-{self.number}",
                    "executorId": self.executor,
                }
                optional = {
                    "priority": chance.choice(("HIGH", "low")),
                    "expiry": 5000,
                    "strategyId": "str",
                    "account": "12345678",
                }
                return signal | {name: value for name, value in optional.items() if chance.random() < 0.6}

    def sign(self, payload: str) -> dict[str, Any]:
        signature = base64.urlsafe_b64encode(self.key.sign(payload.encode())).rstrip(b"=").decode()
        return {
            "type": "SIGNED",
            "keyId": self.key_id,
            "alg": "Ed25519",
            "payload": payload,
            "signature": signature,
        }

    def frame(self) -> tuple[str, bool]:
        """A frame, spoiled or not, and whether this executor has keys."""
        chance = self.spoiler.random
        message = self.message()
        roll = chance.random()
        if roll < 0.7:
            return self.spoiler.spoil(message), chance.random() < 0.2
        if roll < 0.88:
            payload = self.spoiler.spoil(message)
            try:
                return dump(self.sign(payload)), True
            except UnicodeEncodeError:
                return payload, True
        return self.spoiler.spoil(self.sign(dump(message)), sound=0.2), True

    # ------------------------------------------------------------ trying

    def try_one(self) -> None:
        """Raises Refuted."""
        frame, with_keys = self.frame()
        self.check(frame, with_keys)

    def check(self, frame: str, with_keys: bool) -> str:
        """What became of it. Raises Refuted."""
        allowed = fuzz_judge.verdict(frame, self.executor, self.public if with_keys else {}, ACCOUNTS)
        try:
            reading = self.read(frame, self.rules[with_keys], ACCOUNTS)
        except FrameRefused as fault:
            got, said = fault.code, fault.rule
            if not said or (got == "INVALID_MESSAGE" and not NAMED.match(said)):
                raise Refuted(f"the refusal names no field and rule: {said!r} for {frame!r}") from None
            if len(fault.ref) > 64:
                raise Refuted(f"the reference is too long for {frame!r}") from None
        except Exception as fault:
            raise Refuted(f"{type(fault).__name__}: {fault} for {frame!r}") from fault
        else:
            got = self._look(reading, frame)
        self.outcomes[got] += 1
        if got not in allowed:
            raise Refuted(f"{got} instead of {sorted(allowed)} for {frame!r}")
        return got

    def _look(self, reading: Reading, frame: str) -> str:
        message = reading.message
        if isinstance(message, UnreadableSignal):
            if not NAMED.match(message.message):
                raise Refuted(f"the refusal names no field and rule: {message.message!r} for {frame!r}")
            return message.code
        if isinstance(message, Signal):
            self._same_trade(message, reading.text)
        return "ok"

    @staticmethod
    def _same_trade(signal: Signal, text: str) -> None:
        """What is done is what stands there, digit by digit; a field that the action does not have is ignored."""
        body = fuzz_judge.read(text)["command"]
        action = signal.command.action
        for name in ("symbol", "volume", "ticket"):
            if not hasattr(action, name):
                continue
            done, asked = getattr(action, name), body.get(name)
            if done is None or asked is None:
                same = done is asked
            else:
                same = str(done) == asked if isinstance(done, str) else Decimal(done) == Decimal(asked)
            if not same:
                raise Refuted(f"{done!r} instead of {asked!r} in {text!r}")


def flips(target: BrainTarget, number: int) -> int:
    """Turn one bit of a rightly signed frame at a time; how many were taken for a message. Refusals raise nothing."""
    chance = target.spoiler.random
    accepted = 0
    for _ in range(number):
        frame = sign_frame(dump(target.message()), target.key_id, target.key)
        raw = bytearray(frame.encode())
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        try:
            spoiled = raw.decode()
        except UnicodeDecodeError:
            continue  # refused before it is a text (PROTOCOL section 1)
        try:
            reading = target.read(spoiled, target.rules[True], ACCOUNTS)
        except (FrameRefused, InvalidValue):
            continue
        accepted += isinstance(reading, Reading)
    return accepted
