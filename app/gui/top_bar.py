"""What is always in view, left to right: am I connected, may it trade, what am I worth, how is today, how do I stop."""

from __future__ import annotations

from decimal import Decimal

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.api.schemas import LinkModel, SnapshotModel
from app.gui import formats, words
from app.gui.gauge_bar import GaugeBar
from app.gui.session import EngineLink, EngineState
from app.gui.still_labels import StillLabel
from app.gui.stop_block import StopBlock
from app.gui.theme import Theme, number_font
from app.gui.tones import Tone

_SMALL, _TINY = 1200, 1020
"""Widths in points below which the figures are drawn smaller, and smaller still: a screen of 1920 points at 200 % has 960."""
_SIZES: tuple[tuple[float, float | None, int], ...] = (
    (15, None, 12), (11.5, 8.5, 7), (10.5, 8, 4), (9.5, 7, 3), (8, 6, 2),
)  # fmt: skip
"""By how small it is: size of the figures, size of the words, space between the parts. The last two are for wide fonts."""
_LINK_NAMES = ("brain", "terminal", "broker", "journal")


class Chip(QWidget):
    """One link: sign, name, word and latency. Elides its word before anything else is cut."""

    def __init__(self, name: str, theme: Theme) -> None:
        super().__init__()
        self._name = name.capitalize()
        self._theme = theme
        self._phrase = words.Phrase(words.RESTING, "not known", Tone.DIM)
        self._latency = ""
        self._detail = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMaximumWidth(250)
        theme.changed.connect(self.update)
        self._name_it()

    def show_link(self, phrase: words.Phrase, latency_ms: float | None, detail: str) -> None:
        latency = "" if latency_ms is None else formats.milliseconds(latency_ms)
        if (phrase, latency, detail) == (self._phrase, self._latency, self._detail):
            return
        self._phrase, self._latency, self._detail = phrase, latency, detail
        self._name_it()
        self.update()

    def _name_it(self) -> None:
        self.setAccessibleName(f"{self._name}: {self.text}")
        tip = self._detail if self._detail != self._phrase.text else ""
        self.setToolTip(f"{self._name}: {self.text}" + (f"\n{tip}" if tip else ""))

    @property
    def text(self) -> str:
        """The word and the latency."""
        return " · ".join(part for part in (self._phrase.text, self._latency) if part)

    @property
    def phrase(self) -> words.Phrase:
        return self._phrase

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        metrics = QFontMetrics(self.font())
        return QSize(34 + metrics.horizontalAdvance(f"{self._name}  {self.text}") + 12, metrics.height() + 10)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        metrics = QFontMetrics(self.font())
        return QSize(37 + metrics.horizontalAdvance(self._name), metrics.height() + 10)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        tones = self._theme.tones
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(tones.line)))
        painter.drawRoundedRect(rect, rect.height() / 2, rect.height() / 2)
        metrics = QFontMetrics(self.font())
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.setPen(QColor(tones.of(self._phrase.tone)))
        painter.drawText(QRectF(11, 0, 16, self.height()), flags, self._phrase.sign)
        painter.setPen(QColor(tones.text))
        painter.drawText(QRectF(28, 0, self.width(), self.height()), flags, self._name)
        left = 28 + metrics.horizontalAdvance(self._name) + 8
        room = int(self.width() - left - 9)
        calm = self._phrase.tone in {Tone.UP, Tone.DIM}
        painter.setPen(QColor(tones.dim if calm else tones.of(self._phrase.tone)))
        text = metrics.elidedText(self.text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(left, 0, room, self.height()), flags, text)


class Figure(QWidget):
    """A name, a large number, a line below."""

    def __init__(
        self,
        title: str,
        theme: Theme,
        below: QWidget | None = None,
        side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignRight,
    ) -> None:
        super().__init__()
        self._theme = theme
        self._tone = Tone.PLAIN
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        self.title = QLabel(title)
        self.title.setObjectName("dim")
        self.value = StillLabel(formats.NONE)
        self.value.setFont(number_font(15, bold=True))
        self.line = StillLabel("")
        self.line.setObjectName("dim")
        self._shown: tuple[str, str] | None = None
        column.addStretch()
        column.addWidget(self.title)
        column.addWidget(self.value, 0, side)
        column.addWidget(self.line, 0, Qt.AlignmentFlag.AlignLeft)
        if below is not None:
            column.addWidget(below)
        column.addStretch()
        theme.changed.connect(self._colour)

    def show_text(self, value: str, line: str, tone: Tone = Tone.PLAIN) -> None:
        if (value, line) != self._shown:
            self._shown = (value, line)
            self.value.setText(value)
            self.line.setText(line)
            self.setAccessibleName(f"{self.title.text()}: {value}, {line}")
        if tone is not self._tone:
            self._tone = tone
            self._colour()

    def _colour(self) -> None:
        self.value.setStyleSheet(f"color: {self._theme.tones.of(self._tone)}")


