"""What the brain may say, read into domain types or refused with a code (PROTOCOL §2, §4, §6).

Pure: a frame's text and the rules of this executor go in, one message or one typed refusal comes out. What a TRADE_SIGNAL
asks for is read in brain_actions.py. Freshness, duplicates and limits are the engine's business; nothing here knows the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.commands import TradeCommand
from app.domain.errors import InvalidValue
from app.domain.values import CommandId, Symbol
from app.protocol import brain_fields as f
from app.protocol import strict_json
from app.protocol.brain_actions import UnknownAction, read_action, read_priority
from app.protocol.signing import SIGNED, BadSignature, SigningKeys

DEFAULT_EXPIRY = 5000
MAX_EXPIRY = 60_000
"""Milliseconds."""
DEFAULT_MIN_INTERVAL = 100
MAX_SYMBOLS = 200
MAX_RESULT_ACKS = 1000
REF_LENGTH = 64

INVALID_JSON = "INVALID_JSON"
INVALID_MESSAGE = "INVALID_MESSAGE"
UNKNOWN_TYPE = "UNKNOWN_TYPE"
BAD_SIGNATURE = "BAD_SIGNATURE"
SIGNATURE_REQUIRED = "SIGNATURE_REQUIRED"
WRONG_AUDIENCE = "WRONG_AUDIENCE"
FRAME_TOO_LARGE = "FRAME_TOO_LARGE"
INVALID_COMMAND = "INVALID_COMMAND"
UNKNOWN_ACTION = "UNKNOWN_ACTION"


class FrameRefused(InvalidValue):
    """Refused before the journal: answered with `ERROR`, and it reaches no queue and no broker."""

    def __init__(self, code: str, rule: str, ref: str) -> None:
        super().__init__("frame", rule)
        self.code = code
        self.ref = ref
        """The command's id, or the first 64 characters of the frame."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A TRADE_SIGNAL that is a command."""

    command: TradeCommand


