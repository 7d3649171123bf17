"""What curves are drawn on and explained by: a plot with axes, and the key that reads out numbers."""

from collections.abc import Callable, Iterator

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from PySide6.QtCore import QEvent, QPointF, QRect, Qt, Signal
from PySide6.QtGui import QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from app.shell import theme
from app.views import hud
from app.views.paint import plot_pen, write

AXIS_WIDTH, AXIS_HEIGHT = 52, 36  # in pixels


class Plot(pg.GraphicsView):
    """The plot, the line under the mouse, and the sentence where there is nothing to plot.

    Not pyqtgraph's PlotWidget, which brings a menu and a panel of controls of its own for each plot.
    """

    hovered = Signal(object)
    clicked = Signal(QPointF)
    """Where a person clicked, in the coordinates of the axes."""

    def __init__(self, sentence: str, *, counted: bool = False, tip: Callable[[QPointF], str] | None = None) -> None:
        """``counted``: x is whole numbers; ``tip``: what the tooltip says at a place of the axes."""
        super().__init__()
        self._sentence, self._tip = sentence, tip
        self._empty = True
        self.left, self.bottom = pg.AxisItem("left"), (_Counted if counted else pg.AxisItem)("bottom")
        self.box = pg.ViewBox(enableMenu=False)
        self.box.setMouseEnabled(x=True, y=False)
        self.box.setAutoVisible(y=True)
        self._cells = pg.GraphicsLayout()
        self._cells.setSpacing(0)
        self._cells.setContentsMargins(0, theme.SPACE_XS, theme.SPACE_XS, 0)
        self._cells.addItem(self.box, 0, 1)
        self._cells.addItem(self.left, 0, 0)
        self._cells.addItem(self.bottom, 1, 1)
        for axis in (self.left, self.bottom):
            axis.linkToView(self.box)
            axis.enableAutoSIPrefix(False)
            axis.setZValue(-1)
        self.left.setWidth(AXIS_WIDTH)  # numbers change, the plot stays
        self.left.setGrid(40)
        self.bottom.setHeight(AXIS_HEIGHT)
        self.setCentralItem(self._cells)
        self._cursor_line = pg.InfiniteLine(angle=90)
        self.box.addItem(self._cursor_line, ignoreBounds=True)
        self._mark = pg.ScatterPlotItem(size=12, brush=None)
        self._mark.setZValue(2)
        self.box.addItem(self._mark, ignoreBounds=True)
        self.set_cursor(None)
        self.scene().sigMouseClicked.connect(self._click)

    def dress(self, x_label: str, y_label: str) -> None:
        now = theme.current()
        self.setBackground(now.canvas)
        self._cursor_line.setPen(plot_pen(now.muted, 1))
        self._mark.setPen(plot_pen(now.accent, 2))
        for axis, text in ((self.left, y_label), (self.bottom, x_label)):
            axis.setPen(now.border)
            axis.setTextPen(now.muted)
            axis.setTickFont(theme.tabular(theme.font(theme.CAPTION_PX)))
            axis.setLabel(text, **{"color": now.muted.name(), "font-size": f"{theme.CAPTION_PX}px"})

    def add_line(self) -> pg.PlotDataItem:
        line = pg.PlotDataItem(connect="finite", symbolSize=5, autoDownsample=True, downsampleMethod="peak")
        line.opts["autoDownsampleFactor"] = 1.0
        line.setClipToView(True)
        self.box.addItem(line)
        return line

    def set_cursor(self, x: float | None) -> None:
        self._cursor_line.setVisible(x is not None)
        if x is not None:
            self._cursor_line.setValue(x)

    def set_empty(self, empty: bool) -> None:
        self._empty = empty
        self._cells.setVisible(not empty)
        self.viewport().update()

    def set_mark(self, place: tuple[float, float] | None) -> None:
        """Put a ring around a place of the axes; None takes it away."""
        self._mark.setData(*([[], []] if place is None else [[number] for number in place]))

    def set_stale(self, stale: bool) -> None:
        """Dim what is plotted: it does not belong to the settings any more."""
        self.box.setOpacity(0.6 if stale else 1.0)

    def away(self, places: NDArray[np.floating], at: QPointF) -> NDArray[np.floating]:
        """(n,) distances in pixels of places (n, 2) from a place, both in the coordinates of the axes."""
        return np.linalg.norm((places - (at.x(), at.y())) / self.box.viewPixelSize(), axis=1)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        place = self.mapToScene(event.position().toPoint())
        inside = not self._empty and self.box.sceneBoundingRect().contains(place)
        self.hovered.emit(self.box.mapSceneToView(place).x() if inside else None)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.hovered.emit(None)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.box.enableAutoRange(axis="x")

    def _click(self, event: MouseClickEvent) -> None:
        inside = not self._empty and self.box.sceneBoundingRect().contains(event.scenePos())
        if inside and event.button() == Qt.MouseButton.LeftButton and not event.double():
            self.clicked.emit(self.box.mapSceneToView(event.scenePos()))

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and self._tip is not None:
            place = self.box.mapSceneToView(self.mapToScene(event.pos()))
            QToolTip.showText(event.globalPos(), self._tip(place), self)
            return True
        return super().viewportEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._empty and self._sentence:
            painter = QPainter(self.viewport())
            hud.empty(painter, self.viewport().rect(), "Nothing yet", self._sentence)


class _Counted(pg.AxisItem):
    """An axis without marks between whole numbers."""

    def tickSpacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:
        return [level for level in super().tickSpacing(low, high, size) if level[0] >= 1] or [(1, 0)]


class Key(QWidget):
    """The names of the lines with their numbers in places of one width, so that nothing moves while they change."""

    def __init__(self, readings: Callable[[], Iterator[tuple[str, QPen, str]]], widest: str) -> None:
        """``widest``: a number that takes as much room as any."""
        super().__init__()
        self._readings, self._widest = readings, widest
        self.setFixedHeight(theme.CONTROL_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, readings = QPainter(self), list(self._readings())
        font = theme.tabular(theme.font(theme.CAPTION_PX))
        metrics = QFontMetrics(font)
        number_width = metrics.horizontalAdvance(self._widest) + theme.SPACE_S
        widths = [metrics.horizontalAdvance(name) + 2 for name, _, _ in readings]
        beside = 18 + theme.SPACE_XS + number_width  # line and number
        fits = theme.SPACE_S + sum(widths) + beside * len(readings) <= self.width()
        per_row = len(readings) if fits else -(-len(readings) // 2)
        height = self.height() if fits else self.height() // 2
        for start in range(0, len(readings), max(1, per_row)):
            row = slice(start, start + per_row)
            top, room = start // per_row * height, self.width() - theme.SPACE_S - beside * len(widths[row])
            longest = max(widths[row])
            while longest > 16 and sum(min(width, longest) for width in widths[row]) > room:
                longest -= 1  # the longest names give way, numbers never
            left = theme.SPACE_S
            for width, (name, pen, number) in zip(widths[row], readings[row], strict=True):
                if pen.style() != Qt.PenStyle.NoPen:
                    painter.setPen(QPen(pen.color(), 2, pen.style()))
                    painter.drawLine(left, top + height // 2, left + 14, top + height // 2)
                    left += 18
                shown = min(width, longest)
                write(painter, QRect(left, top, shown, height), name, font, theme.current().muted)
                left += shown + theme.SPACE_XS
                write(painter, QRect(left, top, number_width, height), number, font, theme.current().text)
                left += number_width
