"""Looks through the window in every state for text that is cut, at the scale that the environment gives. A process of its own,
since Qt takes its scale once.

Run: QT_SCALE_FACTOR=1.5 python -m tests.gui.cut_texts 1280x720
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QTextDocument
from PySide6.QtWidgets import QAbstractButton, QDialog, QLabel, QToolButton, QWidget

from app.gui.launch import application
from app.gui.screenshots import STATES, StillWindow, dialogs, give_past, settle
from app.gui.theme import LIGHT_CHOICE, Theme

_TAG = re.compile(r"<[^>]+>")


def cut(root: QWidget) -> list[str]:
    """Visible labels and buttons whose text has less room than it needs, or of which a part is outside their parent."""
    found = []
    for widget in root.findChildren(QWidget):
        if not widget.isVisible() or not isinstance(widget, QLabel | QAbstractButton):
            continue
        text = _TAG.sub("", widget.text())
        # What is behind a tab is "visible" to Qt and lies outside the window.
        if not text.strip() or widget.visibleRegion().isEmpty():
            continue
        needed, room = _needed(widget), widget.size()
        # Hints are rounded up, and two points are no letter.
        if room.width() + 2 < needed.width() or room.height() < needed.height():
            found.append(f"{_place(widget)}: {text[:60]!r} has {_said(room)}, needs {_said(needed)}")
        elif _outside(widget):
            found.append(f"{_place(widget)}: {text[:60]!r} reaches out of its parent")
    return found


def _needed(widget: QLabel | QAbstractButton) -> QSize:
    if isinstance(widget, QLabel) and widget.wordWrap():
        return _wrapped(widget)
    if isinstance(widget, QLabel):
        return widget.sizeHint()
    # A button's hint has room to spare at its sides; its text must fit, and it must not be squeezed in height.
    metrics = QFontMetrics(widget.font())
    lines = widget.text().replace("&", "").splitlines() or [""]
    spare = 4 if isinstance(widget, QToolButton) else 8
    return QSize(
        max(metrics.horizontalAdvance(line) for line in lines) + spare, metrics.height() * len(lines)
    )


def _wrapped(label: QLabel) -> QSize:
    """The height that the text takes at the label's width, and the width of its longest word."""
    inner = label.contentsRect().width()
    if label.textFormat() == Qt.TextFormat.RichText or "<" in label.text():
        document = QTextDocument()
        document.setDefaultFont(label.font())
        document.setDocumentMargin(0)
        document.setHtml(label.text())
        document.setTextWidth(inner)
        return QSize(0, int(document.size().height()) - 1)
    box = QFontMetrics(label.font()).boundingRect(
        QRect(0, 0, inner, 10_000), int(Qt.TextFlag.TextWordWrap), label.text()
    )
    return QSize(box.width() if box.width() > inner + 1 else 0, box.height() - 1)


def _outside(widget: QWidget) -> bool:
    parent = widget.parentWidget()
    return parent is not None and not parent.rect().adjusted(-1, -1, 1, 1).contains(widget.geometry())


def _place(widget: QWidget) -> str:
    names = []
    at: QWidget | None = widget
    while at is not None:
        names.append(at.objectName() or type(at).__name__)
        at = at.parentWidget()
    return " < ".join(names[:4])


def _said(size: QSize) -> str:
    return f"{size.width()}x{size.height()}"


def main() -> int:
    sizes = [tuple(int(part) for part in text.split("x")) for text in sys.argv[1:]] or [(1280, 720)]
    app = application()
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theme = Theme(app, LIGHT_CHOICE)
        for state, make in STATES.items():
            still = StillWindow(folder, theme)
            still.window.show()
            picture = make()
            give_past(still.window, picture)
            still.show(picture)
            for width, height in sizes:
                still.window.resize(width, height)
                settle()
                found[f"{state} {width}x{height}"] = cut(still.window)
                if still.window.size() != QSize(width, height):
                    found[f"{state} {width}x{height}"].append(
                        f"the window takes {_said(still.window.size())}"
                    )
            if state == "connected":
                found |= _panes(still) | _dialogs(still)
            still.stop.close()
            still.close()
            (folder / "desktop.ini").unlink(missing_ok=True)
    faults = {where: lines for where, lines in found.items() if lines}
    print(json.dumps({"looked_at": len(found), "cut": faults}, ensure_ascii=False, indent=1))
    return 1 if faults else 0


def _panes(still: StillWindow) -> dict[str, list[str]]:
    found = {}
    for pane in still.window.panes:
        still.window.panes_docked.bring(pane.name)
        settle()
        found[f"pane {pane.name}"] = cut(pane)
    return found


def _dialogs(still: StillWindow) -> dict[str, list[str]]:
    found = {}
    for name, dialog in dialogs(still.window).items():
        dialog.show()
        settle()
        found[name] = cut(dialog)
        if isinstance(dialog, QDialog):
            dialog.reject()
    return found


if __name__ == "__main__":
    sys.exit(main())