@dataclass(frozen=True, slots=True)
class UnreadableSignal:
    """A TRADE_SIGNAL that breaks a rule: journalled as refused under its id. `code`: INVALID_COMMAND | UNKNOWN_ACTION."""

    command_id: CommandId
    fingerprint: str
    code: str
    message: str
    """Names the field and the rule."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """CANCEL_COMMAND."""

    command_id: CommandId


@dataclass(frozen=True, slots=True)
class EmergencyStop:
    reason: str
    close_positions: bool


@dataclass(frozen=True, slots=True)
class Subscribe:
    symbols: tuple[Symbol, ...]
    min_interval: int
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class ResultsStored:
    """RESULT_ACK."""

    command_ids: tuple[CommandId, ...]


@dataclass(frozen=True, slots=True)
class GetState:
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    timestamp: datetime | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class Welcome:
    session_id: str
    server_time: datetime | None
    heartbeat_interval: int
    """Milliseconds."""
    capabilities: frozenset[str]


BrainSaid = (
    Signal
    | UnreadableSignal
    | Withdraw
    | EmergencyStop
    | Subscribe
    | Unsubscribe
    | ResultsStored
    | GetState
    | Heartbeat
    | Welcome
)


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """Whom this executor obeys."""

    executor_id: str
    keys: SigningKeys
    allow_unsigned: bool = False
    """Counts only while no signing key is configured."""


@dataclass(frozen=True, slots=True)
class Reading:
    message: BrainSaid
    text: str
    """The message verbatim; of a signed frame, the payload."""
    signed_by: str | None
    """Key id of the verified signature."""


def read_frame(frame: str, rules: ReadingRules, accounts: Collection[str]) -> Reading:
    """Read one text frame. Raises FrameRefused.

    `accounts` are the logins served now; while none is known (the terminal is away) the account is left to the engine.
    """
    body = _json(frame, frame)
    text, signed_by = frame, None
    if body.get("type") == SIGNED:
        try:
            verified = rules.keys.verify(body)
        except BadSignature as fault:
            raise FrameRefused(BAD_SIGNATURE, str(fault), frame[:REF_LENGTH]) from None
        text, signed_by = verified.text, verified.key_id
        body = _json(text, frame)
    kind = body.get("type")
    if not isinstance(kind, str):
        raise FrameRefused(UNKNOWN_TYPE, "type: must be a string that names the message", _ref(body, frame))
    try:
        if kind in _DECISIVE:
            if kind == "EMERGENCY_STOP" and signed_by is None:
                return Reading(_emergency_stop(body), text, None)
            _check_authority(body, kind, signed_by=signed_by, rules=rules, accounts=accounts, frame=frame)
            if kind == "TRADE_SIGNAL":
                return Reading(_signal(body, text, signed_by), text, signed_by)
        read = _READERS.get(kind)
        if read is None:
            shown = kind[:40] if kind.isprintable() else "this"
            raise FrameRefused(
                UNKNOWN_TYPE, f"type: {shown} is not a message of version 1", _ref(body, frame)
            )
        return Reading(read(body), text, signed_by)
    except strict_json.InvalidJson as fault:
        raise FrameRefused(INVALID_JSON, fault.rule, _ref(body, frame)) from None
    except FrameRefused:
        raise
    except InvalidValue as fault:
        raise FrameRefused(INVALID_MESSAGE, str(fault), _ref(body, frame)) from None


def _json(text: str, frame: str) -> dict[str, Any]:
    try:
        return strict_json.loads(text)
    except strict_json.InvalidJson as fault:
        raise FrameRefused(INVALID_JSON, fault.rule, frame[:REF_LENGTH]) from None


def _ref(body: f.Fields, frame: str) -> str:
    try:
        return CommandId(body.get("commandId") or "")
    except InvalidValue:
        return frame[:REF_LENGTH]


def _check_authority(
    body: f.Fields,
    kind: str,
    *,
    signed_by: str | None,
    rules: ReadingRules,
    accounts: Collection[str],
    frame: str,
) -> None:
    if signed_by is None and (len(rules.keys) or not rules.allow_unsigned):
        raise FrameRefused(SIGNATURE_REQUIRED, f"{kind} must come in a SIGNED frame", _ref(body, frame))
    executor_id = body.get("executorId")
    if executor_id != rules.executor_id and (signed_by is not None or executor_id is not None):
        raise FrameRefused(WRONG_AUDIENCE, "executorId: must be this executor's id", _ref(body, frame))
    if signed_by is None:
        return
    account = body.get("account")
    if account is not None and accounts and not (isinstance(account, str) and account in accounts):
        raise FrameRefused(WRONG_AUDIENCE, "account: is not served by this executor", _ref(body, frame))
    if kind != "TRADE_SIGNAL":
        f.moment(f.required(body, "timestamp"))


# ------------------------------------------------------------------ TRADE_SIGNAL


def _signal(body: f.Fields, text: str, signed_by: str | None) -> Signal | UnreadableSignal:
    mark = f.fingerprint(body)
    given = body.get("commandId")
    command_id = CommandId(f.text_id(text))
    try:
        if given is not None:
            command_id = CommandId(given)
        elif signed_by is not None:
            raise InvalidValue("commandId", "is required in a signed message")
        command = f.required(body, "command")
        if not isinstance(command, dict):
            raise InvalidValue("command", "must be an object")
        issued_at = f.moment(f.required(body, "timestamp"))
        expiry = body.get("expiry")
        lifetime = DEFAULT_EXPIRY if expiry is None else f.whole(expiry, "expiry", 1, MAX_EXPIRY)
        try:
            expires_at = issued_at + timedelta(milliseconds=lifetime)
        except OverflowError:
            raise InvalidValue("timestamp", "must be a moment that exists") from None
        priority = read_priority(body.get("priority"))
        strategy_id = f.maybe_text(body, "strategyId", 128)
        account = f.maybe_text(body, "account", 64)
        action = read_action(command)
    except UnknownAction as fault:
        return UnreadableSignal(command_id, mark, UNKNOWN_ACTION, str(fault))
    except strict_json.InvalidJson:
        raise
    except InvalidValue as fault:
        return UnreadableSignal(command_id, mark, INVALID_COMMAND, str(fault))
    return Signal(
        TradeCommand(
            command_id=command_id,
            action=action,
            issued_at=issued_at,
            expires_at=expires_at,
            fingerprint=mark,
            priority=priority,
            strategy_id=strategy_id,
            account=account,
            signed_by=signed_by,
        )
    )


# ------------------------------------------------------------------ everything else


def _withdraw(body: f.Fields) -> Withdraw:
    return Withdraw(CommandId(f.required(body, "commandId")))


def _emergency_stop(body: f.Fields) -> EmergencyStop:
    """A stop is never refused for its form; positions are closed only on a plain `true`."""
    reason = body.get("reason")
    shown = "".join(c for c in reason if c.isprintable())[:200] if isinstance(reason, str) else ""
    return EmergencyStop(shown or "emergency stop by the brain", body.get("closePositions") is True)


def _symbols(body: f.Fields) -> tuple[Symbol, ...]:
    found = f.items(f.required(body, "symbols"), "symbols", MAX_SYMBOLS)
    return tuple(dict.fromkeys(Symbol(item, "symbols") for item in found))


def _subscribe(body: f.Fields) -> Subscribe:
    interval = body.get("minInterval")
    return Subscribe(
        _symbols(body),
        DEFAULT_MIN_INTERVAL if interval is None else f.whole(interval, "minInterval", 0, 60_000),
    )


def _unsubscribe(body: f.Fields) -> Unsubscribe:
    return Unsubscribe(_symbols(body))


def _results_stored(body: f.Fields) -> ResultsStored:
    found = f.items(f.required(body, "commandIds"), "commandIds", MAX_RESULT_ACKS)
    return ResultsStored(tuple(CommandId(item, "commandIds") for item in found))


def _get_state(body: f.Fields) -> GetState:
    return GetState(f.maybe_text(body, "requestId", 128))


def _heartbeat(body: f.Fields) -> Heartbeat:
    timestamp, seq = body.get("timestamp"), body.get("seq")
    return Heartbeat(
        None if timestamp is None else f.moment(timestamp),
        None if seq is None else f.whole(seq, "seq", 0, f.EXACT_IN_A_DOUBLE),
    )


def _welcome(body: f.Fields) -> Welcome:
    server_time = body.get("serverTime")
    interval = body.get("heartbeatInterval")
    capabilities = body.get("capabilities")
    if capabilities is not None and not isinstance(capabilities, list):
        raise InvalidValue("capabilities", "must be a list")
    return Welcome(
        f.text(f.required(body, "sessionId"), "sessionId", 128),
        None if server_time is None else f.moment(server_time, "serverTime"),
        5000 if interval is None else f.whole(interval, "heartbeatInterval", 100, 60_000),
        frozenset(item for item in capabilities or () if isinstance(item, str)),
    )


_DECISIVE = frozenset({"TRADE_SIGNAL", "CANCEL_COMMAND", "EMERGENCY_STOP"})
"""What can cause or prevent a trade (§2.1): needs a signature, or, for the stop, at least an authenticated connection."""
_READERS: dict[str, Callable[[f.Fields], BrainSaid]] = {
    "CANCEL_COMMAND": _withdraw,
    "EMERGENCY_STOP": _emergency_stop,
    "SUBSCRIBE": _subscribe,
    "UNSUBSCRIBE": _unsubscribe,
    "RESULT_ACK": _results_stored,
    "GET_STATE": _get_state,
    "HEARTBEAT": _heartbeat,
    "WELCOME": _welcome,
}
