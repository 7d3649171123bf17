"""The latent map: latents of clean and adversarial clouds in the plane, and the position of the shown cloud."""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QPen
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import Label, tool_button
from app.views.map_plot import POINT_SIZE, MapLegend, MapPlot, PointStyle, class_point_style, point_style
from app.views.painting import plot_pen, translucent
from core.runtime.text import printable

CLICK_RADIUS = 8  # in pixels: the largest distance of the mouse from a point that it selects
STALE_NOTE = "settings changed – run again"
MARKER_CAPTION = "★ the current cloud, placed in a fixed map"


def medoid(points: NDArray[np.floating]) -> int:
    """Index of the point (of (n, 2)) whose summed distance to all others is smallest."""
    places = points @ (1, 1j)
    return int(np.abs(places[:, None] - places).sum(axis=1).argmin())


class MapView(QWidget):
    """Points in the plane, drawn in their `class_point_style`, with the name of each class at its medoid.

    Drag and wheel move and zoom, a double click shows everything again.

    Parameters
    ----------
    empty
        Sentence shown while there is no map.
    """

    picked = Signal(int)
    """Index of the clicked point."""

    def __init__(self, empty: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._xy = np.empty((0, 2))
        self._labels = np.empty(0, int)
        self._adversarial = np.empty(0, bool)
        self._classes: list[str] = []
        self._styles: list[tuple[PointStyle, PointStyle]] = []
        """Of clean and adversarial points of each class; cached, because creating them is slow."""
        self._plot = MapPlot(empty, self._tip)
        self._legend = MapLegend()
        self._pairs = pg.PlotCurveItem(connect="pairs")
        self._points = (pg.ScatterPlotItem(size=POINT_SIZE), pg.ScatterPlotItem(size=POINT_SIZE))  # clean, adversarial
        for depth, item in enumerate((self._pairs, *self._points)):
            item.setZValue(depth)
            self._plot.box.addItem(item)
        self._toggles = tuple(_toggle(text) for text in ("clean", "adversarial", "pairs"))
        self._toggles[2].setChecked(False)
        set_tooltip(self._toggles[2], "Join each clean point with its adversarial one")
        self._plot.stale.setText(STALE_NOTE)
        self._caption = Label(role="caption")
        bar, body, layout = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        for toggle in self._toggles:
            toggle.toggled.connect(self._apply_toggles)
            bar.addWidget(toggle)
        bar.addStretch()
        bar.addWidget(self._caption)
        body.setSpacing(theme.SPACE_M)
        body.addWidget(self._plot, 1)
        body.addWidget(self._legend)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_XS)
        layout.addLayout(bar)
        layout.addLayout(body, 1)
        self._plot.scene().sigMouseClicked.connect(self._click)
        theme.notifier.changed.connect(self._apply_theme)
        self.setAccessibleName("Map of the latents")
        self._draw()

    def set_map(self, xy: ArrayLike, labels: ArrayLike, adversarial: ArrayLike, classes: Sequence[str]) -> None:
        """Show a map, or its next iteration while it is being fitted.

        Parameters
        ----------
        xy
            (n, 2) positions.
        labels
            (n,) true classes.
        adversarial
            (n,) whether a point is of an adversarial cloud. If there are as many as clean points, the k-th adversarial
            point belongs to the k-th clean one, and a line can be drawn between them.
        classes
            Names of all classes.

        Raises
        ------
        ValueError
            If the lengths differ, a position is not finite, or a label is not that of a class.
        """
        xy, labels, adversarial = np.asarray(xy, float), np.asarray(labels, int), np.asarray(adversarial, bool)
        if xy.ndim != 2 or xy.shape[1] != 2 or labels.shape != (len(xy),) or adversarial.shape != (len(xy),):
            raise ValueError(
                f"a map of shape {xy.shape} with labels {labels.shape} and adversarial marks {adversarial.shape} was "
                "given; (n, 2), (n,) and (n,) are needed"
            )
        if not np.isfinite(xy).all():
            raise ValueError("the map has a position that is not finite")
        if labels.size and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(f"labels from {labels.min()} to {labels.max()} do not fit {len(classes)} classes")
        self._xy, self._labels, self._adversarial, self._classes = xy, labels, adversarial, list(classes)
        self._draw()

    def set_marker(self, xy: ArrayLike | None, xy_clean: ArrayLike | None = None) -> None:
        """Draw the star of the shown cloud at `xy`, and a line to it from `xy_clean`, that of its clean original.

        Both are (2,). The map itself stays the same. None removes the star.
        """
        places = [QPointF(*np.asarray(place, float)) for place in (xy, xy_clean) if place is not None]
        self._caption.setText(MARKER_CAPTION if places else "")
        self._plot.set_marker(places)

    def set_busy(self, text: str | None) -> None:
        """Show the progress of fitting over the map, such as "iteration 250 of 750 · KL 1.84"; None when it is done."""
        self._plot.busy.setText(text or "")
        self._plot.busy.setVisible(text is not None)
        self._plot.viewport().update()

    def set_stale(self, stale: bool) -> None:
        """Dim the map, with a note that the settings have changed since."""
        self._plot.stale.setVisible(stale)
        self._plot.box.setOpacity(0.6 if stale else 1.0)

    def sizeHint(self) -> QSize:
        return QSize(640, 360)

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _apply_theme(self) -> None:
        self._styles.clear()
        self._draw()

    def _draw(self) -> None:
        missing = range(len(self._styles), len(self._classes))
        self._styles += [(class_point_style(k, False), class_point_style(k, True)) for k in missing]
        present = [int(k) for k in np.unique(self._labels)]
        for item, adversarial in zip(self._points, (False, True), strict=True):
            mask = self._adversarial == adversarial
            styles = [pair[adversarial] for pair in self._styles]
            labels = self._labels[mask]
            item.setData(
                pos=self._xy[mask],
                symbol=[styles[k][0] for k in labels],
                brush=[styles[k][1] for k in labels],
                pen=styles[0][2] if styles else None,
            )
        self._draw_pairs()
        self._plot.set_names([(self._classes[k], QPointF(*self._label_position(k))) for k in present])
        neutral = theme.current().unmoved
        kinds = [("clean", point_style("o", neutral, False)), ("adversarial", point_style("o", neutral, True))]
        classes = [(self._classes[k], (*self._styles[k][0][:2], QPen(Qt.PenStyle.NoPen))) for k in present]
        self._legend.set_entries(kinds + classes if present else [])
        clean, adversarial = (~self._adversarial).sum(), self._adversarial.sum()
        self.setAccessibleDescription(f"{clean} clean and {adversarial} adversarial clouds of {len(present)} classes")

    def _draw_pairs(self) -> None:
        clean, adversarial = self._xy[~self._adversarial], self._xy[self._adversarial]
        paired = 0 < len(adversarial) == len(clean)
        ends = np.stack([clean, adversarial], axis=1).reshape(-1, 2) if paired else np.empty((0, 2))
        self._pairs.setData(*ends.T, pen=plot_pen(translucent(theme.current().muted, 0.35), 1))
        self._toggles[2].setEnabled(paired)
        self._apply_toggles()

    def _label_position(self, k: int) -> NDArray[np.floating]:
        """Position of the name of class ``k``: the medoid of its clean points, or of all if it has no clean ones."""
        of_class = self._labels == k
        clean = of_class & ~self._adversarial
        points = self._xy[clean if clean.any() else of_class]
        return points[medoid(points)]

    def _apply_toggles(self) -> None:
        """Show the points and lines whose buttons are checked."""
        for item, toggle in zip((*self._points, self._pairs), self._toggles, strict=True):
            item.setVisible(toggle.isChecked() and toggle.isEnabled())

    # --- the mouse -------------------------------------------------------------------------------------------------

    def _nearest(self, place: QPointF) -> int | None:
        """Index of the visible point nearest to a position in the scene; None if it is too far away."""
        clean, adversarial = (item.isVisible() for item in self._points)
        shown = np.flatnonzero(np.where(self._adversarial, adversarial, clean))
        if not shown.size:
            return None
        box = self._plot.box
        at = box.mapSceneToView(place)
        distances = np.linalg.norm((self._xy[shown] - (at.x(), at.y())) / box.viewPixelSize(), axis=1)
        return int(shown[distances.argmin()]) if distances.min() <= CLICK_RADIUS else None

    def _click(self, event: MouseClickEvent) -> None:
        index = self._nearest(event.scenePos())
        if event.button() == Qt.MouseButton.LeftButton and not event.double() and index is not None:
            self.picked.emit(index)

    def _tip(self, place: QPointF) -> str:
        index = self._nearest(place)
        if index is None:
            return ""
        kind = "adversarial" if self._adversarial[index] else "clean"
        return f"{printable(self._classes[self._labels[index]])}, {kind}\npoint {index}"


def _toggle(text: str) -> QToolButton:
    return tool_button(text, role="flat", checkable=True, checked=True)
