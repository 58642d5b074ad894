"""Domain events as the journal's JSON text, and back, exactly.

The mapping follows the events' own field types through one closed table of leaves: a field of a type that is not listed here
stops the import, so nothing can be written in a shape that was never thought of. No storage, no queries.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from app.domain import events as ev
from app.domain.commands import ACTION_NAMES, Keep
from app.domain.errors import InvalidValue, JournalDamaged
from app.domain.results import CommandResult
from app.domain.values import CommandId, Magic, Price, Symbol, Ticket, Volume, decimal
from app.protocol import strict_json

_Encode = Callable[[Any], Any]
_Decode = Callable[[Any], Any]


class EncodedEvent(NamedTuple):
    """One event as the columns of its row. `at` and `command_id` stand in columns of their own, not in the payload."""

    kind: str
    at: str
    command_id: str | None
    payload: str
    """JSON object, ASCII."""


class _Coder(NamedTuple):
    encode: _Encode | None
    """None: the value is JSON as it stands."""
    decode: _Decode


# ------------------------------------------------------------------ leaves


def instant_text(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`; sorts as text. Raises InvalidValue for a time without a zone."""
    if value.tzinfo is None:
        raise InvalidValue("at", "must carry a time zone")
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


def instant(text: object) -> datetime:
    """The UTC time that `instant_text` wrote."""
    return datetime.fromisoformat(_text(text)).astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue("", "must be text")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue("", "must be a whole number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("", "must be true or false")
    return value


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue("", "must be a number")
    return float(value)


def _decimal(value: object) -> Decimal:
    return decimal("", _text(value))


_LEAVES: dict[Any, _Coder] = {
    str: _Coder(None, _text),
    int: _Coder(None, _whole),
    bool: _Coder(None, _flag),
    float: _Coder(None, _real),
    datetime: _Coder(instant_text, instant),
    Decimal: _Coder(str, _decimal),
    Price: _Coder(str, lambda value: Price(_text(value))),
    Volume: _Coder(str, lambda value: Volume(_text(value))),
    # As text: JSON readers of other languages lose tickets above 2^53.
    Ticket: _Coder(str, lambda value: Ticket(_text(value))),
    Magic: _Coder(str, lambda value: Magic(_text(value))),
    Symbol: _Coder(None, Symbol),
    CommandId: _Coder(None, CommandId),
}

_ACTION_TAG = "action"
_ACTIONS = {name: kind for kind, name in ACTION_NAMES.items()}


# ------------------------------------------------------------------ structures


def _enum(kind: type[Enum]) -> _Coder:
    by_name = dict(kind.__members__)

    def decode(value: object) -> Enum:
        try:
            return by_name[_text(value)]
        except KeyError:
            raise InvalidValue("", f"must be a {kind.__name__}") from None

    return _Coder(attrgetter("name"), decode)


def _optional(inner: _Coder) -> _Coder:
    encode, decode = inner
    return _Coder(
        None if encode is None else lambda value: None if value is None else encode(value),
        lambda value: None if value is None else decode(value),
    )


def _keepable(inner: _Coder) -> _Coder:
    """A field of an amendment: the marker is the bare word, which is no decimal and no date."""
    encode, decode = inner
    word = Keep.UNCHANGED.name
    return _Coder(
        lambda value: word if value is Keep.UNCHANGED else encode(value) if encode else value,
        lambda value: Keep.UNCHANGED if value == word else decode(value),
    )


def _row_of(inner: _Coder) -> _Coder:
    encode, decode = inner

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise InvalidValue("", "must be a list")
        return tuple([decode(item) for item in value])

    return _Coder(
        list if encode is None else lambda value: [encode(item) for item in value],
        read,
    )


def _record(kind: type[Any], left_out: frozenset[str] = frozenset()) -> _Coder:
    """A dataclass as an object of its fields, but for those that the caller keeps elsewhere and hands back when reading."""
    hints = typing.get_type_hints(kind)
    names = tuple(field.name for field in fields(kind) if field.name not in left_out)
    coders = {name: _coder(hints[name]) for name in names}
    required = frozenset(
        field.name
        for field in fields(kind)
        if field.name in coders and field.default is MISSING and field.default_factory is MISSING
    )
    coded = tuple([(name, coder.encode) for name, coder in coders.items() if coder.encode is not None])
    decoders = {name: coder.decode for name, coder in coders.items()}

    def encode(value: Any) -> dict[str, Any]:
        found = {name: getattr(value, name) for name in names}
        for name, code in coded:
            # What is absent needs no form; most fields of most events are.
            if found[name] is not None:
                found[name] = code(found[name])
        return found

    def decode(value: object, elsewhere: Mapping[str, Any] | None = None) -> Any:
        if not isinstance(value, dict):
            raise InvalidValue("", f"must be an object ({kind.__name__})")
        missing = required - value.keys()
        if missing:
            raise InvalidValue(min(missing), f"is missing in a {kind.__name__}")
        arguments: dict[str, Any] = dict(elsewhere or {})
        for name, item in value.items():
            decoder = decoders.get(name)
            if decoder is None:
                raise InvalidValue(name, f"is no field of {kind.__name__}")
            try:
                arguments[name] = decoder(item)
            except InvalidValue as fault:
                raise fault.within(name) from None
        return kind(**arguments)

    return _Coder(encode, decode)


def _actions() -> _Coder:
    coders = {kind: _record(kind) for kind in ACTION_NAMES}

    def encode(value: Any) -> dict[str, Any]:
        code = coders[type(value)].encode
        return {_ACTION_TAG: ACTION_NAMES[type(value)], **(code(value) if code else {})}

    def decode(value: object) -> Any:
        if not isinstance(value, dict):
            raise InvalidValue("", "must be an object (action)")
        name = value.get(_ACTION_TAG)
        kind = _ACTIONS.get(name) if isinstance(name, str) else None
        if kind is None:
            raise InvalidValue(_ACTION_TAG, f"must be one of {', '.join(_ACTIONS)}")
        return coders[kind].decode({key: item for key, item in value.items() if key != _ACTION_TAG})

    return _Coder(encode, decode)


def _coder(hint: Any) -> _Coder:
    if hint in _LEAVES:
        return _LEAVES[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _union(set(arguments))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _row_of(_coder(arguments[0]))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint)
    raise TypeError(f"the journal has no form for a field of type {hint!r}")


def _union(members: set[Any]) -> _Coder:
    if members == set(ACTION_NAMES):
        return _actions()
    if type(None) in members:
        return _optional(_union(members - {type(None)}))
    if Keep in members:
        return _keepable(_union(members - {Keep}))
    if len(members) == 1:
        return _coder(members.pop())
    raise TypeError(f"the journal has no form for a choice between {members!r}")


# ------------------------------------------------------------------ events

EVENT_KINDS: dict[str, type[ev.Event]] = {
    name: kind
    for name, kind in vars(ev).items()
    if isinstance(kind, type) and issubclass(kind, ev.Event) and kind is not ev.Event
}
"""Every event that the journal can hold, by the name it is stored under."""


class _EventCoder(NamedTuple):
    encode: _Encode
    decode: Callable[..., Any]
    has_command: bool


def _event_coder(kind: type[ev.Event]) -> _EventCoder:
    has_command = any(field.name == "command_id" for field in fields(kind))
    coder = _record(kind, frozenset({"at", "command_id"}))
    if coder.encode is None:
        raise TypeError(f"{kind.__name__} has no form")
    return _EventCoder(coder.encode, coder.decode, has_command)


_EVENTS: dict[type[ev.Event], _EventCoder] = {kind: _event_coder(kind) for kind in EVENT_KINDS.values()}

_to_json = partial(strict_json.encode, ascii_only=True)
_RESULT = _record(CommandResult)


def encode_event(event: ev.Event) -> EncodedEvent:
    """The row of an event. Raises InvalidValue for a time without a zone, ValueError for a number that is not finite."""
    kind = type(event)
    coder = _EVENTS[kind]
    command_id: str | None = getattr(event, "command_id", None) if coder.has_command else None
    return EncodedEvent(kind.__name__, instant_text(event.at), command_id, _to_json(coder.encode(event)))


def decode_event(kind: str, at: str, command_id: str | None, payload: str) -> ev.Event:
    """The event of a row. Fields that a row of an older version lacks take their defaults.

    Raises JournalDamaged naming the kind, the field and the rule if the row is not one that `encode_event` can have written.
    """
    event_type = EVENT_KINDS.get(kind)
    if event_type is None:
        raise JournalDamaged(
            f"the journal holds a row of the unknown kind {kind!r}: a newer version wrote it, or it was altered"
        )
    coder = _EVENTS[event_type]
    try:
        elsewhere: dict[str, Any] = {"at": instant(at)}
        if coder.has_command:
            elsewhere["command_id"] = None if command_id is None else CommandId(command_id)
        event: ev.Event = coder.decode(json.loads(payload), elsewhere)
    except (ValueError, TypeError, RecursionError) as fault:
        raise JournalDamaged(f"a {kind} in the journal cannot be read: {fault}") from None
    return event


def encode_result(result: CommandResult) -> str:
    """JSON text of an outbox row."""
    return _to_json(_RESULT.encode(result) if _RESULT.encode else None)


def decode_result(text: str) -> CommandResult:
    """Raises JournalDamaged if the text is not one that `encode_result` can have written."""
    try:
        result: CommandResult = _RESULT.decode(json.loads(text))
    except (ValueError, TypeError, RecursionError) as fault:
        raise JournalDamaged(f"a result in the journal's outbox cannot be read: {fault}") from None
    return result
