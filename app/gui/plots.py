"""What the charts share: a plot that stands still, in the window's colours."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtGui import QColor

from app.gui.theme import Theme


def still_plot(**axes: Any) -> Any:
    plot = pg.PlotWidget(axisItems=axes)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.setMouseEnabled(x=False, y=False)
    plot.setFrameShape(pg.PlotWidget.Shape.NoFrame)
    plot.showGrid(x=False, y=True, alpha=0.18)
    return plot


def colour_plot(plot: Any, theme: Theme) -> None:
    tones = theme.tones
    plot.setBackground(tones.panel)
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(QColor(tones.line))
        axis.setTextPen(QColor(tones.dim))
