"""Every event survives the journal exactly; a row that no version of ours wrote is refused with its reason."""

from __future__ import annotations

import json
import typing
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.event_codec import (
    EVENT_KINDS,
    decode_event,
    decode_result,
    encode_event,
    encode_result,
    instant,
    instant_text,
)
from app.domain import commands as co
from app.domain import events as ev
from app.domain.errors import InvalidValue, JournalDamaged
from app.domain.results import CommandResult
from app.domain.values import CommandId, Magic, Price, Symbol, Ticket, Volume
from tests.contract import journal_script as script

_PLACES = st.integers(-6, 8)
_EXACT = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(-(10**14), 10**14), _PLACES
)
_POSITIVE = st.builds(lambda digits, places: Decimal(digits).scaleb(-places), st.integers(1, 10**14), _PLACES)
_INSTANTS = st.builds(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us), st.integers(0, 2**52)
)

_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    Price: _POSITIVE.map(Price),
    Volume: _POSITIVE.map(Volume),
    Decimal: _EXACT,
    Ticket: st.integers(1, 2**64 - 1).map(Ticket),
    Magic: st.integers(0, 2**63 - 1).map(Magic),
    CommandId: st.text("aZ09_.:-", min_size=1, max_size=64).map(CommandId),
    Symbol: st.sampled_from(["EURUSD", "EURUSD.a", "#AAPL", "US 500"]).map(Symbol),
    datetime: _INSTANTS,
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text("aé€\U0001f6d1 0", max_size=8) | st.sampled_from(["\0", '"\n\\', "\ud800", "UNCHANGED"]),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    type(None): st.none(),
}


def _of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if hint in _LEAVES:
        return _LEAVES[hint]
    members = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return st.lists(_of(members[0]), max_size=3).map(tuple)
    if members:
        return st.one_of([_of(member) for member in members])
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return _any(hint)


def _any(kind: type[Any]) -> st.SearchStrategy[Any]:
    parts = {name: _of(hint) for name, hint in typing.get_type_hints(kind).items()}
    if kind is co.PlaceOrder:
        return st.fixed_dictionaries(parts).map(_order)
    if kind in (co.ModifyPosition, co.ModifyOrder):
        # At least one field has to change.
        parts["price" if "price" in parts else "stop_loss"] = _LEAVES[Price]
    return st.builds(kind, **parts)


def _order(parts: dict[str, Any]) -> co.PlaceOrder:
    limit = parts["price"] if parts["kind"].is_stop_limit else None
    return co.PlaceOrder(**{**parts, "stop_limit_price": limit})


def _same(left: Any, right: Any) -> bool:
    """Equal, and written the same: Decimal('1.10') is not Decimal('1.1') on paper."""
    return bool(left == right) and repr(left) == repr(right)


@pytest.mark.parametrize("kind", EVENT_KINDS.values(), ids=EVENT_KINDS.keys())
def test_every_event_comes_back_exactly(kind: type[ev.Event]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(_any(kind))
    def check(event: ev.Event) -> None:
        row = encode_event(event)
        assert row.payload.isascii()
        assert "\n" not in row.payload
        back = decode_event(*row)
        assert _same(back, event)
        for field in fields(event):
            assert type(getattr(back, field.name)) is type(getattr(event, field.name))

    check()


@settings(max_examples=40, deadline=None)
@given(result=_any(CommandResult))
def test_every_result_comes_back_exactly(result: CommandResult) -> None:
    assert _same(decode_result(encode_result(result)), result)


def test_every_event_of_the_domain_has_a_form() -> None:
    assert set(typing.get_args(ev.CommandEvent)) < set(EVENT_KINDS.values())
    assert {kind.__name__ for kind in ev.Event.__subclasses__() if kind.__module__ == ev.__name__} == set(
        EVENT_KINDS
    )
    assert len(EVENT_KINDS) > 20


def test_a_row_without_fields_that_have_defaults_is_read() -> None:
    row = encode_event(script.executed("a"))
    payload = json.loads(row.payload)
    for name in ("slippage", "details", "attempts", "reconciled", "strategy_id", "account", "message"):
        del payload["result"][name]
    event = decode_event(row.kind, row.at, row.command_id, json.dumps(payload))
    assert isinstance(event, ev.CommandExecuted)
    assert (event.result.slippage, event.result.details, event.result.attempts) == (None, None, 0)
    assert event.result.ticket == 2**63 + 7


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("result", "outcome"), None, "result.outcome"),
        (("result", "outcome"), "DONE", "result.outcome"),
        (("result", "price"), 1.1, "result.price"),
        (("result", "price"), "-1", "result.price"),
        (("result", "volume"), "NaN", "result.volume"),
        (("result", "ticket"), 5, "result.ticket"),
        (("result", "ticket"), "0", "result.ticket"),
        (("result", "attempts"), True, "result.attempts"),
        (("result", "reconciled"), 0, "result.reconciled"),
        (("result", "command_id"), "a b", "result.command_id"),
        (("result", "details"), {}, "result.details"),
        (("result", "bonus"), 1, "bonus"),
        (("result",), "x", "CommandResult"),
    ],
)
def test_a_row_that_we_cannot_have_written_is_named(path: tuple[str, ...], value: object, says: str) -> None:
    row = encode_event(script.executed("a"))
    payload = json.loads(row.payload)
    place = payload
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(JournalDamaged, match=says):
        decode_event(row.kind, row.at, row.command_id, json.dumps(payload))


@pytest.mark.parametrize(
    ("kind", "at", "command_id", "payload"),
    [
        ("CommandDreamt", "2026-11-20T09:00:00.000000Z", "a", "{}"),
        ("CommandQueued", "today", "a", "{}"),
        ("CommandQueued", "2026-11-20T09:00:00.000000Z", "", "{}"),
        ("CommandQueued", "2026-11-20T09:00:00.000000Z", "a", "[]"),
        ("CommandQueued", "2026-11-20T09:00:00.000000Z", "a", "{"),
        ("CommandExecuted", "2026-11-20T09:00:00.000000Z", "a", "{}"),
        ("CommandQueued", "2026-11-20T09:00:00.000000Z", "a", "[" * 100_000),
    ],
)
def test_an_unreadable_row_is_damage(kind: str, at: str, command_id: str, payload: str) -> None:
    with pytest.raises(JournalDamaged):
        decode_event(kind, at, command_id, payload)


def test_times_are_utc_text_that_sorts() -> None:
    east = datetime(2026, 11, 20, 12, 0, tzinfo=timezone(timedelta(hours=3)))
    assert instant_text(east) == "2026-11-20T09:00:00.000000Z"
    assert instant(instant_text(east)) == east
    assert instant(instant_text(east)).tzinfo is UTC
    with pytest.raises(InvalidValue, match="time zone"):
        encode_event(ev.CommandQueued(datetime(2026, 1, 1), CommandId("a")))


def test_an_unfit_number_is_refused_before_it_is_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_event(ev.BrainSessionOpened(script.at(0), "s", False, float("nan")))
