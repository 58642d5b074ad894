"""The simulated market: repeatable, on its grid, and never far from where it began."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import InvalidValue
from app.sim.instruments import CATALOGUE, choose
from app.sim.market import Market

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def walk(seed: int, steps: int, symbol: str = "EURUSD") -> list[Decimal]:
    market = Market(seed=seed, now=NOW)
    return [quote.bid for _ in range(steps) if (quote := market.step(symbol, NOW)) is not None]


def test_the_same_seed_walks_the_same_way() -> None:
    assert walk(3, 50) == walk(3, 50)
    assert walk(3, 50) != walk(4, 50)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), item=st.sampled_from([item for item in CATALOGUE if item.session_open]))
def test_every_quote_is_on_the_grid_and_has_a_spread(seed: int, item: object) -> None:
    market = Market(seed=seed, now=NOW)
    instrument = next(one for one in CATALOGUE if one is item)
    for _ in range(60):
        quote = market.step(instrument.symbol, NOW)
        assert quote is not None
        assert quote.bid % instrument.tick_size == 0
        assert quote.ask % instrument.tick_size == 0
        assert quote.ask > quote.bid > 0
        assert -quote.bid.as_tuple().exponent == instrument.digits  # type: ignore[operator]


def test_a_long_walk_stays_near_its_start() -> None:
    bids = walk(9, 20_000, "BTCUSD")
    start = Decimal("67250.00")
    assert max(abs(bid - start) for bid in bids) < start * Decimal("0.03")


def test_a_frozen_market_and_a_closed_session_stand_still() -> None:
    market = Market(now=NOW)
    assert market.step("CLOSED.x", NOW) is None
    market.frozen = True
    assert market.step("EURUSD", NOW) is None


def test_a_price_that_is_set_is_the_price() -> None:
    market = Market(now=NOW)
    quote = market.set_price("EURUSD", NOW, bid=Decimal("1.2"))
    assert (str(quote.bid), str(quote.ask), quote.volume) == ("1.20000", "1.20008", 2)
    with pytest.raises(InvalidValue):
        market.set_price("EURUSD", NOW, bid=Decimal("1.2"), ask=Decimal("1.1"))
    with pytest.raises(KeyError):
        market.set_price("NOPE", NOW, bid=Decimal("1.2"))


def test_choosing_symbols() -> None:
    assert [str(item.symbol) for item in choose(("XAUUSD", "EURUSD"))] == ["XAUUSD", "EURUSD"]
    assert choose(None) == CATALOGUE
    with pytest.raises(KeyError, match="NOPE"):
        choose(("EURUSD", "NOPE"))
