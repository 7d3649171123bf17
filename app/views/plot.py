"""A plot with axes, and a legend that shows the values at the cursor."""

from collections.abc import Callable, Iterator
from html import escape
from math import ceil
from typing import NamedTuple

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.graphicsItems.ScatterPlotItem import drawSymbol
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from PySide6.QtCore import QEvent, QPointF, QRect, Qt, Signal
from PySide6.QtGui import QBrush, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QGraphicsScene, QWidget

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views import annotations
from app.views.painting import draw_focus_frame, draw_text, plot_pen
from core.runtime.text import printable

AXIS_WIDTH, AXIS_HEIGHT = 52, 36  # in pixels
GRID_OPACITY = 130  # of 255
MARKERS = {"o": 8, "s": 7, "t1": 9, "d": 11, "t": 9, "+": 10, "star": 12}
"""pyqtgraph's circle, square, triangle, diamond, triangle on its tip, plus and star -> pixels, so that all look
equally large."""


class Plot(pg.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no types
    """The plot, a cursor line under the mouse, and a hint while there is nothing to plot.

    A frame shows that the view of which it is a part has the keyboard focus.

    Not pyqtgraph's PlotWidget, which brings a menu and a panel of controls of its own for each plot.
    """

    hovered = Signal(object)
    clicked = Signal(QPointF)
    """Position of a click in axis coordinates."""

    def __init__(self, hint: str, *, integer_x: bool = False, tip: Callable[[QPointF], str] | None = None) -> None:
        """``integer_x``: ticks of x only at integers; ``tip``: tooltip at a position in axis coordinates."""
        super().__init__()
        # few items, and Qt's index of them can hold one that was removed before the next repaint, which then crashes
        self.scene().setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self._hint, self._tip = hint, tip
        self._empty = True
        self.left, self.bottom = pg.AxisItem("left"), (_IntegerAxis if integer_x else pg.AxisItem)("bottom")
        self.box = pg.ViewBox(enableMenu=False)
        self.box.setMouseEnabled(x=True, y=False)
        self.box.setAutoVisible(y=True)
        self._grid = pg.GraphicsLayout()
        self._grid.setSpacing(0)
        self._grid.setContentsMargins(0, theme.SPACE_XS, theme.SPACE_XS, 0)
        self._grid.addItem(self.box, 0, 1)
        self._grid.addItem(self.left, 0, 0)
        self._grid.addItem(self.bottom, 1, 1)
        for axis in (self.left, self.bottom):
            axis.linkToView(self.box)
            axis.enableAutoSIPrefix(False)
            axis.setZValue(-1000)  # the grid is behind the lines: a ViewBox has -100
        self.left.setWidth(AXIS_WIDTH)  # fixed, so that the plot does not move when numbers change
        self.left.setGrid(GRID_OPACITY)
        self.bottom.setHeight(AXIS_HEIGHT)
        self.setCentralItem(self._grid)
        self._cursor_line = pg.InfiniteLine(angle=90)
        self.box.addItem(self._cursor_line, ignoreBounds=True)
        self._marker = pg.ScatterPlotItem(size=12, brush=None)
        self._marker.setZValue(2)
        self.box.addItem(self._marker, ignoreBounds=True)
        self.set_cursor(None)
        self.scene().sigMouseClicked.connect(self._click)

    def apply_theme(self, x_label: str, y_label: str) -> None:
        now = theme.current()
        self.setBackground(now.canvas)
        self._cursor_line.setPen(plot_pen(now.muted, 1))
        self._marker.setPen(plot_pen(now.accent, 2))
        for axis, text in ((self.left, y_label), (self.bottom, x_label)):
            axis.setPen(now.border)
            axis.setTextPen(now.muted)
            axis.setTickFont(theme.tabular(theme.font(theme.CAPTION_PX)))
            axis.setLabel(escape(text), **{"color": now.muted.name(), "font-size": f"{theme.CAPTION_PX}px"})

    def add_line(self) -> tuple[pg.PlotDataItem, pg.ScatterPlotItem]:
        """Add a line, and the markers of some of its points, which lie over all lines."""
        line = pg.PlotDataItem(connect="finite", autoDownsample=True, downsampleMethod="peak")
        line.opts["autoDownsampleFactor"] = 1.0
        line.setClipToView(True)
        markers = pg.ScatterPlotItem(pen=None)
        markers.setZValue(1)
        for item in (line, markers):
            self.box.addItem(item)
        return line, markers

    def set_cursor(self, x: float | None) -> None:
        self._cursor_line.setVisible(x is not None)
        if x is not None:
            self._cursor_line.setValue(x)

    def set_empty(self, empty: bool) -> None:
        self._empty = empty
        self._grid.setVisible(not empty)
        self.viewport().update()

    def set_marker(self, place: tuple[float, float] | None) -> None:
        """Draw a ring around a position in axis coordinates; None removes it."""
        self._marker.setData(*([[], []] if place is None else [[number] for number in place]))

    def set_stale(self, stale: bool) -> None:
        """Dim what is plotted, because the settings have changed since."""
        self.box.setOpacity(0.6 if stale else 1.0)

    def pixel_distances(self, places: NDArray[np.floating], at: QPointF) -> NDArray[np.floating]:
        """Distances (n,) in pixels of points (n, 2) from a position, both in axis coordinates."""
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
            show_tooltip(event.globalPos(), self._tip(place), self)
            return True
        return super().viewportEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        if (view := self.parentWidget()) is not None and view.hasFocus():
            draw_focus_frame(painter, self.viewport().rect())
        if self._empty and self._hint:
            annotations.empty(painter, self.viewport().rect(), "Nothing yet", self._hint)


class _IntegerAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """An axis without ticks between integers."""

    def tickSpacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:
        return [level for level in super().tickSpacing(low, high, size) if level[0] >= 1] or [(1, 0)]


SAMPLE_WIDTH = 26
"""Width in pixels of the sample of a line in a legend."""
SHORTEST_NAME = 16
"""Width in pixels to which the name of a line is shortened at most."""
MOST_ROWS = 8
"""Rows of a legend from which names are shortened rather than that it gets another one."""


class LegendRow(NamedTuple):
    """What a legend has of a line; or the place at which the values are, which has no pen and no value."""

    name: str
    value: str = ""
    pen: QPen | None = None
    marker: str = ""


class ValueLegend(QWidget):
    """Values and names of the lines; values have a fixed width, so that nothing moves while they change."""

    def __init__(self, rows: Callable[[], Iterator[LegendRow]], widest: str) -> None:
        """``widest`` is the longest value."""
        super().__init__()
        self._rows, self._widest = rows, widest
        self.setFixedHeight(theme.CONTROL_HEIGHT)

    def fit(self) -> None:
        """Take as many rows as the lines need; called when lines or the width have changed."""
        names = [row.name for row in self._rows()]
        rows = ceil(len(names) / len(self._name_widths(names))) if names else 1
        self.setFixedHeight(max(theme.CONTROL_HEIGHT, rows * theme.CONTROL_HEIGHT // 2))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()

    @property
    def _metrics(self) -> QFontMetrics:
        return QFontMetrics(theme.tabular(theme.font(theme.CAPTION_PX)))

    @property
    def _number_width(self) -> int:
        return self._metrics.horizontalAdvance(self._widest) + theme.SPACE_S

    def _name_widths(self, names: list[str]) -> list[int]:
        """Widths in pixels of the columns of names: in the fewest rows in which none is shortened, or ``MOST_ROWS``."""
        widths = [self._metrics.horizontalAdvance(printable(name)) + theme.SPACE_S for name in names]
        beside = SAMPLE_WIDTH + 2 * theme.SPACE_XS + self._number_width
        room = self.width() - theme.SPACE_S
        for rows in range(1, MOST_ROWS + 1):
            count = ceil(len(widths) / rows)
            columns = [max(widths[column::count]) for column in range(count)]
            if sum(columns) + count * beside <= room:
                return columns
        columns = columns[: max(1, room // (beside + SHORTEST_NAME))]  # more rows, if need be
        longest = max(columns)
        while longest > SHORTEST_NAME and sum(min(width, longest) for width in columns) > room - len(columns) * beside:
            longest -= 1  # shorten the longest names, never the values
        return [min(width, longest) for width in columns]

    def paintEvent(self, event: QPaintEvent) -> None:
        rows, now = list(self._rows()), theme.current()
        if not rows:
            return
        painter, font = QPainter(self), theme.tabular(theme.font(theme.CAPTION_PX))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        widths, number_width = self._name_widths([row.name for row in rows]), self._number_width
        height = self.height() // ceil(len(rows) / len(widths))
        for place, row in enumerate(rows):
            column = place % len(widths)
            left = theme.SPACE_S + sum(widths[:column]) + column * (SAMPLE_WIDTH + 2 * theme.SPACE_XS + number_width)
            top = place // len(widths) * height
            if row.pen is not None:
                _paint_sample(painter, QRect(left, top, SAMPLE_WIDTH, height), row.pen, row.marker)
                number = QRect(left + SAMPLE_WIDTH + theme.SPACE_XS, top, number_width, height)
                draw_text(painter, number, row.value, font, now.text)
                name = QRect(number.right() + theme.SPACE_XS, top, widths[column], height)
            else:
                name = QRect(left, top, SAMPLE_WIDTH + number_width + widths[column], height)
            draw_text(painter, name, row.name, font, now.muted)


def _paint_sample(painter: QPainter, area: QRect, pen: QPen, marker: str) -> None:
    """A piece of a line with its marker in the middle."""
    middle = QPointF(area.left() + area.width() / 2, area.top() + area.height() / 2)
    painter.setPen(QPen(pen.color(), 1.5, pen.style()))
    painter.drawLine(QPointF(area.left(), middle.y()), QPointF(area.right(), middle.y()))
    painter.save()
    painter.translate(middle)
    drawSymbol(painter, marker, MARKERS[marker], QPen(Qt.PenStyle.NoPen), QBrush(pen.color()))
    painter.restore()
