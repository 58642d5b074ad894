"""What the window does not do: draw what nobody sees, ask for layouts that change nothing, begin a picture before the last
is done.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QRect, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.api.schemas import SnapshotModel
from app.gui import canned
from app.gui.row_fade import Fades
from app.gui.row_model import RowModel
from app.gui.row_painter import RowPainter, Span
from app.gui.rows import Cell, Column, Row
from app.gui.screenshots import StillWindow, settle
from app.gui.still_labels import FootLine, StillLabel
from app.gui.theme import Theme


def test_a_pane_behind_a_tab_is_drawn_when_it_comes_in_front(still: StillWindow) -> None:
    still.show(canned.connected())
    still.window.default_layout()
    settle()
    market, positions = still.window.market, still.window.positions
    assert (positions.seen, market.seen) == (True, False)
    drawn: list[str] = []
    market.draw = lambda picture: drawn.append(picture.status.state)  # type: ignore[method-assign]
    still.show(canned.connected())
    still.show(canned.paused())
    assert drawn == []
    still.window.panes_docked.bring("market")
    settle()
    assert market.seen
    assert drawn[:1] == ["REDUCING"]


def test_the_next_picture_waits_until_the_last_pane_has_the_present_one(still: StillWindow) -> None:
    picture = canned.many_positions()
    still.show(picture)
    window = still.window
    window.draw_now()
    taken: list[str] = []

    def note(name: str) -> Callable[[SnapshotModel], None]:
        return lambda given: taken.append(f"{name} {given.at:%S.%f}")

    for pane in window.panes:
        pane.take = note(pane.name)  # type: ignore[method-assign, assignment]
    first, second = canned.moved(picture, 1), canned.moved(picture, 2)
    window.take(first)
    window.draw_now()
    window.take(second)
    assert window.drawing
    settle()
    names = [pane.name for pane in window.panes]
    assert taken[: len(names)] == [f"{name} {first.at:%S.%f}" for name in names]
    window.draw_now()
    settle()
    assert taken[-1] == f"{names[-1]} {second.at:%S.%f}"


class _Requests(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        self.number += event.type() == QEvent.Type.LayoutRequest
        return False


def test_a_figure_asks_for_a_layout_only_when_it_needs_more_room(qtbot: QtBot, theme: Theme) -> None:
    whole = QWidget()
    qtbot.addWidget(whole)
    column = QVBoxLayout(whole)
    label, foot = StillLabel("10 000.00"), FootLine()
    column.addWidget(label)
    column.addWidget(foot)
    whole.resize(400, 200)
    whole.show()
    foot.setText("drawdown <b>1.00 %</b>")
    settle()
    requests = _Requests()
    whole.installEventFilter(requests)
    label.setText("10 000.01")
    foot.setText("drawdown <b>1.01 %</b>")
    settle()
    assert (requests.number, label.text(), foot.text()) == (0, "10 000.01", "drawdown <b>1.01 %</b>")
    label.setText("1 210 000.01")
    foot.setText("drawdown <b>1.01 %</b> " * 30)
    settle()
    assert requests.number > 0
    assert label.width() >= label.fontMetrics().horizontalAdvance("1 210 000.01")
    assert foot.height() == foot.label.height() > label.height()


def test_only_the_dirty_part_of_a_table_is_painted(qtbot: QtBot, theme: Theme) -> None:
    columns = tuple(Column(str(place), "10", right=True) for place in range(3))
    model = RowModel(columns)
    seen: list[tuple[str, int]] = []

    class Watched(Row):
        def cell(self, place: int) -> Cell:
            seen.append((self.key, place))
            return super().cell(place)

    model.put([Watched(name, [Cell(name)] * 3, None) for name in "abcdef"])
    painter = RowPainter(model, theme, Fades(lambda: 0))
    seen.clear()
    image = QImage(300, 200, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.black)
    with QPainter(image) as brush:
        tall = painter.row_height
        painter.paint(
            brush,
            [QRect(110, 2 * tall, 20, 2 * tall)],
            [Span(place, place * 100, 100) for place in range(3)],
            0,
            set(),
        )
    assert seen == [("c", 1), ("d", 1)]
