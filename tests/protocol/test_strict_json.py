"""Strict JSON, class by class as JSONTestSuite sorts them: what must be read, what must be refused, what is ours to decide."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.strict_json import InvalidJson, dumps, loads, plain_number

ACCEPTED = {
    "empty object": ("{}", {}),
    "white space": (' \t\r\n{ \n"a" : 1 }\n', {"a": 1}),
    "whole number": ('{"a":10001234}', {"a": 10001234}),
    "ticket above 2^53": ('{"a":18446744073709551615}', {"a": 2**64 - 1}),
    "negative": ('{"a":-1}', {"a": -1}),
    "minus zero": ('{"a":-0}', {"a": 0}),
    "price keeps its digits": ('{"a":1.0950}', {"a": Decimal("1.0950")}),
    "exponent": ('{"a":1e2}', {"a": Decimal("1E+2")}),
    "exponent with sign": ('{"a":1E-2}', {"a": Decimal("0.01")}),
    "largest double": ('{"a":1.7976931348623157e308}', {"a": Decimal("1.7976931348623157e308")}),
    "tiny": ('{"a":1e-320}', {"a": Decimal("1e-320")}),
    "literals": ('{"a":true,"b":false,"c":null}', {"a": True, "b": False, "c": None}),
    "list": ('{"a":[1,"x",[]]}', {"a": [1, "x", []]}),
    "empty key": ('{"":1}', {"": 1}),
    "all escapes": ('{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', {"a": '"\\/\b\f\n\r\t'}),
    "escaped unicode": ('{"a":"\\u20ac"}', {"a": "€"}),
    "escaped pair": ('{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    "raw unicode": ('{"a":"\U0001f600"}', {"a": "\U0001f600"}),
    "escaped nul": ('{"a":"\\u0000"}', {"a": "\x00"}),
    "noncharacter": ('{"a":"\\uffff"}', {"a": "\uffff"}),
    "brackets inside strings are not nesting": ('{"a":"' + "[{" * 40 + '"}', {"a": "[{" * 40}),
    "16 levels": ('{"a":' + "[" * 15 + "]" * 15 + "}", None),
}

REFUSED = {
    "nothing": "",
    "white space alone": "  ",
    "list at the top": "[]",
    "number at the top": "1",
    "string at the top": '"a"',
    "null at the top": "null",
    "byte order mark": "\ufeff{}",
    "form feed is no white space": "\x0c{}",
    "no-break space is no white space": "\u00a0{}",
    "trailing text": "{}x",
    "two objects": "{}{}",
    "trailing nul": "{}\x00",
    "trailing comma": '{"a":1,}',
    "leading comma": '{,"a":1}',
    "double comma": '{"a":1,,"b":2}',
    "missing comma": '{"a":1 "b":2}',
    "missing colon": '{"a" 1}',
    "missing value": '{"a":}',
    "unclosed object": '{"a":1',
    "unclosed list": '{"a":[1',
    "unclosed string": '{"a":"x',
    "mismatched brackets": '{"a":[1}]',
    "list trailing comma": '{"a":[1,]}',
    "unquoted key": "{a:1}",
    "number key": "{1:1}",
    "single quotes": "{'a':'b'}",
    "comment": '{"a":1/* c */}',
    "line comment": '{"a":1}//c',
    "duplicate key": '{"a":1,"a":2}',
    "duplicate key by escape": '{"a":1,"\\u0061":2}',
    "duplicate key deeper": '{"b":{"a":1,"a":1}}',
    "duplicate key in a list": '{"b":[{"a":1,"a":1}]}',
    "NaN": '{"a":NaN}',
    "Infinity": '{"a":Infinity}',
    "minus Infinity": '{"a":-Infinity}',
    "inf": '{"a":inf}',
    "overflow": '{"a":1e309}',
    "overflow, just": '{"a":1.7976931348623159e308}',
    "negative overflow": '{"a":-1e400}',
    "overflow beyond Decimal's context": '{"a":1e1000000}',
    "overflow beyond Decimal": '{"a":1e9999999999999999999}',
    "underflow beyond Decimal": '{"a":1e-9999999999999999999}',
    "an exponent that is gigabytes of zeros": '{"a":1e-100000000}',
    "zero with such an exponent": '{"a":0e999999}',
    "endless whole number": '{"a":' + "9" * 5000 + "}",
    "endless fraction": '{"a":0.' + "1" * 5000 + "}",
    "leading zero": '{"a":01}',
    "negative leading zero": '{"a":-01}',
    "plus sign": '{"a":+1}',
    "bare minus": '{"a":-}',
    "double minus": '{"a":--1}',
    "point first": '{"a":.5}',
    "point last": '{"a":1.}',
    "empty exponent": '{"a":1e}',
    "empty signed exponent": '{"a":1e+}',
    "hexadecimal": '{"a":0x1}',
    "underscore": '{"a":1_000}',
    "full-width digit": '{"a":\uff11}',
    "arabic digit": '{"a":\u0663}',
    "arabic digit behind the point": '{"a":1.\u0663}',
    "capital literal": '{"a":True}',
    "None": '{"a":None}',
    "half a literal": '{"a":tru}',
    "raw tab in a string": '{"a":"\t"}',
    "raw line break in a string": '{"a":"\n"}',
    "raw nul in a string": '{"a":"\x00"}',
    "unknown escape": '{"a":"\\x41"}',
    "short unicode escape": '{"a":"\\u00"}',
    "escape with other digits": '{"a":"\\u\uff10\uff10\uff14\uff11"}',
    "lone high surrogate": '{"a":"\\ud800"}',
    "lone low surrogate": '{"a":"\\udc00"}',
    "surrogates the wrong way round": '{"a":"\\ude00\\ud83d"}',
    "lone surrogate in a key": '{"\\ud800":1}',
    "lone surrogate in a list": '{"a":["\\ud800"]}',
    "raw lone surrogate": '{"a":"\ud800"}',
    "17 levels": '{"a":' + "[" * 16 + "]" * 16 + "}",
    "100000 levels": "[" * 100_000,
    "100000 objects": '{"a":' * 100_000,
    "17 levels behind an escaped quote": '{"a":"\\"","b":' + "[" * 16 + "]" * 16 + "}",
}

REFUSED_BYTES = {
    "not UTF-8": b"\xff",
    "overlong": b'{"a":"\xc0\x80"}',
    "surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "beyond Unicode": b'{"a":"\xf5\x80\x80\x80"}',
    "cut sequence": b'{"a":"\xe2\x82"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16-le"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_reads(name: str) -> None:
    text, meaning = ACCEPTED[name]
    found = loads(text)
    if meaning is not None:
        assert found == meaning
    assert loads(text.encode()) == found


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    with pytest.raises(InvalidJson):
        loads(REFUSED[name])


@pytest.mark.parametrize("name", REFUSED_BYTES)
def test_refuses_bytes(name: str) -> None:
    with pytest.raises(InvalidJson):
        loads(REFUSED_BYTES[name])


def test_fractions_never_pass_through_binary_floats() -> None:
    found = loads('{"a":0.1,"b":1.10500}')
    assert found["a"] + found["a"] + found["a"] == Decimal("0.3")
    assert plain_number(found["b"]) == "1.10500"


@given(st.text())
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        found = loads(text)
    except InvalidJson:
        return
    assert isinstance(found, dict)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        found = loads(data)
    except InvalidJson:
        return
    assert isinstance(found, dict)


@given(st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,25})?", fullmatch=True))
def test_any_number_is_exact_or_refused(text: str) -> None:
    try:
        found = loads('{"a":' + text + "}")["a"]
    except InvalidJson:
        return
    assert found == Decimal(text)


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**9), max_value=10**9)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), _values, max_size=4))
def test_what_is_written_is_read_back(message: dict[str, object]) -> None:
    text = dumps(message)
    assert loads(text) == message
    json.loads(text)


def test_written_numbers_keep_their_digits() -> None:
    assert dumps({"a": Decimal("1.10500"), "b": Decimal("1E-5"), "c": Decimal("1E+2")}) == (
        '{"a":1.10500,"b":0.00001,"c":100}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_json_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dumps({"a": value})


def test_types_without_json_form_are_not_written() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})


def test_a_text_that_looks_like_the_room_for_a_number_is_written_as_it_is() -> None:
    message = {"a": "\0exact", "b": Decimal("1.10"), "c": ["\0exact", Decimal("0.00001")]}
    assert dumps(message) == '{"a":"\\u0000exact","b":1.10,"c":["\\u0000exact",0.00001]}'
    assert loads(dumps(message)) == message
