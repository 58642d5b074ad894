"""The red banner of a stop: who, when, why, what is proved line by line, what is left to do by hand, and the way on.

It claims nothing by itself: every line with a tick came from the engine, the terminal or the file system.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.api.schemas import SnapshotModel, StopReceiptModel
from app.api.stop_client import StopReport
from app.gui import formats, words
from app.gui.formats import Zone

_UNBROKEN = 60
"""Characters."""
_WAYS = {
    "stop socket": "the engine's stop line did not answer",
    "local API": "the engine did not answer",
    "stop file": "the stop file could not be written",
    "terminal": "the terminal did not acknowledge",
}


@dataclass(frozen=True, slots=True)
class StopStory:
    """What the banner shows."""

    headline: str
    why: str
    lines: tuple[str, ...]
    todo: tuple[str, ...]
    resettable: bool
    """The engine is there and halted: it can be reset, and positions can be closed."""


def story_of_picture(picture: SnapshotModel, receipt: StopReceiptModel | None, zone: Zone) -> StopStory:
    """A stop that the engine itself reports."""
    status = picture.status
    known = receipt if receipt is not None and receipt.epoch == status.epoch else None
    proofs = known.proofs if known is not None else ("latched",)
    lines = [proof_line(proof) for proof in proofs if not proof.startswith("open positions")]
    lines.append(_still_open(len(picture.positions)))
    return StopStory(
        headline=f"{words.BAD} STOPPED  {formats.clock(status.since, zone, fine=True)} {words.by(status.by)}",
        why=status.reason,
        lines=tuple(lines),
        todo=known.todo if known is not None else (),
        resettable=True,
    )


def story_of_report(report: StopReport, pressed: str) -> StopStory:
    """A press for which no engine's picture speaks."""
    if report.engine_latched:
        headline = f"{words.BAD} STOPPED  {pressed} by you"
    elif report.terminal_stopped:
        headline = f"{words.BAD} STOPPED AT THE TERMINAL  {pressed} by you"
    elif report.stop_file_written:
        headline = f"{words.WARNING} STOP ASKED FOR  {pressed}"
    else:
        headline = f"{words.WARNING} STOP NOT PROVED  {pressed}"
    lines = [proof_line(proof) for proof in report.proofs]
    lines += [
        f"{words.WARNING} {_WAYS.get(attempt.way, attempt.way)}: {attempt.detail}"
        for attempt in report.attempts
        if not attempt.worked
    ]
    if not report.engine_latched:
        lines.append("? open positions and orders: not known, the engine does not answer")
    return StopStory(headline, "", tuple(lines), report.todo, resettable=False)


def proof_line(proof: str) -> str:
    """`✓` before what is proved, `▲` before what is not."""
    troubled = "NOT" in proof or "left: " in proof
    worded = proof
    if proof.startswith("queue drained: "):
        number = proof.removeprefix("queue drained: ")
        worded = f"{number} waiting commands dropped" if number != "0" else "no command was waiting"
    return f"{words.WARNING if troubled else '✓'} {worded}"


def _still_open(positions: int) -> str:
    if not positions:
        return "✓ no position is open"
    return f"{words.RESTING} {formats.count(positions, 'position')} still open, their stop losses stand"


class HaltBanner(QWidget):
    """Above everything while a stop is in force."""

    close_all = Signal()
    reset = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("haltBanner")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        line = QHBoxLayout(self)
        line.setContentsMargins(14, 8, 12, 8)
        line.setSpacing(20)
        head = QVBoxLayout()
        head.setSpacing(2)
        self.headline = QLabel()
        self.headline.setWordWrap(True)
        self.headline.setStyleSheet("font-size: 13pt; font-weight: 700")
        self.why = QLabel()
        self.why.setWordWrap(True)
        head.addWidget(self.headline)
        head.addWidget(self.why)
        body = QVBoxLayout()
        body.setSpacing(3)
        self.proofs = QLabel()
        self.todo = QLabel()
        for label in (self.proofs, self.todo):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.RichText)
            body.addWidget(label)
        self.close_button = QPushButton("Close all positions…")
        self.close_button.setObjectName("main")
        self.reset_button = QPushButton("Reset…")
        self.close_button.clicked.connect(self.close_all)
        self.reset_button.clicked.connect(self.reset)
        line.addLayout(head)
        line.addLayout(body, 1)
        line.addWidget(self.close_button)
        line.addWidget(self.reset_button)
        self._story: StopStory | None = None
        self.hide()

    @property
    def story(self) -> StopStory | None:
        return self._story

    def tell(self, story: StopStory | None, positions: int) -> None:
        """Show it; None: no stop is in force."""
        if story is None:
            self._story = None
            self.hide()
            return
        self.close_button.setVisible(story.resettable and positions > 0)
        self.reset_button.setVisible(story.resettable)
        if story != self._story:
            self._story = story
            self.headline.setText(story.headline)
            self.why.setText(story.why)
            self.why.setVisible(bool(story.why))
            self.proofs.setText(_flow(story.lines))
            todo = _flow([f"✋ {item}" for item in story.todo])
            self.todo.setText(f"<b>By hand, now:</b> {todo}")
            self.todo.setVisible(bool(story.todo))
            self.setAccessibleName(" ".join((story.headline, story.why, *story.lines, *story.todo)))
        self.show()


def _flow(lines: Sequence[str]) -> str:
    """Lines one behind the other; a short one is never broken, a long one only behind its sign."""
    return " &nbsp;&nbsp;&nbsp; ".join(
        html.escape(line).replace(" ", "&nbsp;", -1 if len(line) <= _UNBROKEN else 1) for line in lines
    )
