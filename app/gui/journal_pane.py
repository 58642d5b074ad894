"""The journal: search, filter, verify, export. Asked through the command line in a process of its own, which can be called off,
so that neither the window nor the engine ever waits for a reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from PySide6.QtCore import QProcess, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QWidget,
)

from app.api.schemas import SnapshotModel
from app.gui import formats, words
from app.gui.formats import Zone
from app.gui.pane import TablePane
from app.gui.rows import Cell, Column, Row
from app.gui.theme import Theme
from app.gui.tones import Tone

_COLUMNS = (
    Column("Received", "2026-11-21 14:03:22"),
    Column("Action", "CLOSE_POSITION"),
    Column("Symbol", "EURUSD.x"),
    Column("Side", "▼ Selll"),
    Column("Volume", "10.00", right=True),
    Column("Outcome", "✕ VOLUME_TOO_LARGE"),
    Column("Price", "67 237.53", right=True),
    Column("Ticket", "100012340", right=True),
    Column("Strategy", "ma_cross"),
    Column("Command", "cmd_0123456789"),
)
_OUTCOMES = (
    "any outcome",
    "EXECUTED",
    "PARTIAL",
    "REJECTED",
    "EXPIRED",
    "WITHDRAWN",
    "STOPPED",
    "UNKNOWN",
    "OPERATOR",
)
_LIMIT = 1000
_MOST_OUTPUT = 16 * 2**20
_TONES = {
    "EXECUTED": Tone.UP,
    "REJECTED": Tone.DOWN,
    "REFUSED": Tone.DOWN,
    "UNKNOWN": Tone.WARN,
    "PARTIAL": Tone.WARN,
}
_SIGNS = {
    "EXECUTED": "✓",
    "REJECTED": "✕",
    "REFUSED": "✕",
    "UNKNOWN": "?",
    "PARTIAL": "◐",
    "EXPIRED": "◷",
    "STOPPED": "■",
}


class JournalPane(TablePane):
    """`history_wanted` carries a command id."""

    history_wanted = Signal(str)

    def __init__(self, theme: Theme, program: Sequence[str], options: Sequence[str]) -> None:
        """`program`: how `medulla` is started; `options`: which configuration it reads."""
        super().__init__(
            "journal",
            "Journal",
            _COLUMNS,
            theme,
            (
                "Nothing searched yet",
                "Choose a day, symbol, strategy or outcome and press Search. Empty fields mean: all.",
            ),
        )
        self._program, self._options = tuple(program), tuple(options)
        self.zone = Zone.LOCAL
        self._process: QProcess | None = None
        self.filter.setMaximumWidth(150)
        self.day = self._field("Day YYYY-MM-DD", 136)
        self.symbol = self._field("Symbol", 80)
        self.strategy = self._field("Strategy", 90)
        self.outcome = QComboBox()
        self.outcome.addItems(list(_OUTCOMES))
        self.outcome.setAccessibleName("Outcome")
        self.search_button = QPushButton("Search")
        self.verify_button = QPushButton("Verify")
        self.verify_button.setToolTip("Checks the database and its hash chain from the first row to the last")
        self.export_button = QPushButton("Export…")
        line = QWidget()
        line.setObjectName("paneTools")
        row = QHBoxLayout(line)
        row.setContentsMargins(8, 4, 8, 4)
        row.setSpacing(6)
        for widget in (self.day, self.symbol, self.strategy, self.outcome, self.search_button):
            row.addWidget(widget)
        row.addStretch()
        row.addWidget(self.verify_button)
        row.addWidget(self.export_button)
        self.column.insertWidget(0, line)
        self.said = QLabel()
        self.said.setObjectName("dim")
        self.cancel = self.add_tool("Call off", "End what is under way")
        self.cancel.hide()
        self.tool_line.insertWidget(1, self.said)
        self.search_button.clicked.connect(self.search)
        self.verify_button.clicked.connect(self.verify)
        self.export_button.clicked.connect(self._choose_file)
        self.cancel.clicked.connect(self.call_off)
        self.view.activated_row.connect(lambda chosen: self.history_wanted.emit(chosen.key))
        for edit in (self.day, self.symbol, self.strategy):
            edit.returnPressed.connect(self.search)

    def _field(self, label: str, width: int) -> QLineEdit:
        edit = QLineEdit()
        edit.setPlaceholderText(label)
        edit.setAccessibleName(label)
        edit.setMaximumWidth(width)
        return edit

    def draw(self, _picture: SnapshotModel) -> None:
        """The journal is asked, it does not follow."""

    def fill_menu(self, menu: QMenu, rows: list[Row]) -> None:
        menu.addAction("Whole history…", lambda: self.history_wanted.emit(rows[0].key)).setEnabled(
            len(rows) == 1
        )
        menu.addSeparator()

    # ------------------------------------------------------------ what can be asked

    def _filters(self) -> list[str]:
        chosen = []
        for option, edit in (("--day", self.day), ("--symbol", self.symbol), ("--strategy", self.strategy)):
            if edit.text().strip():
                chosen += [option, edit.text().strip()]
        if self.outcome.currentIndex() > 0:
            chosen += ["--outcome", self.outcome.currentText()]
        return chosen

    def search(self) -> None:
        self._run(
            "searching …",
            ["journal", "list", "--json", "--limit", str(_LIMIT), *self._filters()],
            self._found,
        )

    def verify(self) -> None:
        self._run(
            "checking every row …", ["journal", "verify"], lambda out: self.said.setText(out.strip()[-200:])
        )

    def _choose_file(self) -> None:
        dialog = QFileDialog(self, "Export the journal")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(["CSV (*.csv)", "Parquet (*.parquet)", "JSON lines (*.jsonl)"])
        dialog.setDefaultSuffix("csv")
        dialog.fileSelected.connect(self.export)
        dialog.open()

    def export(self, file: str) -> None:
        """The filtered commands into `file`; its ending says in which form."""
        form = {"parquet": "parquet", "jsonl": "jsonl"}.get(file.rsplit(".", 1)[-1].lower(), "csv")
        arguments = ["journal", "export", "--format", form, "--out", file, *self._filters()]
        self._run("writing …", arguments, lambda out: self.said.setText(f"✓ {out.strip()[-200:]}"))

    # ------------------------------------------------------------ how it is asked

    def _run(self, doing: str, arguments: list[str], done: Callable[[str], None]) -> None:
        if self._process is not None:
            self.said.setText("Something is under way; call it off first.")
            return
        process = QProcess(self)
        self._process = process
        self.said.setText(doing)
        self.cancel.show()
        process.finished.connect(lambda code, _status: self._finished(process, code, done))
        process.errorOccurred.connect(lambda _error: self._not_started(process))
        process.start(self._program[0], [*self._program[1:], *arguments, *self._options])

    def _finished(self, process: QProcess, code: int, done: Callable[[str], None]) -> None:
        if self._process is not process:
            return
        self._let_go()
        if code == 0:
            done(bytes(process.readAllStandardOutput().data()[:_MOST_OUTPUT]).decode("utf-8", "replace"))
            return
        errors = bytes(process.readAllStandardError().data()).decode("utf-8", "replace").strip().splitlines()
        self.said.setText(f"✕ {(errors or ['it was called off'])[-1].removeprefix('medulla: ')}")

    def _not_started(self, process: QProcess) -> None:
        if self._process is process and process.state() == QProcess.ProcessState.NotRunning:
            self._let_go()
            self.said.setText(f"✕ {process.errorString()}")

    def _let_go(self) -> None:
        if self._process is not None:
            self._process.deleteLater()
        self._process = None
        self.cancel.hide()

    def call_off(self) -> None:
        """End what is under way; reading changes nothing, so nothing is half done."""
        process = self._process
        if process is not None:
            self._let_go()
            self.said.setText("called off")
            process.kill()
            process.waitForFinished(1000)

    def _found(self, output: str) -> None:
        rows = []
        for text in output.splitlines():
            try:
                content = json.loads(text)
            except ValueError:
                continue
            rows.append(Row(str(content.get("id")), self._cells(content), content))
        self.put(rows)
        self.said.setText(
            formats.count(len(rows), "command") + (" (the newest)" if len(rows) == _LIMIT else "")
        )

    def _cells(self, content: dict[str, Any]) -> tuple[Cell, ...]:
        state = str(content.get("state") or "")
        code = str(content.get("code") or state)
        side = str(content.get("side") or "")
        phrase = words.side(side) if side else None
        return (
            Cell(self._when(content.get("received_at")), Tone.DIM),
            Cell(str(content.get("action") or "")),
            Cell(str(content.get("symbol") or ""), Tone.STRONG),
            Cell("" if phrase is None else str(phrase), Tone.PLAIN if phrase is None else phrase.tone),
            _number(content.get("volume")),
            Cell(f"{_SIGNS.get(state, '○')} {code}", _TONES.get(state, Tone.DIM)),
            _number(content.get("price")),
            Cell(str(content.get("result_ticket") or content.get("ticket") or ""), Tone.DIM),
            Cell(str(content.get("strategy_id") or content.get("strategy") or "")),
            Cell(str(content.get("id") or ""), Tone.DIM),
        )

    def _when(self, value: object) -> str:
        try:
            return formats.day_and_clock(datetime.fromisoformat(str(value)), self.zone)
        except ValueError:
            return str(value or "")


def _number(value: object) -> Cell:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return Cell("")
    return Cell(formats.number(number), sort=float(number)) if number.is_finite() else Cell("")
