"""The model of every table: tells only what changed, never resets, keeps what is chosen."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPersistentModelIndex, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.gui.row_fade import STEP_MS, STEPS, Fades
from app.gui.row_model import RowModel
from app.gui.row_view import RowView
from app.gui.rows import Cell, Column, Row, RowMaker
from app.gui.theme import Theme

COLUMNS = (Column("Symbol", "EURUSD"), Column("Profit", "−10.00", right=True))


def row(key: str, profit: float = 0.0) -> Row:
    return Row(key, (Cell(key), Cell(f"{profit:.2f}", sort=profit)), key)


class Watched:
    """A model under Qt's own tester, and a diary of what it told."""

    def __init__(self) -> None:
        self.model = RowModel(COLUMNS)
        self.tester = QAbstractItemModelTester(
            self.model, QAbstractItemModelTester.FailureReportingMode.Fatal
        )
        self.told: list[tuple[str, int, int]] = []
        self.resets = 0
        model = self.model
        model.rowsInserted.connect(lambda _parent, first, last: self.told.append(("in", first, last)))
        model.rowsRemoved.connect(lambda _parent, first, last: self.told.append(("out", first, last)))
        model.dataChanged.connect(lambda first, last: self.told.append(("new", first.row(), last.row())))
        model.modelReset.connect(self._reset)

    def _reset(self) -> None:
        self.resets += 1

    def put(self, *rows: Row) -> list[tuple[str, int, int]]:
        self.told.clear()
        self.model.put(rows)
        return list(self.told)

    @property
    def keys(self) -> list[str]:
        return [shown.key for shown in self.model.shown]


@pytest.fixture
def watched(qapp: QApplication) -> Watched:
    return Watched()


def test_only_runs_of_changed_rows_are_told(watched: Watched) -> None:
    rows = [row(name) for name in "abcdef"]
    assert watched.put(*rows) == [("in", 0, 5)]
    assert watched.put(*rows) == []
    changed = [rows[0], row("b", 1), row("c", 2), rows[3], row("e", 3), rows[5]]
    assert watched.put(*changed) == [("new", 1, 2), ("new", 4, 4)]
    assert watched.resets == 0


def test_rows_go_in_runs_and_new_ones_take_their_place(watched: Watched) -> None:
    rows = {name: row(name) for name in "abcdef"}
    watched.put(*rows.values())
    assert watched.put(rows["a"], rows["d"], row("x"), rows["f"])[:2] == [("out", 4, 4), ("out", 1, 2)]
    assert watched.keys == ["a", "d", "x", "f"]
    assert watched.put() == [("out", 0, 3)]
    assert watched.resets == 0


def test_sorting_goes_by_number_and_keeps_what_is_chosen(watched: Watched) -> None:
    watched.put(row("a", 10), row("b", -2), row("c", 9))
    chosen = QPersistentModelIndex(watched.model.index(0, 0))
    watched.model.sort(1, Qt.SortOrder.AscendingOrder)
    assert watched.keys == ["b", "c", "a"]
    assert chosen.row() == 2
    watched.put(row("a", -5), row("b", -2), row("c", 9))
    assert watched.keys == ["a", "b", "c"]
    assert chosen.row() == 0
    watched.model.sort(-1)
    assert watched.keys == ["a", "b", "c"]


def test_the_filter_wants_every_word(watched: Watched) -> None:
    watched.put(row("EURUSD", 1.5), row("GBPUSD", 1.5), row("EURJPY", 2))
    watched.model.set_filter("eur 1.5")
    assert (watched.keys, watched.model.total) == (["EURUSD"], 3)
    watched.model.set_filter("")
    assert watched.keys == ["EURUSD", "GBPUSD", "EURJPY"]


def lazy(made: list[int]) -> RowMaker:
    def cell(fact: int) -> Cell:
        made.append(fact)
        return Cell(str(fact))

    return RowMaker(
        (Column("Number", "10", make=cell), Column("Again", "10", make=cell)), lambda _source, fact: fact
    )


def test_a_row_is_made_anew_only_when_what_it_shows_has_changed() -> None:
    maker = lazy([])
    source = object()
    first = maker.row("a", source, 1)
    assert maker.row("a", source, 1) is first
    assert maker.row("a", source, 2) is not first
    assert maker.row("a", object(), 2) is not maker.row("a", source, 2)
    kept = maker.row("a", source, 2)
    maker.row("b", source, 3)
    maker.keep([kept])
    assert maker.row("a", source, 2) is kept


def test_a_cell_is_made_when_it_is_looked_at_and_once() -> None:
    made: list[int] = []
    row = lazy(made).row("a", None, 7)
    assert made == []
    assert (row.cell(1).text, row.cell(1).text) == ("7", "7")
    assert made == [7]
    assert [cell.text for cell in row.cells] == ["7", "7"]
    assert made == [7, 7]


def test_only_what_is_in_view_is_told_and_of_it_only_the_columns_that_differ(watched: Watched) -> None:
    rows = [row(name) for name in "abcdef"]
    watched.put(*rows)
    watched.model.in_view = lambda: range(1, 3)
    places: list[tuple[int, int, int, int]] = []
    watched.model.dataChanged.connect(
        lambda first, last: places.append((first.row(), first.column(), last.row(), last.column()))
    )
    watched.put(*[row(name, 5) for name in "abcdef"])
    assert places == [(1, 1, 2, 1)]
    assert [shown.cells[1].text for shown in watched.model.shown] == ["5.00"] * 6


def test_a_number_that_moves_is_lit_for_a_moment_and_says_which_way() -> None:
    now = [0]
    fades = Fades(lambda: now[0])
    fades.light("a", 1, Cell("1", sort=1.0), Cell("2", sort=2.0))
    fades.light("b", 1, Cell("2", sort=2.0), Cell("1", sort=1.0))
    fades.light("c", 1, Cell("x"), Cell("y"))
    assert (fades.of("a", 1), fades.of("b", 1), fades.of("c", 1)) == ((True, 0), (False, 0), None)
    assert fades.turn() == []
    now[0] = STEP_MS
    assert fades.turn() == [("a", 1), ("b", 1)]
    assert fades.of("a", 1) == (True, 1)
    now[0] = STEPS * STEP_MS
    assert fades.turn() == [("a", 1), ("b", 1)]
    assert not fades


def test_a_table_copies_what_is_chosen_with_its_headings(qtbot: QtBot, theme: Theme) -> None:
    view = RowView(COLUMNS, theme, "Test")
    qtbot.addWidget(view)
    view.rows.put([row("EURUSD", 1.5), row("GBPUSD", 2)])
    view.choose_key("GBPUSD")
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "Symbol\tProfit\nGBPUSD\t2.00"


def test_one_cell_is_copied_bare(qtbot: QtBot, theme: Theme) -> None:
    view = RowView(COLUMNS, theme, "Test")
    qtbot.addWidget(view)
    view.rows.put([row("EURUSD", 1.5)])
    view.setCurrentIndex(view.rows.index(0, 1))
    qtbot.keyClick(
        view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    assert QGuiApplication.clipboard().text() == "1.50"


def test_a_screen_reader_hears_column_and_value(watched: Watched) -> None:
    watched.put(row("EURUSD", 1.5))
    index = watched.model.index(0, 1)
    assert watched.model.data(index, Qt.ItemDataRole.AccessibleTextRole) == "Profit: 1.50"
