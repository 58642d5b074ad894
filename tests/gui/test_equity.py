"""The equity curve: bounded, broken where nothing was known, and begun before the window by what the journal kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from math import isnan

from pytestqt.qtbot import QtBot

from app.api.schemas import EquityModel, EquityPointModel
from app.gui import canned
from app.gui.equity_pane import EquityCurve, EquityPane
from app.gui.formats import Zone
from app.gui.theme import Theme

START = canned.AT


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def point(seconds: float, equity: str, peak: str = "100") -> EquityPointModel:
    return EquityPointModel(
        at=later(seconds), balance=Decimal(100), equity=Decimal(equity), peak=Decimal(peak)
    )


def test_the_newest_point_moves_on_and_stays_every_five_seconds() -> None:
    curve = EquityCurve()
    for second in range(21):
        curve.add(later(second), 100.0 + second, 0.0)
        curve.add(later(second + 0.5), -1.0, 0.0)
    assert [moment - START.timestamp() for moment in curve.times] == [0, 4, 8, 12, 16, 20]
    assert list(curve.equity)[-1] == 120.0


def test_it_keeps_a_day_and_no_more() -> None:
    curve = EquityCurve()
    for step in range(20_000):
        curve.add(later(step * 5), float(step), 0.0)
    assert 15_000 < len(curve) <= 17_280
    assert curve.equity[-1] == 19_999.0


def test_a_time_without_engine_is_a_gap() -> None:
    curve = EquityCurve()
    curve.add(later(0), 100.0, 0.0)
    curve.add(later(600), 101.0, 0.0)
    assert [isnan(value) for value in curve.equity] == [False, True, False]


def test_the_journals_samples_come_before_what_the_window_saw() -> None:
    curve = EquityCurve()
    curve.add(later(0), 95.0, 5.0)
    curve.put_before([point(-120, "90"), point(-60, "98"), point(10, "1")])
    assert list(curve.equity) == [90.0, 98.0, 95.0]
    assert list(curve.drawdown) == [10.0, 2.0, 5.0]


def test_it_asks_once_for_each_account_and_takes_only_that_accounts_past(qtbot: QtBot, theme: Theme) -> None:
    pane = EquityPane(theme)
    qtbot.addWidget(pane)
    asked: list[int] = []
    pane.past_wanted.connect(lambda: asked.append(1))
    picture = canned.connected()
    pane.notice(picture)
    pane.notice(picture)
    assert asked == [1]
    pane.have_past(EquityModel(account="another", samples=(point(-60, "1"),)))
    assert len(pane.curve) == 1
    pane.have_past(EquityModel(account="5001234", samples=(point(-60, "99"),)))
    assert list(pane.curve.equity) == [99.0, 10482.17]


def test_the_axis_counts_in_the_windows_zone(qtbot: QtBot, theme: Theme) -> None:
    pane = EquityPane(theme)
    qtbot.addWidget(pane)
    axis = pane.time_axes[0]
    low, high = START.timestamp(), later(3 * 3600).timestamp()
    pane.set_zone(Zone.broker(7200))
    [(step, values)] = axis.tickValues(low, high, 250)
    assert (step, axis.tickStrings(values, 1, step)) == (3600, ["15:00", "16:00", "17:00"])
    pane.set_zone(Zone.UTC)
    [(step, values)] = axis.tickValues(low, high, 500)
    assert axis.tickStrings(values, 1, step) == ["12:30", "13:00", "13:30", "14:00", "14:30", "15:00"]
