"""A plot with axes, and a line at the cursor."""

from collections.abc import Callable
from html import escape

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QGraphicsScene

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views import annotations
from app.views.painting import draw_focus_frame, plot_pen

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
        self._grid.setContentsMargins(0, theme.SPACE_XS, theme.SPACE_XS, theme.SPACE_XS)
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
