"""The market watch: bid, ask, spread, how old the last tick is, and its way over the last minutes."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from app.api.schemas import QuoteModel, SnapshotModel
from app.gui import formats
from app.gui.pane import TablePane
from app.gui.rows import Cell, Column, RowMaker
from app.gui.theme import Theme
from app.gui.tones import Tone

_COLUMNS = (
    Column("Symbol", "EURUSD.x"),
    Column("Bid", "67 237.53", right=True),
    Column("Ask", "67 237.53", right=True),
    Column("Spread", "1 300", right=True, tip="Points"),
    Column("Tick", "▲ 59 m", right=True, tip="Age of the last tick"),
    Column("Lately", "sparkline", tip="Bid over the last ticks seen"),
)
_KEPT = 80
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
        self._rows = RowMaker(_cells)
        self._bids: dict[str, deque[float]] = {}
        self._last: dict[str, QuoteModel] = {}

    def notice(self, picture: SnapshotModel) -> None:
        for quote in picture.quotes:
            if self._last.get(quote.symbol) is not quote:
                self._last[quote.symbol] = quote
                self._bids.setdefault(quote.symbol, deque(maxlen=_KEPT)).append(float(quote.bid))

    def draw(self, picture: SnapshotModel) -> None:
        rows = [
            self._rows.row(
                quote.symbol,
                quote,
                quote,
                max(0, int((picture.at - quote.time).total_seconds())),
                tuple(self._bids.get(quote.symbol, ())),
            )
            for quote in picture.quotes
        ]
        self._rows.keep({row.key for row in rows})
        self.put(rows)


def _cells(quote: QuoteModel, age: int, bids: tuple[float, ...]) -> tuple[Cell, ...]:
    digits = formats.digits_of(quote.bid, quote.ask)
    spread = (quote.ask - quote.bid).scaleb(digits)
    old = age >= _STALE
    return (
        Cell(quote.symbol, Tone.STRONG),
        Cell(formats.price(quote.bid, digits), sort=float(quote.bid)),
        Cell(formats.price(quote.ask, digits), sort=float(quote.ask)),
        Cell(formats.number(Decimal(spread), 0), sort=float(spread)),
        Cell(
            f"▲ {formats.span(age)}" if old else formats.span(age), Tone.WARN if old else Tone.DIM, sort=age
        ),
        Cell("", line=bids) if len(bids) > 1 else Cell(""),
    )
