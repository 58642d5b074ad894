"""The market watch: bid, ask, spread, how old the last tick is, and its way over the last minutes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from app.api.schemas import QuoteModel, SnapshotModel
from app.gui import formats
from app.gui.pane import TablePane
from app.gui.rows import Cell, Column, RowMaker
from app.gui.theme import Theme
from app.gui.tones import Tone

_KEPT = 60
_BIDS_EVERY = timedelta(seconds=1)
_LINES_EVERY = timedelta(seconds=2)
"""A line of sixty points a symbol says no more when it is drawn ten times a second."""
_STALE = 10.0
"""Seconds after which a quote is marked; the engine refuses entries on older ones by safety.max_quote_age."""


class MarketPane(TablePane):
    def __init__(self, theme: Theme) -> None:
        super().__init__(
            "market",
            "Market",
            _COLUMNS,
            theme,
            (
                "No quotes yet",
                "Prices appear when the terminal is connected. Symbols come with what is traded.",
            ),
        )
        self._rows = RowMaker(_COLUMNS, QuoteFacts)
        self._bids: dict[str, deque[float]] = {}
        self._lines: dict[str, tuple[float, ...]] = {}
        self._last: dict[str, QuoteModel] = {}
        self._bids_kept: datetime | None = None
        self._lines_drawn: datetime | None = None

    def notice(self, picture: SnapshotModel) -> None:
        if self._bids_kept is not None and picture.at - self._bids_kept < _BIDS_EVERY:
            return
        self._bids_kept = picture.at
        for quote in picture.quotes:
            if self._last.get(quote.symbol) is not quote:
                self._last[quote.symbol] = quote
                self._bids.setdefault(quote.symbol, deque(maxlen=_KEPT)).append(float(quote.bid))

    def draw(self, picture: SnapshotModel) -> None:
        if self._lines_drawn is None or picture.at - self._lines_drawn >= _LINES_EVERY:
            self._lines_drawn = picture.at
            self._lines = {symbol: tuple(bids) for symbol, bids in self._bids.items()}
        rows = [
            self._rows.row(
                quote.symbol,
                quote,
                max(0, int((picture.at - quote.time).total_seconds())),
                self._lines.get(quote.symbol, ()),
            )
            for quote in picture.quotes
        ]
        self._rows.keep(rows)
        self.put(rows)


@dataclass(frozen=True, slots=True)
class QuoteFacts:
    """What a row is made of."""

    quote: QuoteModel
    age: int
    """Whole seconds since the last tick."""
    bids: tuple[float, ...]

    @property
    def digits(self) -> int:
        return formats.digits_of(self.quote.bid, self.quote.ask)


def _price(facts: QuoteFacts, price: Decimal) -> Cell:
    return Cell(formats.price(price, facts.digits), sort=float(price))


def _spread(facts: QuoteFacts) -> Cell:
    spread = (facts.quote.ask - facts.quote.bid).scaleb(facts.digits)
    return Cell(formats.number(spread, 0), sort=float(spread))


def _tick(facts: QuoteFacts) -> Cell:
    old = facts.age >= _STALE
    text = formats.span(facts.age)
    return Cell(f"▲ {text}" if old else text, Tone.WARN if old else Tone.DIM, sort=facts.age)


_COLUMNS = (
    Column("Symbol", "EURUSD.x", make=lambda of: Cell(of.quote.symbol, Tone.STRONG)),
    Column("Bid", "67 237.53", right=True, fades=True, make=lambda of: _price(of, of.quote.bid)),
    Column("Ask", "67 237.53", right=True, fades=True, make=lambda of: _price(of, of.quote.ask)),
    Column("Spread", "1 300", right=True, tip="Points", make=_spread),
    Column("Tick", "▲ 59 m", right=True, tip="Age of the last tick", make=_tick),
    Column(
        "Lately",
        "sparkline",
        tip="Bid over the last ticks seen",
        make=lambda of: Cell("", line=of.bids) if len(of.bids) > 1 else Cell(""),
    ),
)
