"""The pipeline live: what the brain and the operator asked for, where each command stands, how long each stage took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QLabel,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.api.schemas import CommandHistoryModel, CommandModel, SnapshotModel
from app.gui import formats, words
from app.gui.formats import Zone
from app.gui.pane import TablePane
from app.gui.rows import Cell, Column, Row, RowMaker
from app.gui.theme import Theme, number_font
from app.gui.tones import Tone

_ALL = "all outcomes"
_CHOICES: Mapping[str, frozenset[str] | None] = {
    _ALL: None,
    "under way": frozenset({"RECEIVED", "QUEUED", "DISPATCHED"}),
    "executed": frozenset({"EXECUTED", "PARTIAL"}),
    "refused or rejected": frozenset({"REFUSED", "REJECTED", "TURNED_AWAY"}),
    "unknown": frozenset({"UNKNOWN", "OPERATOR"}),
    "not sent": frozenset({"EXPIRED", "WITHDRAWN", "STOPPED"}),
}


class CommandsPane(TablePane):
    """`history_wanted` carries a command id, `acknowledge_wanted` too."""

    history_wanted = Signal(str)
    acknowledge_wanted = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(
            "commands",
            "Commands",
            _COLUMNS,
            theme,
            (
                "No command yet",
                "What the brain sends passes by here, newest first, with its outcome and the time each stage took. "
                "Pair with a brain: medulla pair CODE.",
            ),
        )
        self.zone = Zone.LOCAL
        self._rows = RowMaker(_COLUMNS, CommandFacts)
        self._picture: SnapshotModel | None = None
        self.choice = QComboBox()
        self.choice.setAccessibleName("Outcomes shown")
        self.choice.addItems(list(_CHOICES))
        self.choice.currentTextChanged.connect(lambda _text: self._again())
        self.tool_line.addWidget(self.choice)
        self.view.activated_row.connect(lambda row: self.history_wanted.emit(row.key))

    def set_zone(self, zone: Zone) -> None:
        self.zone = zone
        self._again()

    def notice(self, picture: SnapshotModel) -> None:
        received = picture.counters.received
        self.set_title(f"Commands  {formats.number(Decimal(received))}" if received else "Commands")

    def draw(self, picture: SnapshotModel) -> None:
        self._picture = picture
        wanted = _CHOICES[self.choice.currentText()]
        commands = [command for command in picture.commands if wanted is None or command.state in wanted]
        rows = [self._rows.row(command.command_id, command, self.zone) for command in commands]
        self._rows.keep(rows)
        self.put(rows)

    def _again(self) -> None:
        if self._picture is not None:
            self.draw(self._picture)

    def fill_menu(self, menu: QMenu, rows: list[Row]) -> None:
        one = len(rows) == 1
        history = menu.addAction("Whole history…", lambda: self.history_wanted.emit(rows[0].key))
        history.setEnabled(one)
        take = menu.addAction(
            "Take over this unknown outcome…", lambda: self.acknowledge_wanted.emit(rows[0].key)
        )
        take.setEnabled(one and rows[0].source.state == "UNKNOWN")
        menu.addSeparator()


@dataclass(frozen=True, slots=True)
class CommandFacts:
    """What a row is made of."""

    command: CommandModel
    zone: Zone


def _received(facts: CommandFacts) -> Cell:
    at = facts.command.received_at
    return Cell(formats.clock(at, facts.zone, fine=True), sort=at.timestamp())


def _priority(facts: CommandFacts) -> Cell:
    priority = facts.command.priority
    return Cell(priority, Tone.PLAIN if priority in {"CRITICAL", "HIGH"} else Tone.DIM)


def _strategy(facts: CommandFacts) -> Cell:
    name = facts.command.strategy_id
    return Cell(name or formats.NONE, Tone.PLAIN if name else Tone.DIM)


def _outcome(facts: CommandFacts) -> Cell:
    phrase = words.outcome(facts.command)
    return Cell(str(phrase), phrase.tone, pill=True)


def _slip(facts: CommandFacts) -> Cell:
    result = facts.command.result
    if result is None or result.slippage is None:
        return Cell(formats.NONE, sort=-1.0)
    return Cell(formats.number(result.slippage), sort=float(result.slippage))


def _time(value: float | None) -> Cell:
    return Cell(
        formats.milliseconds(value),
        Tone.PLAIN if value is not None else Tone.DIM,
        sort=-1.0 if value is None else value,
    )


_COLUMNS = (
    Column("Received", "14:03:21.917", right=True, make=_received),
    Column("Priority", "CRITICAL", make=_priority),
    Column("What", "Close 0.10 EURUSD #10001231", make=lambda of: Cell(words.what(of.command))),
    Column("Strategy", "ma_cross", make=_strategy),
    Column("Outcome", "✕ refused · volume 5.00 is above max", make=_outcome),
    Column(
        "Queue",
        "99.9 ms",
        right=True,
        tip="Arrival to dispatch",
        make=lambda of: _time(of.command.queue_ms),
    ),
    Column(
        "Broker",
        "9999 ms",
        right=True,
        tip="Dispatch to answer",
        make=lambda of: _time(of.command.broker_ms),
    ),
    Column("Total", "9999 ms", right=True, make=lambda of: _time(of.command.total_ms)),
    Column("Slip", "0.00002", right=True, tip="Price units, positive is worse than intended", make=_slip),
    Column("Command", "cmd-012345", make=lambda of: Cell(of.command.command_id, Tone.DIM)),
)


class HistoryDialog(QDialog):
    """One command's whole story out of the journal, row by row with hashes."""

    def __init__(self, command_id: str, zone: Zone, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Command {command_id}")
        self.resize(760, 460)
        self._zone = zone
        column = QVBoxLayout(self)
        self.head = QLabel("Reading the journal …")
        self.head.setWordWrap(True)
        self.tree = QTreeWidget()
        self.tree.setFont(number_font())
        self.tree.setHeaderLabels(["Event", "Value"])
        self.tree.setColumnWidth(0, 250)
        self.tree.setAlternatingRowColors(True)
        column.addWidget(self.head)
        column.addWidget(self.tree, 1)

    def show_history(self, history: CommandHistoryModel) -> None:
        self.head.setText(
            f"<b>{history.command_id}</b> · {history.state.lower()} · received "
            f"{formats.day_and_clock(history.received_at, self._zone)}"
            + (f" · tag {history.tag}" if history.tag else "")
        )
        for row in history.rows:
            item = QTreeWidgetItem([row.kind, formats.clock(row.at, self._zone, fine=True)])
            self.tree.addTopLevelItem(item)
            for name, value in flat(row.payload):
                item.addChild(QTreeWidgetItem([name, value]))
            item.addChild(QTreeWidgetItem(["hash", row.hash]))
            item.addChild(QTreeWidgetItem(["journal row", str(row.seq)]))
            item.setExpanded(True)

    def show_fault(self, why: str) -> None:
        self.head.setText(f"✕ {why}")


def flat(payload: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The leaves that say something, by dotted name."""
    leaves: list[tuple[str, str]] = []
    for name, value in payload.items():
        if isinstance(value, Mapping):
            leaves += flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            if value:
                leaves.append((f"{prefix}{name}", json.dumps(value, ensure_ascii=False)))
        elif value is not None:
            leaves.append((f"{prefix}{name}", str(value)))
    return leaves
