"""The map: latents of clean and adversarial clouds placed together in the plane, and the current cloud among them."""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from app.shell import theme
from app.views.paint import faint, plot_pen
from app.views.plane import SIZE, Legend, Look, Plane, look, ringed

REACH = 8  # pixels from a point within which the mouse means it
STALE = "settings changed – run again"
PLACED = "★ the current cloud, placed in a fixed map"


def medoid(points: NDArray[np.floating]) -> int:
    """Index of the point (of (n, 2)) whose summed distance to all others is smallest."""
    places = points @ (1, 1j)
    return int(np.abs(places[:, None] - places).sum(axis=1).argmin())


class MapView(QWidget):
    """Points in the plane, drawn as `look` says, with the name of each class at its medoid.

    Drag and wheel move and zoom, a double click shows everything again.

    Parameters
    ----------
    empty
        Sentence shown while there is no map.
    """

    picked = Signal(int)
    """Index of the point a person clicked on."""

    def __init__(self, empty: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._xy = np.empty((0, 2))
        self._labels = np.empty(0, int)
        self._adversarial = np.empty(0, bool)
        self._classes: list[str] = []
        self._looks: list[tuple[Look, Look]] = []  # clean and adversarial, of each class; kept, as new ones cost time
        self._plot = Plane(empty, self._tip)
        self._legend = Legend()
        self._pairs = pg.PlotCurveItem(connect="pairs")
        self._points = (pg.ScatterPlotItem(size=SIZE), pg.ScatterPlotItem(size=SIZE))  # clean, adversarial
        for depth, item in enumerate((self._pairs, *self._points)):
            item.setZValue(depth)
            self._plot.box.addItem(item)
        self._show = tuple(_toggle(text) for text in ("clean", "adversarial", "pairs"))
        self._show[2].setChecked(False)
        self._show[2].setToolTip("Join each clean point with its adversarial one")
        self._plot.stale.setText(STALE)
        self._caption = QLabel()
        theme.role(self._caption, "caption")
        bar, body, layout = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        for toggle in self._show:
            toggle.toggled.connect(self._choose)
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
        theme.notifier.changed.connect(self._dress)
        self.setAccessibleName("Map of the latents")
        self._draw()

    def set_map(self, xy: ArrayLike, labels: ArrayLike, adversarial: ArrayLike, classes: Sequence[str]) -> None:
        """Show a map, or its next frame while it is being made.

        Parameters
        ----------
        xy
            (n, 2) places.
        labels
            (n,) true classes.
        adversarial
            (n,) whether a point is of an adversarial cloud. If there are as many as clean points, the k-th adversarial
            point belongs to the k-th clean one, and a line can join them.
        classes
            Names of all classes.

        Raises
        ------
        ValueError
            If the lengths do not agree, a place is not finite or a label names no class.
        """
        xy, labels, adversarial = np.asarray(xy, float), np.asarray(labels, int), np.asarray(adversarial, bool)
        if xy.ndim != 2 or xy.shape[1] != 2 or labels.shape != (len(xy),) or adversarial.shape != (len(xy),):
            raise ValueError(
                f"a map of shape {xy.shape} with labels {labels.shape} and adversarial marks {adversarial.shape} was "
                "given; (n, 2), (n,) and (n,) are needed"
            )
        if not np.isfinite(xy).all():
            raise ValueError("the map has a place that is not finite")
        if labels.size and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(f"labels from {labels.min()} to {labels.max()} do not fit {len(classes)} classes")
        self._xy, self._labels, self._adversarial, self._classes = xy, labels, adversarial, list(classes)
        self._draw()

    def set_marker(self, xy: ArrayLike | None, xy_clean: ArrayLike | None = None) -> None:
        """Put the star of the current cloud at `xy`, and a line to it from `xy_clean`, its clean original's place.

        Both are (2,). The map itself is not touched. None takes the star away.
        """
        places = [QPointF(*np.asarray(place, float)) for place in (xy, xy_clean) if place is not None]
        self._caption.setText(PLACED if places else "")
        self._plot.put_marker(places)

    def set_busy(self, text: str | None) -> None:
        """Say over the map how its making goes, such as "iteration 250 of 750 · KL 1.84"; None when it is made."""
        self._plot.busy.setText(text or "")
        self._plot.busy.setVisible(text is not None)
        self._plot.viewport().update()

    def set_stale(self, stale: bool) -> None:
        """Dim the map and say that it does not belong to the settings any more."""
        self._plot.stale.setVisible(stale)
        self._plot.box.setOpacity(0.6 if stale else 1.0)

    def sizeHint(self) -> QSize:
        return QSize(640, 360)

    # --- drawing ------------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        self._looks.clear()
        self._draw()

    def _draw(self) -> None:
        self._looks += [(look(k, False), look(k, True)) for k in range(len(self._looks), len(self._classes))]
        present = [int(k) for k in np.unique(self._labels)]
        for item, adversarial in zip(self._points, (False, True), strict=True):
            mask = self._adversarial == adversarial
            looks = [pair[adversarial] for pair in self._looks]
            labels = self._labels[mask]
            item.setData(
                pos=self._xy[mask],
                symbol=[looks[k][0] for k in labels],
                brush=[looks[k][1] for k in labels],
                pen=looks[0][2] if looks else None,
            )
        self._draw_pairs()
        self._plot.put_names([(self._classes[k], QPointF(*self._middle(k))) for k in present])
        neutral = theme.current().still
        kinds = [("clean", ringed("o", neutral, False)), ("adversarial", ringed("o", neutral, True))]
        classes = [(self._classes[k], (*self._looks[k][0][:2], QPen(Qt.PenStyle.NoPen))) for k in present]
        self._legend.put(kinds + classes if present else [])
        clean, adversarial = (~self._adversarial).sum(), self._adversarial.sum()
        self.setAccessibleDescription(f"{clean} clean and {adversarial} adversarial clouds of {len(present)} classes")

    def _draw_pairs(self) -> None:
        clean, adversarial = self._xy[~self._adversarial], self._xy[self._adversarial]
        paired = 0 < len(adversarial) == len(clean)
        ends = np.stack([clean, adversarial], axis=1).reshape(-1, 2) if paired else np.empty((0, 2))
        self._pairs.setData(*ends.T, pen=plot_pen(faint(theme.current().muted, 0.35), 1))
        self._show[2].setEnabled(paired)
        self._choose()

    def _middle(self, k: int) -> NDArray[np.floating]:
        """Where the name of a class is written: at the medoid of its clean points, if it has any."""
        mine = self._labels == k
        clean = mine & ~self._adversarial
        points = self._xy[clean if clean.any() else mine]
        return points[medoid(points)]

    def _choose(self) -> None:
        """Show what the switches ask for."""
        for item, toggle in zip((*self._points, self._pairs), self._show, strict=True):
            item.setVisible(toggle.isChecked() and toggle.isEnabled())

    # --- the mouse ----------------------------------------------------------------------------------------------

    def _nearest(self, place: QPointF) -> int | None:
        """Index of the visible point next to a place of the scene."""
        clean, adversarial = (item.isVisible() for item in self._points)
        shown = np.flatnonzero(np.where(self._adversarial, adversarial, clean))
        if not shown.size:
            return None
        box = self._plot.box
        at = box.mapSceneToView(place)
        away = np.linalg.norm((self._xy[shown] - (at.x(), at.y())) / box.viewPixelSize(), axis=1)
        return int(shown[away.argmin()]) if away.min() <= REACH else None

    def _click(self, event: MouseClickEvent) -> None:
        index = self._nearest(event.scenePos())
        if event.button() == Qt.MouseButton.LeftButton and not event.double() and index is not None:
            self.picked.emit(index)

    def _tip(self, place: QPointF) -> str:
        index = self._nearest(place)
        if index is None:
            return ""
        kind = "adversarial" if self._adversarial[index] else "clean"
        return f"{self._classes[self._labels[index]]}, {kind}\npoint {index}"


def _toggle(text: str) -> QToolButton:
    button = QToolButton(text=text, checkable=True, checked=True)
    theme.role(button, "flat")
    return button