class TopBar(QWidget):
    """`stop` when the button is pressed; `pause` and `resume` from the trading state's button."""

    pause = Signal()
    resume = Signal()

    def __init__(self, theme: Theme, *, closes_positions: bool) -> None:
        super().__init__()
        self.setObjectName("topBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.chips = {name: Chip(name, theme) for name in _LINK_NAMES}
        self.trading = Figure("Trading", theme, side=Qt.AlignmentFlag.AlignLeft)
        self.equity = Figure("Equity", theme)
        self.margin = Figure("Free margin", theme)
        self.loss_bar = GaugeBar(theme, height=6, least_width=96)
        self.today = Figure("Today", theme, self.loss_bar)
        self.stop_block = StopBlock(closes_positions=closes_positions)
        self.act = QPushButton("Pause entries  F9")
        self.act.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.act.clicked.connect(self._act)
        self._state = ""
        self._small = 0
        self._lay_out()
        self.show_link(EngineLink(EngineState.SEARCHING, "looking for the engine …"))

    def _lay_out(self) -> None:
        line = QHBoxLayout(self)
        self._line = line
        line.setContentsMargins(12, 8, 10, 8)
        line.setSpacing(12)
        grid = QGridLayout()
        grid.setSpacing(6)
        for place, chip in enumerate(self.chips.values()):
            grid.addWidget(chip, place // 2, place % 2)
        line.addLayout(grid, 3)
        state = QVBoxLayout()
        state.setSpacing(2)
        state.addStretch()
        state.addWidget(self.trading)
        state.addWidget(self.act)
        state.addStretch()
        for part in (state, self.equity, self.margin, self.today):
            rule = QFrame()
            rule.setObjectName("rule")
            rule.setFixedWidth(1)
            line.addWidget(rule)
            if isinstance(part, QVBoxLayout):
                line.addLayout(part)
            else:
                line.addWidget(part)
        line.addStretch()
        line.addWidget(self.stop_block)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """On a small screen the figures are smaller and closer; nothing is left out."""
        super().resizeEvent(event)
        width = min(event.size().width(), self.window().width())
        least = 2 if width < _TINY else (1 if width < _SMALL else 0)
        self._draw_at(max(self._small, least) if event.oldSize().width() == width else least)

    def event(self, event: QEvent) -> bool:
        """One size smaller whenever the parts ask for more room than there is: nothing may push the stop out of the window."""
        done = super().event(event)
        # The window's width counts: a bar that needs more would be given it, and reach out of the window.
        if (
            event.type() == QEvent.Type.LayoutRequest
            and self._small + 1 < len(_SIZES)
            and self._line.totalMinimumSize().width() > min(self.width(), self.window().width())
        ):
            self._draw_at(self._small + 1)
        return done

    def _draw_at(self, small: int) -> None:
        if small == self._small:
            return
        self._small = small
        figures, words_, space = _SIZES[small]
        self._line.setSpacing(space)
        for figure in (self.trading, self.equity, self.margin, self.today):
            figure.value.setFont(number_font(figures, bold=True))
            for label in (figure.title, figure.line):
                label.setFont(number_font(words_))
        self.act.setFont(number_font(words_))
        self.stop_block.words.setFont(number_font(words_ if small >= 2 else None))

    def _act(self) -> None:
        (self.resume if self._state == "REDUCING" else self.pause).emit()

    # ------------------------------------------------------------ showing

    def show_link(self, link: EngineLink) -> None:
        """Without an engine every figure is old or unknown, and says so."""
        if link.state is EngineState.CONNECTED:
            return
        phrases = {
            EngineState.SILENT: words.Phrase(words.WARNING, "NOT ANSWERING", Tone.WARN),
            EngineState.STARTING: words.Phrase("…", "STARTING", Tone.WARN),
            EngineState.SEARCHING: words.Phrase("…", "LOOKING", Tone.DIM),
        }
        phrase = phrases.get(link.state, words.Phrase(words.BAD, "NO ENGINE", Tone.DOWN))
        self._state = ""
        self.trading.show_text(str(phrase), "nothing is known now", phrase.tone)
        self.act.hide()
        self.trading.line.show()
        for figure in (self.equity, self.margin, self.today):
            if figure.value.text() != formats.NONE:
                figure.show_text(figure.value.text(), "as last known", Tone.DIM)
        self.loss_bar.hide()
        self.stop_block.show_effect(None, None)
        for chip in self.chips.values():
            chip.show_link(words.Phrase("?", "unknown", Tone.DIM), None, "The engine is not connected.")

    def show_picture(self, picture: SnapshotModel) -> None:
        for row in picture.links:
            if row.name in self.chips:
                self._show_chip(row)
        self._show_trading(picture)
        self._show_account(picture)
        self._show_today(picture)
        self.stop_block.show_effect(len(picture.positions), len(picture.orders))
        self.stop_block.show_latched(picture.status.state == "HALTED")

    def _show_chip(self, row: LinkModel) -> None:
        self.chips[row.name].show_link(words.link(row), row.latency_ms, row.detail)

    def _show_trading(self, picture: SnapshotModel) -> None:
        status = picture.status
        phrase = words.trading(status.state)
        line = f"epoch {status.epoch}"
        if not picture.ready and status.state != "HALTED":
            line = "reconciling with the terminal …" if _terminal_up(picture) else "waits for the terminal"
        barred = status.state == "ACTIVE" and picture.ready and bool(words.cannot_trade(picture.permissions))
        tripped = [words.limit_name(limit.name) for limit in picture.limits if limit.state == "latched"]
        if barred:
            line = "▲ no trade is possible"
        elif tripped and status.state == "ACTIVE":
            barred, line = True, "▲ entries refused"
        self.trading.show_text(str(phrase), line, phrase.tone)
        why = words.cannot_trade(picture.permissions) or "".join(f"{name} has tripped. " for name in tripped)
        self.trading.setToolTip(f"{words.by(status.by)}: {status.reason}" + (f"\n{why}" if why else ""))
        self._state = status.state
        self.act.setVisible(status.state != "HALTED")
        self.trading.line.setVisible(status.state == "HALTED" or not picture.ready or barred)
        self.act.setText("Resume  F9" if status.state == "REDUCING" else "Pause entries  F9")
        self.act.setToolTip(
            "Entries are taken again."
            if status.state == "REDUCING"
            else "Entries are refused; closing goes on."
        )

    def _show_account(self, picture: SnapshotModel) -> None:
        account = picture.account
        if account is None:
            self.equity.show_text(formats.NONE, "no account yet")
            self.margin.show_text(formats.NONE, "")
            return
        self.equity.show_text(
            formats.money(account.equity), f"balance {formats.money(account.balance)} {account.currency}"
        )
        level = account.margin_level
        said = "no margin in use" if level is None else f"level {formats.number(level, 0)} %"
        self.margin.show_text(formats.money(account.free_margin), said)

    def _show_today(self, picture: SnapshotModel) -> None:
        profit = picture.daily_profit
        limit = next((row for row in picture.limits if row.name == "daily_loss"), None)
        if profit is None:
            self.today.show_text(formats.NONE, "not known yet")
        else:
            sign, tone = _direction(profit)
            below = "no daily loss limit"
            if limit is not None and limit.limit is not None:
                used = formats.number(Decimal(str(words.limit_share(limit) * 100)), 0)
                below = f"limit {formats.number(-limit.limit, 2)} · used {used} %"
            self.today.show_text(f"{sign}{formats.money(profit, signed=True)}", below, tone)
        if limit is not None:
            tone = words.limit_phrase(limit.state).tone
            self.loss_bar.show_share(words.limit_share(limit), tone)
            self.loss_bar.setVisible(limit.limit is not None)


def _direction(profit: Decimal) -> tuple[str, Tone]:
    if profit == 0:
        return "", Tone.PLAIN
    return ("▲ ", Tone.UP) if profit > 0 else ("▼ ", Tone.DOWN)


def _terminal_up(picture: SnapshotModel) -> bool:
    return any(row.name == "terminal" and row.state == "up" for row in picture.links)
