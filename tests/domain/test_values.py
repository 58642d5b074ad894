"""The smallest words of trading refuse bad values when they are made, and keep good ones exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    CommandClass,
    ModifyOrder,
    ModifyPosition,
    PlaceOrder,
)
from app.domain.errors import InvalidValue
from app.domain.values import (
    CommandId,
    Magic,
    OrderKind,
    Price,
    Priority,
    Side,
    Symbol,
    Ticket,
    Volume,
    decimal,
)
from tests.domain.making import EURUSD, buy, command, pending

NOT_DECIMALS: list[Any] = [1.1, 0.1, True, False, None, "", "abc", "1,5", "0x10", b"1", [], "--1", "1e"]
NOT_FINITE: list[Any] = ["NaN", "sNaN", "Infinity", "-Infinity", Decimal("NaN"), Decimal("Infinity")]
TOO_LONG: list[Any] = [
    "1" * 29,
    "1e29",
    "1e-29",
    "0." + "0" * 28 + "1",
    10**29,
    "1E+400",
    "1E-999999",
    "1e99999999999999999999",
]
OTHER_SCRIPTS: list[Any] = ["1_000", " 1", "1 ", "1\n", "١", "１", "1.1\t"]


@pytest.mark.parametrize("kind", [Price, Volume])
@pytest.mark.parametrize("value", [*NOT_DECIMALS, *NOT_FINITE, *TOO_LONG, *OTHER_SCRIPTS])
def test_prices_and_volumes_are_exact_finite_decimals(kind: type[Price] | type[Volume], value: Any) -> None:
    with pytest.raises(InvalidValue) as refused:
        kind(value, "command.x")
    assert refused.value.field == "command.x"


@pytest.mark.parametrize("kind", [Price, Volume])
@pytest.mark.parametrize("value", [0, "0", "0.00", "-0", -1, "-0.01", Decimal("-1E-28")])
def test_prices_and_volumes_are_greater_than_zero(kind: type[Price] | type[Volume], value: Any) -> None:
    with pytest.raises(InvalidValue, match="greater than 0"):
        kind(value)


@given(st.decimals(min_value="0.00000001", max_value="99999999", allow_nan=False, places=8))
def test_a_price_is_the_number_it_was_made_of(number: Decimal) -> None:
    assert Price(str(number)) == number
    assert Volume(number) == number
    assert isinstance(Price(number), Decimal)


@given(st.floats() | st.booleans() | st.binary() | st.none())
def test_no_binary_float_and_no_boolean_becomes_a_decimal(value: Any) -> None:
    with pytest.raises(InvalidValue):
        decimal("x", value)


@given(st.text(max_size=40))
def test_any_text_is_refused_or_is_the_decimal_that_it_says(text: str) -> None:
    try:
        number = decimal("x", text)
    except InvalidValue:
        return
    assert number.is_finite()
    assert number == Decimal(text)
    assert text.isascii()


@pytest.mark.parametrize(
    ("kind", "low", "high"), [(Ticket, 1, 2**64 - 1), (Magic, 0, 2**63 - 1)], ids=["ticket", "magic"]
)
def test_whole_numbers_have_exact_bounds(kind: Any, low: int, high: int) -> None:
    for value in (low, high, str(low), str(high)):
        assert kind(value) == int(value)
    for value in (low - 1, high + 1, str(high + 1)):
        with pytest.raises(InvalidValue):
            kind(value)


@pytest.mark.parametrize("kind", [Ticket, Magic])
@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        1.0,
        "1.0",
        " 7",
        "7 ",
        "7\n",
        "+7",
        "-7",
        "1_0",
        "٧",
        "",
        None,
        Decimal(7),
        b"7",
        "9" * 21,
    ],
)
def test_whole_numbers_are_written_plainly(kind: Any, value: Any) -> None:
    with pytest.raises(InvalidValue):
        kind(value)


@given(st.integers(min_value=1, max_value=2**64 - 1))
def test_every_ticket_survives_text(number: int) -> None:
    assert Ticket(str(number)) == Ticket(number) == number


@pytest.mark.parametrize(
    "name",
    ["EURUSD", "EURUSD.a", "#AAPL", "US30+", "BTC/USD", "A", "A" * 31, "#" + "A" * 30, "GER40 Cash", "x@y"],
)
def test_brokers_symbols_are_taken_as_they_are_spelt(name: str) -> None:
    assert Symbol(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "#",
        "##A",
        " EURUSD",
        "EUR\nUSD",
        "EURUSD\n",
        "A" * 32,
        "#" + "A" * 31,
        "ΕURUSD",
        "a\x00b",
        5,
        None,
    ],
)
def test_what_no_broker_calls_a_symbol_is_refused(name: Any) -> None:
    with pytest.raises(InvalidValue, match="symbol"):
        Symbol(name)


@given(st.text(alphabet="ABCxyz059_.:-", min_size=1, max_size=64))
def test_every_allowed_command_id_is_taken(name: str) -> None:
    assert CommandId(name) == name


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "a/b", "ä", "a\n", "\na", "a\x00", 7, None, b"a"])
def test_other_command_ids_are_refused(name: Any) -> None:
    with pytest.raises(InvalidValue, match="commandId"):
        CommandId(name)


@given(st.text(max_size=70))
def test_any_text_is_a_symbol_or_an_id_or_is_refused(text: str) -> None:
    for kind, most in ((Symbol, 31), (CommandId, 64)):
        try:
            made = kind(text)
        except InvalidValue:
            continue
        assert made == text
        assert 1 <= len(text) <= most


def test_a_fault_can_be_named_from_further_out() -> None:
    with pytest.raises(InvalidValue) as refused:
        Volume(0)
    assert str(refused.value.within("command")) == "command.volume: must be greater than 0"


def test_sides_and_kinds() -> None:
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert [kind.side for kind in OrderKind] == [Side.BUY, Side.SELL] * 3
    assert {kind for kind in OrderKind if kind.is_limit} == {OrderKind.BUY_LIMIT, OrderKind.SELL_LIMIT}
    assert {kind for kind in OrderKind if kind.is_stop_limit} == {
        OrderKind.BUY_STOP_LIMIT,
        OrderKind.SELL_STOP_LIMIT,
    }
    assert sorted(Priority) == [Priority.CRITICAL, Priority.HIGH, Priority.NORMAL, Priority.LOW]


# ------------------------------------------------------------------ commands are valid by construction


@pytest.mark.parametrize("kind", list(OrderKind))
def test_a_stop_limit_order_and_no_other_has_two_prices(kind: OrderKind) -> None:
    if kind.is_stop_limit:
        assert pending(kind, "1.2", stop_limit_price=Price("1.1")).stop_limit_price == Price("1.1")
        with pytest.raises(InvalidValue, match=r"stopLimitPrice: is required"):
            pending(kind, "1.2")
    else:
        assert pending(kind, "1.2").stop_limit_price is None
        with pytest.raises(InvalidValue, match=r"stopLimitPrice: only for"):
            pending(kind, "1.2", stop_limit_price=Price("1.1"))


def test_an_amendment_changes_something() -> None:
    with pytest.raises(InvalidValue, match="stopLoss"):
        ModifyPosition(Ticket(1))
    with pytest.raises(InvalidValue, match="one of price"):
        ModifyOrder(Ticket(1))
    assert ModifyPosition(Ticket(1), stop_loss=None).stop_loss is None
    assert ModifyOrder(Ticket(1), expiration=None).expiration is None


def test_what_a_command_says_of_itself() -> None:
    entry = command(buy("0.10"))
    assert (entry.command_class, entry.action_name, entry.symbol, entry.ticket) == (
        CommandClass.ENTRY,
        "OPEN_POSITION",
        EURUSD,
        None,
    )
    assert entry.volume == Volume("0.10")
    classes: dict[Action, CommandClass] = {
        ClosePosition(Ticket(1)): CommandClass.EXIT,
        CancelOrder(Ticket(1)): CommandClass.EXIT,
        CloseAll(): CommandClass.EXIT,
        ModifyPosition(Ticket(1), stop_loss=None): CommandClass.AMENDMENT,
        ModifyOrder(Ticket(1), stop_loss=None): CommandClass.AMENDMENT,
        PlaceOrder(EURUSD, OrderKind.BUY_LIMIT, Volume("1"), Price("1")): CommandClass.ENTRY,
    }
    for action, expected in classes.items():
        assert command(action).command_class is expected
    assert command(ClosePosition(Ticket(5))).ticket == 5
    assert command(ClosePosition(Ticket(5))).symbol is None
