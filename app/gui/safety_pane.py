"""Each limit as a gauge: now, limit, state; what has tripped is explained with its remedy."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.api.schemas import LimitModel, SnapshotModel
from app.gui import formats, words
from app.gui.gauge_bar import GaugeBar
from app.gui.pane import Pane
from app.gui.still_labels import StillLabel
from app.gui.theme import Theme
from app.gui.tones import Tone


class _Line:
    """The widgets of one limit."""

    def __init__(self, name: str, theme: Theme, grid: QGridLayout, place: int) -> None:
        self.title = QLabel(words.limit_name(name))
        self.bar = GaugeBar(theme, height=8, least_width=24)
        self.value = StillLabel()
        self.explained = QLabel()
        self.explained.setWordWrap(True)
        self.explained.hide()
        self.button = QPushButton("Re-enable…")
        self.button.setAccessibleName(f"Re-enable {words.limit_name(name)}")
        self.button.hide()
        row = place * 2
        grid.addWidget(self.title, row, 0)
        grid.addWidget(self.bar, row, 1)
        grid.addWidget(self.value, row, 2, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(self.explained, row + 1, 0, 1, 2)
        grid.addWidget(self.button, row + 1, 2)


class SafetyPane(Pane):
    """`reenable_wanted` carries a limit's name."""

    reenable_wanted = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__("safety", "Safety")
        self._theme = theme
        self._lines: dict[str, _Line] = {}
        inner = QWidget()
        inner.setObjectName("pane")
        self._grid = QGridLayout()
        self._grid.setContentsMargins(12, 10, 12, 6)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        self.words = QLabel("The limits appear here as soon as the engine is connected.")
        self.words.setObjectName("dim")
        self.words.setWordWrap(True)
        self.words.setContentsMargins(12, 10, 12, 0)
        column.addWidget(self.words)
        column.addLayout(self._grid)
        column.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(inner)
        self.column.addWidget(area, 1)
        # Inside the scrolled part: on a small screen its lines would be squeezed.
        self._foot = QLabel()
        self._foot.setObjectName("paneFoot")
        self._foot.setTextFormat(Qt.TextFormat.RichText)
        self._foot.setWordWrap(True)
        self._foot.hide()
        column.addWidget(self._foot)
        self._latest: SnapshotModel | None = None
        self._shown: dict[str, LimitModel] = {}
        theme.changed.connect(self._again)

    def notice(self, picture: SnapshotModel) -> None:
        tripped = sum(limit.state == "latched" for limit in picture.limits)
        close = sum(limit.state in {"warning", "reached"} for limit in picture.limits)
        unsure = len(picture.unknown_commands)
        sign = f"  ■ {tripped}" if tripped else (f"  ▲ {close + unsure}" if close + unsure else "")
        self.set_title(f"Safety{sign}")

    def draw(self, picture: SnapshotModel) -> None:
        self._latest = picture
        self.words.setVisible(not picture.limits)
        for limit in picture.limits:
            if self._shown.get(limit.name) != limit:
                self._shown[limit.name] = limit
                self._show(limit)
        self._foot.setText(_foot(picture))
        self._foot.setVisible(bool(self._foot.text()))

    def _again(self) -> None:
        """In other colours."""
        self._shown.clear()
        if self._latest is not None:
            self.draw(self._latest)

    def _show(self, limit: LimitModel) -> None:
        line = self._lines.get(limit.name)
        if line is None:
            line = _Line(limit.name, self._theme, self._grid, len(self._lines))
            line.button.clicked.connect(lambda: self.reenable_wanted.emit(limit.name))
            self._lines[limit.name] = line
        phrase = words.limit_phrase(limit.state)
        calm = limit.state == "ok"
        line.bar.setVisible(limit.limit is not None)
        line.bar.show_share(1.0 if limit.state == "latched" else words.limit_share(limit), phrase.tone)
        line.value.setText(words.limit_now(limit) if calm else f"{phrase.sign} {words.limit_now(limit)}")
        tone = Tone.PLAIN if calm and limit.limit is not None else (Tone.DIM if calm else phrase.tone)
        _colour(line.value, self._theme.tones.of(tone))
        line.title.setToolTip(limit.explanation)
        serious = limit.state in {"latched", "reached"}
        line.explained.setVisible(serious)
        line.explained.setText(f"{phrase.text.capitalize()}. {words.remedy(limit.name)}" if serious else "")
        _colour(line.explained, self._theme.tones.of(phrase.tone))
        line.button.setVisible(limit.state == "latched")


def _colour(label: QLabel, colour: str) -> None:
    """A style sheet costs a layout: set only when it is another."""
    sheet = f"color: {colour}"
    if label.styleSheet() != sheet:
        label.setStyleSheet(sheet)


def _foot(picture: SnapshotModel) -> str:
    said = []
    missing = words.cannot_trade(picture.permissions)
    if missing:
        said.append(f"▲ {missing}.")
    if picture.unknown_commands:
        number = formats.count(len(picture.unknown_commands), "command")
        said.append(
            f"▲ {number} with an unknown outcome: the terminal is asked; entries on the same symbol wait."
        )
    if picture.unsigned_allowed:
        said.append("▲ Commands need no signature: anyone who reaches the brain's connection can trade.")
    said += [
        f"▲ {words.limit_name(limit.name)}: {words.limit_share(limit) * 100:.0f} % of the limit is used."
        for limit in picture.limits
        if limit.state == "warning"
    ]
    said += [f"▲ {warning}" for warning in picture.warnings]
    return "<br>".join(said)
